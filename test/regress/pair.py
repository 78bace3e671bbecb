"""A migration of a table o to a table n in a folder of its own; tables are read by Python and SQLite alone.

The binary, the way a test file reports and the texts that are looked for are those of test/scenarios.
"""
import os
import pathlib
import shutil
import sqlite3
import subprocess
import sys
import tempfile

for folder in ("scenarios", "support"):
    sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / folder))

from new_ids import new_id  # noqa: E402, F401
from refusals import changed, expect_words  # noqa: E402
from whimbrel import BINARY, main  # noqa: E402

PLAN = """whimbrel: 1
migration: regress
stores: {db: "sqlite:app.db", far: "sqlite:far.db"}
tables:
TABLES
sync: SYNC
limits: {batch_size: 50}
cutover:
  WAIT
  switches: [{row: db/flags, key: {name: new}, set: {state: 1}, create: true}]
finish: {after: 0s, rename_source_to: o_archive}
"""
WAITS = {"dual": "start: auto", "capture": "max_hold: 2s", "none": "window: {max: 20s}"}
FLAGS = "CREATE TABLE flags (name TEXT PRIMARY KEY, state INTEGER NOT NULL);"
PLAN_ERROR, REFUSED = 2, 3


class Copying:
    """A folder with dev.db, prod.db and a plan that copies from one to the other."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="whimbrel-regress-"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder, ignore_errors=True)

    def connect(self, name):
        return sqlite3.connect(self.folder / (name + ".db"), timeout=20)

    def ask(self, name, sql, *values):
        connection = self.connect(name)
        try:
            rows = connection.execute(sql, values).fetchall()
            connection.commit()
            return rows
        finally:
            connection.close()

    def run(self, verb, *words, expect=0):
        done = subprocess.run([BINARY, verb, str(self.folder / "plan.yaml"), *words], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=120)
        printed = done.stdout + done.stderr
        assert done.returncode == expect, "%s gave %d, not %d:\n%s" % ((verb, *words), done.returncode, expect, printed)
        return printed


class Pair:
    """`new` makes the new table, or is a dict of files for the tables that `tables` names; `columns` is its mapping."""

    def __init__(self, old, new, sync="capture", columns="", tables=None, two=False):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="whimbrel-regress-"))
        self.plan = self.folder / "plan.yaml"
        self.state = self.folder / ".whimbrel" / "regress"
        self.script(old + FLAGS)
        if tables is None:
            tables = "  - from: db/o\n    to: %s/n\n    create: new.sql" % ("far" if two else "db")
            tables += "\n    columns: " + columns if columns else ""
        for name, text in new.items() if isinstance(new, dict) else [("new.sql", new)]:
            (self.folder / name).write_text(text)
        text = PLAN.replace("TABLES", tables).replace("SYNC", sync).replace("WAIT", WAITS[sync])
        self.plan.write_text(text if two else text.replace(', far: "sqlite:far.db"', ""))
        if two:
            self.ask("CREATE TABLE theirs (a)", "far")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder, ignore_errors=True)

    def connect(self, file="app"):
        return sqlite3.connect(self.folder / (file + ".db"), timeout=20, isolation_level=None)

    def ask(self, sql, file="app", foreign_keys=False):
        connection = self.connect(file)
        try:
            connection.execute("PRAGMA foreign_keys = %d" % foreign_keys)
            return connection.execute(sql).fetchall()
        finally:
            connection.close()

    def script(self, sql):
        connection = self.connect()
        connection.executescript(sql)
        connection.close()

    def old(self):
        return self.ask("SELECT * FROM o ORDER BY 1")

    def new(self):
        return self.ask("SELECT * FROM n ORDER BY 1")

    def everything(self):
        """Every row of every table, and the schema."""
        found = {}
        for file in sorted(self.folder.glob("*.db")):
            schema = self.ask("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY 1, 2", file.stem)
            found.update(((file.stem, "schema", one), []) for one in schema)
            for name in [name for kind, name, _, _ in schema if kind == "table"]:
                found[file.stem, name] = self.ask('SELECT * FROM "%s"' % name, file.stem)
        return found

    def is_as(self, before, when=""):
        now = self.everything()
        wrong = [what for what in {**before, **now} if now.get(what) != before.get(what)]
        assert not wrong, "%s: %s" % (when, "; ".join("%s is %s, was %s" % (w, now.get(w), before.get(w)) for w in wrong))

    def start(self, verb, *words, environment=()):
        return subprocess.Popen([BINARY, verb, str(self.plan), *words], env=dict(os.environ, **dict(environment)), text=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, errors="replace")

    def answer(self, verb, *words, environment=()):
        process = self.start(verb, *words, environment=environment)
        out, err = process.communicate(timeout=120)
        return process.returncode, out + err

    def run(self, verb, *words, expect=0, environment=()):
        code, printed = self.answer(verb, *words, environment=environment)
        assert code == expect, "%s gave %d, not %d:\n%s" % ((verb, *words), code, expect, printed)
        return printed

    def megabytes(self, *words):
        """At most, of a command that succeeds and prints little."""
        process = self.start(*words, "--quiet")
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        are((process.returncode, process.communicate()[1]), (0, ""), "exit code and error")
        return usage.ru_maxrss / 1024

    def refused(self, *told, code=REFUSED):
        """Before anything is changed; by `analyze` and by `run`."""
        before = self.everything()
        for verb in (["analyze"], ["run", "--yes"]):
            expect_words(self.run(*verb, expect=code), *told)
        self.is_as(before, "refused, and something is changed")


def are(found, wanted, what=""):
    assert found == wanted, "%s: %s, not %s" % (what, found, wanted)

"""One life: there, back, and sometimes there again, with the real binary."""
import os
import pathlib
import random
import shutil
import signal
import sqlite3
import subprocess
import time

import migration as generator
import oracle as book
import schema
from oracle import Different, Oracle
from schema import quote
from traffic import Rows, Skip, Writer
from values import Storage, decode

FLAGS = "CREATE TABLE flags (name TEXT PRIMARY KEY, enabled INTEGER NOT NULL DEFAULT 0)"


class Failed(Exception):
    """What went wrong, short."""


class World:
    """The files, the binary, and the book."""

    def __init__(self, seed, folder, binary):
        self.rnd = random.Random(seed)
        self.folder, self.binary = pathlib.Path(folder), binary
        self.storage = Storage()
        self.migration = generator.generate(seed, self.rnd, self.storage)
        self.db, self.dst = self.folder / "app.db", self.folder / "dst.db"
        self.new_prefix = "dst." if self.migration.two_files else "main."
        self.flags_schema = "main" if self.migration.flags_in == "app" else "dst"
        self.oracle = Oracle(self.migration, self.storage)
        self.rows = Rows(self.rnd, self.storage, self.oracle)
        self.statements = []      # all that was committed, for whoever looks at a failed life
        self.fill()
        self.write_files()

    def fill(self):
        old = self.oracle.old
        old.execute("PRAGMA foreign_keys = OFF")
        old.execute("BEGIN")
        for pair in self.migration.pairs:
            for _ in range(self.migration.rows):
                bad = pair.on_error == "reject" and self.rnd.random() < 0.1
                self.try_to_insert(pair, bad)
        for pair in self.migration.pairs:
            self.keep_accepted(pair)
        self.add_refused_row()
        for pair in self.migration.pairs:
            for column in pair.source.columns:
                if column.refers is not None:
                    name = quote(column.name)
                    old.execute("UPDATE %s SET %s = NULL WHERE %s NOT IN (SELECT %s FROM %s)" % (
                        quote(pair.source.name), name, name, quote(column.refers.key[0]), quote(column.refers.name)))
        old.execute("COMMIT")
        self.oracle.configure(old)

    def try_to_insert(self, pair, bad=False, **settings):
        try:
            row = dict(self.rows.any_row(pair) if bad else self.rows.row(pair), **settings)
            self.oracle.old.execute("INSERT INTO %s (%s) VALUES (%s)" % (quote(pair.source.name), ", ".join(map(quote, row)), ", ".join("?" * len(row))),
                                    list(row.values()))
        except (Skip, sqlite3.IntegrityError):
            return None
        return row

    def keep_accepted(self, pair):
        """Computed columns are known only now; cascades may have taken rows away."""
        for row in book.read(self.oracle.old, pair.source).values():
            accepted = pair.accepts(row, self.storage)
            if not accepted and (accepted is None or pair.on_error != "reject"):
                self.oracle.old.execute("DELETE FROM %s WHERE %s" % (quote(pair.source.name), pair.source.where_key()),
                                        [row[name] for name in pair.source.key])

    def add_refused_row(self):
        """A row for which `run` has to refuse."""
        pair, old = self.migration.refused_pair, self.oracle.old
        if self.migration.refusal not in ("bad row", "null key"):
            return
        for _ in range(300):
            old.execute("SAVEPOINT refused")
            nothing = {pair.source.key[0]: None} if self.migration.refusal == "null key" else {}
            row = self.try_to_insert(pair, bad=True, **nothing)
            rows = [one for one in book.read(old, pair.source).values()
                    if row is not None and all(book.same(one[name], row[name]) for name in pair.source.key)]
            if rows and (nothing or pair.accepts(rows[0], self.storage) is False):
                return
            old.execute("ROLLBACK TO refused")
        self.migration.refusal = ""

    def write_files(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        file = sqlite3.connect(self.db, isolation_level=None)
        if self.migration.refusal == "encoding":
            file.execute("PRAGMA encoding = 'UTF-16le'")
            self.oracle.copy_all(self.oracle.old, file)
        else:
            self.oracle.old.backup(file)
        file.close()
        self.set_up(self.db)
        flags = self.db if self.migration.flags_in == "app" else self.dst
        if self.migration.two_files:
            self.set_up(self.dst, ["CREATE TABLE noted (key)"])
        if self.migration.flags_there:
            rows = ["INSERT INTO flags VALUES ('another', 1)"]
            rows += ["INSERT INTO flags VALUES ('generated', 0)"] if self.migration.flags_there == "row" else []
            self.set_up(flags, [FLAGS] + rows)
        for number, pair in enumerate(self.migration.pairs):
            ddl = pair.target.ddl()
            (self.folder / ("target%d.sql" % number)).write_text(";\n".join(ddl) + ";\n", encoding="utf-8")
            if pair.exists:
                self.set_up(self.dst if self.migration.two_files else self.db, ddl)
            if self.migration.refusal == "rows in the target" and self.migration.refused_pair is pair:
                self.fill_target(pair)
        (self.folder / "plan.yaml").write_text(self.migration.plan(), encoding="utf-8")

    def fill_target(self, pair):
        columns = pair.target.writable()
        values = [schema.draw(self.rnd, column, self.storage, pair.target.strict) for column in columns]
        file = sqlite3.connect(self.dst if self.migration.two_files else self.db)
        with file:
            file.execute("INSERT OR IGNORE INTO %s (%s) VALUES (%s)" % (quote(pair.target.name), ", ".join(quote(c.name) for c in columns),
                                                                        ", ".join("?" * len(values))), values)
        file.close()

    def set_up(self, path, statements=()):
        file = sqlite3.connect(path, isolation_level=None)
        file.execute("PRAGMA journal_mode = " + self.migration.journal_mode)
        for sql in statements:
            file.execute(sql)
        file.close()

    def connect(self):
        connection = sqlite3.connect(self.db, timeout=15, isolation_level=None, check_same_thread=False)
        connection.text_factory = decode
        if self.migration.two_files:
            connection.execute("ATTACH ? AS dst", (str(self.dst),))
        return connection

    # --- the binary -------------------------------------------------------------------------------

    def start(self, *arguments):
        environment = dict(os.environ, GENERATED_DB=str(self.db), GENERATED_DST=str(self.dst))
        command = [self.binary, arguments[0], str(self.folder / "plan.yaml"), *arguments[1:]]
        self.statements.append("-- %s\n" % " ".join(arguments))
        return subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                encoding="utf-8", errors="replace")

    def whimbrel(self, *arguments, expect=0):
        process = self.start(*arguments)
        try:
            out, err = process.communicate(timeout=120)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise Failed("`%s` did not end within 120 s" % arguments[0]) from None
        self.judge(arguments, process.returncode, out, err, expect)
        return out

    def judge(self, arguments, code, out, err, expect):
        if code != expect:
            told = [line.strip() for line in (out + "\n" + err).splitlines() if line.strip()]
            starts = [i for i, line in enumerate(told) if line.startswith("error") or line.startswith("refus")]
            told = told[starts[0]:] if starts else told[-8:]
            raise Failed("`%s` gave %d, not %d: %s" % (" ".join(arguments), code, expect, " | ".join(told)[:900]))

    def killed(self, rnd, *arguments):
        """Kills the verb at random moments, a few times, then lets it end."""
        for _ in range(rnd.randint(1, 4)):
            process = self.start(*arguments)
            try:
                out, err = process.communicate(timeout=rnd.uniform(0.005, 0.5))
                self.judge(arguments, process.returncode, out, err, 0)
                return
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.communicate()
        self.whimbrel(*arguments)

    # --- looking ----------------------------------------------------------------------------------

    def schemas(self):
        with_targets = []
        for path in [self.db] + ([self.dst] if self.migration.two_files else []):
            file = sqlite3.connect(path, timeout=15)
            with_targets.append(sorted(map(str, file.execute("SELECT type, name, tbl_name, sql FROM sqlite_master WHERE name NOT IN ('sqlite_sequence')"))))
            file.close()
        return with_targets

    def beside(self):
        """The rows of tables that do not move."""
        moved = {table.name for pair in self.migration.pairs for table in (pair.source, pair.target)} | {"audit", "noted", "sqlite_sequence"}
        return [[one for one in file if one[0] not in moved] for file in self.contents()]

    def contents(self):
        found = []
        for path in [self.db] + ([self.dst] if self.migration.two_files else []):
            file = sqlite3.connect(path, timeout=15)
            file.text_factory = bytes
            names = [row[0].decode() for row in file.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
            found.append([(name, sorted(map(repr, file.execute("SELECT * FROM " + quote(name))))) for name in names])
            file.close()
        return found

    def integrity(self):
        file = self.connect()
        for prefix in ["main."] + (["dst."] if self.migration.two_files else []):
            # SQLite 3.40 reports " value in " of good WITHOUT ROWID tables.
            said = [row[0] for row in file.execute("PRAGMA %sintegrity_check" % prefix) if " value in " not in row[0]]
            if said not in (["ok"], []):
                raise Failed("integrity_check: %s" % said[:3])
        broken = file.execute("PRAGMA main.foreign_key_check").fetchall()
        if broken and self.migration.foreign_keys:
            raise Failed("foreign_key_check: %s" % broken[:3])
        file.close()

    def own_objects(self):
        return [text for schema_of in self.schemas() for text in schema_of if "whimbrel" in text]


class Life:
    def __init__(self, seed, folder, binary):
        self.world = World(seed, folder, binary)
        self.migration, self.oracle = self.world.migration, self.world.oracle
        self.rnd = random.Random(seed * 7919 + 1)

    def live(self):
        world = self.world
        self.schema_before, self.beside_before, before = world.schemas(), world.beside(), world.contents()
        world.whimbrel("check", expect=generator.REFUSALS.get(self.migration.refusal, 0))
        world.whimbrel("analyze", expect=3 if self.migration.refusal else 0)
        if self.migration.refusal:
            world.whimbrel("run", "--yes", expect=3)
        if world.schemas() != self.schema_before or world.contents() != before:
            raise Failed("check, analyze or a refused run changed the database")
        if self.migration.refusal:
            return
        self.there()
        self.back()
        if self.rnd.random() < 0.15:
            self.there()
            self.back()
        if self.rnd.random() < 0.5:
            self.there_for_good()
        world.integrity()

    # --- the parts of a life ----------------------------------------------------------------------

    def writer(self):
        writer = Writer(self.world, random.Random(self.rnd.getrandbits(64)), self.rnd.choice([100, 200, 300]))
        writer.start()
        return writer

    def under_traffic(self, verb, *arguments, stay_s, kills=True):
        """The verb with somebody writing before, during and after it."""
        writer = self.writer()
        try:
            time.sleep(self.rnd.choice([0, 0.03]))
            if kills and self.rnd.random() < 0.3:
                self.world.killed(self.rnd, verb, *arguments)
            else:
                self.world.whimbrel(verb, *arguments)
            time.sleep(stay_s)
        finally:
            writer.stop()
        return writer

    def look(self, what):
        """Both sides against the book, while nobody writes."""
        connection = self.world.connect()
        try:
            if self.oracle.new is not None:
                self.oracle.compare_new(connection, self.world.new_prefix, what)
                if self.migration.sync == "dual":
                    self.oracle.compare_old(connection, what)
                return
            self.oracle.compare_old(connection, what)
            self.oracle.compare_audit(connection, what)
        finally:
            connection.close()

    def look_at_copy(self, what):
        connection = self.world.connect()
        try:
            self.oracle.compare_old(connection, what)
            self.oracle.compare_new(connection, self.world.new_prefix, what, self.oracle.make_new())
            self.look_at_schema(connection)
        finally:
            connection.close()

    def look_at_schema(self, connection):
        """The target's table and indexes are what its DDL makes."""
        master = "dst.sqlite_master" if self.migration.two_files else "main.sqlite_master"
        for pair in self.migration.pairs:
            fresh = book.memory()
            for sql in pair.target.ddl():
                fresh.execute(sql)
            query = "SELECT type, name, sql FROM %s WHERE tbl_name = ? AND name NOT LIKE 'whimbrel%%' ORDER BY 1, 2"
            want = fresh.execute(query % "sqlite_master", (pair.target.name,)).fetchall()
            found = connection.execute(query % master, (pair.target.name,)).fetchall()
            if want != found:
                raise Different("the target's schema is %s, and its DDL says %s" % (found, want))

    def there(self):
        if self.rnd.random() < 0.4:
            self.under_traffic("run", "--yes", "--until", self.rnd.choice(["copy", "follow", "verify"]), stay_s=0)
            self.world.whimbrel("run", "--yes", "--until", "verify")
            self.look_at_copy("after the copy")
            if self.rnd.random() < 0.3:
                self.under_traffic("cutover", "--yes", stay_s=0.05, kills=False)
        self.under_traffic("run", "--yes", stay_s=self.rnd.choice([0, 0.05, 0.2]))
        if self.oracle.new is None:
            self.look_at_copy("after the switch")
            self.oracle.switch_to_new()
        else:
            self.look("after the switch")
        if self.rnd.random() < 0.3 and not self.old_side_changes_rows():
            self.world.whimbrel("verify", *self.rnd.choice([[], ["--sample", "20"]]))

    def old_side_changes_rows(self):
        """Then `verify` finds a difference after the switch, as it should."""
        return any(column.by_trigger for pair in self.migration.pairs for column in pair.source.columns)

    def back(self):
        self.under_traffic("rollback", "--yes", stay_s=0.03)
        if self.oracle.new is not None:
            connection = self.world.connect()
            try:
                self.oracle.switch_to_old(connection)
            finally:
                connection.close()
        self.look("after the rollback")
        found = self.world.schemas()
        if found != self.schema_before:
            before = {text for one in self.schema_before for text in one}
            after = {text for one in found for text in one}
            raise Failed("sqlite_master is not as it was: gone %s, left %s" % (sorted(before - after)[:3], sorted(after - before)[:3]))
        if self.world.own_objects():
            raise Failed("left behind: %s" % self.world.own_objects()[:3])
        if self.world.beside() != self.beside_before:
            raise Failed("tables that do not move are not as they were: %s" % str(self.world.beside())[:300])

    def there_for_good(self):
        self.under_traffic("run", "--yes", stay_s=0)
        if self.oracle.new is None:
            self.oracle.switch_to_new()
        self.look("after the second switch")
        if self.rnd.random() < 0.2:
            self.world.killed(self.rnd, "finish", "--yes", "--no-backup")
        else:
            self.world.whimbrel("finish", "--yes", "--no-backup")
        if self.world.own_objects():
            raise Failed("left behind by finish: %s" % self.world.own_objects()[:3])
        self.look_at_the_end()

    def look_at_the_end(self):
        connection = self.world.connect()
        pair, plan = self.migration.pairs[0], self.migration.finish
        types = dict(connection.execute("SELECT name, type FROM main.sqlite_master"))
        if plan:
            if types.get(plan["rename_source_to"]) != "table" or types.get(pair.source.name) != ("view" if plan["view"] else None):
                raise Failed("after finish: %s" % types)
            if plan["view"]:
                connection.execute("SELECT * FROM %s" % quote(pair.source.name)).fetchall()
        self.oracle.compare_new(connection, self.world.new_prefix, "after finish")
        connection.close()


def live(seed, folder, binary):
    """None, or the reason why the life failed."""
    made = Life(seed, folder, binary)
    try:
        made.live()
    except (Failed, Different) as reason:
        return str(reason)
    finally:
        (made.world.folder / "statements.log").write_text("".join(made.world.statements), encoding="utf-8", errors="backslashreplace")
    return None


def clean(folder):
    shutil.rmtree(folder, ignore_errors=True)

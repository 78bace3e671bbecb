"""What every scenario needs: a database made anew, the binary, and a reader of its own.

Nothing here shares code with whimbrel; tables are compared by Python and SQLite alone.
"""
import json
import os
import pathlib
import shutil
import sqlite3
import subprocess
import sys
import tempfile

BINARY = os.environ["WHIMBREL"]
EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples"

OLD = """
CREATE TABLE "old orders" (id TEXT PRIMARY KEY, who TEXT NOT NULL, "select" TEXT, qty INTEGER, price REAL,
  note TEXT, "it's" TEXT);
CREATE TABLE switches (name TEXT PRIMARY KEY, state INTEGER NOT NULL);
"""
NEW = """
CREATE TABLE "new {orders}" (key TEXT PRIMARY KEY, customer TEXT NOT NULL, choice TEXT NOT NULL DEFAULT 'none',
  quantity INTEGER, price DECIMAL(10,2), doc JSON, label TEXT DEFAULT 'x', "q""uote" TEXT);
CREATE INDEX by_customer ON "new {orders}"(customer);
"""
PLAN = """
whimbrel: 1
migration: scenario
stores: {db: "sqlite:${SCENARIO_DB}"}
tables:
  - from: 'db/"old orders"'
    to: 'db/"new {orders}"'
    create: new.sql
    columns:
      key: id
      customer: who
      choice: {from: select, if_null: {const: none}}
      quantity: qty
      doc: {json: {note: note}, if_null: {json: {}}}
      label: {const: fresh}
      'q"uote': "it's"
    same: [price]
    rest: forbid
sync: SYNC
limits: {batch_size: 50}
backup: {of: [source], to: "file:backup"}
cutover:
  max_hold: 2s
  switches: [{row: db/switches, key: {name: use_new}, set: {state: 1}, create: true}]
finish: {after: 0s, rename_source_to: orders archive, view: true}
"""


class World:
    def __init__(self, rows=500, sync="dual", journal_mode="wal"):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="whimbrel-scenario-"))
        self.db = self.folder / "app.db"
        self.plan = self.folder / "plan.yaml"
        (self.folder / "new.sql").write_text(NEW)
        self.plan.write_text(PLAN.replace("SYNC", sync))
        with self.connect() as c:
            c.execute("PRAGMA journal_mode = " + journal_mode)
            c.executescript(OLD)
            c.executemany('INSERT INTO "old orders" VALUES (?,?,?,?,?,?,?)', (self.row(i) for i in range(rows)))

    def row(self, i):
        return ("k%05d'\"" % i, "who %d" % (i % 7), None if i % 3 == 0 else "c%d" % i, i * 10 ** (i % 12),
                i / 7 if i % 2 else float(i), None if i % 5 == 0 else 'n"%d\n' % i, None if i % 4 else "{%d}" % i)

    def connect(self):
        return sqlite3.connect(self.db, timeout=20)

    def environment(self):
        return dict(os.environ, SCENARIO_DB=str(self.db))

    def start(self, *arguments):
        return subprocess.Popen([BINARY, *arguments[:1], str(self.plan), *arguments[1:]], env=self.environment(),
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, *arguments, expect=0, timeout=300):
        process = self.start(*arguments)
        out, err = process.communicate(timeout=timeout)
        if expect is not None and process.returncode != expect:
            raise AssertionError("%s gave %d, not %d:\n%s%s" % (arguments, process.returncode, expect, out, err))
        return process.returncode, out, err

    def old_rows(self):
        with self.connect() as c:
            return {r[0]: r for r in c.execute('SELECT * FROM "old orders"')}

    def new_rows(self):
        with self.connect() as c:
            rows = c.execute('SELECT key, customer, choice, quantity, price, doc, label, "q""uote" FROM "new {orders}"')
            return {r[0]: r for r in rows}

    @staticmethod
    def expected(r, label="fresh"):
        doc = {} if r[5] is None else {"note": r[5]}
        return (r[0], r[1], "none" if r[2] is None else r[2], r[3], r[4], doc, label, r[6])

    def compare(self):
        old, new = self.old_rows(), self.new_rows()
        assert set(old) == set(new), "keys differ: %s" % sorted(set(old) ^ set(new))[:5]
        for key, row in new.items():
            found = row[:5] + (json.loads(row[5]),) + row[6:]
            want = self.expected(old[key], row[6])
            assert found == want, "%s: %r is not %r" % (key, found, want)

    def schema(self):
        with self.connect() as c:
            return sorted(r[0] or "" for r in c.execute("SELECT sql FROM sqlite_master"))

    def own_objects(self):
        with self.connect() as c:
            return [r[0] for r in c.execute("SELECT name FROM sqlite_master WHERE name LIKE 'whimbrel%'")]

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)


def main(*tests):
    """Runs each test; names what failed; the last line counts."""
    failed = 0
    for test in tests:
        try:
            test()
            print("ok      " + test.__name__)
        except Exception as failure:  # each test is reported, whatever went wrong
            failed += 1
            print("FAILED  %s: %s" % (test.__name__, failure))
        sys.stdout.flush()
    print("%d passed, %d failed" % (len(tests) - failed, failed))
    sys.exit(1 if failed else 0)

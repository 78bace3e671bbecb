"""`test` and `diff`: what they find, and that they leave no trace."""
import json
import sqlite3
import subprocess
import time

from refusals import changed, expect_words
from whimbrel import BINARY, World, main

SHOP = """
CREATE TABLE "our people" (id INTEGER PRIMARY KEY, name TEXT NOT NULL, boss INTEGER REFERENCES "our people"(id));
CREATE TABLE bought (nr INTEGER PRIMARY KEY, who INTEGER REFERENCES "our people", sum REAL);
CREATE TABLE parts (bought INTEGER NOT NULL REFERENCES bought(nr), at INTEGER, what TEXT, PRIMARY KEY (bought, at));
"""
SHOP_PLAN = """
whimbrel: 1
migration: scenario
stores: {db: "sqlite:${SCENARIO_DB}"}
tables:
  - {from: 'db/parts', to: db/parts2, create: parts2.sql}
  - {from: 'db/bought', to: db/bought2, create: bought2.sql, columns: {nr: nr, person: who, sum: sum}}
  - {from: 'db/"our people"', to: db/people2, create: people2.sql, columns: {id: id, name: "Dear {name}", boss: boss}}
sync: capture
"""


class Shop(World):
    """Three tables that refer to each other: a part to its order, an order to its buyer, a buyer to a boss."""

    def __init__(self):
        super().__init__(rows=1)
        for name, columns in [("parts2", "bought INTEGER NOT NULL, at INTEGER NOT NULL, what TEXT, PRIMARY KEY (bought, at)"),
                              ("bought2", "nr INTEGER PRIMARY KEY, person INTEGER, sum REAL"),
                              ("people2", "id INTEGER PRIMARY KEY, name TEXT, boss INTEGER")]:
            (self.folder / (name + ".sql")).write_text("CREATE TABLE %s (%s);\n" % (name, columns))
        self.plan.write_text(SHOP_PLAN)
        with self.connect() as c:
            c.executescript(SHOP)
            c.executemany('INSERT INTO "our people" VALUES (?,?,?)',
                          [(i, "n%d" % i, i + 1 if i < 5 else None) for i in range(1, 21)])
            c.executemany("INSERT INTO bought VALUES (?,?,?)", [(i, 1 + i % 20, i / 3) for i in range(1, 101)])
            c.executemany("INSERT INTO parts VALUES (?,?,?)", [(i, j, "x") for i in range(1, 101) for j in range(3)])


def everything(world):
    """Every row of every table, and the schema."""
    with world.connect() as c:
        schema = c.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name").fetchall()
        names = [r[1] for r in schema if r[0] == "table"]
        return schema, {n: sorted(c.execute('SELECT * FROM "%s"' % n), key=repr) for n in names}


def count(world, table):
    with world.connect() as c:
        return c.execute('SELECT count(*) FROM "%s"' % table).fetchone()[0]


def a_trial_moves_a_row_and_leaves_nothing():
    for sync in ["dual", "capture"]:
        world = World(rows=40, sync=sync)
        before = everything(world)
        for words in [(), ("--limit", "7"), ("--limit", "1000"), ("old orders", "--limit", "2")]:
            _, out, _ = world.run("test", "--yes", *words)
            rows = min(40, int(words[-1])) if words else 1
            expect_words(out, "%d row%s moved and compared" % (rows, "" if rows == 1 else "s"), "before", "after", "everything was removed again")
            assert everything(world) == before, "left behind after test %s" % (words,)
        _, out, _ = world.run("test", "--yes", "--json", "--redact")
        told = [json.loads(line) for line in out.splitlines()]
        assert "k0000" not in out and [t["tables"][0]["rows"] for t in told if "tables" in t] == [1], out
        _, _, err = world.run("test", "--yes", "no such", expect=3)
        expect_words(err, "the plan moves no table `no such`", "it moves old orders")
        world.run("test", expect=2)
        world.run("test", "--dry-run")
        assert everything(world) == before
        world.close()


def a_trial_follows_references():
    world = Shop()
    before = everything(world)
    _, out, _ = world.run("test", "--yes", "parts", "--keep")
    expect_words(out, "they stay until the next `test` or `run`", "references followed")
    with world.connect() as c:
        assert c.execute("SELECT * FROM parts2").fetchall() == [(1, 0, "x")]
        assert c.execute("SELECT nr, person FROM bought2").fetchall() == [(1, 2)]
        assert c.execute("SELECT * FROM people2 ORDER BY id").fetchall() == [
            (2, "Dear n2", 3), (3, "Dear n3", 4), (4, "Dear n4", 5), (5, "Dear n5", None)]
    world.run("test", "--yes", "our people")
    assert everything(world) == before
    world.close()


def kept_rows_of_a_trial_make_way_for_the_run():
    for sync in ["dual", "capture"]:
        world = World(rows=30, sync=sync)
        schema = world.schema()
        world.run("test", "--yes", "--limit", "5", "--keep")
        assert len(world.new_rows()) == 5
        world.run("run", "--yes")
        world.compare()
        _, _, err = world.run("test", "--yes", expect=3)
        expect_words(err, "the migration is under way: a trial comes before", "nothing was changed")
        world.run("rollback", "--yes")
        assert world.schema() == schema
        world.run("test", "--yes")  # the next attempt may be tried
        assert world.schema() == schema
        world.close()


def a_killed_trial_is_cleaned_up_by_the_next():
    world = World(rows=4000)
    before = everything(world)
    for pause in [0.02, 0.1, 0.2, 0.3]:
        process = world.start("test", "--yes", "--limit", "4000")
        time.sleep(pause)
        process.kill()
        process.communicate()
    world.run("test", "--yes")
    assert everything(world) == before
    process = world.start("test", "--yes", "--limit", "4000")
    time.sleep(0.15)
    process.kill()
    process.communicate()
    world.run("run", "--yes", "--until", "verify")
    world.compare()
    world.close()


def a_trial_leaves_rows_of_others_alone():
    world = World(rows=30)
    with world.connect() as c:
        c.executescript((world.folder / "new.sql").read_text())
        c.execute("INSERT INTO \"new {orders}\" (key, customer, label) VALUES ('theirs', 'x', 'mine')")
        c.execute("INSERT INTO \"new {orders}\" (key, customer, label) VALUES (?, 'y', 'mine')", (world.row(0)[0],))
    before = everything(world)
    _, out, _ = world.run("test", "--yes", "--limit", "3")
    expect_words(out, "2 rows moved and compared, 1 there already and not touched")
    assert everything(world) == before
    world.run("test", "--yes", "--limit", "3", "--keep")
    with world.connect() as c:
        c.execute("UPDATE \"new {orders}\" SET label = 'touched' WHERE key = ?", (world.row(2)[0],))
    _, out, _ = world.run("test", "--yes")
    expect_words(out, "1 row changed by others meanwhile and left as found")
    assert len(world.new_rows()) == 3
    world.close()


def kept_rows_are_not_forgotten_when_the_plan_changes():
    world = World(rows=20)
    before = everything(world)
    world.run("test", "--yes", "--limit", "5", "--keep")
    changed(world, "new {orders}\"'", "newer\"'")
    file = world.folder / "new.sql"
    file.write_text(file.read_text().replace("new {orders}", "newer").replace("by_customer", "by_c"))
    _, out, err = world.run("test", "--yes", expect=None)
    assert everything(world) == before or "new {orders}" in out + err, out + err
    world.close()


def a_target_trigger_does_not_keep_the_rows_of_a_trial():
    world = World(rows=20)
    with world.connect() as c:
        c.executescript((world.folder / "new.sql").read_text() + "CREATE TRIGGER t AFTER INSERT ON \"new {orders}\" BEGIN "
                        "UPDATE \"new {orders}\" SET label = 'changed' WHERE key = NEW.key; END;")
    world.run("test", "--yes", "--limit", "3", expect=None)
    assert not world.new_rows(), "rows of the trial stay"
    world.close()


def diff(*arguments, expect=0):
    done = subprocess.run([BINARY, "diff", *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == expect, (arguments, done.returncode, done.stdout, done.stderr)
    return done.stdout + done.stderr


class Pair:
    """Two files with a table each."""

    def __init__(self, left, right):
        self.world = World(rows=0)
        self.left, self.right = self.world.folder / "left.db", self.world.folder / "right.db"
        for path, script in [(self.left, left), (self.right, right)]:
            c = sqlite3.connect(path)
            c.executescript(script)
            c.close()

    def diff(self, *more, left="a", right="b", expect=0):
        contents = [p.read_bytes() for p in (self.left, self.right)]
        out = diff("sqlite:%s/%s" % (self.left, left), "sqlite:%s/%s" % (self.right, right), *more, expect=expect)
        assert contents == [p.read_bytes() for p in (self.left, self.right)], "diff wrote"
        return out


A = "CREATE TABLE a (id INTEGER PRIMARY KEY, name TEXT, n INTEGER);"
ROWS = "INSERT INTO %s VALUES (1,'x',1),(2,NULL,2),(3,'z',NULL);"


def diff_tells_what_differs():
    pair = Pair(A + ROWS % "a", A.replace(" a ", " b ") + ROWS % "b")
    expect_words(pair.diff(), "equal: 3 rows left, 3 right; 0 differ")
    with sqlite3.connect(pair.right) as c:
        c.execute("DELETE FROM b WHERE id = 1")
        c.execute("UPDATE b SET name = '', n = 7 WHERE id = 2")
        c.execute("INSERT INTO b VALUES (9, 'nine', 9)")
    out = pair.diff(expect=1)
    expect_words(out, "key 1: only left", "key 2: name, n", "key 9: only right",
                 "different: 3 rows left, 3 right; 1 differs, 1 only left, 1 only right")
    lines = [json.loads(line) for line in pair.diff("--json", expect=1).splitlines()]
    assert [(d["differing"], len(d["differences"])) for d in lines if "equal" in d] == [(1, 3)], lines
    assert lines[-1]["result"] == "different", lines
    assert "nine" not in pair.diff("--redact", expect=1) and "key" not in pair.diff("--redact", expect=1)
    with sqlite3.connect(pair.right) as c:
        c.executescript("DELETE FROM b WHERE id = 9; INSERT INTO b VALUES (1, 'another', 1);")
    pair.diff("--columns", "id", expect=0)
    expect_words(pair.diff("--columns", "id,N", expect=1), "key 2: n")
    expect_words(pair.diff("--columns", "nam", expect=3), "neither table has a column `nam`", "did you mean `name`?")
    pair.world.close()


def diff_of_other_shapes():
    pair = Pair(A + ROWS % "a", "CREATE TABLE b (N REAL, NAME TEXT, ID INTEGER PRIMARY KEY, more TEXT);"
                "INSERT INTO b VALUES (1.0,'x',1,'m'),(2.0,NULL,2,'m'),(NULL,'z',3,'m');")
    expect_words(pair.diff(expect=1), "columns only right: more", "0 differ")
    pair.diff("--columns", "id,name,n")
    with sqlite3.connect(pair.right) as c:
        c.execute("UPDATE b SET n = 1.5 WHERE id = 1")
    expect_words(pair.diff("--columns", "id,name,n", expect=1), "key 1: n")
    pair.world.close()
    pair = Pair("CREATE TABLE \"odd /'%{t}\" (\"a b\" TEXT PRIMARY KEY, v); INSERT INTO \"odd /'%{t}\" VALUES ('k', x'00');",
                "CREATE TABLE b (v, \"A B\" TEXT); INSERT INTO b VALUES (x'00', 'k');")
    pair.diff(left="odd%20%2F%27%25%7Bt%7D")
    pair.diff(left="nothing", expect=3)
    pair.world.close()
    pair = Pair("CREATE TABLE a (x TEXT); INSERT INTO a VALUES (1);", "CREATE TABLE b (x TEXT);")
    expect_words(pair.diff(expect=3), "cannot be told apart", "primary key")
    diff("sqlite:%s" % (pair.world.folder / "none.db/t"), "sqlite:%s/a" % pair.left, expect=3)
    assert not (pair.world.folder / "none.db").exists(), "diff made a database"
    diff("nonsense", "sqlite:%s/a" % pair.left, expect=2)
    pair.world.close()


TESTS = [a_trial_moves_a_row_and_leaves_nothing, a_trial_follows_references, kept_rows_of_a_trial_make_way_for_the_run,
         a_killed_trial_is_cleaned_up_by_the_next, diff_tells_what_differs, diff_of_other_shapes,
         a_trial_leaves_rows_of_others_alone,
         a_target_trigger_does_not_keep_the_rows_of_a_trial,
         kept_rows_are_not_forgotten_when_the_plan_changes]

if __name__ == "__main__":
    main(*TESTS)

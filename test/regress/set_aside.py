"""Rows that are set aside: they stay where they are, and what is told of them is how many there are now."""
import json
import sqlite3
import subprocess
import sys

from pair import BINARY, PLAN_ERROR, REFUSED, Copying, Pair, are, changed, main

OLD = "CREATE TABLE o (id INTEGER PRIMARY KEY, name TEXT, n TEXT); INSERT INTO o VALUES (1, 'one', '1'), (2, 'two', '2'), (3, 'Carol', 'many');"
NEW = "CREATE TABLE n (id INTEGER PRIMARY KEY, name TEXT, n INTEGER);"
COLUMNS = "{id: id, name: name, n: {cast: n, to: integer}}\n    on_error: reject"
QUESTIONS = """queries: {q: {old: "SELECT count(*) FROM o WHERE id = :i", new: "SELECT count(*) FROM n WHERE id = :i", with: {i: [1, 2]}}}
criteria: {lost: 0}
"""


def told(pair):
    status = json.loads(pair.run("status", "--json").splitlines()[0])
    return status["rejected"]


def a_row_that_stayed_is_not_written_over_by_one_that_got_its_key():
    for two in (False, True):
        with Pair(OLD, NEW, columns=COLUMNS, two=two) as pair:
            before = pair.old()
            pair.run("run", "--yes")
            side = "far" if two else "app"
            pair.ask("INSERT INTO n (id, name, n) VALUES (3, 'Dave', 7)", side)
            pair.ask("UPDATE n SET name = 'new' WHERE id = 1", side)
            pair.run("verify")
            printed = pair.run("rollback", "--yes")
            are(pair.old(), [(1, "new", "1")] + before[1:], "two stores" if two else "one store")
            assert "1 row" in printed and (pair.state / "kept-by-rollback.jsonl.zst").exists(), printed
            pair.run("run", "--yes")
            are(pair.ask("SELECT * FROM n WHERE id = 3", side), [(3, "Dave", 7)], "with the next switch it is there again")
            pair.run("rollback", "--yes")
            are(pair.old(), [(1, "new", "1")] + before[1:], "and Carol is")


def what_comes_after_all_is_set_aside_no_more():
    with Pair(OLD.replace("'many');", "'many'), (4, 'four', '4'), (5, 'five', 'x');"), NEW, columns=COLUMNS) as pair:
        pair.run("run", "--yes", "--until", "follow")
        assert told(pair) == 2
        for _ in range(3):  # again and again it is one row
            pair.ask("UPDATE o SET n = n || 'y' WHERE id = 3")
            pair.run("run", "--yes", "--until", "follow")
        assert told(pair) == 2, told(pair)
        for sql in ("UPDATE o SET n = 'bad' WHERE id = 1", "UPDATE o SET n = '33' WHERE id = 3", "DELETE FROM o WHERE id = 5", "INSERT INTO o VALUES (6, 'six', 'no')"):
            pair.ask(sql)
        pair.run("run", "--yes", "--until", "verify")
        are(pair.new(), [(2, "two", 2), (3, "Carol", 33), (4, "four", 4)], "the new side")
        assert told(pair) == 2, told(pair)  # 1 and 6
        assert "2 set aside" in pair.run("verify"), pair.run("verify")
        lines = [json.loads(line) for line in (pair.state / "rejected.jsonl").read_text().splitlines()]
        assert sum("set aside no more" in line["reason"] for line in lines) == 2, lines


def a_key_that_cannot_be_converted_counts_no_more_when_it_is_gone():
    old = "CREATE TABLE o (id TEXT PRIMARY KEY NOT NULL, name TEXT); INSERT INTO o VALUES ('1', 'one'), ('bad', 'two'), ('worse', 'three');"
    with Pair(old, "CREATE TABLE n (id INTEGER PRIMARY KEY NOT NULL, name TEXT);", columns="{id: {cast: id, to: integer}, name: name}\n    on_error: reject") as pair:
        pair.run("run", "--yes", "--until", "follow")
        assert told(pair) == 2
        pair.ask("UPDATE o SET id = '2' WHERE id = 'bad'")
        pair.ask("INSERT INTO o VALUES ('x', 'came'), ('y', 'stays')")
        pair.ask("DELETE FROM o WHERE id IN ('worse', 'x')")
        pair.run("run", "--yes", "--until", "verify")
        are(pair.new(), [(1, "one"), (2, "two")], "the new side")
        assert told(pair) == 1, told(pair)  # y


def a_journal_of_before_knows_who_was_set_aside():
    with Pair(OLD, NEW, columns=COLUMNS) as pair:
        before = pair.old()
        pair.run("run", "--yes", "--until", "verify")
        journal = sqlite3.connect(pair.state / "journal.db", isolation_level=None)
        journal.execute("DROP TABLE set_aside")
        journal.close()
        pair.run("run", "--yes")
        pair.ask("INSERT INTO n (id, name, n) VALUES (3, 'Dave', 7)")
        pair.run("rollback", "--yes")
        are(pair.old(), before, "the old side")


def a_criterion_counts_them():
    with Pair(OLD, NEW, columns=COLUMNS) as pair:
        pair.plan.write_text(pair.plan.read_text() + QUESTIONS)
        before, after = str(pair.folder / "before.json"), str(pair.folder / "after.json")
        pair.run("measure", "--duration", "0.2", "--output", before)
        pair.run("run", "--yes")
        pair.run("measure", "--duration", "0.2", "--output", after)
        done = subprocess.run([BINARY, "compare", before, after], capture_output=True, text=True)
        assert done.returncode != 0 and "rows that differ or were set aside; full verification of 2 rows" in done.stdout, (done.returncode, done.stdout)


def a_plan_that_cannot_be_read_has_no_runbook():
    with Pair(OLD, NEW, columns=COLUMNS) as pair:
        changed(pair, '"sqlite:app.db"', '"sqlite:${DB}"')
        pair.plan.write_text("vars: {DB: {default: app.db}}\n" + pair.plan.read_text())
        pair.run("run", "--yes", "--until", "verify")
        changed(pair, "sync: capture", "sync: {capture")
        for words in (("--runbook",), ("--html", str(pair.folder / "x.html"))):
            pair.run("report", *words, expect=PLAN_ERROR)


def a_chain_of_references_is_followed_to_its_end():
    rows = 60_000
    plan = """whimbrel: 1
migration: chain
stores: {dev: "sqlite:dev.db", prod: "sqlite:prod.db"}
orphans: delete
references: {n: {nx: n}, head: {n: n}}
tables: [{from: "dev/{name}", to: "prod/{name}", create: exists, names: ["*"]}]
sync: none
"""
    with Copying() as copy:
        (copy.folder / "plan.yaml").write_text(plan)
        for name in ("dev", "prod"):
            copy.ask(name, "CREATE TABLE n (id INTEGER PRIMARY KEY, nx INTEGER)")
            copy.ask(name, "CREATE TABLE head (id INTEGER PRIMARY KEY, n INTEGER)")
        copy.ask("dev", "INSERT INTO n WITH RECURSIVE i (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < %d) SELECT n, n + 1 FROM i" % rows)
        copy.ask("dev", "INSERT INTO head VALUES (1, 1)")
        copy.run("run", "--yes")
        assert copy.ask("prod", "SELECT (SELECT count(*) FROM n) + (SELECT count(*) FROM head)") == [(0,)]


def a_reference_that_is_spelled_otherwise_is_named():
    plan = """whimbrel: 1
migration: spelled
stores: {dev: "sqlite:dev.db", prod: "sqlite:prod.db"}
ids: {column: id, format: short, from: [name, id, prod]}
orphans: delete
tables: [{from: "dev/{name}", to: "prod/{name}", create: exists, names: ["*"]}]
sync: none
"""
    with Copying() as copy:
        (copy.folder / "plan.yaml").write_text(plan)
        for name, kind in (("dev", "INTEGER"), ("prod", "TEXT")):
            copy.ask(name, "CREATE TABLE p (id TEXT PRIMARY KEY COLLATE NOCASE, n TEXT)")
            copy.ask(name, "CREATE TABLE c (id %s PRIMARY KEY, p TEXT REFERENCES p (id))" % kind)
        copy.ask("dev", "INSERT INTO p VALUES ('Abc', 'x')")
        copy.ask("dev", "INSERT INTO c VALUES (1, 'ABC'), (2, 'Abc')")
        printed = " ".join(copy.run("analyze", expect=REFUSED).split())
        assert "a reference is spelled otherwise than the key that it leads to, like 'ABC' for the key 'Abc' of p" in printed, printed


def good_rows_that_change_places_are_no_violation():
    """A writer moves unique values to higher keys all the time; each moment has every value once."""
    with Pair("PRAGMA journal_mode = wal; CREATE TABLE o (id INTEGER PRIMARY KEY, u INTEGER NOT NULL UNIQUE); INSERT INTO o WITH RECURSIVE i (n) AS "
              "(SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < 20000) SELECT n, n FROM i;",
              "CREATE TABLE n (id INTEGER PRIMARY KEY, u INTEGER NOT NULL UNIQUE);") as pair:
        script = ("import sqlite3, sys, time\nc = sqlite3.connect(sys.argv[1], timeout=20, isolation_level=None)\nend = time.time() + 4\ni = 0\n"
                  "while time.time() < end:\n    i = (i * 7919 + 1) % 20000 + 1\n    c.execute('INSERT OR REPLACE INTO o (u) VALUES (?)', (i,))\n    time.sleep(0.0005)\n")
        writer = subprocess.Popen([sys.executable, "-c", script, str(pair.folder / "app.db")])
        try:
            pair.run("run", "--yes", "--until", "follow")
        finally:
            writer.wait()
        pair.run("run", "--yes", "--until", "verify")


TESTS = [a_row_that_stayed_is_not_written_over_by_one_that_got_its_key, what_comes_after_all_is_set_aside_no_more,
         a_key_that_cannot_be_converted_counts_no_more_when_it_is_gone, a_journal_of_before_knows_who_was_set_aside, a_criterion_counts_them,
         a_plan_that_cannot_be_read_has_no_runbook, a_chain_of_references_is_followed_to_its_end, a_reference_that_is_spelled_otherwise_is_named,
         good_rows_that_change_places_are_no_violation]

if __name__ == "__main__":
    main(*TESTS)

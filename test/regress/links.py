"""Triggers of links: what an application may write it can still write, and no write is lost by them."""
import sqlite3
import time

from pair import Pair, are, main

PLAIN = "CREATE TABLE {} (id INTEGER PRIMARY KEY, v {});"
PLACES = "CREATE TABLE {} (id INTEGER PRIMARY KEY, list INT, pos INT, t TEXT, UNIQUE (list, pos));"


def fails(pair, sql, foreign_keys=False):
    try:
        pair.ask(sql, foreign_keys=foreign_keys)
    except sqlite3.Error as failure:
        return str(failure)
    raise AssertionError("it should fail: " + sql)


def columns_of_one_constraint_change_together():
    rows = "INSERT INTO o VALUES (1, 1, 1, 'a'), (2, 1, 2, 'b'), (3, 2, 1, 'c');"
    for until, table in (("follow", "o"), ("watch", "n")):
        with Pair(PLACES.format("o") + rows, PLACES.format("n"), "dual") as pair:
            pair.run("run", "--yes", "--until", until)
            pair.ask("UPDATE %s SET list = 2, pos = 2 WHERE id = 1" % table)
            pair.ask("UPDATE OR REPLACE %s SET list = 2, pos = 3 WHERE id = 1" % table)
            are(pair.new(), [(1, 2, 3, "a"), (2, 1, 2, "b"), (3, 2, 1, "c")])
            pair.run("rollback", "--yes")
            are(pair.old(), [(1, 2, 3, "a"), (2, 1, 2, "b"), (3, 2, 1, "c")])
    check = "CREATE TABLE {} (id INTEGER PRIMARY KEY, a INT, b INT{});"
    with Pair(check.format("o", ", CHECK (a <= b)") + "INSERT INTO o VALUES (1, 30, 40);", check.format("n", ""), "dual") as pair:
        pair.run("run", "--yes")
        pair.ask("UPDATE n SET a = 1, b = 2")
        pair.ask("UPDATE n SET a = 100, b = 200")
        are(pair.old(), [(1, 100, 200)])


def a_statement_that_fails_half_way_does_not_stop_the_links_for_good():
    trigger = ("CREATE TRIGGER t AFTER INSERT ON o WHEN NEW.v < 0 BEGIN SELECT RAISE (FAIL, 'negative'); END;",
               "INSERT INTO n VALUES (2, -2)", (2, -2), [(2, -2)])
    for ddl, sql, left, held in (trigger, ("", "INSERT OR FAIL INTO n VALUES (2, NULL)", (2, None), [])):
        old = PLAIN.format("o", "INT" if ddl else "INT NOT NULL")
        with Pair(old + "INSERT INTO o VALUES (1, 5);" + ddl, PLAIN.format("n", "INT"), "dual") as pair:
            pair.run("run", "--yes")
            fails(pair, sql)
            pair.ask("INSERT INTO n VALUES (3, 3)")
            pair.ask("UPDATE n SET v = 7 WHERE id = 1")
            are(pair.new(), [(1, 7), left, (3, 3)])
            pair.run("rollback", "--yes")
            are(pair.old(), sorted([(1, 7), (3, 3)] + held))
            pair.run("run", "--yes")
            are(pair.new(), [(1, 7), left, (3, 3)], "what the old side could not hold")


def a_promise_that_only_the_old_side_makes_costs_no_row():
    unique = "CREATE TABLE {} (id INTEGER PRIMARY KEY, e TEXT{}, x TEXT);"
    for old in (unique.format("o", " UNIQUE"), unique.format("o", "") + "CREATE UNIQUE INDEX u ON o (lower(e));"):
        with Pair(old + "INSERT INTO o VALUES (1, 'a', 'first'), (3, 'c', 'third');", unique.format("n", ""), "dual") as pair:
            said = pair.run("analyze")
            assert "that breaks it fails until the migration is finished" in said, said
            pair.run("run", "--yes")
            pair.ask("INSERT OR REPLACE INTO n VALUES (2, 'a', 'second')")
            new = pair.new()
            are(len(new), 3)
            pair.run("rollback", "--yes")
            pair.run("run", "--yes")
            are(pair.new(), new, "after the next attempt")


def references_that_act_otherwise_are_told_before():
    parent = "CREATE TABLE p (id INTEGER PRIMARY KEY, code INT UNIQUE); INSERT INTO p VALUES (1, 1);"
    table = "CREATE TABLE {} (id INTEGER PRIMARY KEY, p INT {});"
    plain = "REFERENCES p (id)"
    for old, new in ((plain + " ON DELETE SET NULL", plain + " ON DELETE CASCADE"),
                     (plain + " ON DELETE CASCADE", plain + " ON DELETE RESTRICT"),
                     (plain + " DEFERRABLE INITIALLY DEFERRED", plain), (plain, "REFERENCES p (code)")):
        with Pair(parent + table.format("o", old), table.format("n", new), "dual") as pair:
            pair.refused("n refers to p otherwise than o does")


def a_key_that_leads_nowhere_is_on_the_new_side_only():
    for declared in ("INTEGER PRIMARY KEY", "INT PRIMARY KEY NOT NULL"):
        with Pair("CREATE TABLE o (id %s, v TEXT); INSERT INTO o VALUES (1, 'a'), (7, 'seven');" % declared,
                  "CREATE TABLE n (id TEXT PRIMARY KEY NOT NULL, v TEXT);", "dual", columns='{id: "K#{id}", v: v}') as pair:
            pair.run("run", "--yes")
            pair.ask("INSERT INTO n VALUES ('nonsense', 'x'), ('K#007', 'y'), ('K#8', 'eight'), ('K#9', 'nine')")
            pair.ask("UPDATE n SET id = 'K#09' WHERE id = 'K#9'")
            pair.ask("UPDATE n SET id = 'K#10' WHERE id = 'K#09'")
            pair.ask("UPDATE n SET v = 'z' WHERE id = 'K#007'")
            are(pair.old(), [(1, "a"), (7, "seven"), (8, "eight"), (10, "nine")])
            pair.run("verify")
            new = pair.new()
            pair.run("rollback", "--yes")
            are(pair.old(), [(1, "a"), (7, "seven"), (8, "eight"), (10, "nine")])
            pair.run("run", "--yes")
            are(pair.new(), new, "after the next attempt")
            pair.ask("DELETE FROM n WHERE id = 'K#007'")
            are(len(pair.old()), 4)


def a_null_in_a_key_stops_the_way_back_before_anything_is_switched():
    with Pair("CREATE TABLE o (id TEXT PRIMARY KEY, v TEXT); INSERT INTO o VALUES ('1', 'a');",
              "CREATE TABLE n (id TEXT PRIMARY KEY, v TEXT);") as pair:
        pair.run("run", "--yes")
        pair.ask("INSERT INTO n VALUES (NULL, 'x'), ('2', 'b')")
        pair.run("run", "--yes")
        printed = pair.run("rollback", "--yes", expect=3)
        assert "1 row of db/n with a null in the key" in printed, printed
        are(pair.ask("SELECT state FROM flags"), [(1,)])
        pair.ask("UPDATE n SET id = '3' WHERE id IS NULL")
        pair.run("rollback", "--yes")
        are(pair.old(), [("1", "a"), ("2", "b"), ("3", "x")])


def a_write_that_the_new_table_could_refuse_is_told_before():
    with Pair(PLAIN.format("o", "TEXT"), "CREATE TABLE n (id INTEGER PRIMARY KEY, v TEXT, "
              "g TEXT GENERATED ALWAYS AS (nullif(v, '')) STORED NOT NULL);", "dual") as pair:
        pair.refused("n.g is computed and NOT NULL")
    with Pair("CREATE TABLE o (id INT PRIMARY KEY NOT NULL, v TEXT);", "CREATE TABLE n (id REAL PRIMARY KEY NOT NULL, v TEXT);",
              "dual") as pair:
        pair.refused("whole numbers beyond 2^53 become one")
    with Pair(PLAIN.format("o", "TEXT") + "CREATE TABLE log (t TEXT CHECK (length(t) < 3)); " + PLAIN.format("n", "TEXT") +
              "CREATE TRIGGER noted AFTER INSERT ON n BEGIN INSERT INTO log VALUES (NEW.v); END;", PLAIN.format("n", "TEXT"),
              "dual") as pair:
        pair.refused("the trigger noted on n writes to log")


def two_rows_that_swap_a_unique_value_do_not_stop_the_trial_of_one_row():
    table = "CREATE TABLE {} (id INTEGER PRIMARY KEY, u TEXT UNIQUE);"
    swap = "BEGIN IMMEDIATE; UPDATE o SET u = 'spare' WHERE id = 1; UPDATE o SET u = {1} WHERE id = 2; UPDATE o SET u = {0} WHERE id = 1; COMMIT;"
    for _ in range(3):
        with Pair(table.format("o") + "INSERT INTO o VALUES (1, 'a'), (2, 'b');", table.format("n"), "dual") as pair:
            process = pair.start("run", "--yes", "--quiet")
            connection = pair.connect()
            while process.poll() is None:
                for values in (("'b'", "'a'"), ("'a'", "'b'")):
                    connection.executescript(swap.format(*values))
                    time.sleep(0.003)
            connection.close()
            are((process.returncode, process.communicate()[1]), (0, ""))


TESTS = [columns_of_one_constraint_change_together, a_statement_that_fails_half_way_does_not_stop_the_links_for_good,
         a_promise_that_only_the_old_side_makes_costs_no_row, references_that_act_otherwise_are_told_before,
         a_key_that_leads_nowhere_is_on_the_new_side_only, a_null_in_a_key_stops_the_way_back_before_anything_is_switched,
         a_write_that_the_new_table_could_refuse_is_told_before,
         two_rows_that_swap_a_unique_value_do_not_stop_the_trial_of_one_row]

if __name__ == "__main__":
    main(*TESTS)

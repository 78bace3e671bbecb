"""The way back: what the new application wrote is on the old side, or is kept for the next attempt."""

import json

from pair import Pair, are, changed, expect_words, main

ONE_VALUE = "CREATE TABLE {} (id INTEGER PRIMARY KEY, a {});"
PLAIN = "CREATE TABLE {} (id INTEGER PRIMARY KEY, v TEXT);"
TWO_ROWS = PLAIN.format("o") + "INSERT INTO o VALUES (1, 'a'), (2, 'b');"


def back_and_there_again(pair, wanted_back):
    """After the rollback the old table is as told; the next attempt has all of the new one again."""
    new = pair.new()
    pair.run("rollback", "--yes")
    are(pair.old(), wanted_back, "after the rollback")
    pair.run("run", "--yes")
    are(pair.new(), new, "after the next attempt")


def a_value_that_the_old_column_cannot_hold_does_not_block_the_rollback():
    epoch = "{id: id, a: {time: a, from: iso8601, as: epoch_ms}}"
    for old, new, first, columns, value in (
            ("REAL", "INTEGER", "1.0", "", "9007199254740993"), ("INTEGER", "TEXT", "1", "", "'012'"),
            ("REAL", "TEXT", "1.0", "", "'1.50'"), ("TEXT", "INTEGER", "'2026-11-20T20:15:03.250Z'", epoch, "-5")):
        with Pair(ONE_VALUE.format("o", old) + "INSERT INTO o VALUES (1, %s);" % first, ONE_VALUE.format("n", new),
                  columns=columns) as pair:
            pair.run("run", "--yes")
            before = pair.old()
            pair.ask("INSERT INTO n VALUES (3, %s)" % value)
            back_and_there_again(pair, before + [(3, None)])


def what_the_old_column_cannot_hold_is_kept_after_finish_as_well():
    for sync in ("capture", "dual"):
        for late in (False, True):
            with Pair(ONE_VALUE.format("o", "INTEGER") + "INSERT INTO o VALUES (1, 12), (2, 13);", ONE_VALUE.format("n", "TEXT"), sync) as pair:
                pair.run("run", "--yes")
                if not late:
                    pair.ask("UPDATE n SET a = '014' WHERE id = 1")
                pair.run("finish", "--yes")
                pair.ask("UPDATE n SET a = '014' WHERE id = 1")
                pair.ask("INSERT INTO n VALUES (3, '15')")
                told = pair.run("rollback", "--yes")
                assert "1 row of the new side had what the old one has no place for" in told, told
                are(pair.old()[1:], [(2, 13), (3, 15)], sync)


def a_row_that_the_old_constraints_refuse_does_not_block_the_rollback():
    for old, value in (("TEXT CHECK (length(a) < 5)", "'too long'"), ("TEXT UNIQUE", "'x'"), ("TEXT NOT NULL", "NULL")):
        with Pair(ONE_VALUE.format("o", old) + "INSERT INTO o VALUES (1, 'x');", ONE_VALUE.format("n", "TEXT")) as pair:
            pair.run("run", "--yes")
            pair.ask("INSERT INTO n VALUES (2, 'fits'), (3, %s)" % value)
            back_and_there_again(pair, [(1, "x"), (2, "fits")])


def a_row_that_came_since_is_not_written_over_by_one_that_was_kept():
    with Pair(ONE_VALUE.format("o", "INT CHECK (a < 10)") + "INSERT INTO o VALUES (1, 1);", ONE_VALUE.format("n", "INT")) as pair:
        pair.run("run", "--yes")
        pair.ask("INSERT INTO n VALUES (2, 100), (3, 300)")
        pair.run("rollback", "--yes")
        are(pair.old(), [(1, 1)])
        pair.ask("INSERT INTO o VALUES (2, 5)")
        pair.run("run", "--yes")
        are(pair.new(), [(1, 1), (2, 5), (3, 300)])


def a_constraint_of_the_old_table_removes_no_row_in_silence():
    for constraint, value in (("UNIQUE ON CONFLICT REPLACE", "'a'"), ("NOT NULL ON CONFLICT IGNORE", "NULL")):
        with Pair(ONE_VALUE.format("o", "TEXT " + constraint) + "INSERT INTO o VALUES (1, 'a'), (2, 'b');",
                  ONE_VALUE.format("n", "TEXT")) as pair:
            pair.run("run", "--yes")
            pair.ask("INSERT INTO n VALUES (5, %s)" % value)
            back_and_there_again(pair, [(1, "a"), (2, "b")])


def a_key_that_nothing_leads_back_from_leaves_no_rows_with_null_keys():
    with Pair("CREATE TABLE o (c TEXT PRIMARY KEY, v TEXT); INSERT INTO o VALUES ('a', '1');",
              "CREATE TABLE n (c TEXT PRIMARY KEY NOT NULL, v TEXT);", columns="{c: 'K#{c}', v: v}") as pair:
        pair.run("run", "--yes")
        pair.ask("INSERT INTO n VALUES ('no prefix', 'x'), ('K#b', '2')")
        back_and_there_again(pair, [("a", "1"), ("b", "2")])


def an_update_that_a_trigger_of_the_old_table_ignores_is_kept():
    with Pair(TWO_ROWS + "CREATE TRIGGER t BEFORE UPDATE ON o WHEN NEW.v = 'spam' BEGIN SELECT RAISE(IGNORE); END;",
              PLAIN.format("n")) as pair:
        pair.run("run", "--yes")
        pair.ask("UPDATE n SET v = 'spam' WHERE id = 1")
        pair.ask("UPDATE n SET v = 'ham' WHERE id = 2")
        back_and_there_again(pair, [(1, "a"), (2, "ham")])


def an_insert_that_a_trigger_of_the_old_table_ignores_is_kept():
    with Pair(TWO_ROWS + "CREATE TRIGGER t BEFORE INSERT ON o WHEN NEW.v = 'spam' BEGIN SELECT RAISE(IGNORE); END;",
              PLAIN.format("n")) as pair:
        pair.run("run", "--yes")
        pair.ask("INSERT INTO n VALUES (3, 'spam'), (4, 'ham')")
        back_and_there_again(pair, [(1, "a"), (2, "b"), (4, "ham")])


def a_table_that_only_the_application_can_write_is_refused_before():
    with Pair(TWO_ROWS, PLAIN.format("n")) as pair:
        connection = pair.connect()
        connection.create_collation("german", lambda a, b: (a > b) - (a < b))
        connection.execute("CREATE INDEX by_v ON o (v COLLATE german)")
        connection.close()
        pair.refused("rows of o cannot be written from here", "german", "drop it until the migration is finished")
    with Pair(TWO_ROWS + "CREATE TRIGGER t AFTER UPDATE ON o BEGIN SELECT notify(NEW.id); END;", PLAIN.format("n")) as pair:
        pair.refused("rows of o cannot be written from here", "notify", "drop it until the migration is finished")


def a_target_that_was_there_is_left_as_it_was(target):
    for sync in ("dual", "capture"):
        with Pair(TWO_ROWS + target, {}, sync, tables="  - {from: db/o, to: db/n, create: exists}") as pair:
            before = pair.everything()
            pair.run("run", "--yes", "--until", "verify")
            pair.run("rollback", "--yes")
            pair.is_as(before, sync)


def emptying_a_target_that_was_there_fires_no_trigger_of_it():
    a_target_that_was_there_is_left_as_it_was(PLAIN.format("n") + """
        CREATE TABLE stock (id INTEGER PRIMARY KEY); INSERT INTO stock VALUES (1), (2), (3);
        CREATE TRIGGER gone AFTER DELETE ON n BEGIN DELETE FROM stock WHERE id = OLD.id; END;""")


def a_target_that_was_there_gives_the_numbers_that_it_would_have_given():
    a_target_that_was_there_is_left_as_it_was("CREATE TABLE n (id INTEGER PRIMARY KEY AUTOINCREMENT, v TEXT);")


FAMILY = """CREATE TABLE p (id INTEGER PRIMARY KEY, v TEXT);
CREATE TABLE c (id INTEGER PRIMARY KEY, p_id INTEGER REFERENCES p (id) ON DELETE CASCADE, w TEXT);
INSERT INTO p VALUES (1, 'a'), (2, 'b'); INSERT INTO c VALUES (10, 1, 'x'), (20, 2, 'y');"""


def family():
    pair = Pair(FAMILY, {"p2.sql": "CREATE TABLE p2 (id INTEGER PRIMARY KEY, v TEXT);",
                         "c2.sql": "CREATE TABLE c2 (id INTEGER PRIMARY KEY, p_id INTEGER, w TEXT);"}, "dual",
                tables="  - {from: db/p, to: db/p2, create: p2.sql}\n  - {from: db/c, to: db/c2, create: c2.sql}")
    changed(pair, ", rename_source_to: o_archive", "")
    return pair


def a_cascade_that_only_the_old_side_has_is_told_before():
    with family() as pair:
        expect_words(pair.run("analyze"), "c refers to p with ON DELETE CASCADE", "the new side keeps them",
                     "declare the same for the new tables")


def a_cascade_of_the_old_side_takes_no_row_that_the_new_side_has():
    with family() as pair:
        pair.run("run", "--yes")
        pair.ask("DELETE FROM p2 WHERE id = 2", foreign_keys=True)
        want = pair.ask("SELECT * FROM c2")
        pair.run("rollback", "--yes")
        are(pair.ask("SELECT * FROM c"), want)


def a_rollback_leaves_no_row_that_refers_to_nothing():
    with Pair(TWO_ROWS + "CREATE TABLE c (id INTEGER PRIMARY KEY, o_id INTEGER REFERENCES o (id) ON DELETE CASCADE);"
              "INSERT INTO c VALUES (10, 1), (20, 2);", PLAIN.format("n")) as pair:
        pair.run("run", "--yes")
        pair.ask("DELETE FROM n WHERE id = 1", foreign_keys=True)
        printed = pair.run("rollback", "--yes")
        assert not pair.ask("PRAGMA foreign_key_check") or "refer" in printed, printed


def a_trigger_that_comes_later_does_not_make_the_link_carry_old_values():
    table = "CREATE TABLE {} (id INTEGER PRIMARY KEY, v TEXT, norm TEXT);"
    with Pair(table.format("o") + "INSERT INTO o VALUES (1, 'A', 'a');", table.format("n"), "dual") as pair:
        pair.run("run", "--yes")
        pair.ask("CREATE TRIGGER later AFTER INSERT ON n BEGIN UPDATE n SET norm = lower(NEW.v) WHERE id = NEW.id; END")
        pair.ask("INSERT INTO n (id, v) VALUES (4, 'D')")
        want = pair.new()
        pair.run("rollback", "--yes")
        are(pair.old(), want)


def a_giant_row_takes_no_more_than_three_times_its_size():
    """128 MB and three times the row of 100 MB are promised."""
    with Pair("CREATE TABLE o (id INTEGER PRIMARY KEY, v BLOB); INSERT INTO o VALUES (1, 'a');",
              "CREATE TABLE n (id INTEGER PRIMARY KEY, v BLOB);", "capture") as pair:
        pair.run("run", "--yes")
        pair.ask("UPDATE n SET v = randomblob(100000000)")
        megabytes = pair.megabytes("rollback", "--yes")
        assert megabytes < 128 + 3 * 100 + 20, "%d MB" % megabytes


def what_is_of_no_entity_does_not_go_with_the_table():
    line = '  - {from: db/%s, to: db/n, create: n.sql, columns: {pk: "%s#{id}", v: v}}'
    with Pair("CREATE TABLE o (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO o VALUES (1, 'a');"
              "CREATE TABLE u (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO u VALUES (1, 'b');",
              {"n.sql": "CREATE TABLE n (pk TEXT PRIMARY KEY NOT NULL, v TEXT);"}, tables=line % ("o", "O") + "\n" + line % ("u", "U")) as pair:
        changed(pair, ", rename_source_to: o_archive", "")
        pair.run("run", "--yes")
        pair.ask("INSERT INTO n VALUES ('INVOICE#1', 'of neither')")
        expect_words(pair.run("rollback", "--yes"), "1 row of others is in it: it stays with it")
        are(pair.ask("SELECT * FROM n"), [("INVOICE#1", "of neither")], "of neither")
        pair.run("run", "--yes")
        pair.ask("DELETE FROM n WHERE pk LIKE 'INVOICE%'")
        pair.run("rollback", "--yes")
        are((pair.old(), pair.ask("SELECT * FROM u")), ([(1, "a")], [(1, "b")]), "the old side")


def what_somebody_made_in_place_of_the_old_table_is_written_down():
    """The old side becomes what the new one is, also where its table was dropped and made anew with rows of somebody's."""
    for sync in ("capture", "dual"):
        for verb in ("finish", "rollback"):
            with Pair(TWO_ROWS, PLAIN.format("n"), sync) as pair:
                pair.run("run", "--yes")
                for one in ("DROP TABLE o", PLAIN.format("o"), "INSERT INTO o VALUES (2, 'b'), (100, 'precious')"):
                    pair.ask(one)
                told = pair.run(verb, "--yes")
                assert "1 row of the old side gave way to what the new one has" in told, told
                kept = [json.loads(line) for line in (pair.state / "repaired.jsonl").read_text("utf-8").splitlines()]
                are([one["before"] for one in kept], [{"id": "100", "v": "'precious'"}], (sync, verb))
                name = "o" if verb == "rollback" else "o_archive"
                are(pair.ask("SELECT * FROM %s ORDER BY id" % name), [(1, "a"), (2, "b")], (sync, verb))


TESTS = [what_somebody_made_in_place_of_the_old_table_is_written_down, what_the_old_column_cannot_hold_is_kept_after_finish_as_well,
         a_value_that_the_old_column_cannot_hold_does_not_block_the_rollback,
         a_row_that_the_old_constraints_refuse_does_not_block_the_rollback,
         a_row_that_came_since_is_not_written_over_by_one_that_was_kept,
         a_constraint_of_the_old_table_removes_no_row_in_silence,
         a_key_that_nothing_leads_back_from_leaves_no_rows_with_null_keys,
         an_update_that_a_trigger_of_the_old_table_ignores_is_kept,
         an_insert_that_a_trigger_of_the_old_table_ignores_is_kept,
         a_table_that_only_the_application_can_write_is_refused_before,
         emptying_a_target_that_was_there_fires_no_trigger_of_it,
         a_cascade_that_only_the_old_side_has_is_told_before,
         a_target_that_was_there_gives_the_numbers_that_it_would_have_given,
         a_cascade_of_the_old_side_takes_no_row_that_the_new_side_has,
          a_rollback_leaves_no_row_that_refers_to_nothing,
          a_trigger_that_comes_later_does_not_make_the_link_carry_old_values,
          a_giant_row_takes_no_more_than_three_times_its_size,
         what_is_of_no_entity_does_not_go_with_the_table]

if __name__ == "__main__":
    main(*TESTS)

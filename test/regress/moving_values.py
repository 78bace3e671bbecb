"""Unique values that move between rows, rows of a copy that others write into, and what needs a table that goes."""
import sqlite3
import subprocess
import sys

from pair import REFUSED, Copying, Pair, are, main

COPY = """whimbrel: 1
migration: copy
stores: {dev: "sqlite:dev.db", prod: "sqlite:prod.db"}
tables: [{from: dev/p, to: prod/p%s}]
sync: none
limits: {batch_size: 50}
"""
FAILED = 1


def a_copy(more="", dev="", prod=""):
    copy = Copying()
    (copy.folder / "plan.yaml").write_text(COPY % more)
    for name, sql in (("dev", dev), ("prod", prod)):
        connection = copy.connect(name)
        connection.executescript(sql)
        connection.close()
    return copy


def rows_of(count):
    return ("CREATE TABLE p (id INTEGER PRIMARY KEY, u TEXT UNIQUE); WITH RECURSIVE i (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM i "
            "WHERE n < %d) INSERT INTO p SELECT n, 'u' || n FROM i;" % (count - 1))


def turn(copy, count):
    """Every value goes to the row before."""
    copy.ask("dev", "UPDATE p SET u = 't' || id")
    copy.ask("dev", "UPDATE p SET u = 'u' || ((id + 1) %% %d)" % count)


def values_go_round_through_a_whole_copy():
    count = 3000
    with a_copy(", on_conflict: skip", dev=rows_of(count), prod="CREATE TABLE p (id INTEGER PRIMARY KEY, u TEXT UNIQUE)") as copy:
        copy.run("run", "--yes")
        turn(copy, count)
        copy.run("run", "--yes")  # row after row this took hours
        are(copy.ask("prod", "SELECT * FROM p ORDER BY id"), copy.ask("dev", "SELECT * FROM p ORDER BY id"), "all have moved on")
        copy.run("rollback", "--yes")
        are(copy.ask("prod", "SELECT count(*) FROM p"), [(0,)], "taken away")


def rows_of_others_that_a_later_chunk_overwrites_make_room():
    count = 400
    for shift in (1, 399):
        with a_copy(", on_conflict: overwrite", dev=rows_of(count), prod=rows_of(count)) as copy:
            before = copy.ask("prod", "SELECT * FROM p ORDER BY id")
            copy.ask("dev", "UPDATE p SET u = 't' || id")
            copy.ask("dev", "UPDATE p SET u = 'u' || ((id + %d) %% %d)" % (shift, count))
            copy.run("run", "--yes")
            are(copy.ask("prod", "SELECT * FROM p ORDER BY id"), copy.ask("dev", "SELECT * FROM p ORDER BY id"), "written over")
            copy.run("rollback", "--yes")
            are(copy.ask("prod", "SELECT * FROM p ORDER BY id"), before, "put back")


def a_row_of_others_in_the_way_of_a_chain_ends_no_rollback():
    with a_copy(", on_conflict: overwrite", dev="CREATE TABLE p (id INTEGER PRIMARY KEY, u TEXT UNIQUE); INSERT INTO p VALUES (1, 'b'), (2, 'c'), (3, 'd')",
                prod="CREATE TABLE p (id INTEGER PRIMARY KEY, u TEXT UNIQUE); INSERT INTO p VALUES (1, 'a'), (2, 'b'), (3, 'c')") as copy:
        copy.run("run", "--yes")
        copy.ask("prod", "INSERT INTO p VALUES (9, 'a')")
        told = copy.run("rollback", "--yes", expect=FAILED)
        assert "the row 1 of prod/p was written over cannot be put back: the row 9 has a value by now that has to be unique; 2 like it" in told, told
        are(copy.ask("prod", "SELECT * FROM p ORDER BY id"), [(1, "b"), (2, "c"), (3, "d"), (9, "a")], "the chain hangs on a value that is taken")
        copy.ask("prod", "UPDATE p SET u = 'free' WHERE id = 9")
        copy.run("rollback", "--yes")
        are(copy.ask("prod", "SELECT * FROM p ORDER BY id"), [(1, "a"), (2, "b"), (3, "c"), (9, "free")], "the value is free again")
    count = 3000
    with a_copy(", on_conflict: overwrite", dev=rows_of(count), prod=rows_of(count)) as copy:
        copy.ask("dev", "UPDATE p SET u = 't' || id")
        copy.ask("dev", "UPDATE p SET u = 'u' || (id + 1)")
        copy.run("run", "--yes")
        copy.ask("prod", "INSERT INTO p VALUES (9999, 'u0')")
        copy.run("rollback", "--yes", "--quiet", expect=FAILED)
        are(copy.ask("prod", "SELECT * FROM p WHERE id IN (0, 2999, 9999) ORDER BY id"), [(0, "u1"), (2999, "u3000"), (9999, "u0")], "a long one")
        copy.ask("prod", "UPDATE p SET u = 'his' WHERE id = 0")  # who decides for the copy's row has it left alone
        copy.run("rollback", "--yes", "--quiet")
        are(copy.ask("prod", "SELECT * FROM p WHERE id IN (0, 1, 2999, 9999) ORDER BY id"), [(0, "his"), (1, "u1"), (2999, "u2999"), (9999, "u0")], "all but one")


def what_others_wrote_beside_stays_theirs_after_a_run_that_failed():
    for again in (False, True):
        with a_copy(", on_conflict: skip", dev="CREATE TABLE p (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO p VALUES (1, 'v1'), (2, 'v2'), (3, 'v3')",
                    prod="CREATE TABLE p (id INTEGER PRIMARY KEY, v TEXT, extra TEXT DEFAULT 'e'); CREATE TRIGGER x BEFORE INSERT ON p WHEN new.v = 'bad' "
                         "BEGIN SELECT RAISE(ABORT, 'no'); END") as copy:
            copy.run("run", "--yes")
            copy.ask("dev", "UPDATE p SET v = 'new' || id")
            copy.ask("dev", "INSERT INTO p VALUES (9, 'bad')")
            copy.run("run", "--yes", expect=FAILED)
            copy.ask("prod", "UPDATE p SET extra = 'theirs' WHERE id < 3")
            if again:
                copy.ask("prod", "DROP TRIGGER x")
                copy.run("run", "--yes")
            forecast = copy.run("rollback", "--dry-run")
            assert "2 rows of prod/p were changed by somebody since, and will be left alone" in forecast, forecast
            assert "their keys: 1, 2" in forecast, forecast
            copy.run("rollback", "--yes")
            are(copy.ask("prod", "SELECT id, extra FROM p ORDER BY id"), [(1, "theirs"), (2, "theirs")], "again" if again else "rolled back")


def a_table_that_is_gone_keeps_nothing_from_being_rolled_back():
    with Copying() as copy:
        (copy.folder / "plan.yaml").write_text(COPY.replace("[{from: dev/p, to: prod/p%s}]", "[{from: dev/p, to: prod/p, on_conflict: skip}, {from: dev/q, to: prod/q, on_conflict: skip}]"))
        for name in ("dev", "prod"):
            for table in ("p", "q"):
                copy.ask(name, "CREATE TABLE %s (id INTEGER PRIMARY KEY, v TEXT)" % table)
                copy.ask("dev", "INSERT INTO %s VALUES (1, 'a')" % table) if name == "dev" else None
        copy.run("run", "--yes")
        copy.ask("prod", "ALTER TABLE q RENAME TO other")
        copy.run("run", "--yes", expect=REFUSED)
        printed = copy.run("rollback", "--yes")
        assert "prod/q: somebody has dropped or renamed it: nothing is taken out of it" in printed, printed
        are(copy.ask("prod", "SELECT * FROM p") + copy.ask("prod", "SELECT * FROM other"), [(1, "a")], "only the other one has rows")


SEATS = "CREATE TABLE %s (id INTEGER PRIMARY KEY, board INTEGER, name TEXT); CREATE UNIQUE INDEX %s_board ON %s (board) WHERE board > 0;"
OLD_SEATS = SEATS % ("o", "o", "o") + "WITH RECURSIVE i (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < 300) INSERT INTO o SELECT n, n, 'p' || n FROM i;"


def values_of_a_partial_index_move_between_rows():
    for two in (False, True):
        with Pair(OLD_SEATS, SEATS % ("n", "n", "n"), two=two) as pair:
            side = "far" if two else "app"
            pair.run("run", "--yes", "--until", "verify")
            for sql in ("UPDATE o SET board = -1 WHERE id = 290", "UPDATE o SET board = 290 WHERE id = 5", "UPDATE o SET board = 5 WHERE id = 290",
                        "UPDATE o SET board = -2 WHERE id = 7", "UPDATE o SET board = 7 WHERE id = 8"):
                pair.ask(sql)
            pair.run("run", "--yes")
            are(pair.ask("SELECT * FROM n ORDER BY id", side), pair.old(), "there")
            for sql in ("UPDATE n SET board = -1 WHERE id = 280", "UPDATE n SET board = 280 WHERE id = 9", "UPDATE n SET board = 9 WHERE id = 280"):
                pair.ask(sql, side)
            new = pair.ask("SELECT * FROM n ORDER BY id", side)
            pair.run("verify")
            printed = pair.run("rollback", "--yes")
            are(pair.old(), new, "and back")
            assert "no place" not in printed, printed


def a_trigger_that_only_has_the_word_keeps_nothing_from_going():
    with Pair("CREATE TABLE o (id INTEGER PRIMARY KEY, o TEXT); INSERT INTO o VALUES (1, 'a');",
              "CREATE TABLE n (id INTEGER PRIMARY KEY, o TEXT);", sync="dual") as pair:
        pair.plan.write_text(pair.plan.read_text().replace("rename_source_to: o_archive", "keep_source: false"))
        pair.run("run", "--yes")
        pair.script("CREATE TABLE log (o TEXT); CREATE TRIGGER t AFTER UPDATE ON n BEGIN INSERT INTO log VALUES (new.o); END;")
        pair.run("finish", "--yes")


def a_row_that_is_not_in_an_index_is_not_in_its_way():
    table = ("CREATE TABLE %s (id INTEGER PRIMARY KEY, pos INTEGER UNIQUE, mail TEXT, gone INTEGER DEFAULT 0); "
             "CREATE UNIQUE INDEX %s_mail ON %s (mail) WHERE gone = 0;")
    with Pair(table % ("o", "o", "o") + "INSERT INTO o VALUES (1, 10, 'x', 0), (5, 1, 'x', 1), (6, 2, 'y', 0);", table % ("n", "n", "n")) as pair:
        pair.run("run", "--yes", "--until", "verify")
        for sql in ("UPDATE o SET pos = 99 WHERE id = 5", "UPDATE o SET pos = 1 WHERE id = 6", "UPDATE o SET pos = 2 WHERE id = 5", "UPDATE o SET pos = 11 WHERE id = 1"):
            pair.ask(sql)
        pair.run("run", "--yes")
        are(pair.new(), pair.old(), "both")


def an_archive_of_a_table_that_refers_to_itself_goes():
    table = "CREATE TABLE %s (id INTEGER PRIMARY KEY, up INTEGER REFERENCES %s (id));"
    with Pair(table % ("o", "o") + "INSERT INTO o VALUES (1, NULL), (2, 1);", table % ("n", "n")) as pair:
        pair.plan.write_text(pair.plan.read_text().replace("rename_source_to: o_archive", "rename_source_to: o_archive, drop_after: 0s"))
        pair.run("run", "--yes")
        pair.run("finish", "--yes")
        pair.run("finish", "--yes")
        are(pair.ask("SELECT count(*) FROM sqlite_master WHERE name = 'o_archive'"), [(0,)], "the archive")


def values_of_a_partial_index_move_while_it_is_copied():
    with Pair(OLD_SEATS, SEATS % ("n", "n", "n")) as pair:
        pair.run("run", "--yes", "--until", "prepare")
        runner = pair.start("run", "--yes", "--until", "verify")
        connection = pair.connect()
        for i in range(1, 100):
            connection.execute("UPDATE o SET board = -id WHERE id IN (?, ?)", (i, 300 - i))
            connection.execute("UPDATE o SET board = ? WHERE id = ?", (300 - i, i))
            connection.execute("UPDATE o SET board = ? WHERE id = ?", (i, 300 - i))
        connection.close()
        out, err = runner.communicate(timeout=60)
        assert runner.returncode == 0, out + err
        pair.run("run", "--yes", "--until", "verify")
        are(pair.new(), pair.old(), "both")


def a_column_that_goes_or_comes_under_rest_copy_is_not_lost():
    old, new = "CREATE TABLE o (id INTEGER PRIMARY KEY, a TEXT, b TEXT); INSERT INTO o VALUES (1, 'x', 'y');", "CREATE TABLE n (id INTEGER PRIMARY KEY, a TEXT, b TEXT);"
    for sql, words in (("ALTER TABLE o RENAME COLUMN b TO bb", "had the column `b` when this migration began"),
                       ("ALTER TABLE o DROP COLUMN b", "had the column `b` when this migration began"),
                       ("ALTER TABLE o ADD COLUMN c TEXT", "somebody has added o.c since the migration began")):
        with Pair(old, new) as pair:
            pair.run("run", "--yes", "--until", "verify")
            pair.ask(sql)
            printed = pair.run("run", "--yes", expect=REFUSED)
            assert words in " ".join(printed.split()), printed


def a_document_has_as_many_fields_as_a_table_has_columns():
    names = ["c%d" % i for i in range(150)]
    old = "CREATE TABLE o (id INTEGER PRIMARY KEY, %s); INSERT INTO o VALUES (1, %s);" % (", ".join(n + " TEXT" for n in names), ", ".join("'v%d'" % i for i in range(150)))
    for sync in ("capture", "dual"):
        with Pair(old, "CREATE TABLE n (id INTEGER PRIMARY KEY, doc TEXT, list TEXT, one TEXT);", sync=sync,
                  columns="{id: id, doc: {json: {%s}}, list: {json: [%s]}, one: {coalesce: [%s]}}\n    rest: drop" % (
                      ", ".join("%s: %s" % (n, n) for n in names), ", ".join(names), ", ".join(names))) as pair:
            pair.run("run", "--yes")
            (_, document, array, one), = pair.new()
            connection = sqlite3.connect(":memory:")
            fields = connection.execute("SELECT count(*), json_extract(?1, '$.c149'), json_extract(?2, '$[149]') FROM json_each(?1)", (document, array)).fetchone()
            are((fields, one), ((150, "v149", "v149"), "v0"), sync)
            pair.ask("UPDATE n SET doc = json_set(doc, '$.c149', 'changed')")
            pair.run("verify")


def what_needs_the_old_table_keeps_it_from_going():
    old = ("CREATE TABLE o (id INTEGER PRIMARY KEY, n INTEGER); INSERT INTO o VALUES (1, 1); CREATE TABLE note (id INTEGER PRIMARY KEY, o INTEGER%s); %s")
    trigger = "CREATE TRIGGER t AFTER INSERT ON note BEGIN UPDATE o SET n = n + 1 WHERE id = new.o; END;"
    for references, more, ending, words in (
            (" REFERENCES o (id)", "", "keep_source: false", "note refers to o by a foreign key"),
            ("", trigger, "keep_source: false", "the trigger t of note writes to o"),
            ("", "CREATE VIEW v AS SELECT count(*) FROM o;", "keep_source: false", "the view v reads o"),
            # What only has the word keeps nothing: a column, a text.
            ("", "CREATE VIEW w AS SELECT o FROM note WHERE o = 'o';", "keep_source: false", "")):
        with Pair(old % (references, more), "CREATE TABLE n (id INTEGER PRIMARY KEY, n INTEGER);") as pair:
            pair.plan.write_text(pair.plan.read_text().replace("rename_source_to: o_archive", ending))
            checked = " ".join(pair.run("check").split())
            if more.startswith("CREATE TRIGGER"):
                assert "the trigger t of note writes to o" in checked, checked
            pair.run("run", "--yes")
            if not words:
                pair.run("finish", "--yes")
                continue
            printed = " ".join(pair.run("finish", "--yes", expect=REFUSED).split())
            assert words in printed and "the way back is open" in printed, printed
            if more:
                pair.ask("DROP %s %s" % (("TRIGGER", "t") if "TRIGGER" in more else ("VIEW", "v")))
            else:
                pair.ask("DROP TABLE note")
            pair.run("finish", "--yes")


def a_cascade_that_both_tables_have_is_no_warning():
    body = "(id INTEGER PRIMARY KEY, w INTEGER REFERENCES ward (id) ON DELETE %s)"
    for there, warned in (("CASCADE", False), ("SET NULL", True)):
        with Pair("CREATE TABLE ward (id INTEGER PRIMARY KEY); CREATE TABLE o %s;" % (body % "CASCADE"), "CREATE TABLE n %s;" % (body % there), sync="dual") as pair:
            assert ("takes rows of o with it" in pair.run("check", expect=REFUSED if warned else 0)) == warned


def large_rows_are_followed_few_at_a_time():
    def elsewhere(sql):
        """What this process has used for it would count as the next one's."""
        subprocess.run([sys.executable, "-c", "import sqlite3, sys; sqlite3.connect(sys.argv[1], isolation_level=None).execute(sys.argv[2])",
                        str(pair.folder / "app.db"), sql], check=True)
    with Pair("CREATE TABLE o (id INTEGER PRIMARY KEY, t TEXT, b BLOB);", "CREATE TABLE n (id INTEGER PRIMARY KEY, t TEXT, b BLOB);") as pair:
        elsewhere("WITH RECURSIVE i (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < 20) INSERT INTO o SELECT n, 'a', zeroblob(16000000) FROM i")
        pair.run("run", "--yes", "--until", "verify")
        elsewhere("UPDATE o SET t = 'q'")
        followed = pair.megabytes("run", "--yes")
        elsewhere("UPDATE n SET t = 'r'")
        back = pair.megabytes("rollback", "--yes")
        are(pair.ask("SELECT count(*) FROM o WHERE t = 'r'"), [(20,)], "back")
        assert max(followed, back) < 128 + 3 * 16, (followed, back)


# Memory first: what this process has used by then would count for the one that it starts.
TESTS = [large_rows_are_followed_few_at_a_time, values_go_round_through_a_whole_copy, rows_of_others_that_a_later_chunk_overwrites_make_room, a_row_of_others_in_the_way_of_a_chain_ends_no_rollback,
         what_others_wrote_beside_stays_theirs_after_a_run_that_failed, a_table_that_is_gone_keeps_nothing_from_being_rolled_back,
         values_of_a_partial_index_move_between_rows, a_trigger_that_only_has_the_word_keeps_nothing_from_going, a_row_that_is_not_in_an_index_is_not_in_its_way, an_archive_of_a_table_that_refers_to_itself_goes, values_of_a_partial_index_move_while_it_is_copied,
         a_column_that_goes_or_comes_under_rest_copy_is_not_lost, a_document_has_as_many_fields_as_a_table_has_columns,
         what_needs_the_old_table_keeps_it_from_going, a_cascade_that_both_tables_have_is_no_warning]

if __name__ == "__main__":
    main(*TESTS)

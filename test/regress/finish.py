"""`finish`: it gives up the way back only when nothing stands in the way of the rest."""
import contextlib
import datetime
import shutil
import sqlite3
import time

from pair import Pair, are, changed, expect_words, main

PLAIN = "CREATE TABLE {} (id INTEGER PRIMARY KEY, v TEXT);"
ONE_ROW = PLAIN.format("o") + "INSERT INTO o VALUES (1, 'a');"
ARCHIVE = "rename_source_to: o_archive"


def refused_with_the_way_back_open(pair, *told):
    """And what is written from then on reaches the old side as before."""
    expect_words(pair.run("finish", "--yes", expect=3), *told, "nothing was changed; the way back is open")
    pair.ask("UPDATE n SET v = 'after'")
    pair.run("rollback", "--yes")
    are(pair.old(), [(1, "after")])


def a_broken_view_does_not_close_the_way_back():
    with Pair(ONE_ROW + "CREATE VIEW broken AS SELECT * FROM gone;", PLAIN.format("n"), "dual") as pair:
        pair.run("run", "--yes")
        refused_with_the_way_back_open(pair, "broken", "put that right, then finish again")


def differences_that_were_found_come_first():
    with Pair(ONE_ROW, PLAIN.format("n"), "capture") as pair:
        changed(pair, ARCHIVE, "keep_source: false")
        pair.run("run", "--yes")
        pair.ask("UPDATE o SET v = 'past the switch'")
        pair.run("verify", expect=1)
        for command in (("finish", "--yes"), ("finish", "--dry-run")):
            expect_words(pair.run(*command, expect=3), "1 row that differs", "--repair", "the way back is open")
        pair.run("verify", "--repair", "--yes")
        pair.run("finish", "--dry-run")
        pair.run("finish", "--yes")


def a_finish_that_was_cut_off_is_taken_back_and_what_gives_way_is_written_down():
    """Nobody followed in between, and the old table stood there: both sides may have been written."""
    many = ONE_ROW + "WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 60000) INSERT INTO o SELECT i, 'row ' || i FROM n;"
    taken_back = 0
    for sync in ("dual", "capture"):
        with Pair(many, PLAIN.format("n"), sync) as pair:
            changed(pair, ARCHIVE, "keep_source: false")
            pair.run("run", "--yes")
            process = pair.start("finish", "--yes")
            while process.poll() is None and not list(pair.state.glob("archive-*")):
                time.sleep(0.002)
            process.kill()
            process.wait()
            if "finishing" not in pair.run("status") or not pair.ask("SELECT 1 FROM sqlite_schema WHERE name = 'o'"):
                continue  # it was faster
            pair.ask("UPDATE n SET v = 'new' WHERE id = 1")
            pair.ask("UPDATE o SET v = 'late' WHERE id = 2")
            pair.ask("INSERT INTO o VALUES (900000, 'late as well')")
            expect_words(pair.run("rollback", "--yes"), "gave way", "repaired.jsonl")
            are(pair.ask("SELECT v FROM o WHERE id IN (1, 2, 900000) ORDER BY id"), [("new",), ("row 2",)])
            lines = (pair.state / "repaired.jsonl").read_text()
            assert "'late'" in lines and "late as well" in lines, lines
            taken_back += 1
    assert taken_back, "no `finish` was cut off half way"


def a_name_that_the_archive_cannot_have_is_refused_before():
    for name in ("an_index", "A_VIEW", "flags", "sqlite_old", "n"):
        with Pair(ONE_ROW + "CREATE INDEX an_index ON o (v); CREATE VIEW a_view AS SELECT 1;", PLAIN.format("n")) as pair:
            changed(pair, "o_archive", name)
            pair.refused("the archive cannot be called `%s`: the name is taken" % name, code=2)


def a_name_that_was_taken_since_does_not_close_the_way_back():
    for taken in ("CREATE INDEX o_archive ON flags (state)", "CREATE VIEW o_archive AS SELECT 1"):
        for sync in ("dual", "capture"):
            with Pair(ONE_ROW, PLAIN.format("n"), sync) as pair:
                pair.run("run", "--yes")
                pair.ask(taken)
                refused_with_the_way_back_open(pair, "the old table cannot be called o_archive: the name is taken")


def views_and_triggers_over_the_old_name_do_not_go_on_with_the_archive():
    with Pair(ONE_ROW + "CREATE TABLE log (id INTEGER PRIMARY KEY);", PLAIN.format("n"), "dual") as pair:
        pair.script("""CREATE VIEW vw AS SELECT id, v FROM o;
            CREATE TRIGGER logged AFTER INSERT ON log BEGIN INSERT INTO o VALUES (NEW.id, 'logged'); END;
            CREATE TRIGGER instead INSTEAD OF INSERT ON vw BEGIN INSERT INTO o VALUES (NEW.id, NEW.v); END;""")
        changed(pair, ARCHIVE, ARCHIVE + ", view: true")
        pair.run("run", "--yes")
        pair.run("finish", "--yes")
        pair.ask("INSERT INTO n VALUES (2, 'new')")
        are(pair.ask("SELECT * FROM vw ORDER BY 1"), [(1, "a"), (2, "new")], "the application's view")
        for sql in ("INSERT INTO vw VALUES (3, 'through the view')", "INSERT INTO log VALUES (4)"):
            with contextlib.suppress(sqlite3.Error):  # a view takes no rows
                pair.ask(sql)
        are(pair.ask("SELECT * FROM o_archive"), [(1, "a")], "the archive")


def views_and_triggers_over_the_old_name_outlive_the_way_back_after_finish():
    # Quoted, as SQLite writes a name that it has changed.
    with Pair('CREATE TABLE "o" (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO o VALUES (1, \'a\');', PLAIN.format("n"),
              "dual") as pair:
        pair.script("""CREATE VIEW vw AS SELECT id, v FROM "o";
            CREATE TRIGGER instead INSTEAD OF INSERT ON vw BEGIN INSERT INTO "o" VALUES (NEW.id, NEW.v); END;""")
        changed(pair, ARCHIVE, ARCHIVE + ", view: true")
        before = pair.everything()
        pair.run("run", "--yes")
        pair.run("finish", "--yes")
        pair.run("rollback", "--yes")
        pair.is_as(before, "after the rollback")
        pair.ask("INSERT INTO vw VALUES (3, 'through the view')")
        are(pair.old(), [(1, "a"), (3, "through the view")])


def an_archive_that_was_begun_in_this_second_does_not_stop_finish():
    with Pair(ONE_ROW, PLAIN.format("n"), "dual") as pair:
        changed(pair, ARCHIVE, "keep_source: false")
        pair.run("run", "--yes")
        pair.run("finish", "--yes")
        [archive] = pair.state.glob("archive-*")
        pair.run("rollback", "--yes")
        pair.run("run", "--yes")
        now = datetime.datetime.now(datetime.timezone.utc)
        for second in range(60):
            stamp = (now + datetime.timedelta(seconds=second)).strftime("%Y%m%dT%H%M%SZ")
            assert len("archive-" + stamp) == len(archive.name), archive
            if archive.name != "archive-" + stamp:
                shutil.copytree(archive, pair.state / ("archive-" + stamp), dirs_exist_ok=True)
        pair.run("finish", "--yes")
        pair.run("rollback", "--yes")
        are(pair.old(), [(1, "a")])


def what_was_written_to_the_old_table_after_the_switch_does_not_go_with_it():
    late = "UPDATE o SET v = 'late' WHERE id = 1"
    told = ("1 row was written on the old side after the switch", "key 1")
    for sync in ("capture", "none"):
        with Pair(ONE_ROW, PLAIN.format("n"), sync) as pair:
            pair.run("run", "--yes")
            pair.ask(late)
            expect_words(pair.run("run", "--yes", expect=1), *told, "verify --repair", "the application uses the new side")
            expect_words(pair.run("finish", "--yes", expect=3), *told, "nothing was removed; the way back is open")
            pair.ask("UPDATE n SET v = 'late' WHERE id = 1")  # by hand; from then on it is no late write any more
            pair.run("run", "--yes")
            pair.ask("UPDATE n SET v = 'after' WHERE id = 1")
            pair.run("run", "--yes")
            are(pair.old(), [(1, "after")])
            pair.ask("INSERT INTO o VALUES (2, 'late')")
            pair.run("run", "--yes", expect=1)
            pair.run("verify", "--repair", "--yes")
            are(pair.old(), [(1, "after")], "what the new side does not have")
            assert "late" in (pair.state / "repaired.jsonl").read_text()
            pair.ask("DELETE FROM o")
            expect_words(pair.run("finish", "--yes", expect=3), "written on the old side")
            pair.run("finish", "--yes", "--force")
            are(pair.new(), [(1, "after")])


def an_old_table_that_comes_back_gives_no_number_again():
    with Pair("CREATE TABLE o (id INTEGER PRIMARY KEY AUTOINCREMENT, v TEXT); INSERT INTO o VALUES (1, 'a'), (50, 'b');"
              "DELETE FROM o WHERE id = 50;", PLAIN.format("n"), "dual") as pair:
        changed(pair, ARCHIVE, "keep_source: false")
        for verb in ("run", "finish", "rollback"):
            pair.run(verb, "--yes")
        pair.ask("INSERT INTO o (v) VALUES ('c')")
        are(pair.old(), [(1, "a"), (51, "c")])


def what_looks_at_the_old_table_comes_back_with_it():
    trigger = "CREATE TRIGGER noted AFTER UPDATE ON o BEGIN INSERT INTO log VALUES (NEW.id); END;"
    view = "CREATE VIEW w AS SELECT id, v FROM o;"
    for sync in ("dual", "capture"):
        for ddl in (trigger, view, trigger + view):
            for keep in ("rename_source_to: o_archive", "rename_source_to: o_archive, view: true"):
                with Pair(ONE_ROW + "CREATE TABLE log (id INT);" + ddl, PLAIN.format("n"), sync) as pair:
                    changed(pair, ARCHIVE, keep)
                    pair.run("run", "--yes")
                    pair.run("finish", "--yes")
                    pair.run("rollback", "--yes")
                    said = "SELECT name, replace(sql, '\"', '') FROM sqlite_master WHERE type IN ('view', 'trigger') ORDER BY 1"
                    wanted = [(name, text.strip().rstrip(";").replace("END", "END")) for name, text in
                              (("noted", trigger), ("w", view)) if text in ddl]
                    are(pair.ask(said), wanted)
                    pair.ask("UPDATE o SET v = 'x'")


def an_archive_that_cannot_be_written_leaves_the_way_back_open():
    with Pair(ONE_ROW, PLAIN.format("n"), "dual") as pair:
        pair.run("run", "--yes")
        printed = pair.run("finish", "--yes", "--backup", "file:/proc/nowhere/x", expect=3)
        assert "cannot be written to /proc/nowhere/x" in printed and "the way back is open" in printed, printed
        pair.run("rollback", "--yes")


TESTS = [a_finish_that_was_cut_off_is_taken_back_and_what_gives_way_is_written_down, differences_that_were_found_come_first, what_looks_at_the_old_table_comes_back_with_it,
         an_archive_that_cannot_be_written_leaves_the_way_back_open, a_broken_view_does_not_close_the_way_back, a_name_that_the_archive_cannot_have_is_refused_before,
         a_name_that_was_taken_since_does_not_close_the_way_back,
         views_and_triggers_over_the_old_name_do_not_go_on_with_the_archive,
         views_and_triggers_over_the_old_name_outlive_the_way_back_after_finish,
         an_archive_that_was_begun_in_this_second_does_not_stop_finish,
         an_old_table_that_comes_back_gives_no_number_again,
         what_was_written_to_the_old_table_after_the_switch_does_not_go_with_it]

if __name__ == "__main__":
    main(*TESTS)

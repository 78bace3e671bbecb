"""What is told is true: exit codes, dry runs, who carries something out; and what must not be told is not."""
import os
import shutil
import subprocess
import time

from pair import BINARY, PLAN_ERROR, REFUSED, Pair, are, changed, main

PLAIN = "CREATE TABLE {} (id {} PRIMARY KEY NOT NULL, v TEXT);"
TWO_ROWS = PLAIN.format("o", "INTEGER") + "INSERT INTO o VALUES (1, 'a'), (2, 'b');"
NEW = PLAIN.format("n", "INTEGER")


def a_lock_that_cannot_be_taken_is_no_runner_at_work():
    with Pair(TWO_ROWS, NEW) as pair:
        pair.run("run", "--yes", "--until", "verify")
        lock = pair.state / "journal.db.lock"
        lock.unlink()
        lock.mkdir()
        before = pair.everything()
        for verb in ("rollback", "cutover"):
            code, printed = pair.answer(verb, "--yes")
            assert code != 0 and "the runner" not in printed, "%d: %s" % (code, printed)
            pair.is_as(before, verb)
        lock.rmdir()
        pair.run("rollback", "--yes")


def a_dry_run_refuses_what_the_verb_itself_refuses():
    with Pair(TWO_ROWS, NEW) as pair:
        changed(pair, "after: 0s", "after: 7d")
        pair.run("run", "--yes", "--until", "prepare")
        for verb in ("cutover", "finish"):
            pair.run(verb, "--yes", expect=REFUSED)
            pair.run(verb, "--dry-run", expect=REFUSED)
        pair.run("run", "--yes")
        pair.run("finish", "--yes", expect=REFUSED)
        pair.run("finish", "--dry-run", expect=REFUSED)
        pair.run("finish", "--dry-run", "--after", "0s")


def changes_that_wait_are_no_differences():
    with Pair(PLAIN.format("o", "INTEGER") + """INSERT INTO o WITH RECURSIVE i (n) AS
            (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < 101000) SELECT n, n FROM i;""", NEW) as pair:
        changed(pair, "limits: {batch_size: 50}", "limits: {batch_size: 5000}")
        pair.run("run", "--yes")
        pair.ask("UPDATE n SET v = 'new' || id")
        pair.run("verify")


def what_may_only_be_read_is_told_before():
    with Pair(TWO_ROWS, NEW) as pair:
        tool, files = pair.folder / "tool", (pair.folder / ".whimbrel")
        shutil.copy(BINARY, tool)
        files.mkdir()
        files.chmod(0o777)
        (pair.folder / "app.db").chmod(0o444)
        other = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
        try:
            for mode, what in ((0o777, pair.folder / "app.db"), (0o555, pair.folder)):
                pair.folder.chmod(mode)
                if mode == 0o555:
                    (pair.folder / "app.db").chmod(0o666)
                for verb in ("check", "analyze"):
                    done = subprocess.run([*other, tool, verb, pair.plan], capture_output=True, text=True, timeout=60)
                    told = done.stdout + done.stderr
                    assert done.returncode == REFUSED and "this user may not write to %s" % what in told, "%d: %s" % (done.returncode, told)
        finally:
            pair.folder.chmod(0o755)


def a_restored_table_gives_no_number_again():
    with Pair("""CREATE TABLE o (id INTEGER PRIMARY KEY AUTOINCREMENT, v TEXT);
                 INSERT INTO o (v) VALUES ('a'), ('b'), ('c'); DELETE FROM o WHERE id = 3;""",
              "CREATE TABLE n (id INTEGER PRIMARY KEY AUTOINCREMENT, v TEXT);") as pair:
        pair.run("backup", "file:" + str(pair.folder / "kept"))
        pair.ask("DROP TABLE o")
        subprocess.run([BINARY, "restore", "file:" + str(pair.folder / "kept"), "sqlite:" + str(pair.folder / "app.db"), "--yes"],
                       check=True, capture_output=True, timeout=60)
        pair.ask("INSERT INTO o (v) VALUES ('d')")
        are(pair.old(), [(1, "a"), (2, "b"), (4, "d")], "numbers")


def children_of_rows_that_are_set_aside_are_told():
    line = "  - {from: db/%s, to: db/%s, create: %s.sql, on_error: reject, columns: {id: id, v: {cast: v, to: integer}}}\n" \
           "  - {from: db/child, to: db/new_child, create: new_child.sql}"
    with Pair("CREATE TABLE o (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO o VALUES (1, '1'), (2, 'bad');"
              "CREATE TABLE child (id INTEGER PRIMARY KEY, o INTEGER); INSERT INTO child VALUES (1, 1), (2, 2);",
              {"n.sql": "CREATE TABLE n (id INTEGER PRIMARY KEY, v INTEGER);",
               "new_child.sql": "CREATE TABLE new_child (id INTEGER PRIMARY KEY, o INTEGER REFERENCES n (id));"}, tables=line % ("o", "n", "n")) as pair:
        changed(pair, ", rename_source_to: o_archive", "")
        told = pair.run("analyze")
        assert "child: what refers to one of the 1 row of o that would be set aside" in told, told


SECRET = "SECRETVALUE"


def redacted(pair, verb=("run", "--yes")):
    _, told = pair.answer(*verb, "--redact")
    assert SECRET not in told, told
    found = [f.name for f in pair.state.glob("*") if f.suffix in (".json", ".jsonl", ".log") and SECRET in f.read_text()]
    are(found, [], "files with a value")


def a_value_that_a_trial_refuses_is_not_told_under_redact():
    with Pair(PLAIN.format("o", "INTEGER") + "INSERT INTO o VALUES (1, '%s');" % SECRET, NEW,
              columns="{id: id, v: {map: v, values: {a: b}}}") as pair:
        redacted(pair, verb=("test", "--yes"))


def a_key_that_differs_is_not_told_under_redact():
    with Pair(PLAIN.format("o", "TEXT") + "INSERT INTO o VALUES ('%s', 'v');" % SECRET, PLAIN.format("n", "TEXT")) as pair:
        pair.run("run", "--yes", "--until", "verify", "--redact")
        pair.ask("UPDATE n SET v = 'meddled'")
        redacted(pair)


def a_value_that_is_set_aside_is_not_told_under_redact():
    with Pair(PLAIN.format("o", "INTEGER") + "INSERT INTO o VALUES (1, '1'), (2, '%s');" % SECRET,
              "CREATE TABLE n (id INTEGER PRIMARY KEY, v INTEGER);", columns="{id: id, v: {cast: v, to: integer}}") as pair:
        changed(pair, "sync: capture", "sync: capture\non_error: reject")
        redacted(pair)


def an_empty_new_side_meets_no_criterion():
    with Pair(TWO_ROWS + NEW, NEW) as pair:
        changed(pair, "create: new.sql", "create: exists")
        (pair.folder / "plan.yaml").write_text((pair.folder / "plan.yaml").read_text() + """
queries: {all: {old: "SELECT * FROM o", new: "SELECT * FROM n"}}
criteria: {p95_change: 1000%, lost: 0}
""")
        before, after = pair.folder / "before.json", pair.folder / "after.json"
        pair.run("measure", "--side", "old", "--duration", "100ms", "--output", str(before))
        pair.run("run", "--yes", "--until", "verify")
        pair.run("measure", "--side", "new", "--duration", "100ms", "--output", str(after))
        assert "0 not measured" in judged(before, after, True)
        pair.run("rollback", "--yes")
        pair.run("measure", "--side", "new", "--duration", "100ms", "--output", str(after))
        printed = judged(before, after, False)
        assert "2 not met" in printed and "was rolled_back when it was measured" in printed, printed


def judged(before, after, is_met):
    done = subprocess.run([BINARY, "compare", str(before), str(after)], capture_output=True, text=True, timeout=60)
    assert (done.returncode == 0) == is_met, done.stdout + done.stderr
    return done.stdout + done.stderr


def a_place_where_nothing_can_be_written_is_told_before_the_time_is_spent():
    with Pair(TWO_ROWS, NEW) as pair:
        for place in ("nowhere/x.json", "."):
            printed = pair.run("measure", "--duration", "30s", "--output", str(pair.folder / place), expect=PLAN_ERROR)
            assert "hint:" in printed, printed


def a_trigger_that_works_with_another_table_of_the_plan_is_a_warning():
    with Pair(TWO_ROWS + "CREATE TABLE seen (id INTEGER PRIMARY KEY, what TEXT);"
              "CREATE TABLE apart (id INTEGER PRIMARY KEY, o INTEGER REFERENCES o);"
              "CREATE TRIGGER sees AFTER INSERT ON o BEGIN INSERT INTO Seen (what) VALUES (NEW.v); END;"
              "CREATE TRIGGER begin_seen AFTER DELETE ON o BEGIN DELETE FROM apart WHERE o = OLD.id; END;", NEW) as pair:
        changed(pair, ", rename_source_to: o_archive", "")
        changed(pair, "sync: capture", "  - {from: db/seen, to: db/seen_v2, create: like-source}\nsync: capture")
        _, printed = pair.answer("analyze")
        warned = [line for line in printed.splitlines() if line.strip().startswith("warning")]
        assert any("the trigger sees" in line and "works with seen" in line for line in warned), printed
        assert not any("begin_seen" in line for line in warned), printed
        assert any("apart refers to o" in line for line in warned), printed
        changed(pair, "sync: capture", "  - {from: db/apart, to: db/apart_v2, create: like-source}\nsync: capture")
        _, printed = pair.answer("analyze")
        warned = [line for line in printed.splitlines() if line.strip().startswith("warning")]
        assert any("begin_seen" in line for line in warned) and not any("apart refers to o" in line for line in warned), printed


def small_tables_keep_the_rate_together():
    """Ten of them, each one batch, at 100 rows a second: nine are paid for before the last begins."""
    tables = "".join("CREATE TABLE t%d (id INTEGER PRIMARY KEY); INSERT INTO t%d VALUES (1), (2), (3), (4), (5), (6), (7), (8), (9), (10);" % (i, i) for i in range(10))
    with Pair(TWO_ROWS + tables, NEW) as pair:
        changed(pair, "limits: {batch_size: 50}", "limits: {rows_per_s: 100}")
        changed(pair, ", rename_source_to: o_archive", "")
        changed(pair, "sync: capture", "".join("  - {from: db/t%d, to: db/t%d_v2, create: like-source}\n" % (i, i) for i in range(10)) + "sync: capture")
        printed = pair.run("analyze")
        assert "at the limit of 100 rows/s" in printed, printed
        begun = time.monotonic()
        pair.run("run", "--yes", "--until", "copy")
        took = time.monotonic() - begun
        assert took > 0.9, took
        assert ",000 rows/s" not in pair.run("status")


def no_way_back_is_promised_that_is_not_there():
    for kept, more in ((False, "backup: none\n"), (True, "backup: {of: [source], to: \"file:kept\"}\n")):
        with Pair(TWO_ROWS, NEW) as pair:
            changed(pair, "rename_source_to: o_archive", "keep_source: false")
            (pair.folder / "plan.yaml").write_text((pair.folder / "plan.yaml").read_text() + more)
            pair.run("run", "--yes")
            pair.run("finish", "--yes", "--no-backup")
            told = pair.run("status")
            assert ("whimbrel rollback" in told) == kept and ("kept nothing to go back to" in told) != kept, told
            pair.run("rollback", "--yes", expect=0 if kept else REFUSED)


TESTS = [no_way_back_is_promised_that_is_not_there, an_empty_new_side_meets_no_criterion, a_place_where_nothing_can_be_written_is_told_before_the_time_is_spent,
         a_trigger_that_works_with_another_table_of_the_plan_is_a_warning, small_tables_keep_the_rate_together,
         a_lock_that_cannot_be_taken_is_no_runner_at_work, a_dry_run_refuses_what_the_verb_itself_refuses,
         a_value_that_a_trial_refuses_is_not_told_under_redact,
         a_key_that_differs_is_not_told_under_redact,
         a_value_that_is_set_aside_is_not_told_under_redact,
         changes_that_wait_are_no_differences, what_may_only_be_read_is_told_before,
         a_restored_table_gives_no_number_again, children_of_rows_that_are_set_aside_are_told]

if __name__ == "__main__":
    main(*TESTS)

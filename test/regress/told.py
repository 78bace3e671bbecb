"""What is told is true: exit codes, dry runs, who carries something out; and what must not be told is not."""
import os
import shutil
import subprocess

from pair import BINARY, REFUSED, Pair, are, changed, main

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


TESTS = [a_lock_that_cannot_be_taken_is_no_runner_at_work, a_dry_run_refuses_what_the_verb_itself_refuses,
         a_value_that_a_trial_refuses_is_not_told_under_redact,
         a_key_that_differs_is_not_told_under_redact,
         a_value_that_is_set_aside_is_not_told_under_redact,
         changes_that_wait_are_no_differences, what_may_only_be_read_is_told_before,
         a_restored_table_gives_no_number_again, children_of_rows_that_are_set_aside_are_told]

if __name__ == "__main__":
    main(*TESTS)

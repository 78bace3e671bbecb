"""`test`, the trial of a few rows: which rows it takes, that it can be stopped, and who can read what it keeps."""
import os
import signal
import time

from pair import Pair, are, changed, expect_words, main

PLAIN = "CREATE TABLE {} (id INTEGER PRIMARY KEY, v TEXT);"
ROWS = """INSERT INTO {} WITH RECURSIVE i (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < {})
  SELECT n, 'v' || n FROM i;"""


def a_first_row_that_is_set_aside_does_not_stop_the_migration():
    with Pair(PLAIN.format("o") + "INSERT INTO o VALUES (1, 'odd'), (2, '7'), (3, '8');",
              "CREATE TABLE n (id INTEGER PRIMARY KEY, v INTEGER);", columns="{id: id, v: {cast: v, to: integer}}") as pair:
        changed(pair, "sync: capture", "sync: capture\non_error: reject")
        expect_words(pair.run("test", "--yes"), "1 row moved and compared")
        pair.run("run", "--yes", "--until", "verify")
        are(pair.new(), [(2, 7), (3, 8)])


PARENT_BY_CODE = ("id INTEGER PRIMARY KEY, code INTEGER UNIQUE NOT NULL, t TEXT", "(1, 50, 'right'), (50, 1, 'wrong')",
                  "id INTEGER PRIMARY KEY, x INTEGER REFERENCES p (code)", "(1, 50)")
PARENT_BY_KEY = ("x INTEGER NOT NULL, y INTEGER NOT NULL, t TEXT, PRIMARY KEY (x, y)", "(1, 2, 'right'), (2, 1, 'wrong')",
                 "id INTEGER PRIMARY KEY, py INTEGER, px INTEGER, FOREIGN KEY (py, px) REFERENCES p (y, x)", "(1, 2, 1)")


def taken_along(parent, rows, child, row):
    tables = "  - {from: db/p, to: db/p2, create: p2.sql}\n  - {from: db/o, to: db/n, create: n.sql}"
    old = "CREATE TABLE p (%s); INSERT INTO p VALUES %s; CREATE TABLE o (%s); INSERT INTO o VALUES %s;"
    with Pair(old % (parent, rows, child, row),
              {"p2.sql": "CREATE TABLE p2 (%s);" % parent, "n.sql": "CREATE TABLE n (%s);" % child.replace("REFERENCES p ", "REFERENCES p2 ")}, tables=tables) as pair:
        changed(pair, ", rename_source_to: o_archive", "")
        pair.run("test", "--yes", "o", "--keep")
        made = pair.ask("SELECT 1 FROM sqlite_master WHERE name = 'p2'")
        return [t for (t,) in pair.ask("SELECT t FROM p2")] if made else []


def a_trial_takes_along_the_row_that_is_referred_to():
    are(taken_along(*PARENT_BY_KEY), ["right"])


def a_trial_takes_along_no_row_that_is_not_referred_to():
    are([t for t in taken_along(*PARENT_BY_CODE) if t != "right"], [])


def a_trial_takes_along_what_a_unique_column_refers_to():
    are(taken_along(*PARENT_BY_CODE), ["right"])


def stopped_while_it_tries(pair):
    before = pair.everything()
    process = pair.start("test", "--yes", "--limit", "10000")
    while not (pair.state / "trial.db").exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    asked = time.monotonic()
    out, err = process.communicate(timeout=100)
    are(process.returncode, 130, "%.1f s after the signal: %s" % (time.monotonic() - asked, out[-80:] + err))
    pair.is_as(before, "stopped")


def a_trial_of_several_tables_hears_the_signal():
    tables = "  - {from: db/o, to: db/n, create: n.sql}\n  - {from: db/p, to: db/q, create: q.sql}"
    with Pair("".join(PLAIN.format(t) + ROWS.format(t, 10000) for t in ("o", "p")),
              {"n.sql": PLAIN.format("n"), "q.sql": PLAIN.format("q")}, tables=tables) as pair:
        changed(pair, ", rename_source_to: o_archive", "")
        stopped_while_it_tries(pair)


def a_trial_of_one_table_hears_the_signal():
    with Pair(PLAIN.format("o") + ROWS.format("o", 10000), PLAIN.format("n")) as pair:
        stopped_while_it_tries(pair)


def what_a_trial_keeps_is_read_by_nobody_else():
    with Pair(PLAIN.format("o") + ROWS.format("o", 3), PLAIN.format("n")) as pair:
        mask = os.umask(0o022)
        try:
            pair.run("test", "--yes")
        finally:
            os.umask(mask)
        are(oct((pair.state / "trial.db").stat().st_mode & 0o777), "0o600")


def a_trial_of_many_rows_takes_little_memory():
    with Pair(PLAIN.format("o") + ROWS.format("o", 100000), PLAIN.format("n")) as pair:
        for words in (("test", "--yes", "--limit", "100000"), ("run", "--yes")):
            megabytes = pair.megabytes(*words)
            assert megabytes < 140, "%s: %d MB" % (words, megabytes)


def a_trial_and_a_run_are_not_at_work_at_once():
    with Pair(PLAIN.format("o") + ROWS.format("o", 30000), PLAIN.format("n")) as pair:
        trial = pair.start("test", "--yes", "--limit", "30000")
        while not (pair.state / "trial.db").exists():
            time.sleep(0.01)
        time.sleep(0.2)
        code, printed = pair.answer("run", "--yes")
        trial.communicate()
        assert (code, trial.returncode) in ((3, 0), (0, 0)), (code, trial.returncode, printed)
        if code == 3:
            assert "another runner is at work" in printed, printed
            pair.run("run", "--yes")
        are(pair.new(), pair.old())


def a_trial_gives_back_the_numbers_that_it_took():
    table = "CREATE TABLE {} (id INTEGER PRIMARY KEY AUTOINCREMENT, v TEXT);"
    with Pair(table.format("o") + "INSERT INTO o VALUES (900, 'a');" + table.format("n"), table.format("n")) as pair:
        before = pair.ask("SELECT * FROM sqlite_sequence ORDER BY 1")
        pair.run("test", "--yes")
        are(pair.ask("SELECT * FROM sqlite_sequence ORDER BY 1"), before)


TESTS = [a_trial_and_a_run_are_not_at_work_at_once, a_trial_gives_back_the_numbers_that_it_took,
         a_first_row_that_is_set_aside_does_not_stop_the_migration, a_trial_takes_along_the_row_that_is_referred_to,
         a_trial_takes_along_no_row_that_is_not_referred_to, a_trial_of_several_tables_hears_the_signal,
         a_trial_of_one_table_hears_the_signal, what_a_trial_keeps_is_read_by_nobody_else,
         a_trial_takes_along_what_a_unique_column_refers_to,
         a_trial_of_many_rows_takes_little_memory]

if __name__ == "__main__":
    main(*TESTS)

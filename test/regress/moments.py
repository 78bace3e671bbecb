"""What happens between two looks: a writer beside an analysis, a row that goes from one table to another, a stop while
writers are held; and where it is written that something could not be done."""
import os
import signal
import stat
import subprocess
import threading
import time

from pair import BINARY, Pair, are, changed, expect_words, main

PLAIN = "CREATE TABLE {} (id INTEGER PRIMARY KEY, v TEXT);"
ROWS = PLAIN.format("o") + "INSERT INTO o VALUES (1, 'a'), (2, 'b');"


def rows_that_go_with_their_parents_are_no_orphans():
    schema = "CREATE TABLE {0} (id INTEGER PRIMARY KEY, v TEXT); CREATE TABLE {1} (id INTEGER PRIMARY KEY, o INT NOT NULL REFERENCES {0} (id) ON DELETE CASCADE);"
    new = schema.format("n", "nc").split("; ", 1)
    fill = """WITH RECURSIVE k (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM k WHERE i < 8000) INSERT INTO o SELECT i, 'v' FROM k;
        WITH RECURSIVE k (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM k WHERE i < 24000) INSERT INTO oc SELECT i, i % 8000 + 1 FROM k; CREATE INDEX by_o ON oc (o);"""
    tables = "  - {from: db/oc, to: db/nc, create: child.sql}\n  - {from: db/o, to: db/n, create: new.sql}"
    with Pair("PRAGMA journal_mode = WAL;" + schema.format("o", "oc") + fill, {"new.sql": new[0], "child.sql": new[1]}, tables=tables) as pair:
        changed(pair, "rename_source_to: o_archive", "keep_source: true")
        ends = threading.Event()

        def write():
            connection = pair.connect()
            connection.execute("PRAGMA foreign_keys = ON")
            for number in range(10_000, 20_000):
                if ends.is_set():
                    break
                connection.execute("BEGIN IMMEDIATE")
                connection.execute("INSERT INTO o VALUES (?, 'new')", [number])
                connection.execute("INSERT INTO oc VALUES (?, ?)", [number + 100_000, number])
                connection.execute("DELETE FROM o WHERE id = ?", [number - 9_999])
                connection.execute("COMMIT")
                time.sleep(0.003)
            connection.close()
        writer = threading.Thread(target=write)
        writer.start()
        try:
            for _ in range(4):
                pair.run("analyze")
            pair.run("run", "--until", "verify", "--yes")
        finally:
            ends.set()
            writer.join()
        are(pair.ask("PRAGMA foreign_key_check"), [])


def a_row_that_goes_from_one_new_table_to_another_is_not_lost():
    tables = "\n".join("  - {as: %s, from: db/o, to: db/%s, create: %s.sql, items: [{when: {kind: %s}, columns: {}, same: [id, v, kind], rest: drop}]}"
                       % (name, name, name, name[0]) for name in ("us", "os"))
    files = {name + ".sql": "CREATE TABLE %s (id INTEGER PRIMARY KEY, v TEXT, kind TEXT);" % name for name in ("us", "os")}
    old = "CREATE TABLE o (id INTEGER PRIMARY KEY, kind TEXT, v TEXT); INSERT INTO o VALUES (1, 'u', 'a'), (2, 'u', 'b'), (3, 'o', 'c');"
    for to, gone in (("os", "us"), ("us", "os")):
        row = 2 if gone == "us" else 3
        steps = ["DELETE FROM %s WHERE id = %d" % (gone, row), "INSERT INTO %s VALUES (%d, 'moved', '%s')" % (to, row, to[0])]
        for order in (steps, steps[::-1]):
            for drains in (False, True):
                with Pair(old, files, tables=tables) as pair:
                    changed(pair, "rename_source_to: o_archive", "keep_source: true")
                    pair.run("run", "--yes")
                    for step in order:
                        pair.ask(step)
                        if drains:
                            pair.run("run", "--yes")
                    pair.run("run", "--yes")
                    pair.run("verify")
                    pair.run("rollback", "--yes")
                    are([one for one in pair.old() if one[0] == row], [(row, to[0], "moved")], (order, drains))
                    are(len(pair.old()), 3)


def what_is_deleted_on_one_of_two_new_sides_is_deleted():
    line = "  - {as: %s, from: db/o, to: db/%s, create: %s.sql, columns: {id: id, %s: %s}, rest: drop}"
    with Pair("CREATE TABLE o (id INTEGER PRIMARY KEY, name TEXT, pw TEXT, more TEXT DEFAULT 'new'); INSERT INTO o VALUES (1, 'A', 'p', 'old'), (2, 'B', 'q', 'old');",
              {"names.sql": "CREATE TABLE names (id INTEGER PRIMARY KEY, name TEXT);", "words.sql": "CREATE TABLE words (id INTEGER PRIMARY KEY, pw TEXT);"},
              tables=line % ("names", "names", "names", "name", "name") + "\n" + line % ("words", "words", "words", "pw", "pw")) as pair:
        changed(pair, "rename_source_to: o_archive", "keep_source: true")
        pair.run("run", "--yes")
        pair.ask("DELETE FROM names WHERE id = 1")
        pair.run("run", "--yes")
        are(pair.old(), [(2, "B", "q", "old")])
        expect_words(pair.run("verify", expect=1), "words key 1: extra")
        pair.ask("DELETE FROM words WHERE id = 1")
        pair.run("verify")
        for steps in (["DELETE FROM words WHERE id = 2", "INSERT INTO words VALUES (2, 'again')"],
                      ["DELETE FROM words WHERE id = 2", "INSERT INTO words VALUES (2, 'more')", "UPDATE names SET name = 'C' WHERE id = 2"]):
            for step in steps:
                pair.ask(step)
            pair.run("run", "--yes")
            pair.run("verify")
        pair.run("rollback", "--yes")
        are([row[:3] for row in pair.old()], [(2, "C", "more")])


def a_stop_while_writers_are_held_switches_nothing():
    for sync in ("capture", "none"):
        with Pair(ROWS, PLAIN.format("n"), sync) as pair:
            pair.plan.write_text(pair.plan.read_text() + 'checks: [{at: held, command: [sh, -c, "touch held; sleep 1"]}]\n')
            running = pair.start("run", "--yes")
            while not (pair.folder / "held").exists() and running.poll() is None:
                time.sleep(0.02)
            running.send_signal(signal.SIGINT)
            out, err = running.communicate(timeout=60)
            are(running.returncode, 130, out + err)
            expect_words(err, "stopped as asked", "nothing is switched")
            are(pair.ask("SELECT count(*) FROM flags"), [(0,)])
            pair.ask("UPDATE o SET v = 'after' WHERE id = 1")
            pair.run("run", "--yes")
            are(pair.new(), [(1, "after"), (2, "b")])


def a_row_of_the_application_s_own_kind_is_no_error_of_a_comparison():
    ent = "CREATE TABLE n (pk TEXT NOT NULL, sk TEXT NOT NULL, v, PRIMARY KEY (pk, sk)) WITHOUT ROWID;"
    with Pair("CREATE TABLE o (a TEXT, b TEXT, v, PRIMARY KEY (a, b)); INSERT INTO o VALUES ('1', '2', 1);", ent,
              columns='{pk: "T#{a}", sk: "S#{b}", v: v}') as pair:
        pair.run("run", "--yes")
        pair.ask("INSERT INTO n VALUES ('ORDER#1', 'LINE#1', 1)")
        pair.run("verify")
        pair.run("verify", "--repair", "--yes")
        are(pair.ask("SELECT count(*) FROM n"), [(2,)])


def a_row_that_the_old_side_does_not_let_go_is_named():
    guard = "CREATE TRIGGER keeps BEFORE DELETE ON o BEGIN SELECT RAISE(ABORT, 'append only'); END;"
    with Pair(ROWS + guard, PLAIN.format("n")) as pair:
        pair.run("run", "--yes")
        pair.ask("DELETE FROM n WHERE id = 2")
        pair.run("run", "--yes")
        expect_words((pair.state / "rejected.jsonl").read_text(), "append only")
        expect_words(pair.run("status"), "1 row set aside")


def a_row_that_the_old_side_cannot_hold_keeps_no_others_back():
    with Pair("CREATE TABLE o (id INTEGER PRIMARY KEY, u TEXT NOT NULL, v INT); INSERT INTO o VALUES (1, 'a', 1), (2, 'b', 2), (3, 'c', 3);",
              "CREATE TABLE n (id INTEGER PRIMARY KEY, u TEXT, v INT);", "dual") as pair:
        pair.run("run", "--yes")
        pair.ask("UPDATE OR IGNORE n SET u = NULL WHERE id = 2")  # the old side cannot hold it, and its error is ignored
        pair.script("BEGIN; UPDATE whimbrel_guard SET busy = 1; UPDATE o SET v = 99 WHERE id <> 2; UPDATE whimbrel_guard SET busy = 0; COMMIT;")
        expect_words(pair.run("verify", "--repair", "--yes"), "0 differ, 2 were put right", "1 row holds values that the old side has no place for")
        are(pair.old(), [(1, "a", 1), (2, "b", 2), (3, "c", 3)])


def what_is_no_file_is_written_to():
    with Pair(ROWS, PLAIN.format("n")) as pair:
        pair.run("run", "--yes")
        pipe, link, file = (pair.folder / name for name in ("pipe", "link", "file"))
        os.mkfifo(pipe)
        link.symlink_to("file")
        file.write_text("old")
        with open(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)) as reader:
            for path in (pipe, link):
                printed = subprocess.run([BINARY, "init", "sqlite:app.db", "--output", str(path), "--force"], cwd=pair.folder,
                                         capture_output=True, text=True, timeout=60)
                are(printed.returncode, 0, printed.stderr)
            expect_words(reader.read(), "whimbrel: 1")
        assert stat.S_ISFIFO(pipe.lstat().st_mode) and link.is_symlink(), "it was replaced"
        expect_words(file.read_text(), "whimbrel: 1")
        for words in (["report", "plan.yaml", "--runbook"], ["schema"], ["status", "plan.yaml"]):
            with open("/dev/full", "w") as full:
                done = subprocess.run([BINARY, *words], cwd=pair.folder, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
            are(done.returncode, 3, words)
            expect_words(done.stderr, "could be written")


TESTS = [rows_that_go_with_their_parents_are_no_orphans, a_row_that_goes_from_one_new_table_to_another_is_not_lost,
         what_is_deleted_on_one_of_two_new_sides_is_deleted,
         a_stop_while_writers_are_held_switches_nothing, a_row_of_the_application_s_own_kind_is_no_error_of_a_comparison,
         a_row_that_the_old_side_does_not_let_go_is_named, a_row_that_the_old_side_cannot_hold_keeps_no_others_back, what_is_no_file_is_written_to]

if __name__ == "__main__":
    main(*TESTS)

"""The way back after `finish`: the old tables come back, with what was written since."""
import random
import sqlite3
import subprocess
import time

from refusals import changed, expect_words
from verbs import Shop, everything
from whimbrel import BINARY, World, main
from window import Writer

OLD_ONLY = "lost TEXT DEFAULT 'of before'"


def ending(sync, finish, rows=200):
    """A world whose old table has a column that the plan drops, and with another ending."""
    world = World(rows=rows, sync=sync)
    with world.connect() as c:
        c.execute('ALTER TABLE "old orders" ADD COLUMN ' + OLD_ONLY)
        c.execute("CREATE INDEX \"by who\" ON \"old orders\"(who, \"select\")")
        c.execute("UPDATE \"old orders\" SET lost = 'only here ' || id")
        c.execute("INSERT INTO switches VALUES ('use_new', 7)")
    changed(world, "rest: forbid", "rest: drop")
    changed(world, "rename_source_to: orders archive, view: true", finish)
    return world


def new_application_writes(world, mark):
    """Returns what the old table has to say about it."""
    with world.connect() as c:
        c.execute("INSERT INTO \"new {orders}\" (key, customer, doc, label) VALUES (?, ?, '{\"note\":\"hi\"}', 'mine')",
                  ("born " + mark, mark))
        c.execute("UPDATE \"new {orders}\" SET customer = ?, doc = '{\"note\":\"later\"}' WHERE key LIKE 'k0001%'", (mark,))
        c.execute("DELETE FROM \"new {orders}\" WHERE key LIKE ?", ("k0002%d%%" % (len(mark) % 10),))


def want(before, marks):
    old = dict(before)
    for mark in marks:
        for key in before:
            if key in old and key.startswith("k0001"):
                row = old[key]
                old[key] = row[:1] + (mark,) + row[2:5] + ("later",) + row[6:]
            if key.startswith("k0002%d" % (len(mark) % 10)):
                old.pop(key, None)
        old["born " + mark] = ("born " + mark, mark, "none", None, None, "hi", None, "of before")
    return old


def is_as_before(world, before, schema, marks):
    old, wanted = world.old_rows(), want(before, marks)
    assert set(old) == set(wanted), "keys differ: %s" % sorted(set(old) ^ set(wanted))[:5]
    wrong = [(old[k], wanted[k]) for k in old if old[k] != wanted[k]]
    assert not wrong, "%d rows are not as they should be, like %r, not %r" % (len(wrong), *wrong[0])
    assert world.schema() == schema, "the schema differs: %s" % sorted(set(world.schema()) ^ set(schema))
    with world.connect() as c:
        assert c.execute("SELECT * FROM switches").fetchall() == [("use_new", 7)]


ENDINGS = ["rename_source_to: orders archive, view: true", "rename_source_to: orders archive", "keep_source: true",
           "keep_source: false", "keep_source: false, view: true"]


def back_after_the_end(sync, finish, kill=None):
    world = ending(sync, finish)
    before, schema = world.old_rows(), world.schema()
    world.run("run", "--yes")
    new_application_writes(world, "first")
    world.run("finish", "--yes")
    assert not world.own_objects(), world.own_objects()
    new_application_writes(world, "second one")
    if "drop_after" in finish:
        _, out, _ = world.run("finish", "--yes")
        expect_words(out, "the archive orders archive is removed")
        new_application_writes(world, "third time")
    marks = ["first", "second one"] + ["third time"] * ("drop_after" in finish)
    _, out, _ = world.run("status")
    expect_words(out, "the old tables can be brought back")
    _, out, _ = world.run("rollback", "--dry-run")
    expect_words(out, "would bring the old tables back")
    while kill:
        process = world.start("rollback", "--yes")
        try:
            process.communicate(timeout=kill.pop())
            assert process.returncode == 0, process.returncode
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
    world.run("rollback", "--yes")
    is_as_before(world, before, schema, marks)
    world.run("rollback", "--yes")
    world.run("run", "--yes")
    world.run("verify")
    assert world.new_rows()["born first"][6] == "mine", "what only the new side could hold was not put back"
    world.close()


def back_after_the_end_dual():
    for finish in ENDINGS[:2] + ENDINGS[3:]:
        back_after_the_end("dual", finish)


def back_after_the_end_capture():
    for finish in [ENDINGS[2], ENDINGS[3]]:
        back_after_the_end("capture", finish)


def killed_while_the_archive_is_restored():
    world = ending("capture", "keep_source: false", rows=20000)
    before, schema = world.old_rows(), world.schema()
    world.run("run", "--yes")
    world.run("finish", "--yes")
    new_application_writes(world, "first")
    process = world.start("rollback", "--yes")
    rows = 0
    while rows == 0 and process.poll() is None:
        try:
            rows = len(world.old_rows())
        except sqlite3.Error:
            pass  # it is not there yet
    process.kill()
    process.communicate()
    assert process.returncode != 0, "it was too late for a kill"
    world.run("rollback", "--yes")
    is_as_before(world, before, schema, ["first"])
    world.close()


def writers_go_on_while_the_old_table_comes_back():
    for sync, finish in [("dual", ENDINGS[3]), ("capture", ENDINGS[1])]:
        world = ending(sync, finish)
        with world.connect() as c:
            c.execute("UPDATE switches SET state = 0")
        schema = world.schema()
        writer = Writer(world, [world.row(i)[0] for i in range(40)] + ["born %d" % i for i in range(20)])
        world.run("run", "--yes")
        time.sleep(0.1)
        world.run("finish", "--yes")
        time.sleep(0.1)
        world.run("rollback", "--yes")
        time.sleep(0.1)
        writer.end()
        assert not writer.failure and all(writer.wrote), writer.wrote
        writer.is_on(0)
        assert world.schema() == schema, "the schema differs: %s" % sorted(set(world.schema()) ^ set(schema))
        world.close()


def an_archive_in_a_relative_folder_is_found():
    world = ending("dual", "keep_source: false")
    changed(world, 'backup: {of: [source], to: "file:backup"}\n', "")
    before, schema = world.old_rows(), world.schema()
    world.run("run", "--yes")
    subprocess.run([BINARY, "finish", "plan.yaml", "--yes", "--backup", "file:kept"], check=True, capture_output=True,
                   cwd=world.folder, env=world.environment())
    world.run("rollback", "--yes")
    is_as_before(world, before, schema, [])
    world.close()


def back_after_the_archive_was_dropped():
    for sync in ["dual", "capture"]:
        back_after_the_end(sync, "rename_source_to: orders archive, view: true, drop_after: 0s")


def a_finish_that_is_refused_archives_nothing():
    for sync in ["dual", "capture"]:
        world = ending(sync, "keep_source: false")
        changed(world, "after: 0s", "after: 7d")
        before, schema = world.old_rows(), world.schema()
        world.run("run", "--yes", "--until", "verify")
        world.run("finish", "--yes", expect=3)
        world.run("run", "--yes")
        _, _, err = world.run("finish", "--yes", expect=3)
        expect_words(err, "too early", "nothing was changed")
        with world.connect() as c:  # a nightly job that knows the old table only
            c.execute("UPDATE \"old orders\" SET lost = 'of the week' WHERE id LIKE 'k0003%'")
        new_application_writes(world, "first")
        world.run("finish", "--yes", "--after", "0s")
        world.run("rollback", "--yes")
        before = {k: r[:7] + ("of the week",) if k.startswith("k0003") else r for k, r in before.items()}
        is_as_before(world, before, schema, ["first"])
        world.close()


def without_archive_and_backup_it_is_said():
    world = ending("dual", "keep_source: false")
    changed(world, 'backup: {of: [source], to: "file:backup"}\n', "")
    before, schema = world.old_rows(), world.schema()
    kept = "file:" + str(world.folder / "kept")
    world.run("run", "--yes")
    world.run("backup", kept)
    world.run("finish", "--yes", "--no-backup")
    new = everything(world)
    _, _, err = world.run("rollback", "--yes", expect=3)
    expect_words(err, "there is neither an archive nor a backup", "whimbrel restore", "nothing was changed")
    assert everything(world) == new, "something was changed"
    subprocess.run([BINARY, "restore", kept, "sqlite:" + str(world.db), "--yes"], check=True, capture_output=True)
    world.run("rollback", "--yes")
    is_as_before(world, before, schema, [])
    world.close()


def killed_on_the_way_back():
    chance = random.Random(5)
    for sync, finish in [("dual", ENDINGS[0]), ("capture", ENDINGS[2])]:
        back_after_the_end(sync, finish, kill=[chance.uniform(0.005, 0.15) for _ in range(6)])


def what_the_old_table_refuses_waits_for_the_next_attempt():
    for sync in ["dual", "capture"]:
        world = World(rows=0, sync=sync)
        with world.connect() as c:
            c.executescript("DROP TABLE \"old orders\"; CREATE TABLE \"old orders\" (id TEXT PRIMARY KEY, who TEXT NOT NULL, "
                            "\"select\" TEXT, qty INTEGER CHECK (qty < 100), price REAL, note TEXT, \"it's\" TEXT);"
                            "INSERT INTO \"old orders\" (id, who, qty) VALUES ('a', 'A', 1);")
        schema = world.schema()
        world.run("run", "--yes")
        world.run("finish", "--yes")
        insert = "INSERT INTO \"new {orders}\" (key, customer, quantity, doc) VALUES (?, 'x', ?, '{}')"
        with world.connect() as c:
            c.execute(insert, ("too many", 500))
        _, _, err = world.run("rollback", "--yes")
        expect_words(err, "1 row of the new side had what the old one has no place for")
        assert {k: r[3] for k, r in world.old_rows().items()} == {"a": 1}
        world.run("run", "--yes")
        assert {k: r[3] for k, r in world.new_rows().items()} == {"a": 1, "too many": 500}, world.new_rows()
        with world.connect() as c:
            c.execute("UPDATE \"new {orders}\" SET quantity = 99 WHERE quantity > 99")
        world.run("rollback", "--yes")
        # A link writes to rows that are there: under links it waits on, as it is by now.
        wanted = {"a": 1} if sync == "dual" else {"a": 1, "too many": 99}
        assert {k: r[3] for k, r in world.old_rows().items()} == wanted, (sync, world.old_rows())
        assert world.schema() == schema
        world.close()


def a_dropped_old_table_comes_back_before_the_end():
    for sync in ["dual", "capture"]:
        world = ending(sync, "keep_source: true")
        before, schema = world.old_rows(), world.schema()
        world.run("run", "--yes")
        new_application_writes(world, "first")
        with world.connect() as c:
            c.execute('DROP TABLE "old orders"')
        world.run("rollback", "--yes")
        is_as_before(world, before, schema, ["first"])
        world.close()


def several_tables_come_back_with_their_triggers():
    for keep in ["false", "true"]:
        world = Shop()
        world.plan.write_text(world.plan.read_text() + "finish: {after: 0s, keep_source: %s}\n" % keep)
        with world.connect() as c:
            c.executescript("CREATE TABLE audit (nr, more); CREATE UNIQUE INDEX u ON \"our people\"(name); CREATE TRIGGER ours "
                            "AFTER DELETE ON bought BEGIN INSERT INTO audit (nr) VALUES (OLD.nr); END;")
        before = everything(world)
        world.run("run", "--yes")
        world.run("finish", "--yes")
        assert ("bought" in everything(world)[1]) == (keep == "true")
        world.run("rollback", "--yes")
        assert everything(world) == before
        world.close()


TESTS = [back_after_the_end_dual, back_after_the_end_capture, killed_on_the_way_back,
         without_archive_and_backup_it_is_said, several_tables_come_back_with_their_triggers,
         a_dropped_old_table_comes_back_before_the_end, an_archive_in_a_relative_folder_is_found,
         back_after_the_archive_was_dropped, killed_while_the_archive_is_restored,
         a_finish_that_is_refused_archives_nothing, writers_go_on_while_the_old_table_comes_back,
         what_the_old_table_refuses_waits_for_the_next_attempt]

if __name__ == "__main__":
    main(*TESTS)

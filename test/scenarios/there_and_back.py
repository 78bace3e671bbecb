"""A migration there, back, and there again, by what a user types; and what is left of it."""
import os
import time

from whimbrel import World, main


def whole_way(sync, journal_mode="wal"):
    world = World(rows=400, sync=sync, journal_mode=journal_mode)
    before, schema = world.old_rows(), world.schema()
    world.run("check")
    world.run("analyze")
    assert world.schema() == schema and world.old_rows() == before, "analyze changed something"
    world.run("run", "--yes", "--until", "verify")
    world.compare()
    with world.connect() as c:  # the old application goes on
        c.execute("INSERT INTO \"old orders\" VALUES ('live', 'w', NULL, 1, 0.5, 'n', NULL)")
        c.execute("INSERT INTO \"old orders\" VALUES ('null stays', 'w', NULL, 1, 0.5, 'n', NULL)")
        c.execute("UPDATE \"old orders\" SET note = 'changed', qty = NULL WHERE id LIKE 'k0001%'")
        c.execute("DELETE FROM \"old orders\" WHERE id LIKE 'k0002%'")
        c.execute("UPDATE \"old orders\" SET id = 'moved' WHERE id LIKE 'k00030%'")
        c.execute("INSERT OR REPLACE INTO \"old orders\" VALUES ('live', 'again', 's', 2, 1.5, NULL, 'q')")
    world.run("run", "--yes")
    world.compare()
    with world.connect() as c:  # the new application writes
        assert c.execute("SELECT state FROM switches WHERE name = 'use_new'").fetchone() == (1,)
        c.execute("INSERT INTO \"new {orders}\" (key, customer, doc) VALUES ('born-new', 'n', '{\"note\":\"hi\"}')")
        c.execute("UPDATE \"new {orders}\" SET customer = 'updated', label = 'mine' WHERE key = 'live'")
        c.execute("DELETE FROM \"new {orders}\" WHERE key = 'moved'")
        c.execute("UPDATE \"new {orders}\" SET label = 'only here' WHERE key LIKE 'k00100%'")
    world.run("verify")
    world.run("rollback", "--yes")
    old = world.old_rows()
    assert old["born-new"][1] == "n" and old["born-new"][5] == "hi", old.get("born-new")
    assert old["live"][1] == "updated", old["live"]
    assert "moved" not in old
    assert old["null stays"][2] is None, "a null became a default on its way there and back"
    untouched = [k for k in before if k.startswith("k003")]
    assert all(old[k] == before[k] for k in untouched), "rows that nobody touched were changed"
    assert world.schema() == schema, "left behind: %s" % sorted(set(world.schema()) ^ set(schema))
    world.run("run", "--yes")
    new = world.new_rows()
    assert new["live"][6] == "mine" and [r[6] for k, r in new.items() if k.startswith("k00100")] == ["only here"], \
        "what only the new side could hold was not put back"
    world.run("verify", "--sample", "100")
    world.run("finish", "--yes")
    with world.connect() as c:
        view = c.execute("SELECT type FROM sqlite_master WHERE name = 'old orders'").fetchone()
        assert view == ("view",), view
        assert c.execute("SELECT who, note FROM \"old orders\" WHERE id = 'born-new'").fetchone() == ("n", "hi")
        assert c.execute("SELECT count(*) FROM \"orders archive\"").fetchone()[0] == len(new)
    assert not world.own_objects(), world.own_objects()
    world.run("run", "--yes")  # done already
    world.run("report")
    world.close()


def dual_in_wal_mode():
    whole_way("dual")


def dual_with_a_rollback_journal():
    whole_way("dual", "delete")


def capture_in_wal_mode():
    whole_way("capture")


def every_goal_by_name_in_turn():
    world = World(rows=120)
    for goal in ["backup", "prepare", "copy", "follow", "verify", "watch", "verify", "backup"]:
        world.run("run", "--yes", "--until", goal)
    world.compare()
    world.run("rollback", "--yes")
    world.run("rollback", "--yes")
    world.close()


def backup_and_restore_into_another_file():
    world = World(rows=300)
    world.run("backup", "file:" + str(world.folder / "kept"))
    other = world.folder / "other.db"
    import sqlite3, subprocess
    from whimbrel import BINARY
    sqlite3.connect(other).execute("CREATE TABLE unrelated (a)").connection.close()
    done = subprocess.run([BINARY, "restore", "file:" + str(world.folder / "kept"), "sqlite:" + str(other), "--yes"],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    c = sqlite3.connect(other)
    assert {r[0]: r for r in c.execute('SELECT * FROM "old orders"')} == world.old_rows()
    world.close()


def the_archive_goes_when_its_time_has_come():
    world = World(rows=50)
    world.plan.write_text(world.plan.read_text().replace("view: true}", "view: true, drop_after: 30d}"))
    world.run("run", "--yes")
    world.run("finish", "--yes")
    _, out, _ = world.run("finish", "--yes")
    assert "stays until" in out, out
    with world.connect() as c:
        assert c.execute("SELECT count(*) FROM sqlite_master WHERE name = 'orders archive'").fetchone() == (1,)
    world.close()


COMMAND = '''[{command: [sh, -c, "%s"], undo: [rm, -f, flag], state: [sh, -c, "test -e flag"]}]'''


def with_command(world, command):
    text = world.plan.read_text()
    row = "[{row: db/switches, key: {name: use_new}, set: {state: 1}, create: true}]"
    assert row in text
    world.plan.write_text(text.replace(row, COMMAND % command))


def a_command_switches_and_its_undo_goes_back():
    world = World(rows=60)
    with_command(world, "touch flag")
    world.run("run", "--yes")
    assert (world.folder / "flag").exists(), "the command was not run in the plan's folder"
    world.run("rollback", "--yes")
    assert not (world.folder / "flag").exists()
    world.close()


def an_unknown_outcome_is_a_persons_decision():
    for decision, phase in [("switched", "watching"), ("not-switched", "following")]:
        world = World(rows=60)
        with_command(world, "exit 7")
        text = world.plan.read_text().replace('state: [sh, -c, "test -e flag"]', 'state: [sh, -c, "exit 9"]')
        world.plan.write_text(text)
        _, _, err = world.run("run", "--yes", expect=1)
        assert "may or may not have flipped" in err and "--decide" in err, err
        world.run("run", "--yes", expect=3)
        world.run("cutover", "--yes", "--decide", decision)
        _, out, _ = world.run("status", "--json")
        import json
        assert json.loads(out.splitlines()[0])["phase"] == phase, out
        world.compare()
        world.run("rollback", "--yes", expect=None)
        world.close()


def a_runner_is_paused_goes_on_and_rolls_back_when_asked():
    world = World(rows=4000)
    text = world.plan.read_text()
    world.plan.write_text(text.replace("limits: {batch_size: 50}", "limits: {batch_size: 50, rows_per_s: 1500}"))
    schema = world.schema()
    runner = world.start("run", "--yes", "--stay")
    lock = world.folder / ".whimbrel" / "scenario" / "journal.db.lock"
    for _ in range(200):
        if lock.exists() and lock.read_text():
            break
        time.sleep(0.05)
    time.sleep(0.5)
    world.run("pause")

    def count():
        try:
            return len(world.new_rows())
        except Exception:
            return 0
    time.sleep(0.3)
    first = count()
    time.sleep(0.7)
    assert count() == first < 4000, "it went on while paused"
    world.run("limits", "rows_per_s=1000000")
    world.run("resume")
    for _ in range(300):
        if count() == 4000:
            break
        time.sleep(0.1)
    assert count() == 4000
    world.run("verify", expect=None)
    world.run("rollback", "--yes")
    runner.communicate(timeout=60)
    assert world.schema() == schema
    world.close()


def a_database_of_another_journal_is_left_alone():
    world = World(rows=50)
    world.run("run", "--yes", "--until", "verify")
    _, _, err = world.run("run", "--yes", "--state", str(world.folder / "elsewhere"), expect=3)
    assert "another state folder" in err or "another journal" in err, err
    world.compare()
    world.close()


if __name__ == "__main__":
    main(dual_in_wal_mode, dual_with_a_rollback_journal, capture_in_wal_mode, every_goal_by_name_in_turn,
         backup_and_restore_into_another_file, the_archive_goes_when_its_time_has_come,
         a_database_of_another_journal_is_left_alone, a_command_switches_and_its_undo_goes_back,
         an_unknown_outcome_is_a_persons_decision, a_runner_is_paused_goes_on_and_rolls_back_when_asked)

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
    assert all(r[2] is None for k, r in old.items() if r[2] is None), "a null became a default"
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


def a_database_of_another_journal_is_left_alone():
    world = World(rows=50)
    world.run("run", "--yes", "--until", "verify")
    _, _, err = world.run("run", "--yes", "--state", str(world.folder / "elsewhere"), expect=3)
    assert "already" in err or "another journal" in err, err
    world.compare()
    world.close()


if __name__ == "__main__":
    main(dual_in_wal_mode, dual_with_a_rollback_journal, capture_in_wal_mode, every_goal_by_name_in_turn,
         backup_and_restore_into_another_file, the_archive_goes_when_its_time_has_come,
         a_database_of_another_journal_is_left_alone)

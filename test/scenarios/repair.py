"""`verify --repair`: what differs on the side that does not serve is put right, and what gave way is written down."""
import json
import signal
import time

from refusals import expect_words
from whimbrel import World, main


def behind_the_triggers(world, *statements):
    """Somebody writes where no trigger sees it."""
    with world.connect() as c:
        triggers = c.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            c.execute('DROP TRIGGER "%s"' % name)
        for statement in statements:
            c.execute(statement)
        for _, sql in triggers:
            c.execute(sql)


def what_differs_is_put_right():
    for sync, until in [("dual", "verify"), ("dual", "watch"), ("capture", "verify"), ("capture", "watch")]:
        world = World(rows=60, sync=sync)
        world.run("run", "--yes", "--until", until)
        table, key, who = ('"new {orders}"', "key", "customer") if until == "verify" else ('"old orders"', "id", "who")
        old, new = world.old_rows(), world.new_rows()
        behind_the_triggers(world, "UPDATE %s SET %s = 'wrong' WHERE %s LIKE 'k00001%%'" % (table, who, key),
                            "DELETE FROM %s WHERE %s LIKE 'k00002%%'" % (table, key),
                            "INSERT INTO %s (%s, %s) VALUES ('extra', 'nobody')" % (table, key, who))
        _, out, _ = world.run("verify", expect=1)
        expect_words(out, "different: 60 rows compared, 3 differ")
        world.run("verify", "--repair", "--dry-run", expect=1)
        world.run("verify", "--repair", expect=2)
        file = world.folder / ".whimbrel" / "scenario" / "repaired.jsonl"
        assert not file.exists(), "it was repaired without a yes"
        _, out, _ = world.run("verify", "--repair", "--yes")
        expect_words(out, "60 rows compared, 0 differ, 3 were put right", "repaired.jsonl")
        assert file.stat().st_mode & 0o777 == 0o600, oct(file.stat().st_mode)
        gave_way = [json.loads(line) for line in file.read_text().splitlines()]
        assert ["nobody" in str(g["before"]) for g in gave_way] == [True, False, False], gave_way
        assert "'wrong'" in gave_way[1]["before"].values() and gave_way[2]["before"] is None, gave_way
        assert (world.old_rows(), world.new_rows()) == (old, new), "not as it was before the damage"
        _, out, _ = world.run("verify", "--repair", "--yes")
        assert "put right" not in out and len(file.read_text().splitlines()) == 3, out
        world.run("rollback", "--yes")
        assert world.old_rows() == old
        world.close()


def repair_is_refused_beside_a_runner_and_too_early():
    world = World(rows=40)
    world.run("verify", "--repair", "--yes", expect=3)
    world.run("run", "--yes", "--until", "prepare")
    _, _, err = world.run("verify", "--repair", "--yes", expect=3)
    expect_words(err, "there is nothing to compare while the migration is prepared")
    runner = world.start("run", "--yes", "--stay")
    switched = []
    while not switched:
        time.sleep(0.05)
        with world.connect() as c:
            switched = c.execute("SELECT * FROM switches").fetchall()
    _, _, err = world.run("verify", "--repair", "--yes", expect=3)
    expect_words(err, "another runner is at work")
    runner.send_signal(signal.SIGINT)
    runner.communicate(timeout=30)
    world.close()


def mending_does_not_lose_writes():
    for mend in [True, False]:
        world = World(rows=20, sync="capture")
        key = world.row(3)[0]
        world.run("run", "--yes", "--until", "verify")
        with world.connect() as c:
            c.execute("UPDATE \"old orders\" SET who = 'old, before the switch' WHERE id = ?", (key,))
        world.run("run", "--yes")
        with world.connect() as c:
            for (name,) in c.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                c.execute('DROP TRIGGER "%s"' % name)
        if mend:
            world.run("run", "--yes")
        with world.connect() as c:
            c.execute("UPDATE \"new {orders}\" SET customer = 'new, after it' WHERE key = ?", (key,))
        world.run("rollback", "--yes")
        assert world.old_rows()[key][1] == "new, after it", world.old_rows()[key]
        world.close()


TESTS = [what_differs_is_put_right, repair_is_refused_beside_a_runner_and_too_early, mending_does_not_lose_writes]

if __name__ == "__main__":
    main(*TESTS)

"""A hundred deaths: SIGKILL at random moments of every verb ends where an undisturbed run ends."""
import os
import random
import signal
import subprocess
import sys

from whimbrel import World, main

DEATHS = int(os.environ.get("SCENARIO_DEATHS", "100"))
SEED = int(os.environ.get("SCENARIO_SEED", "20261120"))


def until_it_lives(world, rnd, deaths, *arguments, longest):
    """Kills the verb again and again, then lets it end. Gives how often it died."""
    died = 0
    while died < deaths:
        process = world.start(*arguments)
        try:
            process.communicate(timeout=rnd.uniform(0.005, longest))
            return died
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            died += 1
    world.run(*arguments)
    return died


def write_old(world, n):
    with world.connect() as c:
        c.execute("INSERT INTO \"old orders\" VALUES (?, 'w', NULL, 1, 0.5, 'n', NULL)", ("live%d" % n,))
        c.execute("UPDATE \"old orders\" SET note = ? WHERE id LIKE ?", ("c%d" % n, "k00%03d%%" % n))


def write_new(world, n):
    with world.connect() as c:
        c.execute("INSERT INTO \"new {orders}\" (key, customer, doc) VALUES (?, 'n', '{}')", ("new%d" % n,))
        c.execute("UPDATE \"new {orders}\" SET customer = ? WHERE key LIKE ?", ("u%d" % n, "k00%03d%%" % n))


def one_life(rnd, sync, deaths):
    world = World(rows=600, sync=sync)
    schema = world.schema()
    died = until_it_lives(world, rnd, deaths // 4, "run", "--yes", "--until", "verify", longest=0.25)
    world.compare()
    write_old(world, 1)
    died += until_it_lives(world, rnd, deaths // 4, "run", "--yes", longest=0.08)
    write_new(world, 2)
    died += until_it_lives(world, rnd, deaths // 4, "rollback", "--yes", longest=0.08)
    old = world.old_rows()
    assert "live1" in old and "new2" in old, "a write was lost"
    assert [r[1] for k, r in old.items() if k.startswith("k00002")] == ["u2"], "an update was lost"
    assert world.schema() == schema, "left behind: %s" % sorted(set(world.schema()) ^ set(schema))
    world.run("run", "--yes")
    world.compare() if sync == "dual" else world.run("verify")
    died += until_it_lives(world, rnd, deaths - 3 * (deaths // 4), "finish", "--yes", longest=0.04)
    with world.connect() as c:
        assert c.execute("SELECT type FROM sqlite_master WHERE name = 'old orders'").fetchone() == ("view",)
    assert not world.own_objects(), world.own_objects()
    world.close()
    return died


def many_lives():
    rnd = random.Random(SEED)
    died = 0
    lives = 0
    while died < DEATHS:
        died += one_life(rnd, "dual" if lives % 3 else "capture", 24)
        lives += 1
        assert lives < 60, "it is hardly ever killed: %d deaths" % died
    print("%d deaths in %d lives" % (died, lives))


if __name__ == "__main__":
    main(many_lives)

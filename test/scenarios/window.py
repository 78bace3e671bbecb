"""`sync: none`: nothing beside the copy, and a window in which writers are held and everything is compared."""
import json
import random
import sqlite3
import threading
import time

from refusals import changed, expect_words
from whimbrel import World, main

SIDES = {0: ('"old orders"', "id", "who"), 1: ('"new {orders}"', "key", "customer")}


def window_world(rows=400, window="{max: 20s, forecast: warn}"):
    world = World(rows=rows, sync="none")
    changed(world, "max_hold: 2s", "window: " + window)
    return world


class Writer(threading.Thread):
    """An application that asks the switch in each transaction, and keeps a book of what it wrote."""

    def __init__(self, world, keys, pause=0.002, seed=7):
        super().__init__(daemon=True)
        self.world, self.keys, self.pause = world, keys, pause
        self.book, self.refused, self.wrote, self.ended = {}, [], [0, 0], False
        self.random = random.Random(seed)
        self.failure = None
        self.start()

    def run(self):
        connection = sqlite3.connect(self.world.db, timeout=5, isolation_level=None)
        while not self.ended:
            key, act = self.random.choice(self.keys), self.random.random()
            who = None if act < 0.15 else "written %d" % self.random.randrange(10 ** 9)
            try:
                connection.execute("BEGIN IMMEDIATE")
                on = connection.execute("SELECT state FROM switches WHERE name = 'use_new'").fetchone() or (0,)
                table, id_column, who_column = SIDES[on[0]]
                if who is None:
                    connection.execute("DELETE FROM %s WHERE %s = ?" % (table, id_column), (key,))
                elif not connection.execute("UPDATE %s SET %s = ? WHERE %s = ?" % (table, who_column, id_column),
                                            (who, key)).rowcount:
                    connection.execute("INSERT INTO %s (%s, %s) VALUES (?, ?)" % (table, id_column, who_column),
                                       (key, who))
                connection.execute("COMMIT")
                self.book[key] = who
                self.wrote[on[0]] += 1
            except sqlite3.Error as failure:
                self.refused.append((time.monotonic(), str(failure)))
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            time.sleep(self.pause)
        connection.close()

    def end(self):
        self.ended = True
        self.join(20)

    def is_on(self, side):
        """Every word of the book is there, and nothing else under these keys."""
        table, id_column, who_column = SIDES[side]
        with self.world.connect() as c:
            found = dict(c.execute("SELECT %s, %s FROM %s" % (id_column, who_column, table)))
        wrong = {k: (found.get(k), who) for k, who in self.book.items() if found.get(k) != who}
        assert not wrong, "lost: %s" % dict(list(wrong.items())[:3])


def on_the_source(world):
    """What the source has of whimbrel's, but for its claim."""
    with world.connect() as c:
        triggers = c.execute("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'old orders'").fetchall()
    return triggers


def keys(world, some=40):
    return [world.row(i)[0] for i in range(some)] + ["born %d" % i for i in range(20)]


def phase(world):
    _, out, _ = world.run("status", "--json")
    return json.loads(out.splitlines()[0])["phase"]


def there_and_back_with_a_writer_beside():
    world = window_world(rows=3000)
    before, schema = world.old_rows(), world.schema()
    writer = Writer(world, keys(world))
    world.run("run", "--yes", "--until", "verify")
    assert not writer.refused, "held before the window: %s" % writer.refused[:2]
    assert world.own_objects() == ["whimbrel_claims"], world.own_objects()
    world.run("verify")
    time.sleep(0.1)  # somebody writes, and nothing notes it
    assert on_the_source(world) == []
    world.run("run", "--yes")
    time.sleep(0.2)
    assert writer.wrote[0] and writer.wrote[1], writer.wrote
    if writer.refused:
        assert writer.refused[-1][0] - writer.refused[0][0] < 10, "held for too long"
    world.run("verify")
    writer.end()
    writer.is_on(1)
    world.run("verify")
    writer = Writer(world, keys(world), seed=8)
    time.sleep(0.1)
    world.run("rollback", "--yes")
    time.sleep(0.1)
    writer.end()
    writer.is_on(0)
    old = world.old_rows()
    assert all(old[k] == before[k] for k in before if k > world.row(60)[0]), "rows that nobody touched were changed"
    assert world.schema() == schema, sorted(set(world.schema()) ^ set(schema))
    world.run("run", "--yes")
    writer.is_on(1)
    world.run("verify")
    world.run("finish", "--yes")
    assert not world.own_objects(), world.own_objects()
    world.close()


def differences_are_carried_over_in_the_window():
    world = window_world(rows=200)
    world.run("run", "--yes", "--until", "verify")
    with world.connect() as c:
        c.execute("DELETE FROM \"old orders\" WHERE id LIKE 'k0001%'")
        c.execute("UPDATE \"old orders\" SET note = 'new', \"it's\" = NULL, \"select\" = NULL WHERE id LIKE 'k0002%'")
        c.execute("UPDATE \"old orders\" SET id = 'moved' WHERE id LIKE 'k00030%'")
        c.execute("INSERT INTO \"old orders\" SELECT id || 'b', who, \"select\", qty, price, note, \"it's\" "
                  "FROM \"old orders\" WHERE id LIKE 'k0004%'")
    world.run("cutover", "--yes")
    world.compare()
    with world.connect() as c:
        assert c.execute("SELECT state FROM switches").fetchall() == [(1,)]
    world.close()


def a_window_that_is_too_short_is_given_up():
    world = window_world(rows=6000, window="{max: 20ms, forecast: warn}")
    writer = Writer(world, keys(world))
    _, out, err = world.run("run", "--yes", expect=1)
    expect_words(out + err, "nothing is switched")
    last = time.monotonic()
    time.sleep(0.2)
    assert not [r for r in writer.refused if r[0] > last + 0.1], "still held"
    assert writer.wrote[1] == 0
    assert on_the_source(world) == [], on_the_source(world)
    assert phase(world) == "following", phase(world)
    writer.end()
    writer.is_on(0)
    world.run("rollback", "--yes")
    assert not world.own_objects()
    writer.is_on(0)
    world.close()


def a_window_forecast_to_be_too_short_is_refused():
    world = window_world(rows=6000, window="{max: 10ms, forecast: refuse}")
    writer = Writer(world, keys(world))
    _, out, err = world.run("run", "--yes", expect=3)
    expect_words(err, "forecast", "nobody was held and nothing is switched")
    assert not writer.refused, writer.refused[:2]
    writer.end()
    assert on_the_source(world) == [] and phase(world) == "following"
    with world.connect() as c:
        assert not c.execute("SELECT * FROM switches").fetchall()
    world.run("rollback", "--yes")
    writer.is_on(0)
    world.close()


def killed_at_any_moment_it_goes_on():
    chance = random.Random(11)
    for _ in range(2):
        world = window_world(rows=2000, window="{max: 2s, forecast: warn}")
        schema = world.schema()
        writer = Writer(world, keys(world))
        for verb, side in [("run", 1), ("rollback", 0)]:
            for _ in range(5):
                process = world.start(verb, "--yes")
                try:
                    process.communicate(timeout=chance.uniform(0.01, 0.35))
                except Exception:
                    process.kill()
                    process.communicate()
            for _ in range(3):  # writers of a hold that died may need its deadline
                code, out, err = world.run(verb, "--yes", expect=None)
                if code == 0:
                    break
            assert code == 0, out + err
            time.sleep(0.1)
            if side == 1:
                world.run("verify")
                assert writer.wrote[1], "nobody reached the new side"
        writer.end()
        writer.is_on(0)
        assert world.schema() == schema, sorted(set(world.schema()) ^ set(schema))
        world.close()


def between_two_files_the_source_stays_clean():
    world = window_world(rows=300)
    other = world.folder / "other.db"
    changed(world, 'stores: {db: "sqlite:${SCENARIO_DB}"}', 'stores: {db: "sqlite:${SCENARIO_DB}", far: "sqlite:other.db"}')
    changed(world, "to: 'db/", "to: 'far/")
    changed(world, ", view: true", "")
    sqlite3.connect(other).execute("CREATE TABLE theirs (a)").connection.close()
    before, schema = world.old_rows(), world.schema()
    world.run("run", "--yes", "--until", "verify")
    assert world.own_objects() == ["whimbrel_claims"], world.own_objects()
    with world.connect() as c:
        c.execute("UPDATE \"old orders\" SET who = 'late' WHERE id LIKE 'k0001%'")
    world.run("run", "--yes")
    with sqlite3.connect(other) as c:
        assert c.execute("SELECT count(*) FROM \"new {orders}\" WHERE customer = 'late'").fetchone() == (10,)
        c.execute("UPDATE \"new {orders}\" SET customer = 'new' WHERE key LIKE 'k0001%'")
    world.run("rollback", "--yes")
    old = world.old_rows()
    assert all(old[k] == (before[k] if not k.startswith("k0001") else before[k][:1] + ("new",) + before[k][2:])
               for k in before), "not what it was"
    assert world.schema() == schema, world.schema()
    with sqlite3.connect(other) as c:
        assert c.execute("SELECT name FROM sqlite_master").fetchall() == [("theirs",)]
    world.close()


def a_plan_without_a_window_is_refused():
    world = World(rows=3, sync="none")
    _, _, err = world.run("check", expect=2)
    expect_words(err, "does not say for how long", "window: {max: 30m}")
    changed(world, "sync: none", "sync: capture")
    changed(world, "max_hold: 2s", "window: {max: 2s}")
    world.run("check")
    changed(world, "sync: capture", "sync: dual")
    _, _, err = world.run("check", expect=2)
    expect_words(err, "under `sync: dual` nobody is held, and no window is needed")
    changed(world, "sync: dual", "sync: none")
    changed(world, "window: {max: 2s}", "window: {forecast: refuse}")
    _, _, err = world.run("check", expect=2)
    expect_words(err, "a window needs `max:`")
    world.close()


TESTS = [there_and_back_with_a_writer_beside, differences_are_carried_over_in_the_window, killed_at_any_moment_it_goes_on,
         between_two_files_the_source_stays_clean, a_plan_without_a_window_is_refused,
         a_window_that_is_too_short_is_given_up, a_window_forecast_to_be_too_short_is_refused]

if __name__ == "__main__":
    main(*TESTS)

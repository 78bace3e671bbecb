"""Writers that are faster than whimbrel follows: it ends all the same, and hears what it is asked."""
import threading
import time

from pair import Pair, are, main

TABLE = "CREATE TABLE {} (id INTEGER PRIMARY KEY, v TEXT);"
ROWS = 5000
SECONDS_MAX = 60


class Flood:
    """Changes every row of n again and again, as fast as SQLite can, until it is told to stop."""

    def __init__(self, pair):
        self.pair, self.stop, self.rounds, self.failure = pair, threading.Event(), 0, None
        self.thread = threading.Thread(target=self.write)

    def write(self):
        connection = self.pair.connect()
        connection.execute("PRAGMA synchronous = OFF")
        ends = time.monotonic() + SECONDS_MAX
        try:
            while not self.stop.is_set() and time.monotonic() < ends:
                connection.execute("UPDATE n SET v = 'round ' || ? || ' of ' || id", (self.rounds,))
                self.rounds += 1
                time.sleep(0.03)  # SQLite is not fair to whoever waits for its lock
        except Exception as failure:  # told by whoever waits for it
            self.failure = failure
        connection.close()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()


def switched():
    pair = Pair("PRAGMA journal_mode = WAL;" + TABLE.format("o") + """INSERT INTO o WITH RECURSIVE i (n) AS
        (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < %d) SELECT n, 'v' || n FROM i;""" % ROWS, TABLE.format("n"))
    pair.run("run", "--yes")
    return pair


def run_ends_although_writers_are_faster():
    with switched() as pair:
        with Flood(pair) as flood:
            while flood.rounds == 0:
                time.sleep(0.01)
            pair.run("run", "--yes")
            assert flood.thread.is_alive(), "it ended with the writer only"
        are(flood.failure, None)
        last = pair.new()
        pair.run("rollback", "--yes")
        are(pair.old() == last, True, "carried back whole")


def a_runner_that_stays_hears_a_rollback_although_writers_are_faster():
    with switched() as pair:
        runner = pair.start("run", "--yes", "--stay")
        with Flood(pair) as flood:
            while flood.rounds < 3:
                time.sleep(0.01)
            begun = time.monotonic()
            pair.run("pause")
            while "PAUSED" not in pair.run("status"):
                assert time.monotonic() < begun + SECONDS_MAX - 10 and flood.thread.is_alive(), "it does not hear"
                time.sleep(0.1)
            pair.run("resume")
        last = pair.new()
        pair.run("rollback", "--yes")
        runner.communicate(timeout=100)
        are(pair.old() == last, True, "carried back whole")


TESTS = [run_ends_although_writers_are_faster, a_runner_that_stays_hears_a_rollback_although_writers_are_faster]

if __name__ == "__main__":
    main(*TESTS)

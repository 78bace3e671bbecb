#!/usr/bin/env python3
"""A process that writes to the old table while somebody migrates it, and looks at the clock.

    writer.py go-on DB --rate N --output FILE      until SIGTERM: small transactions at a fixed rate
    writer.py batch DB --operations N --each K     a fixed amount of work, K operations a transaction

`go-on` measures as its users would: an operation has a time at which it ought to begin, whether or
not the one before it has ended, and its latency counts from there. So an operation that nobody could
begin because another one was stuck is late as well, and a stall of a second is not one slow
operation but all that should have happened in that second. After SIGTERM the operations that are
still due are carried out; what begins later is not counted.

`batch --kind` makes them all of one kind; it says how much CPU its operations took, user and system, without the start of Python.

The operations are those of an application: 40 inserts, 50 updates (three of four change the status
and the time stamp, the others also text), 10 deletes in a hundred, all on keys over the whole table.
"""
import argparse
import bisect
import json
import random
import resource
import signal
import sqlite3
import sys
import time

BUSY_TIMEOUT_S = 5
STATUSES = ["pending", "running", "completed", "failed"]
TEXTS = ["größere Änderung", "O'Brien's \"urgent\" case", "two\nlines", "検索結果", "done", ""]

INSERT = ("INSERT INTO workflow_processes (id, workflow_name, message, status, started_at)"
          " VALUES (?, 'bench', ?, ?, CURRENT_TIMESTAMP)")
UPDATE_STATUS = ("UPDATE workflow_processes SET status = ?, updated_at = CURRENT_TIMESTAMP"
                 " WHERE id = ?")
UPDATE_MORE = ("UPDATE workflow_processes SET status = ?, message = ?, result = ?,"
               " updated_at = CURRENT_TIMESTAMP WHERE id = ?")
DELETE = "DELETE FROM workflow_processes WHERE id = ?"


def connect(path):
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection


def some_keys(connection, count, rnd):
    """Keys spread over the whole table, which the operations change and delete."""
    keys = []
    for _ in range(count):
        near = f"{rnd.getrandbits(32):08x}"
        row = connection.execute("SELECT id FROM workflow_processes WHERE id >= ? ORDER BY id"
                                 " LIMIT 1", (near,)).fetchone()
        if row is not None:
            keys.append(row[0])
    return sorted(set(keys))


class Operations:
    """The statements in the order of a seed; the same seed and table give the same ones."""

    def __init__(self, connection, seed, keys, kind="mix"):
        self.kind = kind
        self.random = random.Random(seed)
        self.keys = some_keys(connection, keys, self.random)
        self.inserted = 0
        self.prefix = f"bench{seed}"

    def next(self):
        rnd = self.random
        dice = {"mix": rnd.random(), "insert": 0.0, "update": 0.4 + 0.5 * rnd.random(),
                "delete": 1.0}[self.kind]
        if dice < 0.4 or not self.keys:
            self.inserted += 1
            key = f"{rnd.getrandbits(32):08x}-{self.prefix}-{self.inserted}"
            bisect.insort(self.keys, key)
            return INSERT, (key, rnd.choice(TEXTS), rnd.choice(STATUSES))
        at = rnd.randrange(len(self.keys))
        if dice < 0.775:
            return UPDATE_STATUS, (rnd.choice(STATUSES), self.keys[at])
        if dice < 0.9:
            return UPDATE_MORE, (rnd.choice(STATUSES), rnd.choice(TEXTS), rnd.choice(TEXTS),
                                 self.keys[at])
        return DELETE, (self.keys.pop(at),)


def go_on(options):
    stopped_at = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped_at.append(time.time()))
    connection = connect(options.db)
    operations = Operations(connection, options.seed, 2000)
    samples = []  # [when it was due, latency in ms, 1 if it failed]
    failures = {}
    print("ready", flush=True)
    begun = time.time()
    number = 0
    while True:
        due = begun + number / options.rate
        while not stopped_at and (wait := due - time.time()) > 0:
            time.sleep(min(wait, 0.05))
        if stopped_at and due > stopped_at[0]:
            break
        number += 1
        statement, values = operations.next()
        failed = 0
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(statement, values)
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            failed = 1
            failures[str(error)] = failures.get(str(error), 0) + 1
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        samples.append([round(due, 4), round((time.time() - due) * 1000, 2), failed])
    connection.close()
    with open(options.output, "w", encoding="utf-8") as file:
        json.dump({"rate": options.rate, "samples": samples, "failures": failures}, file)


def batch(options):
    connection = connect(options.db)
    keys = options.operations * 2 if options.kind == "delete" else max(100, options.operations // 2)
    operations = Operations(connection, options.seed, keys, options.kind)
    todo = [operations.next() for _ in range(options.operations)]
    connection.execute("SELECT count(*) FROM workflow_processes").fetchone()  # a warm cache for all
    before = resource.getrusage(resource.RUSAGE_SELF)
    began = time.perf_counter()
    for at in range(0, len(todo), options.each):
        connection.execute("BEGIN IMMEDIATE")
        for statement, values in todo[at:at + options.each]:
            connection.execute(statement, values)
        connection.execute("COMMIT")
    seconds = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_SELF)
    connection.close()
    print(json.dumps({"operations": len(todo), "seconds": seconds,
                      "user_s": after.ru_utime - before.ru_utime,
                      "system_s": after.ru_stime - before.ru_stime}))


def main():
    parser = argparse.ArgumentParser(description="Writes to the old table and looks at the clock.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verb = verbs.add_parser("go-on")
    verb.add_argument("db")
    verb.add_argument("--rate", type=float, default=100)
    verb.add_argument("--output", required=True)
    verb.add_argument("--seed", type=int, default=7)
    verb.set_defaults(act=go_on)
    verb = verbs.add_parser("batch")
    verb.add_argument("db")
    verb.add_argument("--operations", type=int, required=True)
    verb.add_argument("--each", type=int, default=1)
    verb.add_argument("--kind", choices=("mix", "insert", "update", "delete"), default="mix")
    verb.add_argument("--seed", type=int, default=7)
    verb.set_defaults(act=batch)
    options = parser.parse_args()
    sys.exit(options.act(options))


if __name__ == "__main__":
    main()

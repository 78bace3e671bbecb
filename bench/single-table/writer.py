#!/usr/bin/env python3
"""The application while its tables move: small writes at a fixed rate, until it may use the new side.

    writer.py OLD.db NEW.db --rate N --output FILE       until SIGTERM

Each write is a transaction that asks which side serves and whether it may write. A write that is
refused is tried again after 5 ms, as an application would. An operation counts from the moment at
which it was due. Once the application is switched over, the first write into the new tables is tried
and taken back again; so the comparison afterwards finds them as they were moved.
"""
import argparse
import json
import random
import signal
import sqlite3
import sys
import time

import data

AGAIN_S = 0.005


class Application:
    def __init__(self, old, new):
        self.old = sqlite3.connect(old, timeout=5, isolation_level=None)
        self.old.execute("PRAGMA synchronous = NORMAL")
        self.new_path, self.number = new, 0
        self.random = random.Random(7)
        self.users = self.old.execute("SELECT count(*) FROM users").fetchone()[0]
        self.tokens = self.old.execute('SELECT count(*) FROM "refresh-tokens"').fetchone()[0]
        self.settings = self.old.execute("SELECT count(*) FROM config").fetchone()[0]

    def next(self):
        """70 entries of the log, 10 tokens, 10 tokens that go, 8 users, 2 settings in a hundred."""
        self.number += 1
        dice, pick = self.random.random(), self.random.randrange
        if dice < 0.7:
            return ("INSERT INTO audit VALUES (?, ?, ?, 'edit', 'written beside')",
                    (f"w{self.number}", f"u{pick(self.users)}",
                     f"2026-12-24T{data.clock(self.number)}Z"))
        if dice < 0.8:
            return ('INSERT INTO "refresh-tokens" VALUES (?, ?, ?)',
                    (f"w{self.number}", f"u{pick(self.users)}", "2026-12-24T00:00:00.000Z"))
        if dice < 0.9:
            return 'DELETE FROM "refresh-tokens" WHERE token = ?', (f"t{pick(self.tokens)}",)
        if dice < 0.98:
            return ("UPDATE users SET name = ?, role = ? WHERE id = ?",
                    (f"Renamed {self.number}", self.random.choice((None, *data.ROLES)),
                     f"u{pick(self.users)}"))
        number = pick(self.settings)
        return ("UPDATE config SET value = ? WHERE section = ? AND key = ?",
                (f"w{self.number}", f"s{number // 4}", f"k{number % 4}"))

    def flags(self):
        return dict(self.old.execute("SELECT name, value FROM flags"))

    def write(self, statement, values):
        """True once it is written; the text "new" when the other side serves."""
        self.old.execute("BEGIN IMMEDIATE")
        flags = self.flags()
        if flags["side"] == "new":
            self.old.execute("ROLLBACK")
            return "new"
        if flags["read_only"] == "yes":
            raise sqlite3.OperationalError("held by the application's own switch")
        self.old.execute(statement, values)
        self.old.execute("COMMIT")
        return True

    def writes_to_the_new(self):
        if self.flags()["read_only"] == "yes":
            return False
        connection = sqlite3.connect(self.new_path, timeout=5, isolation_level=None)
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("UPDATE entities SET name = name WHERE PK = 'USER#u1'")
            connection.execute("ROLLBACK")
            return True
        except sqlite3.Error:
            return False
        finally:
            connection.close()


def main():
    parser = argparse.ArgumentParser(description="Writes beside a migration.")
    parser.add_argument("old")
    parser.add_argument("new")
    parser.add_argument("--rate", type=float, default=20)
    parser.add_argument("--output", required=True)
    options = parser.parse_args()
    stopped = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.append(True))
    application = Application(options.old, options.new)
    samples, failures = [], {}  # [due, waited ms, 0]
    switched = None
    print("ready", flush=True)
    begun, number = time.time(), 0
    while not stopped and not switched:
        due = begun + number / options.rate
        number += 1
        if (wait := due - time.time()) > 0:
            time.sleep(wait)
        statement, values = application.next()
        while not stopped:
            try:
                if application.write(statement, values) == "new":
                    while not application.writes_to_the_new() and not stopped:
                        time.sleep(AGAIN_S)
                    switched = time.time()
                break
            except sqlite3.Error as error:
                failures[str(error)] = failures.get(str(error), 0) + 1
                if application.old.in_transaction:
                    application.old.execute("ROLLBACK")
                time.sleep(AGAIN_S)
        samples.append([due, (time.time() - due) * 1000, 0])
    with open(options.output, "w", encoding="utf-8") as file:
        json.dump({"samples": samples, "failures": failures, "switched": switched}, file)


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""A small application that is at home in both schemas, and remembers what it wrote.

    app.py DB run --seconds S [--rate N] [--seed S] [--stats FILE] [--ledger FILE]
    app.py DB check --ledger FILE [--new-columns]

Each operation is one transaction: BEGIN IMMEDIATE, read the flag row, then insert, update or delete
through the table that the flag names. The flag is read inside the transaction because only then can
no switch fall between the question and the write; that is all an application has to do to be
switched while it runs. No row, or no flag table, means the old table.

The ledger is the proof. It has one JSON line for each committed write: the key, and the state that
the row was given or the fact that it was deleted. The last line of a key counts, and a later run
goes on with the same file. `run` compares each row that it meets again with the ledger before it
touches it, and `check` compares all of them, in the table that serves at that moment. What differs
was lost by somebody else. Hence two conditions: one application at a time on one ledger, and it is
stopped by SIGTERM or SIGINT, because SIGKILL may fall between a commit and its line.

Exit codes: 0 all is as written, 1 something was lost, 2 bad usage or nothing to check. A write that
failed is counted in the stats and is no loss: it was rolled back and its caller was told.
"""
import argparse
import array
import contextlib
import json
import math
import os
import random
import signal
import sqlite3
import sys
import time

FLAG = "workflow_runs"
SECONDS_MAX = 3600
STATUSES = ["pending", "running", "completed", "failed"]
SUBJECTS = ["invoice export", "O'Brien's \"urgent\" case", "größere Änderung", "検索結果",
            "emoji 🙂👩‍🔧", "two\nlines", "{\"looks\": \"like json\"}", "path C:\\temp\\new",
            "100% of {everything}", ""]
RESULTS = [None, None, "", "done", "null", "{\"ok\": true}", "line one\nline two", "готово ✅",
           "it's \\ done"]
PRIORITIES = ["low", "high", "urgent"]
TAGS = ["nightly", "größer", "it's", "beta"]


# --- the two schemas ------------------------------------------------------------------------------
#
# A state is what both schemas can say of a row: status, description and result. What only the new
# one can say is kept beside these three under "new": priority, tags and user_id.


class OldSide:
    name, table, key = "old", "workflow_processes", "id"
    inserted_with = {"workflow_name": "app"}  # the rest is left to the defaults of the table

    @staticmethod
    def columns(state):
        return {"status": state["status"], "message": state["description"],
                "result": state["result"]}

    @staticmethod
    def new_columns(_):
        return {}

    @staticmethod
    def read(connection, key):
        row = connection.execute(
            "SELECT status, message, result FROM workflow_processes WHERE id = ?",
            (key,)).fetchone()
        return row and {"status": row[0], "description": row[1], "result": row[2]}


class NewSide:
    name, table, key = "new", "workflow_runs", "run_id"
    inserted_with = {"workflow_type": "app", "error_details": "{}"}

    @staticmethod
    def columns(state):
        result = state["result"]
        return {"status": state["status"], "description": state["description"],
                "result_data": "{}" if result is None else to_json({"result": result})}

    @staticmethod
    def new_columns(new):
        return {"priority": new["priority"], "tags": to_json(new["tags"]),
                "user_id": new["user_id"]}

    @staticmethod
    def read(connection, key):
        row = connection.execute(
            "SELECT status, description, result_data, priority, tags, user_id"
            " FROM workflow_runs WHERE run_id = ?", (key,)).fetchone()
        if row is None:
            return None
        data = from_json(row[2])
        # Anything but {} and {"result": text} is what nobody wrote, and is shown as it was found.
        known_shape = isinstance(data, dict) and set(data) <= {"result"}
        return {"status": row[0], "description": row[1],
                "result": data.get("result") if known_shape else {"unexpected": row[2]},
                "new": {"priority": row[3], "tags": from_json(row[4]), "user_id": row[5]}}


OLD, NEW = OldSide(), NewSide()


def to_json(value):
    return json.dumps(value, ensure_ascii=False)


def from_json(text):
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        return {"unexpected": text}


def serving_side(connection):
    """Which side the flag names. Only a missing table is forgiven; any other failure is one."""
    try:
        row = connection.execute(
            "SELECT enabled FROM feature_flags WHERE name = ?", (FLAG,)).fetchone()
    except sqlite3.OperationalError as error:
        if "no such table" not in str(error):
            raise
        row = None
    return NEW if row is not None and row[0] else OLD


def insert(connection, side, key, columns):
    row = {side.key: key, **side.inserted_with, **columns}
    marks = ", ".join("?" * len(row))
    connection.execute(f"INSERT INTO {side.table} ({', '.join(row)}) VALUES ({marks})",
                       tuple(row.values()))


def update(connection, side, key, columns):
    sets = ", ".join(f"{column} = ?" for column in columns)
    return connection.execute(
        f"UPDATE {side.table} SET {sets}, updated_at = CURRENT_TIMESTAMP WHERE {side.key} = ?",
        (*columns.values(), key)).rowcount


def delete(connection, side, key):
    return connection.execute(
        f"DELETE FROM {side.table} WHERE {side.key} = ?", (key,)).rowcount


def difference(expected, found, new_columns=False):
    """What tells a row from its ledger entry (None: deleted, or not there), or None if nothing."""
    if expected is None or found is None:
        if expected is found:
            return None
        return "was deleted and is there" if expected is None else "is not there"
    for field in ("status", "description", "result"):
        want, got = expected[field], found[field]
        if field == "status":  # the new table has no NULL here; the plan makes it 'pending'
            want, got = ("pending" if value is None else value for value in (want, got))
        if want != got:
            return f"{field} is {to_json(got)}, written was {to_json(want)}"
    if new_columns and "new" in expected and "new" in found and expected["new"] != found["new"]:
        return f"new columns are {to_json(found['new'])}, written were {to_json(expected['new'])}"
    return None


# --- the ledger -----------------------------------------------------------------------------------


def read_ledger(path):
    """The last state of each key; None for a deleted one. A line that was cut short is left out."""
    states = {}
    with open(path, encoding="utf-8", newline="\n") as lines:
        for line in lines:
            if line.endswith("\n"):
                entry = json.loads(line)
                key = entry.pop("key")
                states[key] = None if entry.get("deleted") else entry
    return states


def open_ledger(path):
    """Opens for more lines, which begin behind the last whole one."""
    ledger = open(path, "ab+")
    ledger.seek(0)
    ledger.truncate(ledger.read().rfind(b"\n") + 1)
    return ledger


class Keys:
    """A set that can also be drawn from at random, in constant time."""

    def __init__(self, keys=()):
        self.list = list(keys)
        self.place = {key: place for place, key in enumerate(self.list)}

    def __len__(self):
        return len(self.list)

    def add(self, key):
        if key not in self.place:
            self.place[key] = len(self.list)
            self.list.append(key)

    def discard(self, key):
        place = self.place.pop(key, None)
        if place is not None:
            last = self.list.pop()
            if last != key:
                self.list[place] = last
                self.place[last] = place

    def draw(self, rnd):
        return rnd.choice(self.list)


# --- run ------------------------------------------------------------------------------------------


class WriteFailed(Exception):
    """A statement that must change one row changed another number of them."""


class Lost(Exception):
    """A row is not as the ledger says."""


class Application:
    def __init__(self, connection, seed, known, ledger):
        self.connection = connection
        self.random = random.Random(seed)
        self.prefix = f"app{time.time_ns():x}"  # so that no two runs insert the same key
        self.inserted = 0
        self.known = known
        self.living = Keys(key for key, state in known.items() if state is not None)
        self.deleted = Keys(key for key, state in known.items() if state is None)
        self.given_up = set()
        self.ledger = ledger
        self.users = [row[0] for row in connection.execute("SELECT id FROM users LIMIT 100")]
        self.side = None
        self.switches = []
        self.operations = {"old": 0, "new": 0}
        self.kinds = {"insert": 0, "update": 0, "delete": 0}
        self.waits_ms = array.array("d")
        self.errors, self.first_errors = 0, []
        self.lost, self.first_lost = 0, []

    def operate(self, at_s):
        """One operation, timed from the wish to write until it is committed or has failed."""
        begun = time.perf_counter()
        side = done = None
        try:
            self.connection.execute("BEGIN IMMEDIATE")
            side = serving_side(self.connection)
            done = self.write(side)
            self.connection.execute("COMMIT")
        except (sqlite3.Error, WriteFailed, Lost) as error:
            # All of it is undone, so the ledger stays true without this operation.
            done = None
            with contextlib.suppress(sqlite3.Error):
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
            self.note(error, side)
        self.waits_ms.append((time.perf_counter() - begun) * 1000)
        if side is not None and side is not self.side:
            self.side = side
            self.switches.append({"at_s": round(at_s, 3), "to": side.name})
        if done is not None:
            kind, key, state = done
            self.operations[side.name] += 1
            self.kinds[kind] += 1
            self.remember(key, state)

    def write(self, side):
        """Decides what to do and does it; returns the kind, the key and the row's new state."""
        dice = self.random.random()
        key = self.choose(side) if dice >= 0.4 else None
        if key is None:
            key = self.key_to_insert()
            if key in self.deleted.place:
                self.compare(side, key)
            state, fresh = self.next_state(side, None)
            insert(self.connection, side, key, {**side.columns(state), **fresh})
            return "insert", key, state
        if key in self.known:
            self.compare(side, key)
        if dice < 0.9:
            state, fresh = self.next_state(side, self.known.get(key))
            changed = update(self.connection, side, key, {**side.columns(state), **fresh})
            kind = "update"
        else:
            state = None
            changed = delete(self.connection, side, key)
            kind = "delete"
        if changed != 1:
            raise WriteFailed(f"{kind} of {key} changed {changed} rows")
        return kind, key, state

    def choose(self, side):
        """A key to change: one of the ledger or any row of the table; None when there is none."""
        if len(self.living) and self.random.random() < 0.5:
            return self.living.draw(self.random)
        near = f"{self.random.getrandbits(32):08x}"
        if self.random.random() < 0.1:  # the oldest rows have ids of another style
            near = "WP" + "".join(self.random.choices("0123456789ABCDEFGHJKMNPQRSTVWXYZ", k=4))
        row = self.connection.execute(
            f"SELECT {side.key} FROM {side.table} WHERE {side.key} >= ?"
            f" ORDER BY {side.key} LIMIT 1", (near,)).fetchone()
        return None if row is None or row[0] in self.given_up else row[0]

    def key_to_insert(self):
        if len(self.deleted) and self.random.random() < 0.1:
            return self.deleted.draw(self.random)  # a deleted key may be used again
        self.inserted += 1
        return f"{self.random.getrandbits(32):08x}-{self.prefix}-{self.inserted}"

    def next_state(self, side, before):
        """The state to write, and the new columns to set with it (none: they stay as they are)."""
        rnd = self.random
        state = {"status": rnd.choice(STATUSES),
                 "description": f"{rnd.choice(SUBJECTS)} {rnd.getrandbits(24):x}",
                 "result": rnd.choice(RESULTS)}
        if side is OLD and rnd.random() < 0.02:
            state["status"] = None
        if side is NEW and rnd.random() < 0.2:
            user = rnd.choice(self.users) if self.users and rnd.random() < 0.5 else None
            state["new"] = {"priority": rnd.choice(PRIORITIES), "user_id": user,
                            "tags": rnd.sample(TAGS, rnd.randint(0, 3))}
            return state, side.new_columns(state["new"])
        if before is not None and "new" in before:
            state["new"] = before["new"]
        return state, {}

    def compare(self, side, key):
        problem = difference(self.known[key], side.read(self.connection, key))
        if problem is not None:
            # From here on left alone, so that `check` finds it as we did.
            self.living.discard(key)
            self.deleted.discard(key)
            self.given_up.add(key)
            raise Lost(f"{key}: {problem}")

    def note(self, error, side):
        text = f"{side.name if side else 'no'} side: {error}"
        if isinstance(error, Lost):
            self.lost += 1
            self.first_lost = (self.first_lost + [text])[:5]
        else:
            self.errors += 1
            self.first_errors = (self.first_errors + [text])[:5]

    def remember(self, key, state):
        self.known[key] = state
        if state is None:
            self.living.discard(key)
            self.deleted.add(key)
        else:
            self.deleted.discard(key)
            self.living.add(key)
        if self.ledger is not None:
            entry = {"key": key, "deleted": True} if state is None else {"key": key, **state}
            self.ledger.write(to_json(entry).encode() + b"\n")
            self.ledger.flush()

    def stats(self, seconds):
        waits = sorted(self.waits_ms) or [0.0]
        return {"seconds": round(seconds, 3),
                "operations": self.operations,
                "kinds": self.kinds,
                "errors": self.errors,
                "lost": self.lost,
                "longest_wait_ms": round(waits[-1], 3),
                "p99_ms": round(waits[(len(waits) * 99 - 1) // 100], 3),
                "keys": len(self.known),
                "switches": self.switches,
                "first_errors": self.first_errors,
                "first_lost": self.first_lost}


def run(options):
    stop = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.append(True))

    known, ledger = {}, None
    if options.ledger:
        if os.path.exists(options.ledger):
            known = read_ledger(options.ledger)
        ledger = open_ledger(options.ledger)
    connection = connect(options.db)
    application = Application(connection, options.seed, known, ledger)

    begun = time.perf_counter()
    due = 0.0  # seconds after `begun`
    while not stop and (now := time.perf_counter() - begun) < options.seconds:
        if now < due:
            time.sleep(min(due - now, 0.1, options.seconds - now))
            continue
        application.operate(now)
        if options.rate:  # what was missed while waiting is not made up for in a burst
            due = max(due + 1 / options.rate, now)
    stats = to_json(application.stats(time.perf_counter() - begun))

    connection.close()
    if ledger is not None:
        ledger.close()
    if options.stats:
        with open(options.stats, "w", encoding="utf-8") as file:
            file.write(stats + "\n")
    print(stats, flush=True)
    return 1 if application.lost else 0


# --- check ----------------------------------------------------------------------------------------


def check(options):
    if not os.path.isfile(options.ledger):
        return usage_error(f"there is no ledger {options.ledger}")
    states = read_ledger(options.ledger)
    if not states:
        return usage_error(f"the ledger {options.ledger} is empty: that would prove nothing")

    connection = connect(options.db)
    connection.execute("BEGIN")  # the flag and all rows as of one moment
    side = serving_side(connection)
    problems = []
    for key, expected in states.items():
        problem = difference(expected, side.read(connection, key), options.new_columns)
        if problem is not None:
            problems.append(f"{key}: {problem}")
    connection.close()

    if problems:
        more = f" (and {len(problems) - 3} more)" if len(problems) > 3 else ""
        print(f"check: LOST {len(problems)} of {len(states)} keys in {side.table}: "
              + "; ".join(problems[:3]) + more)
        return 1
    gone = sum(state is None for state in states.values())
    print(f"check: nothing lost: {len(states)} keys in {side.table} are as last written"
          f" ({len(states) - gone} present, {gone} deleted)")
    return 0


def usage_error(message):
    print(f"app.py: {message}", file=sys.stderr)
    return 2


def connect(path):
    if not os.path.isfile(path):
        sys.exit(usage_error(f"there is no database {path}"))
    connection = sqlite3.connect(path, timeout=10, isolation_level=None)
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = NORMAL")
    return connection


def number(least, most):
    def parse(text):
        value = float(text)
        if not (math.isfinite(value) and least <= value <= most):
            raise argparse.ArgumentTypeError(f"must be between {least} and {most}")
        return value
    return parse


def main():
    parser = argparse.ArgumentParser(description="Writes through either schema, behind a flag row.")
    parser.add_argument("db")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verb = verbs.add_parser("run", help="write, for a bounded time")
    verb.add_argument("--seconds", type=number(0, SECONDS_MAX), required=True)
    verb.add_argument("--rate", type=number(0, 100_000), default=100,
                      help="operations in a second (100); 0: as many as possible")
    verb.add_argument("--seed", type=int, default=None)
    verb.add_argument("--stats", metavar="FILE")
    verb.add_argument("--ledger", metavar="FILE")
    verb.set_defaults(act=run)
    verb = verbs.add_parser("check", help="compare the serving table with the ledger")
    verb.add_argument("--ledger", metavar="FILE", required=True)
    verb.add_argument("--new-columns", action="store_true",
                      help="on the new side also compare what only the new table can hold")
    verb.set_defaults(act=check)
    options = parser.parse_args()
    sys.exit(options.act(options))


if __name__ == "__main__":
    main()

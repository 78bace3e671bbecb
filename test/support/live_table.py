"""A DynamoDB table with items of every type, an application that writes to it, and a plan that moves it.

    with dynamodb_local() as server, LiveTable(server, items=3000) as table:
        with table.application(changes=10_000) as application:
            table.run("run", "--yes", "--until", "verify")
        table.compare("after the copy")

The application always talks to the server itself; whimbrel may be led elsewhere, through a proxy (`through`).
"""
import decimal
import os
import pathlib
import random
import shutil
import subprocess
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("WHIMBREL", str(ROOT / "build" / "whimbrel"))
PLAN = """
whimbrel: 1
migration: live-table
stores: {app: "dynamodb:"}
tables:
  - {as: orders, from: app/OLD, to: app/NEW, create: like-source, rest: copyCOLUMNS}
sync: capture
limits: {LIMITS}
cutover:
  hold: none
  stragglers: {quiet: QUIET, conflicts: stop}
  switches: [{env_file: app.env, set: {TABLE: NEW}}]
finish: {after: 0s, keep_source: false}
"""
TEXTS = ("", "é漢🜁", "\u0000\"\\", "x" * 700)
NUMBERS = ("12345678901234567890123456789012345678", "-1E-130", "9.99E+125", "1.50", "0")


def number(text):
    return format(decimal.Context(prec=60).create_decimal(text).normalize(decimal.Context(prec=60)), "f")


def plain(value):
    """An attribute or an item as it compares: sets have no order, and numbers one spelling."""
    if isinstance(value, list):
        return [plain(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {name: sorted(map(number, field)) if name == "NS" else sorted(map(str, field)) if name in ("SS", "BS") else
            number(field) if name == "N" else plain(field) for name, field in value.items()}


def expect_equal(found, expected, what, said=""):
    """Items by their key."""
    missing, back = sorted(set(expected) - set(found)), sorted(set(found) - set(expected))
    stale = sorted(key for key in expected if key in found and expected[key] != found[key])
    examples = ["%s is %.300s and must be %.300s" % (key, found[key], expected[key]) for key in stale[:3]]
    assert not (missing or back or stale), "%s: %d missing %s, %d back again %s, %d stale %s\n%s" % (
        what, len(missing), missing[:3], len(back), back[:3], len(stale), "; ".join(examples), said[-1500:])


def end_all(processes):
    for process in processes:
        if process.poll() is None:
            process.kill()
            process.wait()


class LiveTable:
    def __init__(self, server, items=1000, through=None, renamed=False, quiet="1s", limits="", seed=1, more_plan="", large=True, columns=""):
        self.old, self.new = "orders.%d" % seed, "orders-new.%d" % seed
        self.server, self.items, self.renamed, self.random, self.large = server, items, renamed, random.Random(seed), large
        self.ddb, self.runners = server.client("dynamodb"), []
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="whimbrel-live-"))
        (self.folder / "app.env").write_text("TABLE=%s\n" % self.old)
        plan = PLAN.replace("COLUMNS", ", columns: {state: status}" if renamed else columns and ", columns: " + columns).replace("LIMITS", limits)
        (self.folder / "plan.yaml").write_text(
            plan.replace("QUIET", quiet).replace("OLD", '"%s"' % self.old if "." in self.old else self.old).replace("NEW", self.new) + more_plan)
        self.environment = {**os.environ, **server.environment}
        if through:
            self.lead(through)
        for name in (self.old, self.new):
            if name in self.ddb.list_tables()["TableNames"]:
                self.ddb.delete_table(TableName=name)
        self.ddb.create_table(TableName=self.old, BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
                              AttributeDefinitions=[{"AttributeName": name, "AttributeType": kind} for name, kind in (("id", "S"), ("user", "S"), ("at", "N"))],
                              GlobalSecondaryIndexes=[{"IndexName": "by.user", "Projection": {"ProjectionType": "ALL"}, "KeySchema": [
                                  {"AttributeName": "user", "KeyType": "HASH"}, {"AttributeName": "at", "KeyType": "RANGE"}]}])
        for begin in range(0, items, 25):
            left = {self.old: [{"PutRequest": {"Item": self.item(i)}} for i in range(begin, min(begin + 25, items))]}
            while left:
                left = self.ddb.batch_write_item(RequestItems=left)["UnprocessedItems"]

    def lead(self, url):
        """Whimbrel's requests to another address."""
        self.environment.update({name: url for name in self.server.environment if name.startswith("AWS_ENDPOINT_URL")})

    def key(self, number):
        return {"id": {"S": "o%05d" % number}}

    def item(self, number, chance=None, side="status", **more):
        pick = (chance or self.random).choice
        return {**self.key(number), "user": {"S": "u%d" % (number % 17)}, "at": {"N": str(1700000000000 + number)}, side: {"S": pick(["waiting", "done"])},
                "n": {"N": pick(NUMBERS)}, "text": {"S": pick(TEXTS if self.large else TEXTS[:3])}, "b": {"B": bytes([number % 256, 255])}, "no": {"NULL": True},
                "deep": {"L": [{"M": {"s": {"SS": ["b", "a", ""]}, "n": {"NS": ["3", "1", "2.5"]}}}, {"BOOL": True}]}, **more}

    def scan(self, name):
        items = {}
        for page in self.ddb.get_paginator("scan").paginate(TableName=name, ConsistentRead=True):
            for item in page["Items"]:
                if self.renamed and name == self.new and "state" in item:
                    item["status"] = item.pop("state")
                items[item["id"]["S"]] = plain(item)
        return items

    def serving(self):
        return (self.folder / "app.env").read_text().strip().partition("=")[2].strip('"')

    def tables(self):
        return self.ddb.list_tables()["TableNames"]

    def compare(self, what=""):
        old = self.scan(self.old)
        expect_equal(self.scan(self.new), old, what)
        return old

    def start(self, verb, *words, state="state"):
        """The output lies in `output` beside the plan."""
        self.runners.append(subprocess.Popen([BINARY, verb, "plan.yaml", *words, "--state", state], cwd=self.folder, env=self.environment,
                                             stdin=subprocess.DEVNULL, stdout=(self.folder / "output").open("w"), stderr=subprocess.STDOUT))
        return self.runners[-1]

    def run(self, verb, *words, expect=0, timeout=240, state="state"):
        runner = self.start(verb, *words, state=state)
        try:
            runner.wait(timeout)
        except subprocess.TimeoutExpired:
            runner.kill()
            raise AssertionError("%s %s has not ended after %d s:\n%s" % (verb, words, timeout, (self.folder / "output").read_text()[-1500:])) from None
        said = (self.folder / "output").read_text()
        assert expect is None or runner.returncode == expect, "%s %s: exit %d\n%s" % (verb, " ".join(words), runner.returncode, said[-2000:])
        return said

    def application(self, **how):
        return Application(self, **how)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        """Nothing of a scenario that failed goes on beside the next one."""
        end_all(self.runners)
        shutil.rmtree(self.folder, ignore_errors=True)


class Application:
    """Puts, changes and deletes items, a fifth of them on twenty hot keys, until it has made `changes` or is left.

    An item is never written by two threads, so each one's last write is known: `known` holds it.
    """

    def __init__(self, table, changes=None, threads=3, pause=0.0, seed=5, to=None):
        self.table, self.changes, self.pause, self.to = table, changes, pause, to or table.old
        self.stop, self.writes, self.errors = threading.Event(), 0, []
        self.known = {}
        self.threads = [threading.Thread(target=self.write, args=(number, threads, seed), daemon=True) for number in range(threads)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def write(self, mine, threads, seed):
        ddb, chance = self.table.server.client("dynamodb"), random.Random("%d %d" % (seed, mine))
        side = "state" if self.table.renamed and self.to == self.table.new else "status"
        done = 0
        at_once = 1 if self.pause else 8
        while not self.stop.is_set() and (self.changes is None or done < self.changes // threads):
            items = {}
            while len(items) < at_once:
                number = chance.randrange(20) if chance.random() < 0.2 else chance.randrange(self.table.items + 200)
                number = number - number % threads + mine
                items[number] = None if chance.random() < 0.25 else self.table.item(number, chance, side, live={"N": "%d" % done})
                done += 1
            try:
                left = {self.to: [{"PutRequest": {"Item": item}} if item else {"DeleteRequest": {"Key": self.table.key(number)}}
                                  for number, item in items.items()]}
                while left:
                    left = ddb.batch_write_item(RequestItems=left)["UnprocessedItems"]
            except Exception as error:  # told where it ends
                self.errors.append(str(error))
                return
            self.known.update((self.table.key(number)["id"]["S"], item) for number, item in items.items())
            self.writes += len(items)
            if self.pause:
                time.sleep(self.pause)

    def wait(self):
        for thread in self.threads:
            thread.join()
        assert not self.errors, self.errors[:2]
        return self.writes

    def check(self, items, what):
        """Every item that it wrote is there as it wrote it last, or gone."""
        wrong = [key for key, item in self.known.items() if (self.as_compared(item)) != items.get(key)]
        assert not wrong, "%s: %d of %d items are not as they were written last: %s" % (what, len(wrong), len(self.known), wrong[:3])

    def as_compared(self, item):
        return plain({"status" if name == "state" else name: value for name, value in item.items()}) if item else None

    def __exit__(self, kind, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()
        assert kind or not self.errors, self.errors[:2]

"""Migrations of DynamoDB tables that nobody has thought of: random keys, indexes, items, names and mappings.

`generated.py [FIRST_SEED [COUNT]]`. Of each it is known what every item has to be on the other side, by a model of
its own: there, after writes to the new table, back, and there once more to the end. Runs under tools/servers/python,
with WHIMBREL naming the binary.
"""
import base64
import copy
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "test" / "support"))
from live_table import expect_equal, plain  # noqa: E402
from servers import dynamodb_local  # noqa: E402

BINARY = os.environ.get("WHIMBREL", str(ROOT / "build" / "whimbrel"))
NAMES = ("status", "a.b", "a", "b", "#x", "wörter", "with blank", "quote\"d", "it's", "{brace}", "1st", "ROWS", "null",
         "x:y", "path[0]", "-", "é漢🜁", "Name", "name", "size")
TEXTS = ("", " ", "0", "null", "true", "é漢🜁", "\u0000\"\\/", "{}", "line\nline", "x" * 2000, "#", "P#")
NUMBERS = ("0", "1", "1.0", "1e2", "-17.50", "12345678901234567890123456789012345678", "-1E-130", "9.99E+125",
           "0.1", "100000000000000000000")


def b64(raw):
    return base64.b64encode(raw).decode()


class Chance:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def of(self, per_cent):
        return self.random.randrange(100) < per_cent

    def value(self, depth=0):
        dice = self.random.randrange(100 if depth < 3 else 70)
        if dice < 25:
            return {"S": self.random.choice(TEXTS)}
        if dice < 45:
            return {"N": self.random.choice(NUMBERS)}
        if dice < 52:
            return {"BOOL": self.of(50)}
        if dice < 57:
            return {"NULL": True}
        if dice < 62:
            return {"B": self.random.randbytes(self.random.randrange(40))}
        if dice < 70:
            return self.random.choice(({"SS": ["b", "a", "é"]}, {"NS": ["10", "9", "1.5"]}, {"BS": [b"\x00", b"\xff\x01"]}))
        if dice < 85:
            return {"L": [self.value(depth + 1) for _ in range(self.random.randrange(4))]}
        return {"M": {name: self.value(depth + 1) for name in self.random.sample(NAMES, self.random.randrange(4))}}

    def key(self, kind, number):
        if kind == "S":
            return {"S": self.random.choice(("k%d", "K#%d", "é-%d", "%d", "a b %d", "{%d}", "\"%d\"")) % number}
        if kind == "N":
            return {"N": self.random.choice(("%d", "-%d.5", "%d00000000000000000001")) % (number + 1)}
        return {"B": number.to_bytes(3, "big") + self.random.randbytes(self.random.randrange(3))}


def word(name):
    return json.dumps(name, ensure_ascii=False)


class Story:
    def __init__(self, seed, ddb, environment):
        self.seed, self.ddb, self.environment = seed, ddb, environment
        chance = self.chance = Chance(seed)
        self.old, self.new = "old.%d" % seed, "new-%d" % seed
        names = [name for name in chance.random.sample(NAMES, 9) if "{" not in name]
        self.keys = [(names.pop(), chance.random.choice("SSNB")) for _ in range(chance.random.choice((1, 1, 2)))]
        self.indexed = (names.pop(), chance.random.choice("SN")) if chance.of(40) else None
        self.names = names
        # Of what a name of the new table is made: ("from", old name), ("const", value), ("default", old name, value).
        self.made, self.plan_columns = {}, []
        self.dropped = []
        free = list(names)
        self.prefix, self.prefixed = "", None
        self.renamed = {}  # keys and what an index is by
        self.mapped = chance.of(75)
        if self.mapped:
            for name, kind in self.keys:
                if kind == "S" and not self.prefix and chance.of(40):
                    self.prefix = chance.random.choice(("P#", "{{x}} ", "é/"))
                    self.plan_columns.append("%s: %s" % (word(name), word(self.prefix + "{%s}" % self.path(name))))
                    self.prefix, self.prefixed = self.prefix.replace("{{", "{").replace("}}", "}"), name
            for name, _ in self.keys:  # a key by another name
                if name != self.prefixed and chance.of(30):
                    self.renamed[name] = "key " + name
            if self.indexed and chance.of(40):
                self.renamed[self.indexed[0]] = "by." + self.indexed[0]
            self.plan_columns += ["%s: {from: %s}" % (word(new), word(old)) for old, new in self.renamed.items()]
            for _ in range(chance.random.randrange(4)):
                old = free.pop()
                kind = chance.random.choice(("from", "from", "const", "default"))
                new = "new " + old if chance.of(50) else "to_%d" % len(self.made)
                if kind == "from":
                    self.made[new] = ("from", old)
                    self.plan_columns.append("%s: {from: %s}" % (word(new), word(old)))
                elif kind == "const":
                    self.made[new] = ("const", {"S": "of %d" % seed})
                    self.plan_columns.append("%s: {const: \"of %d\"}" % (word(new), seed))
                else:
                    self.made[new] = ("default", old, {"S": "none"})
                    self.plan_columns.append("%s: {from: %s, if_null: {const: none}}" % (word(new), word(old)))
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="whimbrel-generated-"))
        (self.folder / "app.env").write_text("TABLE=%s\n" % self.old)
        (self.folder / "plan.yaml").write_text(self.plan())
        self.number = 0

    @staticmethod
    def path(name):
        return name if name.isascii() and name.isidentifier() else '"%s"' % name.replace('"', '""')

    def plan(self):
        columns = "\n    columns: {%s}" % ", ".join(self.plan_columns) if self.plan_columns else ""
        return """whimbrel: 1
migration: generated-%d
stores: {app: "dynamodb:"}
tables:
  - as: things
    from: 'app/"%s"'
    to: app/%s
    create: like-source
    rest: copy%s
sync: capture
cutover: {hold: none, stragglers: {quiet: 300ms}, switches: [{env_file: app.env, set: {TABLE: %s}}]}
finish: {after: 0s, keep_source: false}
""" % (self.seed, self.old, self.new, columns, self.new)

    # ---- the model

    def forward(self, item):
        new, used = {}, set()
        for name, rule in self.made.items():
            if rule[0] == "const":
                new[name] = rule[1]
                continue
            used.add(rule[1])
            value = item.get(rule[1])
            if rule[0] == "default" and (value is None or value == {"NULL": True}):
                value = rule[2]
            if value is not None:
                new[name] = value
        for name, value in item.items():
            if name not in used:
                new[self.renamed.get(name, name)] = value
        if self.prefix:
            new[self.prefixed] = {"S": self.prefix + item[self.prefixed]["S"]}
        return new

    def back(self, item, before):
        """What the old table has of an item of the new one; `before`: what it had."""
        names = {new: old for old, new in self.renamed.items()}
        old = {names.get(name, name): value for name, value in item.items() if name not in self.made}
        if self.prefix:
            old[self.prefixed] = {"S": item[self.prefixed]["S"][len(self.prefix):]}
        was = self.forward(before) if before is not None else {}
        for name, rule in self.made.items():
            if rule[0] == "const":
                continue
            kept = before is not None and plain(was.get(name)) == plain(item.get(name))
            value = before.get(rule[1]) if kept else item.get(name)
            if value is not None:
                old[rule[1]] = value
        return old

    def names_in(self, item):
        """Of the keys, as the table of this item calls them."""
        return [name if name in item else self.renamed[name] for name, _ in self.keys]

    def key_of(self, item):
        return json.dumps([b64(item[name]["B"]) if "B" in item[name] else plain(item[name]) for name in self.names_in(item)])

    def shown(self, items):
        return {self.key_of(item): plain(item) for item in items}

    # ---- the tables

    def create(self):
        definitions = [{"AttributeName": name, "AttributeType": kind} for name, kind in self.keys + ([self.indexed] if self.indexed else [])]
        schema = [{"AttributeName": name, "KeyType": kind} for (name, _), kind in zip(self.keys, ("HASH", "RANGE"))]
        more = {}
        if self.indexed:
            more["GlobalSecondaryIndexes"] = [{"IndexName": "by_it", "KeySchema": [{"AttributeName": self.indexed[0], "KeyType": "HASH"}],
                                               "Projection": {"ProjectionType": "ALL"}}]
        self.ddb.create_table(TableName=self.old, BillingMode="PAY_PER_REQUEST", KeySchema=schema, AttributeDefinitions=definitions, **more)

    def item(self):
        chance = self.chance
        self.number += 1
        item = {name: chance.key(kind, self.number) for name, kind in self.keys}
        if self.indexed and chance.of(70):
            item[self.indexed[0]] = {"S": "group"} if self.indexed[1] == "S" else {"N": "5"}
        for name in self.names:
            if chance.of(45):
                item[name] = chance.value()
        return item

    def scan(self, table):
        items = []
        for page in self.ddb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True):
            items += page["Items"]
        return items

    def key_part(self, item):
        return {name: item[name] for name in self.names_in(item)}

    def write(self, table, items, writes, new_side):
        """`items` by key, as the table has them; it is changed as the application changes them."""
        chance = self.chance
        for _ in range(writes):
            dice = chance.random.randrange(100)
            if dice < 35 or not items:
                item = self.item()
                if new_side:
                    item = self.forward(item) if chance.of(60) else {**self.key_part(self.forward(item)), "alone": chance.value()}
                self.ddb.put_item(TableName=table, Item=item)
                items[self.key_of(item)] = item
                continue
            key = chance.random.choice(sorted(items))
            item = copy.deepcopy(items[key])
            if dice < 60:
                self.ddb.delete_item(TableName=table, Key=self.key_part(item))
                del items[key]
                continue
            changeable = [name for name in (list(self.made) if new_side else []) + self.names + ["alone"]
                          if not (new_side and any(rule[0] != "const" and rule[1] == name for rule in self.made.values()))
                          and self.made.get(name, ("from",))[0] != "const"]
            name = chance.random.choice(changeable)
            if chance.of(30):
                item.pop(name, None)
            else:
                item[name] = chance.value()
            self.ddb.put_item(TableName=table, Item=item)
            items[key] = item

    def run(self, *words, wanted=0):
        done = subprocess.run([BINARY, words[0], "plan.yaml", *words[1:]], cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=120)
        said = done.stdout[-1500:] + done.stderr[-2500:]
        assert done.returncode == wanted, "%s: exit %d\n%s" % (" ".join(words), done.returncode, said)
        return said

    def run_under_writes(self, table, items, new_side, *words):
        """The application writes meanwhile, and the process is killed now and then; the last one is let through."""
        for _ in range(self.chance.random.randrange(3)):
            process = subprocess.Popen([BINARY, words[0], "plan.yaml", *words[1:]], cwd=self.folder, env=self.environment,
                                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            end = time.monotonic() + self.chance.random.random() * 1.2
            while process.poll() is None and time.monotonic() < end:
                self.write(table, items, 1, new_side)
            process.kill()
            process.wait()
        with subprocess.Popen([BINARY, words[0], "plan.yaml", *words[1:]], cwd=self.folder, env=self.environment,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            for _ in range(50):
                if process.poll() is None:
                    self.write(table, items, 1, new_side)
            said, _ = process.communicate(timeout=120)
        assert process.returncode == 0, "%s: exit %d\n%s" % (" ".join(words), process.returncode, said[-3000:])

    def expect(self, table, items, what, said=""):
        expect_equal(self.shown(self.scan(table)), self.shown(items), what, said)

    def expect_keys_and_indexes_by_their_new_names(self):
        def named(part):
            return [key["AttributeName"] for key in part["KeySchema"]]
        made = self.ddb.describe_table(TableName=self.new)["Table"]
        expected = [[self.renamed.get(name, name) for name, _ in self.keys]]
        if self.indexed:
            expected.append([self.renamed.get(self.indexed[0], self.indexed[0])])
        found = [named(made)] + [named(index) for index in made.get("GlobalSecondaryIndexes", [])]
        assert found == expected, "keys and indexes by %s instead of %s" % (found, expected)

    def live(self):
        chance = self.chance
        self.create()
        old = {}
        self.write(self.old, old, 40 + chance.random.randrange(60), False)
        self.run("check")
        if chance.of(50):
            self.run_under_writes(self.old, old, False, "run", "--yes", "--until", "copy")
            self.write(self.old, old, 30, False)
            self.run_under_writes(self.old, old, False, "run", "--yes", "--until", "follow")
            self.write(self.old, old, 10, False)
        said = self.run("run", "--yes")
        self.expect_keys_and_indexes_by_their_new_names()
        self.expect(self.old, old.values(), "the old table", said)
        self.expect(self.new, [self.forward(item) for item in old.values()], "the new table", said)
        new = {self.key_of(self.forward(item)): self.forward(item) for item in old.values()}
        before = {self.key_of(self.forward(item)): item for item in old.values()}
        self.write(self.new, new, 40, True)
        if chance.of(40):
            self.run_under_writes(self.new, new, True, "watch")
        if chance.of(50):
            self.run("watch")
        said = self.run("rollback", "--yes")
        now = {}
        for key, item in new.items():
            back = self.back(item, before.get(key))
            now[self.key_of(back)] = back
        self.expect(self.old, now.values(), "the way back", said)
        said = self.run("run", "--yes", "--until", "verify")
        self.run("verify")
        self.run("run", "--yes")
        said = self.run("finish", "--yes", "--no-backup")
        assert self.old not in self.ddb.list_tables()["TableNames"], said

    def __enter__(self):
        return self

    def __exit__(self, failed, *_):
        for table in (self.old, self.new):
            try:
                self.ddb.delete_table(TableName=table)
            except self.ddb.exceptions.ResourceNotFoundException:
                pass
        if failed is None:
            shutil.rmtree(self.folder, ignore_errors=True)


def main():
    first, count = (int(word) for word in (sys.argv[1:] + ["1", "4"][len(sys.argv) - 1:])[:2])
    failed = []
    with dynamodb_local() as server:
        ddb = server.client("dynamodb")
        for seed in range(first, first + count):
            try:
                with Story(seed, ddb, {**os.environ, **server.environment}) as story:
                    story.live()
            except AssertionError as error:
                failed.append(seed)
                print("seed %d: %.3000s\n%s\nin %s" % (seed, error, story.plan(), story.folder), flush=True)
    assert not failed, "seeds %s" % failed
    print("ok      %d migrations, there and back" % count)


if __name__ == "__main__":
    main()

"""The example environment-copy on DynamoDB Local, as a user would type it; and copies between SQLite and DynamoDB.

Everything is compared by a reader that shares no code with whimbrel. Runs under tools/servers/python, with
WHIMBREL naming the binary.
"""
import decimal
import os
import pathlib
import random
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "test" / "support"))
from new_ids import new_id  # noqa: E402
from servers import dynamodb_local  # noqa: E402
from trying import run_each  # noqa: E402

BINARY = os.environ.get("WHIMBREL", str(ROOT / "build" / "whimbrel"))
SOURCE, TARGET = "fvn7t5hbobaxjklhrqzdl4ac34-dev", "aqnqdrctpzfwfjwyxxsmu6peoq-prod"
NAMES = ["Properties", "Contacts", "BackOfficeRoles", "BackOfficeTexts", "NotificationTemplate", "Auth", "AppPreferences", "SecureConfig",
         "ContactUs", "Requests", "Affiliates", "Projects", "ProjectComments", "ProjectMilestones", "Quotes", "QuoteItems", "Legacy"]
REFERENCES = {
    "ContactUs": {"contactId": "Contacts", "addressId": "Properties"},
    "Requests": {"agentContactId": "Contacts", "homeownerContactId": "Contacts", "addressId": "Properties"},
    "Affiliates": {"contactId": "Contacts", "addressId": "Properties"},
    "Projects": {"agentContactId": "Contacts", "homeownerContactId": "Contacts", "homeowner2ContactId": "Contacts",
                 "homeowner3ContactId": "Contacts", "addressId": "Properties"},
    "ProjectComments": {"projectId": "Projects"}, "ProjectMilestones": {"projectId": "Projects"},
    "Quotes": {"projectId": "Projects", "agentContactId": "Contacts", "homeownerContactId": "Contacts", "addressId": "Properties"},
    "QuoteItems": {"projectId": "Projects", "quoteId": "Quotes"}}

def plain(value):
    """An item as it compares: sets have no order."""
    if isinstance(value, dict):
        return {name: sorted(map(str, field)) if name in ("SS", "NS", "BS") else plain(field) for name, field in value.items()}
    return [plain(one) for one in value] if isinstance(value, list) else value


class World:
    def __init__(self, server):
        self.ddb = server.client("dynamodb")
        self.environment = {**os.environ, **server.environment}
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="whimbrel-dynamodb-"))
        for name in self.ddb.list_tables()["TableNames"]:
            self.ddb.delete_table(TableName=name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder, ignore_errors=True)

    def make(self, table, key=(("id", "HASH"),), items=()):
        self.ddb.create_table(TableName=table, BillingMode="PAY_PER_REQUEST",
                              KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in key],
                              AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name, _ in key])
        items = list(items)
        for begin in range(0, len(items), 25):
            left = {table: [{"PutRequest": {"Item": item}} for item in items[begin:begin + 25]]}
            while left:
                left = self.ddb.batch_write_item(RequestItems=left)["UnprocessedItems"]

    def scan(self, table, key="id"):
        items = {}
        for page in self.ddb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True):
            for item in page["Items"]:
                items[item[key]["S"]] = plain(item)
        return items

    def run(self, *words, expect=0, variables=()):
        done = subprocess.run([BINARY, words[0], "migration.yaml", *words[1:], "--state", "state", *variables], cwd=self.folder, env=self.environment,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
        assert done.returncode == expect, "%s: exit %d\n%s%s" % (" ".join(words), done.returncode, done.stdout[-1500:], done.stderr[-1500:])
        return done.stdout + done.stderr


EXAMPLE = ROOT / "examples" / "environment-copy"


def fill(world):
    """The example's tables on both sides, and a row of somebody else in the target."""
    pick = random.Random(11)
    ids = {name: ["%s-%d" % (name[:4].lower(), i) for i in range(30)] for name in NAMES}
    for name in NAMES:
        items = [{"id": {"S": one}, "text": {"S": pick.choice(["", "é漢🜁", "x" * 900])}, "n": {"N": pick.choice(["1E+100", "0.10", "12345678901234567890123456789012345678"])},
                  "more": {"M": {"set": {"SS": ["b", "a"]}, "bytes": {"B": b"\x00\xff"}, "none": {"NULL": True}}},
                  **{field: {"S": pick.choice(ids[parent])} for field, parent in REFERENCES.get(name, {}).items() if pick.random() < 0.9}} for one in ids[name]]
        world.make("%s-%s" % (name, SOURCE), items=items)
        world.make("%s-%s" % (name, TARGET))
    world.make("Unrelated")
    world.ddb.put_item(TableName="Contacts-" + TARGET, Item={"id": {"S": "theirs"}, "keep": {"S": "me"}})


def left_in_the_target(world):
    left = {name: list(world.scan("%s-%s" % (name, TARGET))) for name in NAMES}
    return {name: rows for name, rows in left.items() if rows}


def the_commands_of_the_readme_do_what_it_says(server):
    with World(server) as world:
        shutil.copy(EXAMPLE / "migration.yaml", world.folder)
        fill(world)
        (world.folder / "bin").mkdir()
        (world.folder / "bin" / "whimbrel").symlink_to(BINARY)
        blocks = re.findall(r"^```sh\n(.*?)^```$", (EXAMPLE / "README.md").read_text(), re.DOTALL | re.MULTILINE)
        assert len(blocks) == 5, len(blocks)
        environment = {**world.environment, "PATH": "%s:%s" % (world.folder / "bin", os.environ["PATH"])}
        done = subprocess.run(["bash", "-euc", "\n".join(blocks)], cwd=world.folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
        assert "2. ContactUs, Requests, Affiliates, Projects" in done.stdout, done.stdout
        assert (world.folder / "report.html").stat().st_size > 10_000
        assert left_in_the_target(world) == {"Contacts": ["theirs"]}, left_in_the_target(world)


def the_example_keeps_every_relation(server):
    with World(server) as world:
        shutil.copy(EXAMPLE / "migration.yaml", world.folder)
        variables = ["--var", "SRC=" + SOURCE, "--var", "DST=" + TARGET]
        fill(world)
        printed = world.run("analyze", variables=variables)
        for level in ("2. ContactUs, Requests, Affiliates, Projects", "3. ", "4. QuoteItems"):
            assert level in printed, printed
        world.run("test", "QuoteItems", "--limit", "2", "--yes", variables=variables)
        assert list(world.scan("Contacts-" + TARGET)) == ["theirs"]
        runner = subprocess.Popen([BINARY, "run", "migration.yaml", "--yes", "--state", "state", *variables], cwd=world.folder, env=world.environment,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(1.2)
        runner.kill()
        runner.wait()
        world.run("run", "--yes", variables=variables)
        world.run("run", "--yes", variables=variables)
        for name in NAMES:
            wanted = {}
            for old, item in world.scan("%s-%s" % (name, SOURCE)).items():
                item["id"] = {"S": new_id(name, old, TARGET)}
                for field, parent in REFERENCES.get(name, {}).items():
                    if field in item:
                        item[field] = {"S": new_id(parent, item[field]["S"], TARGET)}
                wanted[item["id"]["S"]] = item
            found = world.scan("%s-%s" % (name, TARGET))
            found.pop("theirs", None)
            assert found == wanted, (name, [key for key in wanted if found.get(key) != wanted[key]][:2])
        world.run("verify", variables=variables)
        world.ddb.update_item(TableName="Auth-" + TARGET, Key={"id": {"S": new_id("Auth", "auth-3", TARGET)}}, UpdateExpression="SET theirs = :t", ExpressionAttributeValues={":t": {"S": "x"}})
        world.run("rollback", "--yes", variables=variables)
        assert left_in_the_target(world) == {"Contacts": ["theirs"], "Auth": [new_id("Auth", "auth-3", TARGET)]}, left_in_the_target(world)


PLAN = """whimbrel: 1
migration: across
stores: {a: "%s", b: "%s"}
ids: {from: [name, id, "%s"]}
tables:
  - {from: "a/{name}", to: "b/{name}", create: exists, names: ["*"]}
%s
sync: none
verify: {references: true}
"""
TABLES = """CREATE TABLE authors (id TEXT PRIMARY KEY, name TEXT, rating REAL);
CREATE TABLE books (id TEXT PRIMARY KEY, author TEXT REFERENCES authors (id), sequel_of TEXT REFERENCES books (id), pages INTEGER, cover BLOB);"""


def from_sqlite_to_dynamodb_and_back(server):
    with World(server) as world:
        first, last = sqlite3.connect(world.folder / "first.db"), sqlite3.connect(world.folder / "last.db")
        for connection in (first, last):
            connection.executescript(TABLES)
        first.executemany("INSERT INTO authors VALUES (?, ?, ?)", [("a%d" % i, "é%d" % i, i / 8) for i in range(200)])
        first.executemany("INSERT INTO books VALUES (?, ?, ?, ?, ?)",
                          [("b%d" % i, "a%d" % (i % 170) if i % 5 else None, "b%d" % (i - 1) if i % 3 else None, i, bytes([i % 256, 255])) for i in range(700)])
        first.commit()
        for table in ("authors", "books"):
            world.make(table)
        (world.folder / "migration.yaml").write_text(PLAN % ("sqlite:first.db", "dynamodb:us-east-1", "there", ""))
        world.run("run", "--yes")
        there = world.scan("books")
        assert len(there) == 700 and len(world.scan("authors")) == 200
        assert there[new_id("books", "b4", "there")] == {
            "id": {"S": new_id("books", "b4", "there")}, "author": {"S": new_id("authors", "a4", "there")},
            "sequel_of": {"S": new_id("books", "b3", "there")}, "pages": {"N": "4"}, "cover": {"B": b"\x04\xff"}}, there[new_id("books", "b4", "there")]
        (world.folder / "migration.yaml").write_text(PLAN % ("dynamodb:us-east-1", "sqlite:last.db", "back",
                                                             "references: {books: {author: authors, sequel_of: books}}"))
        shutil.move(world.folder / "state", world.folder / "state-of-the-way-there")
        world.run("run", "--yes")

        def back(table, old):
            return None if old is None else new_id(table, new_id(table, old, "there"), "back")
        wanted = sorted((back("books", a), back("authors", b), back("books", c), d, e) for a, b, c, d, e in first.execute("SELECT * FROM books"))
        assert sorted(last.execute("SELECT * FROM books")) == wanted
        assert sorted(last.execute("SELECT * FROM authors")) == sorted((back("authors", a), b, c) for a, b, c in first.execute("SELECT * FROM authors"))
        world.run("rollback", "--yes")
        assert last.execute("SELECT count(*) FROM books").fetchone() == (0,) and len(world.scan("books")) == 700


def keys_of_a_single_table_hold_ids(server):
    """Ids as parts of keys, in lists and in sets."""
    with World(server) as world:
        world.make("users-a", items=[{"id": {"S": "u%d" % i}} for i in range(20)])
        world.make("users-b")
        items = [{"pk": {"S": "USER#u%d" % (i % 20)}, "sk": {"S": "NOTE#%d" % i}, "readers": {"SS": ["u1", "u%d" % (i % 20)] if i % 20 != 1 else ["u1"]},
                  "lines": {"L": [{"M": {"by": {"S": "u2"}, "n": {"N": "1.50"}}}, {"M": {}}]}} for i in range(60)]
        for suffix in ("a", "b"):
            world.make("notes-" + suffix, key=(("pk", "HASH"), ("sk", "RANGE")), items=items if suffix == "a" else [])
        plan = PLAN.replace('"a/{name}", to: "b/{name}"', '"a/{name}-a", to: "a/{name}-b"').replace(', b: "%s"', "")
        (world.folder / "migration.yaml").write_text(plan % (
            "dynamodb:us-east-1", "b", 'references: {notes: {pk: {to: users, as: "USER#{id}"}, "readers[]": users, "lines[].by": users}}'))
        world.run("run", "--yes")

        def user(old):
            return new_id("users", old, "b")
        found = sorted((item["pk"]["S"], item["sk"]["S"], tuple(item["readers"]["SS"]), item["lines"]["L"][0]["M"]["by"]["S"], decimal.Decimal(item["lines"]["L"][0]["M"]["n"]["N"]))
                       for page in world.ddb.get_paginator("scan").paginate(TableName="notes-b") for item in map(plain, page["Items"]))
        wanted = sorted(("USER#" + user("u%d" % (i % 20)), "NOTE#%d" % i, tuple(sorted({user("u1"), user("u%d" % (i % 20))})), user("u2"), decimal.Decimal("1.5"))
                        for i in range(60))
        assert found == wanted, (found[:2], wanted[:2])
        world.run("verify")
        world.run("rollback", "--yes")
        assert not world.scan("notes-b", "pk") and not world.scan("users-b")


def only_some_items_are_taken(server):
    """Conditions are asked of the service too, which sees kinds as whimbrel does; a sample is closed over."""
    with World(server) as world:
        for suffix in ("a", "b"):
            world.make("users-" + suffix, items=[{"id": {"S": "u%d" % i}} for i in range(40)] if suffix == "a" else [])
            notes = [{"id": {"S": "n%03d" % i}, "user": {"S": "u%d" % (i % 40)}, "at": {"S": "2026-%02d" % (i % 12 + 1)} if i % 7 else {"N": "2026"},
                      "size": {"N": "%d.50" % i} if i % 2 else {"S": str(i)}} for i in range(200)]
            world.make("notes-" + suffix, items=notes if suffix == "a" else [])
        plan = PLAN.replace('"a/{name}", to: "b/{name}"', '"a/{name}-a", to: "a/{name}-b"').replace(', b: "%s"', "").replace("ids:", "#")
        lines = ("tables:\n  - {from: a/notes-a, to: a/notes-b, where: {%s}}\n  - {from: a/users-a, to: a/users-b}\norphans: keep\n"
                 "references: {notes-a: {user: users-a}}")
        cases = [('at: {at_least: "2026-06", below: "2026-11"}', lambda n: n["at"].get("S", "") >= "2026-06" and n["at"]["S"] < "2026-11"),
                 ("at: {begins_with: 2026-1}", lambda n: n["at"].get("S", "").startswith("2026-1")), ("at: 2026", lambda n: n["at"] == {"N": "2026"}),
                 ("size: {above: 150}", lambda n: "N" in n["size"] and float(n["size"]["N"]) > 150), ('size: ["4", "6"]', lambda n: n["size"].get("S") in ("4", "6"))]
        rest = plan[plan.index("sync:"):].replace("%s", "")
        head = plan[:plan.index("tables:")].replace("#", "# ")
        for where, holds in cases:
            (world.folder / "migration.yaml").write_text(head % ("dynamodb:us-east-1", "x") + lines % where + "\n" + rest)
            world.run("run", "--yes")
            wanted = {n["id"]["S"] for n in notes if holds(n)}
            assert wanted and set(world.scan("notes-b")) == wanted, (where, len(wanted), len(world.scan("notes-b")))
            world.run("rollback", "--yes")
            shutil.rmtree(world.folder / "state")
        (world.folder / "migration.yaml").write_text(head % ("dynamodb:us-east-1", "x") + lines.replace(", where: {%s}", "") + "\nsample: {users-a: 5}\n" + rest)
        world.run("run", "--yes")
        users = set(world.scan("users-b"))
        assert len(users) == 5 and set(world.scan("notes-b")) == {n["id"]["S"] for n in notes if n["user"]["S"] in users}
        world.run("verify")


def ids_that_are_numbers_are_found_wherever_they_stand(server):
    """In sets, which become sets of texts, and inside of texts, where a number is a text itself."""
    with World(server) as world:
        numbers = [1, 10, 100, 7]
        world.ddb.create_table(TableName="users-a", KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}], BillingMode="PAY_PER_REQUEST",
                               AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "N"}])
        for number in numbers:
            world.ddb.put_item(TableName="users-a", Item={"id": {"N": str(number)}})
        world.make("users-b")
        rows = [{"id": {"S": "n%d" % n}, "tag": {"S": "U#%d" % n}, "all": {"NS": [str(n), "1"] if n != 1 else ["1"]}, "one": {"N": str(n)}} for n in numbers]
        lost = {"id": {"S": "lost"}, "tag": {"S": "U#007"}, "all": {"NS": ["99"]}}
        world.make("notes-a", items=[*rows, lost])
        world.make("notes-b")
        plan = PLAN.replace('"a/{name}", to: "b/{name}"', '"a/{name}-a", to: "a/{name}-b"').replace(', b: "%s"', "")
        (world.folder / "migration.yaml").write_text(plan % (
            "dynamodb:us-east-1", "b", 'orphans: delete\nreferences: {notes: {tag: {to: users, as: "U#{id}"}, "all[]": users, one: users}}'))
        world.run("run", "--yes")
        users = {n: new_id("users", str(n), "b") for n in numbers}
        wanted = {new_id("notes", "n%d" % n, "b"): ("U#" + users[n], {users[n], users[1]}, users[n]) for n in numbers}
        found = {item["id"]["S"]: (item["tag"]["S"], set(item["all"]["SS"]), item["one"]["S"])
                 for item in map(plain, world.ddb.scan(TableName="notes-b")["Items"])}
        assert found == wanted, (found, wanted)
        assert users[7] in world.run("report", "--id", "7"), "report --id"
        world.run("verify")
        world.run("rollback", "--yes")
        assert not world.scan("notes-b") and not world.scan("users-b")


def what_is_null_in_ours_stays_as_theirs_when_merged(server):
    with World(server) as world:
        theirs = {"id": {"S": new_id("users", "u", "b")}, "x": {"S": "theirs"}, "y": {"S": "theirs"}}
        world.make("users-a", items=[{"id": {"S": "u"}, "x": {"NULL": True}, "y": {"S": "ours"}, "z": {"NULL": True}}])
        world.make("users-b", items=[theirs])
        plan = PLAN.replace('"a/{name}", to: "b/{name}"', '"a/{name}-a", to: "a/{name}-b"').replace(', b: "%s"', "")
        (world.folder / "migration.yaml").write_text(plan % ("dynamodb:us-east-1", "b", "on_conflict: merge"))
        world.run("run", "--yes")
        [found] = world.ddb.scan(TableName="users-b")["Items"]
        assert found == {**theirs, "y": {"S": "ours"}, "z": {"NULL": True}}, found
        world.run("run", "--yes")
        world.run("rollback", "--yes")
        assert world.ddb.scan(TableName="users-b")["Items"] == [theirs]


def two_rows_never_get_one_id(server):
    with World(server) as world:
        first = sqlite3.connect(world.folder / "first.db")
        first.executescript("CREATE TABLE authors (id PRIMARY KEY NOT NULL, name); INSERT INTO authors VALUES (1, 'a'), ('1', 'b'), ('2', 'c')")
        first.commit()
        world.make("authors")
        (world.folder / "migration.yaml").write_text(PLAN % ("sqlite:first.db", "dynamodb:us-east-1", "there", ""))
        printed = world.run("run", "--yes", expect=3)
        assert "a key that another row gets as well" in printed, printed
        assert not world.scan("authors")


if __name__ == "__main__":
    with dynamodb_local() as running:
        run_each((the_commands_of_the_readme_do_what_it_says, the_example_keeps_every_relation, from_sqlite_to_dynamodb_and_back,
                  keys_of_a_single_table_hold_ids, only_some_items_are_taken, two_rows_never_get_one_id,
                  ids_that_are_numbers_are_found_wherever_they_stand, what_is_null_in_ours_stays_as_theirs_when_merged),
                 lambda test: test(running))

"""The example operations-to-workflows on DynamoDB Local and moto, as a user would type it.

An application goes on writing; whimbrel is killed; everything is compared by a reader that shares no code
with it. Runs under tools/servers/python, with WHIMBREL naming the binary.
"""

import contextlib
import gzip
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "test" / "support"))
from fault_proxy import FaultProxy  # noqa: E402
from live_table import end_all, expect_equal  # noqa: E402
from servers import dynamodb_local, moto  # noqa: E402
from trying import run_each  # noqa: E402

BINARY = os.environ.get("WHIMBREL", str(ROOT / "build" / "whimbrel"))
OLD, NEW = "housef3-dev-operations", "housef3-dev-workflows"
FUNCTIONS = ["housef3-dev-file-operations", "housef3-dev-operation-consumer"]


def plain(value):
    """An item as it compares: sets have no order."""
    if isinstance(value, dict):
        return {name: sorted(map(str, field)) if name in ("SS", "NS", "BS") else plain(field) for name, field in value.items()}
    return [plain(one) for one in value] if isinstance(value, list) else value


class World:
    """A table with items of every type, two functions, the example beside its state folder."""

    def __init__(self, tables, functions, items=1200, quiet="2s"):
        self.tables, self.items = tables, items
        self.ddb = tables.client("dynamodb")
        self.functions, self.runners, self.applications = functions, [], []
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="whimbrel-dynamodb-"))
        for file in ("migration.yaml", "workflow_config.env"):
            shutil.copy(ROOT / "examples" / "operations-to-workflows" / file, self.folder / file)
        plan = self.folder / "migration.yaml"
        plan.write_text(plan.read_text().replace("quiet: 60s", "quiet: " + quiet).replace("within: 5m", "within: 30s"))
        self.environment = {**os.environ, **tables.environment}
        if functions:
            self.environment["AWS_ENDPOINT_URL_LAMBDA"] = functions.url
            self.environment["AWS_ENDPOINT_URL_CLOUDWATCH"] = functions.url
            self.environment["AWS_ENDPOINT_URL_S3"] = functions.url
        self.random = random.Random(7)
        for name in self.ddb.list_tables()["TableNames"]:
            self.ddb.delete_table(TableName=name)
        self.ddb.create_table(
            TableName=OLD, BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "operationId", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": kind} for name, kind in (("operationId", "S"), ("userId", "S"), ("createdAt", "N"))],
            GlobalSecondaryIndexes=[{"IndexName": "UserIndex", "KeySchema": [{"AttributeName": "userId", "KeyType": "HASH"}, {"AttributeName": "createdAt", "KeyType": "RANGE"}],
                                     "Projection": {"ProjectionType": "ALL"}}])
        for begin in range(0, items, 25):
            left = {OLD: [{"PutRequest": {"Item": self.item(i)}} for i in range(begin, min(begin + 25, items))]}
            while left:
                left = self.ddb.batch_write_item(RequestItems=left)["UnprocessedItems"]

    def item(self, number, **more):
        pick = self.random.choice
        return {"operationId": {"S": "op-%05d" % number}, "userId": {"S": "u%d" % (number % 17)}, "createdAt": {"N": str(1700000000000 + number)},
                "status": {"S": pick(["waiting", "completed"])}, "n": {"N": pick(["12345678901234567890123456789012345678", "-1E-130", "9.99E+125", "1.50", "0"])},
                "text": {"S": pick(["", "é漢🜁", "\u0000\"\\", "x" * 3000])}, "b": {"B": bytes([number % 256, 255])}, "no": {"NULL": True},
                "sets": {"M": {"s": {"SS": ["b", "a", ""]}, "n": {"NS": ["3", "1", "2.50"]}, "b": {"BS": [b"\x00", b"\xff"]}}},
                "deep": {"L": [{"M": {"x": {"L": [{"BOOL": True}, {"S": ""}]}}}]}, **more}

    def scan(self, table):
        items = {}
        for page in self.ddb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True):
            for item in page["Items"]:
                items[item["operationId"]["S"]] = plain(item)
        return items

    def run(self, *words, expect=0, environment="dev"):
        state = ["--state", "state"] if environment == "dev" else []  # else beside the plan
        done = subprocess.run([BINARY, *words[0].split(), "migration.yaml", *words[1:], "--var", "environment=" + environment, *state], cwd=self.folder,
                              env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
        assert done.returncode == expect, "%s: exit %d\n%s%s" % (" ".join(words), done.returncode, done.stdout[-1500:], done.stderr[-1500:])
        return done.stdout + done.stderr

    def start(self, *words):
        self.runners.append(subprocess.Popen([BINARY, words[0], "migration.yaml", *words[1:], "--var", "environment=dev", "--state", "state"], cwd=self.folder,
                                             env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        return self.runners[-1]

    def compare(self, what):
        expect_equal(self.scan(NEW), self.scan(OLD), what)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        """Nothing of a scenario that failed goes on beside the next one."""
        end_all(self.runners)
        for application in self.applications:
            application.halt()
        shutil.rmtree(self.folder, ignore_errors=True)


class Application:
    """Writes to the table that `serving` names: new items, changed items, deletions, hot keys.

    `in_turn`: one write after the other, so that none is still on its way to the old table when the
    new one is written; and an item that was just written on the old side is left alone on the new one,
    because a stream does not tell which of the two came last: that is for the scenario of the straggler.
    """

    def __init__(self, world, serving, threads=2, in_turn=False):
        self.world, self.serving, self.stop, self.writes, self.errors = world, serving, threading.Event(), 0, []
        self.turn = threading.Lock() if in_turn else contextlib.nullcontext()
        self.in_turn, self.last_on_old = in_turn, {}
        world.applications.append(self)
        self.threads = [threading.Thread(target=self.write, args=(number,), daemon=True) for number in range(threads)]
        for thread in self.threads:
            thread.start()

    def write(self, seed):
        ddb, pick = self.world.tables.client("dynamodb"), random.Random(seed)
        while not self.stop.wait(0.02):
            number = pick.randrange(20) if pick.random() < 0.2 else pick.randrange(self.world.items + 100)
            try:
                with self.turn:
                    table = self.serving()
                    if table == OLD:
                        self.last_on_old[number] = time.monotonic()
                    elif self.in_turn and time.monotonic() - self.last_on_old.get(number, -10) < 10:
                        continue
                    if pick.random() < 0.25:
                        ddb.delete_item(TableName=table, Key={"operationId": {"S": "op-%05d" % number}})
                    else:
                        ddb.put_item(TableName=table, Item=self.world.item(number, live={"N": str(self.writes)}))
                    self.writes += 1
            except Exception as error:  # told by end()
                self.errors.append(str(error))

    def halt(self):
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def end(self):
        self.halt()
        assert not self.errors, self.errors[:2]
        return self.writes


def a_table_moves_under_writers_and_a_kill_and_goes_back(tables, _):
    with World(tables, None) as world:
        before = world.scan(OLD)
        plan = world.folder / "migration.yaml"
        as_it_is = plan.read_text()
        plan.write_text(as_it_is.replace("finish: {after: 1d, keep_source: false}", "finish: {after: 1d, rename_source_to: archived}"))
        assert "cannot give a table another name" in world.run("check", expect=2)
        plan.write_text(as_it_is)
        world.run("run", "--dry-run")
        assert NEW not in world.ddb.list_tables()["TableNames"] and world.scan(OLD) == before
        application = Application(world, lambda: OLD)
        runner = world.start("run", "--yes", "--until", "verify")
        time.sleep(1.5)
        runner.kill()
        runner.wait()
        world.run("run", "--yes", "--until", "verify")
        writes = application.end()
        world.run("run", "--yes", "--until", "verify")
        world.compare("after %d writes" % writes)
        described = world.ddb.describe_table(TableName=NEW)["Table"]
        assert [index["IndexName"] for index in described["GlobalSecondaryIndexes"]] == ["UserIndex"]
        world.run("verify")
        last = world.scan(OLD)
        world.run("rollback", "--yes")
        assert NEW not in world.ddb.list_tables()["TableNames"] and world.scan(OLD) == last
        assert not world.ddb.describe_table(TableName=OLD)["Table"].get("StreamSpecification", {}).get("StreamEnabled"), "a stream of ours is left"


def variables(functions, name):
    return functions.client("lambda").get_function_configuration(FunctionName=name)["Environment"]["Variables"]


def make_functions(functions, prefix=""):
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    iam = functions.client("iam")
    role = iam.create_role(RoleName="role-%d" % time.time_ns(), AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    client = functions.client("lambda")
    for name in FUNCTIONS:
        client.create_function(FunctionName=prefix + name, Runtime="python3.11", Role=role, Handler="a.b", Code={"ZipFile": b"PK\x05\x06" + b"\x00" * 18},
                               Environment={"Variables": {"OPERATIONS_TABLE": OLD, "KEPT": "as it is"}})


def the_switch_leads_over_and_the_way_back_loses_nothing(tables, functions):
    make_functions(functions)
    with World(tables, functions) as world:
        before = (world.folder / "workflow_config.env").read_text()

        def serving():
            return variables(functions, FUNCTIONS[0]).get("WORKFLOWS_TABLE", OLD)
        table = [OLD]
        application = Application(world, lambda: table[0], in_turn=True)
        runner = world.start("run", "--yes")
        while runner.poll() is None:
            table[0] = serving()
            time.sleep(0.2)
        assert runner.returncode == 0, world.run("status")
        assert table[0] == NEW or serving() == NEW
        for name in FUNCTIONS:
            assert variables(functions, name) == {"WORKFLOWS_TABLE": NEW, "KEPT": "as it is"}, variables(functions, name)
        config = (world.folder / "workflow_config.env").read_text()
        assert "WORKFLOWS_TABLE=" + NEW in config and "OPERATIONS_TABLE" not in config.replace("# ", "#"), config
        table[0] = NEW
        time.sleep(1)
        writes = application.end()
        newest = world.scan(NEW)
        assert writes > 50, writes
        world.run("run", "--yes")  # carries back what was written meanwhile
        world.compare("kept current after the switch")
        assert world.scan(NEW) == newest
        world.run("rollback", "--yes")
        assert NEW not in world.ddb.list_tables()["TableNames"]
        assert world.scan(OLD) == newest, "a write was lost on the way back"
        for name in FUNCTIONS:
            assert variables(functions, name) == {"OPERATIONS_TABLE": OLD, "KEPT": "as it is"}, variables(functions, name)
        assert (world.folder / "workflow_config.env").read_text() == before


def what_both_sides_wrote_stops_for_a_person(tables, functions):
    """A function that has not heard of the switch changes an item that another has changed on the new side."""
    make_functions(functions, "told-")
    with World(tables, functions, items=60, quiet="4s") as world:
        plan = world.folder / "migration.yaml"
        plan.write_text(plan.read_text().replace('"housef3-${environment}-file-operations", "housef3-${environment}-operation-consumer"',
                                                 ", ".join('"told-%s"' % name for name in FUNCTIONS)))
        runner = world.start("run", "--yes")
        while "WORKFLOWS_TABLE" not in variables(functions, "told-" + FUNCTIONS[0]):
            assert runner.poll() is None, "it ended before the switch"
            time.sleep(0.05)
        world.ddb.put_item(TableName=NEW, Item=world.item(7, by={"S": "the new side"}))
        world.ddb.put_item(TableName=OLD, Item=world.item(7, by={"S": "a straggler"}))
        world.ddb.put_item(TableName=OLD, Item=world.item(8, by={"S": "a straggler"}))
        assert runner.wait(timeout=120) == 1, runner.returncode
        runner, number = world.start("run", "--yes"), 900  # somebody has looked
        while runner.poll() is None:
            number += 1  # a check of the plan waits for new items
            world.ddb.put_item(TableName=NEW, Item=world.item(number))
            time.sleep(0.3)
        assert runner.returncode == 0, world.run("status")
        new = world.scan(NEW)
        assert new["op-00007"]["by"] == {"S": "the new side"} and new["op-00008"]["by"] == {"S": "a straggler"}
        assert "op-00007" in (world.folder / "state" / "rejected.jsonl").read_text()
        world.run("rollback", "--yes")


def until_switched(world, functions):
    """`run` up to the switch and its check, beside an application that goes to the new table when it is told so."""
    runner, number = world.start("run", "--yes"), 900
    while runner.poll() is None:
        number += 1
        if NEW in world.ddb.list_tables()["TableNames"] and variables(functions, FUNCTIONS[0]).get("WORKFLOWS_TABLE"):
            world.ddb.put_item(TableName=NEW, Item=world.item(number))
        time.sleep(0.3)
    assert runner.returncode == 0, world.run("status")


def production_wants_a_rehearsal_and_keeps_an_archive(tables, functions):
    """The same plan for prod: refused until it was run and rolled back in dev, and backed up as an export in S3."""
    buckets = functions.client("s3")
    if not functions.client("lambda").list_functions()["Functions"]:
        make_functions(functions)
    with World(tables, functions, items=300) as world:
        shape = world.ddb.describe_table(TableName=OLD)["Table"]
        prod = OLD.replace("dev", "prod")
        world.ddb.create_table(TableName=prod, BillingMode="PAY_PER_REQUEST", KeySchema=shape["KeySchema"],
                               AttributeDefinitions=shape["AttributeDefinitions"],
                               GlobalSecondaryIndexes=[{key: index[key] for key in ("IndexName", "KeySchema", "Projection")}
                                                       for index in shape["GlobalSecondaryIndexes"]])
        for number in range(60):
            world.ddb.put_item(TableName=prod, Item=world.item(number))
        before = world.scan(prod)
        assert "this plan was not rehearsed" in world.run("check", expect=3, environment="prod")
        until_switched(world, functions)
        world.run("rollback", "--yes")
        proof = world.folder / ".whimbrel" / "operations-to-workflows-dev"
        proof.mkdir(parents=True)
        shutil.copy(world.folder / "state" / "migration-report-latest.json", proof)
        told = world.run("check", expect=3, environment="prod")
        assert "there is no bucket `housef3-prod-archive`" in told, told
        buckets.create_bucket(Bucket="housef3-prod-archive")
        assert "rehearsed: operations-to-workflows-dev" in world.run("check", environment="prod")
        world.run("run", "--yes", environment="prod")  # `start: manual`: as far as the comparison
        assert world.scan(prod.replace("operations", "workflows")) == before
        keys = [one["Key"] for one in buckets.list_objects_v2(Bucket="housef3-prod-archive")["Contents"]]
        [data] = [key for key in keys if key.endswith("/data/items.json.gz")]
        assert data.startswith("operations/operations-to-workflows-prod-"), data
        lines = gzip.decompress(buckets.get_object(Bucket="housef3-prod-archive", Key=data)["Body"].read()).decode().split("\n")
        assert len([line for line in lines if line]) == len(before)
        world.run("rollback", "--yes", environment="prod")
        assert world.scan(prod) == before


def each_trouble_of_the_guide_is_told(tables, functions):
    """As the example's README has them, in its order."""
    if not functions.client("lambda").list_functions()["Functions"]:
        make_functions(functions)
    consumer = functions.client("lambda").get_function(FunctionName=FUNCTIONS[1])["Configuration"]
    with FaultProxy(tables.url) as proxy, World(tables, functions, items=200) as world:
        world.environment.update((name, proxy.url) for name in tables.environment if name.startswith("AWS_ENDPOINT_URL"))
        plan = world.folder / "migration.yaml"
        text = plan.read_text()
        plan.write_text(text.replace("from: app/housef3-${environment}-operations", "from: app/housef3-${environment}-operation"))
        told = world.run("check", expect=2)
        assert "there is no table housef3-dev-operation in us-east-1" in told and "did you mean `%s`?" % OLD in told, told
        plan.write_text(text)
        proxy.set({"unrecognized_client": 1})
        told = world.run("check", expect=2)
        assert "the credentials came from the environment" in told and "in us-east-1" in told, told
        proxy.clear()

        functions.client("lambda").delete_function(FunctionName=FUNCTIONS[1])
        told = world.run("check")
        assert "could not be flipped now" in told and "Function not found" in told and FUNCTIONS[1] in told, told
        functions.client("lambda").create_function(FunctionName=FUNCTIONS[1], Runtime="python3.11", Role=consumer["Role"], Handler="a.b",
                                                   Code={"ZipFile": b"PK\x05\x06" + b"\x00" * 18}, Environment=consumer["Environment"])
        assert "could not be flipped" not in world.run("check")

        proxy.set({"throttle": {"rate": 1, "times": 4, "reason": "TableWriteProvisionedThroughputExceeded", "ops": ["BatchWriteItem"]},
                   "unprocessed": {"rate": 0.5, "share": 0.5}})
        world.run("run", "--yes", "--until", "verify")
        struck = proxy.counters()["faults"]
        assert struck["throttle"] == 4 and struck["unprocessed"] > 0, struck
        proxy.clear()
        world.compare("throttled")

        world.ddb.delete_item(TableName=NEW, Key={"operationId": {"S": "op-00004"}})
        told = world.run("verify", expect=1)
        assert "differs: operations key 'op-00004': missing" in told and "--repair" in told, told
        world.run("verify", "--repair", "--yes")
        world.compare("put right")

        until_switched(world, functions)
        functions.client("lambda").update_function_configuration(FunctionName=FUNCTIONS[1], Environment={"Variables": {"OPERATIONS_TABLE": OLD}})
        told = world.run("finish", "--yes", "--no-backup", expect=3)
        assert "is not on any more: the application may be using the old side" in told, told
        told = world.run("diagnose summary", expect=1)
        assert "have been stuck for more than 1 h" in told and "newest by createdAt" in told and "by status: 'completed'" in told.replace("'waiting'", "'completed'"), told
        world.run("rollback", "--yes")


if __name__ == "__main__":
    with dynamodb_local() as of_tables, moto() as of_functions:
        run_each((a_table_moves_under_writers_and_a_kill_and_goes_back, the_switch_leads_over_and_the_way_back_loses_nothing,
                  what_both_sides_wrote_stops_for_a_person, production_wants_a_rehearsal_and_keeps_an_archive, each_trouble_of_the_guide_is_told),
                 lambda test: test(of_tables, of_functions))

"""Writes that reach the old table after the switch: by late writers, by time to live, by both sides at once.

None of the two sides' versions may be lost, and what both have deleted is no conflict. Runs under tools/servers/python,
with WHIMBREL naming the binary.
"""
import json
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from dynamodb_folder import BINARY, DynamoFolder  # noqa: E402
from fault_proxy import FaultProxy  # noqa: E402
from servers import dynamodb_local  # noqa: E402
from trying import run_each  # noqa: E402

PLAN = """whimbrel: 1
migration: late
stores: {app: "dynamodb:"}
tables: [{as: things, from: app/old, to: app/new, create: like-source, %s}]
sync: capture
cutover: {hold: none, stragglers: {quiet: %s, conflicts: %s}, switches: [{env_file: app.env, set: {TABLE: new}}]}
finish: {after: 0s, keep_source: false}
"""


def text(value):
    return {"S": value}


class World(DynamoFolder):
    def __init__(self, server, columns="rest: copy", quiet="1s", conflicts="keep_new"):
        super().__init__(server, PLAN % (columns, quiet, conflicts))
        (self.folder / "app.env").write_text("TABLE=old\n")
        self.make("old")

    def put(self, table, id, **values):
        self.ddb.put_item(TableName=table, Item={"id": text(id), **values})

    def items(self, table):
        return super().items(table, "id")

    def kept(self):
        """What the rollback kept of the new side, by key."""
        file = self.folder / ".whimbrel" / "late" / "kept-by-rollback.jsonl.zst"
        if not file.exists():
            return {}
        lines = subprocess.run(["zstd", "-dc", str(file)], capture_output=True, text=True, check=True).stdout.splitlines()
        return {json.loads(line)["key"]: line for line in lines}

    def serves(self, table, process):
        while "TABLE=" + table not in (self.folder / "app.env").read_text().replace('"', ""):
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)


def time_takes_no_write_of_the_other_side(server):
    """The application renews an item on the new side; the old side's copy of it expires."""
    with World(server) as world:
        world.ddb.update_time_to_live(TableName="old", TimeToLiveSpecification={"Enabled": True, "AttributeName": "ends"})
        world.put("old", "session", v=text("a"), ends={"N": str(int(time.time()) + 8)})
        world.put("old", "other", v=text("a"))
        world.run("run", "--yes")
        world.put("new", "session", v=text("renewed"), ends={"N": str(int(time.time()) + 86400)})
        new, deadline = world.items("new"), time.monotonic() + 120
        while len(world.items("old")) > 1:
            assert time.monotonic() < deadline, "it never expired"
            time.sleep(1)
        world.run("rollback", "--yes")
        assert world.items("old") == new, (world.items("old"), new)


def what_both_sides_wrote_is_kept(server):
    """The old side's version stays, and the new side's is in the file that a rollback leaves."""
    for how in ("keep_new", "stop"):
        with World(server, conflicts=how) as world:
            for number in range(3):
                world.put("old", "k%d" % number, v=text("a"))
            world.run("run", "--yes")
            world.put("old", "k1", v=text("by a late writer"))
            world.put("new", "k1", v=text("by the application"))
            told = world.run("verify", code=1)
            assert "1 differ" in told and "wait to be carried over" not in told, told
            told = world.run("rollback", "--yes")
            assert "things: written on both sides since the switch" in told and "rejected.jsonl names the rows" in told, told
            assert world.items("old")["k1"]["v"] == text("by a late writer"), world.items("old")
            assert "by the application" in world.kept().get("'k1'", ""), world.kept()
            # It is for a person, and comes over nothing by itself.
            world.run("run", "--yes")
            world.run("verify")
            assert world.items("new") == world.items("old")


def what_gives_way_at_the_switch_is_kept(server):
    """The new side's version stays; what a straggler has written waits in a file, whatever becomes of the old table."""
    for how in ("keep_new", "stop"):
        with World(server, quiet="4s", conflicts=how) as world:
            for number in range(3):
                world.put("old", "k%d" % number, v=text("a"))
            process = world.start("run", "--yes")
            world.serves("new", process)
            world.put("new", "k1", v=text("by the application"))
            world.put("old", "k1", v=text("by a late writer"))
            world.ended(process, 0 if how == "keep_new" else 1)
            world.run("rollback", "--yes")
            assert b"by a late writer".hex() in (world.folder / ".whimbrel" / "late" / "repaired.jsonl").read_text()


def the_same_deletion_is_no_conflict(server):
    for verb, serves in (("run", "new"), ("rollback", "old")):
        with World(server, quiet="4s", conflicts="stop") as world:
            for number in range(5):
                world.put("old", "k%d" % number, v=text("a"))
            if verb == "rollback":
                world.run("run", "--yes")
            process = world.start(verb, "--yes")
            world.serves(serves, process)
            for table in ("old", "new"):
                world.ddb.delete_item(TableName=table, Key={"id": text("k1")})
            world.ended(process)
            assert sorted(world.items(serves)) == ["k0", "k2", "k3", "k4"], world.items(serves)


def what_was_too_large_to_go_back_comes_with_the_next_attempt(server):
    """The old item has a column that the new one lacks, and no room beside it for what the application wrote."""
    with World(server, columns="columns: {id: id, v: v}, rest: drop") as world:
        for number in range(3):
            world.put("old", "k%d" % number, v=text("a"), more=text("m" * 300_000))
        world.run("run", "--yes")
        world.put("new", "k0", v=text("n" * 200_000))
        world.put("new", "k1", v=text("n" * 200_000))
        world.put("new", "k2", v=text("small"))
        world.run("rollback", "--yes")
        assert [item["v"]["S"] for _, item in sorted(world.items("old").items())] == ["a", "a", "small"], "the old side"
        world.put("old", "k1", v=text("since"))  # then what was kept is not to come over it
        world.run("run", "--yes")
        assert [item["v"]["S"][:5] for _, item in sorted(world.items("new").items())] == ["nnnnn", "since", "small"], "the new side"
        world.run("verify")
        world.run("rollback", "--yes")
        assert [item["v"]["S"] for _, item in sorted(world.items("old").items())] == ["a", "since", "small"], "the old side again"
        assert "nnn" in world.kept()["'k0'"], "what was kept"


def what_was_written_to_the_old_table_is_not_deleted_with_it(server):
    with World(server) as world:
        world.put("old", "k1", v=text("a"))
        world.run("run", "--yes")
        told = world.run("status")
        assert "is remembered until" in told and "unless a runner starts" in told, told
        world.put("old", "k2", v=text("late"))
        told = world.run("run", "--yes", code=1)
        assert "1 row was written on the old side after the switch" in told and "'k2'" in told, told
        told = world.run("finish", "--yes", code=3)
        assert "'k2'" in told and "the way back is open" in told, told
        assert set(world.items("old")) == {"k1", "k2"}
        world.put("new", "k2", v=text("late"))
        world.run("run", "--yes")
        world.run("finish", "--yes")
        assert world.ddb.list_tables()["TableNames"] == ["new"]


def what_the_service_would_refuse_is_met_before(server):
    whole = {"AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}], "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}]}
    unused = {**whole, "AttributeDefinitions": [*whole["AttributeDefinitions"], {"AttributeName": "v", "AttributeType": "S"}]}
    index = {"IndexName": "by-v", "KeySchema": [{"AttributeName": "v", "KeyType": "HASH"}], "Projection": {"ProjectionType": "ALL"}}

    def of_parts(count):
        """A global index may have a key of several attributes."""
        names = ["p%d" % number for number in range(count)]
        return {**whole, "AttributeDefinitions": [*whole["AttributeDefinitions"], *({"AttributeName": n, "AttributeType": "S"} for n in names)],
                "GlobalSecondaryIndexes": [{**index, "KeySchema": [{"AttributeName": n, "KeyType": "HASH"} for n in names]}]}

    cases = [(unused, "`v` is among the AttributeDefinitions, and no key"),
             ({**whole, "GlobalSecondaryIndexes": [index]}, "the key `v` of the index by-v is not among the AttributeDefinitions"),
             ({**unused, "GlobalSecondaryIndexes": [{**index, "IndexName": "v"}]}, "an index cannot be called `v`"),
             ({**unused, "GlobalSecondaryIndexes": [{**index, "Projection": {}}]}, "does not say what it holds"),
             ({**unused, "LocalSecondaryIndexes": [index]}, "the local index by-v"),
             (of_parts(5), "1 to 4 HASH keys"),
             ({**whole, "KeySchema": [{"AttributeName": "id", "KeyType": "RANGE"}]}, "is no HASH key")]
    with World(server) as world:
        plan = world.folder / "plan.yaml"
        plan.write_text(plan.read_text().replace("create: like-source", "create: new.json"))
        for definition, why in cases:
            (world.folder / "new.json").write_text(json.dumps(definition))
            for verb in (["check"], ["run", "--yes"]):
                told = world.run(*verb, code=2)
                assert why in told and "new.json:1" in told, told
        (world.folder / "new.json").write_text(json.dumps(of_parts(4)))
        world.run("check")
        (world.folder / "new.json").write_text(json.dumps({**unused, "GlobalSecondaryIndexes": [index]}))
        world.run("run", "--yes")


def a_restore_brings_time_to_live_and_protection_back(server):
    with World(server) as world:
        world.put("old", "k1", v=text("a"))
        world.ddb.update_time_to_live(TableName="old", TimeToLiveSpecification={"Enabled": True, "AttributeName": "ends"})
        world.ddb.update_table(TableName="old", DeletionProtectionEnabled=True)
        world.run("backup", "file:backup", "--yes")
        world.ddb.update_table(TableName="old", DeletionProtectionEnabled=False)
        world.ddb.delete_table(TableName="old")
        restored = subprocess.run([BINARY, "restore", "file:backup", "dynamodb:", "--yes"], cwd=world.folder, env=world.environment,
                                  capture_output=True, text=True, timeout=120)
        assert restored.returncode == 0, restored.stdout + restored.stderr
        assert world.ddb.describe_time_to_live(TableName="old")["TimeToLiveDescription"]["AttributeName"] == "ends"
        assert world.ddb.describe_table(TableName="old")["Table"]["DeletionProtectionEnabled"]
        world.ddb.update_table(TableName="old", DeletionProtectionEnabled=False)


def a_query_asks_for_what_is_there(server):
    """Also where the attribute has another name on the new side, and some items have none."""
    with World(server, columns='columns: {id: id, G: owner}, rest: drop') as world:
        for number in range(20):
            world.put("old", "k%d" % number, **({"owner": text("o%d" % number)} if number % 2 else {}))
        with (world.folder / "plan.yaml").open("a") as plan:
            plan.write('queries:\n  by_owner:\n    old: SELECT id FROM "old" WHERE owner = :o\n    new: SELECT id FROM "new" WHERE G = :o\n'
                       '    with: {o: {sample: owner, of: things}}\n')
        world.run("run", "--yes", "--until", "verify")
        told = world.run("measure", "--side", "both", "--duration", "1s", "--output", "measured.json")
        for side in json.loads((world.folder / "measured.json").read_text())["sides"]:
            query, = side["queries"]
            assert query["failed"] == 0 and query["count"] == query["rows"] > 0, (query, told)


def who_may_not_write_loses_nothing(server):
    """A right that is missing, or credentials that have expired, say nothing of a row: none is set aside for them."""
    written = ["BatchWriteItem", "PutItem", "UpdateItem", "DeleteItem"]
    for fault in ({"access_denied": {"ops": written, "tables": ["old"]}}, {"expired_token": {"ops": written}}):
        with World(server) as world, FaultProxy(server.url, seed=1) as proxy:
            world.environment.update({name: proxy.url for name in server.environment if name.startswith("AWS_ENDPOINT")})
            for number in range(20):
                world.put("old", "k%d" % number, v=text("a"))
            world.run("run", "--yes")
            for number in range(5):
                world.put("new", "k%d" % number, v=text("b"))
                world.put("new", "n%d" % number, v=text("b"))
            world.ddb.delete_item(TableName="new", Key={"id": text("k9")})
            wanted = world.items("new")
            proxy.set(**fault)
            told = world.run("rollback", "--yes", code=3)
            assert "hint:" in told and "goes on here" in told, told
            assert "TABLE=new" in (world.folder / "app.env").read_text() and world.items("new") == wanted
            proxy.set(**{name: 0 for name in fault})
            world.run("rollback", "--yes")
            assert world.items("old") == wanted, (world.items("old"), wanted)
            assert world.kept() == {} and not (world.folder / ".whimbrel" / "late" / "rejected.jsonl").exists()


def a_finish_that_may_not_delete_leaves_a_way_back(server):
    """Nothing follows any more by then; the old table is brought up to date before anybody goes back to it."""
    with World(server) as world, FaultProxy(server.url, seed=1) as proxy:
        world.environment.update({name: proxy.url for name in server.environment if name.startswith("AWS_ENDPOINT")})
        for number in range(5):
            world.put("old", "k%d" % number, v=text("a"))
        world.run("run", "--yes")
        proxy.set(access_denied={"ops": ["DeleteTable"]})
        told = world.run("finish", "--yes", code=1)
        assert "no table was removed" in told and "rollback" in told, told
        assert "last error: " in world.run("status")
        world.put("new", "k1", v=text("b"))
        world.put("new", "n1", v=text("b"))
        world.ddb.delete_item(TableName="new", Key={"id": text("k2")})
        wanted = world.items("new")
        proxy.set(access_denied=0)
        world.run("rollback", "--yes")
        assert world.items("old") == wanted, (world.items("old"), wanted)
        assert "TABLE=old" in (world.folder / "app.env").read_text()


def another_table_of_the_name_empties_nothing(server):
    """Somebody drops the new table after the switch and makes it again, or the old one before it."""
    for verb, switched in (("rollback", True), ("finish", True), ("run", True), ("run", False)):
        with World(server) as world:
            for number in range(12):
                world.put("old", "k%02d" % number, v=text("a"))
            world.run("run", "--yes", *([] if switched else ["--until", "verify"]))
            lost, other = ("new", "old") if switched else ("old", "new")
            world.ddb.delete_table(TableName=lost)
            world.make(lost)
            world.put(lost, "fresh", v=text("b"))
            before = world.items(other)
            printed = world.run(verb, "--yes", code=0 if verb == "rollback" else 3)
            assert world.items(other) == before, (verb, switched, world.items(other))
            assert list(world.items(lost)) == ["fresh"] or lost == "old", "it is somebody else's: " + verb
            if verb == "rollback":
                assert "another table" in printed and (world.folder / "app.env").read_text() == "TABLE=old\n", printed
                assert world.items("new")["fresh"]["v"] == text("b")
            else:
                assert "is another table" in printed, printed


def a_new_table_that_is_gone_keeps_the_old_one(server):
    with World(server) as world:
        world.put("old", "k", v=text("a"))
        world.run("run", "--yes")
        world.ddb.delete_table(TableName="new")
        printed = world.run("finish", "--yes", code=3)
        assert "new is gone" in printed, printed
        assert list(world.items("old")) == ["k"]


def what_was_set_aside_does_not_go_unsaid(server):
    with World(server, columns="columns: {id: id, n: {cast: v, to: integer}}, on_error: reject") as world:
        world.put("old", "good", v=text("7"))
        world.put("old", "bad", v=text("seven"))
        printed = world.run("run", "--yes")
        assert "set aside" in printed, printed
        assert "1 set aside (rejected.jsonl names it)" in world.run("verify")
        printed = world.run("finish", "--yes", "--no-backup", code=3)
        assert "1 row was set aside" in printed and "--force" in printed, printed
        assert sorted(world.items("old")) == ["bad", "good"]
        world.run("finish", "--yes", "--no-backup", "--force")


if __name__ == "__main__":
    with dynamodb_local() as local:
        run_each((what_gives_way_at_the_switch_is_kept, another_table_of_the_name_empties_nothing, a_new_table_that_is_gone_keeps_the_old_one, what_was_set_aside_does_not_go_unsaid, a_finish_that_may_not_delete_leaves_a_way_back, who_may_not_write_loses_nothing, a_query_asks_for_what_is_there, time_takes_no_write_of_the_other_side, what_both_sides_wrote_is_kept, the_same_deletion_is_no_conflict,
                  what_was_too_large_to_go_back_comes_with_the_next_attempt,
                  what_was_written_to_the_old_table_is_not_deleted_with_it, what_the_service_would_refuse_is_met_before,
                  a_restore_brings_time_to_live_and_protection_back), lambda test: test(local))

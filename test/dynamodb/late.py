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
from dynamodb_folder import DynamoFolder  # noqa: E402
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
            world.run("rollback", "--yes")
            assert world.items("old")["k1"]["v"] == text("by a late writer"), world.items("old")
            assert "by the application" in world.kept().get("'k1'", ""), world.kept()
            # It is for a person, and comes over nothing by itself.
            world.run("run", "--yes")
            world.run("verify")
            assert world.items("new") == world.items("old")


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


if __name__ == "__main__":
    with dynamodb_local() as local:
        run_each((time_takes_no_write_of_the_other_side, what_both_sides_wrote_is_kept, the_same_deletion_is_no_conflict,
                  what_was_too_large_to_go_back_comes_with_the_next_attempt), lambda test: test(local))

"""Fourteen tables of a record shop fold into one of DynamoDB and unfold again into SQLite, under a writer.

What has to be there is computed in test/support/record_shop.py, from what the application knows, and compared row by
row and type by type. Runs under tools/servers/python, with WHIMBREL naming the binary.
"""
import decimal
import json
import os
import pathlib
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "test" / "support"))
import record_shop as shop  # noqa: E402
from servers import dynamodb_local  # noqa: E402

BINARY = os.environ.get("WHIMBREL", str(ROOT / "build" / "whimbrel"))
CUTOVER = """
cutover:
  max_hold: 30s
  hold: [{env_file: app.env, set: {READ_ONLY: "yes"}}]
  switches: [{env_file: app.env, set: {TABLES: one}}]
"""


def as_item(item):
    """As DynamoDB holds it. A null within a document is written down, others are not there."""
    def value(one):
        if one is None:
            return {"NULL": True}
        if isinstance(one, dict):
            return {"M": {name: value(field) for name, field in one.items()}}
        if isinstance(one, (int, float)):
            return {"N": format(decimal.Decimal(repr(one)).normalize(), "f")}
        return {"B": one} if isinstance(one, bytes) else {"S": one}
    return {name: value(one) for name, one in item.items()}


def plain(item):
    """Numbers by their value."""
    return {name: ("N", decimal.Decimal(value["N"])) if "N" in value else value for name, value in item.items()}


class World(shop.World):
    BINARY = BINARY

    def __init__(self, server):
        self.ddb, self.environment = server.client("dynamodb"), {**os.environ, **server.environment}
        super().__init__(150, CUTOVER, {"NEW_STORE": "dynamodb:", "SHOP_FILE": "shop.json"},
                         {"shop.json": json.dumps(shop.ONE_TABLE_OF_ITEMS), "app.env": "READ_ONLY=no\nTABLES=fourteen\n"})

    def write(self, changes):
        """Some changes, to the side that the settings name; tells whether that is the new one."""
        before, after = self.change(changes)
        while True:
            settings = (self.folder / "app.env").read_text()
            if "READ_ONLY=no" in settings and "TABLES=one" in settings:
                self.write_items(shop.folded(before), shop.folded(after))
                return True
            if "READ_ONLY=no" in settings and self.transaction(lambda: shop.statements(before, after)):
                return False
            time.sleep(0.02)

    def write_items(self, old, new):
        for pk, sk in old.keys() - new.keys():
            self.ddb.delete_item(TableName="shop", Key=as_item({"pk": pk, "sk": sk}))
        for (pk, sk), item in new.items():
            was = old.get((pk, sk))
            if was is None:
                self.ddb.put_item(TableName="shop", Item=as_item({"pk": pk, "sk": sk, **item}))
            elif was != item:
                changed = {name: item.get(name) for name in {**was, **item} if item.get(name) != was.get(name)}
                put = [name for name, value in changed.items() if value is not None]
                names = {"#%d" % at: name for at, name in enumerate(changed)}
                mark = {name: mark for mark, name in names.items()}
                text = ("SET " + ", ".join("%s = :%s" % (mark[name], mark[name][1:]) for name in put) if put else "") + (
                    " REMOVE " + ", ".join(mark[name] for name in changed if name not in put) if len(put) < len(changed) else "")
                values = {":" + mark[name][1:]: value for name, value in as_item({name: changed[name] for name in put}).items()} if put else {}
                self.ddb.update_item(TableName="shop", Key=as_item({"pk": pk, "sk": sk}), UpdateExpression=text, ExpressionAttributeNames=names,
                                     **({"ExpressionAttributeValues": values} if values else {}))

    def items(self, **question):
        pages = self.ddb.get_paginator("query" if question else "scan").paginate(TableName="shop", **question)
        found = [plain(item) for page in pages for item in page["Items"]]
        return {(item.pop("pk")["S"], item.pop("sk")["S"]): item for item in found}

    def writer(self):
        return shop.Writer(lambda: self.write(1), pause=0.1)

    def expect_new(self, what):
        wanted = {key: plain(as_item(item)) for key, item in shop.folded(self.written).items()}
        shop.expect_same({"shop": wanted}, {"shop": self.items()}, what)


def the_index_answers(world):
    """What an application asks the one table for, against what the shop knows."""
    songs = world.written["songs"]
    for record in sorted({row["record"] for row in songs.values() if row["record"]})[:10]:
        there = world.items(IndexName="gsi1", KeyConditionExpression="gsi1pk = :r AND begins_with(gsi1sk, :s)",
                            ExpressionAttributeValues=as_item({":r": "RECORD#%d" % record, ":s": "SONG#"}))
        assert {pk for pk, _ in there} == {"SONG#%d" % id for (id,), row in songs.items() if row["record"] == record}


def fourteen_tables_become_one_and_come_back_under_a_writer(server):
    with World(server) as world:
        with world.writer() as writer:
            world.run("fold.yaml", "run", "--yes", "--until", "follow")
        assert writer.sides[False] > 5 and not writer.sides[True], writer.sides
        assert not world.write(40)
        with world.writer():  # which goes over to the new side in between
            world.run("fold.yaml", "run", "--yes")
        assert world.write(40)
        world.expect_new("after the switch")
        the_index_answers(world)
        world.run("unfold.yaml", "run", "--yes")
        again = world.open("again.db")
        shop.expect_same({name: world.written[name] for name in shop.UNFOLDED}, shop.read_rows(again, shop.UNFOLDED), "unfolded")
        world.run("unfold.yaml", "rollback", "--yes")
        assert again.execute("SELECT name FROM sqlite_master").fetchall() == []
        again.close()
        assert world.write(30)
        with world.writer():  # and back again
            world.run("fold.yaml", "rollback", "--yes")
        assert not world.write(1)
        world.expect_old("rolled back")
        assert world.objects() == world.schema, set(world.objects()) ^ set(world.schema)
        assert world.ddb.list_tables()["TableNames"] == []
        assert (world.folder / "app.env").read_text() == "READ_ONLY=no\nTABLES=fourteen\n"


if __name__ == "__main__":
    with dynamodb_local() as running:
        began = time.monotonic()
        fourteen_tables_become_one_and_come_back_under_a_writer(running)
        print("fourteen_tables_become_one_and_come_back_under_a_writer: well (%.1f s)" % (time.monotonic() - began), flush=True)

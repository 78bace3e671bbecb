"""Documents: made of columns and of what is looked up, taken apart again, and members taken out of them.

Both ways between DynamoDB and itself and SQLite; what has to be there is written down. Runs under
tools/servers/python, with WHIMBREL naming the binary.
"""
import json
import pathlib
import sqlite3
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from dynamodb_folder import DynamoFolder  # noqa: E402
from servers import dynamodb_local  # noqa: E402
from trying import run_each  # noqa: E402

NEW = {"TableName": "all", "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
       "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}], "BillingMode": "PAY_PER_REQUEST"}
PLAN = """whimbrel: 1
migration: documents
stores: {old: "%s", new: "dynamodb:"}
tables:
%s
sync: capture
cutover: {hold: none, stragglers: {quiet: 1s}, switches: [{command: [touch, new-side], undo: [rm, -f, new-side], state: [test, -e, new-side]}]}
"""
SPONSOR = ("sponsor: {json: {id: sponsor, name: {lookup: name, in: members, by: sponsor}, "
           "or: {lookup: name, in: members, by: sponsor, if_null: {const: nobody}}, since: [1, sponsor]}}")


class World(DynamoFolder):
    def __init__(self, server, store, *tables):
        super().__init__(server, PLAN % (store, "\n".join("  - " + table for table in tables)))
        (self.folder / "all.json").write_text(json.dumps(NEW))

    def update(self, key, expression, **values):
        self.ddb.update_item(TableName="all", Key={"pk": {"S": key}}, UpdateExpression=expression,
                             ExpressionAttributeValues={":" + name: value for name, value in values.items()})


def sponsor_of(member, name):
    """As the plan makes it; `name` is None where the member is not there."""
    found = {"NULL": True} if name is None else {"S": name}
    return {"M": {"id": {"S": member}, "name": found, "or": found if name else {"S": "nobody"}, "since": {"L": [{"N": "1"}, {"S": member}]}}}


def made_of_items_and_taken_apart(server):
    with World(server, "dynamodb:",
               '{from: old/members, to: new/all, create: all.json, columns: {pk: "M#{id}", city: {extract: address.city}, '
               'lat: {extract: "address.places[1].lat"}, of_a_set: {extract: tags.x, lenient: true}}, same: [name, address, tags], rest: copy}',
               '{from: old/guests, to: new/all, columns: {pk: "G#{id}", %s, called: {coalesce: [{lookup: name, in: members, by: sponsor}, id]}}, rest: drop}'
               % SPONSOR) as world:
        address = {"M": {"city": {"S": "Kiel"}, "places": {"L": [{"NULL": True}, {"M": {"lat": {"N": "1.50"}}}]}}}
        world.make("members", [{"id": {"S": "m%d" % i}, "name": {"S": "Name %d" % i}, "tags": {"SS": ["x"]}, **({"address": address} if i else {})}
                               for i in range(5)])
        world.make("guests", [{"id": {"S": "g%d" % i}, "sponsor": {"S": "m%d" % (i * 2)}} for i in range(4)])
        world.run("run", "--until", "verify", "--yes")
        made = world.items("all", "pk")
        assert made["M#m1"]["city"] == {"S": "Kiel"} and made["M#m1"]["lat"]["N"] == "1.5" and "of_a_set" not in made["M#m1"], made["M#m1"]
        assert "city" not in made["M#m0"], made["M#m0"]
        for i in range(4):
            name = "Name %d" % (i * 2) if i < 3 else None
            assert made["G#g%d" % i]["sponsor"] == sponsor_of("m%d" % (i * 2), name), made["G#g%d" % i]
            assert made["G#g%d" % i]["called"] == {"S": name or "g3"}, made["G#g%d" % i]
        # A copy follows, wherever in a document it stands.
        world.ddb.update_item(TableName="members", Key={"id": {"S": "m2"}}, UpdateExpression="SET #n = :n",
                              ExpressionAttributeNames={"#n": "name"}, ExpressionAttributeValues={":n": {"S": "Renamed"}})
        world.run("run", "--yes")
        assert world.items("all", "pk")["G#g1"]["sponsor"] == sponsor_of("m2", "Renamed")
        world.update("G#g0", "SET sponsor.id = :m", m={"S": "m4"})
        world.update("G#g2", "SET sponsor = :m", m={"S": "no document"})
        world.run("rollback", "--yes")
        back = world.items("guests", "id")
        assert back["g0"] == {"id": {"S": "g0"}, "sponsor": {"S": "m4"}} and back["g1"] == {"id": {"S": "g1"}, "sponsor": {"S": "m2"}}, back
        assert "sponsor" not in back["g2"], back["g2"]
        kept = list(world.folder.rglob("kept-by-rollback.jsonl.zst"))
        assert kept and "no document" in subprocess.run(["zstdcat", str(kept[0])], capture_output=True, text=True, check=True).stdout


def made_of_rows_and_taken_apart(server):
    with World(server, "sqlite:app.db",
               '{from: old/members, to: new/all, create: all.json, columns: {pk: "M#{id}", name: name}}',
               '{from: old/guests, to: new/all, columns: {pk: "G#{id}", %s, more: {json: {stay: {nights: nights, pay: pay}, made: {const: now}, none: {}}}}}'
               % SPONSOR) as world:
        with sqlite3.connect(world.folder / "app.db", isolation_level=None) as db:
            db.executescript("PRAGMA journal_mode = WAL; CREATE TABLE members (id TEXT PRIMARY KEY, name TEXT) WITHOUT ROWID;"
                             "CREATE TABLE guests (id INTEGER PRIMARY KEY, sponsor TEXT, nights INTEGER, pay REAL);"
                             "INSERT INTO members VALUES ('m1', 'Ada'), ('m2', 'Bo');"
                             "INSERT INTO guests VALUES (1, 'm1', 3, 1.25), (2, 'm9', NULL, 2.0)")
        world.run("run", "--yes")
        made = world.items("all", "pk")
        assert made["G#1"]["sponsor"] == sponsor_of("m1", "Ada") and made["G#2"]["sponsor"] == sponsor_of("m9", None), made
        assert made["G#1"]["more"] == {"M": {"stay": {"M": {"nights": {"N": "3"}, "pay": {"N": "1.25"}}}, "made": {"S": "now"}, "none": {"M": {}}}}, made["G#1"]
        assert made["G#2"]["more"]["M"]["stay"] == {"M": {"nights": {"NULL": True}, "pay": {"N": "2"}}}, made["G#2"]
        world.update("G#1", "SET more.stay.nights = :n, sponsor.id = :m", n={"N": "7"}, m={"S": "m2"})
        assert "0 differ" in world.run("verify")
        world.run("rollback", "--yes")
        with sqlite3.connect(world.folder / "app.db") as db:
            there = db.execute("SELECT id, sponsor, nights, typeof(nights), pay, typeof(pay) FROM guests").fetchall()
        assert there == [(1, "m2", 7, "integer", 1.25, "real"), (2, "m9", None, "null", 2.0, "real")], there


def a_field_without_a_name_is_met_before(server):
    with World(server, "sqlite:app.db",
               '{from: old/prefs, to: new/all, create: all.json, group: [who], columns: {pk: "P#{who}", doc: {collect: val, by: name}}}') as world:
        with sqlite3.connect(world.folder / "app.db") as database:
            database.execute("CREATE TABLE prefs (who INTEGER, name TEXT, val TEXT, PRIMARY KEY (who, name))")
            database.execute("INSERT INTO prefs VALUES (1, 'a', 'b'), (1, '', 'no name'), (2, 'c', '{\"\":{')")
        told = world.run("analyze", code=3)
        assert "1 row cannot be moved" in told.replace("would not be taken by the target", "cannot be moved") and "a field without a name" in told, told
        database.execute("DELETE FROM prefs WHERE name = ''")
        database.commit()
        world.run("run", "--until", "verify", "--yes")


def what_would_be_nested_too_deeply_is_met_before(server):
    """What is as deep as it may be becomes too deep within another document: told before, put aside, and met again while following."""
    deepest = {"S": "bottom"}
    for level in range(31):
        deepest = {"M": {"k": deepest}} if level % 2 else {"L": [deepest]}
    for when_wrong in ("", ", on_error: reject"):
        with World(server, "dynamodb:", '{from: old/papers, to: new/all, create: all.json, columns: {pk: "P#{id}", inside: {json: {deep: d}}}, rest: drop%s}' % when_wrong) as world:
            world.make("papers", [{"id": {"S": "deep"}, "d": deepest}, {"id": {"S": "flat"}, "d": {"S": "x"}}])
            told = world.run("analyze", code=0 if when_wrong else 3)
            assert "a document that is nested too deeply" in told, told
            if not when_wrong:
                world.ddb.delete_item(TableName="papers", Key={"id": {"S": "deep"}})
            world.run("run", "--until", "verify", "--yes")
            assert set(world.items("all", "pk")) == {"P#flat"}
            world.ddb.put_item(TableName="papers", Item={"id": {"S": "late"}, "d": deepest})
            told = world.run("run", "--until", "verify", "--yes", code=0 if when_wrong else 3)
            assert when_wrong or "nested too deeply" in told, told


def a_row_is_a_document_and_a_key_is_made_of_what_changes(server):
    """Lines of a bill as documents of one item, and an item for each number that only one may have."""
    both = {**NEW, "KeySchema": NEW["KeySchema"] + [{"AttributeName": "sk", "KeyType": "RANGE"}],
            "AttributeDefinitions": NEW["AttributeDefinitions"] + [{"AttributeName": "sk", "AttributeType": "N"}]}
    with World(server, "dynamodb:",
               '{from: old/lines, to: new/all, create: all.json, group: [bill], rest: drop, columns: {pk: "B#{bill}", sk: {const: 0}, '
               'lines: {collect: [sku, pieces, tags, about], by: n}}}',
               '{as: people, from: old/people, to: new/all, items: [{columns: {pk: "P#{id}", sk: {const: 0}}, rest: copy}, '
               '{when: {present: phone}, columns: {pk: {const: PHONE}, sk: phone, who: id}, rest: drop}]}') as world:
        (world.folder / "all.json").write_text(json.dumps(both))
        about = {"M": {"x": {"L": [{"N": "1"}, {"BOOL": True}]}}}
        world.make("lines", [{"id": {"S": "l%d" % i}, "bill": {"S": "b%d" % (i // 2)}, "n": {"S": str(i % 2)}, "sku": {"S": "s%d" % i},
                              **({"pieces": {"N": "2.50"}, "tags": {"SS": ["a", "b"]}, "about": about} if i % 2 else {})} for i in range(4)])
        world.make("people", [{"id": {"S": "p%d" % i}, **({"phone": {"N": str(100 + i)}} if i else {})} for i in range(5)])
        told = world.run("check", code=2)
        assert "`id` is of the key of lines" in told, told
        plan = world.folder / "plan.yaml"
        plan.write_text(plan.read_text().replace("by: n}", "by: id}"))

        def put(person, **attributes):
            world.ddb.put_item(TableName="people", Item={"id": {"S": person}, **attributes})

        def phones():
            items = world.ddb.scan(TableName="all", ConsistentRead=True)["Items"]
            return {item["sk"]["N"]: item["who"]["S"] for item in items if item["pk"]["S"] == "PHONE"}
        world.run("run", "--until", "verify", "--yes")
        assert phones() == {"101": "p1", "102": "p2", "103": "p3", "104": "p4"}, phones()
        bill = world.items("all", "pk")["B#b0"]["lines"]
        assert bill == {"M": {"l0": {"M": {"sku": {"S": "s0"}}},
                              "l1": {"M": {"sku": {"S": "s1"}, "pieces": {"N": "2.5"}, "tags": {"SS": ["a", "b"]}, "about": about}}}}, bill
        put("p1", phone={"N": "102"})
        put("p2", phone={"N": "101"})
        put("p3")
        put("p0", phone={"N": "103"})
        world.ddb.delete_item(TableName="people", Key={"id": {"S": "p4"}})
        world.run("run", "--until", "verify", "--yes")
        assert phones() == {"101": "p2", "102": "p1", "103": "p0"}, phones()
        world.run("run", "--yes")
        world.ddb.update_item(TableName="all", Key={"pk": {"S": "B#b0"}, "sk": {"N": "0"}}, UpdateExpression="SET #l.l0.pieces = :n, #l.l9 = :new REMOVE #l.l1.tags", ExpressionAttributeNames={"#l": "lines"},
                              ExpressionAttributeValues={":n": {"N": "7"}, ":new": {"M": {"sku": {"S": "new"}, "about": {"M": {}}}}})
        world.run("rollback", "--yes")
        back = world.items("lines", "id")
        assert back["l0"] == {"id": {"S": "l0"}, "bill": {"S": "b0"}, "n": {"S": "0"}, "sku": {"S": "s0"}, "pieces": {"N": "7"}}, back["l0"]
        assert "tags" not in back["l1"] and back["l1"]["about"] == about, back["l1"]
        assert back["l9"] == {"id": {"S": "l9"}, "bill": {"S": "b0"}, "sku": {"S": "new"}, "about": {"M": {}}}, back["l9"]
        assert world.items("people", "id")["p1"] == {"id": {"S": "p1"}, "phone": {"N": "102"}}


if __name__ == "__main__":
    with dynamodb_local() as local:
        run_each((made_of_items_and_taken_apart, made_of_rows_and_taken_apart, a_field_without_a_name_is_met_before, what_would_be_nested_too_deeply_is_met_before,
                  a_row_is_a_document_and_a_key_is_made_of_what_changes), lambda test: test(local))

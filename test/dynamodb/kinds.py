"""What a value is: numbers in sets and behind masks, truth beside numbers, and attributes that are only computed from others.

What has to be there is written down. Runs under tools/servers/python, with WHIMBREL naming the binary.
"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from dynamodb_folder import DynamoFolder  # noqa: E402
from servers import dynamodb_local  # noqa: E402
from trying import run_each  # noqa: E402

PLAN = """whimbrel: 1
migration: kinds
stores: {d: "dynamodb:"}
tables: [{from: d/aaa, to: d/bbb, create: %s%s}]
"""
LIVE = """sync: capture
cutover: {hold: none, stragglers: {quiet: 1s}, switches: [{command: [touch, new-side], undo: [rm, -f, new-side], state: [test, -e, new-side]}]}
"""
COPY = "sync: none\n"


def what_is_only_computed_from_a_key_is_none(server):
    with DynamoFolder(server, PLAN % ("like-source", ", columns: {label: 'thing {id}', domain: {split: mail, by: '@', part: 2}, text: {time: exp, from: epoch_s, as: iso8601}}, rest: copy") + LIVE) as world:
        world.ddb.create_table(TableName="aaa", KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}], BillingMode="PAY_PER_REQUEST",
                               AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("id", "mail")],
                               GlobalSecondaryIndexes=[{"IndexName": "by-mail", "KeySchema": [{"AttributeName": "mail", "KeyType": "HASH"}],
                                                        "Projection": {"ProjectionType": "ALL"}}])
        world.ddb.update_time_to_live(TableName="aaa", TimeToLiveSpecification={"Enabled": True, "AttributeName": "exp"})
        world.ddb.put_item(TableName="aaa", Item={"id": {"S": "1"}, "mail": {"S": "x@y"}, "exp": {"N": "4000000000"}})
        world.run("run", "--yes")
        made = world.ddb.describe_table(TableName="bbb")["Table"]
        assert made["KeySchema"] == [{"AttributeName": "id", "KeyType": "HASH"}], made
        assert made["GlobalSecondaryIndexes"][0]["KeySchema"] == [{"AttributeName": "mail", "KeyType": "HASH"}], made
        assert world.ddb.describe_time_to_live(TableName="bbb")["TimeToLiveDescription"]["AttributeName"] == "exp"
        item = world.items("bbb", "id")["1"]
        assert item["label"] == {"S": "thing 1"} and item["domain"] == {"S": "y"} and item["mail"] == {"S": "x@y"}, item
        world.ddb.put_item(TableName="bbb", Item={"id": {"S": "2"}})  # as the application is used to
        world.run("rollback", "--yes")
        assert set(world.items("aaa", "id")) == {"1", "2"}


def a_set_of_numbers_is_the_same_however_it_is_spelled(server):
    with DynamoFolder(server, PLAN % ("like-source", ", columns: {q2: q}, rest: copy") + LIVE) as world:
        world.make("aaa", [{"id": {"S": str(i)}, "q": {"S": "a"}, "ns": {"NS": ["1E-50", "0.5"]}} for i in range(5)])
        world.run("run", "--yes", "--until", "follow")
        world.ddb.update_item(TableName="aaa", Key={"id": {"S": "3"}}, UpdateExpression="SET q = :z", ExpressionAttributeValues={":z": {"S": "before"}})
        world.run("run", "--yes")
        for word in ("one", "two"):
            world.ddb.update_item(TableName="bbb", Key={"id": {"S": "1"}}, UpdateExpression="SET q2 = :z", ExpressionAttributeValues={":z": {"S": word}})
            world.run("run", "--yes")
        world.run("rollback", "--yes")
        items = world.items("aaa", "id")
        assert items["1"]["q"] == {"S": "two"} and items["3"]["q"] == {"S": "before"}, items


def truth_is_no_number(server):
    with DynamoFolder(server, PLAN % ("b.json", ", where: {st: 1}, columns: {word: {map: st, values: {1: one, true: yes-it-is}, others: keep}}, rest: copy, on_conflict: skip") + COPY) as world:
        (world.folder / "b.json").write_text('{"TableName": "bbb", "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}], '
                                             '"AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}], "BillingMode": "PAY_PER_REQUEST"}')
        world.make("aaa", [{"id": {"S": "t"}, "st": {"BOOL": True}}, {"id": {"S": "1"}, "st": {"N": "1"}}, {"id": {"S": "2"}, "st": {"N": "2"}}])
        world.run("run", "--yes")
        assert world.items("bbb", "id") == {"1": {"id": {"S": "1"}, "st": {"N": "1"}, "word": {"S": "one"}}}, world.items("bbb", "id")


def a_number_is_masked_as_one(server):
    with DynamoFolder(server, PLAN % ("like-source", ", mask: {phone: phone}, on_conflict: skip") + COPY) as world:
        world.make("aaa", [{"id": {"S": "1"}, "phone": {"N": "49123456"}}])
        world.run("run", "--yes")
        masked = world.items("bbb", "id")["1"]["phone"]["N"]
        assert len(masked) == 8 and masked[0] == "4" and masked != "49123456", masked


def an_attribute_that_no_item_has_is_told(server):
    with DynamoFolder(server, PLAN % ("like-source", ", columns: {moved: m.x}, rest: copy") + LIVE) as world:
        world.make("aaa", [{"id": {"S": "1"}, "m": {"M": {"x": {"S": "1"}}}}])
        printed = " ".join(world.run("analyze").split())
        assert "no row of aaa has a value called `m.x`" in printed, printed


def an_item_that_the_old_table_cannot_have_ends_no_comparison(server):
    with DynamoFolder(server, PLAN % ("b.json", ", columns: {pk: {cast: id, to: integer}}, rest: copy, on_error: reject") + LIVE) as world:
        (world.folder / "b.json").write_text('{"TableName": "bbb", "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}], '
                                             '"AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "N"}], "BillingMode": "PAY_PER_REQUEST"}')
        world.make("aaa", [{"id": {"S": str(i)}} for i in range(5)])
        world.run("run", "--yes")
        world.ddb.put_item(TableName="bbb", Item={"pk": {"N": "1E+30"}})
        world.ddb.put_item(TableName="bbb", Item={"pk": {"N": "9"}})
        world.run("run", "--yes")
        world.run("verify")
        world.run("rollback", "--yes")
        assert "9" in world.items("aaa", "id")


def what_is_computed_stands_beside_what_is_passed_on(server):
    """Items of many shapes, one attribute renamed and one computed; and the one of which no item can be made, by its key."""
    more = ", columns: {kind: type, label: '{type}/{size}', place: {coalesce: [city, {const: nowhere}]}}, rest: copy"
    with DynamoFolder(server, PLAN % ("like-source", more) + LIVE) as world:
        items = {str(i): {"id": {"S": str(i)}, "type": {"S": 'q"\\\n\u00e9%d' % i}, "size": {"N": "1.50"}, "n\"x": {"NULL": True},
                          "deep": {"M": {"l": {"L": [{"N": "1.0"}, {"B": b"\0\xff"}, {"M": {}}]}, "s": {"SS": ["b", "a"]}}}, "empty": {"S": ""}} for i in range(60)}
        for number in range(0, 60, 7):
            del items[str(number)]["type"]
        items["5"]["city"] = {"S": "Wien"}
        items["6"]["size"] = {"S": "large"}
        world.make("aaa", list(items.values()))
        world.ddb.put_item(TableName="aaa", Item={"id": {"S": "double"}, "type": {"S": "t"}, "size": {"L": []}})
        said = " ".join(world.run("run", "--yes", code=3).split())
        assert "double" in said, said
        world.ddb.delete_item(TableName="aaa", Key={"id": {"S": "double"}})
        world.run("run", "--yes")
        found = world.items("bbb", "id")
        for key, item in items.items():
            size = "large" if key == "6" else "1.5"
            wanted = {name: value for name, value in item.items() if name != "type"}
            wanted["place"] = item.get("city", {"S": "nowhere"})
            if "type" in item:
                wanted |= {"kind": item["type"], "label": {"S": item["type"]["S"] + "/" + size}}
            if key != "6":
                wanted["size"] = {"N": "1.5"}
            found[key]["deep"]["M"]["s"]["SS"].sort(reverse=True)
            assert found[key] == wanted, (found[key], wanted)
        world.run("rollback", "--yes")
        assert set(world.items("aaa", "id")) == set(items)


TESTS = (what_is_computed_stands_beside_what_is_passed_on, what_is_only_computed_from_a_key_is_none, a_set_of_numbers_is_the_same_however_it_is_spelled, truth_is_no_number, a_number_is_masked_as_one,
         an_attribute_that_no_item_has_is_told, an_item_that_the_old_table_cannot_have_ends_no_comparison)


if __name__ == "__main__":
    with dynamodb_local() as local:
        run_each(TESTS, lambda test: test(local))

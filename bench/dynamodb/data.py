"""The items, and whether a copy of them is right.

An item is one line of JSON of 297 bytes in which `##########` stands for its number, so that
canned_server.cpp makes the same ones. All are of the same shape: what is measured is the way of an
item, not what is in it.
"""
import json

NUMBER = "#" * 10
SOURCE, TARGET = "bench-source", "bench-target"
KEY = "id"
BYTES = 297


def template(variant):
    """Of one item, as it lies in the source ("raw") or as a variant leaves it in the target."""
    item = {"id": {"S": f"op-{NUMBER}"}, "status": {"S": "completed"},
            "operationType": {"S": "file_upload"}, "userId": {"S": f"user-{NUMBER}"},
            "progress": {"N": "100"}, "createdAt": {"N": f"17{NUMBER}1"},
            "context": {"M": {"fileName": {"S": f"größe {NUMBER}.csv"}}}, "note": {"S": ""}}
    item["note"]["S"] = "n" * (BYTES - len(text_of(item).encode()))
    if variant in ("computed", "renamed"):
        item["label"] = {"S": "file_upload completed"}
    if variant == "renamed":
        item["kind"] = item.pop("operationType")
    return text_of(item)


def text_of(item):
    return json.dumps(item, separators=(",", ":"), ensure_ascii=False)


def item_of(variant, number):
    return json.loads(template(variant).replace(NUMBER, f"{number:010}"))


COLUMNS = {"raw": "", "computed": "columns: {id: id, label: \"{operationType} {status}\"}, ",
           "renamed": "columns: {id: id, kind: operationType, "
                      "label: \"{operationType} {status}\"}, "}


def plan(variant):
    return (f'whimbrel: 1\nmigration: bench-dynamodb\nstores: {{app: "dynamodb:us-east-1"}}\n'
            f"tables:\n  - {{as: items, from: app/{SOURCE}, to: app/{TARGET}, "
            f"create: like-source, {COLUMNS[variant]}rest: copy}}\n"
            "sync: capture\nbackup: none\ncutover: {hold: none}\n")


def wrong_in(items, variant, count):
    """What is wrong in a copy, as sentences; `items` are those of the target."""
    found = {item[KEY]["S"]: item for item in items}
    pattern = template(variant)
    others = 0
    for number in range(count):
        expected = json.loads(pattern.replace(NUMBER, f"{number:010}"))
        others += found.pop(expected[KEY]["S"], None) != expected
    return ([f"{others} of {count} items are lacking or not as expected"] if others else []) + (
        [f"{len(found)} items are too many"] if found else [])

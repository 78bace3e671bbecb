"""What the guide of examples/operations-to-workflows describes, written out with boto3.

    tools/servers/python copy_items.py SOURCE TARGET SEGMENTS VARIANT

A thread scans each segment and puts what it finds through a `batch_writer`; then the items of both
tables are counted. Says at its end, in one line of JSON, how long its parts took.
"""
import concurrent.futures
import json
import sys
import time

import boto3


def pages_of(table, **more):
    while True:
        page = table.scan(ConsistentRead=True, **more)
        yield page
        if "LastEvaluatedKey" not in page:
            return
        more["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def changed(item, variant):
    if variant != "raw":
        item["label"] = f"{item['operationType']} {item['status']}"
    if variant == "renamed":
        item["kind"] = item.pop("operationType")
    return item


def tables_for_each(segments, *names):
    """A resource is for one thread, so each segment has its own."""
    session = boto3.session.Session()
    databases = [session.resource("dynamodb") for _ in range(segments)]
    return [[database.Table(name) for name in names] for database in databases]


def copy_segment(source, target, variant, segment):
    copied = 0
    with target.batch_writer() as batch:
        for page in pages_of(source, **segment):
            for item in page["Items"]:
                batch.put_item(Item=changed(item, variant))
                copied += 1
    return copied


def count_segment(table, segment):
    return sum(page["Count"] for page in pages_of(table, Select="COUNT", **segment))


def main(source, target, segments, variant):
    took = {}
    began = time.perf_counter()

    def ends(part):
        nonlocal began
        took[part] = time.perf_counter() - began
        began = time.perf_counter()

    tables = tables_for_each(segments, source, target)
    places = [{"Segment": at, "TotalSegments": segments} for at in range(segments)]
    ends("connect")
    with concurrent.futures.ThreadPoolExecutor(segments) as threads:
        copied = sum(threads.map(lambda pair, at: copy_segment(*pair, variant, at), tables, places))
        ends("copy")
        counts = [sum(threads.map(lambda pair, at, side=side: count_segment(pair[side], at),
                                  tables, places)) for side in (0, 1)]
        ends("validate")
    if set(counts) != {copied}:
        sys.exit(f"{copied} items were copied, and the tables have {counts}")
    print(json.dumps(took))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])

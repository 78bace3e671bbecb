"""Backups and archives in a bucket, against a server of S3 that checks signatures; the tables are SQLite's.

Runs under tools/servers/python, with WHIMBREL naming the binary.
"""
import base64
import contextlib
import gzip
import hashlib
import json
import os
import pathlib
import random
import sqlite3
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "test" / "support"), str(ROOT / "test" / "scenarios")]
from refusals import changed, expect_words  # noqa: E402
from servers import ServerFailed, dynamodb_local, moto, versitygw  # noqa: E402
from whimbrel import World, main  # noqa: E402

BUCKET = "archives-of-the-team"
NUMBERS = iter(range(10**6))


@contextlib.contextmanager
def s3():
    """A server that checks signatures; where Go's modules cannot be had, moto, which does not."""
    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(versitygw())
        except ServerFailed as failure:
            print("versitygw could not be had, moto takes its place: %s" % failure)
            server = stack.enter_context(moto())
        yield server


def prefix():
    return "some folder/%d+ü" % next(NUMBERS)


def objects(below):
    pages = S3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=below)
    return {one["Key"]: one["Size"] for page in pages for one in page.get("Contents", [])}


@contextlib.contextmanager
def world_with(backup="", finish="", rows=300):
    world = World(rows=rows)
    if backup:
        changed(world, "file:backup", backup)
    if finish:
        changed(world, "finish: {after: 0s, rename_source_to: orders archive, view: true}", finish)
    yield world
    world.close()


def empty_database(world):
    path = world.folder / "other.db"
    sqlite3.connect(path).close()
    path.touch()
    return path


def tables_of(path):
    with sqlite3.connect(path) as c:
        return sorted(c.execute('SELECT * FROM "old orders"').fetchall())


def the_plan_s_backup_goes_there_and_comes_back():
    below = prefix()
    with world_with(backup="s3://%s/%s" % (BUCKET, below)) as world:
        before = tables_of(world.db)
        world.run("check")
        world.run("run", "--yes", "--until", "backup")
        [manifest] = [key for key in objects(below) if key.endswith("/manifest.json")]
        place = "s3://%s/%s" % (BUCKET, manifest[:-len("/manifest.json")])
        assert "/scenario-" in place, place
        _, out, _ = world.run("report")
        assert place in out, out
        world.run("run", "--yes")  # the backup is not taken again
        assert len([key for key in objects(below) if key.endswith("/manifest.json")]) == 1
        other = empty_database(world)
        world.plan = place
        world.run("restore", "sqlite:%s" % other, "--dry-run")
        world.run("restore", "sqlite:%s" % other, "--yes")
        assert tables_of(other) == before


def two_migrations_do_not_meet_in_one_place():
    below = prefix()
    for number in (1, 2):
        with world_with(backup="s3://%s/%s" % (BUCKET, below)) as world:
            world.run("run", "--yes")
            manifests = [key for key in objects(below) if key.endswith("/manifest.json")]
            assert len(manifests) == number, manifests


def finish_archives_there_and_rollback_brings_it_back():
    below = prefix()
    place = "s3://%s/%s" % (BUCKET, below)
    with world_with(finish="finish: {after: 0s, keep_source: false}") as world:
        before = tables_of(world.db)
        world.run("run", "--yes")
        _, _, err = world.run("finish", "--yes", "--backup", "s3://no-such-bucket-here/x", expect=3)
        expect_words(err, "there is no bucket `no-such-bucket-here`", "the way back is open")
        world.run("finish", "--yes", "--backup", place)
        assert below + "/manifest.json" in objects(below), objects(below)
        assert not [key for key in objects(below) if "probe" in key]
        with world.connect() as c:
            assert not c.execute("SELECT 1 FROM sqlite_master WHERE name = 'old orders'").fetchall()
        world.run("rollback", "--yes")
        assert tables_of(world.db) == before


def an_archive_that_cannot_be_reached_is_not_replaced_by_an_older_backup():
    below = prefix()
    with world_with(finish="finish: {after: 0s, keep_source: false}") as world:
        world.run("run", "--yes")  # with a backup of before in the state folder
        with world.connect() as c:
            c.execute("UPDATE \"old orders\" SET note = 'of later' WHERE qty > 50")
        before = tables_of(world.db)
        world.run("finish", "--yes", "--backup", "s3://%s/%s" % (BUCKET, below))
        right = os.environ.get("AWS_ENDPOINT_URL_S3")
        os.environ["AWS_ENDPOINT_URL_S3"] = "http://127.0.0.1:1"
        try:
            _, _, err = world.run("rollback", "--yes", expect=1)
        finally:
            os.environ.pop("AWS_ENDPOINT_URL_S3") if right is None else os.environ.update(AWS_ENDPOINT_URL_S3=right)
        expect_words(err, "127.0.0.1:1 did not answer", "nothing was changed")
        world.run("rollback", "--yes")
        assert tables_of(world.db) == before


def a_finish_that_was_cut_off_goes_on_in_its_place():
    below = prefix()
    place = "s3://%s/%s" % (BUCKET, below)
    with world_with(finish="finish: {after: 0s, keep_source: false}", rows=8000) as world:
        world.run("run", "--yes")
        finishing = world.start("finish", "--yes", "--backup", place)
        while finishing.poll() is None and not any(key.endswith("manifest.json") for key in objects(below)):
            time.sleep(0.002)
        if finishing.poll() is None:  # as a rule; else it was faster
            finishing.kill()
        finishing.communicate()
        world.run("finish", "--yes", "--backup", place)
        with world.connect() as c:
            assert not c.execute("SELECT 1 FROM sqlite_master WHERE name = 'old orders'").fetchall()
        assert below + "/manifest.json" in objects(below)


def the_plan_s_archive_is_looked_for_before_the_way_back_is_given_up():
    with world_with(finish='finish: {after: 0s, keep_source: false, backup: "s3://no-such-bucket-here/x"}') as world:
        world.run("run", "--yes")
        _, _, err = world.run("finish", "--yes", expect=3)
        expect_words(err, "there is no bucket `no-such-bucket-here`", "the way back is open")
        world.run("rollback", "--yes")
    with world_with(backup="s3://%s//x" % BUCKET) as world:
        world.run("check", expect=2)


def the_plan_says_where_the_archive_goes():
    below = prefix()
    with world_with(finish='finish: {after: 0s, keep_source: false, backup: "s3://%s/%s"}' % (BUCKET, below)) as world:
        world.run("run", "--yes")
        world.run("finish", "--yes")
        assert [key for key in objects(below) if "/scenario-" in key and key.endswith("manifest.json")], objects(below)


def much_goes_in_parts():
    below = prefix()
    with world_with(rows=0) as world:
        noise = random.Random(5)
        with world.connect() as c:
            c.executemany('INSERT INTO "old orders" (id, who, note) VALUES (?, ?, ?)',
                          (("k%d" % i, "w", noise.randbytes(700_000)) for i in range(40)))
        before = tables_of(world.db)
        place = "s3://%s/%s" % (BUCKET, below)
        world.run("backup", place)
        [size] = [size for key, size in objects(below).items() if key.endswith(".rows.zst")]
        assert size > 20_000_000, size
        assert not S3.list_multipart_uploads(Bucket=BUCKET).get("Uploads"), "an upload was left open"
        _, _, err = world.run("backup", place, expect=3)
        expect_words(err, "already holds a backup", "the backup there was not touched")
        other = empty_database(world)
        world.plan = place
        world.run("restore", "sqlite:%s" % other, "--yes")
        assert tables_of(other) == before


def every_damage_is_noticed():
    below = prefix()
    with world_with(rows=200) as world:
        place = "s3://%s/%s" % (BUCKET, below)
        world.run("backup", place)
        world.plan = place
        other = "sqlite:%s" % empty_database(world)
        for key in objects(below):
            body = S3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
            at = len(body) // 2
            S3.put_object(Bucket=BUCKET, Key=key, Body=body[:at] + bytes([body[at] ^ 1]) + body[at + 1:])
            _, _, err = world.run("restore", other, "--yes", expect=1)
            assert "damaged" in err, err
            S3.delete_object(Bucket=BUCKET, Key=key)
            world.run("restore", other, "--yes", expect=3)
            S3.put_object(Bucket=BUCKET, Key=key, Body=body)
        with sqlite3.connect(world.folder / "other.db") as c:
            assert not c.execute("SELECT 1 FROM sqlite_master").fetchall()
        world.run("restore", other, "--yes")


def what_is_wrong_is_told_before_anything():
    with world_with(backup="s3://no-such-bucket-here/x") as world:
        _, _, err = world.run("check", expect=3)
        expect_words(err, "there is no bucket `no-such-bucket-here`", "nothing was changed")
        world.run("run", "--yes", expect=3)
        assert world.own_objects() == []
    for wrong, words in (("s3:bucket/x", "`s3:bucket/x` names no bucket"),
                         ("s3:///x", "`s3:///x` names no bucket"),
                         ("gs://bucket/x", "`gs://bucket/x` is no place for a backup")):
        with world_with(backup=wrong) as world:
            _, _, err = world.run("check", expect=2)
            expect_words(err, words)
    with world_with(backup="s3://%s/x?colour=red" % BUCKET) as world:
        _, _, err = world.run("check", expect=2)
        expect_words(err, "a bucket has no parameter `colour`")
    with world_with(backup="s3://%s/x" % BUCKET) as world:
        if SERVER.name == "moto":
            return
        os.environ["AWS_SECRET_ACCESS_KEY"], right = "wrong", os.environ["AWS_SECRET_ACCESS_KEY"]
        try:
            _, out, err = world.run("check", expect=3)
            assert "wrong" not in out + err.replace("went wrong", ""), err
            world.run("run", "--yes", expect=3)
        finally:
            os.environ["AWS_SECRET_ACCESS_KEY"] = right


def a_server_that_is_gone_is_told():
    below = prefix()
    with world_with(backup="s3://%s/%s?endpoint=http://127.0.0.1:1" % (BUCKET, below)) as world:
        _, _, err = world.run("run", "--yes", "--until", "backup", expect=None)
        expect_words(err, "127.0.0.1:1 did not answer")
        assert world.own_objects() == []


ITEMS = [{"id": {"S": "a%d" % i}, "n": {"N": "12345678901234567890123456789012345678"}, "s": {"SS": ["b", "a"]},
          "b": {"B": b"\x00\xff\n"}, "m": {"M": {"l": {"L": [{"NULL": True}, {"BOOL": False}, {"S": "li\nne"}]}, "e": {"S": ""}}},
          "bs": {"BS": [b"", b"1"]}, "t": {"S": "é漢\u0000x"}} for i in range(120)]


def plain(items):
    def one(value):
        if isinstance(value, dict):
            return {k: sorted(v) if k in ("SS", "NS", "BS") and isinstance(v, list) else one(v) for k, v in value.items()}
        return [one(v) for v in value] if isinstance(value, list) else value
    return {item["id"]["S"]: one(item) for item in items}


def items_lie_there_as_an_export_that_the_store_itself_imports():
    """Out of DynamoDB Local and back into it; the import is moto's, which has one."""
    with dynamodb_local() as server, moto() as cloud:
        tables = server.client("dynamodb")
        shape = {"AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
                 "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}], "BillingMode": "PAY_PER_REQUEST"}
        for name in ("Orders", "Other"):
            tables.create_table(TableName=name, **shape)
        for item in ITEMS:
            tables.put_item(TableName="Orders", Item=item)
        os.environ["AWS_ENDPOINT_URL_DYNAMODB"] = server.url
        below = prefix()
        with world_with() as world:
            world.plan.write_text("whimbrel: 1\nmigration: m\nstores: {app: 'dynamodb:'}\n"
                                  "tables: [{from: app/Orders, to: app/Other, create: exists, rest: copy}]\n"
                                  "sync: capture\ncutover: {hold: none, stragglers: {quiet: 1s}}\n")
            world.run("backup", "s3://%s/%s" % (BUCKET, below))
            world.run("backup", "file:%s" % (world.folder / "kept"))
            world.plan = "s3://%s/%s" % (BUCKET, below)
            world.run("restore", "dynamodb:", "--yes", "--dry-run")
            tables.delete_table(TableName="Orders")
            world.run("restore", "dynamodb:", "--yes")
            assert plain(tables.scan(TableName="Orders")["Items"]) == plain(ITEMS)
            kept = {path.name: path.read_bytes() for path in (world.folder / "kept").glob("AWSDynamoDB/*/data/*")}
        [summary] = [key for key in objects(below) if key.endswith("/manifest-summary.json")]
        assert summary.startswith(below + "/AWSDynamoDB/Orders-"), summary

        def read(key):
            return S3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        summary = json.loads(read(summary))
        assert (summary["itemCount"], summary["outputFormat"], summary["s3Bucket"], summary["s3Prefix"]) == (
            len(ITEMS), "DYNAMODB_JSON", BUCKET, below), summary
        [entry] = [json.loads(line) for line in read(summary["manifestFilesS3Key"]).splitlines()]
        data = read(entry["dataFileS3Key"])
        assert base64.b64encode(hashlib.md5(data).digest()).decode() == entry["md5Checksum"], entry
        found = [json.loads(line)["Item"] for line in gzip.decompress(data).decode().split("\n") if line]
        assert len(found) == len(ITEMS) == entry["itemCount"], len(found)
        assert [gzip.decompress(one) for one in kept.values()] == [gzip.decompress(data)]
        buckets = cloud.client("s3")
        buckets.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-3"})
        buckets.put_object(Bucket=BUCKET, Key=entry["dataFileS3Key"], Body=data)
        imports = cloud.client("dynamodb")
        started = imports.import_table(
            S3BucketSource={"S3Bucket": BUCKET, "S3KeyPrefix": os.path.dirname(entry["dataFileS3Key"])},
            InputFormat="DYNAMODB_JSON", InputCompressionType="GZIP",
            TableCreationParameters={"TableName": "Imported", **shape})["ImportTableDescription"]["ImportArn"]
        for _ in range(100):
            status = imports.describe_import(ImportArn=started)["ImportTableDescription"]
            if status["ImportStatus"] != "IN_PROGRESS":
                break
            time.sleep(0.1)
        assert status["ImportStatus"] == "COMPLETED" and status["ImportedItemCount"] == len(ITEMS), status


if __name__ == "__main__":
    with s3() as server:
        os.environ.update(server.environment)
        SERVER = server
        S3 = server.client("s3")
        S3.create_bucket(Bucket=BUCKET)
        main(the_plan_s_backup_goes_there_and_comes_back, two_migrations_do_not_meet_in_one_place,
             finish_archives_there_and_rollback_brings_it_back,
             an_archive_that_cannot_be_reached_is_not_replaced_by_an_older_backup, a_finish_that_was_cut_off_goes_on_in_its_place,
             the_plan_s_archive_is_looked_for_before_the_way_back_is_given_up, the_plan_says_where_the_archive_goes,
             much_goes_in_parts, every_damage_is_noticed, what_is_wrong_is_told_before_anything,
             a_server_that_is_gone_is_told,
             items_lie_there_as_an_export_that_the_store_itself_imports)

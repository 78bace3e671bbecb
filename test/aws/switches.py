"""Switches at AWS that are no tables: reserved concurrency of Lambda and an object of S3, against moto; the tables are SQLite's.

Runs under tools/servers/python, with WHIMBREL naming the binary.
"""
import json
import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "test" / "support"), str(ROOT / "test" / "scenarios")]
from refusals import changed, expect_words  # noqa: E402
from servers import moto  # noqa: E402
from whimbrel import World, main  # noqa: E402

FUNCTIONS = ("consumer", "importer")
ROW = "[{row: db/switches, key: {name: use_new}, set: {state: 1}, create: true}]"


def reserved(name):
    return LAMBDA.get_function_concurrency(FunctionName=name).get("ReservedConcurrentExecutions")


def text(key):
    return S3.get_object(Bucket="settings", Key=key)["Body"].read().decode()


def functions_are_stopped_and_let_go_as_they_were():
    LAMBDA.put_function_concurrency(FunctionName="consumer", ReservedConcurrentExecutions=7)
    world = World(rows=40)
    changed(world, ROW, "[{lambda_concurrency: [consumer, importer], set: 0}]")
    world.run("run", "--yes")
    assert [reserved(name) for name in FUNCTIONS] == [0, 0]
    world.run("rollback", "--yes")
    assert [reserved(name) for name in FUNCTIONS] == [7, None]
    world.close()


def a_function_that_is_not_there_is_told_before_anything():
    world = World(rows=40)
    changed(world, ROW, "[{lambda_concurrency: nobody, set: 0}]")
    _, _, err = world.run("run", "--yes", expect=None)
    expect_words(err, "nobody")
    assert world.old_rows()
    world.close()


def says_of_itself(key):
    said = S3.head_object(Bucket="settings", Key=key)
    assert (said["ContentType"], said["CacheControl"]) == ("application/json", "max-age=60"), said
    assert said["Metadata"] == {"owner": "platform team"}, said


def an_object_gets_its_text_and_gets_it_back():
    S3.put_object(Bucket="settings", Key="app/table.json", Body=b'{"table": "old"}\n', ContentType="application/json",
                  CacheControl="max-age=60", Metadata={"owner": "platform team"})
    world = World(rows=40)
    changed(world, ROW, """[{s3: "s3://settings/app/table.json", set: '{"table": "new"}'},
             {s3: "s3://settings/app/not there yet", set: made}]""")
    world.run("run", "--yes")
    assert text("app/table.json") == '{"table": "new"}' and text("app/not there yet") == "made"
    says_of_itself("app/table.json")
    world.run("run", "--yes")
    world.run("rollback", "--yes")
    assert text("app/table.json") == '{"table": "old"}\n'
    says_of_itself("app/table.json")
    keys = [one["Key"] for one in S3.list_objects_v2(Bucket="settings")["Contents"]]
    assert keys == ["app/table.json"], keys
    world.close()


def a_bucket_that_is_not_there_is_told():
    world = World(rows=40)
    changed(world, ROW, '[{s3: "s3://nowhere/x", set: made}]')
    _, _, err = world.run("run", "--yes", expect=None)
    expect_words(err, "nowhere")
    world.run("rollback", "--yes", expect=None)
    assert world.own_objects() == []
    world.close()


if __name__ == "__main__":
    with moto() as server:
        os.environ.update(server.environment)
        for variable in [name for name in os.environ if name.startswith("AWS_ENDPOINT_URL")]:
            del os.environ[variable]
        os.environ["AWS_ENDPOINT_URL"] = server.url
        S3, LAMBDA = server.client("s3"), server.client("lambda")
        S3.create_bucket(Bucket="settings", CreateBucketConfiguration={"LocationConstraint": "eu-west-3"})
        role = server.client("iam").create_role(
            RoleName="role", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": []}))["Role"]["Arn"]
        for function in FUNCTIONS:
            LAMBDA.create_function(FunctionName=function, Runtime="python3.11", Role=role, Handler="a.b",
                                   Code={"ZipFile": b"PK\x05\x06" + b"\x00" * 18})
        main(functions_are_stopped_and_let_go_as_they_were, a_function_that_is_not_there_is_told_before_anything,
             an_object_gets_its_text_and_gets_it_back, a_bucket_that_is_not_there_is_told)

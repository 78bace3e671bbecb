#!/usr/bin/env python3
"""The real servers start, do what tests will ask of them, and end. Runs under tools/servers/python.

`tools/servers/python test/support/servers_test.py` runs all of it, with NAME... some.
"""
import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

from servers import ServerFailed, dynamodb_local, moto, postgresql, versitygw

MEBIBYTE = 1 << 20


def wait_for(what, why, seconds=20):
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, why
        time.sleep(0.02)


def is_gone(pid):
    """A zombie is gone too: in a container the first process may be slow to collect it."""
    try:
        status = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return status.rpartition(")")[2].split()[0] == "Z"


def listening(pid):
    """The addresses, as the kernel writes them, that a process listens on."""
    inodes = set()
    for descriptor in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            inodes.add(os.readlink(descriptor).removeprefix("socket:[").removesuffix("]"))
    for table in ("tcp", "tcp6"):
        for line in pathlib.Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                yield fields[1].partition(":")[0]


def create_orders(database):
    database.create_table(
        TableName="orders", BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"})


def put(database, key, note):
    database.put_item(TableName="orders", Item={"id": {"S": key}, "note": {"S": note}})


def get(database, key):
    item = database.get_item(TableName="orders", Key={"id": {"S": key}}).get("Item")
    return item and item["note"]["S"]


def changes(streams):
    stream = streams.list_streams(TableName="orders")["Streams"][0]["StreamArn"]
    shards = streams.describe_stream(StreamArn=stream)["StreamDescription"]["Shards"]
    for shard in shards:
        iterator = streams.get_shard_iterator(
            StreamArn=stream, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")
        yield from streams.get_records(ShardIterator=iterator["ShardIterator"])["Records"]


# ---------------------------------------------------------------- what they do

def dynamodb_local_stores_rows_and_streams_changes():
    with dynamodb_local() as server:
        database = server.client("dynamodb")
        create_orders(database)
        put(database, "a", "old")
        put(database, "a", "new")
        found = [(change["eventName"], change["dynamodb"]["NewImage"]["note"]["S"])
                 for change in changes(server.client("dynamodbstreams"))]
        assert found == [("INSERT", "old"), ("MODIFY", "new")], found


def dynamodb_local_finds_its_files_again_after_a_kill():
    with tempfile.TemporaryDirectory() as folder:
        with dynamodb_local(data=folder) as server:
            create_orders(server.client("dynamodb"))
            put(server.client("dynamodb"), "a", "kept")
            server.kill()
        with dynamodb_local(port=server.port, data=folder) as again:
            assert again.url == server.url
            assert get(again.client("dynamodb"), "a") == "kept"


def a_delayed_index_takes_its_time():
    with dynamodb_local(delayed=True) as server:
        database = server.client("dynamodb")
        create_orders(database)
        database.update_table(
            TableName="orders", AttributeDefinitions=[{"AttributeName": "note", "AttributeType": "S"}],
            GlobalSecondaryIndexUpdates=[{"Create": {
                "IndexName": "by_note", "KeySchema": [{"AttributeName": "note", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"}}}])
        index = database.describe_table(TableName="orders")["Table"]["GlobalSecondaryIndexes"][0]
        assert index["IndexStatus"] == "CREATING", index


def moto_has_functions_parameters_and_buckets():
    with moto() as server:
        role = server.client("iam").create_role(
            RoleName="role", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
        functions = server.client("lambda")
        functions.create_function(FunctionName="orders", Runtime="python3.11", Role=role,
                                  Handler="main.handler", Code={"ZipFile": b"no archive"})
        functions.update_function_configuration(
            FunctionName="orders", Environment={"Variables": {"SOURCE": "old"}})
        found = functions.get_function_configuration(FunctionName="orders")
        assert found["Environment"]["Variables"] == {"SOURCE": "old"}, found

        parameters = server.client("ssm")
        parameters.put_parameter(Name="/orders/source", Value="new", Type="String")
        assert parameters.get_parameter(Name="/orders/source")["Parameter"]["Value"] == "new"

        objects = server.client("s3")
        objects.create_bucket(Bucket="backups")
        objects.put_object(Bucket="backups", Key="a/b", Body=b"rows")
        assert objects.get_object(Bucket="backups", Key="a/b")["Body"].read() == b"rows"

        database = server.client("dynamodb")
        create_orders(database)
        made = database.create_backup(TableName="orders", BackupName="before")["BackupDetails"]
        assert made["BackupStatus"] in ("CREATING", "AVAILABLE"), made


def versitygw_takes_signed_and_multipart_objects():
    from botocore.exceptions import ClientError
    with versitygw() as server:
        objects = server.client("s3")
        objects.create_bucket(Bucket="backups")
        objects.put_object(Bucket="backups", Key="small", Body=b"rows")
        assert objects.get_object(Bucket="backups", Key="small")["Body"].read() == b"rows"

        parts = [b"a" * 5 * MEBIBYTE, b"b" * MEBIBYTE]
        place = {"Bucket": "backups", "Key": "in/parts"}
        upload = {**place, "UploadId": objects.create_multipart_upload(**place)["UploadId"]}
        sent = [{"PartNumber": number,
                 "ETag": objects.upload_part(**upload, PartNumber=number, Body=part)["ETag"]}
                for number, part in enumerate(parts, 1)]
        objects.complete_multipart_upload(**upload, MultipartUpload={"Parts": sent})
        assert objects.get_object(**place)["Body"].read() == b"".join(parts)

        try:
            server.client("s3", aws_secret_access_key="another").list_buckets()
            raise AssertionError("a wrong signature was accepted")
        except ClientError as error:
            assert error.response["Error"]["Code"] == "SignatureDoesNotMatch", error


def a_command_finds_its_server_by_the_environment():
    script = ("import boto3; boto3.client('s3').create_bucket(Bucket='one');"
              "print(boto3.client('dynamodb').list_tables()['TableNames']); raise SystemExit(7)")
    run = str(pathlib.Path(__file__).resolve().parents[2] / "tools" / "servers" / "run")
    ended = subprocess.run([run, "versitygw", "--", run, "dynamodb-local", "--",
                            sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert (ended.returncode, ended.stdout) == (7, "[]\n"), ended


# ---------------------------------------------------------------- how they start and end

def two_at_once_know_nothing_of_each_other():
    with dynamodb_local() as one, dynamodb_local() as other:
        assert one.port != other.port and one.pid != other.pid
        create_orders(one.client("dynamodb"))
        assert other.client("dynamodb").list_tables()["TableNames"] == []
    assert is_gone(one.pid) and is_gone(other.pid)


def nobody_outside_reaches_them():
    for start in (dynamodb_local, moto, versitygw):
        with start() as server:
            found = set(listening(server.pid))
            # 127.0.0.1, plain and as the JVM has it, mapped into IPv6.
            assert found and found <= {"0100007F", "0000000000000000FFFF00000100007F"}, (server.name, found)


def scratch_of(server_log):
    return pathlib.Path(server_log).parent


def started_by_another(start):
    """A test in a process of its own, which waits; and its server's pid, runner and folder."""
    script = (f"import servers, time\nwith servers.{start.__name__}() as server:\n"
              "    print(server.pid, server._runner.pid, server.log, flush=True)\n    time.sleep(600)")
    test = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True,
                            cwd=pathlib.Path(__file__).parent, start_new_session=True)
    pid, runner, log = test.stdout.readline().split()
    return test, int(pid), int(runner), scratch_of(log)


def a_killed_test_takes_its_server_with_it():
    for start in (dynamodb_local, moto, versitygw):
        test, pid, runner, folder = started_by_another(start)
        with test:
            assert not is_gone(pid)
            os.killpg(test.pid, signal.SIGKILL)
            wait_for(lambda: is_gone(pid) and is_gone(runner), f"{start.__name__} outlived its test")
            wait_for(lambda: not folder.exists(), f"{folder} was left behind")


def a_killed_runner_takes_its_server_with_it():
    test, pid, runner, folder = started_by_another(versitygw)
    with test:
        os.kill(runner, signal.SIGKILL)
        wait_for(lambda: is_gone(pid), "the server outlived its runner")
        test.kill()
    subprocess.run(["rm", "-rf", str(folder)], check=True)


def a_stopped_server_ends_as_well():
    with versitygw() as server:
        os.kill(server.pid, signal.SIGSTOP)
    assert is_gone(server.pid)
    assert not scratch_of(server.log).exists()


def a_server_that_ends_by_itself_is_an_error():
    try:
        with versitygw() as server:
            os.kill(server.pid, signal.SIGKILL)
            wait_for(lambda: server._runner.poll() is not None, "nobody noticed")
    except ServerFailed as failure:
        assert "versitygw ended" in str(failure), failure
        return
    raise AssertionError("the test would not have noticed")


def a_port_that_is_taken_is_told():
    with versitygw() as server:
        try:
            with versitygw(port=server.port):
                raise AssertionError("it started on a port that is taken")
        except ServerFailed as failure:
            assert f"port {server.port} cannot be had: Address already in use" in str(failure), failure


def postgresql_keeps_what_it_was_told_after_a_kill():
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o711)
        data = pathlib.Path(folder) / "data"
        psql = ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1"]
        with postgresql(data=data) as server:
            subprocess.run([*psql, server.url, "-c", "CREATE TABLE t AS SELECT 1 AS a"], check=True)
            server.kill()
        with postgresql(data=data) as server:
            assert subprocess.check_output([*psql, server.url, "-c", "TABLE t"], text=True) == "1\n"


TESTS = [
    dynamodb_local_stores_rows_and_streams_changes,
    dynamodb_local_finds_its_files_again_after_a_kill,
    a_delayed_index_takes_its_time,
    moto_has_functions_parameters_and_buckets,
    postgresql_keeps_what_it_was_told_after_a_kill,
    versitygw_takes_signed_and_multipart_objects,
    a_command_finds_its_server_by_the_environment,
    two_at_once_know_nothing_of_each_other,
    nobody_outside_reaches_them,
    a_killed_test_takes_its_server_with_it,
    a_killed_runner_takes_its_server_with_it,
    a_stopped_server_ends_as_well,
    a_server_that_ends_by_itself_is_an_error,
    a_port_that_is_taken_is_told,
]


def main():
    unknown = set(sys.argv[1:]) - {test.__name__ for test in TESTS}
    if unknown:
        sys.exit(f"there is no {', '.join(sorted(unknown))}")
    failed = 0
    for test in TESTS:
        if sys.argv[1:] and test.__name__ not in sys.argv[1:]:
            continue
        begun = time.monotonic()
        try:
            test()
            print(f"ok     {test.__name__} ({time.monotonic() - begun:.1f} s)", flush=True)
        except Exception as error:  # the others go on
            failed += 1
            print(f"FAILED {test.__name__}: {type(error).__name__}: {error}", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()

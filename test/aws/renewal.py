"""What becomes of credentials and clocks while a migration runs, and that each side is asked as its own.

Before DynamoDB Local stands a server that looks at signatures. Runs under tools/servers/python, with
WHIMBREL naming the binary.
"""
import contextlib
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "test" / "support"), str(ROOT / "test" / "scenarios")]
from amazon import AMAZON, BINARY, HERE, HOME, SECRET, SYSTEM, TOKEN, ask, files, keys_of, moment, no_secret  # noqa: E402
from refusals import expect_words  # noqa: E402
from servers import dynamodb_local  # noqa: E402
from whimbrel import main  # noqa: E402

PLAN = """
whimbrel: 1
migration: credentials
stores: {a: "dynamodb:eu-west-1?profile=source", b: "dynamodb:eu-west-3?profile=target"}
tables: [{from: a/Things, to: b/Others, create: exists, rest: copy}]
ids: {from: [name, id, there]}
sync: none
limits: {batch_size: 25}
"""


@contextlib.contextmanager
def migration(source, target, items=200):
    """Two tables and a plan, whose sides have the profiles with these lines."""
    files("[profile source]\n%s\n[profile target]\n%s\n" % (source, target))
    folder = HOME / "plan"
    folder.mkdir()
    (folder / "plan.yaml").write_text(PLAN)
    client = SERVER.client("dynamodb")
    for name in client.list_tables()["TableNames"]:
        client.delete_table(TableName=name)
    for name in ("Things", "Others"):
        client.create_table(TableName=name, BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
                            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}])
    for begin in range(0, items, 25):
        puts = [{"PutRequest": {"Item": {"id": {"S": "i%d" % i}, "n": {"N": str(i)}}}} for i in range(begin, begin + 25)]
        client.batch_write_item(RequestItems={"Things": puts})
    AMAZON.behind = SERVER
    AMAZON.take()
    try:
        yield folder
        copied = client.scan(TableName="Others", Select="COUNT")["Count"]
        assert copied == items, "%d of %d items" % (copied, items)
    finally:
        AMAZON.behind, AMAZON.ahead, AMAZON.expired = None, 0, lambda key: False


def run(folder, *words, expect=0, **environment):
    done = subprocess.run([BINARY, words[0], "plan.yaml", *words[1:], "--log-level", "debug"], cwd=folder, stdin=subprocess.DEVNULL,
                          env={**SYSTEM, "AWS_EC2_METADATA_DISABLED": "true", "AWS_ENDPOINT_URL": AMAZON.url, **environment},
                          capture_output=True, text=True, timeout=120)
    text = done.stdout + done.stderr
    assert done.returncode == expect, "exit %d: %s" % (done.returncode, text[-2000:])
    no_secret(text)
    for path in folder.rglob("*"):
        if path.is_file():
            no_secret(path.read_bytes().decode("latin-1"))
    return text


def static(name):
    return "aws_access_key_id = %s\naws_secret_access_key = %s%s\naws_session_token = %s%s" % (name, SECRET, name, TOKEN, name)


def each_time_another_key(**more):
    """k1, k2 and so on, by ~/next.sh, which counts in ~/times."""
    told = json.dumps({"Version": 1, "AccessKeyId": "kN", "SecretAccessKey": SECRET + "k", "SessionToken": TOKEN + "k", **more})
    (HOME / "next.sh").write_text('echo x >> "$HOME/times"\necho \'%s\'\n' % told.replace("kN", "k'$(wc -l < \"$HOME/times\")'"))


def each_side_is_asked_with_its_own_profile():
    with migration(static("sources"), static("base") + "\nrole_arn = arn:aws:iam::2:role/targets\nsource_profile = target") as folder:
        run(folder, "analyze")
        run(folder, "run", "--yes", **keys_of("env"))
        of = {"Things": ("sources", "eu-west-1"), "Others": ("targets.of.base", "eu-west-3")}
        seen = {(table, one["key"], one["region"], one["token"]) for one in AMAZON.take() for table in one["tables"] if table in of}
        assert seen == {(table, key, region, TOKEN + key) for table, (key, region) in of.items()}, seen


def what_expires_soon_is_renewed_and_not_for_each_request():
    """Three minutes are less than the five that it wants to have before it; asking again would bring nothing better."""
    with migration("credential_process = sh %s/next.sh" % HOME, static("targets")) as folder:
        each_time_another_key(Expiration=moment(180))
        run(folder, "run", "--yes")
        times, asked = len((HOME / "times").read_text().split()), len([one for one in AMAZON.take() if one["key"] != "targets"])
        assert 0 < times <= 3 < asked, "the process was started %d times for %d requests" % (times, asked)


def what_a_service_calls_expired_is_renewed_once_and_it_goes_on():
    """Each of the keys is good for twelve requests."""
    with migration("credential_process = sh %s/next.sh" % HOME, static("targets")) as folder:
        each_time_another_key()
        counts = {}

        def expired(key):
            counts[key] = counts.get(key, 0) + 1
            return key != "targets" and counts[key] > 12
        AMAZON.expired = expired
        run(folder, "run", "--yes")
        times = len((HOME / "times").read_text().split())
        mine = [key for key in counts if key != "targets"]
        assert len(mine) == times > 1 and sorted(mine) == sorted("k%d" % (i + 1) for i in range(times)), (times, counts)
        assert max(counts[key] for key in mine) <= 12 + 8, counts


def what_stays_expired_is_told():
    files("[profile p]\n" + static("old"))
    AMAZON.expired = lambda key: True
    answer = ask(HERE, "profile=p")
    AMAZON.expired = lambda key: False
    assert len(answer.asked) == 2, answer
    expect_words(answer.text, "ExpiredTokenException", "profile p", "still good?")


def a_clock_that_is_wrong_is_mended():
    """The server's is twenty minutes ahead, or behind: whoever was told once goes on."""
    for ahead in (1200, -1200):
        with migration(static("sources"), static("targets")) as folder:
            AMAZON.ahead = ahead
            run(folder, "run", "--yes")


if __name__ == "__main__":
    with dynamodb_local() as SERVER:
        main(each_side_is_asked_with_its_own_profile, what_expires_soon_is_renewed_and_not_for_each_request,
             what_a_service_calls_expired_is_renewed_once_and_it_goes_on, what_stays_expired_is_told, a_clock_that_is_wrong_is_mended)

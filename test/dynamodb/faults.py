"""Tables move through a proxy that does what DynamoDB Local never does: throttles, loses replies, splits shards, forgets.

A reader that shares no code with whimbrel compares every item. `faults.py [NAME...]`; runs under tools/servers/python,
with WHIMBREL naming the binary.
"""
import pathlib
import random
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "test" / "support"))
from effort import effort  # noqa: E402
from fault_proxy import FaultProxy  # noqa: E402
from fault_rules import REASONS  # noqa: E402
from live_table import LiveTable, expect_equal  # noqa: E402
from servers import dynamodb_local  # noqa: E402
from trying import run_each  # noqa: E402

SPLITS = {"shards": {"records": (20, 60), "order": "newest", "page": 3, "inconsistent": 0.2}}
# Each is met often, and by itself.
ALONE = {
    "throttled": {"throttle": 0.2},
    "left over": {"unprocessed": {"rate": 0.7, "share": 0.6}},
    "500 before": {"error_500_before": 0.1},
    "500 after": {"error_500_after": 0.1},
    "503 before": {"error_503_before": 0.1},
    "503 after": {"error_503_after": 0.1},
    "reset before": {"reset_before": 0.1},
    "reset after": {"reset_after": 0.1},
    "reset within a reply": {"reset_mid_reply": 0.1},
    "slow replies": {"slow_reply": {"rate": 0.05, "seconds": 0.5}},
    "damaged replies": {"wrong_crc32": 0.1},
    "twice delivered": {"duplicate": 0.2},
    "expired iterators": {"expired_iterator": 0.7},
    "empty pages": {"empty_page": 0.7},
    "split shards, children first": SPLITS,
}
TOGETHER = {**SPLITS, "throttle": 0.05, "unprocessed": {"rate": 0.1, "share": 0.5}, "error_500_after": 0.01, "error_503_before": 0.01, "reset_before": 0.01,
            "reset_after": 0.01, "reset_mid_reply": 0.01, "wrong_crc32": 0.01, "expired_iterator": 0.05, "empty_page": 0.1, "duplicate": 0.02}


def whatever_fails_by_itself_nothing_is_lost(server):
    for number, (name, faults) in enumerate(ALONE.items()):
        begun = time.monotonic()
        with FaultProxy(server.url, seed=number, faults=faults) as proxy, \
                LiveTable(server, items=400, through=proxy.url, renamed=number % 2 == 1, seed=100 + number) as table:
            with table.application(pause=0.02) as application:
                table.run("run", "--yes", "--until", "copy")
            table.run("run", "--yes", "--until", "verify")
            application.check(table.compare(name), name)
            struck = proxy.counters()["faults"]
            assert sum(struck.values()) >= 3 or faults is SPLITS, "%s: hardly anything happened: %s" % (name, struck)
            table.run("rollback", "--yes")
            assert table.new not in table.tables()
        print("        %5.1f s  %s" % (time.monotonic() - begun, name), flush=True)


def each_documented_reason_to_throttle_is_borne(server):
    faults = {"throttle": [{"rate": 1, "times": 3, "reason": reason, "ops": ["BatchWriteItem"] if "Write" in reason else ["Scan"]} for reason in REASONS]}
    with FaultProxy(server.url, seed=3, faults=faults) as proxy, LiveTable(server, items=400, through=proxy.url, seed=3) as table:
        table.run("run", "--yes", "--until", "verify")
        table.compare("throttled")
        assert proxy.counters()["faults"]["throttle"] == 3 * len(REASONS), proxy.counters()["faults"]


def killed_again_and_again_among_all_of_them(server):
    for renamed in effort((True,), (False, True)):
        chance = random.Random(renamed)
        with FaultProxy(server.url, seed=11, faults=TOGETHER) as proxy, \
                LiveTable(server, items=effort(800, 1500), through=proxy.url, renamed=renamed, limits="rows_per_s: 400", seed=11 + renamed) as table:
            with table.application(pause=0.01) as application:
                for _ in range(6):
                    runner = table.start("run", "--yes", "--until", "verify")
                    time.sleep(0.3 + 1.5 * chance.random())
                    runner.kill()
                    runner.wait()
            table.run("run", "--yes", "--until", "verify")
            application.check(table.compare("killed"), "killed")
            table.run("run", "--yes")
            assert table.serving() == table.new
            with table.application(changes=600, to=table.new) as application:
                for _ in range(3):
                    runner = table.start("run", "--yes", "--stay")
                    time.sleep(0.5 + chance.random())
                    runner.kill()
                    runner.wait()
                application.wait()
            newest = table.scan(table.new)
            application.check(newest, "after the switch")
            table.run("rollback", "--yes")
            assert table.serving() == table.old and table.new not in table.tables()
            assert table.scan(table.old) == newest, "a write was lost on the way back"


def killed_between_a_write_and_its_reply(server):
    """What it carried back at that moment is its own write, not one of the application to the old table."""
    with FaultProxy(server.url) as proxy, \
            LiveTable(server, items=40, through=proxy.url, seed=31, columns="{state: {from: status, if_null: {const: none}}, kind: {const: live}}") as table:
        table.run("run", "--yes")
        items = [{**table.item(number, side="state"), "kind": {"S": "live"}, "live": {"N": "1"}} for number in range(20)]
        for item in items:
            table.ddb.put_item(TableName=table.new, Item=item)
        proxy.set({"hold_reply": {"seconds": 8, "ops": ["UpdateItem", "PutItem", "BatchWriteItem", "DeleteItem"], "tables": [table.old]}})
        runner = table.start("watch")
        while not proxy.counters()["faults"].get("hold_reply"):
            assert runner.poll() is None, (table.folder / "output").read_text()
            time.sleep(0.05)
        time.sleep(0.5)  # the requests beside it as well
        runner.kill()
        runner.wait()
        proxy.clear()
        written = [key for key, item in table.scan(table.old).items() if "live" in item]
        assert written, "the proxy let nothing through"
        for number, item in enumerate(items):
            if number % 2:
                table.ddb.delete_item(TableName=table.new, Key=table.key(number))
            else:
                table.ddb.put_item(TableName=table.new, Item={**item, "live": {"N": "2"}})
        table.run("watch")
        newest = {key: {name: value for name, value in {**item, "status": item["state"]}.items() if name not in ("state", "kind")}
                  for key, item in table.scan(table.new).items()}
        table.run("rollback", "--yes")
        expect_equal(table.scan(table.old), newest, "on the way back")


if __name__ == "__main__":
    with dynamodb_local() as running:
        run_each((whatever_fails_by_itself_nothing_is_lost, each_documented_reason_to_throttle_is_borne, killed_again_and_again_among_all_of_them,
                  killed_between_a_write_and_its_reply), lambda test: test(running))

"""A table under ten thousand writes, there and back; limits as the server counts them; a way back after the stream has forgotten.

`live.py [NAME...]`; runs under tools/servers/python, with WHIMBREL naming the binary.
"""
import pathlib
import shutil
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "test" / "support"))
from effort import effort  # noqa: E402
from fault_proxy import FaultProxy  # noqa: E402
from live_table import LiveTable, expect_equal  # noqa: E402
from servers import dynamodb_local  # noqa: E402
from trying import run_each  # noqa: E402


def nothing_is_missing_resurrected_or_stale(server):
    """Three thousand items, ten thousand changes while they are copied, a quarter of them deletions; half as many on the way back (in ./check a third of it all)."""
    with LiveTable(server, items=effort(1000, 3000), limits="rows_per_s: 250", large=False, seed=21) as table:
        with table.application(changes=effort(3_500, 10_500)) as application:
            table.run("run", "--yes", "--until", "follow")
            assert application.writes > 500, application.writes
            application.wait()
        table.run("run", "--yes", "--until", "verify")
        application.check(table.compare("there"), "there")
        table.run("run", "--yes")
        with table.application(changes=effort(1_700, 5_000), to=table.new) as application:
            runner = table.start("run", "--yes", "--stay")
            application.wait()
            runner.kill()
            runner.wait()
        newest = table.scan(table.new)
        application.check(newest, "after the switch")
        said = table.run("rollback", "--yes")
        expect_equal(table.scan(table.old), newest, "on the way back", said)


def limits_hold_within_five_per_cent(server):
    for number, (limits, way, most) in enumerate((("wcu: 60", "write", 60), ("rcu: 12", "read", 12))):
        with FaultProxy(server.url, measure_capacity=True) as proxy, \
                LiveTable(server, items=900, through=proxy.url, limits=limits, large=False, seed=31 + number) as table:
            table.run("run", "--yes", "--until", "copy")
            seen = 0
            for resource, ways in proxy.counters()["capacity"].items():
                seconds = dict(ways.get(way, {}).get("per_second", []))
                if len(seconds) < 6:
                    continue
                seen += 1
                whole = range(min(seconds) + 1, max(seconds))
                rate = sum(seconds.get(second, 0) for second in whole) / len(whole)
                assert rate <= 1.05 * most, "%s: %.1f units a second of %s, not %d" % (limits, rate, resource, most)
                if way == "write":
                    assert rate >= 0.9 * most, "%s: only %.1f units a second of %s" % (limits, rate, resource)
            assert seen >= (2 if way == "write" else 1), proxy.counters()["capacity"]


def limits_may_change_while_it_runs(server):
    """At twenty units a second a thousand items would take most of a minute."""
    with FaultProxy(server.url, measure_capacity=True) as proxy, \
            LiveTable(server, items=1000, through=proxy.url, limits="wcu: 20", large=False, seed=51) as table:
        runner = table.start("run", "--yes", "--until", "copy")
        deadline = time.monotonic() + 30
        while table.new not in table.tables() or not table.scan(table.new):
            assert time.monotonic() < deadline and runner.poll() is None, (table.folder / "output").read_text()
            time.sleep(0.2)
        assert len(table.scan(table.new)) < 500
        table.run("limits", "wcu=5000")
        assert runner.wait(40) == 0, (table.folder / "output").read_text()
        paces = [units for ways in proxy.counters()["capacity"].values() for _, units in ways.get("write", {}).get("per_second", [])]
        assert max(paces) > 60, paces


def capacity_is_raised_for_the_copy(server):
    """What tables are provisioned with comes back: after the copy, after a kill, by a rollback; what others have set stays."""
    def units(table, name):
        there = table.ddb.describe_table(TableName=name)["Table"]
        return [(one["ProvisionedThroughput"]["ReadCapacityUnits"], one["ProvisionedThroughput"]["WriteCapacityUnits"])
                for one in [there, *there["GlobalSecondaryIndexes"]]]

    def raised(table):
        return table.new in table.tables() and (units(table, table.old), units(table, table.new)) == ([(70, 5), (5, 5)], [(5, 90), (5, 90)])

    def until(what, table, runner):
        deadline = time.monotonic() + 30
        while not what():
            assert time.monotonic() < deadline and runner.poll() is None, (table.folder / "output").read_text()
            time.sleep(0.1)

    with LiveTable(server, items=600, limits="raise: {rcu: 70, wcu: 90}, rows_per_s: 100", large=False, seed=61) as table:
        throughput = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}
        table.ddb.update_table(TableName=table.old, BillingMode="PROVISIONED", ProvisionedThroughput=throughput,
                               GlobalSecondaryIndexUpdates=[{"Update": {"IndexName": "by.user", "ProvisionedThroughput": throughput}}])
        said = table.run("analyze")
        assert "goes from 5 to 70 units of reading" in said, said
        for _ in range(2):
            runner = table.start("run", "--yes", "--until", "copy")
            until(lambda: raised(table), table, runner)
            runner.kill()
            runner.wait()
        assert "more capacity" in table.run("status"), table.run("status")
        said = table.run("rollback", "--yes")
        assert "raised capacity" in said, said
        assert units(table, table.old) == [(5, 5), (5, 5)] and table.new not in table.tables()
        runner = table.start("run", "--yes", "--until", "copy")
        until(lambda: raised(table), table, runner)
        table.ddb.update_table(TableName=table.new, GlobalSecondaryIndexUpdates=[{"Update": {"IndexName": "by.user", "ProvisionedThroughput": {
            "ReadCapacityUnits": 5, "WriteCapacityUnits": 33}}}])
        assert runner.wait(60) == 0, (table.folder / "output").read_text()
        assert units(table, table.old) == [(5, 5), (5, 5)] and units(table, table.new) == [(5, 5), (5, 33)], units(table, table.new)
        table.run("run", "--yes", "--until", "verify")
        table.compare("after the copy")
        table.run("rollback", "--yes")
        with FaultProxy(server.url) as proxy:
            table.lead(proxy.url)
            runner = table.start("run", "--yes", "--until", "copy")
            until(lambda: raised(table), table, runner)
            proxy.set(access_denied={"ops": ["UpdateTable"], "tables": [table.new]})
            assert runner.wait(60) == 0, (table.folder / "output").read_text()
            said = (table.folder / "output").read_text()
            assert "keeps the capacity" in said and "5 units of reading and 5 of writing" in said, said
            assert units(table, table.old) == [(5, 5), (5, 5)] and units(table, table.new) == [(5, 90), (5, 90)]
            proxy.clear()
            table.run("rollback", "--yes")
            assert units(table, table.old) == [(5, 5), (5, 5)] and table.new not in table.tables()


def the_way_back_outlives_the_memory_of_the_stream(server):
    """Whimbrel dies after the switch, the application writes on, the stream forgets; another machine has the state folder only."""
    with FaultProxy(server.url, seed=5, faults={"shards": {"records": (200, 600)}}) as proxy, \
            LiveTable(server, items=effort(400, 1200), through=proxy.url, large=False, seed=41) as table:
        table.run("run", "--yes")
        runner = table.start("run", "--yes", "--stay")
        time.sleep(1)
        runner.kill()
        runner.wait()
        with table.application(changes=effort(3_400, 10_200), to=table.new) as application:
            application.wait()
        proxy.trim(table=table.new, keep=50)
        newest = table.scan(table.new)
        application.check(newest, "after the switch")
        shutil.copytree(table.folder / "state", table.folder / "elsewhere")
        shutil.rmtree(table.folder / "state")
        table.run("rollback", "--yes", state="elsewhere")
        assert table.serving() == table.old
        assert table.scan(table.old) == newest, "a write was lost on the way back"


def with_a_server_of_its_own(test):
    with dynamodb_local() as fresh:  # it slows down with what it has seen
        test(fresh)


if __name__ == "__main__":
    run_each((nothing_is_missing_resurrected_or_stale, limits_hold_within_five_per_cent, limits_may_change_while_it_runs,
              capacity_is_raised_for_the_copy, the_way_back_outlives_the_memory_of_the_stream),
             with_a_server_of_its_own)

"""The alarm that a check after the switch makes at CloudWatch, against moto; the tables are SQLite's.

Runs under tools/servers/python, with WHIMBREL naming the binary.
"""
import os
import pathlib
import sys
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "test" / "support"), str(ROOT / "test" / "scenarios")]
from after_the_switch import switched, write_on_the_old_side  # noqa: E402
from refusals import changed, expect_words  # noqa: E402
from servers import moto  # noqa: E402
from whimbrel import World, main  # noqa: E402

LAMBDA = "{name: post-migration errors, metric: AWS/Lambda Errors, above: 5, period: 5m, times: 2}"
OWN = "{name: not clean, metric: whimbrel NotClean, above: 0}"


def an_alarm_is_made_and_made_so_again():
    world = switched(watch="{alarm: %s}" % LAMBDA)
    for _ in range(2):
        _, _, err = world.run("watch")
        assert "warning" not in err, err
    [alarm] = CLOUDWATCH.describe_alarms(AlarmNames=["post-migration errors"])["MetricAlarms"]
    found = {key: alarm[key] for key in ("Namespace", "MetricName", "Statistic", "ComparisonOperator", "Threshold", "Period",
                                         "EvaluationPeriods")}
    assert found == {"Namespace": "AWS/Lambda", "MetricName": "Errors", "Statistic": "Sum",
                     "ComparisonOperator": "GreaterThanThreshold", "Threshold": 5.0, "Period": 300, "EvaluationPeriods": 2}, alarm
    world.close()


def each_check_sends_what_came_of_it():
    world = switched(watch="{alarm: %s}" % OWN)
    world.run("watch")
    write_on_the_old_side(world, 7)
    world.run("watch", expect=1)
    [alarm] = CLOUDWATCH.describe_alarms(AlarmNames=["not clean"])["MetricAlarms"]
    migration = [{"Name": "Migration", "Value": "scenario"}]
    assert alarm["Dimensions"] == migration, alarm
    metrics = CLOUDWATCH.list_metrics(Namespace="whimbrel")["Metrics"]
    assert {"Namespace": "whimbrel", "MetricName": "NotClean", "Dimensions": migration} in metrics, metrics
    world.close()


def a_metric_is_asked_at_each_moment():
    def plan(world, at, more=""):
        changed(world, "sync: capture", "sync: capture\nchecks: [{at: %s, metric: Own/App Errors, below: 3%s}]" % (at, more))
        return world
    for at in ("before", "held", "after", "watch"):
        CLOUDWATCH.put_metric_data(Namespace="Own/App", MetricData=[{"MetricName": "Errors", "Value": 1}])
        world = plan(World(rows=40, sync="capture"), at, ", within: 1s")
        world.run("run", "--yes")
        if at == "watch":
            world.run("watch")
        world.close()
        CLOUDWATCH.put_metric_data(Namespace="Own/App", MetricData=[{"MetricName": "Errors", "Value": 5, "Timestamp": time.time() - 60}])
        world = plan(World(rows=40, sync="capture"), at)
        if at == "watch":
            world.run("run", "--yes")
        _, out, err = world.run("watch" if at == "watch" else "run", *([] if at == "watch" else ["--yes"]), expect=1)
        expect_words(out + err, "in the last hour is not below 3")
        phase = world.run("status", "--json")[1]
        assert ('"watching"' in phase) == (at == "watch"), phase
        world.close()
        urllib.request.urlopen(urllib.request.Request(os.environ["AWS_ENDPOINT_URL_CLOUDWATCH"] + "/moto-api/reset", method="POST"), timeout=10)


def where_nobody_answers_the_check_is_as_good():
    world = switched(watch="{alarm: %s}" % LAMBDA)
    os.environ["AWS_ENDPOINT_URL_CLOUDWATCH"], url = "http://127.0.0.1:1", os.environ["AWS_ENDPOINT_URL_CLOUDWATCH"]
    _, out, err = world.run("watch")
    os.environ["AWS_ENDPOINT_URL_CLOUDWATCH"] = url
    expect_words(err, "the alarm post-migration errors could not be made")
    assert "clean: 1" in out, out
    world.close()


def mistakes_are_told():
    for wrong, words in (("{name: a, metric: Errors, above: 5}", "`Errors` is no metric"),
                         ("{metric: AWS/Lambda Errors, above: 5}", "an alarm needs `name:`"),
                         ("{name: a, metric: AWS/Lambda Errors}", "an alarm needs `above:`"),
                         ("{name: a, metric: AWS/Lambda Errors, above: 5, period: 90s}", "whole minutes"),
                         ("{name: a, metric: AWS/Lambda Errors, above: 5, times: 0}", "`times`")):
        world = World(rows=3)
        changed(world, "finish:", "watch: {alarm: %s}\nfinish:" % wrong)
        _, _, err = world.run("check", expect=2)
        expect_words(err, words)
        world.close()


if __name__ == "__main__":
    with moto() as server:
        os.environ.update(server.environment)
        os.environ["AWS_ENDPOINT_URL_CLOUDWATCH"] = server.url
        CLOUDWATCH = server.client("cloudwatch")
        main(an_alarm_is_made_and_made_so_again, each_check_sends_what_came_of_it, a_metric_is_asked_at_each_moment,
             where_nobody_answers_the_check_is_as_good, mistakes_are_told)

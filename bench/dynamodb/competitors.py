"""Who copies: whimbrel, boto3, Node's SDK, and dynamodump.

`copy(place, variant)` gives what it took: `parts` by name, each with seconds and CPU, and the peak.
"""
import json
import os
import pathlib
import shutil

import data
import measuring
import trail
from from_pypi import FromPyPI
from measuring import Failed
from places import pinned

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent


class Whimbrel:
    makes_target = True

    def __init__(self, bench):
        self.bench = bench
        self.folder = bench.work / "whimbrel"

    def prepare(self, variant):
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        (self.folder / "plan.yaml").write_text(data.plan(variant), "utf-8")

    def command(self, verb, *more):
        return [*pinned(self.bench.client_core), self.bench.whimbrel, verb,
                self.folder / "plan.yaml", "--state", self.folder / "state", *more]

    def process(self, place, until):
        return measuring.Process(self.command("run", "--yes", "--quiet", "--until", until),
                                 self.bench.work / "whimbrel.log", env=place.environment)

    def copy(self, place, variant):
        """One process; its parts are those of the journal's trail."""
        self.prepare(variant)
        process = self.process(place, "verify")
        taken = process.wait()
        report = {}
        for line in measuring.output_of(self.command("report", "--json"),
                                        place.environment).splitlines():
            report.update(json.loads(line))
        windows = trail.phases_of(report, taken["began"],
                                  taken["began"] + taken["seconds"])["windows"]
        parts = {name: {"s": end - begin, "cpu_s": process.cpu_between(begin, end)}
                 for name, (begin, end) in windows.items()}
        return {**taken, "parts": parts}

    def copy_in_steps(self, place, variant):
        """A process for each part, so that its CPU and memory are its own to the tick."""
        self.prepare(variant)
        parts = {}
        before = place.told()
        for name, until in (("analyze", "prepare"), ("copy", "copy"), ("verify", "verify")):
            taken = self.process(place, until).wait()
            after = place.told()
            parts[name] = {"s": taken["seconds"], **taken, **difference(before, after)}
            before = after
        return {"parts": parts, "peak_mb": max(one["peak_mb"] for one in parts.values()),
                "seconds": sum(one["seconds"] for one in parts.values()),
                "cpu_s": sum(one["cpu_s"] for one in parts.values())}


def difference(before, after):
    """What the server was asked meanwhile."""
    return {"requests": after["requests_all"] - before["requests_all"],
            "bytes": sum(after[name] - before[name] for name in ("received_bytes", "sent_bytes")),
            "server_cpu_s": after["cpu_s"] - before["cpu_s"]}


class Script:
    """A program that copies, counts, and says at its end how long its parts took."""
    makes_target = False

    def __init__(self, bench, name, command, environment):
        self.bench, self.name, self.command, self.more = bench, name, command, environment

    def copy(self, place, variant):
        before = place.told and place.told()
        log = self.bench.work / f"{self.name}.log"
        process = measuring.Process(
            [*pinned(self.bench.client_core), *self.command, data.SOURCE, data.TARGET,
             self.bench.segments, variant], log, env={**place.environment, **self.more})
        taken = process.wait()
        took = json.loads(log.read_text("utf-8").splitlines()[-1])
        begins = taken["began"] + taken["seconds"] - sum(took.values())  # it starts before
        parts = {}
        for name, seconds in took.items():
            parts[name] = {"s": seconds, "cpu_s": process.cpu_between(begins, begins + seconds)}
            begins += seconds
        if before:
            parts["copy"].update(difference(before, place.told()))
        return {**taken, "parts": parts}


def boto3_script(bench):
    return Script(bench, "boto3", [ROOT / "tools" / "servers" / "python", HERE / "copy_items.py"],
                  {})


def node_script(bench):
    return Script(bench, "node", ["node", HERE / "copy_items.js"], bench.packages.environment)


class Dynamodump(FromPyPI):
    """From PyPI, as people use it: a backup into files, and these restored into the other table."""
    makes_target = False
    package = "dynamodump==1.11.1"

    def __init__(self, bench):
        super().__init__(bench.dynamodump)
        self.bench = bench

    def copy(self, place, variant):
        if variant != "raw":
            raise Failed("it changes nothing about items")
        dump = self.bench.work / "dump"
        shutil.rmtree(dump, ignore_errors=True)
        common = [*pinned(self.bench.client_core), self.folder / "bin" / "dynamodump", "--region",
                  "us-east-1", "--host", "127.0.0.1", "--port", place.port, "--accessKey", "test",
                  "--secretKey", "test", "--skipThroughputUpdate", "--noConfirm", "--dumpPath",
                  dump, "--srcTable", data.SOURCE]
        taken = {name: measuring.run([*common, *more], self.bench.work / "dynamodump.log",
                                     env={**os.environ})
                 for name, more in (("backup", ["--mode", "backup"]),
                                    ("restore", ["--mode", "restore", "--dataOnly", "--destTable",
                                                 data.TARGET]))}
        sums = {name: sum(one[name] for one in taken.values())
                for name in ("seconds", "cpu_s", "user_s", "system_s")}
        return {**sums, "peak_mb": max(one["peak_mb"] for one in taken.values()),
                "parts": {"copy": {"s": sums["seconds"], "cpu_s": sums["cpu_s"]}}}

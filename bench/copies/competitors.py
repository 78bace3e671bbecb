"""Who copies: whimbrel with and without the check of references, and a Node script."""
import hashlib
import json
import pathlib
import shutil

import data
import measuring
import trail
from new_ids import new_id

HERE = pathlib.Path(__file__).resolve().parent
ENVIRONMENT = "prod"


class Whimbrel:
    """`run` of a plan: analysis, copy, comparison of every row, and the look-up of references."""

    def __init__(self, bench, references):
        self.bench, self.references = bench, references
        self.folder = bench.work / "whimbrel"

    def prepare(self, place):
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        stores, tables, references = place.plan()
        (self.folder / "plan.yaml").write_text(
            f"whimbrel: 1\nmigration: bench-copies\n{stores}\n"
            f'ids: {{column: id, format: short, from: [name, id, "{ENVIRONMENT}"]}}\n'
            f"tables:\n  - {tables}, names: [{', '.join(data.TABLES)}]}}\n"
            f"{references}sync: none\n"
            f"verify: {{full: true, references: {str(self.references).lower()}}}\n", "utf-8")

    def command(self, verb, *more):
        return [self.bench.whimbrel, verb, self.folder / "plan.yaml", "--state",
                self.folder / "state", *more]

    def start(self, place):
        return measuring.Process(self.command("run", "--yes", "--quiet"),
                                 self.bench.work / "whimbrel.log", env=place.environment)

    def told(self, place, process, taken):
        printed = measuring.output_of(self.command("report", "--json"), place.environment)
        report = {}
        for line in printed.splitlines():
            report.update(json.loads(line))
        ended = taken["began"] + taken["seconds"]
        windows = trail.phases_of(report, taken["began"], ended)["windows"]
        if self.references:
            windows["references"] = (windows["verify"][1],
                                     trail.seconds_of(report["phases"]["verified"]))
        parts = {name: {"s": end - begin, "cpu_s": process.cpu_between(begin, end)}
                 for name, (begin, end) in windows.items()}
        return {"parts": with_the_rest(parts, taken)}

    new_id = staticmethod(lambda table, old: new_id(table, old, ENVIRONMENT))


def with_the_rest(parts, taken):
    rest = {"s": taken["seconds"], "cpu_s": taken["cpu_s"]}
    for part in parts.values():
        for name in rest:
            rest[name] = max(0.0, rest[name] - part[name])
    return {**parts, "other": rest}


class Node:
    """engine.js: a map of ids in memory, table after table."""

    def __init__(self, bench):
        self.bench = bench

    def prepare(self, place):
        (self.bench.work / "tables.json").write_text(json.dumps(data.for_engine()), "utf-8")

    def start(self, place):
        return measuring.Process(
            ["node", HERE / "engine.js", *place.for_engine(), self.bench.work / "tables.json",
             ENVIRONMENT, self.bench.work / "mappings.jsonl"], self.bench.work / "node.log",
            env={**place.environment, **self.bench.packages.environment})

    def told(self, place, process, taken):
        printed = (self.bench.work / "node.log").read_text("utf-8").splitlines()
        took = json.loads(printed[-1])
        end = taken["began"] + taken["seconds"]
        begins = end - sum(took.values())  # Node starts before the first part
        parts = {}
        for name, seconds in took.items():
            parts[name] = {"s": seconds, "cpu_s": process.cpu_between(begins, begins + seconds)}
            begins += seconds
        return {"parts": with_the_rest(parts, taken)}

    @staticmethod
    def new_id(table, old):
        digest = hashlib.sha256(f"{table}:{old}:{ENVIRONMENT}".encode()).hexdigest()
        return f"{digest[:8]}-{digest[8:16]}"

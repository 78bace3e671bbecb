"""Who moves the rows: two ways without whimbrel, and whimbrel in its modes.

Each gets a fresh copy of the same database in WAL mode and the defaults of its own SQLite
(synchronous FULL, a cache of 2 MB, a checkpoint each 1000 pages) unless it sets others by itself.
"""
import json
import os
import pathlib
import re
import sqlite3
import sys

import measuring
import trail
from measuring import Failed

HERE = pathlib.Path(__file__).resolve().parent
EXAMPLE = HERE.parent.parent / "examples" / "workflow-runs"

# Rows that the new table lacks, has too much, or has otherwise than the old one.
WRONG = """
SELECT (SELECT count(*) FROM workflow_processes AS o
        LEFT JOIN workflow_runs AS n ON n.run_id = o.id
        WHERE n.run_id IS NULL OR n.description IS NOT o.message
           OR n.status IS NOT coalesce(o.status, 'pending') OR n.updated_at IS NOT o.updated_at
           OR n.result_data IS NOT CASE WHEN o.result IS NULL THEN '{}'
                                        ELSE json_object('result', o.result) END)
     + (SELECT count(*) FROM workflow_runs AS n
        WHERE NOT EXISTS (SELECT 1 FROM workflow_processes AS o WHERE o.id = n.run_id))
"""


def make_target(db):
    connection = sqlite3.connect(db, isolation_level=None)
    connection.executescript((EXAMPLE / "workflow_runs.sql").read_text(encoding="utf-8"))
    connection.close()


class InsertSelect:
    """(b): one INSERT ... SELECT in the sqlite3 shell, the nine indexes in place."""
    name, label = "insert-select", "(b) one INSERT … SELECT"

    def __init__(self, bench):
        self.bench = bench

    def prepare(self, db):
        make_target(db)

    def start(self, db):
        return measuring.Process(["sqlite3", db], self.bench.log(self.name),
                                 stdin=HERE / "insert_select.sql")

    def told(self, db, process, taken):
        return {"move_s": taken["seconds"], "move_cpu_s": taken["cpu_s"], "began": taken["began"],
                "ended": taken["began"] + taken["seconds"]}


class IndexesLast(InsertSelect):
    """(c): the same statement without indexes, which come afterwards: the least that SQLite takes."""
    name, label = "indexes-last", "(c) the same, indexes last"

    def prepare(self, db):
        text = (EXAMPLE / "workflow_runs.sql").read_text(encoding="utf-8")
        parts = [part.strip() for part in re.sub(r"--[^\n]*", "", text).split(";") if part.strip()]
        first = [part for part in parts if part.startswith("CREATE TABLE")]
        last = [part for part in parts if part not in first]
        connection = sqlite3.connect(db, isolation_level=None)
        connection.executescript(";\n".join(first))
        connection.close()
        self.script = self.bench.work / "indexes_last.sql"
        self.script.write_text((HERE / "insert_select.sql").read_text(encoding="utf-8")
                               + ";\n".join(last) + ";\n", encoding="utf-8")

    def start(self, db):
        return measuring.Process(["sqlite3", db], self.bench.log(self.name), stdin=self.script)


class GuideScript(InsertSelect):
    """(a): the guide's batches of a thousand with NOT IN, in Python."""
    name, label = "guide-script", "(a) the guide's script"

    def start(self, db):
        return measuring.Process([sys.executable, HERE / "guide_script.py", db],
                                 self.bench.log(self.name))


def plan_text(indexes, sync):
    """The example's plan in another mode, and chunks that are sized by time alone."""
    text = (EXAMPLE / "migration.yaml").read_text(encoding="utf-8")
    for before, after in (("indexes: online ", f"indexes: {indexes} "),
                          ("sync: dual\n", f"sync: {sync}\n"),
                          ("limits: {batch_size: 1000}", "# (no limits:)")):
        if before not in text:
            raise Failed(f"the example's plan has no `{before.strip()}` any more")
        text = text.replace(before, after)
    return text


class Whimbrel:
    """`run --until verify` of the example's plan: analysis, backup, copy, indexes, comparison."""

    def __init__(self, bench, indexes, sync):
        self.bench, self.indexes, self.sync = bench, indexes, sync
        self.name = f"{indexes}-{sync}"
        self.label = f"whimbrel, indexes: {indexes}, sync: {sync}"
        self.folder = bench.work / self.name
        self.state = self.folder / "state"

    def prepare(self, db):
        self.forget()
        self.folder.mkdir()
        ddl = (EXAMPLE / "workflow_runs.sql").read_bytes()
        (self.folder / "workflow_runs.sql").write_bytes(ddl)
        (self.folder / "migration.yaml").write_text(plan_text(self.indexes, self.sync),
                                                    encoding="utf-8")

    def forget(self):
        for path in sorted(self.folder.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        if self.folder.exists():
            self.folder.rmdir()

    def command(self, verb, *more):
        return [self.bench.whimbrel, verb, self.folder / "migration.yaml", "--state", self.state,
                *more]

    def env(self, db):
        return {**os.environ, "APP_DB": str(db)}

    def start(self, db, until="verify"):
        return measuring.Process(self.command("run", "--until", until, "--yes"),
                                 self.bench.log(self.name), env=self.env(db))

    def ask(self, db, verb, *more, codes=(0,)):
        return measuring.output_of(self.command(verb, *more), self.env(db), codes)

    def documents(self, db, verb, *more, codes=(0,)):
        """What a verb prints with --json, one object a line, as one dictionary."""
        together = {}
        for line in self.ask(db, verb, "--json", *more, codes=codes).splitlines():
            if line.startswith("{"):
                together.update(json.loads(line))
        return together

    def told(self, db, process, taken):
        report = self.documents(db, "report")
        phases = trail.phases_of(report, taken["began"], taken["began"] + taken["seconds"])
        for name, window in phases["windows"].items():
            phases[f"{name}_cpu_s"] = process.cpu_between(*window)
        phases["move_cpu_s"] = phases.get("copy_cpu_s", 0) + phases.get("indexes_cpu_s", 0)
        return {**phases, "began": taken["began"], "ended": taken["began"] + taken["seconds"],
                "chunks": sum(one.get("copied", {}).get("chunks", 0) for one in report["tables"]),
                "phase": report["phase"]}

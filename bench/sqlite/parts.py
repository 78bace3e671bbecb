"""The parts of the bench beside the race: what a writer pays, how soon `status` answers, how good
the estimates are, and how much memory ten times the rows take."""
import json
import pathlib
import re
import sqlite3
import statistics
import sys
import time

import measuring
from competitors import HERE, Whimbrel


# --- what a writer pays ---------------------------------------------------------------------------


def writer_cost(bench):
    """The same operations on the bare table, under a key log, under links, and under triggers
    written by hand that do nothing but the second write: what any link costs at least."""
    sides = {}
    operations = max(200, min(20_000, bench.rows // 5))
    for name in ("bare", "capture", "dual"):
        db = bench.copy(f"cost-{name}")
        if name != "bare":
            whimbrel = Whimbrel(bench, "after", name)
            whimbrel.prepare(db)
            # Links cost what the new table's indexes cost: its rows and they have to be there.
            whimbrel.start(db, "prepare" if name == "capture" else "copy").wait()
        sides[name] = db
    sides["by_hand"] = bench.work / "cost-by-hand.db"
    measuring.fresh_copy(sides["dual"], sides["by_hand"])
    with_triggers_by_hand(sides["by_hand"])
    measured = {}
    for each, kind in ((1, "mix"), (500, "mix"), (1, "update"), (1, "insert"), (1, "delete")):
        tries = {name: [] for name in sides}
        for turn in range(3):
            for name, db in measuring.rotated(list(sides.items()), turn):
                trial = pathlib.Path(str(db) + ".trial")
                measuring.fresh_copy(db, trial)
                done = json.loads(measuring.output_of(
                    [sys.executable, HERE / "writer.py", "batch", trial, "--operations",
                     operations, "--each", each, "--kind", kind]))
                tries[name].append(done["user_s"] + done["system_s"])
                measuring.remove(trial)
        middle = {name: statistics.median(cpu) for name, cpu in tries.items()}
        measured[f"each_{each}" if kind == "mix" else f"each_{each}_{kind}"] = {
            "operations": operations,
            **{name: {"cpu_us": 1e6 * cpu / operations, "ratio": cpu / middle["bare"]}
               for name, cpu in middle.items()}}
    for db in sides.values():
        measuring.remove(db)
    return measured


def with_triggers_by_hand(db):
    connection = sqlite3.connect(db, isolation_level=None)
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'"
                                      ).fetchall():
        connection.execute(f'DROP TRIGGER "{name}"')
    connection.executescript((HERE / "links_by_hand.sql").read_text(encoding="utf-8"))
    connection.close()


# --- status ---------------------------------------------------------------------------------------


def status_latency(bench, times=50):
    """From the start of the process to its end, on the journal of a run that is over."""
    whimbrel = bench.last_run("online-dual")
    waits = []
    for _ in range(times):
        began = time.perf_counter()
        whimbrel.ask(bench.work / "no-such.db", "status")
        waits.append((time.perf_counter() - began) * 1000)
    records = len(whimbrel.documents(bench.work / "no-such.db", "report")["trail"])
    return {"times": times, "median_ms": statistics.median(waits), "max_ms": max(waits),
            "journal_records": records}


# --- estimates ------------------------------------------------------------------------------------

ETA_NAMES = ("eta_ms", "left_ms", "remaining_ms", "eta_s", "left_s", "remaining_s")


def eta_of(document):
    """The seconds that a status says are left, wherever in it; None when it says nothing."""
    for name in ETA_NAMES:
        value = document.get(name)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return value / 1000 if name.endswith("_ms") else float(value)
    for value in document.values():
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, dict) and (found := eta_of(inner)) is not None:
                return found
    return None


def estimate_of(analysis):
    """The seconds that an analysis expects; of all tables when it says no sum."""
    for name in ("estimate_ms", "time_ms"):
        if isinstance(analysis.get(name), (int, float)):
            return analysis[name] / 1000
    tables = [one.get("estimate_ms") for one in analysis.get("tables", [])]
    known = [one for one in tables if isinstance(one, (int, float))]
    return sum(known) / 1000 if known else None


def estimates(bench, indexes):
    """What `analyze` expects against what `run` takes, and each second what `status` says is left.

    The run begins with an analysis at hand, so it does not read everything once more. An estimate
    is held against copy, indexes and comparison, which is what it speaks of.
    """
    db = bench.copy(f"estimate-{indexes}")
    whimbrel = Whimbrel(bench, indexes, "dual")
    whimbrel.prepare(db)
    whimbrel.ask(db, "analyze")
    analysis = json.loads((whimbrel.state / "migration-analysis-latest.json").read_text("utf-8"))
    estimate = estimate_of(analysis)
    runner = whimbrel.start(db)
    samples, waits = [], []
    every = min(1.0, max(0.05, bench.rows / 200_000))
    while runner.runs():
        asked = time.perf_counter()
        said = whimbrel.documents(db, "status", codes=(0, 3))  # 3: it has not begun
        waits.append((time.perf_counter() - asked) * 1000)
        samples.append((time.time(), eta_of(said), said.get("phase")))
        runner.ended.wait(every)
    taken = runner.wait()
    told = whimbrel.told(db, runner, taken)
    measuring.remove(db)
    real = told["move_s"] + told.get("follow_s", 0) + told.get("verify_s", 0)
    begin, end = told["began"], told["ended"]
    errors = []
    for at, left, _ in samples:
        share = (at - begin) / (end - begin)
        if 0.1 <= share <= 1 and left is not None:
            errors.append(abs(at + left - end) / (end - begin))
    said = sum(left is not None for _, left, _ in samples)
    return {"estimate_s": estimate, "real_s": real, "run_s": taken["seconds"],
            "factor": max(estimate / real, real / estimate) if estimate and real else None,
            "status_samples": len(samples), "status_with_eta": said,
            "status_error_max": max(errors, default=None),
            "status_error_median": statistics.median(errors) if errors else None,
            "status_while_running_ms": statistics.median(waits) if waits else None,
            "analysis_says": human_estimate(analysis)}


def human_estimate(analysis):
    found = re.search(r'"estimate[^"]*"', json.dumps(analysis))
    return found.group(0).strip('"') if found else None


# --- memory ---------------------------------------------------------------------------------------


def ten_million(bench):
    """Ten million rows (or ten times --rows), indexes last: time and peak memory."""
    rows = bench.rows * 10
    original = bench.work / "ten-times.db"
    bench.generate(original, rows)
    db = bench.work / "ten-times-run.db"
    measuring.fresh_copy(original, db)
    measuring.remove(original)
    whimbrel = Whimbrel(bench, "after", "dual")
    whimbrel.prepare(db)
    runner = whimbrel.start(db)
    taken = runner.wait()
    told = whimbrel.told(db, runner, taken)
    measuring.remove(db)
    whimbrel.forget()
    return {"rows": rows, "peak_mb": taken["peak_mb"], "seconds": taken["seconds"],
            "move_s": told["move_s"], "verify_s": told.get("verify_s")}

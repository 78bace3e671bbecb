"""Who migrates: whimbrel in a window, whimbrel with live sync, and a Node script in a window."""
import json
import pathlib
import shutil

import measuring
import trail

HERE = pathlib.Path(__file__).resolve().parent
PARTS = ("analyze", "backup", "copy", "follow", "verify")


class Whimbrel:
    """`run --until verify` while everybody works, then `cutover`, in which writers are held."""

    def __init__(self, bench, sync):
        self.bench, self.sync = bench, sync
        self.folder = bench.work / "whimbrel"

    def prepare(self, place):
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        text, files = place.plan(self.sync)
        (self.folder / "plan.yaml").write_text(text, "utf-8")
        for file in files:
            shutil.copy(file, self.folder)

    def command(self, verb, *more):
        return [self.bench.whimbrel, verb, self.folder / "plan.yaml", "--state",
                self.folder / "state", *more]

    def start(self, place, verb, *more):
        return measuring.Process(self.command(verb, "--yes", "--quiet", *more),
                                 self.bench.work / "whimbrel.log", env=place.environment)

    def migrate(self, place):
        moving = self.start(place, "run", "--until", "verify")
        moved = moving.wait()
        phases = self.told(place, moved)
        switching = self.start(place, "cutover")
        switched = switching.wait()
        trail_after = self.report(place)["trail"]
        parts = {name: {"s": end - begin, "cpu_s": moving.cpu_between(begin, end)}
                 for name, (begin, end) in phases["windows"].items() if name in PARTS}
        held = holds_in(trail_after)
        inside = [part for begin, end in held
                  for part in stretches(trail_after, begin, end)]
        return {**together(moved, switched), "parts": parts, "cutover_s": switched["seconds"],
                "cutover_cpu_s": switched["cpu_s"],
                "move_s": parts["copy"]["s"] + parts["verify"]["s"],
                "move_cpu_s": parts["copy"]["cpu_s"] + parts["verify"]["cpu_s"],
                "held_s": sum(end - begin for begin, end in held), "holds": len(held),
                "window": dict(inside)}

    def report(self, place):
        report = {}
        for line in measuring.output_of(self.command("report", "--json"),
                                        place.environment).splitlines():
            report.update(json.loads(line))
        return report

    def told(self, place, taken):
        return trail.phases_of(self.report(place), taken["began"],
                               taken["began"] + taken["seconds"])


def together(*taken):
    """Several processes, one after the other, as one."""
    sums = {name: sum(one[name] for one in taken)
            for name in ("seconds", "cpu_s", "user_s", "system_s")}
    return {**sums, "peak_mb": max(one["peak_mb"] for one in taken), "began": taken[0]["began"]}


# --- the window, from the trail -------------------------------------------------------------------


def holds_in(entries):
    """When writers were held and let go, as pairs of moments."""
    found, begin = [], None
    for entry in entries:
        if entry["body"].get("id") != "hold":
            continue
        at = trail.seconds_of(entry["at"])
        if entry["record"] == "EffectIntended":
            begin = at
        elif entry["record"] == "EffectUndone" and begin is not None:
            found.append((begin, at))
            begin = None
    return found


def stretches(entries, begin, end):
    """What the seconds of a window went into: each ends with the record that is named."""
    before, found = begin, {}
    for entry in entries:
        at = trail.seconds_of(entry["at"])
        if not begin <= at <= end:
            continue
        name = stretch_of(entry)
        found[name] = found.get(name, 0) + at - before
        before = at
    return found.items()


def stretch_of(entry):
    identity = str(entry["body"].get("id", ""))
    if entry["record"] in ("EffectConfirmed", "EffectIntended", "EffectUndone"):
        kind = identity.split(":")[0]
        if kind == "hold":
            put_on = entry["record"] != "EffectUndone"
            return "holds put on" if put_on else "holds taken off"
        if kind == "switch":
            # What lies before the first switch was begun is the silence, and what came before it.
            return "draining and silence" if entry["record"] == "EffectIntended" else "switches"
        return {"feed": "feeds made"}.get(kind, kind)
    return {"ChangesApplied": "changes applied"}.get(entry["record"], entry["record"])


class Node:
    """script.js: everything in the window, and a sample of a hundred compared."""

    def __init__(self, bench):
        self.bench = bench

    def prepare(self, place):
        place.make_target()

    def migrate(self, place):
        process = measuring.Process(
            ["node", HERE / "script.js", *place.for_script()], self.bench.work / "node.log",
            env={**place.environment, **self.bench.packages.environment})
        taken = process.wait()
        printed = (self.bench.work / "node.log").read_text("utf-8").splitlines()
        took = json.loads(printed[-1])
        begins = taken["began"] + taken["seconds"] - sum(took.values())  # Node starts before
        parts = {}
        for name, seconds in took.items():
            parts[name] = {"s": seconds, "cpu_s": process.cpu_between(begins, begins + seconds)}
            begins += seconds
        return {**taken, "parts": parts, "held_s": sum(took.values()) - took["check"], "holds": 1,
                "move_s": took["copy"] + took["validate"],
                "move_cpu_s": parts["copy"]["cpu_s"] + parts["validate"]["cpu_s"]}

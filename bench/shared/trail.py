"""How long each part of a run of whimbrel took, from the trail that `report --json` tells."""
import datetime

import measuring


def seconds_of(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def phases_of(report, began, ended):
    """How long each part took, from the trail; `windows` are its begin and end on the clock."""
    marks, effects, chunks = {}, {}, []
    for entry in report["trail"]:
        at, record, body = seconds_of(entry["at"]), entry["record"], entry["body"]
        if record == "PlanAccepted":
            marks.setdefault("accepted", at)
        elif record == "PhaseEntered":
            marks.setdefault(body["phase"], at)
        elif record == "EffectIntended":
            effects.setdefault(body["id"], [at, at])
        elif record == "EffectConfirmed" and body["id"] in effects:
            effects[body["id"]][1] = at
        elif record == "ChunkCopied":
            chunks.append(body["ms"])
        elif record == "VerifyEnded":
            marks["compared"], marks["compare_ms"] = at, body["ms"]
    windows = {"analyze": (began, marks.get("accepted", began))}
    if "backup" in effects:
        windows["backup"] = tuple(effects["backup"])
    if "following" in marks:
        begin, end = marks["copying"], marks["following"]
        indexes = effects.get("indexes", [end, end])
        windows["copy"] = (begin, indexes[0])
        windows["indexes"] = (indexes[0], indexes[1])
    if "compared" in marks:
        begin = marks["compared"] - marks["compare_ms"] / 1000
        windows["follow"] = (marks["following"], max(begin, marks["following"]))
        windows["verify"] = (begin, marks["compared"])
    told = {f"{name}_s": max(0.0, end - begin) for name, (begin, end) in windows.items()}
    told["other_s"] = max(0.0, ended - began - sum(told.values()))
    told["move_s"] = told.get("copy_s", 0) + told.get("indexes_s", 0)
    told["chunk_ms"] = {"p50": measuring.percentile(chunks, 50),
                        "p99": measuring.percentile(chunks, 99), "max": max(chunks, default=None)}
    told["windows"] = {name: list(window) for name, window in windows.items()}
    return told

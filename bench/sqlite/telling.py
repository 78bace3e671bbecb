"""The measured figures as goals that are met or not, and as tables."""
from tables import at, figure, goal_table, of_the_machine, plus, quotient, table


# --- goals ----------------------------------------------------------------------------------------


def goals(results):
    """(what, measured or None, limit, how it is written) in the order of the table."""
    race = results.get("race", {})
    base = at(race, "insert-select", "alone", "move_s")
    after = at(race, "after-dual", "alone") or {}
    online = at(race, "online-dual", "alone") or {}
    waits = at(race, "online-dual", "written", "stalls") or {}
    memory = [at(race, name, "alone", "peak_mb") for name in race if "-" in name
              and name.split("-")[0] in ("after", "online")]
    cost = at(results, "writer_cost", "each_1") or {}
    found = [
        ("copy with `indexes: after`, rows and indexes",
         quotient(after.get("move_s"), base), 0.42, "{:.2f} × (b)"),
        ("copy and full comparison with `indexes: after`",
         quotient(plus(after.get("move_s"), after.get("verify_s")), base), 0.65, "{:.2f} × (b)"),
        ("copy with `indexes: online`", quotient(online.get("move_s"), base), 3.0, "{:.2f} × (b)"),
        ("the same: wait of the writer, 99 of 100", waits.get("p99_ms"), 50, "{:.0f} ms"),
        ("the same: longest wait of the writer", waits.get("max_ms"), 250, "{:.0f} ms"),
        (f"peak memory, {results['rows']:,} rows",
         max((one for one in memory if one is not None), default=None), 128, "{:.0f} MB"),
        ("peak memory, ten times the rows", at(results, "ten_million", "peak_mb"), 128,
         "{:.0f} MB"),
        ("`status` answers, median", at(results, "status", "median_ms"), 20, "{:.1f} ms"),
        ("CPU of a writer under `sync: capture`", at(cost, "capture", "ratio"), 1.35, "{:.2f} ×"),
        ("CPU of a writer under `sync: dual`", at(cost, "dual", "ratio"), 3.0, "{:.2f} ×"),
    ]
    for indexes in ("after", "online"):
        part = at(results, "estimates", indexes) or {}
        found.append((f"estimate of `analyze`, `indexes: {indexes}`", part.get("factor"), 1.5,
                      "off by {:.2f} ×"))
        error = part.get("status_error_max")
        found.append((f"time left by `status`, `indexes: {indexes}`",
                      None if error is None else error * 100, 15, "off by {:.0f} % at most"))
    return found


# --- tables ---------------------------------------------------------------------------------------


def race_tables(results):
    race = results.get("race", {})
    base = at(race, "insert-select", "alone", "move_s")
    base_cpu = at(race, "insert-select", "alone", "cpu_s")
    alone = []
    for name, result in race.items():
        one = result.get("alone")
        if not one:
            continue
        alone.append([result["label"], figure(one["seconds"], "{:.1f} s"),
                      figure(quotient(one["move_s"], base)),
                      figure(quotient(plus(one["move_s"], one.get("verify_s")), base)
                             if "verify_s" in one else None),
                      figure(one["cpu_s"], "{:.1f} s"),
                      figure(quotient(one["move_cpu_s"], base_cpu)),
                      figure(quotient(plus(one["move_cpu_s"], one.get("verify_cpu_s")), base_cpu)
                             if "verify_s" in one else None),
                      figure(one["peak_mb"], "{:.0f} MB"),
                      figure(one.get("wrong_rows"), "{:,.0f}")])
    text = table(["nobody else writes", "whole", "copy × (b)", "copy + compare × (b)", "CPU",
                  "CPU of copy × (b)", "of both × (b)", "memory", "wrong rows"], alone)
    phases = []
    names = ("analyze", "backup", "copy", "indexes", "follow", "verify", "other")
    for result in race.values():
        one = result.get("alone") or {}
        if "copy_s" in one:
            phases.append([result["label"]] + [figure(one.get(f"{name}_s"), "{:.1f} s")
                                               for name in names]
                          + [f"{one['chunks']:,.0f}"])
            phases.append(["  of that CPU"] + [figure(one.get(f"{name}_cpu_s"), "{:.1f} s")
                                               for name in names] + [""])
    if phases:
        text += "\n\n" + table(["where the time goes", *names, "chunks"], phases)
    written = []
    for result in race.values():
        one = result.get("written")
        if not one:
            continue
        waits = one["stalls"]
        written.append([result["label"], figure(quotient(one["move_s"], base)),
                        figure(waits["operations"], "{:,.0f}"), figure(waits["failed"], "{:,.0f}"),
                        figure(waits["p50_ms"], "{:.1f} ms"), figure(waits["p99_ms"], "{:,.0f} ms"),
                        figure(waits["max_ms"], "{:,.0f} ms"),
                        figure(one.get("wrong_rows"), "{:,.0f}")])
    if written:
        nobody = at(results, "nobody", "stalls")
        if nobody:
            written.append(["nobody migrates", "–", figure(nobody["operations"], "{:,.0f}"),
                            figure(nobody["failed"], "{:,.0f}"),
                            figure(nobody["p50_ms"], "{:.1f} ms"),
                            figure(nobody["p99_ms"], "{:,.0f} ms"),
                            figure(nobody["max_ms"], "{:,.0f} ms"), "–"])
        text += "\n\n" + table([f"{results['rate']:g} writes a second beside it", "copy × (b)",
                                "writes", "failed", "wait p50", "p99", "max", "wrong rows"],
                               written)
    by_phase = []
    for result in race.values():
        for name, waits in (at(result, "written", "stalls_by_phase") or {}).items():
            if waits["operations"]:
                by_phase.append([f"{result['label']}: {name}",
                                 figure(waits["operations"], "{:,.0f}"),
                                 figure(waits["failed"], "{:,.0f}"),
                                 figure(waits["p99_ms"], "{:,.0f} ms"),
                                 figure(waits["max_ms"], "{:,.0f} ms")])
    if by_phase:
        text += "\n\n" + table(["the writer's waits, phase by phase", "writes", "failed", "p99",
                                "max"], by_phase)
    return text


def cost_table(results):
    rows = []
    for name, form in (("each_1", "each in a transaction of its own"),
                       ("each_500", "500 in a transaction"),
                       ("each_1_update", "only updates"), ("each_1_insert", "only inserts"),
                       ("each_1_delete", "only deletes")):
        part = at(results, "writer_cost", name)
        if part:
            rows.append([form] + [f"{part[side]['cpu_us']:.0f} µs, {part[side]['ratio']:.2f} ×"
                                  for side in ("bare", "capture", "dual", "by_hand")])
    return table(["CPU of the writer per operation", "bare", "key log", "links",
                  "by hand"], rows)


def estimate_table(results):
    rows = []
    for indexes, part in (results.get("estimates") or {}).items():
        rows.append([f"`indexes: {indexes}`", figure(part["estimate_s"], "{:.1f} s"),
                     figure(part["real_s"], "{:.1f} s"), figure(part["factor"]),
                     f"{part['status_with_eta']} of {part['status_samples']}",
                     "says none" if not part["status_with_eta"] else
                     figure(part["status_error_median"] and part["status_error_median"] * 100,
                            "{:.0f} %"),
                     figure(part["status_while_running_ms"], "{:.0f} ms")])
    return table(["estimates", "`analyze` says", "took", "off by ×", "`status` with time left",
                  "off by, median", "`status` beside the runner"], rows)


def told(results):
    machine = results["machine"]
    parts = [f"{results['rows']:,} rows, median of {results['repeat']}; whimbrel "
             f"{results['version']}, SQLite {results['sqlite_shell']} in the shell and "
             f"{machine['python_sqlite']} in Python; {of_the_machine(machine)}.",
             goal_table(goals(results))]
    if results.get("race"):
        parts.append(race_tables(results))
    if results.get("writer_cost"):
        parts.append(cost_table(results))
    if results.get("status"):
        part = results["status"]
        parts.append(f"`status` on a journal of {part['journal_records']:,} records: median "
                     f"{part['median_ms']:.1f} ms, longest {part['max_ms']:.1f} ms of "
                     f"{part['times']}.")
    if results.get("estimates"):
        parts.append(estimate_table(results))
    if results.get("ten_million"):
        part = results["ten_million"]
        parts.append(f"{part['rows']:,} rows, `indexes: after`: {part['seconds']:.0f} s in all, "
                     f"copy {part['move_s']:.0f} s, {part['peak_mb']:.0f} MB at most.")
    if results["missing"]:
        parts.append("Missing: " + "; ".join(results["missing"]) + ".")
    return "\n\n".join(parts) + "\n"

"""The measured figures as goals that are met or not, and as tables."""
from tables import at, figure, goal_table, of_the_machine, quotient, table

LABELS = {"window": "whimbrel, `sync: none`", "capture": "whimbrel, `sync: capture`",
          "node": "the Node script"}
RACES = ("guide", "twenty", "thousand")
PARTS = ("analyze", "backup", "copy", "follow", "verify")
NODE_PARTS = ("check", "hold", "copy", "validate", "switchOver")


def title(results, race):
    factor = results["factors"][race]
    size = "the guide's size" if factor == 1 else f"{factor:,} × it"
    store = "SQLite to SQLite" if race == "thousand" else "DynamoDB Local"
    return f"{size}, {store}"


def goals(results):
    found = []
    if "guide" in results:
        found.append((f"{title(results, 'guide')}: writers held, everything compared",
                      at(results, "guide", "runs", "window", "held_s"), 30, "{:.1f} s"))
    if "thousand" in results:
        name = f"{title(results, 'thousand')}, live sync"
        one = at(results, "thousand", "runs", "capture") or {}
        waited = at(one, "writer", "max_ms")
        found += [(f"{name}: writers held", one.get("held_s"), 5, "{:.2f} s"),
                  (f"{name}: longest wait of a write", waited and waited / 1000, 5, "{:.2f} s")]
    return found


def times(one, node, name):
    """A figure, and its ratio to the script's."""
    if not one or one.get(name) is None:
        return "–"
    form = "{:.0f} MB" if name == "peak_mb" else "{:.2f} s"
    ratio = quotient(one[name], (node or {}).get(name)) if one is not node else None
    return form.format(one[name]) + ("" if ratio is None else f", {ratio:.2f} ×")


def race_table(results, race):
    runs = results[race]["runs"]
    node = runs.get("node")
    rows = []
    for name, label in LABELS.items():
        one = runs.get(name)
        if one:
            rows.append([label, *(times(one, node, what) for what in
                                  ("held_s", "move_s", "move_cpu_s", "seconds", "cpu_s", "peak_mb")),
                         "no" if one["wrong"] else "yes"])
    return table([f"{title(results, race)}: {results[race]['rows']:,} rows", "writers held",
                  "copy + compare", "CPU of it", "whole", "CPU", "memory", "right"], rows)


def part_tables(results):
    ours, theirs = [], []
    for race in RACES:
        runs = at(results, race, "runs") or {}
        for name in ("window", "capture"):
            one = runs.get(name)
            if one:
                label = f"{title(results, race)}, {LABELS[name].split(', ')[1]}"
                ours.append([label] + [figure(at(one, "parts", part, "s"), "{:.2f} s")
                                       for part in PARTS]
                            + [figure(one["cutover_s"], "{:.2f} s")])
                ours.append(["  of that CPU"]
                            + [figure(at(one, "parts", part, "cpu_s"), "{:.2f} s")
                               for part in PARTS] + [figure(one["cutover_cpu_s"], "{:.2f} s")])
        one = runs.get("node")
        if one:
            theirs.append([title(results, race)] + [figure(at(one, "parts", part, "s"), "{:.2f} s")
                                                    for part in NODE_PARTS])
    parts = []
    if ours:
        parts.append(table(["whimbrel: where the time goes", *PARTS, "`cutover`"], ours))
    if theirs:
        parts.append(table(["the Node script: where the time goes", "check", "hold", "copy",
                            "validate", "switch"], theirs))
    return parts


def window_table(results):
    rows = []
    for race in RACES:
        for name in ("window", "capture"):
            one = at(results, race, "runs", name)
            if one:
                rows += [[f"{title(results, race)}, {LABELS[name].split(', ')[1]}: {what}",
                          figure(seconds, "{:.2f} s")]
                         for what, seconds in one["window"].items() if seconds >= 0.005]
    return table(["where the time of the hold goes", "time"],
                 rows) if rows else None


def writer_table(results):
    rows = []
    for name, label in LABELS.items():
        waits = at(results, "thousand", "runs", name, "writer")
        if waits:
            rows.append([label, figure(waits["operations"], "{:,.0f}"),
                         figure(sum(waits["failures"].values()), "{:,.0f}"),
                         figure(waits["p50_ms"], "{:.1f} ms"), figure(waits["p99_ms"], "{:,.0f} ms"),
                         figure(waits["max_ms"], "{:,.0f} ms")])
    return table([f"{results['rate']:g} writes a second beside it", "writes", "tried again",
                  "wait p50", "p99", "max"], rows) if rows else None


def told(results):
    pairs = ", ".join(f"{results[race]['pairs']} at {results['factors'][race]:,} ×"
                      for race in RACES if race in results)
    node = (f"Node {results['node']} with {results['driver']}" if "node" in results
            else "without the Node script")
    parts = [f"whimbrel {results['version']}, {node}; medians of {pairs}; "
             f"{of_the_machine(results['machine'])}.", results.get("note"),
             goal_table(goals(results)) if goals(results) else None]
    parts += [race_table(results, race) for race in RACES if at(results, race, "runs")]
    parts += [*part_tables(results), window_table(results), writer_table(results)]
    if results["missing"]:
        parts.append("Missing: " + "; ".join(results["missing"]) + ".")
    return "\n\n".join(part for part in parts if part) + "\n"

"""The measured figures as goals that are met or not, and as tables."""
from tables import at, figure, goal_table, of_the_machine, quotient, table

STORES = {"sqlite": ("SQLite", "rows"), "dynamodb": ("DynamoDB", "items")}
RACERS = {"whimbrel": "whimbrel", "unreferenced": "whimbrel, `references: false`",
          "node": "the Node script"}
PARTS = {"whimbrel": ("analyze", "copy", "follow", "verify", "references", "other"),
         "node": ("check", "copy", "validate", "report", "other")}


def goals(results):
    found = []
    for kind, (store, unit) in STORES.items():
        race = results.get(kind)
        if not race:
            continue
        full = race["full"]
        found += [
            (f"{store}: CPU of whimbrel to CPU of the Node script",
             quotient(at(full, "whimbrel", "cpu_s"), at(full, "node", "cpu_s")), 0.1, "{:.2f} ×"),
            (f"{store}: peak memory of whimbrel, {race['rows']:,} {unit}",
             at(full, "whimbrel", "peak_mb"), 128, "{:.0f} MB"),
            (f"{store}: CPU of `references: true` on top of the copy",
             percent(quotient(added(full, "cpu_s"),
                              at(full, "whimbrel", "parts", "copy", "cpu_s"))), 30, "{:.0f} %")]
    return found


def added(full, name):
    """What the check of references adds to a whole run, from one with and one without it."""
    with_it, without = at(full, "whimbrel", name), at(full, "unreferenced", name)
    return None if with_it is None or without is None else with_it - without


def percent(share):
    return None if share is None else share * 100


def race_table(race, store, unit):
    rows = []
    for name, label in RACERS.items():
        one = race["full"].get(name)
        if one:
            quarter = at(race, "quarter", name, "peak_mb")
            rows.append([label, figure(one["seconds"], "{:.1f} s"),
                         figure(one["cpu_s"], "{:.1f} s"), figure(one["user_s"], "{:.1f} s"),
                         figure(one["system_s"], "{:.1f} s"), figure(one["peak_mb"], "{:.0f} MB"),
                         figure(quarter, "{:.0f} MB"), "no" if one["wrong"] else "yes"])
    return table([f"{store}, {race['rows']:,} {unit} in {race['tables']} tables", "whole", "CPU",
                  "user", "system", "memory", "memory at a quarter", "right"], rows)


def part_table(race, name):
    one = race["full"].get(name)
    if not one:
        return None
    names = PARTS[name]
    return table([f"{RACERS[name]}: where the time goes", *names],
                 [[label] + [figure(at(one, "parts", part, key), "{:.2f} s") for part in names]
                  for label, key in (("time", "s"), ("CPU", "cpu_s"))])


def reference_line(race):
    """The check of references in two ways: whole runs compared, and its part of one run."""
    full = race["full"]
    copy = at(full, "whimbrel", "parts", "copy") or {}
    part = at(full, "whimbrel", "parts", "references") or {}
    without = at(full, "unreferenced") or {}
    shares = [figure(percent(quotient(*pair)), "{:.0f} %") for pair in (
        (added(full, "cpu_s"), copy.get("cpu_s")), (added(full, "cpu_s"), without.get("cpu_s")),
        (part.get("cpu_s"), copy.get("cpu_s")), (part.get("s"), copy.get("s")))]
    return (f"`references: true` adds {figure(added(full, 'cpu_s'), '{:.2f} s')} of CPU to the run "
            f"without it: {shares[0]} of the part *copy*, {shares[1]} of that whole run. By its "
            f"own part of the run it is {shares[2]} of *copy* in CPU, {shares[3]} in time.")


def told(results):
    parts = [f"whimbrel {results['version']}, Node {results.get('node', '–')} with "
             f"{results.get('driver', '–')}, median of {results['repeat']}; "
             f"{of_the_machine(results['machine'])}.", goal_table(goals(results))]
    for kind, (store, unit) in STORES.items():
        race = results.get(kind)
        if race:
            parts += [race_table(race, store, unit), part_table(race, "whimbrel"),
                      part_table(race, "node"), reference_line(race)]
    if results["missing"]:
        parts.append("Missing: " + "; ".join(results["missing"]) + ".")
    return "\n\n".join(part for part in parts if part) + "\n"

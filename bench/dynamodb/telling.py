"""The measured figures as goals that are met or not, and as tables."""
from tables import at, figure, goal_table, of_the_machine, quotient, table

LABELS = {"whimbrel": "whimbrel", "boto3": "boto3 script", "node": "Node script",
          "dynamodump": "dynamodump"}
VARIANTS = {"raw": "as they are", "computed": "one attribute computed",
            "renamed": "one renamed, one computed"}


def per_item_us(cpu_s, items):
    return None if cpu_s is None or not items else cpu_s / items * 1e6


def canned_of(results, name, variant, tls=False):
    """The largest of a competitor's runs against the canned server."""
    runs = [one for one in results.get("canned", {}).values()
            if (one["name"], one["variant"], one["tls"]) == (name, variant, tls)]
    return max(runs, key=lambda one: one["items"], default=None)


def copy_us(one):
    return None if one is None else per_item_us(at(one, "parts", "copy", "cpu_s"), one["items"])


def goals(results):
    if "canned" not in results:
        return []
    found = []
    raw = copy_us(canned_of(results, "whimbrel", "raw"))
    for tls, variant, limit in ((False, "raw", 800_000), (False, "renamed", 400_000),
                                (True, "raw", 500_000), (True, "renamed", 300_000)):
        us = copy_us(canned_of(results, "whimbrel", variant, tls))
        found.append((f"copy, {VARIANTS[variant]}{', with TLS' if tls else ''}: items a second and "
                      "core", quotient(1e6, us), limit, "{:,.0f}", True))
    for name, limit in (("boto3", 150), ("node", 40)):
        found.append((f"copy, as they are: CPU of the {LABELS[name]} to CPU of whimbrel",
                      quotient(copy_us(canned_of(results, name, "raw")), raw), limit, "{:.0f} ×",
                      True))
    peaks = [one["peak_mb"] for one in results["canned"].values() if one["name"] == "whimbrel"]
    found.append(("peak memory of whimbrel, all sizes", max(peaks, default=None), 64, "{:.0f} MB"))
    return found


def us(part, items):
    return figure(per_item_us((part or {}).get("cpu_s"), items), "{:.2f} µs")


def rate(part, what, form, scale=1):
    return figure(quotient((part or {}).get(what), (part or {}).get("s")) and
                  part[what] / part["s"] / scale, form)


def local_table(results):
    rows = []
    items = results["local"]["items"]
    for key, one in results["local"]["runs"].items():
        name, variant = key.split(" ")
        copy = one["parts"]["copy"]
        compare = one["parts"].get("verify") or one["parts"].get("validate")
        rows.append([f"{LABELS[name]}, {VARIANTS[variant]}", figure(copy["s"], "{:.1f} s"),
                     us(copy, items), figure((compare or {}).get("s"), "{:.1f} s"),
                     us(compare, items), figure(one["seconds"], "{:.1f} s"), us(one, items),
                     figure(one["peak_mb"], "{:.0f} MB"), "no" if one["wrong"] else "yes"])
    return table([f"{items:,} items of a DynamoDB Local of their own", "copy", "CPU an item",
                  "compare", "CPU an item", "whole", "CPU an item", "memory", "right"], rows)


def canned_table(results, tls):
    rows = []
    for one in results["canned"].values():
        if one["tls"] != tls:
            continue
        copy, items = one["parts"]["copy"], one["items"]
        rows.append([f"{LABELS[one['name']]}, {VARIANTS[one['variant']]}", f"{items:,}",
                     us(copy, items),
                     figure(quotient(items, copy["cpu_s"]), "{:,.0f}"),
                     figure(quotient(items, copy["s"]), "{:,.0f}"),
                     rate(copy, "requests", "{:,.0f}"), rate(copy, "bytes", "{:,.0f} MB", 1e6),
                     figure(quotient(copy.get("server_cpu_s"), copy["s"]), "{:.0%}"),
                     us(one["parts"].get("analyze"), items), us(one["parts"].get("verify"), items),
                     figure(one["peak_mb"], "{:.0f} MB"), "no" if one["wrong"] else "yes"])
    return table([f"against the canned server, {'TLS' if tls else 'plain HTTP'}", "items",
                  "copy: CPU an item", "items/s a core", "items/s", "requests/s", "bytes/s",
                  "server busy", "analyze", "compare", "memory", "right"], rows) if rows else None


def told(results):
    versions = [f"whimbrel {results['version']}"]
    versions += [f"{name} {results[key]}" for name, key in (
        ("Node", "node"), ("boto3", "boto3"), ("dynamodump", "dynamodump")) if key in results]
    parts = [f"{', '.join(versions)}; median of {results['repeat']}; "
             f"{of_the_machine(results['machine'])}.", results.get("note")]
    if goals(results):
        parts.append(goal_table(goals(results)))
    if results.get("local", {}).get("runs"):
        parts.append(local_table(results))
    if "canned" in results:
        parts += [canned_table(results, tls) for tls in (False, True)]
    if results["missing"]:
        parts.append("Missing: " + "; ".join(results["missing"]) + ".")
    return "\n\n".join(part for part in parts if part) + "\n"

"""The measured figures as tables, with ratios to what people do without whimbrel."""
from tables import at, figure, of_the_machine, quotient, table

RETYPE = {"whimbrel": "whimbrel `run --until watch`", "alter": "`ALTER TABLE … TYPE uuid`",
          "batches": "a script with batches of 1,000", "nobody": "nobody migrates"}
COPY = {"whimbrel": "whimbrel, `indexes: after`", "pipe": "`COPY … \\| COPY …`, binary, then indexes",
        "dump": "`pg_dump -Fd -j2`, `pg_restore -j2`", "pgcopydb": "pgcopydb", "pgloader": "pgloader"}
COMPARE = {"verify": "whimbrel `verify`", "diff": "whimbrel `diff`", "reladiff": "reladiff",
           "counts": "two `count(*)`", "digests": "two digests of all rows"}


def times(one, other):
    return figure(quotient(one, other), "{:.2f} ×")


def seconds(value):
    return figure(value, "{:.2f} s")


def megabytes(value):
    return figure(value, "{:,.0f} MB")


def retype_table(results):
    runs, rows = results["retype"], []
    for name, one in runs.items():
        rows.append([RETYPE[name], seconds(one.get("swap_s")),
                     seconds(one["seconds"]) if name != "nobody" else "–",
                     times(one["seconds"], at(runs, "batches", "seconds")) if name != "nobody" else "–",
                     seconds(one.get("cpu_s")), megabytes(one.get("peak_mb")), megabytes(one["wal_mb"]),
                     megabytes(one["tables_mb"]), megabytes(one["all_mb"]),
                     figure(one.get("wrong"), "{:,.0f}")])
    text = table([f"{results['users']:,} users, {2 * results['users']:,} rows that refer to them",
                  "to the swap", "whole", "× the script", "CPU", "memory", "WAL", "tables",
                  "whole database", "wrong rows"], rows)
    waits = [[RETYPE[name], figure(one["waits"]["operations"], "{:,.0f}"), figure(one["errors"], "{:,.0f}"),
              figure(one["waits"]["p50_ms"], "{:.1f} ms"), figure(one["waits"]["p99_ms"], "{:,.0f} ms"),
              figure(one["waits"]["max_ms"], "{:,.0f} ms")] for name, one in runs.items()]
    return text + "\n\n" + table([f"{results['rate']:g} statements a second beside it", "statements",
                                  "failed", "wait p50", "p99", "longest"], waits)


def copy_table(results):
    runs, rows = results["copy"], []
    pipe = at(runs, "pipe", "parts", "copy", "seconds")
    for name, one in runs.items():
        copy, verify = one["parts"]["copy"], one["parts"].get("verify")
        rows.append([COPY[name], seconds(copy["seconds"]), times(copy["seconds"], pipe),
                     seconds(copy["cpu_s"]), seconds(copy["server_cpu_s"]),
                     seconds(at(one, "parts", "analyze", "seconds")), seconds((verify or {}).get("seconds")),
                     seconds(one["seconds"]), times(one["seconds"], pipe), megabytes(one["peak_mb"]),
                     megabytes(copy["wal_mb"]), "no" if one["wrong"] else "yes"])
    return table([f"{results['rows']:,} rows into another database", "copy, indexes", "× the pipe",
                  "CPU", "CPU of the server", "analyze", "compare", "whole", "× the pipe", "memory", "WAL",
                  "right"], rows)


def compare_table(results):
    runs, rows = results["compare"], []
    base = at(runs, "reladiff", "ten", "seconds")
    for name, one in runs.items():
        equal, ten = one.get("equal") or {}, one.get("ten") or {}
        rows.append([COMPARE[name], seconds(equal.get("seconds")), seconds(ten.get("seconds")),
                     times(ten.get("seconds"), base), seconds(ten.get("cpu_s")),
                     seconds(ten.get("server_cpu_s")), megabytes(ten.get("peak_mb")),
                     figure(ten.get("found"), "{:.0f}")])
    return table([f"{results['rows']:,} rows compared", "equal", "ten rows differ", "× reladiff", "CPU",
                  "CPU of the server", "memory", "differences told"], rows)


def told(results):
    parts = [f"whimbrel {results['version']}, PostgreSQL {results['postgresql']}; median of "
             f"{results['repeat']}; {of_the_machine(results['machine'])}.", results.get("note")]
    for name, make in (("retype", retype_table), ("copy", copy_table), ("compare", compare_table)):
        if results.get(name):
            parts.append(make(results))
    if results["missing"]:
        parts.append("Missing: " + "; ".join(results["missing"]) + ".")
    return "\n\n".join(part for part in parts if part) + "\n"

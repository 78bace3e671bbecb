#!/usr/bin/env python3
"""Makes the old database of the workflow-runs example: generate.py DB --rows N [--seed S] [--force]

Same seed, same rows. The database is built beside DB and gets its name when it is complete, so a
killed run leaves no half database behind. It is in WAL mode, as an application with writers wants.
The rows are of the kind that years of use leave: ids without order and in two styles, NULLs, empty
strings, a NULL status here and there, several lines, quotes, JSON inside text, many scripts.
"""
import argparse
import datetime
import os
import pathlib
import random
import sqlite3
import sys

LEGACY_SQL = pathlib.Path(__file__).resolve().parent / "legacy.sql"
COMPANIONS = ("-wal", "-shm", "-journal")

WORKFLOWS = ["code-review", "fix-issue", "nightly-report", "dependency-update", "triage",
             "release-notes", "data-import", "Übersetzung", "backfill"]
STATUS_SHARES = {"completed": 74, "failed": 14, "cancelled": 4, "running": 4, "pending": 4}
STATUSES = [status for status, share in STATUS_SHARES.items() for _ in range(share)]
VERBS = ["Review", "Fix", "Summarise", "Refactor", "Explain", "Import", "Translate", "Rebuild"]
THINGS = ["the invoice export", "login on slow networks", "the search index", "a flaky test",
          "the customer's address form", "rate limits for partners", "the \"Reports\" page",
          "die Rechnungsübersicht", "日本語の検索結果", "la página de inicio", "отчёт за квартал",
          "واجهة الدفع", "emoji in names 🙂👩‍🔧", "C:\\jobs\\import", "100% of the jobs"]
DETAILS = ["It fails for about one user in fifty.", "See the thread of last Tuesday.", "No hurry.",
           "Please keep the old behaviour for O'Brien & Sons.", "\tcopied from a table\r\n",
           "Steps:\n1. open it\n2. wait\n3. 💥", "Expected {\"ok\": true}, got {\"ok\": null}.",
           "Größe: ½ GB, ≥ 3×"]
RESULTS = ["done", "Merged after two rounds.", "{\"files\": 3, \"ok\": true}", "[1, 2, 3]", "null",
           "", "0", "All 214 tests pass ✅", "line one\nline two", "He said \"ship it\"",
           "路径 C:\\temp"]
ERRORS = ["timeout after 30 turns", "HTTP 502 from upstream", "KeyError: 'branch'", "",
          "out of memory", "permission denied: «ключ»",
          "Traceback (most recent call last):\n  File \"job.py\", line 12\nValueError: naïve"]
REPOSITORIES = ["https://git.example.com/shop/web", "https://git.example.com/shop/api",
                "ssh://git@git.example.com/data/pipeline", "https://git.example.com/büro/tools"]
NAMES = ["Ada", "Björn", "Chiara", "Đorđe", "Émile", "Fatima", "Grace", "晴", "Ines", "Júlia"]
OLD_ID_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

FIRST_DAY = datetime.datetime(2023, 1, 1)
DAYS = 900


def user_rows(rnd, count):
    for number in range(count):
        yield f"user-{rnd.getrandbits(40):010x}", f"{rnd.choice(NAMES)} {number}"


def process_rows(rnd, count):
    """The rows in the order of their creation, which their ids do not follow."""
    second = datetime.timedelta(seconds=1)
    step = DAYS * 86400 / max(count, 1)
    chance = rnd.random
    pick = rnd.choice
    for number in range(count):
        bits = rnd.getrandbits(128)
        if number < count // 20:  # the oldest rows carry the ids of an earlier release
            key = "WP" + "".join(OLD_ID_LETTERS[bits >> shift & 31] for shift in range(0, 80, 5))
        else:
            digits = f"{bits:032x}"
            key = f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
        status = pick(STATUSES) if chance() > 0.01 else None
        ended = status in ("completed", "failed", "cancelled")
        created = FIRST_DAY + int(step * (number + chance())) * second
        started = created + int(chance() * 120) * second
        duration_ms = int(rnd.expovariate(1 / 240_000))
        cost = round(duration_ms / 400_000 * chance(), 4) if chance() > 0.05 else 0.0
        completed = started + (duration_ms // 1000) * second
        message = f"{pick(VERBS)} {pick(THINGS)}"
        if chance() < 0.5:
            message += f". {pick(DETAILS)}"
        if chance() < 0.002:
            message += "\n" + "A long story. " * 300
        yield (
            key,
            pick(WORKFLOWS),
            message if chance() > 0.005 else "",
            30 if chance() < 0.8 else pick([1, 5, 10, 50, 100, None]),
            f"session-{bits & 0xffffff:06x}" if chance() < 0.6 else None,
            pick(["main", f"fix/{bits & 0xffff}", "feature/größer"]) if chance() < 0.7 else None,
            pick(REPOSITORIES) if chance() < 0.7 else None,
            created.isoformat(" "),
            (completed if ended else started if status == "running" else created).isoformat(" "),
            status,
            pick(RESULTS) if status == "completed" and chance() < 0.9 else None,
            pick(ERRORS) if status == "failed" else None,
            duration_ms if ended else None,
            cost if ended else None,
            started.isoformat(" ") if ended or status == "running" else None,
            completed.isoformat(" ") if ended else None,
        )


def build(path, rows, seed):
    rnd = random.Random(seed)
    connection = sqlite3.connect(path, isolation_level=None)
    # Nobody else sees this file yet, and an interrupted build is thrown away: no journal is needed.
    connection.execute("PRAGMA journal_mode = OFF")
    connection.execute("PRAGMA synchronous = OFF")
    connection.executescript(LEGACY_SQL.read_text(encoding="utf-8"))
    connection.execute("BEGIN")
    connection.executemany("INSERT INTO users VALUES (?, ?)", user_rows(rnd, max(10, rows // 1000)))
    connection.executemany(f"INSERT INTO workflow_processes VALUES ({', '.join('?' * 16)})",
                           process_rows(rnd, rows))
    connection.execute("COMMIT")
    mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    connection.close()
    if mode != "wal":
        sys.exit(f"generate.py: the file system of {path} does not allow WAL mode (got {mode})")


def row_count(text):
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError("must not be negative")
    return value


def main():
    parser = argparse.ArgumentParser(description="Makes the old database of the example.")
    parser.add_argument("db")
    parser.add_argument("--rows", type=row_count, required=True, help="rows in workflow_processes")
    parser.add_argument("--seed", type=int, default=1, help="same seed, same rows (1)")
    parser.add_argument("--force", action="store_true", help="replace the file when it exists")
    options = parser.parse_args()

    # A -wal file that outlived its database would be read into the new one.
    present = [options.db + end for end in ("", *COMPANIONS) if os.path.lexists(options.db + end)]
    if present and not options.force:
        sys.exit(f"generate.py: {', '.join(present)} exists; nothing was changed. "
                 "Choose another name, or say --force to replace it.")
    partial = f"{options.db}.partial-{os.getpid()}"
    try:
        build(partial, options.rows, options.seed)
        for path in present:
            os.remove(path)
        os.replace(partial, options.db)
    finally:
        for end in ("", *COMPANIONS):
            if os.path.exists(partial + end):
                os.remove(partial + end)
    print(f"{options.db}: {options.rows} rows in workflow_processes, seed {options.seed}")


if __name__ == "__main__":
    main()

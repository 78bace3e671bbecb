"""One table into another database of the same server: whimbrel, and what people do without it."""
import shlex
import shutil

import measuring
from database import Database, measured
from whimbrel import COPY, Whimbrel

COLUMNS = ("id bigint NOT NULL, account uuid NOT NULL, kind varchar(20) NOT NULL, amount numeric(12, 2), "
           "happened timestamptz NOT NULL, body text")
INDEXES = ("ALTER TABLE events ADD PRIMARY KEY (id)",
           "CREATE INDEX events_by_account ON events (account, happened)",
           "CREATE INDEX events_by_kind ON events (kind, amount)")
DIGEST = "SELECT count(*), coalesce(sum(hash_record_extended(t, 0)), 0) FROM events AS t"


class Pair:
    """The table's database, and an empty one beside it."""

    def __init__(self, bench):
        self.old = Database(bench.server, "old").made("events")
        self.new = Database(bench.server, "new").made()
        self.environment = {**self.old.environment, "OLD": self.old.url, "NEW": self.new.url}

    def wrong(self):
        """0 or 1, by a digest of all rows; and whether all indexes are there."""
        indexes = [one.number("SELECT count(*) FROM pg_indexes WHERE schemaname = 'public'")
                   for one in (self.old, self.new)]
        return int(self.old.sql(DIGEST) != self.new.sql(DIGEST)) + abs(indexes[0] - indexes[1])


def shell(bench, pair, *lines):
    """Lines of bash, which end it when one of a pipe fails."""
    return measured(pair.new, lambda: measuring.Process(
        ["bash", "-euo", "pipefail", "-c", "\n".join(lines)], bench.work / "shell.log",
        env=pair.environment))


def statements(database, *texts):
    return shlex.join(database.psql(*(word for text in texts for word in ("-c", text))))


def in_parts(parts):
    """The whole of several processes, one after the other."""
    whole = {name: sum(one[name] for one in parts.values())
             for name in ("seconds", "cpu_s", "server_cpu_s", "wal_mb")}
    return {**whole, "peak_mb": max(one["peak_mb"] for one in parts.values()), "parts": parts}


def whimbrel(bench, pair):
    """A process for each part, so that its CPU and memory are its own."""
    one = Whimbrel(bench, COPY, pair.environment)
    return in_parts({name: measured(pair.new, lambda until=until: one.run_until(until))
                     for name, until in (("analyze", "prepare"), ("copy", "copy"), ("verify", "verify"))})


def pipe(bench, pair):
    pair.new.sql(f"CREATE TABLE events ({COLUMNS})")
    copy = (f"{statements(pair.old, 'COPY events TO STDOUT (FORMAT binary)')} | "
            f"{statements(pair.new, 'COPY events FROM STDIN (FORMAT binary)')}")
    return in_parts({"copy": shell(bench, pair, copy, statements(pair.new, *INDEXES))})


def dump(bench, pair):
    folder = bench.work / "dump"
    shutil.rmtree(folder, ignore_errors=True)
    taken = shell(bench, pair, shlex.join(["pg_dump", "-Fd", "-j2", "-f", str(folder), pair.old.url]),
                  shlex.join(["pg_restore", "-j2", "-d", pair.new.url, str(folder)]))
    shutil.rmtree(folder)
    return in_parts({"copy": taken})


def pgcopydb(bench, pair):
    """Its state would lie in /tmp, and that of an earlier run would stop it."""
    return in_parts({"copy": shell(bench, pair, shlex.join(
        ["pgcopydb", "clone", "--source", pair.old.url, "--target", pair.new.url, "--table-jobs", "2",
         "--index-jobs", "2", "--no-owner", "--skip-extensions", "--dir", str(bench.work / "pgcopydb"),
         "--restart"]))})


def pgloader(bench, pair):
    return in_parts({"copy": shell(bench, pair, shlex.join(
        ["pgloader", "--no-ssl-cert-verification", pair.old.url, pair.new.url]))})


WAYS = {"whimbrel": whimbrel, "pipe": pipe, "dump": dump, "pgcopydb": pgcopydb, "pgloader": pgloader}
NEEDED = {"pgcopydb", "pgloader"}


def once(bench, name):
    pair = Pair(bench)
    return {**WAYS[name](bench, pair), "wrong": pair.wrong()}


def ways():
    """Those whose programs are there, and the names of those that are not."""
    lacking = [name for name in WAYS if name in NEEDED and shutil.which(name) is None]
    return [name for name in WAYS if name not in lacking], lacking


def prepare(bench):
    Database(bench.server, "events").made().fill("events.sql", rows=bench.rows)

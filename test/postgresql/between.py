"""Rows that pass from one server of PostgreSQL to another as they are: two versions, all kinds of types and keys.

What is expected is asked of the servers with psycopg. Runs under tools/servers/python, with WHIMBREL naming the binary;
with NAME... some of the tests.
"""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

import psycopg

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "test" / "support"))
from servers import postgresql  # noqa: E402

BINARY = os.environ.get("WHIMBREL", str(ROOT / "build" / "whimbrel"))
PLAN = """
whimbrel: 1
migration: pass
stores: {a: "%s", b: "%s"}
tables:
  - {from: a/public.things, to: b/public.things, create: %s, indexes: after%s}
sync: capture
backup: none
"""
TYPES = """
CREATE TYPE mood AS ENUM ('calm', 'windy', 'a "quoted, \\ one');
CREATE TYPE spot AS (x integer, label text);
CREATE DOMAIN positive AS bigint CHECK (VALUE > 0);
"""
KINDS = {
    "flag": ("boolean", "n % 3 = 0"),
    "small": ("smallint", "(n % 60000) - 30000"),
    "amount": ("numeric", "n * 1.000000000000000000001"),
    "price": ("numeric(20,4)", "n / 7.0"),
    "real": ("real", "n / 3.0"),
    "double": ("double precision", "CASE n % 5 WHEN 0 THEN 'NaN' WHEN 1 THEN '-Infinity' ELSE n / 9.0 END"),
    "word": ("text", r"CASE n % 6 WHEN 0 THEN '' WHEN 1 THEN E'a\tb\nc\\d\r' WHEN 2 THEN E'\\N' WHEN 3 THEN E'\\.' ELSE 'öß' || n END"),
    "short": ("varchar(30)", "repeat('é', n % 30)"),
    "padded": ("char(5)", "left(n::text, 3)"),
    "bytes": ("bytea", r"decode(lpad(to_hex(n), 8, '0'), 'hex') || '\x00ff'"),
    "own": ("uuid", "md5(n::text)::uuid"),
    "born": ("date", "CASE WHEN n % 7 = 0 THEN 'infinity' ELSE date '1900-01-01' + n % 40000 END"),
    "clock": ("time", "time '00:00' + n * interval '1 microsecond'"),
    "zoned": ("timetz", "timetz '12:00+05:45' + n * interval '1 second'"),
    "at": ("timestamptz", "timestamptz '4714-11-25 00:00:00+00 BC' + n * interval '1 day 1 microsecond'"),
    "plain": ("timestamp", "timestamp '1999-12-31 23:59:59.999999' + n * interval '1 hour'"),
    "span": ("interval", "n * interval '1 month -1 day 3.5 seconds'"),
    "doc": ("jsonb", "jsonb_build_object('n', n, 'x', repeat('y', n % 50))"),
    "raw": ("json", """('{"b": ' || n || ',  "a": [1, 1.0], "b": null}')::json"""),
    "mark": ("xml", "('<a n=\"' || n || '\"/>')::xml"),
    "net": ("inet", "'10.0.0.0/8'::inet + n"),
    "bits": ("bit varying", "n::bit(17)::bit varying"),
    "many": ("integer[]", "CASE WHEN n % 4 = 0 THEN '{}' ELSE ARRAY[[n, NULL], [2, 3]] END"),
    "words": ("text[]", r"ARRAY['a,b', '\"', E'\\', NULL, '']"),
    "room": ("int4range", "int4range(n, n + 5)"),
    "money": ("money", "n::numeric::money"),
    "feeling": ("mood", "(ARRAY['calm', 'windy', 'a \"quoted, \\ one'])[n % 3 + 1]::mood"),
    "feelings": ("mood[]", "ARRAY['calm', NULL]::mood[]"),
    "place": ("spot", "ROW(n, 'x,\"y')::spot"),
    "more": ("positive", "n + 1"),
    "search": ("tsvector", "to_tsvector('simple', 'word ' || n)"),
}
DIGEST = "SELECT t::text FROM things t ORDER BY t::text COLLATE \"C\""


class Folder:
    """A plan, and whimbrel with it."""

    def __init__(self, a, b, create="like-source", more=""):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="whimbrel-between-"))
        (self.path / "plan.yaml").write_text(PLAN % (a, b, create, more))

    def command(self, *words):
        return [BINARY, words[0], str(self.path / "plan.yaml"), "--state", str(self.path / "state"), *words[1:]]

    def run(self, *words, code=0):
        done = subprocess.run(self.command(*words), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
        assert done.returncode == code, "%s gave %d:\n%s%s" % (words, done.returncode, done.stdout[-3000:], done.stderr[-4000:])
        return done.stdout + done.stderr

    def chunks(self):
        """What each chunk was: rows read and written."""
        found = []
        for line in self.run("report", "--json").splitlines():
            for entry in json.loads(line).get("trail", []):
                if entry["record"] == "ChunkCopied":
                    found.append(entry["body"])
        return found

    def close(self):
        shutil.rmtree(self.path, ignore_errors=True)


@contextlib.contextmanager
def two(old, new, more=""):
    """An empty database on each server, each with a connection and its URL."""
    with contextlib.ExitStack() as stack:
        made = []
        for server in (old, new):
            name = "things_%s" % ("old" if server is old and not made else "new")
            with psycopg.connect(server.url, autocommit=True) as db:
                db.execute('DROP DATABASE IF EXISTS "%s" WITH (FORCE)' % name)
                db.execute('CREATE DATABASE "%s" %s' % (name, more))
            url = server.url.rsplit("/", 1)[0] + "/" + name
            made.append((stack.enter_context(psycopg.connect(url, autocommit=True)), url))
        yield made


def fill(db, rows, kinds=None, key="id bigint PRIMARY KEY", value="n"):
    kinds = KINDS if kinds is None else kinds
    columns = "".join(', "%s" %s' % (name, declared) for name, (declared, _) in kinds.items())
    values = "".join(", " + made for _, made in kinds.values())
    db.execute("CREATE TABLE things (%s%s)" % (key, columns))
    db.execute("INSERT INTO things SELECT %s%s FROM generate_series(1, %d) n" % (value, values, rows))
    db.execute("ANALYZE things")


def equal(a, b):
    return a.execute(DIGEST).fetchall() == b.execute(DIGEST).fetchall()


def every_type_passes_between_two_versions(old, new):
    for kinds in (KINDS, {name: KINDS[name] for name in ("flag", "small", "word", "doc", "at", "price", "bytes")}):
        with two(old, new) as ((a, url_a), (b, url_b)):
            for db in (a, b):
                db.execute(TYPES)
            fill(a, 4000, kinds)
            for name in kinds:
                a.execute('UPDATE things SET "%s" = NULL WHERE id %% 11 = 0' % name)
            folder = Folder(url_a, url_b)
            folder.run("run", "--yes", "--until", "verify")
            assert equal(a, b)
            a.execute("DELETE FROM things WHERE id < 10; INSERT INTO things (id) VALUES (100001); UPDATE things SET word = 'new' WHERE id = 20")
            assert "0 differ" in folder.run("verify")
            folder.run("run", "--yes")
            b.execute("UPDATE things SET word = E'on the\\tnew side' WHERE id = 30; DELETE FROM things WHERE id = 31")
            folder.run("rollback", "--yes")
            assert a.execute("SELECT word FROM things WHERE id IN (30, 31)").fetchall() == [("on the\tnew side",)]
            folder.close()


def each_row_that_differs_is_named(old, new):
    """Also where many rows of one range differ, and where only the target has them."""
    for pair in ((old, new), (old, old)):
        with two(*pair) as ((a, url_a), (b, url_b)):
            fill(a, 30000, {"word": ("text", "'w' || n")})
            folder = Folder(url_a, url_b)
            folder.run("run", "--yes", "--until", "verify")
            b.execute("UPDATE things SET word = 'x' WHERE id BETWEEN 100 AND 599; DELETE FROM things WHERE id IN (7, 20000);"
                      "INSERT INTO things VALUES (-5, 'stranger'), (40000, 'stranger')")
            told = folder.run("verify", "--json", code=1)
            assert '"differing":504' in told.replace(" ", ""), told[-2000:]
            named = json.loads(next(line for line in told.splitlines() if '"differences"' in line))["differences"]
            assert {one["key"] for one in named} == {str(n) for n in (*range(100, 600), 7, 20000, -5, 40000)}
            told = folder.run("verify", code=1)
            assert told.count("differs: ") == 10 and "and 494 more" in told, told
            folder.run("verify", "--repair", "--yes")
            assert equal(a, b)
            b.execute("UPDATE things SET word = 'x' WHERE id % 3000 = 7")
            named = json.loads(next(line for line in folder.run("verify", "--json", code=1).splitlines() if '"differences"' in line))
            assert [(one["key"], one["what"]) for one in named["differences"]] == [(str(n), "word") for n in range(7, 30000, 3000)], named
            folder.close()


def all_that_differ_in_one_database_are_named_too(old, new):
    with two(old, old) as ((a, url_a), _):
        fill(a, 5000, {"word": ("text", "'w' || n")})
        a.execute("CREATE TABLE others (LIKE things INCLUDING ALL)")
        folder = Folder(url_a, url_a, create="exists")
        plan = folder.path / "plan.yaml"
        plan.write_text(plan.read_text().replace("b/public.things", "b/public.others"))
        folder.run("run", "--yes", "--until", "verify")
        a.execute("UPDATE others SET word = 'x' WHERE id BETWEEN 100 AND 599")
        told = folder.run("verify", "--json", code=1)
        assert '"differing":500' in told.replace(" ", ""), told[-2000:]
        folder.close()


def keys_of_texts_may_be_in_another_order(old, new):
    key = 'id text COLLATE "%s" PRIMARY KEY'
    value = "(ARRAY['', ' ', 'a', 'A', 'ä', 'B', '_', '-', '#'])[n % 9 + 1] || n"
    with two(old, new) as ((a, url_a), (b, url_b)):
        fill(a, 6000, {"word": ("text", "'w' || n")}, key % "und-x-icu", value)
        b.execute("CREATE TABLE things (%s, word text)" % key % "C")
        folder = Folder(url_a, url_b, create="exists")
        folder.run("run", "--yes", "--until", "verify")
        assert equal(a, b)
        b.execute("UPDATE things SET word = 'x' WHERE id = 'ä4000' OR id = '#1007'; DELETE FROM things WHERE id = 'A2001'; INSERT INTO things VALUES ('zzz', 'stranger')")
        changed = a.execute("SELECT count(*) FROM things WHERE id IN ('ä4000', '#1007', 'A2001')").fetchone()[0]
        assert changed == 3, changed
        told = folder.run("verify", "--json", code=1)
        assert '"differing":%d' % (changed + 1) in told.replace(" ", ""), (changed, told[-2000:])
        folder.close()


def keys_of_several_columns_and_other_names(old, new):
    with two(old, new) as ((a, url_a), (b, url_b)):
        a.execute('CREATE TABLE things ("tenant id" integer, at timestamptz, word text, PRIMARY KEY (at, "tenant id"))')
        a.execute("INSERT INTO things SELECT n % 7, timestamptz '2026-01-01' + n / 3 * interval '1 second', 'w' || n FROM generate_series(1, 5000) n ON CONFLICT DO NOTHING")
        b.execute('CREATE TABLE things (word text, tenant bigint, "when" timestamptz, extra text DEFAULT \'mine\', PRIMARY KEY ("when", tenant))')
        folder = Folder(url_a, url_b, create="exists", more=', columns: {tenant: "\\"tenant id\\"", when: at, word: word}')
        plan = folder.path / "plan.yaml"
        plan.write_text(plan.read_text().replace('"\\"tenant id\\""', "tenant id"))
        folder.run("run", "--yes", "--until", "verify")
        pairs = (a.execute('SELECT "tenant id", at, word FROM things ORDER BY 2, 1').fetchall(),
                 b.execute('SELECT tenant, "when", word FROM things ORDER BY 2, 1').fetchall())
        assert pairs[0] == pairs[1]
        b.execute("UPDATE things SET word = 'x' WHERE tenant = 3 AND word = 'w3000'")
        b.execute("UPDATE things SET extra = 'x'")
        differ = b.execute("SELECT count(*) FROM things WHERE word = 'x'").fetchone()[0]
        told = folder.run("verify", "--json", code=1 if differ else 0)
        assert '"differing":%d' % differ in told.replace(" ", ""), told[-2000:]
        folder.close()


def what_is_there_already_is_no_obstacle(old, new):
    """Killed while it copies, again and again: a chunk that came and was not journaled comes once more."""
    with two(old, new) as ((a, url_a), (b, url_b)):
        fill(a, 150000, {"word": ("text", "repeat(md5(n::text), 6)"), "own": ("uuid", "md5(n::text)::uuid")})
        folder = Folder(url_a, url_b)
        folder.run("run", "--yes", "--until", "prepare")
        for wait_s in (0.15, 0.25, 0.2, 0.3):
            running = subprocess.Popen(folder.command("run", "--yes", "--until", "copy"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(wait_s)
            running.send_signal(signal.SIGKILL)
            running.wait()
        # And rows that came without a note of it.
        at = b.execute("SELECT coalesce(max(id), 0) FROM things").fetchone()[0]
        rest = a.execute("SELECT id, word, own FROM things WHERE id > %s ORDER BY id LIMIT 5", (at,)).fetchall()
        with b.cursor() as cursor:
            cursor.executemany("INSERT INTO things VALUES (%s, %s, %s)", rest)
        folder.run("run", "--yes", "--until", "verify")
        assert equal(a, b)
        assert sum(chunk["read"] for chunk in folder.chunks()) == 150000
        folder.close()


def a_row_that_does_not_fit_is_named(old, new):
    with two(old, new) as ((a, url_a), (b, url_b)):
        fill(a, 3000, {"amount": ("bigint", "n")})
        b.execute("CREATE TABLE things (id bigint PRIMARY KEY, amount integer CHECK (amount <> 1234))")
        folder = Folder(url_a, url_b, create="exists")
        told = folder.run("run", "--yes", code=3)
        assert "key 1234: the target would not take it" in told and "things_amount_check" in told, told
        a.execute("UPDATE things SET amount = 5 WHERE id = 1234")
        folder.run("run", "--yes", "--until", "prepare")
        a.execute("UPDATE things SET amount = 1234 WHERE id = 2999")
        told = folder.run("run", "--yes", code=3)
        assert "copying the row 2999" in told and "things_amount_check" in told, told
        a.execute("UPDATE things SET amount = 5 WHERE id = 2999")
        folder.run("rollback", "--yes")
        folder.close()
        folder = Folder(url_a, url_b, create="exists")
        b.execute("TRUNCATE things")
        folder.run("run", "--yes", "--until", "copy")
        a.execute("UPDATE things SET amount = 5000000000 WHERE id = 77")
        told = folder.run("run", "--yes", code=3)
        assert "key 77" in told and "`amount`" in told, told
        folder.close()


def as_plain(url, *others):
    """The URL of a role that owns what is there and sets no foreign keys or triggers aside."""
    for one in (url, *others):
        with psycopg.connect(one, autocommit=True) as db:
            if not db.execute("SELECT FROM pg_roles WHERE rolname = 'plain'").fetchall():
                db.execute("CREATE ROLE plain LOGIN PASSWORD 'plain'")
            db.execute('ALTER DATABASE "%s" OWNER TO plain; ALTER SCHEMA public OWNER TO plain; ALTER TABLE things OWNER TO plain' % one.rsplit("/", 1)[1])
    return [one.split("://")[0] + "://plain:plain@" + one.split("@")[-1] for one in (url, *others)]


def unique_values_move_where_that_is_looked_at_last(old, new):
    with two(old, new) as ((a, url_a), (b, url_b)):
        for db in (a, b):
            db.execute("CREATE TABLE things (id bigint PRIMARY KEY, slot integer UNIQUE DEFERRABLE INITIALLY DEFERRED)")
        a.execute("INSERT INTO things SELECT n, n FROM generate_series(1, 1200) n")
        url_a, url_b = as_plain(url_a, url_b)
        folder = Folder(url_a, url_b, create="exists")
        folder.run("run", "--yes", "--until", "prepare")
        b.execute("INSERT INTO things VALUES (1, 1), (2, 3)")  # before a crash
        folder.run("run", "--yes", "--until", "copy")
        a.execute("UPDATE things SET slot = 1 + slot % 1200")
        folder.run("run", "--yes", "--until", "verify")
        assert equal(a, b)
        folder.close()


def a_unique_value_moves_through_a_whole_table(old, new):
    with two(old, new) as ((a, url_a), (b, url_b)):
        a.execute("CREATE TABLE things (id bigint PRIMARY KEY, place integer UNIQUE DEFERRABLE); INSERT INTO things SELECT n, n FROM generate_series(1, 2500) n")
        folder = Folder(url_a, url_b)
        folder.run("run", "--yes", "--until", "copy")
        a.execute("UPDATE things SET place = place + 1")
        folder.run("run", "--yes")
        assert equal(a, b)
        b.execute("UPDATE things SET place = 1 + place % 2501; INSERT INTO things VALUES (9000, 9000)")
        served = b.execute(DIGEST).fetchall()
        folder.run("rollback", "--yes")
        assert a.execute(DIGEST).fetchall() == served
        folder.close()


def a_moment_is_not_rounded(old, new):
    for kind, value in (("timestamptz", "2026-01-01 00:00:00.1234+00"), ("timestamp", "2026-01-01 00:00:00.1234"), ("time", "10:00:00.1234")):
        with two(old, new) as ((a, url_a), (b, url_b)):
            a.execute("CREATE TABLE things (id bigint PRIMARY KEY, at %s); INSERT INTO things VALUES (1, '2026-01-01 10:00:00.123'), (2, '2026-01-01 10:00:00')" % kind)
            b.execute("CREATE TABLE things (id bigint PRIMARY KEY, at %s(3))" % kind)
            folder = Folder(url_a, url_b, create="exists")
            folder.run("run", "--yes", "--until", "verify")
            assert equal(a, b)
            folder.run("rollback", "--yes")
            a.execute("INSERT INTO things VALUES (3, '%s')" % value)
            told = folder.run("run", "--yes", code=3)
            assert "key 3" in told and "more digits of a second" in told, told
            folder.close()


PEAK = """
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(done.returncode, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def a_type_that_would_round_is_no_place(old, new):
    """A domain, and types with a bound that the server cuts to without a word."""
    for declared, wanted, fits, lost in (
            ("numeric", "price", "12.50", "12.505"), ("text", "code", "'abc'", "'abcd'"), ("interval", "interval day to minute", "'1 day 02:03'", "'1 day 02:03:04'"),
            ("numeric[]", "numeric(5,1)[]", "'{1.5,2.0}'", "'{1.5,2.25}'"), ("bit varying", "bit varying(3)", "B'101'", "B'1011'"),
            ("text[]", "varchar(3)[]", "'{abc}'", "'{abcd}'")):
        with two(old, new) as ((a, url_a), (b, url_b)):
            b.execute("CREATE DOMAIN price AS numeric(6,2); CREATE DOMAIN code AS varchar(3) CHECK (VALUE <> 'x')")
            a.execute("CREATE TABLE things (id bigint PRIMARY KEY, word %s)" % declared)
            b.execute("CREATE TABLE things (id bigint PRIMARY KEY, word %s)" % wanted)
            a.execute("INSERT INTO things VALUES (1, %s), (2, NULL), (3, %s)" % (fits, lost))
            folder = Folder(url_a, url_b, create="exists")
            told = folder.run("analyze", code=3)
            assert "key 3" in told, (wanted, told)
            a.execute("DELETE FROM things WHERE id = 3")
            folder.run("run", "--yes", "--until", "verify")
            assert b.execute("SELECT count(*), count(word) FROM things").fetchone() == (2, 1), wanted
            a.execute("INSERT INTO things VALUES (3, %s)" % lost)
            told = folder.run("run", "--yes", "--until", "verify", code=3)
            assert b.execute("SELECT count(*) FROM things").fetchone() == (2,), (wanted, told)
            folder.close()


def a_comparison_holds_no_whole_table(old, new):
    with two(old, new) as ((a, url_a), (b, url_b)):
        fill(a, 700000, {})
        folder = Folder(url_a, url_b)
        folder.run("run", "--yes", "--until", "verify")
        b.execute("DELETE FROM things WHERE id > 10")
        # By a process of its own: what a child is told to have used begins with what its parent has.
        said = subprocess.run([sys.executable, "-c", PEAK, *folder.command("verify")], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=True)
        code, peak_kb = map(int, said.stdout.split())
        assert code == 1 and peak_kb < 130 * 1024, (code, peak_kb)
        folder.close()


def what_another_server_may_refuse_is_read_before(old, new):
    with two(old, new) as ((a, url_a), (b, url_b)):
        a.execute("CREATE TYPE mood AS ENUM ('calm', 'windy')")
        b.execute("CREATE TYPE mood AS ENUM ('calm')")
        fill(a, 12000, {"feeling": ("mood", "CASE n WHEN 9000 THEN 'windy' ELSE 'calm' END::mood")})
        b.execute("CREATE TABLE things (id bigint PRIMARY KEY, feeling mood)")
        folder = Folder(url_a, url_b, create="exists")
        told = folder.run("analyze", code=3)
        assert "key 9000" in told, told
        folder.close()
    with two(old, new, "ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0") as (_, (b, url_b)), two(old, old) as ((a, url_a), _):
        fill(a, 12000, {"word": ("text", "CASE n WHEN 9000 THEN U&'\\03A9' ELSE 'é' END")})
        folder = Folder(url_a, url_b)
        told = folder.run("analyze")
        assert "12,000" in told, told
        folder.close()


def from_sqlite(url, declared, rows, key="INTEGER", more=""):
    folder = Folder("sqlite:old.db", url, create="exists", more=more)
    plan = folder.path / "plan.yaml"
    plan.write_text(plan.read_text().replace("a/public.things", "a/things").replace("sqlite:old.db", "sqlite:%s/old.db" % folder.path))
    lite = sqlite3.connect(folder.path / "old.db", isolation_level=None)
    lite.execute("CREATE TABLE things (id %s PRIMARY KEY NOT NULL, value %s)" % (key, declared))
    lite.executemany("INSERT INTO things VALUES (?, ?)", rows)
    lite.close()
    return folder


def texts_become_what_the_server_reads_in_them(old, _):
    """Numbers and moments of SQLite, as programs write them and as they do not: what is read here is what the server reads."""
    days = ["2026-02-28", "2026-02-29", "0001-01-01", "9999-12-31", "0000-01-01", "2026-13-01", "2026-1-1", "20260101", "01/02/2026", "infinity", ""]
    clocks = ["", "00:00:00", "23:59:59.999999", "10:00", "10:00:60", "24:00:00", "10:00:00.10", "10:00:00.1234567", "10:00:00.", "1:2:3"]
    zones = ["", "Z", "+00", "+05:45", "-14:00", "+15", "+16:00", " UTC", "+0530", "z", "+05:60"]
    texts = {day + (sep + clock if clock else "") + zone for day in days for clock in clocks for sep in " T" for zone in zones}
    texts |= {clock + zone for clock in clocks for zone in zones}
    for kind in ("date", "time", "timestamp", "timestamptz"):
        with two(old, old) as (_, (b, url)):
            b.execute("SET TimeZone = 'UTC'")
            b.execute("CREATE FUNCTION pg_temp.reads(w text, kind text) RETURNS text LANGUAGE plpgsql AS "
                      "$$ DECLARE said text; BEGIN EXECUTE format('SELECT %L::' || kind, w) INTO said; RETURN said; EXCEPTION WHEN others THEN RETURN NULL; END $$")
            b.execute("CREATE TABLE things (id text PRIMARY KEY, value %s)" % kind)
            folder = from_sqlite(url, "TEXT", [(text, text) for text in texts], key="TEXT", more=", on_error: reject")
            folder.run("run", "--yes", "--until", "verify")
            wanted = dict(b.execute("SELECT w, pg_temp.reads(w, %s) FROM unnest(%s::text[]) w", (kind, list(texts))).fetchall())
            wanted = {text: said for text, said in wanted.items() if said is not None}
            found = dict(b.execute("SELECT id, value::text FROM things").fetchall())
            assert found == wanted, [(text, found.get(text), wanted.get(text)) for text in texts if found.get(text) != wanted.get(text)][:5]
            assert len(wanted) > 10
            folder.close()


def numbers_of_sqlite_are_exact(old, _):
    reals = [0.1, 79.19, -0.0, 1e20, 1e-7, 123456789.5, 1 / 3, 2.5, 1e300, 100.0, 0.07, -12.34]
    with two(old, old) as (_, (b, url)):
        b.execute("CREATE TABLE things (id bigint PRIMARY KEY, value numeric)")
        folder = from_sqlite(url, "REAL", list(enumerate(reals)))
        folder.run("run", "--yes", "--until", "verify")
        found = [float(value) for (value,) in b.execute("SELECT value FROM things ORDER BY id").fetchall()]
        assert found == reals, found
        folder.close()


class Busy:
    """An application that asks whom to write to in the transaction that writes, as the guide says."""

    def __init__(self, a_url, b_url, asks, first=0):
        self.urls, self.asks, self.first = (a_url, b_url), asks, first
        self.ended, self.written, self.failures = threading.Event(), [], []
        self.threads = [threading.Thread(target=self.write, args=(number,)) for number in range(4)]
        for thread in self.threads:
            thread.start()

    def write(self, writer):
        with psycopg.connect(self.urls[0]) as one, psycopg.connect(self.urls[1]) as other:
            for id in range(self.first + writer, 10 ** 9, 4):
                if self.ended.is_set():
                    return
                try:
                    [(on_new,)] = one.execute(self.asks).fetchall()
                    (other if on_new else one).execute("INSERT INTO things VALUES (%s, 'x')", (id,))
                    other.commit()
                    one.commit()
                    self.written.append(id)
                except psycopg.Error as failure:
                    self.failures.append(str(failure))
                    return

    def end(self):
        self.ended.set()
        for thread in self.threads:
            thread.join(20)
        assert not self.failures and len(self.written) > 100, (self.failures, len(self.written))


def with_a_switch(a, a_url, b_url):
    a.execute("CREATE TABLE flags (name text PRIMARY KEY, on_new boolean NOT NULL); INSERT INTO flags VALUES ('things', false)")
    a.execute("CREATE TABLE things (id bigint PRIMARY KEY, v text)")
    folder = Folder(a_url, b_url)
    (folder.path / "plan.yaml").write_text((folder.path / "plan.yaml").read_text() +
                                           "cutover: {max_hold: 800ms, switches: [{row: a/public.flags, key: {name: things}, set: {on_new: true}}]}\n")
    return folder


def nothing_is_lost(written, serves):
    there = {id for id, in serves.execute("SELECT id FROM things")}
    lost = [id for id in written if id not in there]
    assert not lost, "%d of %d writes are not on the side that serves: %s" % (len(lost), len(written), lost[:5])
    return there


ASKS = "SELECT on_new FROM flags WHERE name = 'things'"


def who_asked_before_the_switch_writes_after_it(old, new):
    """None of its writes is lost."""
    with two(old, new) as ((a, a_url), (b, b_url)):
        folder = with_a_switch(a, a_url, b_url)
        late = psycopg.connect(a_url)  # has asked, thinks, and writes when the switch is over
        busy = Busy(a_url, b_url, ASKS)
        time.sleep(0.3)
        assert late.execute(ASKS).fetchall() == [(False,)]

        def come_late():
            while not a.execute(ASKS).fetchall()[0][0]:
                time.sleep(0.05)
            time.sleep(1)
            late.execute("INSERT INTO things VALUES (-1, 'late')")
            late.commit()
        busy.threads.append(threading.Thread(target=come_late))
        busy.threads[-1].start()
        folder.run("run", "--yes")
        time.sleep(0.3)
        busy.end()
        late.close()
        there = nothing_is_lost(busy.written + [-1], b)
        folder.run("rollback", "--yes")
        back = {id for id, in a.execute("SELECT id FROM things")}
        assert back == there, (len(back), len(there))
        folder.close()


def who_asks_the_switch_keeps_it_until_he_has_written(old, new):
    """He waits for the table that is held with the switch's row in his hand: it is to be had before."""
    with two(old, new) as ((a, a_url), (b, b_url)):
        folder = with_a_switch(a, a_url, b_url)
        busy = Busy(a_url, b_url, ASKS + " FOR SHARE")
        time.sleep(0.3)
        folder.run("run", "--yes")
        time.sleep(0.3)
        busy.end()
        nothing_is_lost(busy.written, b)
        busy = Busy(a_url, b_url, ASKS + " FOR SHARE", first=10 ** 8)
        time.sleep(0.3)
        folder.run("rollback", "--yes")
        time.sleep(0.3)
        busy.end()
        nothing_is_lost(busy.written, a)
        folder.close()


TESTS = [every_type_passes_between_two_versions, a_type_that_would_round_is_no_place, each_row_that_differs_is_named, all_that_differ_in_one_database_are_named_too,
         keys_of_texts_may_be_in_another_order, keys_of_several_columns_and_other_names, what_is_there_already_is_no_obstacle,
         a_row_that_does_not_fit_is_named, unique_values_move_where_that_is_looked_at_last, a_unique_value_moves_through_a_whole_table,
         a_comparison_holds_no_whole_table, a_moment_is_not_rounded,
         what_another_server_may_refuse_is_read_before, texts_become_what_the_server_reads_in_them, numbers_of_sqlite_are_exact,
         who_asked_before_the_switch_writes_after_it, who_asks_the_switch_keeps_it_until_he_has_written]


def main():
    wanted, failed = sys.argv[1:], 0
    with postgresql() as old, postgresql(name="postgresql-18") as new:
        for test in TESTS:
            if wanted and test.__name__ not in wanted:
                continue
            try:
                test(old, new)
                print("ok     " + test.__name__, flush=True)
            except Exception as error:  # the others go on
                failed += 1
                line = error.__traceback__.tb_next.tb_lineno
                print("FAILED %s, line %d: %s: %s" % (test.__name__, line, type(error).__name__, error), flush=True)
    sys.exit(1 if failed else 0)


main()

"""Tables between two databases of PostgreSQL, and between PostgreSQL, SQLite and DynamoDB, live and back.

What is expected is asked of the databases with psycopg, sqlite3 and boto3. Runs under tools/servers/python, with
WHIMBREL naming the binary; with NAME... some of the tests.
"""
import contextlib
import json
import os
import pathlib
import shutil
import sqlite3
import subprocess
import sys
import tempfile

import psycopg

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "test" / "support"))
from servers import dynamodb_local, postgresql  # noqa: E402

BINARY = os.environ.get("WHIMBREL", str(ROOT / "build" / "whimbrel"))


class Folder:
    """A plan with its files, and whimbrel in it."""

    def __init__(self, plan, environment=None, **files):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="whimbrel-copies-"))
        self.environment = {**os.environ, **(environment or {})}
        self.write("plan.yaml", plan)
        for name, text in files.items():
            self.write(name.replace("_sql", ".sql").replace("_json", ".json"), text)

    def write(self, name, text):
        (self.path / name).write_text(text)

    def run(self, *words, code=0, plan="plan.yaml"):
        done = subprocess.run([BINARY, words[0], plan, *words[1:]], cwd=self.path, env=self.environment, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=300)
        assert done.returncode == code, "%s gave %d:\n%s%s" % (words, done.returncode, done.stdout[-3000:], done.stderr[-4000:])
        return done.stdout + done.stderr

    def lite(self, name):
        return sqlite3.connect(self.path / name, isolation_level=None)

    def close(self):
        shutil.rmtree(self.path, ignore_errors=True)


@contextlib.contextmanager
def databases(server, *names):
    """Empty ones on the server, each with a connection and its URL."""
    with contextlib.ExitStack() as stack:
        made = []
        for name in names:
            with psycopg.connect(server.url, autocommit=True) as db:
                db.execute('DROP DATABASE IF EXISTS "%s" WITH (FORCE)' % name)
                db.execute('CREATE DATABASE "%s"' % name)
            url = server.url.rsplit("/", 1)[0] + "/" + name
            made.append((stack.enter_context(psycopg.connect(url, autocommit=True)), url))
        yield made


PEOPLE = """
CREATE TABLE teams (id serial PRIMARY KEY, name text NOT NULL UNIQUE, feeling mood DEFAULT 'calm');
CREATE TABLE people (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, team integer REFERENCES teams(id) ON DELETE CASCADE,
   boss bigint CONSTRAINT "has a boss" REFERENCES people(id) DEFERRABLE INITIALLY DEFERRED, mail text, born date, tags text[] DEFAULT '{}',
   score numeric(10,2) CONSTRAINT fair CHECK (score >= 0), low text GENERATED ALWAYS AS (lower(mail)) STORED);
CREATE UNIQUE INDEX people_mail ON people (lower(mail));
CREATE INDEX people_team ON people (team) INCLUDE (mail) WHERE score > 1;
CREATE TABLE letters (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), person bigint NOT NULL REFERENCES people(id), body text, doc jsonb, at timestamptz DEFAULT now());
CREATE INDEX ON letters (person, at DESC);
CREATE TABLE counted (n smallserial, word text NOT NULL);
CREATE UNIQUE INDEX "by word" ON counted (word);
"""
ROWS = """
INSERT INTO teams (name) SELECT 't' || i FROM generate_series(1, 5) i;
INSERT INTO people (team, boss, mail, born, score) SELECT 1 + i % 5, CASE WHEN i > 3 THEN i / 2 END, 'P' || i || '@x', '2000-01-01'::date + i, i FROM generate_series(1, 300) i;
INSERT INTO letters (person, body, doc) SELECT 1 + i % 300, 'b' || i, jsonb_build_object('n', i) FROM generate_series(1, 1000) i;
INSERT INTO counted (word) SELECT 'w' || i FROM generate_series(1, 40) i;
"""
MOVE = """
whimbrel: 1
migration: move
stores: {a: "A", b: "B"}
tables:
%s
sync: capture
"""
TABLES = ("letters", "people", "teams", "counted")  # children first: their order must not matter
INDEXES = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1"
CONSTRAINTS = """SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), convalidated FROM pg_constraint
                 WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2"""
DEFAULTS = """SELECT a.attrelid::regclass::text, a.attname, a.attidentity, a.attgenerated, pg_get_expr(d.adbin, d.adrelid) FROM pg_attribute a
              LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum JOIN pg_class c ON c.oid = a.attrelid
              WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND a.attnum > 0 ORDER BY 1, 2"""
EVERYTHING = "SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1"


def as_plan(url_a, url_b, line="{from: a/%s, to: b/%s, create: like-source}", tables=TABLES):
    entries = "\n".join("  - " + line.replace("%s", table) for table in tables)
    return (MOVE % entries).replace('"A"', json.dumps(url_a)).replace('"B"', json.dumps(url_b))


def one_table(url_a, url_b, line, how):
    return 'whimbrel: 1\nmigration: one\nstores: {a: "%s", b: "%s"}\ntables: [%s]\n%s\n' % (url_a, url_b, line, how)


def use_both_sides(a, b, folder):
    """From the copy to the way back: rows that refer to each other come, change and go on the side that serves."""
    folder.run("run", "--yes", "--until", "follow")
    a.execute("INSERT INTO people (team, boss, mail, score) VALUES (2, 5, 'new@x', 3); INSERT INTO letters (person, body) SELECT max(id), 'z' FROM people;"
              "DELETE FROM letters WHERE person = 7; DELETE FROM letters WHERE person = 300; DELETE FROM people WHERE id = 300; DELETE FROM counted WHERE word = 'w3'")
    folder.run("run", "--yes")
    assert "0 differ" in folder.run("verify")
    assert b.execute("INSERT INTO teams (name) VALUES ('t6') RETURNING id").fetchone() == (6,)
    assert b.execute("INSERT INTO people (team, boss, mail) VALUES (6, 1, 'after@x') RETURNING id").fetchone() == (302,)
    assert b.execute("INSERT INTO counted (word) VALUES ('after') RETURNING n").fetchone() == (41,)
    b.execute("INSERT INTO letters (person, body) SELECT max(id), 'y' FROM people; INSERT INTO people (team, boss, mail) VALUES (6, 302, 'after2@x');"
              "UPDATE people SET boss = (SELECT max(id) FROM people) WHERE id = 2; UPDATE people SET team = 6 WHERE team = 5; DELETE FROM teams WHERE id = 5;"
              "DELETE FROM letters WHERE person = 299; DELETE FROM people WHERE id = 299")
    wanted = [b.execute("SELECT t::text FROM %s t ORDER BY 1" % table).fetchall() for table in TABLES]
    folder.run("rollback", "--yes")
    assert wanted == [a.execute("SELECT t::text FROM %s t ORDER BY 1" % table).fetchall() for table in TABLES]
    assert a.execute("INSERT INTO teams (name) VALUES ('next') RETURNING id").fetchone() == (7,)
    assert a.execute("INSERT INTO people (mail) VALUES ('next') RETURNING id").fetchone() == (304,)
    assert a.execute("INSERT INTO counted (word) VALUES ('next') RETURNING n").fetchone() == (42,)


def a_table_like_the_source_has_all_that_the_source_has(server):
    with databases(server, "one", "other") as ((a, url_a), (b, url_b)):
        folder = Folder(as_plan(url_a, url_b))
        a.execute("CREATE TYPE mood AS ENUM ('calm', 'windy')")
        a.execute(PEOPLE + ROWS)
        told = folder.run("check", code=2)
        assert 'type "public.mood" does not exist' in told and "by hand before" in told, told
        b.execute("CREATE TYPE mood AS ENUM ('calm', 'windy')")
        # Cut off and begun anew, nothing is made twice.
        folder.run("run", "--yes", "--until", "copy")
        folder.run("run", "--yes", "--until", "verify")
        for what in (INDEXES, CONSTRAINTS, DEFAULTS, EVERYTHING):
            assert a.execute(what).fetchall() == b.execute(what).fetchall(), (what, a.execute(what).fetchall(), b.execute(what).fetchall())
        folder.run("rollback", "--yes")
        assert [row for row in b.execute(EVERYTHING)] == []
        use_both_sides(a, b, folder)
        assert [row for row in b.execute(EVERYTHING)] == []
        # To the end: what the old side is dropped with does not take anything of the new one along.
        folder.run("run", "--yes")
        folder.run("finish", "--yes", "--no-backup")
        assert b.execute("INSERT INTO people (mail) VALUES ('end') RETURNING id").fetchone() == (305,)
        assert b.execute("SELECT count(*) FROM pg_namespace WHERE nspname = 'whimbrel'").fetchone() == (0,)
        folder.close()


def nothing_is_noted_before_a_window(server):
    with databases(server, "one", "other") as ((a, url_a), (b, url_b)):
        folder = Folder(as_plan(url_a, url_b).replace("sync: capture", "sync: none\ncutover: {window: {max: 20s}}"))
        for db in (a, b):
            db.execute("CREATE TYPE mood AS ENUM ('calm', 'windy')")
        a.execute(PEOPLE + ROWS)
        folder.run("run", "--yes", "--until", "copy")
        assert a.execute("SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'whimbrel%'").fetchone() == (0,)
        use_both_sides(a, b, folder)
        assert [row for row in b.execute(EVERYTHING)] == []
        folder.close()


def files_may_refer_to_each_other(server):
    with databases(server, "one", "other") as ((a, url_a), (b, url_b)):
        parts = dict(zip(("teams", "people", "letters", "counted"), PEOPLE.split("CREATE TABLE ")[1:]))
        files = {table + "_sql": "CREATE TABLE " + text for table, text in parts.items()}
        folder = Folder(as_plan(url_a, url_b, "{from: a/%s, to: b/%s, create: %s.sql}", ("teams", "people", "letters", "counted")), **files)
        for db in (a, b):
            db.execute("CREATE TYPE mood AS ENUM ('calm', 'windy')")
        a.execute(PEOPLE + ROWS)
        folder.run("run", "--yes", "--until", "verify")
        for what in (INDEXES, CONSTRAINTS, DEFAULTS, EVERYTHING):
            assert a.execute(what).fetchall() == b.execute(what).fetchall(), (what, a.execute(what).fetchall(), b.execute(what).fetchall())
        folder.run("rollback", "--yes")
        use_both_sides(a, b, folder)
        folder.close()


def tables_that_refer_to_each_other_are_begun_by_init(server):
    """Neither file can be read by itself."""
    with databases(server, "ring_a", "ring_b") as ((a, url_a), (b, url_b)):
        a.execute("CREATE TABLE teams (id int PRIMARY KEY, lead int); CREATE TABLE members (id int PRIMARY KEY, team int NOT NULL REFERENCES teams);"
                  "ALTER TABLE teams ADD CONSTRAINT led_by FOREIGN KEY (lead) REFERENCES members ON DELETE SET NULL; CREATE TABLE posts (id int PRIMARY KEY, member int REFERENCES members)")
        a.execute("INSERT INTO teams VALUES (1, NULL); INSERT INTO members VALUES (1, 1), (2, 1); UPDATE teams SET lead = 2; INSERT INTO posts VALUES (1, 2)")
        folder = Folder("", {"OLD_URL": url_a, "NEW_URL": url_b})
        done = subprocess.run([BINARY, "init", url_a, url_b, "--output", "ring.yaml"], cwd=folder.path, env=folder.environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        folder.run("check", plan="ring.yaml")
        folder.run("run", "--yes", plan="ring.yaml")
        keys = "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'f' ORDER BY 1, 2"
        assert b.execute(keys).fetchall() == a.execute(keys).fetchall()
        for table in ("teams", "members", "posts"):
            rows = "SELECT * FROM %s ORDER BY 1" % table
            assert b.execute(rows).fetchall() == a.execute(rows).fetchall(), table
        folder.run("rollback", "--yes", plan="ring.yaml")
        folder.close()


def tables_that_are_there_keep_their_foreign_keys(server):
    with databases(server, "one", "other") as ((a, url_a), (b, url_b)):
        folder = Folder(as_plan(url_a, url_b, "{from: a/%s, to: b/%s}"))
        for db in (a, b):
            db.execute("CREATE TYPE mood AS ENUM ('calm', 'windy')")
            db.execute(PEOPLE)
        a.execute(ROWS)
        before = b.execute(CONSTRAINTS).fetchall()
        use_both_sides(a, b, folder)
        assert before == b.execute(CONSTRAINTS).fetchall()
        assert b.execute("SELECT (SELECT count(*) FROM teams), (SELECT count(*) FROM people), (SELECT count(*) FROM letters)").fetchone() == (0, 0, 0)
        assert b.execute("INSERT INTO teams (name) VALUES ('first') RETURNING id").fetchone() == (1,)
        folder.close()


def a_role_that_may_not_is_told_what_it_needs(server):
    with databases(server, "one", "other") as ((a, url_a), (b, url_b)):
        for db in (a, b):
            db.execute("CREATE TYPE mood AS ENUM ('calm', 'windy')")
        a.execute(PEOPLE + ROWS)
        b.execute("DO $$ BEGIN CREATE ROLE plain LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;"
                  "GRANT CREATE ON DATABASE other TO plain; GRANT ALL ON SCHEMA public TO plain; SET ROLE plain")
        b.execute(PEOPLE)
        folder = Folder(as_plan(url_a, url_b.replace("//postgres@", "//plain@"), "{from: a/%s, to: b/%s}"))
        told = folder.run("run", "--yes", code=3)
        assert "GRANT SET ON PARAMETER session_replication_role" in told, told
        b.execute("RESET ROLE; GRANT SET ON PARAMETER session_replication_role TO plain")
        folder.run("run", "--yes")
        folder.run("rollback", "--yes")
        folder.close()


STAMP = "CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.v := 'stamped'; RETURN NEW; END $$;"


def what_would_stand_in_the_way_of_rows_is_met_by_the_analysis(server):
    """Foreign keys and triggers, on either side, there or on the way back, for a role that cannot set them aside."""
    before = STAMP + "CREATE TRIGGER stamps BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION stamp();"
    after = STAMP + "CREATE TRIGGER stamps AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION stamp();"
    always = "ALTER TABLE t ENABLE ALWAYS TRIGGER stamps;"
    table = "CREATE TABLE t (id int PRIMARY KEY, v text);"
    for more, plain, superuser, word in (
            ("CREATE TABLE outside (id int PRIMARY KEY, t int REFERENCES t);", 3, 0, "in an order of their own"),
            (before, 3, 0, "the trigger stamps"), (after, 3, 0, "the trigger stamps"),
            (before + always, 3, 3, "ENABLE TRIGGER"), (after + always, 0, 0, "ENABLE TRIGGER"),
            (before + "ALTER TABLE t DISABLE TRIGGER stamps;", 0, 0, "")):
        for side in (0, 1):
            for role, code in (("plain", plain), ("postgres", superuser)):
                with databases(server, "one", "other") as ((a, url_a), (b, url_b)):
                    for db, name in ((a, "one"), (b, "other")):
                        db.execute("DO $$ BEGIN CREATE ROLE plain LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;"
                                   "REVOKE SET ON PARAMETER session_replication_role FROM plain;"
                                   "GRANT CREATE ON DATABASE %s TO plain; GRANT ALL ON SCHEMA public TO plain; SET ROLE plain" % name)
                        db.execute(table)
                    a.execute("INSERT INTO t VALUES (1, 'a'), (2, 'b')")
                    (a, b)[side].execute(more)
                    urls = [url.replace("//postgres@", "//%s@" % role) for url in (url_a, url_b)]
                    folder = Folder(as_plan(*urls, "{from: a/%s, to: b/%s, create: exists}", tables=["t"]))
                    told = folder.run("analyze", code=code)
                    is_told = code != 0 or "ALWAYS" in more
                    assert not is_told or word in told, (word, role, told)
                    if code:
                        folder.run("run", "--yes", code=3)
                    else:
                        folder.run("run", "--yes")
                        assert b.execute("SELECT v FROM t ORDER BY id").fetchall() == [("a",), ("b",)]
                        if side == 1:
                            b.execute("ALTER TABLE t DISABLE TRIGGER USER")
                        b.execute("UPDATE t SET v = 'new' WHERE id = 1")
                        folder.run("rollback", "--yes")
                        assert a.execute("SELECT v FROM t ORDER BY id").fetchall() == [("new",), ("b",)]
                    folder.close()


def a_trigger_that_comes_under_way_is_a_warning(server):
    with databases(server, "one", "other") as ((a, url_a), (b, url_b)):
        a.execute("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a')")
        folder = Folder(as_plan(url_a, url_b, tables=["t"]))
        folder.run("run", "--yes")
        b.execute(STAMP +
                  "CREATE TRIGGER stamps BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION stamp(); ALTER TABLE t ENABLE ALWAYS TRIGGER stamps")
        assert "the next attempt would be refused" in folder.run("analyze")
        b.execute("UPDATE t SET v = 'new'")
        folder.run("rollback", "--yes")
        assert a.execute("SELECT v FROM t").fetchall() == [("stamped",)]
        folder.close()


def a_trigger_of_a_partition_is_one_of_the_table(server):
    with databases(server, "one", "other") as ((a, url_a), (b, url_b)):
        a.execute("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a')")
        b.execute("CREATE TABLE t (id int PRIMARY KEY, v text) PARTITION BY RANGE (id); CREATE TABLE t_1 PARTITION OF t DEFAULT;"
                  + STAMP +
                  "CREATE TRIGGER stamps BEFORE INSERT ON t_1 FOR EACH ROW EXECUTE FUNCTION stamp(); ALTER TABLE t_1 ENABLE ALWAYS TRIGGER stamps")
        folder = Folder(as_plan(url_a, url_b, "{from: a/%s, to: b/%s, create: exists}", tables=["t"]))
        assert "the trigger stamps" in folder.run("analyze", code=3)
        b.execute("ALTER TABLE t_1 DISABLE TRIGGER stamps")
        folder.run("run", "--yes")
        folder.close()


def tables_that_inherit_lose_nothing(server):
    with databases(server, "one", "other") as ((a, url_a), (_, url_b)):
        a.execute("CREATE TABLE base (id int PRIMARY KEY, v text); CREATE TABLE heir (extra text, PRIMARY KEY (id)) INHERITS (base); INSERT INTO heir VALUES (1, 'v', 'e')")
        folder = Folder(as_plan(url_a, url_b, tables=["base"]))
        told = folder.run("run", "--yes", code=3)
        assert "lose their own columns" in told and "NO INHERIT" in told, told
        a.execute("ALTER TABLE heir NO INHERIT base")
        folder.run("run", "--yes")
        folder.close()


def an_old_table_that_others_hang_on_ends_no_finish_midway(server):
    with databases(server, "one", "other") as ((a, url_a), (b, url_b)):
        a.execute("CREATE TABLE t (id int PRIMARY KEY); CREATE VIEW upon AS SELECT id FROM t; INSERT INTO t VALUES (1)")
        folder = Folder(as_plan(url_a, url_b, tables=["t"]) + "finish: {keep_source: false, after: 0s}\n")
        folder.run("run", "--yes")
        told = folder.run("finish", "--yes", "--no-backup", code=3)
        assert "upon depends on table" in told and "the way back is open" in told, told
        b.execute("INSERT INTO t VALUES (2)")
        folder.run("rollback", "--yes")
        assert a.execute("SELECT count(*) FROM upon").fetchone() == (2,)
        folder.run("run", "--yes")
        a.execute("DROP VIEW upon")
        folder.run("finish", "--yes", "--no-backup")
        assert a.execute("SELECT to_regclass('t')").fetchone() == (None,)
        folder.close()


def noughts_behind_the_point_are_no_digits(server):
    one_way_and_back(server, "CREATE TABLE t (id int PRIMARY KEY, n numeric(3,5)); INSERT INTO t VALUES (1, 0.00123), (2, 0), (3, -0.00999)", ["t"],
                     "UPDATE t SET n = 0.00001 WHERE id = 2", ["UPDATE t SET n = 0.00100 WHERE id = 3 RETURNING id"], [(3,)])


# Names that need quotes or are as long as may be, keys of two columns, a sequence of its own for nobody, partitions.
LONG = "a" * 63
ODD = r'''
CREATE SCHEMA "We ird";
CREATE SEQUENCE shared START 100;
CREATE TABLE "We ird"."Ta.b""x" ("a b" int, "c""d" text, n int DEFAULT nextval('shared'), "100%" text DEFAULT 'it''s %', PRIMARY KEY ("a b", "c""d"));
CREATE UNIQUE INDEX "odd index" ON "We ird"."Ta.b""x" (lower("100%"), n) WHERE n > 0;
CREATE TABLE "We ird".child (id bigint GENERATED ALWAYS AS IDENTITY (START WITH 1000 INCREMENT BY 5) PRIMARY KEY, x int, y text, up bigint REFERENCES "We ird".child ON DELETE SET NULL,
  CONSTRAINT "odd fk" FOREIGN KEY (x, y) REFERENCES "We ird"."Ta.b""x" MATCH FULL ON UPDATE CASCADE ON DELETE SET DEFAULT);
CREATE TABLE deferred (id int PRIMARY KEY, place int UNIQUE DEFERRABLE INITIALLY DEFERRED, word varchar(3) COLLATE "C");
CREATE TABLE fast (id serial PRIMARY KEY, at date NOT NULL DEFAULT now(), r int4range, EXCLUDE USING gist (r WITH &&));
CREATE TABLE parts (id int, day date, v text, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE parts_2 PARTITION OF parts DEFAULT;
CREATE TABLE LONG (id serial PRIMARY KEY, bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb int REFERENCES fast);
CREATE INDEX ON LONG (bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb);
INSERT INTO "We ird"."Ta.b""x" ("a b", "c""d", "100%") SELECT i, 'k' || i, 'v%' || i FROM generate_series(1, 50) i;
INSERT INTO "We ird".child (x, y) SELECT i, 'k' || i FROM generate_series(1, 50) i; UPDATE "We ird".child SET up = 1000;
INSERT INTO deferred SELECT i, i, 'w' || i % 9 FROM generate_series(1, 50) i;
INSERT INTO fast (r) SELECT int4range(i, i + 1) FROM generate_series(1, 50) i;
INSERT INTO parts SELECT i, '2020-12-20'::date + i, 'p' || i FROM generate_series(1, 50) i;
INSERT INTO LONG (bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb) SELECT i FROM generate_series(1, 50) i;
'''.replace("LONG", LONG)
ODD_TABLES = ['"We ird"."Ta.b""x"', '"We ird".child', "deferred", "fast", "parts", LONG]


def odd_tables_are_made_like_the_source_and_come_back(server):
    def rows(db):
        return {table: db.execute("SELECT x::text FROM %s x ORDER BY 1" % table).fetchall() for table in ODD_TABLES}
    indexes = "SELECT indexdef FROM pg_indexes WHERE schemaname IN ('public', 'We ird') AND tablename NOT LIKE 'parts%' ORDER BY 1"
    keys = "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), convalidated FROM pg_constraint WHERE contype IN ('f', 'x', 'u') ORDER BY 1, 2"
    with databases(server, "one", "other") as ((a, url_a), (b, url_b)):
        a.execute(ODD)
        b.execute('CREATE SCHEMA "We ird"; CREATE SEQUENCE shared START 100')
        lines = "\n".join("  - {from: %s, to: %s, create: like-source}" % (json.dumps("a/" + one), json.dumps("b/" + one)) for one in ODD_TABLES)
        folder = Folder((MOVE % lines).replace('"A"', json.dumps(url_a)).replace('"B"', json.dumps(url_b)))
        folder.run("run", "--yes", "--until", "copy")
        folder.run("run", "--yes", "--until", "follow")
        a.execute("""UPDATE "We ird"."Ta.b""x" SET "a b" = "a b" + 1000 WHERE "a b" < 10; DELETE FROM "We ird".child WHERE id = 1000; UPDATE deferred SET place = 51 - place;
                     DELETE FROM parts WHERE id = 3; UPDATE parts SET day = '2020-02-02' WHERE id = 40; UPDATE fast SET r = int4range(lower(r) + 100, lower(r) + 101)""")
        folder.run("run", "--yes")
        assert rows(a) == rows(b)
        for what in (indexes, keys):
            assert a.execute(what).fetchall() == b.execute(what).fetchall(), what
        assert b.execute("INSERT INTO \"We ird\".child (x, y) VALUES (20, 'k20') RETURNING id").fetchone() == (1250,)
        b.execute("""INSERT INTO fast (r) VALUES ('[9000,9001)'); UPDATE "We ird"."Ta.b""x" SET "a b" = "a b" - 1000 WHERE "a b" > 1000;
                     UPDATE deferred SET place = 51 - place; DELETE FROM parts WHERE id = 4""")
        wanted = rows(b)
        folder.run("rollback", "--yes")
        assert rows(a) == wanted
        assert b.execute("SELECT relname FROM pg_class c WHERE relkind IN ('r', 'S') AND relnamespace::regnamespace::text IN ('public', '\"We ird\"', 'whimbrel')").fetchall() == [("shared",)]
        # Beside the old ones, under other names: what refers to a table that moves refers to the new one.
        names = {'"We ird"."Ta.b""x"': '"We ird"."new t"', '"We ird".child': '"We ird".child2', "fast": "faster", "deferred": "later"}
        lines = "\n".join("  - {from: %s, to: %s, create: like-source}" % (json.dumps("a/" + one), json.dumps("a/" + other)) for one, other in names.items())
        beside = Folder((MOVE % lines).replace('"A"', json.dumps(url_a)).replace('"B"', json.dumps(url_b)))
        beside.run("run", "--yes")
        made = [row for (row,) in a.execute("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'f' AND conrelid = '\"We ird\".child2'::regclass ORDER BY conname")]
        assert made[0].startswith('FOREIGN KEY (up) REFERENCES "We ird".child2(id)') and made[1].startswith('FOREIGN KEY (x, y) REFERENCES "We ird"."new t"('), made
        assert a.execute("INSERT INTO faster (r) VALUES ('[9500,9501)') RETURNING id").fetchone() == (52,)
        for one in (folder, beside):
            one.close()


def one_way_and_back(server, ddl, tables, on_old, on_new, wanted=None, more=None):
    """Copied, changed on the old side while it is followed, switched, changed on the new side, rolled back: equal each time."""
    with databases(server, "one", "other") as ((a, url_a), (b, url_b)):
        a.execute(ddl)
        for statement in more or ():
            b.execute(statement)
        folder = Folder(as_plan(url_a, url_b, tables=tables))

        def rows(db):
            return {table: db.execute("SELECT x::text FROM %s x ORDER BY 1" % table).fetchall() for table in tables}
        folder.run("run", "--yes", "--until", "follow")
        a.execute(on_old)
        folder.run("run", "--yes")
        assert rows(a) == rows(b), (rows(a), rows(b))
        answer = [b.execute(statement).fetchone() for statement in on_new]
        assert wanted is None or answer == wanted, answer
        there = rows(b)
        folder.run("rollback", "--yes")
        assert rows(a) == there, (rows(a), there)
        folder.close()


def each_column_goes_on_behind_its_own_numbers(server):
    new = "INSERT INTO t (v) VALUES ('new') RETURNING "
    for column, made, wanted in (
            ("id bigserial PRIMARY KEY, n smallserial", "INSERT INTO t (v) SELECT 'x' FROM generate_series(1, 5); SELECT setval('t_id_seq', 100000)", (100001, 6)),
            ("id int GENERATED ALWAYS AS IDENTITY (INCREMENT BY -1) PRIMARY KEY, n int", "INSERT INTO t (v) SELECT 'x' FROM generate_series(1, 5)", (-6, None)),
            ("id int GENERATED BY DEFAULT AS IDENTITY (START -2147483648 MINVALUE -2147483648) PRIMARY KEY, n int", "INSERT INTO t (v) VALUES ('x')", (-2147483647, None)),
            ("id serial PRIMARY KEY, n int", "ALTER SEQUENCE t_id_seq INCREMENT BY 10; INSERT INTO t (v) SELECT 'x' FROM generate_series(1, 5)", (51, None)),
            ("id int GENERATED BY DEFAULT AS IDENTITY (INCREMENT BY 2) PRIMARY KEY, n int", "INSERT INTO t (v) VALUES ('x'); INSERT INTO t VALUES (20, NULL, 'even')", (23, None)),
            ("id int PRIMARY KEY DEFAULT nextval('s'), n int", "INSERT INTO t (v) SELECT 'x' FROM generate_series(1, 5)", (6, None))):
        one_way_and_back(server, "CREATE SEQUENCE s; CREATE TABLE t (%s, v text); %s" % (column, made), ("t",), "SELECT 1", [new + "id, n"], [wanted], ["CREATE SEQUENCE s"])


def keys_that_are_kept_otherwise_keep_nothing_from_moving(server):
    """A parent and a child, children first, whose keys are deferrable; values that move between rows under any kind of unique index."""
    one_way_and_back(server, "CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE c (id int PRIMARY KEY, p int REFERENCES p, place int UNIQUE DEFERRABLE INITIALLY DEFERRED);"
                     "INSERT INTO p VALUES (1); INSERT INTO c VALUES (1, 1, 1)", ("c", "p"), "INSERT INTO p VALUES (2); INSERT INTO c VALUES (2, 2, 2)",
                     ["INSERT INTO p VALUES (3) RETURNING 1", "INSERT INTO c VALUES (3, 3, 3) RETURNING 1", "UPDATE c SET place = 4 - place WHERE place <> 2 RETURNING 1"])
    for column in ("v text, UNIQUE (v) DEFERRABLE INITIALLY DEFERRED", "v text, low text GENERATED ALWAYS AS (lower(v)) STORED UNIQUE", "v citext UNIQUE", "v text UNIQUE"):
        turn = ("UPDATE t SET v = 'tmp' WHERE id = 1; UPDATE t SET v = 'V1' WHERE id = 1999; UPDATE t SET v = 'v1999' WHERE id = 1;"
                "UPDATE t SET v = 'tmp' WHERE id = 2; UPDATE t SET v = 'V2' WHERE id = 1000; UPDATE t SET v = 'v1000' WHERE id = 2; UPDATE t SET note = 'x'")
        one_way_and_back(server, "CREATE EXTENSION citext; CREATE TABLE t (id int PRIMARY KEY, note text, %s); INSERT INTO t (id, v) SELECT i, 'v' || i FROM generate_series(1, 2000) i" % column, ("t",),
                         turn, ["UPDATE t SET v = 'tmp' WHERE id = 1 RETURNING 1", "UPDATE t SET v = 'v1999' WHERE id = 1999 RETURNING 1", "UPDATE t SET v = 'v1' WHERE id = 1 RETURNING 1"],
                         None, ["CREATE EXTENSION citext"])


def names_need_no_schema(server):
    """Neither in `{name}`, nor later, when the journal knows the tables by all of their names."""
    for names in ('["*", "!other.*"]', "[users, public.pets]", '["public.*"]'):
        with databases(server, "one", "other") as ((a, url_a), (b, url_b)):
            a.execute("CREATE TABLE users (id int PRIMARY KEY); CREATE TABLE pets (id int PRIMARY KEY); INSERT INTO users VALUES (1); INSERT INTO pets VALUES (1);"
                      "CREATE SCHEMA other; CREATE TABLE other.third (id int PRIMARY KEY)")
            line = '  - {from: "a/{name}", to: "b/{name}_new", create: like-source, names: %s}' % names
            folder = Folder((MOVE % line).replace('"A"', json.dumps(url_a)).replace('"B"', json.dumps(url_b)))
            folder.run("run", "--yes", "--until", "copy")
            a.execute("INSERT INTO users VALUES (77)")
            folder.run("run", "--yes")
            assert "3 rows" in folder.run("verify")
            b.execute("INSERT INTO pets_new VALUES (5)")
            folder.run("rollback", "--yes")
            assert [row for row, in a.execute("SELECT id FROM pets ORDER BY 1")] == [1, 5]
            assert b.execute(EVERYTHING).fetchall() == []
            folder.close()


def references_need_no_schema(server):
    tables = """CREATE TABLE par (id uuid PRIMARY KEY, n text); CREATE TABLE kid (id uuid PRIMARY KEY, p uuid REFERENCES par (id), q text);
      CREATE TABLE "Odd-Ones" (id uuid PRIMARY KEY, p uuid);"""
    old = "00000000-0000-0000-0000-00000000000%d"
    plan = """
whimbrel: 1
migration: move
stores: {a: "A", b: "B"}
ids: {column: id, format: uuid, from: [name, id, prod]}
references: {kid: {q: par}, Odd-Ones: {p: par}}
verify: {references: true}
sync: none
tables:
%s"""
    lines = ('  - {from: "a/{name}", to: "b/{name}", create: exists, names: ["*"]}\n',
             '  - {from: "a/public.{name}", to: "b/public.{name}", create: exists, names: ["*"]}\n',
             '  - {from: "a/{name}", to: "b/{name}", create: like-source, names: ["*"]}\n')
    for line in lines:
        with databases(server, "whimbrel_a", "whimbrel_b") as ((a, url_a), (b, url_b)):
            a.execute(tables)
            if "exists" in line:
                b.execute(tables)
            a.execute("INSERT INTO par VALUES (%s, 'x')", (old % 1,))
            a.execute("INSERT INTO kid VALUES (%s, %s, %s)", (old % 2, old % 1, old % 1))
            a.execute('INSERT INTO "Odd-Ones" VALUES (%s, %s)', (old % 3, old % 1))
            with contextlib.closing(Folder(plan.replace('"A"', '"%s"' % url_a).replace('"B"', '"%s"' % url_b) % line)) as folder:
                folder.run("run", "--yes")
                [(new,)] = b.execute("SELECT id FROM par").fetchall()
                assert str(new) != old % 1
                assert b.execute("SELECT p, q FROM kid").fetchall() == [(new, str(new))], line
                assert b.execute('SELECT p FROM "Odd-Ones"').fetchall() == [(new,)], line
                assert b.execute("SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND NOT convalidated").fetchone() == (0,), line
                told = folder.run("verify")
                assert "kid: 2 references looked up" in told and "1 reference looked up" in told, told


def tables_of_one_name_are_told_apart_by_their_schemas(server):
    with databases(server, "one", "other") as ((a, url_a), (b, url_b)):
        tables = "CREATE SCHEMA s1; CREATE SCHEMA s2; CREATE TABLE s1.p (id int PRIMARY KEY); CREATE TABLE s2.p (id int PRIMARY KEY); CREATE TABLE s2.c (id int PRIMARY KEY, p int REFERENCES s2.p);"
        a.execute(tables + "INSERT INTO s1.p VALUES (1), (2); INSERT INTO s2.p VALUES (1); INSERT INTO s2.c VALUES (1, 1);"
                  "CREATE SCHEMA eu; CREATE SCHEMA us; CREATE TABLE eu.o (id int PRIMARY KEY, v int); CREATE TABLE us.o (id int PRIMARY KEY, v int);"
                  "CREATE INDEX by_v ON eu.o (v); CREATE UNIQUE INDEX by_v ON us.o (v)")
        b.execute("CREATE SCHEMA s1; CREATE SCHEMA s2")
        lines = "".join("  - {from: a/%s, to: b/%s, create: %s.sql}\n" % (one, one, one.replace(".", "_")) for one in ("s2.c", "s1.p", "s2.p"))
        lines += "  - {from: a/eu.o, to: b/o_eu, create: like-source, indexes: after}\n  - {from: a/us.o, to: b/o_us, create: like-source, indexes: after}"
        folder = Folder((MOVE % lines).replace('"A"', json.dumps(url_a)).replace('"B"', json.dumps(url_b)), s1_p_sql="CREATE TABLE s1.p (id int PRIMARY KEY)",
                        s2_p_sql="CREATE TABLE s2.p (id int PRIMARY KEY)", s2_c_sql="CREATE TABLE s2.c (id int PRIMARY KEY, p int REFERENCES s2.p)")
        folder.run("run", "--yes")
        assert b.execute("SELECT pg_get_constraintdef(oid), convalidated FROM pg_constraint WHERE contype = 'f'").fetchall() == [("FOREIGN KEY (p) REFERENCES s2.p(id)", True)]
        assert b.execute("SELECT indisunique FROM pg_index WHERE indrelid = 'o_us'::regclass AND NOT indisprimary").fetchall() == [(True,)]
        folder.run("rollback", "--yes")
        folder.close()


def an_archive_is_found_again_in_its_schema(server):
    with databases(server, "one", "other") as ((a, url_a), (b, url_b)):
        a.execute("CREATE SCHEMA app; CREATE TABLE app.orders (id int PRIMARY KEY); INSERT INTO app.orders VALUES (1), (2)")
        b.execute("CREATE SCHEMA app")
        plan = as_plan(url_a, url_b, "{from: a/app.%s, to: b/app.%s, create: like-source}", ("orders",))
        folder = Folder(plan + 'finish: {after: 0s, rename_source_to: "Orders old", drop_after: 0s}\n')
        old_tables = lambda: [name for name, in a.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'app'")]  # noqa: E731
        a.execute('CREATE TABLE app."Orders old" ()')
        assert "the name is taken" in folder.run("check", code=2)
        a.execute('DROP TABLE app."Orders old"')
        folder.run("run", "--yes")
        folder.run("finish", "--yes")
        assert old_tables() == ["Orders old"], old_tables()
        b.execute("INSERT INTO app.orders VALUES (3)")
        folder.run("rollback", "--yes")
        assert old_tables() == ["orders"], old_tables()
        assert a.execute("SELECT count(*) FROM app.orders").fetchone() == (3,)
        folder.run("run", "--yes")
        folder.run("finish", "--yes")
        folder.run("finish", "--yes")  # what is left of it goes
        assert old_tables() == [], old_tables()
        folder.close()


# The key's type in PostgreSQL and in SQLite, and an expression that makes one of a number.
KEYS = {
    "uuid": ("TEXT", "('00000000-0000-4000-8000-00000000000' || i)::uuid"), "date": ("TEXT", "'2020-01-01'::date + i"),
    "timestamptz": ("TEXT", "'2020-01-01 00:00:00.5+00'::timestamptz + i * interval '1 day'"), "timestamp": ("DATETIME", "'2020-01-01'::timestamp + i * interval '1 hour'"),
    "numeric(9,1)": ("NUMERIC", "i + 0.5"), "varchar(5)": ("TEXT", "'k' || i"), "char(4)": ("TEXT", "'c' || i"), "bytea": ("BLOB", "decode('0' || i, 'hex')"),
    "double precision": ("REAL", "i + 0.1"), "smallint": ("INTEGER", "i"), "time": ("TEXT", "'10:00'::time + i * interval '1 minute'"), "inet": ("TEXT", "('10.0.0.' || i)::inet"),
    "int[]": ("TEXT", "ARRAY[i, i + 1]"),
}


def any_type_is_a_key_in_sqlite_as_well(server):
    for kind, (lite, key) in KEYS.items():
        with databases(server, "one") as ((a, url),):
            a.execute("CREATE TABLE t (k %s PRIMARY KEY, v text); INSERT INTO t SELECT %s, 'v' || i FROM generate_series(1, 9) i" % (kind, key))
            folder = Folder(as_plan(url, "sqlite:new.db", "{from: a/%s, to: b/%s, create: t.sql}", ("t",)), t_sql="CREATE TABLE t (k %s PRIMARY KEY NOT NULL, v TEXT);" % lite)
            with contextlib.closing(folder.lite("new.db")) as new:
                folder.run("run", "--yes", "--until", "follow")
                a.execute("UPDATE t SET v = 'live' WHERE v = 'v1'; DELETE FROM t WHERE v = 'v3'; UPDATE t SET k = (SELECT %s FROM (VALUES (0)) z(i)) WHERE v = 'v4'" % key)
                folder.run("run", "--yes")
                assert sorted(new.execute("SELECT v FROM t")) == [("live",), ("v2",)] + [("v%d" % i,) for i in range(4, 10)], kind
                new.execute("UPDATE t SET v = 'back' WHERE v = 'v2'")
                new.execute("DELETE FROM t WHERE v = 'v5'")
                assert "0 differ" in folder.run("verify"), kind
                folder.run("rollback", "--yes")
            wanted = a.execute("SELECT x::text FROM (SELECT (%s)::%s, CASE i WHEN 0 THEN 'v4' WHEN 1 THEN 'live' WHEN 2 THEN 'back' ELSE 'v' || i END FROM generate_series(0, 9) i "
                               "WHERE i NOT IN (3, 4, 5)) x ORDER BY 1" % (key, kind)).fetchall()
            assert wanted == a.execute("SELECT t::text FROM t ORDER BY 1").fetchall(), kind
            folder.close()


# A festival: the tables with their types in SQLite and PostgreSQL, the key, and what DynamoDB takes the key for.
FESTIVAL = {
    "stages": ("id INTEGER {PK}, name TEXT UNIQUE NOT NULL, capacity INTEGER, roofed {BOOLEAN}", {"id": "N"}),
    "bands": ("id {UUID} PRIMARY KEY NOT NULL, name TEXT NOT NULL, founded {DATE}, about {JSON}, fee {MONEY}", {"id": "S"}),
    "members": ("band {UUID} NOT NULL REFERENCES bands(id), number INTEGER NOT NULL, name TEXT, PRIMARY KEY (band, number)", {"band": "S", "number": "N"}),
    "gigs": ("id INTEGER {PK}, band {UUID} NOT NULL REFERENCES bands(id), stage INTEGER NOT NULL REFERENCES stages(id), starts {MOMENT} NOT NULL, minutes INTEGER", {"id": "N"}),
    "visitors": ("id INTEGER {PK}, mail TEXT NOT NULL UNIQUE, born {DATE}, photo {BYTES}", {"id": "N"}),
    "tickets": ("code TEXT PRIMARY KEY NOT NULL, visitor INTEGER NOT NULL REFERENCES visitors(id), price {REAL}, paid {BOOLEAN} NOT NULL, sold {MOMENT}", {"code": "S"}),
    "ratings": ("visitor INTEGER NOT NULL REFERENCES visitors(id), gig INTEGER NOT NULL REFERENCES gigs(id), stars INTEGER, words TEXT, PRIMARY KEY (visitor, gig)", {"visitor": "N", "gig": "N"}),
    "crews": ("id INTEGER {PK}, name TEXT, boss INTEGER REFERENCES crews(id)", {"id": "N"}),
    "shifts": ("crew INTEGER NOT NULL REFERENCES crews(id), day {DATE} NOT NULL, begins {TIME}, PRIMARY KEY (crew, day)", {"crew": "N", "day": "S"}),
    "settings": ("name TEXT PRIMARY KEY NOT NULL, setting TEXT", {"name": "S"}),
}
IN_SQLITE = {"PK": "PRIMARY KEY AUTOINCREMENT", "BOOLEAN": "INTEGER", "UUID": "TEXT", "DATE": "TEXT", "JSON": "TEXT", "MONEY": "NUMERIC", "MOMENT": "TEXT", "BYTES": "BLOB",
             "REAL": "REAL", "TIME": "TEXT"}
IN_POSTGRESQL = {"PK": "GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY", "BOOLEAN": "boolean", "UUID": "uuid", "DATE": "date", "JSON": "jsonb", "MONEY": "numeric(10,2)",
                 "MOMENT": "timestamptz", "BYTES": "bytea", "REAL": "double precision", "TIME": "time"}


def festival(types):
    return {table: "CREATE TABLE %s (%s);" % (table, text.format(**types)) for table, (text, _) in FESTIVAL.items()}


def as_item_table(keys):
    return json.dumps({"AttributeDefinitions": [{"AttributeName": name, "AttributeType": kind} for name, kind in keys.items()],
                       "KeySchema": [{"AttributeName": name, "KeyType": kind} for name, kind in zip(keys, ("HASH", "RANGE"))], "BillingMode": "PAY_PER_REQUEST"})


def fill(db):
    uuid = "00000000-0000-4000-8000-%012d"
    moment = "2026-0%d-1%d 1%d:30:00+00:00"
    db.executemany("INSERT INTO stages VALUES (?, ?, ?, ?)", [(i, "Stage %d" % i, i * 1000, i % 2) for i in range(1, 8)])
    db.executemany("INSERT INTO bands VALUES (?, ?, ?, ?, ?)", [(uuid % i, "Bänd %d ☃" % i, "19%02d-02-03" % i if i % 3 else None, '{"a": [1, %d], "bb": null}' % i, i + 0.25) for i in range(1, 60)])
    db.executemany("INSERT INTO members VALUES (?, ?, ?)", [(uuid % (1 + i % 59), i, "M'%d" % i) for i in range(1, 150)])
    db.executemany("INSERT INTO gigs VALUES (?, ?, ?, ?, ?)", [(i, uuid % (1 + i % 59), 1 + i % 7, moment % (1 + i % 9, i % 10, i % 10), i) for i in range(1, 90)])
    db.executemany("INSERT INTO visitors VALUES (?, ?, ?, ?)", [(i, "v%d@x" % i, "2000-01-0%d" % (1 + i % 9), bytes([i % 256, 0, 255]) if i % 2 else None) for i in range(1, 400)])
    db.executemany("INSERT INTO tickets VALUES (?, ?, ?, ?, ?)", [("T-%d" % i, 1 + i % 399, i / 8, i % 2, moment % (1 + i % 9, i % 10, i % 10) if i % 2 else None) for i in range(1, 700)])
    db.executemany("INSERT INTO ratings VALUES (?, ?, ?, ?)", [(1 + i % 399, 1 + i % 89, i % 6, "so %d" % i if i % 4 else None) for i in range(1, 300)])
    db.executemany("INSERT INTO crews VALUES (?, ?, ?)", [(i, "C%d" % i, i // 2 or None) for i in range(1, 12)])
    db.executemany("INSERT INTO shifts VALUES (?, ?, ?)", [(i, "2026-05-0%d" % d, "08:%02d:00" % d) for i in range(1, 12) for d in range(1, 5)])
    db.executemany("INSERT INTO settings VALUES (?, ?)", [("s%d" % i, None if i == 3 else "x" * i) for i in range(9)])


def ten_tables_go_round_three_kinds_of_stores(server):
    with dynamodb_local() as items, databases(server, "festival") as ((db, url),):
        lite, pg = festival(IN_SQLITE), festival(IN_POSTGRESQL)
        folder = Folder("", items.environment)
        for table, (_, keys) in FESTIVAL.items():
            folder.write("lite_%s.sql" % table, lite[table])
            folder.write("pg_%s.sql" % table, pg[table])
            folder.write("item_%s.json" % table, as_item_table(keys))
        stores = {"lite": ("sqlite:first.db", "lite_%s.sql"), "pg": (url, "pg_%s.sql"), "item": ("dynamodb:", "item_%s.json"), "end": ("sqlite:last.db", "lite_%s.sql")}

        def plan(one, other):
            lines = "\n".join("  - {from: a/%s, to: b/%s, create: %s}" % (table, table, stores[other][1] % table) for table in FESTIVAL)
            folder.write("%s.yaml" % other, (MOVE % lines).replace('"A"', json.dumps(stores[one][0])).replace('"B"', json.dumps(stores[other][0])).replace(
                "migration: move", "migration: to_" + other).replace("sync: capture", "sync: capture\nbackup: none" + ("\ncutover: {hold: none}" if "item" in (one, other) else "")))
            return other + ".yaml"

        def rows(connection):
            return {table: sorted(connection.execute("SELECT * FROM " + table).fetchall(), key=repr) for table in FESTIVAL}
        with contextlib.closing(folder.lite("first.db")) as first, contextlib.closing(folder.lite("last.db")) as last:
            for table in FESTIVAL:
                first.execute(lite[table])
            fill(first)
            first.execute("DELETE FROM visitors WHERE id = 399")
            first.execute("DELETE FROM tickets WHERE visitor = 399")
            first.execute("DELETE FROM ratings WHERE visitor = 399")
            # Each of the three goes on, live, while it is copied.
            there = plan("lite", "pg")
            folder.run("run", "--yes", "--until", "follow", plan=there)
            first.execute("UPDATE bands SET about = '{\"c\": 1.50}', fee = 99.5 WHERE name LIKE '%7%'")
            first.execute("INSERT INTO tickets VALUES ('T-live', 5, 1.5, 1, '2026-09-09 09:09:09.25+00:00')")
            folder.run("run", "--yes", plan=there)
            assert db.execute("INSERT INTO visitors (mail) VALUES ('next') RETURNING id").fetchone() == (400,)  # never 399 again
            db.execute("DELETE FROM visitors WHERE id = 400")
            on = plan("pg", "item")
            folder.run("run", "--yes", "--until", "follow", plan=on)
            db.execute("UPDATE gigs SET minutes = NULL WHERE id = 3; DELETE FROM settings WHERE name = 's1'; INSERT INTO shifts VALUES (2, '2026-06-01', NULL)")
            folder.run("run", "--yes", plan=on)
            back = plan("item", "end")
            folder.run("run", "--yes", "--until", "verify", plan=back)
            first.execute("UPDATE gigs SET minutes = NULL WHERE id = 3")
            first.execute("DELETE FROM settings WHERE name = 's1'")
            first.execute("INSERT INTO shifts VALUES (2, '2026-06-01', NULL)")
            wanted, found = rows(first), rows(last)
            for table in FESTIVAL:
                assert wanted[table] == found[table], (table, [row for row in wanted[table] if row not in found[table]][:3], [row for row in found[table] if row not in wanted[table]][:3])
            # And each goes back.
            for one in (back, on, there):
                folder.run("rollback", "--yes", plan=one)
        assert rows_left(db) == [] and items.client("dynamodb").list_tables()["TableNames"] == []
        folder.close()


def init_says_a_schema_in_the_words_of_another_kind(server):
    """What it writes runs as it is, there and back into a file of the first kind; nothing is edited."""
    with databases(server, "festival") as ((db, url),):
        folder = Folder("", {"OLD_URL": url, "NEW_URL": url})
        with contextlib.closing(folder.lite("first.db")) as first, contextlib.closing(folder.lite("last.db")) as last:
            for ddl in festival(IN_SQLITE).values():
                first.execute(ddl)
            first.execute("CREATE TABLE defaults (id INTEGER PRIMARY KEY, word VARCHAR(9) DEFAULT 'it', number INT DEFAULT -1, yes BOOLEAN NOT NULL DEFAULT 0, half REAL DEFAULT 0.5,"
                          "at DATETIME, of INTEGER REFERENCES defaults, UNIQUE (word, number))")
            first.execute("INSERT INTO defaults VALUES (1, 'a', 2, 1, 0.25, '2026-01-02 03:04:05', 1)")
            fill(first)
            before = {table: sorted(first.execute("SELECT * FROM " + table).fetchall(), key=repr) for table in (*FESTIVAL, "defaults")}
            subprocess.run([BINARY, "init", "sqlite:first.db", url, "--output", "there.yaml"], cwd=folder.path, check=True, capture_output=True)
            folder.run("run", "--yes", "--until", "follow", plan="there.yaml")
            folder.run("run", "--yes", plan="there.yaml")
            assert db.execute("SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND convalidated").fetchone() == (9,)
            assert db.execute("INSERT INTO defaults (at) VALUES (now()) RETURNING id, word, number, yes, half").fetchone() == (2, "it", -1, False, 0.5)
            db.execute("DELETE FROM defaults WHERE id = 2")
            files = {file.name: file.read_text() for file in folder.path.glob("*.sql")}
            for name in files:
                (folder.path / name).unlink()
            subprocess.run([BINARY, "init", url, "sqlite:last.db", "--output", "back.yaml"], cwd=folder.path, check=True, capture_output=True)
            folder.run("run", "--yes", plan="back.yaml")
            for table, rows in before.items():
                assert rows == sorted(last.execute("SELECT * FROM " + table).fetchall(), key=repr), table
            assert last.execute("SELECT count(*) FROM pragma_foreign_key_check").fetchone() == (0,)
            assert len(last.execute("SELECT * FROM pragma_foreign_key_list('ratings')").fetchall()) == 2
            folder.run("rollback", "--yes", plan="back.yaml")
            for name, text in files.items():
                folder.write(name, text)
            folder.run("rollback", "--yes", plan="there.yaml")
        assert rows_left(db) == []
        folder.close()


def init_makes_items_of_a_schema_and_a_schema_of_items(server):
    """From PostgreSQL to DynamoDB and on into SQLite, by what it writes, and into DynamoDB once more; nothing is edited."""
    with dynamodb_local() as items, databases(server, "festival") as ((db, url),):
        folder = Folder("", {**items.environment, "OLD_URL": url})
        amazon = items.client("dynamodb")
        with contextlib.closing(folder.lite("first.db")) as first, contextlib.closing(folder.lite("last.db")) as last:
            for ddl in festival(IN_SQLITE).values():
                first.execute(ddl)
            for ddl in festival(IN_POSTGRESQL).values():
                db.execute(ddl)
            fill(first)
            before = {table: sorted(first.execute("SELECT * FROM " + table).fetchall(), key=repr) for table in FESTIVAL}
            folder.write("fill.yaml", as_plan("sqlite:first.db", url, "{from: a/%s, to: b/%s, create: exists}", FESTIVAL))
            folder.run("run", "--yes", plan="fill.yaml")

            def init(*words, name):
                done = subprocess.run([BINARY, "init", *words, "--output", name], cwd=folder.path, env=folder.environment, capture_output=True, text=True)
                assert done.returncode == 0, done.stdout + done.stderr
                folder.run("check", plan=name)
                return (folder.path / name).read_text()
            # What is no question of keys has no like there, and the plan says so.
            plan = init(url, "dynamodb:", name="items.yaml")
            assert "UNIQUE of `public.stages` have no like there" in " ".join(plan.replace("#", " ").split()) and 'new: "dynamodb:"' in plan, plan
            assert json.loads((folder.path / next(folder.path.glob("*ratings*.json"))).read_text())["KeySchema"] == [
                {"AttributeName": "visitor", "KeyType": "HASH"}, {"AttributeName": "gig", "KeyType": "RANGE"}]
            folder.run("run", "--yes", plan="items.yaml")
            assert sorted(amazon.list_tables()["TableNames"]) == sorted(FESTIVAL)
            # A new table beside each that is there, like it.
            plan = init("dynamodb:", name="again.yaml")
            assert plan.count('create: "like-source"') == len(FESTIVAL) == plan.count("rest: copy"), plan
            folder.run("run", "--yes", plan="again.yaml")
            assert amazon.scan(TableName="bands_v2", Select="COUNT")["Count"] == len(before["bands"])
            # And the types that the values have.
            init("dynamodb:", "sqlite:last.db", name="back.yaml")
            folder.run("run", "--yes", plan="back.yaml")
            for table, rows in before.items():
                columns = ", ".join(name for _, name, *_ in first.execute("PRAGMA table_info(%s)" % table))
                found = sorted(last.execute("SELECT %s FROM %s" % (columns, table)).fetchall(), key=repr)
                assert sorted(rows, key=repr) == found, (table, [row for row in rows if row not in found][:3], [row for row in found if row not in rows][:3])
            for plan in ("back.yaml", "again.yaml", "items.yaml"):
                folder.run("rollback", "--yes", plan=plan)
        assert amazon.list_tables()["TableNames"] == []
        folder.close()


def init_says_what_tables_are_made_of(server):
    """Types, functions and schemas that the new database has not got: it says them, as they can be run."""
    kinds = """CREATE SCHEMA "a Shop"; CREATE TYPE mood AS ENUM ('sad', 'it''s ok'); CREATE DOMAIN "a Shop".zip AS varchar(10) DEFAULT '1' CHECK (VALUE ~ '^[0-9]+$');
    CREATE TYPE "a Shop".pair AS (x mood, "Y y" "a Shop".zip[]); CREATE TYPE span AS RANGE (SUBTYPE = date); CREATE EXTENSION citext; CREATE SEQUENCE numbers START WITH 5 INCREMENT BY 3;
    CREATE FUNCTION "a Shop".next() RETURNS bigint LANGUAGE sql AS $$SELECT nextval('public.numbers')$$;
    CREATE TABLE people (id bigint PRIMARY KEY DEFAULT "a Shop".next(), m mood DEFAULT 'sad', mail citext, n int DEFAULT nextval('numbers'));
    CREATE TABLE "a Shop".events (day date, id int, p "a Shop".pair, s span, person bigint REFERENCES people, PRIMARY KEY (day, id)) PARTITION BY RANGE (day);
    CREATE TABLE "a Shop".events_1 PARTITION OF "a Shop".events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
    INSERT INTO people (mail) SELECT 'a' || i FROM generate_series(1, 9) i;
    INSERT INTO "a Shop".events SELECT '2026-02-01', id, ('sad', '{1,2}')::"a Shop".pair, '[2026-01-01,2026-01-03)', id FROM people"""
    with databases(server, "old", "new") as ((a, old), (b, new)):
        a.execute(kinds)
        folder = Folder("", {"OLD_URL": old, "NEW_URL": new})
        done = subprocess.run([BINARY, "init", old, new, "--output", "made.yaml"], cwd=folder.path, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        plan = " ".join((folder.path / "made.yaml").read_text().replace("#", " ").split())
        for part in ('the schema "a Shop"', "the extension citext", "the type public.mood", 'the domain "a Shop".zip', 'the function "a Shop".next()', "is partitioned by RANGE (day)"):
            assert part in plan, (part, plan)
        folder.run("check", code=2, plan="made.yaml")  # nothing of it is there
        b.execute((folder.path / "prerequisites.sql").read_text())
        folder.run("check", plan="made.yaml")
        folder.run("run", "--yes", plan="made.yaml")
        for table in ("people", '"a Shop".events'):
            rows = "SELECT t::text FROM %s t ORDER BY 1" % table
            assert a.execute(rows).fetchall() == b.execute(rows).fetchall() != [], table
        folder.run("rollback", "--yes", plan="made.yaml")
        folder.close()
        # A schema that is not there is met before anything begins.
        folder = Folder(one_table(old, new, '{from: a/people, to: b/"nowhere.people", create: like-source, columns: {id: id, mail: mail, n: n, m: m}}', "sync: none"))
        assert "there is no schema nowhere" in folder.run("check", code=2)
        folder.close()


def rows_left(db):
    return [name for (name,) in db.execute(EVERYTHING)]


def conditions_mean_days_moments_and_uuids(server):
    ids = ["%08d-0000-0000-0000-000000000000" % i for i in range(3)]
    columns = "id integer PRIMARY KEY, d date, t timestamp, z timestamptz, u uuid, c char(5)"
    taken = "{from: a/p, to: b/p, create: exists, where: {%s}}"
    for where, wanted in (('d: {at_least: "2026-01-02"}', [1, 2]), ('d: {not: "2026-01-02"}', [0, 2]), ('d: ["2026-01-01", "2026-01-03"]', [0, 2]),
                          ('t: {below: "2026-01-02 12:00:00"}', [0]), ('z: {above: "2026-01-01 13:00:00+01"}', [1, 2]),
                          ('u: "%s"' % ids[2].upper(), [2]), ('c: ab', [1])):
        with databases(server, "some_a", "some_b") as [(a, from_url), (b, to_url)]:
            for db in (a, b):
                db.execute("CREATE TABLE p (%s)" % columns)
            for i, one in enumerate(ids):
                a.execute("INSERT INTO p VALUES (%s, %s, %s, %s, %s, %s)", (i, "2026-01-0%d" % (i + 1), "2026-01-0%d 12:00" % (i + 1), "2026-01-0%d 12:00+00" % (i + 1), one, ("a", "ab", "abc")[i]))
            folder = Folder(one_table(from_url, to_url, taken % where, "sync: none"))
            folder.run("run", "--yes")
            assert [row[0] for row in b.execute("SELECT id FROM p ORDER BY id")] == wanted, where
            assert "0 differ" in folder.run("verify")
            folder.close()
    with databases(server, "some_a", "some_b") as [(a, from_url), (b, to_url)]:
        for db in (a, b):
            db.execute("CREATE TABLE p (%s)" % columns)
        folder = Folder(one_table(from_url, to_url, taken % "d: {above: tomorrowish}", "sync: none"))
        assert "is no value of `d`, which is date" in folder.run("check", code=2)
        folder.close()


def numbers_in_documents_keep_their_digits(server):
    rows = "(1, 12345678901234567890.1234567890, 1), (2, 1.10, 1), (3, 12345678901234567890123456789012345678, 2), (4, 18446744073709551615, 1)"
    live = "sync: capture\ncutover: {max_hold: 5s}"
    document = "{from: a/p, to: b/q, create: exists, columns: {id: id, doc: {json: {n: n, b: b}}}}"
    numbers = "SELECT id, n::text FROM p ORDER BY id"
    for kind in ("json", "jsonb", "text"):
        with databases(server, "digits_a", "digits_b") as [(a, from_url), (b, to_url)]:
            a.execute("CREATE TABLE p (id int PRIMARY KEY, n numeric, b int); INSERT INTO p VALUES " + rows)
            b.execute("CREATE TABLE q (id int PRIMARY KEY, doc %s)" % kind)
            folder = Folder(one_table(from_url, to_url, document, live))
            before = a.execute(numbers).fetchall()
            folder.run("run", "--yes", "--until", "verify")
            right, wrong = "18446744073709551615", "18446744073709551616"
            b.execute("UPDATE q SET doc = replace(doc::text, '%s', '%s')::%s WHERE id = 4" % (right, wrong, kind))
            assert "1 differ" in folder.run("verify", code=1)
            b.execute("UPDATE q SET doc = replace(doc::text, '%s', '%s')::%s WHERE id = 4" % (wrong, right, kind))
            folder.run("run", "--yes")
            b.execute("UPDATE q SET doc = jsonb_set(doc::jsonb, '{b}', '7')::%s" % kind)
            folder.run("run", "--yes")
            assert "0 differ" in folder.run("verify")
            folder.run("rollback", "--yes")
            assert a.execute(numbers).fetchall() == before, (kind, a.execute(numbers).fetchall())
            assert a.execute("SELECT DISTINCT b FROM p").fetchall() == [(7,)]
            folder.close()
    with databases(server, "digits_a", "digits_b") as [(a, from_url), (b, to_url)]:
        a.execute("CREATE TABLE p (id int PRIMARY KEY, n jsonb, b int); INSERT INTO p VALUES (1, 'null', 1), (2, NULL, 1), (3, '1.50', 1)")
        b.execute("CREATE TABLE q (id int PRIMARY KEY, doc jsonb)")
        folder = Folder(one_table(from_url, to_url, document, live))
        before = a.execute(numbers).fetchall()
        folder.run("run", "--yes")
        b.execute("UPDATE q SET doc = jsonb_set(doc, '{b}', '7')")
        folder.run("rollback", "--yes")
        assert a.execute(numbers).fetchall() == before, a.execute(numbers).fetchall()
        folder.close()
    with databases(server, "digits_a", "digits_b") as [(a, from_url), (b, to_url)]:
        a.execute("CREATE TABLE p (id int PRIMARY KEY, doc jsonb)")
        a.execute("INSERT INTO p SELECT i, ('{\"n\": ' || n || '}')::jsonb FROM (VALUES %s) v (i, n, b)" % rows)
        b.execute("CREATE TABLE q (id int PRIMARY KEY, n numeric, t text)")
        parts = "{from: a/p, to: b/q, create: exists, rest: drop, columns: {id: id, n: {extract: doc.n}, t: {extract: doc.n}}}"
        folder = Folder(one_table(from_url, to_url, parts, live))
        folder.run("run", "--yes", "--until", "verify")
        wanted = [(i, n, n) for i, n in a.execute("SELECT id, doc->>'n' FROM p ORDER BY id")]
        assert b.execute("SELECT id, n::text, t FROM q ORDER BY id").fetchall() == wanted, b.execute("SELECT * FROM q").fetchall()
        folder.close()


def a_copy_goes_on_behind_the_numbers_that_came(server):
    with databases(server, "one", "other") as ((a, url_a), (b, url_b)):
        a.execute("CREATE TABLE p (id bigserial PRIMARY KEY, v text); CREATE TABLE q (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text)")
        for table in "pq":
            a.execute("INSERT INTO %s (v) SELECT 'v' || n FROM generate_series(1, 9) n" % table)
        plan = "whimbrel: 1\nmigration: numbers\nstores: {a: \"%s\", b: \"%s\"}\ntables:\n" % (url_a, url_b)
        plan += "".join('  - {from: a/public.%s, to: b/public.%s, create: like-source, on_conflict: skip}\n' % (t, t) for t in "pq") + "sync: none\n"
        folder = Folder(plan)
        folder.run("run", "--yes")
        for table in "pq":
            assert b.execute("INSERT INTO %s (v) VALUES ('theirs') RETURNING id" % table).fetchone() == (10,)
            b.execute("DELETE FROM %s WHERE id = 10" % table)
            a.execute("INSERT INTO %s (v) SELECT 'w' || n FROM generate_series(1, 20) n" % table)
        folder.run("run", "--yes")
        for table in "pq":
            assert b.execute("INSERT INTO %s (v) VALUES ('theirs') RETURNING id" % table).fetchone() == (30,)
        folder.run("rollback", "--yes")
        assert b.execute("SELECT id FROM p UNION ALL SELECT id FROM q").fetchall() == [(30,), (30,)]
        folder.close()


TESTS = [a_copy_goes_on_behind_the_numbers_that_came, numbers_in_documents_keep_their_digits, conditions_mean_days_moments_and_uuids, tables_that_refer_to_each_other_are_begun_by_init, what_would_stand_in_the_way_of_rows_is_met_by_the_analysis, tables_that_inherit_lose_nothing,
             a_trigger_that_comes_under_way_is_a_warning, a_trigger_of_a_partition_is_one_of_the_table,
             an_old_table_that_others_hang_on_ends_no_finish_midway, noughts_behind_the_point_are_no_digits,
             a_table_like_the_source_has_all_that_the_source_has, nothing_is_noted_before_a_window, files_may_refer_to_each_other, tables_that_are_there_keep_their_foreign_keys,
         a_role_that_may_not_is_told_what_it_needs, odd_tables_are_made_like_the_source_and_come_back, each_column_goes_on_behind_its_own_numbers,
         keys_that_are_kept_otherwise_keep_nothing_from_moving, an_archive_is_found_again_in_its_schema, names_need_no_schema, references_need_no_schema, tables_of_one_name_are_told_apart_by_their_schemas, any_type_is_a_key_in_sqlite_as_well, init_says_a_schema_in_the_words_of_another_kind,
         init_makes_items_of_a_schema_and_a_schema_of_items, init_says_what_tables_are_made_of,
         ten_tables_go_round_three_kinds_of_stores]


def main():
    wanted, failed = sys.argv[1:], 0
    with postgresql() as server:
        for test in TESTS:
            if wanted and test.__name__ not in wanted:
                continue
            try:
                test(server)
                print("ok     " + test.__name__, flush=True)
            except Exception as error:  # the others go on
                failed += 1
                line = error.__traceback__.tb_next.tb_lineno
                print("FAILED %s, line %d: %s: %s" % (test.__name__, line, type(error).__name__, error), flush=True)
    sys.exit(1 if failed else 0)


main()

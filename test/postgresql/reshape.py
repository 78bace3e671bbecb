"""Tables in another shape within PostgreSQL, there and back; the target is made by a file. Runs under tools/servers/python."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import psycopg

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "test" / "support"))
from reshaped import PLAN  # noqa: E402
from servers import postgresql  # noqa: E402

BINARY = os.environ.get("WHIMBREL", str(ROOT / "build" / "whimbrel"))
OLD = """
CREATE TABLE people (id bigint PRIMARY KEY, mail text NOT NULL, name text, role text, at timestamptz DEFAULT now());
CREATE TABLE guests (id uuid PRIMARY KEY, mail text, host bigint);
CREATE TABLE settings (section text, key text, value text, PRIMARY KEY (section, key));
CREATE TABLE log (id bigserial PRIMARY KEY, who bigint NOT NULL, at text NOT NULL, what text);
INSERT INTO people SELECT i, 'p' || i, 'Name ' || i, CASE WHEN i % 3 = 0 THEN 'dev' END FROM generate_series(1, 300) i;
INSERT INTO guests SELECT gen_random_uuid(), 'g' || i, i FROM generate_series(1, 50) i;
INSERT INTO settings SELECT 's' || i % 5, 'k' || i, CASE WHEN i % 4 > 0 THEN 'v' || i END FROM generate_series(1, 40) i;
INSERT INTO log (who, at, what) SELECT i % 9, '2026-01-0' || (1 + i % 9), 'w' FROM generate_series(1, 500) i;
"""
THINGS = """CREATE TABLE things (pk text NOT NULL, sk text NOT NULL, mail text, name text, role text, at timestamptz,
  host bigint, doc jsonb, kind text NOT NULL, PRIMARY KEY (pk, sk));
CREATE INDEX things_mail ON things (mail);"""
EXPECTED = """
SELECT 'PERSON#' || id, 'PROFILE', mail, name, role, at::text, NULL::bigint, NULL::jsonb, 'person' FROM people
UNION ALL SELECT 'ROLE#' || role, 'PERSON#' || id, NULL, name, NULL, NULL, NULL, NULL, 'member' FROM people WHERE role IS NOT NULL
UNION ALL SELECT 'GUEST#' || g.id, 'PROFILE', g.mail, coalesce(p.name, 'nobody'), NULL, NULL, g.host, NULL, 'guest'
  FROM guests g LEFT JOIN people p ON p.id = g.host
UNION ALL SELECT 'SETTINGS#' || section, 'ALL', NULL, NULL, NULL, NULL, NULL, jsonb_object_agg(key, value), 'settings' FROM settings GROUP BY section
"""


SCHEMAS = """
whimbrel: 1
migration: schemas
stores: {db: "URL"}
tables:
  - {from: db/people, to: db/people2, create: like-source}
  - {from: db/s1.orders, to: db/s2.orders, create: like-source}
  - {from: db/s1.notes, to: db/s2."odd notes", create: notes.sql, columns: {id: id, words: text}}
sync: capture
"""


def tables_of_schemas_are_made_where_the_plan_says():
    """And may be there when it goes on, or back."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="whimbrel-schemas-"))
    with postgresql() as server, psycopg.connect(server.url, autocommit=True) as db:
        (folder / "plan.yaml").write_text(SCHEMAS.replace("URL", server.url))
        (folder / "notes.sql").write_text('CREATE TABLE s2."odd notes" (id int PRIMARY KEY, words text); CREATE INDEX ON s2."odd notes" (words);')
        db.execute("CREATE SCHEMA s1; CREATE SCHEMA s2; CREATE TABLE people (id bigserial PRIMARY KEY, name text UNIQUE, v int CHECK (v > 0));"
                   "CREATE TABLE s1.orders (id int PRIMARY KEY, person bigint REFERENCES people); CREATE TABLE s1.notes (id int PRIMARY KEY, text text);"
                   "INSERT INTO people (name, v) SELECT 'n' || i, i FROM generate_series(1, 50) i; INSERT INTO s1.orders SELECT i, i FROM generate_series(1, 20) i;"
                   "INSERT INTO s1.notes SELECT i, 'note' FROM generate_series(1, 9) i")
        for words in (["run", "--yes", "--until", "copy"], ["run", "--yes", "--until", "verify"], ["rollback", "--yes"]):
            done = subprocess.run([BINARY, words[0], "plan.yaml", *words[1:]], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=200)
            assert done.returncode == 0, "%s gave %d:\n%s%s" % (words, done.returncode, done.stdout, done.stderr)
            if "verify" in words:
                assert db.execute("SELECT count(*) FROM s2.orders").fetchone() == (20,) and db.execute('SELECT count(*) FROM s2."odd notes"').fetchone() == (9,)
                assert db.execute("SELECT count(*) FROM pg_indexes WHERE schemaname = 's2'").fetchone() == (3,)
        assert db.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 's2'").fetchone() == (0,)
    shutil.rmtree(folder, ignore_errors=True)
    print("tables_of_schemas_are_made_where_the_plan_says: well")


def main():
    tables_of_schemas_are_made_where_the_plan_says()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="whimbrel-reshape-"))

    def run(*words):
        done = subprocess.run([BINARY, words[0], "plan.yaml", *words[1:]], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=200)
        assert done.returncode == 0, "%s gave %d:\n%s%s" % (words, done.returncode, done.stdout, done.stderr)
        return done.stdout + done.stderr
    with postgresql() as server, psycopg.connect(server.url, autocommit=True) as db:
        def rows(sql):
            return sorted(db.execute(sql).fetchall(), key=repr)

        def expect_equal():
            assert rows(EXPECTED) == rows("SELECT pk, sk, mail, name, role, at::text, host, doc, kind FROM things")
            assert rows("SELECT 'PERSON#' || who, 'AT#' || at || '#' || id, what FROM log") == rows("SELECT pk, sk, what FROM events")
        (folder / "plan.yaml").write_text(PLAN.replace("STORE", server.url).replace("same: [mail, name, role]", "same: [mail, name, role, at]"))
        (folder / "things.sql").write_text(THINGS)
        (folder / "events.sql").write_text("CREATE TABLE events (pk text NOT NULL, sk text NOT NULL, what text, PRIMARY KEY (pk, sk));")
        db.execute(OLD)
        run("run", "--yes", "--until", "follow")
        db.execute("UPDATE people SET name = 'X', role = 'ops' WHERE id % 7 = 0; DELETE FROM people WHERE id % 11 = 0;"
                   "UPDATE log SET who = 77 WHERE id % 5 = 0; DELETE FROM log WHERE id % 6 = 0;"
                   "UPDATE settings SET section = 's9' WHERE key = 'k3'; DELETE FROM settings WHERE section = 's2'")
        run("run", "--yes", "--until", "verify")
        expect_equal()
        run("run", "--yes")
        db.execute("UPDATE things SET name = 'back' WHERE pk = 'PERSON#1';"
                   "UPDATE things SET doc = doc || '{\"z\": \"1\"}' WHERE pk = 'SETTINGS#s1'; DELETE FROM events WHERE sk LIKE '%#7';"
                   "INSERT INTO things (pk, sk, mail, kind) VALUES ('PERSON#9999', 'PROFILE', 'm', 'person')")
        assert "0 differ" in run("verify")
        run("rollback", "--yes")
        assert rows("SELECT name FROM people WHERE id = 1") == [("back",)]
        assert rows("SELECT mail, name FROM people WHERE id = 9999") == [("m", None)]
        assert rows("SELECT value FROM settings WHERE section = 's1' AND key = 'z'") == [("1",)]
        assert rows("SELECT * FROM log WHERE id = 7") == []
        assert rows("SELECT tablename::text FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')") == [
            ("guests",), ("log",), ("people",), ("settings",)]
    shutil.rmtree(folder, ignore_errors=True)
    print("there_and_back: well")


main()

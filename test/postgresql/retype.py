"""Columns get another type in place, on a real PostgreSQL, while an application writes.

The application and every comparison use psycopg and nothing of whimbrel's. Runs under
tools/servers/python, with WHIMBREL naming the binary; with NAME... some of the tests.
"""

import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import threading
import time
import uuid

import psycopg

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from retyped import ACCOUNTS, BINARY, PLAN, ROOT, Working, World, Writers, differences, run_tests  # noqa: E402


# ---------------------------------------------------------------- the tests

def goes_there_and_back_under_writers(server):
    world = World(server)
    before = world.objects()
    ids = world.people(3000)
    with Writers(world, ids) as writers:
        time.sleep(0.5)
        world.run("run", "--yes")
        time.sleep(0.5)
        assert world.type_of("people", "id") == world.type_of("letters", "sender") == "uuid"
        world.run("verify")
        world.run("rollback", "--yes")
        time.sleep(0.3)
    assert not writers.errors, writers.errors[:3]
    assert max(writers.stalls) < 1.5, max(writers.stalls)
    writers.are_all_there()
    assert differences(before, world.objects()) == []
    world.nothing_is_left()


def survives_being_killed_anywhere(server):
    rnd = random.Random(int(os.environ.get("SEED", "5")))
    for round_number in range(int(os.environ.get("ROUNDS", "4"))):
        world = World(server)
        before = world.objects()
        ids = world.people(2000)
        with Writers(world, ids, 2) as writers:
            world.kill_again_and_again(rnd, 6, (0.05, 1.6), "run", "--yes")
            world.run("run", "--yes")
            assert world.type_of("people", "id") == "uuid"
            world.kill_again_and_again(rnd, 4, (0.05, 0.8), "rollback", "--yes")
            world.run("rollback", "--yes")
            time.sleep(0.2)
        assert not writers.errors, (round_number, writers.errors[:3])
        writers.are_all_there()
        assert differences(before, world.objects()) == [], round_number
        world.nothing_is_left()
        world.close()


ZOO = """
CREATE DOMAIN short AS text CHECK (length(VALUE) < 50);
CREATE TYPE mood AS ENUM ('calm', 'it''s windy');
CREATE TABLE "Odd.Parents" ("the id" varchar(36) PRIMARY KEY, "100%" text, boss varchar(36) REFERENCES "Odd.Parents"("the id"),
    feeling mood, code short, tags text[], span int4range, amount numeric, exact numeric(10, 3), doc json, docb jsonb, raw bytea,
    at timestamptz, day date, clock time, address inet, page xml, ratio real, wide double precision, yes boolean, pair int[][],
    twice text GENERATED ALWAYS AS ("100%" || "100%") STORED, CONSTRAINT "odd check" CHECK ("100%" <> 'no'));
CREATE TABLE others (id integer PRIMARY KEY);
CREATE TABLE children (n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, parent varchar(36) CONSTRAINT "fk's name" REFERENCES "Odd.Parents"("the id") ON UPDATE CASCADE DEFERRABLE INITIALLY DEFERRED,
    other integer REFERENCES others, UNIQUE (parent, other), EXCLUDE USING gist (int4range(other, other, '[]') WITH &&) WHERE (other IS NOT NULL) DEFERRABLE);
CREATE TABLE grandchildren (id serial PRIMARY KEY, child bigint REFERENCES children, word text);
CREATE INDEX partly ON children (parent) WHERE other IS NOT NULL;
CREATE INDEX by_expression ON "Odd.Parents" (lower("100%") DESC NULLS LAST) INCLUDE (code);
CREATE STATISTICS dependent (dependencies) ON parent, other FROM children;
ALTER STATISTICS dependent SET STATISTICS 250;
COMMENT ON STATISTICS dependent IS 'parents and others';
CREATE VIEW v1 AS SELECT "the id", "100%" FROM "Odd.Parents" WHERE yes;
CREATE VIEW v2 WITH (security_barrier) AS SELECT v1.*, c.n FROM v1 JOIN children c ON c.parent = v1."the id";
CREATE MATERIALIZED VIEW m AS SELECT count(*) AS n, feeling FROM "Odd.Parents" GROUP BY feeling;
CREATE UNIQUE INDEX m_feeling ON m (feeling);
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW."100%" := NEW."100%" || '!'; RETURN NEW; END $$;
CREATE TRIGGER touched BEFORE UPDATE ON "Odd.Parents" FOR EACH ROW EXECUTE FUNCTION touch();
CREATE TRIGGER asleep BEFORE INSERT ON children FOR EACH ROW EXECUTE FUNCTION touch();
ALTER TABLE children DISABLE TRIGGER asleep;
CREATE FUNCTION into_view() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER instead INSTEAD OF INSERT ON v1 FOR EACH ROW EXECUTE FUNCTION into_view();
CREATE RULE loud AS ON DELETE TO children DO ALSO NOTIFY gone;
ALTER TABLE children ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON children FOR SELECT TO PUBLIC USING (parent IS NOT NULL);
CREATE PUBLICATION told FOR TABLE children WHERE (other > 3), "Odd.Parents";
ALTER TABLE grandchildren REPLICA IDENTITY FULL;
ALTER TABLE "Odd.Parents" REPLICA IDENTITY FULL;
COMMENT ON TABLE children IS 'it''s theirs'; COMMENT ON COLUMN children.parent IS 'the 100% parent'; COMMENT ON VIEW v2 IS 'seen';
COMMENT ON CONSTRAINT "fk's name" ON children IS 'refers';
ALTER TABLE children ALTER COLUMN parent SET STATISTICS 500; ALTER TABLE children SET (fillfactor = 80);
GRANT SELECT ON children TO PUBLIC; GRANT UPDATE (other) ON children TO pg_monitor; GRANT SELECT ON v2 TO pg_monitor WITH GRANT OPTION;
"""
ZOO_PLAN = PLAN.replace("table: app/public.people, column: id", 'table: "app/public.\\"Odd.Parents\\"", column: the id')


def zoo_rows(world):
    rnd = random.Random(3)
    ids = [str(uuid.UUID(int=rnd.getrandbits(128))) for _ in range(200)]
    with psycopg.connect(world.url) as connection:
        for number, one in enumerate(ids):
            connection.execute(
                'INSERT INTO "Odd.Parents" VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)',
                (one, "a\t\\'%%%d" % number, ids[number - 1] if number else None, "it's windy" if number % 2 else None, "c" * (number % 49), ["x", "", 'q"', None],
                 "[%d,%d)" % (number, number + 5), "123456789012345678901234567890.%05d" % number, "%d.500" % number, '{"a":  1, "a": 2}', '{"b": 1.10, "a": [null]}',
                 bytes(range(256)) if number % 3 else b"", "2026-01-01 00:00:00.123456+00" if number else "infinity", "0044-03-15 BC", "23:59:59.999999",
                 "10.0.0.1/8", "<a>é</a>", 1.1, 0.1 + 0.2, number % 2 == 0, [[1, 2], [3, 4]]))
        connection.execute("INSERT INTO others SELECT * FROM generate_series(1, 150)")
        for number in range(150):
            connection.execute("INSERT INTO children (parent, other) VALUES (%s, %s)", (ids[number], number + 1))
        connection.execute("INSERT INTO grandchildren (child, word) SELECT n, repeat('long', 5000) FROM children")
        connection.execute("REFRESH MATERIALIZED VIEW m")
    return ids


def rows_of(world, table):
    return world.sql("SELECT md5(string_agg(t::text, '|' ORDER BY t::text COLLATE \"C\")), count(*) FROM %s t" % table)


def keeps_everything_that_hangs_on_a_table(server):
    world = World(server, ZOO, ZOO_PLAN)
    zoo_rows(world)
    before = world.objects()
    rows = {table: rows_of(world, table) for table in ('"Odd.Parents"', "children", "grandchildren", "v2", "m")}
    world.run("run", "--yes")
    after = world.objects()
    retyped = [(table, number, name, kind) for table, number, name, kind, *_ in after["columns"] if kind == "uuid"]
    assert {(table, name) for table, _, name, _ in retyped} == {('"Odd.Parents"', "the id"), ('"Odd.Parents"', "boss"), ("children", "parent"), ("v1", "the id"), ("v2", "the id")}, retyped
    for kind in before:
        if kind in ("columns", "views", "statistics"):
            continue
        assert before[kind] == after[kind], differences({kind: before[kind]}, {kind: after[kind]})
    same = [[(one if one != "character varying(36)" else "uuid") for one in row] for row in before["columns"]]
    # PostgreSQL gives a retyped column the collation and storage of its type.
    assert [row[:11] for row in same] == [list(row)[:11] for row in after["columns"]], differences({"c": same}, {"c": [list(r) for r in after["columns"]]})
    for table, was in rows.items():
        assert rows_of(world, table) == was, table
    # What is given by sequences goes on where it was, and references are kept.
    last = world.one("SELECT max(n) FROM children")
    world.sql("UPDATE grandchildren SET word = 'short' WHERE id = 1")
    try:
        world.sql("INSERT INTO children (parent, other) VALUES ('00000000-0000-0000-0000-000000000000', NULL)")
        raise AssertionError("the foreign key is gone")
    except psycopg.errors.ForeignKeyViolation:
        pass
    given = world.one("INSERT INTO children (parent) VALUES (NULL) RETURNING n")
    assert given > last, (given, last)
    world.run("rollback", "--yes")
    assert differences(before, world.objects()) == []
    assert world.one("SELECT word FROM grandchildren WHERE id = 1") == "short"
    assert world.one("INSERT INTO children (parent) VALUES (NULL) RETURNING n") > given
    world.nothing_is_left()


def ends_with_finish(server):
    world = World(server, ZOO, ZOO_PLAN)
    zoo_rows(world)
    world.run("test", "--yes")
    world.nothing_is_left()
    world.run("run", "--yes")
    world.run("diagnose summary")
    world.run("finish", "--yes", "--no-backup")
    world.nothing_is_left()
    assert world.type_of('"Odd.Parents"', "the id") == "uuid"
    assert world.one("SELECT count(*) FROM children") == 150
    assert world.one("INSERT INTO grandchildren (word) VALUES ('more') RETURNING id") == 151
    back = world.run("reverse")  # a plan of its own, which gives the columns their old types
    (world.folder / "back.yaml").write_text(back)
    world.plan = world.folder / "back.yaml"
    shutil.move(world.folder / "state", world.folder / "state of before")
    world.run("run", "--yes")
    world.run("cutover", "--yes")
    assert world.type_of('"Odd.Parents"', "the id").startswith("character") and world.one("SELECT count(*) FROM children") == 150, back
    world.close()


def other_pairs_of_types(server):
    for old, new, values in (("integer", "bigint", [1, -5, 2147483647]), ("bigint", "text", [1, 9007199254740993]), ("text", "integer", ["7", "-1"]),
                             ("varchar(10)", "text", ["", "é漢"]), ("integer", "numeric", [0, 12]), ("uuid", "text", [str(uuid.UUID(int=5))]),
                             ("text", "timestamp with time zone", ["2026-01-02 03:04:05.000006+00"]), ("text", "jsonb", ['{"a": 1}'])):
        key = new != "jsonb"
        ddl = "CREATE TABLE parents (id %s PRIMARY KEY, other text); CREATE TABLE kids (id serial PRIMARY KEY, p %s REFERENCES parents);" % (old, old) if key else \
              "CREATE TABLE parents (id %s, k serial PRIMARY KEY);" % old
        world = World(server, ddl, PLAN.replace("public.people", "public.parents").replace("to: uuid", 'to: "%s"' % new))
        for value in values:
            world.sql("INSERT INTO parents (id) VALUES (%s)", value)
            if key:
                world.sql("INSERT INTO kids (p) VALUES (%s)", value)
        was = world.sql("SELECT id::text FROM parents ORDER BY 1")
        world.run("run", "--yes")
        assert world.type_of("parents", "id") == new, (old, new)
        if new != "jsonb":
            assert world.one("SELECT count(*) FROM kids JOIN parents ON parents.id = p") == len(values)
        assert world.sql("SELECT id::text FROM parents ORDER BY 1") == was, (old, new)
        world.run("rollback", "--yes")
        assert world.sql("SELECT id::text FROM parents ORDER BY 1") == was, (old, new)
        world.nothing_is_left()
        world.close()


def values_are_those_of_the_servers_cast(server):
    plan = PLAN.replace("public.people", "public.things")
    for old, new, was, wanted, then, back in (("char(10)", "text", "ab", "ab", "cd", "cd        "), ("varchar(5)", "char(8)", "ab", "ab      ", "cd", "cd"),
                                              ("boolean", "text", "true", "true", "false", "f"), ("real", "text", "0.1", "0.1", "0.25", "0.25"),
                                              ("real", "numeric", "0.1", "0.1", "2.5", "2.5")):
        world = World(server, "CREATE TABLE things (k serial PRIMARY KEY, id %s NOT NULL UNIQUE);" % old, plan.replace("to: uuid", 'to: "%s"' % new))
        world.sql("INSERT INTO things (id) VALUES (%s::text::" + old + ")", was)
        world.run("run", "--yes")
        assert world.one("SELECT format('%s', id) FROM things") == wanted, (old, new, world.sql("SELECT id FROM things"))
        world.sql("INSERT INTO things (id) VALUES (%s::text::" + new + ")", then)
        assert "0 differ" in world.run("verify")
        world.run("rollback", "--yes")
        assert world.one("SELECT format('%s', id) FROM things WHERE k = 2") == back, (old, new, world.sql("SELECT * FROM things"))
        world.close()
    for old, new, why in (("bit(3)", "integer", "how bits are read"), ("numeric", "money", "locale")):
        world = World(server, "CREATE TABLE things (k serial PRIMARY KEY, id %s);" % old, plan.replace("to: uuid", 'to: "%s"' % new))
        told = world.run("analyze", code=2)
        assert why in told, told
        world.close()


def what_cannot_be_settled_is_told(server):
    world = World(server, "CREATE TABLE things (id int PRIMARY KEY); INSERT INTO things VALUES (1); CREATE TABLE by (x int); INSERT INTO by VALUES (1);"
                          "CREATE MATERIALIZED VIEW parts AS SELECT id, 1 / x AS q FROM things, by; UPDATE by SET x = 0",
                  PLAN.replace("public.people", "public.things").replace("to: uuid", "to: bigint"))
    told = world.run("run", "--yes")
    assert "not settled yet: division by zero" in told and "parts" in told, told
    world.sql("UPDATE by SET x = 1")
    world.run("rollback", "--yes")
    assert world.one("SELECT relispopulated FROM pg_class WHERE relname = 'parts'")
    world.close()


def ends_of_numbers_and_triggers_of_others(server):
    plan = PLAN.replace("public.people", "public.things").replace("to: uuid", "to: bigint")
    for made, end in (("smallint GENERATED ALWAYS AS IDENTITY", 2 ** 63 - 1), ("integer GENERATED ALWAYS AS IDENTITY (MAXVALUE 1000)", 1000)):
        world = World(server, "CREATE TABLE things (id %s PRIMARY KEY, v int)" % made, plan)
        world.run("run", "--yes")
        assert world.one("SELECT seqmax FROM pg_sequence WHERE seqrelid = pg_get_serial_sequence('things', 'id')::regclass") == end, made
        world.close()
    world = World(server, "CREATE TABLE things (id int PRIMARY KEY); CREATE TABLE others (x int); CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS "
                          "'BEGIN RETURN NEW; END'; CREATE CONSTRAINT TRIGGER looks AFTER INSERT ON others FROM things FOR EACH ROW EXECUTE FUNCTION look()", plan)
    told = world.run("analyze", code=3)
    assert "trigger looks of public.others" in told, told
    world.close()


def refuses_what_cannot_be_converted(server):
    world = World(server, ACCOUNTS.replace("varchar(36)", "text"))
    world.people(5)
    for value, why in (("not-a-uuid", "not-a-uuid"), ("A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "upper case"), ("{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}", "braces"),
                       ("a0eebc999c0b4ef8bb6d6bb9bd380a11", "hyphens"), ("", "empty"), (" a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1", "spaces")):
        world.sql("INSERT INTO people (id, mail) VALUES (%s, 'bad')", value)
        said = world.run("run", "--yes", code=3)
        assert why in said, (why, said[-1500:])
        assert world.type_of("people", "id") == "text"
        world.sql("DELETE FROM people WHERE mail = 'bad'")
    world.nothing_is_left()
    # Two spellings of one are told as such.
    for spelling in ("A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"):
        world.sql("INSERT INTO people (id, mail) VALUES (%s, %s)", spelling, spelling)
    assert "the same UUID" in world.run("run", "--yes", code=3)


def odd(key, how):
    """Other texts for the same UUID."""
    return (key.upper(), "{%s}" % key, key.replace("-", ""), "  %s " % key, "{%s}" % key.upper().replace("-", ""))[how % 5]


def spellings_come_back(server):
    """on_invalid: normalise. Rows in other spellings, also written meanwhile, by people and letters alike."""
    ddl = ACCOUNTS.replace("varchar(36)", "text") + "CREATE TABLE visits (n serial PRIMARY KEY, person text);"
    plan = PLAN.replace("to: uuid}", "to: uuid, on_invalid: normalise, also: [app/public.visits.person]}")
    world = World(server, ddl, plan)
    keys = [str(uuid.UUID(int=0xA7 << 100 | i)) for i in range(400)]
    spelled = [odd(key, i // 2) if i % 2 else key for i, key in enumerate(keys)]
    for i, key in enumerate(spelled):
        world.sql("INSERT INTO people (id, mail) VALUES (%s, %s)", key, "m%d" % i)
        if i % 3:
            world.sql("INSERT INTO letters (sender, body) VALUES (%s, 'old')", key)
        world.sql("INSERT INTO visits (person) VALUES (%s)", keys[i].upper())
    said = world.run("analyze")
    assert "in upper case" in said and "gives them back as they are" in said, said
    world.run("run", "--until", "prepare", "--yes")
    late = str(uuid.UUID(int=0xA8 << 100))
    world.sql("INSERT INTO people (id, mail) VALUES (%s, 'late')", late.upper())
    world.sql("DELETE FROM people WHERE id = %s", spelled[1])
    world.sql("INSERT INTO people (id, mail) VALUES (%s, 'again')", odd(keys[1], 2))
    world.kill_again_and_again(random.Random(5), 4, (0.05, 0.8), "run", "--until", "verify", "--yes")
    later = str(uuid.UUID(int=0xA9 << 100))
    world.sql("INSERT INTO people (id, mail) VALUES (%s, 'later')", "{%s}" % later)
    world.sql("INSERT INTO letters (sender, body) VALUES (%s, 'later')", "{%s}" % later)
    world.run("run", "--yes")
    assert world.type_of("people", "id") == world.type_of("visits", "person") == "uuid"
    spelled[1] = odd(keys[1], 2)
    assert {str(one) for (one,) in world.sql("SELECT id FROM people")} == {*keys, late, later}
    # The application goes on with UUIDs, and goes back.
    for i, key in enumerate(keys):
        if i % 5 == 0:
            world.sql("UPDATE people SET note = 'changed' WHERE id = %s", key)
        elif i % 5 == 1:
            world.sql("INSERT INTO letters (sender, body) VALUES (%s, 'new')", key)
        elif i % 5 == 2:
            world.sql("DELETE FROM people WHERE id = %s", key)
        elif i % 5 == 3:
            world.sql("UPDATE visits SET person = person WHERE person = %s", key)
    new = str(uuid.UUID(int=10 << 100))
    world.sql("INSERT INTO people (id, mail) VALUES (%s, 'new')", new)
    world.sql("UPDATE people SET note = 'changed' WHERE id = %s", later)
    world.run("rollback", "--yes")
    assert world.type_of("people", "id") == "text"
    wanted = {key: "changed" if i % 5 == 0 else "none" for i, key in enumerate(spelled) if i % 5 != 2}
    wanted.update({late.upper(): "none", "{%s}" % later: "changed", new: "none"})
    assert dict(world.sql("SELECT id, note FROM people")) == wanted
    assert {one for (one,) in world.sql("SELECT sender FROM letters WHERE body = 'new'")} == {key for i, key in enumerate(spelled) if i % 5 == 1}
    assert {one for (one,) in world.sql("SELECT person FROM visits")} == {key.upper() for key in keys}
    world.nothing_is_left()


def two_spellings_of_one_key_are_refused_also_meanwhile(server):
    ddl = ACCOUNTS.replace("varchar(36)", "text") + "CREATE TABLE visits (n serial PRIMARY KEY, person text);"
    plan = PLAN.replace("to: uuid}", "to: uuid, on_invalid: normalise, also: [app/public.visits.person, app/public.letters.sender]}")
    world = World(server, ddl, plan)
    keys = [str(uuid.UUID(int=0xA7 << 100 | i)) for i in range(20)]
    for i, key in enumerate(keys):
        world.sql("INSERT INTO people (id, mail, note) VALUES (%s, %s, 'first')", key.upper(), "m%d" % i)
    world.run("run", "--until", "verify", "--yes")
    world.sql("INSERT INTO people (id, mail) VALUES (%s, 'again')", keys[3])
    said = world.run("run", "--yes", code=3)
    assert keys[3] in said and keys[3].upper() in said and "would be one" in said, said
    assert world.one('SELECT note FROM whimbrel_new_public.people WHERE id = %s', keys[3]) == "first"
    world.sql("DELETE FROM people WHERE mail = 'again'")
    world.run("run", "--yes")
    assert {str(one) for (one,) in world.sql("SELECT id FROM people WHERE note = 'first'")} == set(keys)
    # What is made on the new side is spelled as what it refers to, by a foreign key or without.
    world.sql("INSERT INTO letters (sender, body) VALUES (%s, 'new')", keys[5])
    world.sql("INSERT INTO visits (person) VALUES (%s)", keys[6])
    world.run("rollback", "--yes")
    assert world.one("SELECT sender FROM letters") == keys[5].upper() and world.one("SELECT person FROM visits") == keys[6].upper()
    assert world.one("SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND NOT convalidated") == 0
    world.nothing_is_left()


def a_part_of_a_key_is_spelled_in_one_way(server):
    ddl = "CREATE TABLE people (tenant integer, id text, note text, PRIMARY KEY (tenant, id));"
    world = World(server, ddl, PLAN.replace("to: uuid}", "to: uuid, on_invalid: normalise}"))
    keys = [str(uuid.UUID(int=0xA7 << 100 | i)) for i in range(20)]
    for tenant in (1, 2):
        for key in keys:
            world.sql("INSERT INTO people VALUES (%s, %s, 'x')", tenant, key.upper() if tenant == 1 else key)
    assert "part of the key" in world.run("run", "--yes", code=3)
    world.sql("UPDATE people SET id = upper(id)")
    world.run("run", "--until", "verify", "--yes")
    world.sql("INSERT INTO people VALUES (3, %s, 'x')", keys[2])
    assert "part of the key" in world.run("run", "--yes", code=3)
    world.sql("UPDATE people SET id = upper(id)")
    world.run("run", "--yes")
    world.sql("UPDATE people SET note = 'changed'")
    world.run("rollback", "--yes")
    assert world.sql("SELECT tenant, id, note FROM people ORDER BY tenant, id") == [
        (tenant, key.upper(), "changed") for tenant in (1, 2) for key in keys] + [(3, keys[2].upper(), "changed")]
    world.nothing_is_left()


def a_file_says_what_texts_are_meant(server):
    keys = [str(uuid.UUID(int=7 << 100 | i)) for i in range(20)]
    texts = ['user "%d", old' % i if i % 2 else keys[i] for i in range(20)]
    world = World(server, ACCOUNTS.replace("varchar(36)", "text"), PLAN.replace("to: uuid}", "to: uuid, on_invalid: {map: ids.csv}}"))
    for i, key in enumerate(texts):
        world.sql("INSERT INTO people (id, mail) VALUES (%s, %s)", key, "m%d" % i)
        world.sql("INSERT INTO letters (sender, body) VALUES (%s, 'old')", key)
    said = world.run("check", code=2)
    assert "ids.csv" in said and "plan.yaml:" in said, said
    lines = ["old,new"] + ['"%s",%s' % (text.replace('"', '""'), keys[i]) for i, text in enumerate(texts) if i % 2]
    (world.folder / "ids.csv").write_text("\n".join(lines[:-1]) + "\n")
    assert "user" in world.run("run", "--yes", code=3)
    (world.folder / "ids.csv").write_text("\n".join(lines + [lines[-1]]) + "\n")
    assert "line 12" in world.run("check", code=2)
    (world.folder / "ids.csv").write_text("\n".join(lines) + "\n")
    world.run("run", "--yes")
    assert [str(one) for (one,) in world.sql("SELECT id FROM people ORDER BY id")] == keys
    world.sql("UPDATE people SET note = 'changed' WHERE id = %s", keys[1])
    world.sql("INSERT INTO letters (sender, body) VALUES (%s, 'new')", keys[3])
    world.run("rollback", "--yes")
    assert {one for (one,) in world.sql("SELECT id FROM people")} == set(texts)
    assert world.one("SELECT id FROM people WHERE note = 'changed'") == texts[1]
    assert world.one("SELECT sender FROM letters WHERE body = 'new'") == texts[3]
    world.nothing_is_left()


def orphans_without_a_foreign_key_are_named(server):
    ddl = ACCOUNTS + "CREATE TABLE visits (n serial PRIMARY KEY, person varchar(36));"
    plan = PLAN.replace("to: uuid}", "to: uuid, also: [app/public.visits.person]}")
    world = World(server, ddl, plan)
    ids = world.people(10)
    nobody = [str(uuid.UUID(int=0xAB << 120 | i)) for i in range(3)]
    for key in (ids[0], *nobody, None):
        world.sql("INSERT INTO visits (person) VALUES (%s)", key)
    said = world.run("run", "--yes", code=3)
    assert "3 rows of public.visits.person refer to no row of public.people" in said and nobody[0] in said, said
    world.plan.write_text(plan.replace("also:", "orphans: keep, also:"))
    world.run("run", "--yes")
    assert {str(one) for (one,) in world.sql("SELECT person FROM visits WHERE person IS NOT NULL")} == {ids[0], *nobody}
    world.run("rollback", "--yes")
    world.nothing_is_left()


REWRITE = PLAN.replace("to: uuid}", "to: uuid, method: rewrite}").replace("sync: capture\n", "").replace("{max_hold: 800ms}", "{window: {max: 20s}}")


def rewrites_in_a_window(server):
    world = World(server, plan=REWRITE)
    before = world.objects()
    ids = world.people(3000)
    with Writers(world, ids) as writers:
        world.run("run", "--yes", "--until", "verify")
        assert not world.sql("SELECT tgname FROM pg_trigger WHERE tgname LIKE 'whimbrel%'"), "something notes writes before the window"
        time.sleep(0.5)
        world.run("run", "--yes")
        assert world.type_of("people", "id") == world.type_of("letters", "sender") == "uuid"
        time.sleep(0.5)
        world.run("watch")
        world.run("rollback", "--yes")
        time.sleep(0.2)
    assert not writers.errors, writers.errors[:3]
    writers.are_all_there()
    assert differences(before, world.objects()) == []
    world.nothing_is_left()
    for wrong, said in ((REWRITE.replace("cutover:", "sync: capture\ncutover:"), "nothing notes what is written"),
                        (REWRITE.replace("{window: {max: 20s}}", "{max_hold: 1s}"), "does not say for how long"),
                        (REWRITE.replace("method: rewrite}", "method: rewrite}, {table: app/public.letters, column: id, to: bigint}"), "by one method")):
        world.plan.write_text(wrong)
        assert said in world.run("check", code=2), said


class ReadersThatWrite(Working):
    """They read a table, think, and write to it, in one transaction: a hold lets them begin and not go on."""

    def __init__(self, world, ids):
        self.world, self.stop, self.errors, self.longest, self.written = world, threading.Event(), [], 0.0, {}
        self.threads = [threading.Thread(target=self.work, args=(ids[number],)) for number in range(6)]

    def work(self, key):
        with psycopg.connect(self.world.url) as connection:
            number = 0
            while not self.stop.is_set():
                begun, number = time.monotonic(), number + 1
                try:
                    connection.execute("SELECT count(*) FROM letters WHERE sender = '%s'" % key)
                    connection.execute("SELECT 1 FROM people WHERE id = '%s'" % key)
                    time.sleep(0.02)
                    connection.execute("UPDATE people SET note = '%d' WHERE id = '%s'" % (number, key))
                    connection.execute("DELETE FROM letters WHERE body = 'of %s'" % key)
                    connection.execute("UPDATE letters SET body = '%d' WHERE sender = '%s'" % (number, key))
                    connection.execute("INSERT INTO letters (sender, body) VALUES ('%s', 'of %s')" % (key, key))
                    connection.commit()
                    self.written[key] = str(number)
                except psycopg.Error as error:
                    self.errors.append(str(error).splitlines()[0])
                    connection.rollback()
                self.longest = max(self.longest, time.monotonic() - begun)


def a_long_hold_makes_nobody_a_victim(server):
    """Who has read and waits to write keeps the exchange waiting; the server ends one of the two when the hold is long."""
    for plan in (PLAN.replace("800ms", "20s"), REWRITE):
        world = World(server, plan=plan)
        ids = world.people(500)
        for words in (("run", "--yes"), ("rollback", "--yes")):
            with ReadersThatWrite(world, ids) as readers:
                time.sleep(0.2)
                world.run(*words)
            assert not readers.errors, readers.errors[:3]
            for key, number in readers.written.items():
                assert world.one("SELECT note FROM people WHERE id = '%s'" % key) == number
                assert world.one("SELECT count(*) FROM letters WHERE sender = '%s' AND body = 'of %s'" % (key, key)) == 1
                assert world.one("SELECT count(*) FROM letters WHERE sender = '%s' AND body NOT IN ('%s', 'of %s')" % (key, number, key)) == 0
            if words[0] == "run":
                world.run("verify")
        assert readers.longest < 10, readers.longest
        world.nothing_is_left()
        world.close()


def a_rewrite_that_is_killed_goes_on(server):
    rnd = random.Random(8)
    world = World(server, plan=REWRITE)
    before = world.objects()
    ids = world.people(2000)
    with Writers(world, ids, 2) as writers:
        world.kill_again_and_again(rnd, 8, (0.05, 1.2), "run", "--yes")
        world.run("run", "--yes")
        world.kill_again_and_again(rnd, 4, (0.05, 0.6), "rollback", "--yes")
        world.run("rollback", "--yes")
        time.sleep(0.2)
    assert not writers.errors, writers.errors[:3]
    writers.are_all_there()
    assert differences(before, world.objects()) == []
    world.nothing_is_left()


def a_spelling_that_comes_meanwhile_is_refused(server):
    world = World(server)
    world.people(50)
    world.run("run", "--until", "prepare", "--yes")
    key = str(uuid.UUID(int=0xAB << 120)).upper()
    world.sql("INSERT INTO people (id, mail) VALUES (%s, 'late')", key)
    said = world.run("run", "--yes", code=1)
    assert key in said and "spelled" in said, said
    world.sql("DELETE FROM people WHERE mail = 'late'")
    world.run("run", "--until", "verify", "--yes")
    world.sql("INSERT INTO people (id, mail) VALUES (%s, 'late')", key)
    said = world.run("run", "--yes", code=3)
    assert key in said and "spelled" in said, said
    assert world.type_of("people", "id").startswith("character varying"), said
    world.sql("DELETE FROM people WHERE mail = 'late'")
    world.run("run", "--yes")


def a_bad_key_that_came_and_went_stops_nothing(server):
    world = World(server)
    world.people(50)
    world.run("run", "--until", "prepare", "--yes")
    world.sql("INSERT INTO people (id, mail) VALUES ('not-a-uuid', 'bad')")
    said = world.run("run", "--yes", code=1)
    assert "not-a-uuid" in said, said
    world.sql("DELETE FROM people WHERE mail = 'bad'")
    world.run("run", "--yes")
    assert world.type_of("people", "id") == "uuid"


def what_a_second_reader_found(server):
    """Each of these lost something, or ended in the middle, before it was mended."""
    # Something is left to settle that cannot be: who serves is known all the same.
    world = World(server, ACCOUNTS + "CREATE MATERIALIZED VIEW fails AS SELECT 1 / (length(mail) - 3) FROM people WITH NO DATA;"
                  "CREATE PUBLICATION everything FOR ALL TABLES;")
    world.people(5)
    world.sql("INSERT INTO people (id, mail) VALUES ('00000000-0000-0000-0000-000000000001', 'abc')")
    world.run("run", "--yes")
    said = world.run("status")
    assert "new side" in said and world.type_of("people", "id") == "uuid", (said, world.type_of("people", "id"))
    world.sql("INSERT INTO people (id, mail) VALUES ('00000000-0000-0000-0000-000000000002', 'later')")
    world.run("rollback", "--yes")
    assert world.one("SELECT count(*) FROM people") == 7 and world.type_of("people", "id") == "character varying(36)"
    world.nothing_is_left()
    world.close()

    # A policy elsewhere, an identity that is no key, rules, references by another unique column.
    world = World(server, ACCOUNTS + """
        CREATE TABLE docs (id integer PRIMARY KEY, o text REFERENCES people(mail)); ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
        CREATE POLICY p ON docs USING (EXISTS (SELECT FROM people u WHERE u.mail = docs.o));
        CREATE TABLE extra (id varchar(36) PRIMARY KEY REFERENCES people, n bigint GENERATED ALWAYS AS IDENTITY, v text);
        CREATE TABLE seen (x text); CREATE RULE r AS ON UPDATE TO people DO ALSO INSERT INTO seen VALUES (NEW.mail);
        ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO pg_monitor;""")
    ids = world.people(20)
    world.sql("INSERT INTO extra (id, v) SELECT id, 'a' FROM people")
    before = world.objects()
    world.run("run", "--until", "verify", "--yes")
    world.sql("UPDATE extra SET v = 'b'")
    world.run("run", "--yes")
    assert "whimbrel" not in world.one("SELECT qual FROM pg_policies WHERE tablename = 'docs'")
    assert before["tables"] == world.objects()["tables"], differences(before, world.objects())
    world.sql("UPDATE extra SET v = 'c'")
    world.sql("UPDATE people SET note = 'after' WHERE mail = 'p1@x'")
    world.sql("INSERT INTO people (id, mail) VALUES ('00000000-0000-0000-0000-000000000003', 'after')")
    world.sql("DELETE FROM extra WHERE id = '%s'" % ids[2])
    world.run("rollback", "--yes")
    assert world.one("SELECT count(*) FROM extra WHERE v = 'c'") == 19
    assert world.one("SELECT note FROM people WHERE mail = 'p1@x'") == "after" and world.one("SELECT count(*) FROM people") == 21
    assert world.one("SELECT count(*) FROM seen") == 1
    assert differences(before, world.objects()) == []
    world.sql("ALTER DEFAULT PRIVILEGES REVOKE ALL ON TABLES FROM pg_monitor")
    # A column that came since the switch is not given up in silence.
    world.run("run", "--yes")
    world.sql("ALTER TABLE people ADD phone text")
    assert "phone" in world.run("rollback", "--yes", code=3)
    world.sql("ALTER TABLE people DROP phone")
    world.run("rollback", "--yes")
    # Nor what was changed since the new table was made.
    for change, back in (("CREATE INDEX late ON people (note)", "DROP INDEX late"), ("ALTER TABLE people ADD fax text", "ALTER TABLE people DROP fax"),
                         ("ALTER TABLE people ALTER note SET DEFAULT 'x'", "ALTER TABLE people ALTER note SET DEFAULT 'none'")):
        world.run("run", "--until", "verify", "--yes")
        world.sql(change)
        assert "since the new table was made" in world.run("run", "--yes", code=3)
        assert world.type_of("people", "id") == "character varying(36)"
        world.run("rollback", "--yes")
        world.sql(back)
    world.nothing_is_left()
    world.close()

    # Numbers go on behind the end of the smaller type; two schemas have tables of one name.
    world = World(server, """CREATE SCHEMA "We ird"; CREATE TABLE "We ird"."Ta b" (id serial PRIMARY KEY, v text); CREATE TABLE "Ta b" (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY);""",
                  PLAN.replace("retype: [{table: app/public.people, column: id, to: uuid}]",
                               "retype:\n  - {table: 'app/\"We ird\".\"Ta b\"', column: id, to: bigint}\n  - {table: 'app/\"Ta b\"', column: id, to: bigint}\n"
                               "backup: {of: [source], to: 'schema:kept'}"))
    for number in range(3):
        world.sql('INSERT INTO "We ird"."Ta b" (v) VALUES (%s)', str(number))
    world.sql('INSERT INTO "Ta b" DEFAULT VALUES')
    world.run("run", "--yes")
    assert sorted(world.sql("SELECT relname, (SELECT count(*) FROM kept.\"Ta b\") FROM pg_class WHERE relnamespace = 'kept'::regnamespace AND relkind = 'r'")) == [("Ta b", 1), ("We ird.Ta b", 1)]
    for table in ('"We ird"."Ta b"', '"Ta b"'):
        world.sql("SELECT setval(pg_get_serial_sequence('%s', 'id'), 2147483647)" % table)
        assert world.one("INSERT INTO %s DEFAULT VALUES RETURNING id" % table) == 2147483648
        world.sql("DELETE FROM %s WHERE id > 2147483647" % table)
    world.run("rollback", "--yes")
    world.nothing_is_left()


def a_blocking_transaction_is_named_and_outlived(server):
    world = World(server)
    world.people(100)
    world.run("run", "--until", "verify", "--yes")
    with psycopg.connect(world.url, application_name="a forgotten session") as other:
        other.execute("UPDATE people SET note = 'open' WHERE mail = 'p1@x'")
        process = world.start("cutover", "--yes")
        out, err = process.communicate(timeout=120)
        assert process.returncode == 1, (process.returncode, out, err)
        assert "a forgotten session" in out + err, (out, err)
        assert world.type_of("people", "id") == "character varying(36)"
        other.rollback()
    world.run("run", "--yes")
    assert world.type_of("people", "id") == "uuid"


SMALL = """
CREATE TABLE people (id varchar(36) PRIMARY KEY, mail text);
CREATE TABLE small (id serial PRIMARY KEY, person varchar(36) REFERENCES people(id), v text, ip inet);
CREATE TABLE written (v text);
CREATE RULE counts AS ON UPDATE TO people DO ALSO INSERT INTO written VALUES ('counted');
CREATE RULE eats AS ON DELETE TO people DO INSTEAD NOTHING;
ALTER TABLE people DISABLE RULE eats;
INSERT INTO people SELECT gen_random_uuid()::text, 'm' || n FROM generate_series(1, 20) n;
INSERT INTO small (person, v, ip) SELECT id, 'old', '10.0.0.5' FROM people;
"""


def keys_that_come_again_find_their_way_back(server):
    """Deleted and made anew, moved away and back, exchanged: in one batch of the way back."""
    for number, statements in enumerate((
            ["DELETE FROM small WHERE id = 1", "INSERT INTO small SELECT 1, id, 'fresh', '::1' FROM people LIMIT 1"],
            ["UPDATE small SET id = 500 WHERE id = 1", "UPDATE small SET id = 1 WHERE id = 500"],
            ["UPDATE small SET id = 500 WHERE id = 1", "UPDATE small SET id = 1 WHERE id = 2", "UPDATE small SET id = 2 WHERE id = 500"])):
        world = World(server, SMALL)
        world.run("run", "--yes")
        for statement in statements:
            world.sql(statement)
        world.sql("UPDATE small SET v = 'seen', ip = '10.0.0.6' WHERE id = 7")
        world.sql("DELETE FROM people WHERE id = (SELECT id FROM people p WHERE NOT EXISTS (SELECT FROM small WHERE person = p.id) LIMIT 1)")
        after = world.sql("SELECT id, person::text, v, ip FROM small ORDER BY 1")
        world.run("run", "--yes")
        world.run("verify")
        world.run("rollback", "--yes")
        assert world.sql("SELECT id, person, v, ip FROM small ORDER BY 1") == after, number
        assert world.one("SELECT ev_enabled FROM pg_rewrite WHERE rulename = 'eats'") == "D"


def a_rule_that_is_off_stays_off_and_owners_stay(server):
    world = World(server, None)
    for role in ("keeper",):
        world.sql("DO $$ BEGIN CREATE ROLE %s; EXCEPTION WHEN duplicate_object THEN NULL; END $$" % role)
    world.sql(SMALL + "ALTER TABLE people OWNER TO keeper; ALTER TABLE small OWNER TO keeper;")
    world.run("run", "--yes")
    assert world.one("SELECT ev_enabled FROM pg_rewrite WHERE rulename = 'eats' AND ev_class = 'people'::regclass") == "D"
    owners = "SELECT relname, pg_get_userbyid(relowner) FROM pg_class WHERE relname IN ('people', 'small', 'small_id_seq') AND relnamespace = 'public'::regnamespace ORDER BY 1"
    wanted = [("people", "keeper"), ("small", "keeper"), ("small_id_seq", "keeper")]
    assert world.sql(owners) == wanted, world.sql(owners)
    world.run("rollback", "--yes")
    assert world.sql(owners) == wanted, world.sql(owners)
    assert world.one("SELECT nextval('small_id_seq')") == 21


def the_tables_are_those_that_it_began_with(server):
    """Whatever somebody does about who refers to whom before they change places."""
    changes = ("ALTER TABLE letters DROP CONSTRAINT letters_sender_fkey",
               "CREATE TABLE added (p varchar(36) REFERENCES people(id))", "DROP TABLE letters CASCADE")
    nothing = "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'whimbrel%' UNION ALL SELECT tgname FROM pg_trigger WHERE tgname LIKE 'whimbrel%'"
    for change in changes:
        world = World(server)
        world.people(20)
        world.run("run", "--until", "verify", "--yes")
        world.sql(change)
        if "DROP CONSTRAINT" in change:
            world.run("run", "--yes")
            assert {world.type_of("letters", "sender"), world.type_of("people", "id")} == {"uuid"}
        elif "CREATE TABLE" in change:
            told = world.run("run", "--yes", code=3)
            assert "began to refer" in told and "added" in told, told
        world.run("rollback", "--yes")
        assert world.type_of("people", "id") == "character varying(36)"
        assert world.sql(nothing) == [], (change, world.sql(nothing))


def a_domain_stays_one_and_a_default_means_something(server):
    world = World(server, "CREATE DOMAIN mail AS text CHECK (VALUE LIKE '%@%'); CREATE TABLE t (id integer PRIMARY KEY, x varchar(40));"
                          "INSERT INTO t VALUES (1, 'a@b')", PLAN.replace("public.people, column: id, to: uuid", "public.t, column: x, to: public.mail"))
    world.run("run", "--yes")
    assert world.type_of("t", "x") == "mail"
    world.run("rollback", "--yes")
    world = World(server, "CREATE TABLE t (id integer PRIMARY KEY, x text DEFAULT 'n/a'); INSERT INTO t VALUES (1, '3')",
                  PLAN.replace("public.people, column: id, to: uuid", "public.t, column: x, to: integer"))
    told = world.run("analyze", code=2)
    assert "the default of public.t.x is 'n/a'::text, which does not become the other type" in told, told


def rows_too_large_for_the_old_side_come_back_with_the_next_switch(server):
    world = World(server, "CREATE TABLE t (id serial PRIMARY KEY, v text); INSERT INTO t (v) VALUES ('a'), ('b');",
                  PLAN.replace("public.people, column: id, to: uuid", "public.t, column: id, to: bigint"))
    world.run("run", "--yes")
    world.sql("INSERT INTO t VALUES (3000000000, 'far'), (7, 'near')")
    world.sql("SELECT setval('t_id_seq', 3000000000)")
    world.run("rollback", "--yes")
    assert world.sql("SELECT id, v FROM t ORDER BY 1") == [(1, "a"), (2, "b"), (7, "near")]
    assert world.one("INSERT INTO t (v) VALUES ('next') RETURNING id") == 8
    world.run("run", "--yes")
    assert world.sql("SELECT id, v FROM t ORDER BY 1") == [(1, "a"), (2, "b"), (7, "near"), (8, "next"), (3000000000, "far")]


NAMED = """
CREATE TABLE people (id varchar(36) CONSTRAINT people_key PRIMARY KEY WITH (fillfactor = 70), number integer GENERATED ALWAYS AS IDENTITY
                     (SEQUENCE NAME people_numbers), mail text, boss varchar(36) CONSTRAINT has_boss REFERENCES people(id));
CREATE INDEX people_mail ON people (lower(mail), number);
CREATE FUNCTION notice() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER notices BEFORE INSERT ON people FOR EACH ROW EXECUTE FUNCTION notice();
COMMENT ON INDEX people_mail IS 'by mail'; COMMENT ON CONSTRAINT people_key ON people IS 'the key';
COMMENT ON CONSTRAINT has_boss ON people IS 'the boss''s'; COMMENT ON TRIGGER notices ON people IS 'notices';
COMMENT ON SEQUENCE people_numbers IS 'numbers'; GRANT USAGE ON SEQUENCE people_numbers TO keeper;
ALTER TABLE people ALTER COLUMN mail SET (n_distinct = -0.5); ALTER TABLE people SET (toast.autovacuum_enabled = false);
ALTER INDEX people_mail ALTER COLUMN 1 SET STATISTICS 300;
INSERT INTO people (id, mail) SELECT gen_random_uuid()::text, 'm' || n FROM generate_series(1, 9) n;
"""
ABOUT = """SELECT obj_description('people_mail'::regclass, 'pg_class'), obj_description('people_numbers'::regclass, 'pg_class'),
  (SELECT string_agg(obj_description(oid, 'pg_constraint'), ', ' ORDER BY conname) FROM pg_constraint WHERE conrelid = 'people'::regclass),
  (SELECT obj_description(oid, 'pg_trigger') FROM pg_trigger WHERE tgname = 'notices' AND tgrelid = 'people'::regclass),
  (SELECT reloptions::text FROM pg_class WHERE oid = 'people_key'::regclass), has_sequence_privilege('keeper', 'people_numbers', 'USAGE'),
  (SELECT array_agg(o)::text FROM pg_attribute, unnest(attoptions) o WHERE attrelid = 'people'::regclass AND attname = 'mail' AND o LIKE 'n_distinct%'),
  (SELECT t.reloptions::text FROM pg_class c JOIN pg_class t ON t.oid = c.reltoastrelid WHERE c.oid = 'people'::regclass),
  (SELECT attstattarget FROM pg_attribute WHERE attrelid = 'people_mail'::regclass AND attnum = 1), pg_get_serial_sequence('people', 'number')"""


def what_people_have_said_of_a_table_stays(server):
    world = World(server, None)
    world.sql("DO $$ BEGIN CREATE ROLE keeper; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
    world.sql(NAMED)
    before = world.sql(ABOUT)
    told = world.run("check")
    assert "functions work with public.people and are not looked into: public.notice()" in told or "notice()" in told, told
    world.run("run", "--yes")
    assert world.sql(ABOUT) == before, (world.sql(ABOUT), before)
    assert world.one("INSERT INTO people (id) VALUES (gen_random_uuid()) RETURNING number") == 10
    world.run("rollback", "--yes")
    assert world.sql(ABOUT) == before, (world.sql(ABOUT), before)
    two = PLAN.replace("to: uuid}]", "to: uuid}, {table: app/public.people, column: boss, to: text}]")
    world.plan.write_text(two)
    told = world.run("check", code=2)
    assert "people.boss is to become" in told, told


APART = """
CREATE EXTENSION IF NOT EXISTS btree_gist;
CREATE TABLE people (id varchar(36) PRIMARY KEY, mail text NOT NULL, slot integer, code text, active boolean DEFAULT true, span int4range);
CREATE UNIQUE INDEX people_mail ON people (lower(mail));
CREATE UNIQUE INDEX people_code ON people (code) WHERE active;
ALTER TABLE people ADD CONSTRAINT alone EXCLUDE USING gist (slot WITH =, span WITH &&) WHERE (active);
INSERT INTO people SELECT gen_random_uuid()::text, 'M' || n || '@x', n % 7, 'c' || n, true, int4range(n * 10, n * 10 + 9) FROM generate_series(1, 600) n;
"""
# Every row gets what another one had: first away, then there.
ROUND = """
CREATE TEMP TABLE now AS SELECT id, mail, slot, code, span, row_number() OVER (ORDER BY md5(id::text)) AS at FROM people;
UPDATE people SET active = false, mail = 'away ' || id::text;
UPDATE people p SET mail = upper(b.mail), slot = b.slot, code = b.code, span = b.span FROM now a JOIN now b ON b.at = a.at % (SELECT count(*) FROM now) + 1 WHERE p.id = a.id;
UPDATE people SET active = true;
DROP TABLE now;
"""


def what_expressions_and_exclusions_keep_apart_may_move(server):
    world = World(server, APART)
    world.run("run", "--yes", "--until", "copy")
    world.sql(ROUND)
    # One goes, and another has his mail address; a deleted one and a new one change places.
    world.sql("CREATE TEMP TABLE one AS SELECT * FROM people LIMIT 40; DELETE FROM people WHERE id IN (SELECT id FROM one);"
              "INSERT INTO people SELECT gen_random_uuid()::text, lower(mail), slot, code, active, span FROM one")
    wanted = world.sql("SELECT mail, slot, code, active, span::text FROM people ORDER BY 1")
    world.run("run", "--yes")
    assert world.sql("SELECT mail, slot, code, active, span::text FROM people ORDER BY 1") == wanted
    world.sql(ROUND.replace("upper", "lower"))
    wanted = world.sql("SELECT id::text, mail, slot, code, active, span::text FROM people ORDER BY 1")
    world.run("rollback", "--yes")
    assert world.sql("SELECT id, mail, slot, code, active, span::text FROM people ORDER BY 1") == wanted
    world.nothing_is_left()


def what_others_read_of_the_database_is_looked_at(server):
    world = World(server, SMALL)
    world.sql("CREATE PUBLICATION everything FOR ALL TABLES")
    told = world.run("check")
    assert "everything is FOR ALL TABLES" in told, told
    world.sql("DROP PUBLICATION everything")


def tells_its_story(server):
    """Every bash block of the example's README, in order, in one shell, on a copy of its folder."""
    world = World(server, "")
    copy = world.folder / "uuid-conversion"
    shutil.copytree(ROOT / "examples" / "uuid-conversion", copy)
    (world.folder / "bin").mkdir()
    os.symlink(BINARY, world.folder / "bin" / "whimbrel")
    blocks = re.findall(r"^```bash\n(.*?)^```", (copy / "README.md").read_text(), re.M | re.S)
    script = "set -euo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n" + "\n".join(blocks)
    done = subprocess.run(["bash", "-x", "-c", script], cwd=copy, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300,
                          env={**os.environ, "DATABASE_URL": server.url, "PATH": "%s:%s" % (world.folder / "bin", os.environ["PATH"])})
    assert done.returncode == 0, "exit %d\n%s\n%s" % (done.returncode, done.stdout[-1500:], done.stderr[-3000:])


def finish_that_is_killed_goes_on(server):
    world = World(server)
    world.people(300)
    world.run("run", "--yes")
    rnd = random.Random(9)
    world.kill_again_and_again(rnd, 8, (0.02, 0.25), "finish", "--yes", "--no-backup")
    world.run("finish", "--yes", "--no-backup")
    world.run("finish", "--yes", "--no-backup")
    assert world.one("SELECT count(*) FROM people") == 300 and world.type_of("people", "id") == "uuid"
    world.nothing_is_left()
    assert "no way back" in world.run("rollback", "--yes", code=3)


def what_cannot_be_made_anew_is_met_before_the_copy(server):
    """The exchange is tried while the new tables are empty."""
    for ddl, word in (("CREATE VIEW all_keys AS SELECT id FROM people UNION SELECT 'nobody'", "UNION"),
                      ("CREATE PUBLICATION few FOR TABLE people WHERE (id > 'b')", "WHERE")):
        world = World(server, ACCOUNTS + ddl)
        world.people(50)
        before = world.objects()
        said = world.run("run", "--yes", code=3)
        assert word in said and "hint:" in said and "no row has moved" in said, said
        assert "copying people" not in said, said
        assert world.type_of("people", "id") != "uuid" and differences(before, world.objects()) == []
        world.nothing_is_left()
        world.close()


def what_is_not_ours_to_make_anew_is_met_by_the_analysis(server):
    """Objects that hang on a view, that belong to others, or that only another session has."""
    with psycopg.connect(server.url, autocommit=True) as connection:
        for role in ("owner_of_all", "somebody"):
            connection.execute("DROP ROLE IF EXISTS %s" % role)
            connection.execute("CREATE ROLE %s LOGIN" % role)
    view = "CREATE VIEW named AS SELECT id, mail FROM people;"
    cases = [(view + "CREATE FUNCTION f() RETURNS SETOF named LANGUAGE sql AS 'SELECT * FROM named'", "f() depends on"),
             (view + "CREATE TABLE other (a int); ALTER TABLE other ENABLE ROW LEVEL SECURITY; CREATE POLICY seen ON other USING (a::text IN (SELECT mail FROM named))", "policy seen"),
             (view + "CREATE TABLE other (a named)", "column a of table"),
             (view + "CREATE VIEW upon AS SELECT * FROM named; RESET ROLE; ALTER VIEW upon OWNER TO somebody", "upon, which belongs to somebody"),
             ("RESET ROLE; CREATE PUBLICATION few FOR TABLE people", "few, which belongs to")]
    for ddl, word in cases:
        world = World(server, None)
        world.sql("GRANT CREATE ON DATABASE postgres TO owner_of_all; GRANT ALL ON SCHEMA public TO owner_of_all, somebody; SET ROLE owner_of_all;" + ACCOUNTS + ddl)
        world.url = re.sub("//([^@/]*@)?", "//owner_of_all@", server.url, count=1)
        said = world.run("analyze", code=3)
        assert "depends on" in said and word in said, (word, said)
        world.url = server.url
        world.nothing_is_left()
        world.close()
    world = World(server)
    with psycopg.connect(world.url, autocommit=True) as session:
        session.execute("CREATE TEMP VIEW mine AS SELECT mail FROM people")
        assert "a temporary one of another session" in world.run("analyze", code=3)
    world.run("analyze")
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("DROP PUBLICATION IF EXISTS few; REVOKE ALL ON DATABASE postgres FROM owner_of_all; "
                           "DROP OWNED BY owner_of_all, somebody; DROP ROLE owner_of_all, somebody")
    world.close()


def policies_of_tables_that_read_each_other_go_with_them(server):
    world = World(server, ACCOUNTS + "ALTER TABLE people ENABLE ROW LEVEL SECURITY; CREATE POLICY writes ON people USING (EXISTS (SELECT FROM letters WHERE sender = people.id));"
                                     "CREATE POLICY known ON letters USING (EXISTS (SELECT FROM people WHERE id = letters.sender))")
    world.people(30)
    before = world.objects()
    world.run("run", "--yes")
    world.run("rollback", "--yes")
    assert not differences(before, world.objects()), differences(before, world.objects())
    world.nothing_is_left()
    world.close()


def another_plan_for_the_same_table_waits(server):
    world = World(server)
    world.people(20)
    world.run("run", "--yes")
    other = World.__new__(World)
    other.url, other.folder = world.url, world.folder / "other"
    other.folder.mkdir()
    other.plan = other.folder / "plan.yaml"
    other.plan.write_text(PLAN.replace("column: id, to: uuid", "column: slot, to: bigint").replace("migration: ids", "migration: slots"))
    assert "in the hands of another plan" in other.run("analyze", code=2)
    world.run("finish", "--yes", "--no-backup", "--after", "0s")
    other.run("run", "--yes")
    assert world.type_of("people", "slot") == "bigint"
    world.close()


def identities_keep_names_types_and_rights(server):
    """Whose sequence has the name that the server would give to ours, and who may use it."""
    world = World(server, """
        DROP ROLE IF EXISTS reader_of_all; CREATE ROLE reader_of_all; ALTER DEFAULT PRIVILEGES GRANT ALL ON SEQUENCES TO reader_of_all;
        CREATE TABLE a (b_c int GENERATED ALWAYS AS IDENTITY PRIMARY KEY);
        CREATE TABLE a_b (c int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, id varchar(36) UNIQUE, n smallint GENERATED BY DEFAULT AS IDENTITY);
        INSERT INTO a_b (id) SELECT gen_random_uuid()::text FROM generate_series(1, 9);
        DROP ROLE IF EXISTS owner_of_one; CREATE ROLE owner_of_one; GRANT ALL ON SCHEMA public TO owner_of_one;
        REVOKE ALL ON SEQUENCE a_b_n_seq FROM reader_of_all; ALTER TABLE a_b OWNER TO owner_of_one; REVOKE TRUNCATE ON a_b FROM owner_of_one;
        ALTER DEFAULT PRIVILEGES REVOKE ALL ON SEQUENCES FROM reader_of_all""", PLAN.replace("public.people", "public.a_b"))
    asked = ("""SELECT c.relname, array(SELECT unnest(coalesce(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's'::"char" ELSE 'r' END, c.relowner)))::text ORDER BY 1), q.seqtypid::regtype::text, q.seqmax, pg_get_userbyid(c.relowner) FROM pg_class c
                LEFT JOIN pg_sequence q ON q.seqrelid = c.oid WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'S') ORDER BY 1""")
    before = world.sql(asked)
    world.run("run", "--yes")
    world.run("finish", "--yes", "--no-backup", "--after", "0s")
    assert world.sql(asked) == before, (before, world.sql(asked))
    world.sql("INSERT INTO a_b (id) VALUES (gen_random_uuid())")
    assert world.one("SELECT max(c) * 100 + max(n) FROM a_b") == 1010
    world.sql("DROP OWNED BY owner_of_one, reader_of_all CASCADE; DROP ROLE owner_of_one, reader_of_all")
    world.close()


def a_view_uses_the_indexes_of_the_new_type(server):
    """The server spells comparisons of a varchar with casts, which would keep those of a uuid from its index."""
    world = World(server, ACCOUNTS + """
        CREATE VIEW sent AS SELECT p.id, l.body FROM people p JOIN letters l ON l.sender = p.id;
        CREATE VIEW sent_by AS SELECT (p.id)::text AS key, p.id || '!' AS loud, l.body FROM people p JOIN letters l ON p.id = l.sender WHERE p.id <> '00000000-0000-0000-0000-000000000000';
        CREATE VIEW upon AS SELECT s.key FROM sent_by s JOIN people p ON p.id = s.key;
        CREATE TABLE orders (id int PRIMARY KEY, sender numeric); INSERT INTO orders VALUES (10, 10.00), (9, 9), (100, 10);
        CREATE VIEW alike AS SELECT o.id, q.sender FROM people p JOIN letters l ON l.sender = p.id JOIN orders o ON true JOIN orders q ON o.id::text = q.sender::text""")
    world.people(3000)
    alike = world.sql("SELECT DISTINCT id, sender::text FROM alike ORDER BY 1, 2")
    views = "SELECT viewname, definition FROM pg_views WHERE schemaname = 'public' ORDER BY 1"
    before, rows = world.sql(views), world.sql("SELECT key, loud, body FROM sent_by ORDER BY 1, 3")
    world.run("run", "--yes")
    world.sql("ANALYZE")
    plan = "\n".join(line for (line,) in world.sql("EXPLAIN SELECT * FROM sent WHERE id = (SELECT id FROM people LIMIT 1)"))
    assert "letters_sender" in plan and "Seq Scan on letters" not in plan, plan
    now = dict(world.sql(views))
    assert "l.sender = p.id" in now["sent"] and "p.id = l.sender" in now["sent_by"] and "(p.id)::text = s.key" in now["upon"], now
    assert world.sql("SELECT key, loud, body FROM sent_by ORDER BY 1, 3") == rows
    assert world.one("SELECT count(*) FROM upon") == len(rows)
    assert world.sql("SELECT DISTINCT id, sender::text FROM alike ORDER BY 1, 2") == alike and len(alike) == 2, alike
    world.run("rollback", "--yes")
    assert world.sql(views) == before
    world.close()


def who_began_to_refer_since_the_switch_is_named(server):
    world = World(server)
    ids = world.people(20)
    world.run("run", "--yes")
    world.sql("CREATE TABLE since (id int PRIMARY KEY, who uuid REFERENCES people, mail text REFERENCES people (mail))")
    world.sql("INSERT INTO since VALUES (1, %s, 'p0@x')", ids[0])
    world.sql("UPDATE people SET note = 'written since' WHERE id = %s", ids[0])
    said = world.run("rollback", "--yes", code=3)
    assert "DROP CONSTRAINT since_who_fkey" in said and "the new side still serves" in said, said
    assert world.type_of("people", "id") == "uuid"
    world.sql("ALTER TABLE since DROP CONSTRAINT since_who_fkey")
    world.run("rollback", "--yes")
    assert world.one("SELECT p.note FROM people p JOIN since s ON s.mail = p.mail") == "written since"
    world.nothing_is_left()
    world.close()


def a_collation_of_its_own_kind_is_read(server):
    world = World(server, "CREATE COLLATION loosely (provider = icu, locale = 'und-u-ks-level2', deterministic = false); CREATE TABLE people (id varchar(36) COLLATE loosely PRIMARY KEY);"
                          "INSERT INTO people SELECT gen_random_uuid() FROM generate_series(1, 20)")
    world.run("analyze")
    world.run("run", "--yes")
    world.run("rollback", "--yes")
    world.close()


def what_searches_in_a_query_is_carried(server):
    """varchar IN (SELECT varchar …) is spelled with a cast, for which a uuid has no operator."""
    world = World(server, ACCOUNTS + """
        CREATE VIEW within AS SELECT l.id FROM letters l WHERE l.sender IN (SELECT p.id FROM people p WHERE p.mail LIKE '1%');
        CREATE VIEW without AS SELECT l.id FROM letters l WHERE l.sender NOT IN (SELECT p.id FROM people p WHERE p.mail LIKE '1%');
        CREATE VIEW joined AS SELECT l.id, l.sender, p.mail FROM letters l JOIN people p ON p.id = l.sender;
        CREATE VIEW mixed AS SELECT l.id FROM letters l JOIN people p ON p.id = l.sender WHERE l.sender <> 'nobody';
        ALTER TABLE letters ENABLE ROW LEVEL SECURITY;
        CREATE POLICY known ON letters USING (sender IN (SELECT p.id FROM people p));
        CREATE TABLE apart (who varchar(36)); ALTER TABLE apart ENABLE ROW LEVEL SECURITY;
        CREATE POLICY too ON apart USING (EXISTS (SELECT FROM people p WHERE p.id = 'x'));""")
    ids = world.people(30)
    for number, one in enumerate(ids):
        world.sql("INSERT INTO letters (sender, body) VALUES (%s, %s)", one, str(number))
    before, objects = {name: sorted(world.sql("SELECT id FROM " + name)) for name in ("within", "without", "joined", "mixed")}, world.objects()
    world.run("analyze")
    world.run("run", "--yes")
    assert {name: sorted(world.sql("SELECT id FROM " + name)) for name in before} == before
    with psycopg.connect(world.url) as connection:
        connection.execute("SET enable_seqscan = off")
        plan = "\n".join(row[0] for row in connection.execute("EXPLAIN SELECT * FROM joined WHERE id = 7"))
    assert "people_pkey" in plan, plan  # although letters.id is no uuid
    policy = world.one("SELECT pg_get_expr(polqual, polrelid) FROM pg_policy WHERE polname = 'known' AND polrelid = 'letters'::regclass")
    assert "::text" not in policy, policy
    world.run("rollback", "--yes")
    assert {name: sorted(world.sql("SELECT id FROM " + name)) for name in before} == before
    left = differences(objects, world.objects())
    assert left == [], left
    world.close()


def what_others_called_like_ours_stays(server):
    world = World(server, ACCOUNTS + """
        CREATE SCHEMA whimbrel; CREATE TABLE whimbrel.precious (a integer); INSERT INTO whimbrel.precious VALUES (42);
        CREATE TABLE heard (n serial); CREATE FUNCTION hears() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO heard DEFAULT VALUES; RETURN NEW; END';
        CREATE TRIGGER whimbrel_audit AFTER INSERT ON people FOR EACH ROW EXECUTE FUNCTION hears();""")
    world.people(5)
    world.run("run", "--yes")
    heard = world.one("SELECT count(*) FROM heard")
    world.sql("INSERT INTO people (id, mail) VALUES (gen_random_uuid(), 'since')")
    assert world.one("SELECT count(*) FROM heard") == heard + 1
    world.run("rollback", "--yes")
    world.sql("INSERT INTO people (id, mail) VALUES (gen_random_uuid(), 'later')")
    assert world.one("SELECT count(*) FROM heard") == heard + 2
    assert world.sql("SELECT relname FROM pg_class WHERE relnamespace = 'whimbrel'::regnamespace AND relkind = 'r'") == [("precious",)]
    world.run("run", "--yes")
    world.run("finish", "--yes", "--after", "0s")
    assert world.one("SELECT a FROM whimbrel.precious") == 42
    world.close()


def what_hangs_on_a_kept_view_stays(server):
    world = World(server, ACCOUNTS + """
        CREATE MATERIALIZED VIEW m AS SELECT id, mail FROM people; CREATE UNIQUE INDEX m_id ON m (id); CREATE INDEX m_mail ON m (mail);
        CREATE MATERIALIZED VIEW asleep AS SELECT id FROM people WITH NO DATA; ALTER MATERIALIZED VIEW m ALTER mail SET COMPRESSION lz4;
        COMMENT ON INDEX m_mail IS 'by mail'; ALTER MATERIALIZED VIEW m CLUSTER ON m_mail; ALTER MATERIALIZED VIEW m ALTER COLUMN mail SET STORAGE EXTERNAL;
        CREATE STATISTICS s ON mail, note FROM people; ALTER STATISTICS s OWNER TO pg_monitor;""")
    world.people(5)
    world.sql("REFRESH MATERIALIZED VIEW m")
    look = """SELECT (SELECT obj_description('m_mail'::regclass)), (SELECT indisclustered FROM pg_index WHERE indexrelid = 'm_mail'::regclass),
        (SELECT attstorage::text || attcompression::text FROM pg_attribute WHERE attrelid = 'm'::regclass AND attname = 'mail'), (SELECT relispopulated FROM pg_class WHERE relname = 'asleep'), (SELECT pg_get_userbyid(stxowner) FROM pg_statistic_ext WHERE stxname = 's')"""
    before = world.sql(look)
    world.run("run", "--yes")
    assert world.sql(look) == before
    world.run("rollback", "--yes")
    assert world.sql(look) == before
    world.close()


WIDER = PLAN.replace("table: app/public.people, column: id, to: uuid", "table: app/public.p, column: id, to: bigint")


def sequences_and_kept_views_keep_nobody_waiting(server):
    """Whoever takes a number first, or reads a materialised view for long, goes on to the tables: no lock of ours is in between."""
    world = World(server, "CREATE TABLE p (id serial PRIMARY KEY, w text); INSERT INTO p (w) SELECT 'a' FROM generate_series(1, 500); CREATE MATERIALIZED VIEW m AS SELECT * FROM p", WIDER)
    stopped, errors, stalls = threading.Event(), [], []

    def work(statements, pause):
        with psycopg.connect(world.url) as connection:
            while not stopped.is_set():
                began = time.monotonic()
                try:
                    for statement in statements:
                        connection.execute(statement)
                        time.sleep(pause)
                    connection.commit()
                except psycopg.errors.ObjectNotInPrerequisiteState:
                    connection.rollback()  # it is filled again right after the switch
                except psycopg.Error as error:
                    errors.append(error)
                    connection.rollback()
                stalls.append(time.monotonic() - began - pause * len(statements))
    takes = ["SELECT nextval('p_id_seq')", "INSERT INTO p VALUES (currval('p_id_seq'), 'h')"]
    threads = [threading.Thread(target=work, args=one) for one in [(takes, 0.03)] * 3 + [(["SELECT count(*) FROM m"], 1.0), (["UPDATE p SET w = w || 'x' WHERE id = 7"], 0.02)]]
    for thread in threads:
        thread.start()
    try:
        for words in ("run", "rollback"):
            world.run(words, "--yes")
            time.sleep(0.3)
    finally:
        stopped.set()
        for thread in threads:
            thread.join()
    assert not errors, errors[:3]
    assert max(stalls) < 3, max(stalls)
    world.close()


def what_would_have_gone_with_its_row_stays_away(server):
    world = World(server, """CREATE TABLE users (id varchar PRIMARY KEY); CREATE TABLE comments (id bigint PRIMARY KEY);
        CREATE TABLE likes (user_id varchar, comment_id bigint NOT NULL REFERENCES comments ON DELETE CASCADE, PRIMARY KEY (user_id, comment_id));
        INSERT INTO comments VALUES (10), (11); INSERT INTO likes SELECT '22222222-2222-2222-2222-222222222222', id FROM comments""",
                  PLAN.replace("table: app/public.people, column: id, to: uuid", "table: app/public.users, column: id, to: uuid, also: [app/public.likes.user_id], orphans: delete"))
    world.run("run", "--yes")
    assert world.one("SELECT count(*) FROM likes") == 0
    world.sql("DELETE FROM comments WHERE id = 10")
    world.run("rollback", "--yes")
    found = world.sql("SELECT comment_id FROM likes")
    assert found == [(11,)], found
    assert world.one("SELECT convalidated FROM pg_constraint WHERE conname = 'likes_comment_id_fkey'"), 'not proven'
    world.nothing_is_left()
    world.close()


def numbers_go_on_behind_rows_that_come_again(server):
    """Rows with numbers that the old type cannot hold are kept by a rollback, and are there with the next switch."""
    for how in ("serial", "integer GENERATED BY DEFAULT AS IDENTITY"):
        world = World(server, "CREATE TABLE p (id %s PRIMARY KEY, w text); INSERT INTO p (w) SELECT 'a' FROM generate_series(1, 10)" % how, WIDER)
        world.run("run", "--yes")
        world.sql("SELECT setval(pg_get_serial_sequence('p', 'id'), 2147483646)")
        world.sql("INSERT INTO p (w) VALUES ('m'), ('over'), ('further')")
        world.run("rollback", "--yes")
        world.run("run", "--yes")
        assert world.one("INSERT INTO p (w) VALUES ('next') RETURNING id") == 2147483650, how
        world.close()


def an_index_that_means_nothing_to_the_type_is_named(server):
    world = World(server, ACCOUNTS + "CREATE INDEX people_id_like ON people (id varchar_pattern_ops)")
    said = " ".join(world.run("analyze", code=3).split())
    assert "(CREATE INDEX people_id_like ON" in said and "drop this index of the old table" in said, said
    world.close()


TESTS = [goes_there_and_back_under_writers, survives_being_killed_anywhere, keeps_everything_that_hangs_on_a_table, ends_with_finish, other_pairs_of_types,
         values_are_those_of_the_servers_cast, what_cannot_be_settled_is_told, ends_of_numbers_and_triggers_of_others,
         refuses_what_cannot_be_converted, what_cannot_be_made_anew_is_met_before_the_copy, spellings_come_back, two_spellings_of_one_key_are_refused_also_meanwhile, a_part_of_a_key_is_spelled_in_one_way, a_file_says_what_texts_are_meant, orphans_without_a_foreign_key_are_named, rewrites_in_a_window, a_long_hold_makes_nobody_a_victim, a_rewrite_that_is_killed_goes_on,
         a_spelling_that_comes_meanwhile_is_refused, what_a_second_reader_found, a_bad_key_that_came_and_went_stops_nothing, a_blocking_transaction_is_named_and_outlived, tells_its_story, finish_that_is_killed_goes_on,
         keys_that_come_again_find_their_way_back, a_rule_that_is_off_stays_off_and_owners_stay,
         the_tables_are_those_that_it_began_with, a_domain_stays_one_and_a_default_means_something, what_people_have_said_of_a_table_stays,
         rows_too_large_for_the_old_side_come_back_with_the_next_switch, what_others_read_of_the_database_is_looked_at,
         what_expressions_and_exclusions_keep_apart_may_move, what_is_not_ours_to_make_anew_is_met_by_the_analysis,
         policies_of_tables_that_read_each_other_go_with_them, another_plan_for_the_same_table_waits, identities_keep_names_types_and_rights, a_view_uses_the_indexes_of_the_new_type,
         what_searches_in_a_query_is_carried, what_others_called_like_ours_stays, what_hangs_on_a_kept_view_stays,
         sequences_and_kept_views_keep_nobody_waiting, what_would_have_gone_with_its_row_stays_away, numbers_go_on_behind_rows_that_come_again,
         an_index_that_means_nothing_to_the_type_is_named,
         a_collation_of_its_own_kind_is_read, who_began_to_refer_since_the_switch_is_named]


if __name__ == "__main__":
    run_tests(TESTS)

"""Tables with partitions get other types in place: the whole tree changes places, and what comes and goes meanwhile is followed.

The application and every comparison use psycopg and nothing of whimbrel's. Runs under
tools/servers/python, with WHIMBREL naming the binary; with NAME... some of the tests.
"""

import os
import pathlib
import random
import re
import sys
import time

import psycopg

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from retyped import World as Plain, Writers, differences, run_tests  # noqa: E402

# Letters by time, some of them by a hash below; tags by a hash of what gets another type.
PARTED = """
CREATE TABLE people (id varchar(36) PRIMARY KEY, mail text UNIQUE NOT NULL, slot integer UNIQUE, note text DEFAULT 'none');
CREATE SCHEMA attic;
CREATE TABLE letters (id bigserial, sender varchar(36) NOT NULL CONSTRAINT "from whom" REFERENCES people(id) ON DELETE CASCADE,
                      body text, sent timestamptz NOT NULL DEFAULT now(), size integer GENERATED ALWAYS AS (length(body)) STORED,
                      CONSTRAINT "letters key" PRIMARY KEY (id, sent)) PARTITION BY RANGE (sent);
COMMENT ON CONSTRAINT "from whom" ON letters IS 'who wrote it';
CREATE TABLE attic.letters_old PARTITION OF letters FOR VALUES FROM (MINVALUE) TO ('2026-01-01') WITH (fillfactor = 70);
CREATE TABLE "letters now" PARTITION OF letters FOR VALUES FROM ('2026-01-01') TO ('2100-01-01') PARTITION BY HASH (id);
CREATE TABLE letters_now_0 PARTITION OF "letters now" FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE letters_now_1 PARTITION OF "letters now" (CONSTRAINT short CHECK (length(body) < 1000)) FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE letters_rest PARTITION OF letters DEFAULT;
CREATE INDEX letters_sender ON letters (sender, sent DESC);
ALTER INDEX letters_now_1_sender_sent_idx RENAME TO "an odd name";
CREATE INDEX letters_old_body ON attic.letters_old (body) WHERE body <> '';
ALTER TABLE letters_now_0 ALTER COLUMN body SET DEFAULT 'zero', ALTER COLUMN body SET STORAGE EXTERNAL;
COMMENT ON TABLE letters_now_0 IS 'the even ones'; COMMENT ON COLUMN letters_now_0.body IS 'what is said';
CREATE STATISTICS how_they_go ON sender, sent FROM letters_now_0;
CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER loud BEFORE UPDATE ON letters FOR EACH ROW EXECUTE FUNCTION shout();
CREATE TRIGGER loud_alone BEFORE UPDATE ON letters_now_1 FOR EACH ROW EXECUTE FUNCTION shout();
CREATE VIEW early AS SELECT sender, count(*) FROM attic.letters_old GROUP BY 1;
CREATE TABLE tags (owner varchar(36) REFERENCES people(id) ON DELETE CASCADE, word text, PRIMARY KEY (owner, word)) PARTITION BY HASH (owner);
CREATE TABLE tags_0 PARTITION OF tags FOR VALUES WITH (MODULUS 3, REMAINDER 0);
CREATE TABLE tags_1 PARTITION OF tags FOR VALUES WITH (MODULUS 3, REMAINDER 1);
CREATE TABLE tags_2 PARTITION OF tags FOR VALUES WITH (MODULUS 3, REMAINDER 2);
CREATE TABLE stays (n integer PRIMARY KEY, who text REFERENCES people(mail) ON UPDATE CASCADE ON DELETE CASCADE) PARTITION BY RANGE (n);
CREATE TABLE stays_1 PARTITION OF stays FOR VALUES FROM (0) TO (10);
CREATE TABLE stays_2 PARTITION OF stays DEFAULT;
GRANT SELECT ON attic.letters_old TO PUBLIC;
"""


class World(Plain):
    def __init__(self, server, ddl=PARTED, **more):
        super().__init__(server, ddl, **more)

    def people(self, count):
        ids = super().people(count)
        self.sql("INSERT INTO letters (sender, body, sent) SELECT id, 'old ' || slot, '2020-01-01'::timestamptz + slot * interval '1 hour' FROM people WHERE slot % 3 = 0")
        self.sql("INSERT INTO letters (sender, body, sent) SELECT id, 'late', '2200-01-01' FROM people WHERE slot % 7 = 0")
        self.sql("INSERT INTO tags SELECT id, 'word ' || slot % 5 FROM people")
        self.sql("INSERT INTO stays SELECT slot, mail FROM people WHERE slot < 20 AND id IN (SELECT id FROM people ORDER BY slot LIMIT 3)")
        return ids

    def objects(self):
        """With what only partitions have; whose trees they are."""
        kinds = "c.relkind IN ('r', 'p') AND c.relnamespace IN ('public'::regnamespace, to_regnamespace('attic'))"
        return {
            **Plain.objects(self),
            "trees": self.sql("SELECT c.oid::regclass::text, i.inhparent::regclass::text, pg_get_expr(c.relpartbound, c.oid), pg_get_partkeydef(c.oid), c.reloptions::text, c.relacl::text, "
                              "obj_description(c.oid, 'pg_class') FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid WHERE " + kinds + " ORDER BY 1"),
            "columns of trees": self.sql("SELECT c.oid::regclass::text, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid), a.attstorage, "
                                         "col_description(c.oid, a.attnum) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND "
                                         "d.adnum = a.attnum WHERE a.attnum > 0 AND NOT a.attisdropped AND " + kinds + " ORDER BY 1, a.attnum"),
            "indexes of trees": self.sql("SELECT i.indexrelid::regclass::text, n.inhparent::regclass::text, pg_get_indexdef(i.indexrelid), i.indisvalid FROM pg_index i JOIN pg_class c ON "
                                         "c.oid = i.indrelid LEFT JOIN pg_inherits n ON n.inhrelid = i.indexrelid WHERE " + kinds + " ORDER BY 1"),
            "constraints of trees": self.sql("SELECT k.conrelid::regclass::text, k.conname, pg_get_constraintdef(k.oid), k.convalidated, k.conislocal, k.coninhcount FROM pg_constraint k "
                                             "JOIN pg_class c ON c.oid = k.conrelid WHERE k.contype <> 'n' AND " + kinds + " ORDER BY 1, 2, 3"),
        }

    def rows(self):
        return (self.sql("SELECT tableoid::regclass::text, id, sender::text, body, sent, size FROM letters ORDER BY id, sent"),
                self.sql("SELECT owner::text, word FROM tags ORDER BY 1, 2"))


def a_tree_goes_there_and_back_under_writers(server):
    world = World(server)
    before = world.objects()
    ids = world.people(2000)
    with Writers(world, ids) as writers:
        time.sleep(0.5)
        world.run("run", "--yes")
        time.sleep(0.5)
        for table, column in (("people", "id"), ("letters", "sender"), ("letters_now_1", "sender"), ("attic.letters_old", "sender"), ("tags_2", "owner")):
            assert world.type_of(table, column) == "uuid", table
        world.run("verify")
        on_the_new_side = world.objects()
        world.run("rollback", "--yes")
        time.sleep(0.3)
    assert not writers.errors, writers.errors[:3]
    assert max(writers.stalls) < 1.5, max(writers.stalls)
    writers.are_all_there()
    assert differences(before, world.objects()) == []
    # But for the types all was there as well.
    for kind in ("tables", "triggers", "statistics", "trees"):
        assert on_the_new_side[kind] == before[kind], differences({kind: before[kind]}, {kind: on_the_new_side[kind]})
    assert [one[:2] + one[3:] for one in on_the_new_side["indexes of trees"]] == [one[:2] + one[3:] for one in before["indexes of trees"]]
    assert [one[:2] + one[3:] for one in on_the_new_side["constraints of trees"]] == [one[:2] + one[3:] for one in before["constraints of trees"]]
    world.nothing_is_left()
    world.close()


def what_comes_and_goes_meanwhile_is_followed(server):
    """Partitions that the application makes, attaches with rows, empties and drops: before the switch and after it."""
    world = World(server)
    world.people(600)
    world.run("run", "--until", "follow", "--yes")

    def rows_of(table):
        return world.one("SELECT count(*) FROM " + table)

    def change(year, sender):
        """A new year with rows, one that was filled before it came, and one that is emptied and one that goes."""
        world.sql("DROP TABLE IF EXISTS gone_soon")
        world.sql("CREATE TABLE letters_%d PARTITION OF letters FOR VALUES FROM ('%d-01-01') TO ('%d-01-01')" % (year, year, year + 1))
        world.sql("INSERT INTO letters (sender, body, sent) SELECT id, 'of the year', '%d-05-05' FROM people LIMIT 20" % year)
        world.sql("CREATE TABLE filled_%d (id bigint NOT NULL, sender %s NOT NULL, body text, sent timestamptz NOT NULL, size integer GENERATED ALWAYS AS (length(body)) STORED)" % (year, sender))
        world.sql("INSERT INTO filled_%d SELECT 1000000 + 100 * %d + slot, id, 'filled', '%d-06-06' FROM people WHERE slot < 30" % (year, year, year + 1))
        world.sql("ALTER TABLE letters ATTACH PARTITION filled_%d FOR VALUES FROM ('%d-01-01') TO ('%d-01-01')" % (year, year + 1, year + 2))
        # What the default partition has of a year goes into one of that year, in one transaction.
        far = 2200 if year < 2105 else 2300
        world.sql("CREATE TEMP TABLE rest AS SELECT id, sender, body, sent FROM letters_rest WHERE sent >= '%d-01-01'; DELETE FROM letters_rest WHERE sent >= '%d-01-01';"
                  "CREATE TABLE letters_%d PARTITION OF letters FOR VALUES FROM ('%d-01-01') TO ('%d-01-01'); INSERT INTO letters (id, sender, body, sent) SELECT * FROM rest"
                  % (far, far, far, far, far + 1))
        assert rows_of("letters_%d" % far) > 0
        world.sql("TRUNCATE letters_rest")
        world.sql("INSERT INTO letters (sender, body, sent) SELECT id, 'after it was empty', '2300-01-01' FROM people LIMIT 3")

    change(2101, "varchar(36)")
    world.run("run", "--until", "verify", "--yes")
    world.sql("CREATE TABLE letters_2103 PARTITION OF letters FOR VALUES FROM ('2103-01-01') TO ('2104-01-01')")
    world.sql("INSERT INTO letters (sender, body, sent) SELECT id, 'just before', '2103-02-02' FROM people LIMIT 5")
    world.sql("DROP TABLE letters_2101")
    before, expected = world.objects(), world.rows()
    world.run("run", "--yes")
    assert world.rows() == expected
    assert world.type_of("letters_2103", "sender") == world.type_of("filled_2101", "sender") == "uuid"
    made = world.objects()
    assert [one[:2] for one in made["indexes of trees"]] == [one[:2] for one in before["indexes of trees"]], differences(before, made)
    # And with the new types.
    change(2105, "uuid")
    world.sql("DROP TABLE filled_2101; ALTER TABLE letters DETACH PARTITION letters_2103; ALTER TABLE letters_2103 DROP CONSTRAINT \"from whom\"")
    detached = rows_of("letters_2103")
    assert "0 differ" in world.run("verify")
    expected = world.rows()
    names = [one[:2] for one in world.objects()["indexes of trees"]]
    world.run("rollback", "--yes")
    assert world.rows() == expected and rows_of("letters_2103") == detached
    assert world.type_of("letters_2105", "sender") == world.type_of("filled_2105", "sender") == "character varying(36)"
    assert [one[:2] for one in world.objects()["indexes of trees"]] == names
    world.sql("DROP TABLE letters_2103")  # it was let go of with the new types
    world.nothing_is_left()
    # Once more, to the end.
    world.run("run", "--yes")
    world.run("finish", "--yes")
    assert world.rows() == expected and world.type_of("filled_2105", "sender") == "uuid"
    world.nothing_is_left()
    world.close()


def a_tree_survives_being_killed_anywhere(server):
    rnd = random.Random(int(os.environ.get("SEED", "7")))
    for _ in range(int(os.environ.get("ROUNDS", "2"))):
        world = World(server)
        before = world.objects()
        ids = world.people(1500)
        with Writers(world, ids, 2) as writers:
            world.kill_again_and_again(rnd, 6, (0.05, 1.8), "run", "--yes")
            world.run("run", "--yes")
            assert world.type_of("letters_now_0", "sender") == "uuid"
            world.kill_again_and_again(rnd, 4, (0.05, 0.9), "rollback", "--yes")
            world.run("rollback", "--yes")
            time.sleep(0.2)
        assert not writers.errors, writers.errors[:3]
        writers.are_all_there()
        assert differences(before, world.objects()) == []
        world.nothing_is_left()
        world.close()


def a_table_that_others_refer_to_may_have_partitions(server):
    """By a hash of its key; with a backup, by a rewrite in a window as well."""
    ddl = ("CREATE TABLE people (id varchar(36) PRIMARY KEY, boss varchar(36) REFERENCES people(id), note text) PARTITION BY HASH (id);"
           "CREATE TABLE people_0 PARTITION OF people FOR VALUES WITH (MODULUS 2, REMAINDER 0);"
           "CREATE TABLE people_1 PARTITION OF people FOR VALUES WITH (MODULUS 2, REMAINDER 1);"
           "CREATE TABLE letters (id serial PRIMARY KEY, sender varchar(36) NOT NULL REFERENCES people(id) ON DELETE CASCADE, body text);"
           "CREATE INDEX notes ON people (note)")
    for more in ("", "backup: {to: 'schema:migration_backup'}\n", "method"):
        world = Plain(server, ddl)
        if more == "method":
            world.plan.write_text(world.plan.read_text().replace("to: uuid", "to: uuid, method: rewrite").replace("sync: capture", "sync: none").replace("max_hold: 800ms", "window: {max: 60s}"))
        else:
            world.plan.write_text(world.plan.read_text() + more)
        world.sql("INSERT INTO people SELECT md5(i::text)::uuid::text, NULL, 'note ' || i FROM generate_series(1, 500) i")
        world.sql("UPDATE people SET boss = md5('1')::uuid::text WHERE note LIKE '%7'")
        world.sql("INSERT INTO letters (sender, body) SELECT id, note FROM people")

        def all_but_keys_to_a_partition():
            """The server has one for each, which is part of that to the table, and before 18 says of it for ever that nobody has looked at it."""
            return {kind: [one for one in things if not re.search(r"REFERENCES people_[01]", str(one))] for kind, things in World.objects(world).items()}

        tree = all_but_keys_to_a_partition()
        before = (world.sql("SELECT id::text, boss::text, note FROM people ORDER BY 1"), world.sql("SELECT id, sender::text, body FROM letters ORDER BY 1"))
        world.run("run", "--yes")
        assert world.type_of("people_1", "boss") == world.type_of("letters", "sender") == "uuid"
        assert before == (world.sql("SELECT id::text, boss::text, note FROM people ORDER BY 1"), world.sql("SELECT id, sender::text, body FROM letters ORDER BY 1"))
        world.sql("INSERT INTO people VALUES (md5('new')::uuid, md5('1')::uuid, 'new'); INSERT INTO letters (sender, body) VALUES (md5('new')::uuid, 'new'); DELETE FROM people WHERE note = 'note 2'")
        world.run("rollback", "--yes")
        changed = differences(tree, all_but_keys_to_a_partition())
        assert changed == [], (more, changed)
        counts = world.one("SELECT count(*) FROM people"), world.one("SELECT count(*) FROM letters")
        assert counts == (500, 500), (more, counts)
        world.close()


def what_a_loader_writes_without_triggers_is_found_again(server):
    """He has disabled them on one partition for a while, so nobody has noted what he wrote."""
    world = World(server)
    world.people(200)
    world.run("run", "--yes")
    written = "SELECT count(*) FROM letters WHERE body = 'loaded'"
    world.sql("ALTER TABLE letters_now_1 DISABLE TRIGGER USER")
    world.sql("UPDATE letters_now_1 SET body = 'loaded'")
    world.sql("ALTER TABLE letters_now_1 ENABLE TRIGGER USER")
    [(loaded,)] = world.sql(written)
    assert loaded > 0
    world.run("rollback", "--yes")
    assert world.sql(written) == [(loaded,)]
    world.nothing_is_left()
    world.close()


def what_cannot_be_divided_anew_is_told(server):
    for ddl, plan_table, word in (
            ("CREATE TABLE people (id varchar(36) PRIMARY KEY) PARTITION BY RANGE (id); CREATE TABLE people_1 PARTITION OF people DEFAULT", "people", "is divided by RANGE (id), and id gets another type"),
            ("CREATE TABLE people (id varchar(36), at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at); CREATE TABLE people_1 PARTITION OF people DEFAULT", "people_1", "a partition gets other types with its table"),
            ("CREATE TABLE people (id varchar(36) PRIMARY KEY); CREATE TABLE letters (sender varchar(36), at date, PRIMARY KEY (sender, at)) PARTITION BY RANGE (at); "
             "CREATE TABLE letters_1 PARTITION OF letters DEFAULT; ALTER TABLE letters_1 ADD CONSTRAINT own FOREIGN KEY (sender) REFERENCES people(id)", "people", "letters_1"),
            ("CREATE TABLE people (id varchar(36) PRIMARY KEY); CREATE TABLE more (x int) INHERITS (people)", "people", "inherit")):
        world = Plain(server, ddl)
        world.plan.write_text(world.plan.read_text().replace("public.people", "public." + plan_table))
        before = world.objects()
        said = world.run("analyze", code=2)
        assert word in said, said
        world.run("run", "--yes", code=2)
        assert differences(before, world.objects()) == []
        world.close()


if __name__ == "__main__":
    run_tests((a_tree_goes_there_and_back_under_writers, what_comes_and_goes_meanwhile_is_followed, a_tree_survives_being_killed_anywhere,
               a_table_that_others_refer_to_may_have_partitions,
               what_a_loader_writes_without_triggers_is_found_again, what_cannot_be_divided_anew_is_told))

"""Rows that refer to nothing by a column without a foreign key: what a plan wants of them when their column gets another type.

On a real PostgreSQL, with psycopg. Runs under tools/servers/python, with WHIMBREL naming the binary; with NAME... some of the tests.
"""

import pathlib
import random
import sys
import time
import uuid

import psycopg

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from effort import effort  # noqa: E402
from retyped import ACCOUNTS, PLAN, World, Writers, differences, run_tests  # noqa: E402

VISITS = ACCOUNTS + """
CREATE TABLE "the visits" (n serial, "at" text, person varchar(36), seen integer DEFAULT 0, doc jsonb, twice integer GENERATED ALWAYS AS (seen * 2) STORED,
                           PRIMARY KEY ("at", n));
CREATE TABLE touched (n integer);
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO touched VALUES (OLD.n); RETURN OLD; END $$;
CREATE TRIGGER gone AFTER DELETE ON "the visits" FOR EACH ROW EXECUTE FUNCTION touch();
"""
COLUMNS = 'n, "at", person::text, seen, doc::text, twice'


def plan_with(orphans, more=""):
    return PLAN.replace("to: uuid}", "to: uuid, orphans: %s, also: ['app/public.\"the visits\".person'], %s}" % (orphans, more))


def nobody(count):
    return [str(uuid.UUID(int=0xAB << 120 | i)) for i in range(count)]


class Visited(World):
    """Ten people, thirty visits of theirs, seven of nobody, one without anybody."""

    def __init__(self, server, orphans, more="", ddl=VISITS):
        super().__init__(server, ddl, plan_with(orphans, more))
        self.ids = self.people(10)
        self.lost = nobody(7)
        for number, key in enumerate(self.ids * 3 + self.lost + [None]):
            self.sql('INSERT INTO "the visits" ("at", person, doc) VALUES (%s, %s, \'{"b": 1, "a": [1.50]}\')', "place %d" % (number % 4), key)

    def visits(self, where="true"):
        return self.sql('SELECT %s FROM "the visits" WHERE %s ORDER BY n' % (COLUMNS, where))

    def of_nobody(self):
        return self.one('SELECT count(*) FROM "the visits" v WHERE person IS NOT NULL AND NOT EXISTS (SELECT FROM people p WHERE p.id = v.person)')


def each_word_is_carried_out_and_taken_back(server):
    for word, left in (("delete", 31), ("null", 38), ("{assign: KEY}", 38)):
        world = Visited(server, "fail")
        world.plan.write_text(plan_with(word.replace("KEY", world.ids[4])))
        objects, before = world.objects(), world.visits()
        said = world.run("analyze")
        assert "7 rows of" in said and "refer to no row of public.people" in said and "a rollback brings them back" in said, said
        assert world.visits() == before, "analyze wrote"
        world.run("run", "--yes", "--until", "verify")
        assert world.visits() == before, "the old table changed before the switch"
        world.run("run", "--yes")
        assert world.type_of('"the visits"', "person") == "uuid"
        assert world.of_nobody() == 0 and len(world.visits()) == left, (word, world.visits())
        if word.startswith("{"):
            assert len(world.visits("person = '%s'" % world.ids[4])) == 3 + 7
        world.run("watch")
        world.run("verify")
        # What the application does meanwhile stays.
        world.sql('UPDATE "the visits" SET seen = 5 WHERE person IS NULL OR person = %s', world.ids[0])
        after = {row[0]: row for row in world.visits()}
        world.run("rollback", "--yes")
        expected = [row[:3] + after.get(row[0], row)[3:] for row in before]
        assert world.visits() == expected, (word, [pair for pair in zip(world.visits(), expected) if pair[0] != pair[1]][:3])
        assert differences(objects, world.objects()) == []
        world.nothing_is_left()
        world.run("run", "--yes")
        assert world.of_nobody() == 0
        world.run("finish", "--yes", "--no-backup")
        assert world.of_nobody() == 0 and len(world.visits()) == left
        world.nothing_is_left()
        world.close()


def what_the_application_has_done_with_them_stays(server):
    world = Visited(server, "null")
    world.run("run", "--yes")
    one, two, three = [row[0] for row in world.visits("person IS NULL")[:3]]
    world.sql('UPDATE "the visits" SET person = %s WHERE n = %s', world.ids[2], one)
    world.sql('DELETE FROM "the visits" WHERE n = %s', two)
    world.run("rollback", "--yes")
    assert world.visits("n = %d" % one)[0][2] == world.ids[2] and not world.visits("n = %d" % two)
    assert world.visits("n = %d" % three)[0][2] in world.lost
    world.close()
    world = Visited(server, "delete")
    world.run("run", "--yes")
    gone = world.sql("SELECT n FROM touched ORDER BY n")
    assert len(gone) == 7, "a trigger of the application hears of what is deleted: %s" % gone
    world.sql('INSERT INTO "the visits" (n, "at", person) VALUES (%s, %s, %s)', gone[0][0], "place 2", world.ids[1])
    world.run("rollback", "--yes")
    assert world.visits("n = %d AND person = '%s'" % (gone[0][0], world.ids[1]))
    assert world.of_nobody() == (7 if world.visits("n = %d AND person <> '%s'" % (gone[0][0], world.ids[1])) else 6)
    assert len(world.sql("SELECT n FROM touched")) == 7
    world.close()


def the_row_that_they_are_given_to_may_go_meanwhile(server):
    world = Visited(server, "{assign: %s}" % nobody(9)[8])
    world.sql("INSERT INTO people (id, mail) VALUES (%s, 'm')", nobody(9)[8])
    world.sql('INSERT INTO "the visits" ("at", person) VALUES (%s, %s)', "place 9", nobody(9)[8])
    world.run("run", "--yes", "--until", "verify")
    world.sql("DELETE FROM people WHERE mail = 'm'")
    before = world.visits()
    world.run("run", "--yes")
    world.run("rollback", "--yes")
    assert world.visits() == before
    world.nothing_is_left()
    world.close()


def no_row_stays_away_because_of_a_unique_value(server):
    world = Visited(server, "delete")
    world.sql('ALTER TABLE "the visits" ADD slot integer UNIQUE; UPDATE "the visits" SET slot = n')
    before = world.visits()
    world.run("run", "--yes")
    taken = [row[0] for row in before if row[2] in world.lost][2]
    other = world.visits()[0][0]
    world.sql('UPDATE "the visits" SET slot = %s WHERE n = %s', taken, other)
    said = world.run("rollback", "--yes", code=3)
    assert "slot" in said and "bringing back rows" in said and "nothing is switched back" in said, said
    assert world.type_of('"the visits"', "person") == "uuid"
    world.sql('UPDATE "the visits" SET slot = n')
    world.run("rollback", "--yes")
    assert world.visits() == before
    world.nothing_is_left()
    world.close()


def no_trigger_keeps_a_row_away_in_silence(server):
    for word in ("delete", "null"):
        world = Visited(server, word)
        before = world.visits()
        world.sql("""CREATE FUNCTION only_known() RETURNS trigger LANGUAGE plpgsql AS $$
                     BEGIN RETURN CASE WHEN NEW.person IS NULL OR EXISTS (SELECT FROM people p WHERE p.id = NEW.person) THEN NEW END; END $$;
                     CREATE TRIGGER only_known BEFORE INSERT OR UPDATE ON "the visits" FOR EACH ROW EXECUTE FUNCTION only_known();
                     ALTER TABLE "the visits" ENABLE ALWAYS TRIGGER only_known""")
        world.run("run", "--yes")
        assert world.of_nobody() == 0
        assert "keeps a row from coming back" in world.run("rollback", "--yes", code=3)
        world.sql('ALTER TABLE "the visits" DISABLE TRIGGER only_known')
        world.run("rollback", "--yes")
        assert world.visits() == before
        world.nothing_is_left()
        world.close()


def an_ordinary_role_brings_them_back(server):
    """What it may not keep from being called finds its tables."""
    world = Visited(server, "delete")
    before, url = world.visits(), world.url
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("""CREATE FUNCTION come() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO touched VALUES (-NEW.n); RETURN NULL; END $$;
                              CREATE TRIGGER come AFTER INSERT ON "the visits" FOR EACH ROW EXECUTE FUNCTION come(); CREATE ROLE ordinary LOGIN""")
        try:
            connection.execute("ALTER SCHEMA public OWNER TO ordinary; GRANT CREATE ON DATABASE %s TO ordinary" % connection.execute("SELECT quote_ident(current_database())").fetchone())
            for table in ("people", "letters", '"the visits"', "touched", "writers"):
                connection.execute("ALTER TABLE %s OWNER TO ordinary" % table)
            world.url = url + ("&" if "?" in url else "?") + "user=ordinary"
            world.run("run", "--yes")
            assert len(world.sql("SELECT n FROM touched WHERE n > 0")) == 7
            world.run("rollback", "--yes")
            assert world.visits() == before
            assert len(world.sql("SELECT n FROM touched WHERE n < 0")) == 7
            world.nothing_is_left()
        finally:
            connection.execute("REASSIGN OWNED BY ordinary TO CURRENT_USER; DROP OWNED BY ordinary; DROP ROLE ordinary")
    world.close()


def what_cannot_be_done_is_refused_before_anything_moves(server):
    child = VISITS + 'CREATE TABLE notes (v text, n integer, FOREIGN KEY (v, n) REFERENCES "the visits" ("at", n) ON DELETE CASCADE);'
    world = Visited(server, "delete", ddl=child)
    key = world.one("""SELECT n FROM "the visits" WHERE person = %s""", world.lost[3])
    world.sql("""INSERT INTO notes SELECT "at", n FROM "the visits" WHERE n = %s""", key)
    said = world.run("run", "--yes", code=3)
    assert "public.notes refers to" in said and "1 row" in said, said
    world.sql("DELETE FROM notes")
    world.run("run", "--yes", "--until", "verify")
    world.sql("""INSERT INTO notes SELECT "at", n FROM "the visits" WHERE n = %s""", key)
    world.run("run", "--yes")
    assert world.of_nobody() == 1 and world.one("SELECT count(*) FROM notes") == 1, "a row went along with another"
    world.run("rollback", "--yes")
    assert world.of_nobody() == 7 and world.one("SELECT count(*) FROM notes") == 1
    world.close()

    world = Visited(server, "null")
    world.sql('DELETE FROM "the visits" WHERE person IS NULL')
    world.sql('ALTER TABLE "the visits" ALTER person SET NOT NULL')
    assert "is never null" in world.run("check", code=3)
    world.plan.write_text(plan_with("{assign: %s}" % nobody(9)[8]))
    assert "which is no row of public.people" in world.run("check", code=3)
    world.plan.write_text(plan_with("{assign: %s}" % world.ids[0]))
    world.sql('CREATE UNIQUE INDEX once ON "the visits" (person, n)')
    assert "is unique" in world.run("check", code=3)
    world.sql("UPDATE \"the visits\" SET seen = n WHERE person = '%s'" % world.ids[0])
    world.sql("DROP INDEX once; CREATE UNIQUE INDEX once ON \"the visits\" (lower(person)) WHERE seen = 0 AND person = '%s'" % world.ids[0])
    assert "duplicate key value" in world.run("check", code=3)
    world.sql('DROP INDEX once; UPDATE "the visits" SET seen = 0; ALTER TABLE "the visits" ADD CHECK (person IS NOT NULL OR seen > 0), ALTER person DROP NOT NULL')
    world.run("check")
    world.plan.write_text(plan_with("null"))
    assert 'violates check constraint "the visits_check"' in world.run("check", code=3)
    world.sql('UPDATE "the visits" SET seen = 1')
    world.run("check")
    if world.one("SELECT current_setting('server_version_num')::integer") >= 150000:
        world.sql('CREATE UNIQUE INDEX once ON "the visits" ("at", person) NULLS NOT DISTINCT WHERE person IS NULL')
        assert "duplicate key value" in world.run("check", code=3)
    world.plan.write_text(plan_with("reject"))
    assert "sets rows of a copy aside" in world.run("check", code=2)
    world.plan.write_text(plan_with("{assign: null}"))
    assert "names no row" in world.run("check", code=2)
    world.close()


def nothing_is_deleted_that_would_leave_others_without_it(server):
    """Also where no foreign key says that they refer to it: in the table itself, and in one that another entry names."""
    ddl = """CREATE TABLE people (id varchar(36) PRIMARY KEY, chief varchar(36)); CREATE TABLE orders (id varchar(36) PRIMARY KEY, person varchar(36));
             CREATE TABLE items (n serial PRIMARY KEY, "of order" varchar(36))"""
    own = PLAN.replace("to: uuid}", "to: uuid, also: [app/public.people.chief], orphans: delete}")
    other = PLAN.replace("to: uuid}", "to: uuid, also: [app/public.orders.person], orphans: delete}, {table: app/public.orders, column: id, to: uuid, also: [app/public.items.of order], orphans: keep}")
    for plan, table, refers in ((own, "people", "public.people.chief"), (other, "orders", "public.items.of order")):
        world = World(server, ddl, plan)
        key = nobody(9)
        column = "chief" if table == "people" else "person"
        world.sql("INSERT INTO people VALUES (%s, NULL)", key[0])
        for one, of in ((1, 0), (2, 8), (3, 8)):
            world.sql("INSERT INTO %s VALUES ('%s', '%s')" % (table, key[one], key[of]))
        world.sql("INSERT INTO people VALUES (%s, %s)" if table == "people" else 'INSERT INTO items ("of order", n) VALUES (%s, length(%s))', *((key[4], key[2]) if table == "people" else (key[2], key[4])))
        said = world.run("run", "--yes", code=3)
        assert "1 row that %s refers to" % refers in said, said
        refer = "DELETE FROM people WHERE id = '%s'" % key[4] if table == "people" else "DELETE FROM items"
        world.sql(refer)
        world.run("run", "--yes", "--until", "verify")
        if table == "people":
            world.sql("INSERT INTO people VALUES (%s, %s)", key[4], key[2])
        else:
            world.sql('INSERT INTO items ("of order") VALUES (%s)', key[2])
        rows = "SELECT id::text, %s::text FROM %s ORDER BY 1" % (column, table)
        before = world.sql(rows)
        world.run("run", "--yes")
        assert world.sql(rows) == [row for row in before if row[0] != key[3]], world.sql(rows)
        world.run("rollback", "--yes")
        assert world.sql(rows) == before
        world.nothing_is_left()
        world.close()


def another_row_is_named_by_the_key_that_it_has_now(server):
    ddl = """CREATE TABLE codes (code text PRIMARY KEY); INSERT INTO codes SELECT 'C-' || n FROM generate_series(1, 5) n;
             CREATE TABLE uses (n serial PRIMARY KEY, code text); INSERT INTO uses (code) VALUES ('C-1'), ('C-9'), ('C-8')"""
    meant = [str(uuid.UUID(int=0xCD << 120 | n)) for n in range(10)]
    for how, expected in (("to: integer, using: {cast: {split: code, by: '-', part: 2}, to: integer}, inverse: 'C-{code}'", ["1", "3", "3"]),
                          ("to: uuid, on_invalid: {map: ids.csv}", [meant[1], meant[3], meant[3]])):
        world = World(server, ddl, PLAN.replace("{table: app/public.people, column: id, to: uuid}",
                                                "{table: app/public.codes, column: code, %s, also: [app/public.uses.code], orphans: {assign: C-3}}" % how))
        (world.folder / "ids.csv").write_text("old,new\n" + "".join("C-%d,%s\n" % pair for pair in enumerate(meant)))
        before = world.sql("SELECT * FROM uses ORDER BY n")
        world.run("run", "--yes")
        assert [row[0] for row in world.sql("SELECT code::text FROM uses ORDER BY n")] == expected
        world.run("rollback", "--yes")
        assert world.sql("SELECT * FROM uses ORDER BY n") == before
        world.close()


def spellings_come_back_with_them(server):
    world = Visited(server, "delete", "on_invalid: normalise")
    odd = [one.upper() for one in world.lost[:3]] + ["{%s}" % world.lost[3]] + world.lost[4:]
    for was, now in zip(world.lost, odd):
        world.sql('ALTER TABLE "the visits" ALTER person TYPE text; UPDATE "the visits" SET person = \'%s\' WHERE person = \'%s\'' % (now, was))
    before = world.visits()
    world.run("run", "--yes")
    assert world.of_nobody() == 0
    world.run("rollback", "--yes")
    assert world.visits() == before, [pair for pair in zip(world.visits(), before) if pair[0] != pair[1]][:3]
    world.nothing_is_left()
    world.close()


def killed_anywhere_under_writers(server):
    rnd = random.Random(3)
    for word in effort(("null",), ("delete", "null")):
        world = Visited(server, word)
        with psycopg.connect(world.url) as connection, connection.cursor() as cursor:
            with cursor.copy('COPY "the visits" ("at", person, seen) FROM STDIN') as copy:
                for number in range(effort(20_000, 40_000)):
                    copy.write_row(("place %d" % (number % 7), world.ids[number % 10] if number % 4 else str(uuid.UUID(int=0xAB << 120 | number)), number))
        before = world.visits()
        with Writers(world, [], 2) as writers:
            world.kill_again_and_again(rnd, 6, (0.3, 1.8), "run", "--yes")
            world.run("run", "--yes")
            assert world.of_nobody() == 0
            world.kill_again_and_again(rnd, 6, (0.05, 0.8), "rollback", "--yes")
            world.run("rollback", "--yes")
            time.sleep(0.2)
        assert not writers.errors, writers.errors[:3]
        assert world.visits() == before, word
        world.nothing_is_left()
        world.close()


if __name__ == "__main__":
    run_tests([each_word_is_carried_out_and_taken_back, what_the_application_has_done_with_them_stays,
               the_row_that_they_are_given_to_may_go_meanwhile, no_row_stays_away_because_of_a_unique_value,
               no_trigger_keeps_a_row_away_in_silence, an_ordinary_role_brings_them_back, what_cannot_be_done_is_refused_before_anything_moves,
               nothing_is_deleted_that_would_leave_others_without_it, another_row_is_named_by_the_key_that_it_has_now,
               spellings_come_back_with_them, killed_anywhere_under_writers])

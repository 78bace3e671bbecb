"""Columns get another type while others use views upon the tables, and while other plans of the same database come and go.

Every look is psycopg's. Runs under tools/servers/python, with WHIMBREL naming the binary; with NAME... some of the tests.
"""

import pathlib
import sys
import threading
import time

import psycopg

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from retyped import Working, World, differences, run_tests  # noqa: E402

PLAN = """
whimbrel: 1
migration: %s
stores: {app: "${DATABASE_URL}"}
retype: [%s]
sync: capture
cutover: {max_hold: 900ms}
"""


class Readers(Working):
    """They read and write through a view, which is locked before its table."""

    def __init__(self, world, statements, each_second=60):
        self.world, self.statements, self.pause = world, statements, 1 / each_second
        self.stop = threading.Event()
        self.errors, self.stalls, self.times = [], [0.0], 0
        self.threads = [threading.Thread(target=self.work, args=(statement,)) for statement in statements for _ in range(2)]

    def work(self, statement):
        with psycopg.connect(self.world.url, autocommit=True) as connection:
            while not self.stop.is_set():
                began = time.monotonic()
                try:
                    connection.execute(statement)
                    self.times += 1
                except psycopg.Error as error:
                    self.errors.append(str(error))
                self.stalls.append(time.monotonic() - began)
                time.sleep(self.pause)


VIEWED = """
CREATE TABLE items (id integer PRIMARY KEY, v integer);
INSERT INTO items SELECT n, 0 FROM generate_series(1, 2000) n;
CREATE VIEW shown AS SELECT * FROM items;
CREATE VIEW few AS SELECT id, v FROM shown WHERE id < 1000;
"""


def views_that_are_used_all_the_time_stop_no_exchange(server):
    world = World(server, VIEWED, PLAN % ("viewed", "{table: app/public.items, column: id, to: bigint}"))
    before = world.objects()
    with Readers(world, ["SELECT v FROM shown WHERE id = 7", "SELECT v FROM few WHERE id = 8", "UPDATE shown SET v = v + 1 WHERE id = 9"]) as readers:
        time.sleep(0.3)
        world.run("run", "--yes")
        assert world.type_of("items", "id") == "bigint"
        time.sleep(0.3)
        world.run("rollback", "--yes")
        time.sleep(0.2)
    assert not readers.errors, readers.errors[:3]
    assert readers.times > 100 and max(readers.stalls) < 1.5, (readers.times, max(readers.stalls))
    assert differences(before, world.objects()) == []
    world.nothing_is_left()
    world.close()


TWO = """
CREATE TABLE a (id integer PRIMARY KEY);
CREATE TABLE b (id integer PRIMARY KEY);
INSERT INTO a SELECT n FROM generate_series(1, 50) n;
INSERT INTO b SELECT n FROM generate_series(1, 50) n;
CREATE VIEW va AS SELECT id / 2 AS h FROM a;
CREATE VIEW vb AS SELECT id / 2 AS h FROM b;
"""


def one_plan_leaves_the_texts_of_another_alone(server):
    one = World(server, TWO, PLAN % ("one", "{table: app/public.a, column: id, to: numeric}"))
    before = one.objects()
    other = World.__new__(World)
    other.url, other.folder = one.url, one.folder / "other"
    other.folder.mkdir()
    other.plan = other.folder / "plan.yaml"
    other.plan.write_text(PLAN % ("other", "{table: app/public.b, column: id, to: numeric}"))
    one.run("run", "--yes")
    other.run("run", "--yes")
    one.run("rollback", "--yes")
    other.run("rollback", "--yes")
    assert differences(before, one.objects()) == [], differences(before, one.objects())
    one.nothing_is_left()
    one.close()


def what_another_plan_has_not_settled_is_its_own_affair(server):
    ddl = TWO + "CREATE MATERIALIZED VIEW mb AS SELECT 100 / (SELECT count(*) FROM b WHERE id < 51) AS x;"
    one = World(server, ddl, PLAN % ("one", "{table: app/public.a, column: id, to: bigint}"))
    one.run("run", "--yes")
    one.sql("INSERT INTO whimbrel.to_settle (statement, source) VALUES ('REFRESH MATERIALIZED VIEW nowhere', 'public.b')")
    printed = one.run("finish", "--yes", "--after", "0s", "--no-backup")
    assert "nowhere" not in printed, printed
    one.close()


def a_table_keeps_its_owner_where_somebody_gives_new_ones_away(server):
    world = World(server, "CREATE TABLE t (id integer PRIMARY KEY); INSERT INTO t VALUES (1);", PLAN % ("own", "{table: app/public.t, column: id, to: bigint}"))
    world.sql("DROP ROLE IF EXISTS rb")
    world.sql("CREATE ROLE rb")
    world.sql("""CREATE FUNCTION give() RETURNS event_trigger LANGUAGE plpgsql AS $$ DECLARE r record; BEGIN
        FOR r IN SELECT * FROM pg_event_trigger_ddl_commands() WHERE command_tag = 'CREATE TABLE' LOOP EXECUTE format('ALTER TABLE %s OWNER TO rb', r.object_identity); END LOOP; END $$""")
    world.sql("CREATE EVENT TRIGGER giving ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION give()")
    try:
        owner = world.one("SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = 't'::regclass")
        world.run("run", "--yes")
        assert world.type_of("t", "id") == "bigint"
        assert world.one("SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = 't'::regclass") == owner
        world.run("rollback", "--yes")
    finally:
        world.sql("DROP EVENT TRIGGER giving")
        world.sql("DROP FUNCTION give()")
    world.close()


BETWEEN = """
CREATE TABLE p (id integer PRIMARY KEY, note text);
CREATE TABLE c (n serial PRIMARY KEY, p integer REFERENCES p (id));
INSERT INTO p SELECT n FROM generate_series(1, 20) n;
CREATE RULE r AS ON UPDATE TO p WHERE new.note = 'log' DO ALSO INSERT INTO c (p) VALUES (new.id);
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE CONSTRAINT TRIGGER ct AFTER INSERT ON p FROM c DEFERRABLE FOR EACH ROW EXECUTE FUNCTION nothing();
"""


def what_lies_between_two_of_the_tables_is_made_anew(server):
    world = World(server, BETWEEN, PLAN % ("between", "{table: app/public.p, column: id, to: bigint}"))
    before = world.objects()
    world.run("analyze")
    world.run("run", "--yes")
    world.sql("UPDATE p SET note = 'log' WHERE id = 3")
    assert world.sql("SELECT p FROM c") == [(3,)]
    world.run("rollback", "--yes")
    assert world.sql("SELECT p FROM c") == [(3,)]
    assert differences(before, world.objects()) == [], differences(before, world.objects())
    world.nothing_is_left()
    world.close()


KEPT = "CREATE TABLE p (id integer PRIMARY KEY, mail text UNIQUE); INSERT INTO p SELECT n, 'm' || n FROM generate_series(1, 20) n;"


def a_kept_row_that_cannot_come_back_is_named(server):
    world = World(server, KEPT, PLAN % ("kept", "{table: app/public.p, column: id, to: bigint}"))
    world.run("run", "--yes")
    world.sql("INSERT INTO p VALUES (3000000001, 'big')")
    world.run("rollback", "--yes")
    world.sql("INSERT INTO p VALUES (99, 'big')")
    printed = world.run("run", "--yes")
    assert "a row that a rollback has kept was not put back" in printed, printed
    assert "3000000001" in (world.folder / "state" / "rejected.jsonl").read_text()
    assert world.sql("SELECT id FROM p WHERE mail = 'big'") == [(99,)]
    world.run("rollback", "--yes")
    world.close()


NEIGHBOURS = """
CREATE TABLE acct (id integer PRIMARY KEY, name text NOT NULL, cents integer, legacy text NOT NULL);
INSERT INTO acct SELECT n, 'n' || n, n, 'l' FROM generate_series(1, 50) n;
"""


def a_column_that_must_have_a_value_keeps_no_other_from_going_back(server):
    """Neither a value that waits for the next attempt, nor a write to a row that is there."""
    world = World(server, NEIGHBOURS, PLAN % ("neighbours", "{table: app/public.acct, column: cents, to: bigint}"))
    world.run("run", "--yes")
    world.sql("UPDATE acct SET cents = 5000000000 WHERE id = 3")
    world.run("rollback", "--yes")
    assert world.sql("SELECT cents FROM acct WHERE id = 3") == [(3,)]
    world.run("run", "--yes")
    assert world.sql("SELECT name, cents FROM acct WHERE id = 3") == [("n3", 5000000000)]
    world.run("rollback", "--yes")
    world.nothing_is_left()
    world.close()
    plan = ("whimbrel: 1\nmigration: beside\nstores: {app: \"${DATABASE_URL}\"}\nsync: capture\ncutover: {max_hold: 900ms}\n"
            "tables: [{from: app/public.acct, to: app/public.acct2, create: new.sql, columns: {id: id, name: name}, rest: drop}]\n")
    world = World(server, NEIGHBOURS, plan)
    (world.folder / "new.sql").write_text("CREATE TABLE acct2 (id integer PRIMARY KEY, name text NOT NULL);")
    assert "rows made on the new side have no place here without one" in world.run("analyze")
    world.run("run", "--yes")
    world.sql("UPDATE acct2 SET name = 'changed' WHERE id = 3; INSERT INTO acct2 VALUES (51, 'new')")
    world.run("rollback", "--yes")
    assert world.sql("SELECT name, legacy FROM acct WHERE id IN (3, 51)") == [("changed", "l")]
    world.close()


def another_table_of_the_name_changes_no_places(server):
    world = World(server, "CREATE TABLE ev (id integer PRIMARY KEY, v integer); INSERT INTO ev SELECT n, n FROM generate_series(1, 300) n",
                  PLAN % ("rotated", "{table: app/public.ev, column: id, to: bigint}"))
    world.run("run", "--yes")
    world.sql("ALTER TABLE ev RENAME TO ev_2026; CREATE TABLE ev (id bigint PRIMARY KEY, v integer); INSERT INTO ev SELECT n, n FROM generate_series(1, 50) n")
    printed = world.run("rollback", "--yes", code=3)
    assert "the table that was public.ev is called public.ev_2026 by now" in printed, printed
    assert world.sql("SELECT (SELECT count(*) FROM ev), (SELECT count(*) FROM ev_2026)") == [(50, 300)]
    world.sql("ALTER TABLE ev RENAME TO ev_2027; ALTER TABLE ev_2026 RENAME TO ev")
    world.run("rollback", "--yes")
    assert world.type_of("ev", "id") == "integer" and world.sql("SELECT count(*) FROM ev_2027") == [(50,)]
    world.close()


def a_table_that_was_renamed_leaves_nothing_behind(server):
    world = World(server, "CREATE TABLE p (id integer PRIMARY KEY, v integer); INSERT INTO p SELECT n, n FROM generate_series(1, 300) n",
                  PLAN % ("renamed", "{table: app/public.p, column: id, to: bigint}"))
    world.run("run", "--yes", "--until", "follow")
    world.sql("ALTER TABLE p RENAME TO p9")
    world.run("rollback", "--yes")
    world.nothing_is_left()
    world.close()


def a_column_that_is_gone_is_named(server):
    world = World(server, "CREATE TABLE p (id integer PRIMARY KEY); CREATE TABLE c (id integer PRIMARY KEY, p integer REFERENCES p); "
                  "INSERT INTO p SELECT n FROM generate_series(1, 9) n; INSERT INTO c SELECT n, n FROM generate_series(1, 9) n",
                  PLAN % ("gone", "{table: app/public.p, column: id, to: bigint}"))
    world.run("run", "--yes")
    world.sql("ALTER TABLE c RENAME COLUMN p TO pp")
    for verb in ("verify", "rollback", "finish"):
        printed = world.run(verb, *(() if verb == "verify" else ("--yes",)), code=3)
        assert "had the column `p` when this migration began, and somebody has dropped or renamed it since" in printed, printed
    world.sql("ALTER TABLE c RENAME COLUMN pp TO p")
    world.run("rollback", "--yes")
    world.nothing_is_left()
    world.close()


def a_table_that_was_dropped_after_the_switch_takes_no_other_with_it(server):
    """Whichever of the two it was: what serves stays, each verb says what is left, and the way out that it names is one."""
    plan = PLAN % ("dropped", "{table: app/public.people, column: id, to: uuid}")
    people = "CREATE TABLE people (id varchar(36) PRIMARY KEY, w text); INSERT INTO people SELECT gen_random_uuid()::text, 'x' FROM generate_series(1, 20)"
    verbs = (["verify"], ["rollback", "--yes"], ["finish", "--yes", "--after", "0s"])
    world = World(server, people, plan)
    world.run("run", "--yes")
    world.sql("DROP TABLE whimbrel_old_public.people")
    for verb in verbs:
        said = " ".join(world.run(*verb, code=3).split())
        assert "dropped the old table of public.people" in said and "DROP SCHEMA whimbrel, whimbrel_old_public CASCADE" in said, said
        assert world.one("SELECT count(*) FROM people") == 20
    world.sql("DROP SCHEMA whimbrel, whimbrel_old_public CASCADE")
    world.sql("INSERT INTO people VALUES (gen_random_uuid(), 'since')")
    world.close()
    world = World(server, people, plan)
    world.run("run", "--yes")
    world.sql("DROP TABLE people; CREATE TABLE people (id uuid PRIMARY KEY, w text); INSERT INTO people VALUES (gen_random_uuid(), 'made anew')")
    for verb in verbs:
        said = " ".join(world.run(*verb, code=3).split())
        assert "somebody has dropped public.people since it was switched to" in said and "are in whimbrel_old_public.people" in said, said
        assert world.sql("SELECT w FROM people") == [("made anew",)]
        assert world.one("SELECT count(*) FROM whimbrel_old_public.people") == 20
    world.close()


def what_it_keeps_in_the_database_was_dropped(server):
    """Nothing is touched any more, and the way on is told."""
    for until, words in (([], "there is no way back: the new tables serve"), (["--until", "verify"], "begin anew with another `--state`: nothing is switched")):
        world = World(server, VIEWED, PLAN % ("kept", "{table: app/public.items, column: id, to: bigint}"))
        world.run("run", "--yes", *until)
        world.sql("DROP SCHEMA whimbrel CASCADE")
        for verb in ("rollback", "run"):
            said = " ".join(world.run(verb, "--yes", code=3).split())
            assert "what this migration keeps in `app` is gone" in said and words in said, said
        world.sql("UPDATE items SET v = 1 WHERE id = 7")
        world.close()


MOVED = """
whimbrel: 1
migration: moved
stores: {app: "${DATABASE_URL}"}
tables: [{from: app/users, to: app/people, create: people.sql, columns: {id: id, called: name}}]
sync: capture
cutover: {switches: [{command: [touch, new], undo: [rm, -f, new], state: [test, -e, new]}]}
finish: {after: 0s, keep_source: false}
"""


def another_table_in_the_place_of_an_old_one_does_not_go_with_it(server):
    world = World(server, "CREATE TABLE users (id int PRIMARY KEY, name text); INSERT INTO users VALUES (1, 'a'), (2, 'b')", MOVED)
    (world.folder / "people.sql").write_text("CREATE TABLE people (id int PRIMARY KEY, called text);", "utf-8")
    world.run("run", "--yes")
    world.sql("DROP TABLE users; CREATE TABLE users (id int PRIMARY KEY, name text); INSERT INTO users VALUES (100, 'theirs')")
    for verb in (["finish", "--yes"], ["run", "--yes"]):
        said = " ".join(world.run(*verb, code=3).split())
        assert "app/public.users is another table than the one that this migration knows" in said, said
        assert world.sql("SELECT * FROM users") == [(100, "theirs")]
    said = world.run("rollback", "--yes")
    assert "1 row of the old side gave way" in said, said
    assert "theirs" in (world.folder / "state" / "repaired.jsonl").read_text("utf-8")
    assert world.sql("SELECT * FROM users ORDER BY id") == [(1, "a"), (2, "b")]
    world.close()


TESTS = [what_it_keeps_in_the_database_was_dropped, another_table_in_the_place_of_an_old_one_does_not_go_with_it, a_table_that_was_dropped_after_the_switch_takes_no_other_with_it, a_column_that_must_have_a_value_keeps_no_other_from_going_back, another_table_of_the_name_changes_no_places,
         a_table_that_was_renamed_leaves_nothing_behind, a_column_that_is_gone_is_named, views_that_are_used_all_the_time_stop_no_exchange, one_plan_leaves_the_texts_of_another_alone, what_another_plan_has_not_settled_is_its_own_affair,
         a_table_keeps_its_owner_where_somebody_gives_new_ones_away, what_lies_between_two_of_the_tables_is_made_anew, a_kept_row_that_cannot_come_back_is_named]

if __name__ == "__main__":
    run_tests(TESTS)

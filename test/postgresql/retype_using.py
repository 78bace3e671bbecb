"""Columns get another type by what the plan says of a value: `using:` and `inverse:`, on a real PostgreSQL.

Every look is psycopg's. Runs under tools/servers/python, with WHIMBREL naming the binary; with NAME... some of the tests.
"""

import pathlib
import sys
import threading
import time

import psycopg

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from retyped import World, Working, differences, run_tests  # noqa: E402

ORDERS = """
CREATE TABLE orders (id serial PRIMARY KEY, status varchar(10) NOT NULL DEFAULT 'open', n integer NOT NULL DEFAULT 0);
CREATE INDEX orders_status ON orders (status, n);
INSERT INTO orders (status, n) SELECT (ARRAY['open', 'closed', 'lost'])[i % 3 + 1], i FROM generate_series(1, 4000) i;
"""
PLAN = """
whimbrel: 1
migration: words
stores: {app: "${DATABASE_URL}"}
retype:
  - %s
sync: capture
cutover: {max_hold: 800ms}
"""
WORDS = "{map: status, values: {open: 0, closed: 1, lost: 2}}"


def entry(table, column, to, more=""):
    return PLAN % ("{table: app/public.%s, column: %s, to: %s%s}" % (table, column, to, more))


class Clerk(Working):
    """Writes orders, in the type that the column has just now."""

    def __init__(self, world):
        self.world, self.stop, self.errors, self.written = world, threading.Event(), [], 0
        self.threads = [threading.Thread(target=self.work)]

    def work(self):
        words = ["open", "closed", "lost"]
        with psycopg.connect(self.world.url, autocommit=True, prepare_threshold=None) as connection:
            while not self.stop.is_set():
                n = self.written
                try:
                    with connection.transaction():
                        connection.execute("LOCK TABLE orders IN ROW EXCLUSIVE MODE")
                        kind = connection.execute("SELECT atttypid::regtype::text FROM pg_attribute WHERE attrelid = 'orders'::regclass AND attname = 'status'").fetchone()[0]
                        status = n % 3 if kind == "smallint" else words[n % 3]
                        connection.execute("INSERT INTO orders (status, n) VALUES (%s, %s)", (status, n))
                        connection.execute("UPDATE orders SET status = %s, n = n + %s WHERE id = %s", (status, n % 2, 1 + n * 7 % 4000))
                    self.written += 1
                except psycopg.Error as error:
                    self.errors.append(str(error).splitlines()[0])
                time.sleep(0.002)


def words_become_numbers_and_words_again(server):
    world = World(server, ORDERS + "ALTER TABLE orders ADD CONSTRAINT long CHECK (length(status::text) > 0);", entry("orders", "status", "smallint", ", using: " + WORDS))
    before = world.objects()
    texts = world.sql("SELECT id, status FROM orders ORDER BY id")
    world.run("run", "--yes")
    assert world.type_of("orders", "status") == "smallint"
    assert world.sql("SELECT id, status FROM orders ORDER BY id") == [(one, ["open", "closed", "lost"].index(word)) for one, word in texts]
    assert world.one("INSERT INTO orders DEFAULT VALUES RETURNING status") == 0
    world.sql("UPDATE orders SET status = 2 WHERE id = 5; INSERT INTO orders (status) VALUES (1); DELETE FROM orders WHERE id = 6")
    assert "0 differ" in world.run("verify")
    world.run("rollback", "--yes")
    wanted = dict(texts)
    wanted.update({5: "lost", 4001: "open", 4002: "closed"})
    del wanted[6]
    assert dict(world.sql("SELECT id, status FROM orders")) == wanted
    assert differences(before, world.objects()) == []
    world.nothing_is_left()
    world.run("run", "--yes")
    world.run("finish", "--yes", "--no-backup")
    assert world.type_of("orders", "status") == "smallint"
    world.nothing_is_left()


def nothing_is_lost_beside_a_clerk(server):
    world = World(server, ORDERS, entry("orders", "status", "smallint", ", using: " + WORDS))
    with Clerk(world) as clerk:
        time.sleep(0.3)
        world.run("run", "--yes")
        time.sleep(0.4)
        assert "0 differ" in world.run("verify")
        world.run("rollback", "--yes")
        time.sleep(0.3)
    assert not clerk.errors, clerk.errors[:3]
    assert world.one("SELECT count(*) FROM orders WHERE status NOT IN ('open', 'closed', 'lost')") == 0
    assert world.one("SELECT count(*) FROM orders") == 4000 + clerk.written
    world.nothing_is_left()


CODES = """
CREATE TABLE codes (code varchar(20) PRIMARY KEY, word text);
CREATE TABLE items (id bigint PRIMARY KEY, code_of varchar(20) REFERENCES codes ON UPDATE CASCADE, loose varchar(20));
INSERT INTO codes SELECT 'C-' || i, 'w' || i FROM generate_series(1, 500) i;
INSERT INTO items SELECT i, CASE WHEN i % 9 > 0 THEN 'C-' || (1 + i % 500) END, 'C-' || (1 + i % 500) FROM generate_series(1, 2000) i;
"""
CUT = ', using: {cast: {split: code, by: "-", part: 2}, to: integer}, inverse: "C-{code}", also: [app/public.items.loose]'


def keys_and_what_refers_to_them_get_it_the_same_way(server):
    world = World(server, CODES, entry("codes", "code", "integer", CUT))
    before = world.objects()
    rows = world.sql("SELECT * FROM items ORDER BY id")
    assert "come back otherwise" not in world.run("analyze")
    world.run("run", "--yes")
    assert [world.type_of(*one) for one in (("codes", "code"), ("items", "code_of"), ("items", "loose"))] == ["integer"] * 3
    assert world.one("SELECT count(*) FROM items i JOIN codes c ON c.code = i.code_of AND c.word = 'w' || c.code") == world.one("SELECT count(code_of) FROM items")
    world.sql("INSERT INTO codes VALUES (9001, 'new'); INSERT INTO items VALUES (9001, 9001, 9001); UPDATE items SET code_of = 9001 WHERE id = 1; UPDATE codes SET code = 9002 WHERE code = 2")
    world.run("verify")
    world.run("rollback", "--yes")
    assert world.sql("SELECT * FROM items WHERE id = 9001") == [(9001, "C-9001", "C-9001")]
    assert world.sql("SELECT code_of FROM items WHERE id = 1") == [("C-9001",)]
    assert world.one("SELECT count(*) FROM items WHERE code_of = 'C-9002'") == sum(row[1] == "C-2" for row in rows if row[0] != 1)
    same = [row for row in rows if row[0] != 1 and row[1] != "C-2"]
    assert [row for row in world.sql("SELECT * FROM items ORDER BY id") if row in same] == same
    assert differences(before, world.objects()) == []
    world.nothing_is_left()


def keys_that_become_one_never_write_over_each_other(server):
    # The row that is refused is not in the first chunk, so that something has moved by then.
    world = World(server, CODES, entry("codes", "code", "integer", CUT) + "limits: {batch_size: 20}\n")
    world.run("run", "--yes", "--until", "prepare")
    world.sql("INSERT INTO codes VALUES ('D-5', 'other')")
    assert "'D-5'" in world.run("run", "--yes", code=1)
    world.sql("DELETE FROM codes WHERE code = 'D-5'")
    world.run("run", "--yes", "--until", "verify")
    world.sql("INSERT INTO codes VALUES ('D-6', 'other')")
    told = world.run("run", "--yes", code=3)
    assert "'C-6'" in told and "'D-6'" in told, told
    assert world.one("SELECT word FROM whimbrel_new_public.codes WHERE code = 6") == "w6"
    world.sql("DELETE FROM codes WHERE code = 'D-6'")
    world.run("run", "--yes", "--until", "verify")
    world.sql("UPDATE codes SET code = 'D-7' WHERE code = 'C-7'")  # it would come back as C-7
    assert "'D-7'" in world.run("run", "--yes", code=3)
    world.sql("UPDATE codes SET code = 'C-7' WHERE code = 'D-7'; INSERT INTO codes VALUES ('D-8', 'other')")
    world.sql("DELETE FROM codes WHERE code = 'D-8'")
    assert "0 differ" in world.run("run", "--yes")
    assert world.one("SELECT count(*) FROM codes WHERE word = 'w' || code") == 500
    world.run("rollback", "--yes")
    assert world.one("SELECT count(*) FROM codes WHERE 'C-' || substr(word, 2) = code") == 500
    world.nothing_is_left()


def what_would_not_come_back_is_told_before(server):
    world = World(server, "CREATE TABLE things (id integer PRIMARY KEY, word text); INSERT INTO things SELECT i, CASE WHEN i % 10 = 0 THEN 'Big' ELSE 'w' || i END FROM generate_series(1, 100) i",
                  entry("things", "word", "varchar(20)", ', using: "{word|lower}", inverse: word'))
    told = world.run("analyze")
    assert "10 rows would come back otherwise" in told and "'Big' would come back as 'big'" in told, told
    world.run("run", "--yes")
    world.run("rollback", "--yes")
    assert world.one("SELECT count(*) FROM things WHERE word = 'Big'") == 10  # nobody has changed them since
    world.nothing_is_left()


def what_is_made_with_the_type_is_looked_at_before(server):
    world = World(server, ORDERS + "ALTER TABLE orders ADD CONSTRAINT known CHECK (status IN ('open', 'closed', 'lost')); CREATE INDEX lowered ON orders (status varchar_pattern_ops)",
                  entry("orders", "status", "smallint", ", using: " + WORDS))
    told = world.run("analyze", code=3)
    assert 'cannot be made: operator class "varchar_pattern_ops" does not accept data type smallint' in told, told
    world.sql("DROP INDEX lowered")
    told = world.run("run", "--yes", code=3)
    assert "4,000 rows would not be taken by the target" in told and 'violates check constraint "known"' in told, told
    world.nothing_is_left()
    world.sql("ALTER TABLE orders DROP CONSTRAINT known; UPDATE orders SET status = 'Closed' WHERE n = 4; CREATE UNIQUE INDEX apart ON orders (status) WHERE n = 1 OR n = 4")
    world.plan.write_text(entry("orders", "status", "smallint", ", using: {map: status, values: {open: 0, closed: 1, Closed: 1, lost: 2}}"))
    told = world.run("analyze", code=3)
    assert "1 row would not be taken by the target" in told and '"apart"' in told, told
    world.plan.write_text(entry("orders", "status", "smallint", ", using: " + WORDS))
    world.sql("DROP INDEX apart; UPDATE orders SET status = 'closed' WHERE n = 4; ALTER TABLE orders ALTER COLUMN status SET DEFAULT lower('OPEN')")
    told = world.run("check", code=2)
    assert "the default of public.orders.status is lower('OPEN'::text)" in told and "DROP DEFAULT" in told, told
    world.sql("ALTER TABLE orders ALTER COLUMN status SET DEFAULT 'gone'")
    assert "the default of public.orders.status is 'gone'" in world.run("check", code=2)
    world.sql("ALTER TABLE orders ALTER COLUMN status DROP DEFAULT; INSERT INTO orders (status) VALUES ('odd')")
    told = world.run("run", "--yes", code=3)
    assert "'odd'" in told, told
    world.nothing_is_left()


def a_word_that_comes_meanwhile_stops_it_by_name(server):
    world = World(server, ORDERS, entry("orders", "status", "smallint", ", using: " + WORDS))
    world.run("run", "--yes", "--until", "copy")
    world.sql("UPDATE orders SET status = 'odd' WHERE id = 77")
    told = world.run("run", "--yes", code=3)
    assert "key 77" in told and "'odd'" in told, told
    world.sql("UPDATE orders SET status = 'open' WHERE id = 77")
    world.run("run", "--yes")
    world.sql("UPDATE orders SET status = 9 WHERE id = 78")
    world.run("rollback", "--yes")
    assert world.one("SELECT status FROM orders WHERE id = 78") == "9"
    world.nothing_is_left()


def times_may_be_said_in_another_way(server):
    world = World(server, "CREATE TABLE things (id integer PRIMARY KEY, at bigint, seen timestamp); INSERT INTO things SELECT i, 1700000000 + i, timestamp '2026-01-01' + i * interval '1 hour' FROM generate_series(1, 300) i",
                  entry("things", "at", "timestamptz", ", using: {time: at, from: epoch_s, as: iso8601}"))
    world.run("run", "--yes")
    assert world.one("SELECT count(*) FROM things WHERE at = to_timestamp(1700000000 + id)") == 300
    world.sql("UPDATE things SET at = '2030-01-01T00:00:00Z' WHERE id = 1")
    world.run("rollback", "--yes")
    assert world.sql("SELECT id, at FROM things WHERE at IS DISTINCT FROM CASE WHEN id = 1 THEN 1893456000 ELSE 1700000000 + id END") == []
    world.nothing_is_left()
    world.plan.write_text(entry("things", "seen", "timestamptz"))
    assert "which time zone is meant" in world.run("check", code=2)


def what_cannot_be_meant_is_refused(server):
    world = World(server, CODES, entry("codes", "code", "integer", ', using: {cast: word, to: integer}'))
    told = world.run("check", code=2)
    assert "reads `word`" in told or "key" in told, told
    for more, wanted in ((", inverse: code", "is the way back from `using:`"), (", using: code, on_invalid: normalise", "so does `on_invalid:`"),
                         (", using: nothing", "no column `nothing`"), (", using: {cast: code}", "plan.yaml"), (', using: "C{code}", inverse: other', "no column `other`")):
        world.plan.write_text(entry("codes", "code", "integer", more))
        told = world.run("check", code=2)
        assert wanted in told, (more, told)
    world.nothing_is_left()


class Exchanger(Working):
    """Gives unique values from one row to another, without an end."""

    def __init__(self, world):
        self.world, self.stop, self.exchanged = world, threading.Event(), 0
        self.threads = [threading.Thread(target=self.work)]

    def work(self):
        with psycopg.connect(self.world.url, autocommit=True) as connection:
            while not self.stop.is_set():
                one, other = 1 + self.exchanged * 7 % 30000, 60000 - self.exchanged * 11 % 30000
                with connection.transaction():
                    slots = dict(connection.execute("SELECT id, slot FROM things WHERE id IN (%s, %s)", (one, other)).fetchall())
                    connection.execute("UPDATE things SET slot = 'away' WHERE id = %s", (one,))
                    connection.execute("UPDATE things SET slot = %s WHERE id = %s", (slots[one], other))
                    connection.execute("UPDATE things SET slot = %s WHERE id = %s", (slots[other], one))
                self.exchanged += 1


def values_that_move_while_it_looks_are_no_refusal(server):
    world = World(server, "CREATE TABLE things (id integer PRIMARY KEY, slot varchar(20) UNIQUE); INSERT INTO things SELECT i, 's-' || i FROM generate_series(1, 60000) i",
                  entry("things", "slot", "integer", ', using: {cast: {split: slot, by: "-", part: 2}, to: integer}, inverse: "s-{slot}"'))
    with Exchanger(world) as exchanger:
        world.run("analyze")
        assert exchanger.exchanged > 100, exchanger.exchanged
    world.run("run", "--yes", "--until", "verify")
    world.run("rollback", "--yes")
    world.nothing_is_left()


def plainly(server, ddl, to, column="id"):
    return World(server, ddl, entry("t", column, to))


def new_keys_that_become_one_old_key_take_no_row_away(server):
    """The old type keeps less of a key than the new one: who comes to stand on a row that is there waits."""
    for old, new, there, comes in (("date", "timestamp", "2020-01-01", "2020-01-01 10:00"), ("float8", "numeric", "0.1", "0.10000000000000000001")):
        world = plainly(server, "CREATE TABLE t (id %s PRIMARY KEY, v integer); INSERT INTO t VALUES ('%s', 1)" % (old, there), new)
        world.run("run", "--yes")
        world.sql("INSERT INTO t VALUES ('%s', 10)" % comes)
        printed = world.run("rollback", "--yes")
        assert world.sql("SELECT id::text, v FROM t") == [(there, 1)], (old, world.sql("SELECT id::text, v FROM t"))
        assert "kept-by-rollback" in printed, printed
    world = plainly(server, "CREATE TABLE t (id date PRIMARY KEY, v integer); INSERT INTO t VALUES ('2020-01-01', 1)", "timestamp")
    world.run("run", "--yes")
    world.sql("INSERT INTO t VALUES ('2020-01-01 10:00', 10); DELETE FROM t WHERE v = 10")
    world.run("rollback", "--yes")
    assert world.sql("SELECT id::text, v FROM t") == [("2020-01-01", 1)]


def keys_beyond_the_old_type_are_compared(server):
    world = plainly(server, "CREATE TABLE t (id integer PRIMARY KEY, v integer); INSERT INTO t SELECT i, i FROM generate_series(1, 3000) i", "bigint")
    world.run("run", "--yes")
    world.sql("DELETE FROM t WHERE id = 3; INSERT INTO t VALUES (5000000000, 1); UPDATE t SET id = id + 6000000000 WHERE id BETWEEN 100 AND 110")
    assert "0 differ" in world.run("verify")
    printed = world.run("rollback", "--yes")
    assert "kept-by-rollback" in printed, printed
    assert world.sql("SELECT count(*), min(id), max(id) FROM t") == [(2999 - 11, 1, 3000)]


def a_text_goes_on_being_compared_by_its_collation(server):
    world = plainly(server, "CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);"
                    "CREATE TABLE t (id varchar(20) COLLATE ci PRIMARY KEY, v integer); CREATE TABLE c (k integer PRIMARY KEY, r varchar(20) COLLATE ci REFERENCES t);"
                    "INSERT INTO t VALUES ('Abc', 1); INSERT INTO c VALUES (1, 'aBC')", "text")
    before = world.objects()
    world.run("run", "--yes")
    assert world.one("SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND convalidated") == 1
    try:
        world.sql("INSERT INTO t VALUES ('ABC', 3)")
        raise AssertionError("two keys that are one")
    except psycopg.errors.UniqueViolation:
        pass
    world.run("rollback", "--yes")
    assert world.sql("SELECT * FROM t") == [("Abc", 1)] and differences(before, world.objects()) == []


READERS = """
CREATE TABLE t (id integer PRIMARY KEY, v integer); INSERT INTO t VALUES (5, 1), (7, 1);
CREATE VIEW v0 AS SELECT id / 2 AS h, id % 3 AS m, CASE WHEN v = 1 THEN id ELSE 0 END AS c FROM t;
CREATE VIEW v1 AS SELECT v FROM t WHERE id / 2 = 2;
CREATE VIEW v2 AS SELECT h FROM v0 WHERE h > 1;
CREATE RULE r2 AS ON INSERT TO v2 WHERE NEW.h / 2 = 7 DO INSTEAD NOTHING;
CREATE MATERIALIZED VIEW m AS SELECT id / 2 AS h, v, count(*) AS n FROM t GROUP BY 1, 2;
CREATE INDEX mi ON m ((h / 2));
CREATE STATISTICS ms ON h, v FROM m; COMMENT ON STATISTICS ms IS 'together';
ALTER MATERIALIZED VIEW m ALTER COLUMN h SET STATISTICS 50;
CREATE TABLE o (k integer PRIMARY KEY); ALTER TABLE o ENABLE ROW LEVEL SECURITY;
CREATE POLICY po ON o USING (k IN (SELECT id / 2 FROM t)); COMMENT ON POLICY po ON o IS 'half';
CREATE PUBLICATION p FOR TABLE t WHERE (id / 2 = 2);
CREATE STATISTICS vs ON (id / 2), v FROM t;
"""


def what_reads_the_columns_comes_back_as_it_was(server):
    for to in ("numeric", "bigint"):
        world = plainly(server, READERS, to)

        def looks():
            more = world.sql("SELECT obj_description(oid, 'pg_statistic_ext') FROM pg_statistic_ext ORDER BY stxname")
            more += world.sql("SELECT obj_description(oid, 'pg_policy') FROM pg_policy")
            more += world.sql("SELECT pg_get_ruledef(oid) FROM pg_rewrite WHERE rulename = 'r2'")
            return world.objects(), more, [world.sql("SELECT * FROM %s ORDER BY 1" % one) for one in ("v0", "v1", "v2", "m")]
        before = looks()
        for _ in range(2):
            world.run("run", "--yes")
            assert world.one("SELECT count(*) FROM pg_statistic_ext") == 2 and world.one("SELECT obj_description(oid, 'pg_policy') FROM pg_policy") == "half"
            world.run("rollback", "--yes")
            after = looks()
            assert differences(before[0], after[0]) == [] and before[1:] == after[1:], (to, differences(before[0], after[0]), before[1:], after[1:])
            world.nothing_is_left()
        # What somebody has changed on the new side stays as he wants it.
        world.run("run", "--yes")
        world.sql("CREATE OR REPLACE VIEW v1 AS SELECT v FROM t WHERE id > 5")
        world.run("rollback", "--yes")
        assert "/ 2" not in world.one("SELECT pg_get_viewdef('v1'::regclass)") and world.sql("SELECT * FROM v1") == [(1,)]


TESTS = [what_reads_the_columns_comes_back_as_it_was, new_keys_that_become_one_old_key_take_no_row_away, keys_beyond_the_old_type_are_compared, a_text_goes_on_being_compared_by_its_collation,
         words_become_numbers_and_words_again, nothing_is_lost_beside_a_clerk, keys_and_what_refers_to_them_get_it_the_same_way, keys_that_become_one_never_write_over_each_other, what_would_not_come_back_is_told_before,
         what_is_made_with_the_type_is_looked_at_before, a_word_that_comes_meanwhile_stops_it_by_name, times_may_be_said_in_another_way, what_cannot_be_meant_is_refused, values_that_move_while_it_looks_are_no_refusal]


if __name__ == "__main__":
    run_tests(TESTS)

"""What befalls a retype of live tables: sessions and servers that end, deadlocks, changes by others, blockers, full disks.

An application writes all the while. Nothing that it was told is lost, nothing that it deleted comes back, and what hangs
on the tables is there; that is asked with psycopg and nothing of whimbrel's. Runs under tools/servers/python, with
WHIMBREL naming the binary; with NAME... some of the tests.
"""

import contextlib
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid

import psycopg

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from retyped import ACCOUNTS, PLAN, Working, World, Writers, differences  # noqa: E402
from servers import postgresql  # noqa: E402
from trying import run_each  # noqa: E402

SEED = int(os.environ.get("SEED", "5"))
STALL_S_MAX = 2.5  # the plan's max_hold is 0.8, and a busy machine adds to it
# What an application is told when its server ends.
SERVER_IS_GONE = ("terminating connection", "connection", "the database system is", "SSL", "EOF", "closed")


def ends(process, seconds=120):
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError("still there after %d s:\n%s%s" % (seconds, out[-1500:], err[-1500:])) from None
    return process.returncode, out + err


def carried_through(world, *words, first=None, times=15):
    """Until it is done. Each time that it gives up it says why; what it said is returned."""
    told = []
    for _ in range(times):
        code, said = ends(first or world.start(*words))
        first = None
        if code == 0:
            return told
        told.append(said)
        assert code == 1, "%s ended with %d:\n%s" % (words, code, said[-3000:])
        assert "error: " in said and "safe: " in said, said[-3000:]
        time.sleep(0.1)
    raise AssertionError("%s is not done after %d times:\n%s" % (words, times, told[-1][-3000:]))


def wait_until(world, question, process=None, seconds=60):
    """The answer to `question` is true, or `process` has ended before that."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(psycopg.Error), psycopg.connect(world.url, autocommit=True) as connection:
            while time.monotonic() < deadline:
                if connection.execute(question).fetchone()[0]:
                    return True
                if process is not None and process.poll() is not None:
                    return False
                time.sleep(0.001)
        time.sleep(0.02)
    raise AssertionError("it never came to " + question)


IS_SWITCHED = "SELECT format_type(atttypid, atttypmod) = 'uuid' FROM pg_attribute WHERE attrelid = to_regclass('public.people') AND attname = 'id'"


def is_on_the_new_side(world, before):
    assert world.type_of("people", "id") == world.type_of("letters", "sender") == world.type_of("writers", "id") == "uuid"
    after = world.objects()
    same = {kind: before[kind] for kind in before if kind not in ("columns", "views")}
    assert differences(same, after) == [], differences(same, after)


def is_back(world, before):
    assert differences(before, world.objects()) == [], differences(before, world.objects())
    world.nothing_is_left()


class Striker(Working):
    """Ends sessions of whimbrel's for which a condition holds, so many times."""

    def __init__(self, world, condition, times, rnd, pause=(0.001, 0.002)):
        self.world, self.condition, self.times, self.rnd, self.pause = world, condition, times, rnd, pause
        self.hits, self.stop = [], threading.Event()
        self.threads = [threading.Thread(target=self.work)]

    def work(self):
        with psycopg.connect(self.world.url, autocommit=True) as connection:
            while not self.stop.is_set() and len(self.hits) < self.times:
                # Only what is still so when it is ended counts; one at a time.
                hit = connection.execute("SELECT left(a.query, 60), pg_terminate_backend(a.pid) FROM pg_stat_activity a WHERE a.application_name = 'whimbrel' AND (%s) "
                                         "ORDER BY random() LIMIT 1" % self.condition).fetchall()
                self.hits += [query for query, done in hit if done]
                # After a hit it has the time to come back to where it was.
                self.stop.wait(self.rnd.uniform(0.15, 0.6) if hit else self.rnd.uniform(*self.pause))


HOLDS = "EXISTS (SELECT FROM pg_locks l WHERE l.pid = a.pid AND l.granted AND l.mode = '%s' AND l.relation = to_regclass('public.people'))"
MOMENTS = {
    "anywhere": "a.state = 'active'",
    "copy": "a.query ~ 'INSERT INTO \"?whimbrel_new'",
    "replay": "a.query ~ 'whimbrel.log_'",
    "hold": HOLDS % "ShareRowExclusiveLock",
    "swap": HOLDS % "AccessExclusiveLock",
}


# ---------------------------------------------------------------- the tests

def sessions_that_the_server_ends(server):
    rnd = random.Random(SEED)
    for moment, condition in MOMENTS.items():
        # A moment may be over before anybody strikes.
        assert any(ends_sessions_at(moment, condition, server, rnd) for _ in range(4)), "nothing was struck at " + moment


def ends_sessions_at(moment, condition, server, rnd):
    world = World(server)
    before = world.objects()
    ids = world.people(800)
    with Writers(world, ids, 2) as writers:
        with Striker(world, condition, 2, rnd) as there:
            told = carried_through(world, "run", "--yes")
        is_on_the_new_side(world, before)
        if moment == "anywhere":
            stays = world.start("run", "--yes", "--stay")
            with Striker(world, "TRUE", 3, rnd, (0.05, 0.3)):
                time.sleep(1)
            stays.send_signal(signal.SIGINT)
            code, said = ends(stays)
            assert code in (0, 1, 130), said
        with Striker(world, condition, 2, rnd) as back:
            told += carried_through(world, "rollback", "--yes")
    assert not writers.errors, (moment, writers.errors[:3])
    assert max(writers.stalls) < STALL_S_MAX, (moment, max(writers.stalls))
    writers.are_all_there()
    is_back(world, before)
    print("        %s: %d and %d struck, given up %d times" % (moment, len(there.hits), len(back.hits), len(told)), flush=True)
    world.close()
    return len(there.hits) > 0


class Restarted:
    """A server of its own that can be ended and comes again with its port and data."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="whimbrel-restarted-"))
        self.port, self.stack = 0, None
        self.start()

    def start(self):
        self.stack = contextlib.ExitStack()
        self.server = self.stack.enter_context(postgresql(port=self.port, data=self.folder / "data"))
        self.port, self.url = self.server.port, self.server.url

    def end(self, by):
        self.server.kill(by)
        self.stack.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stack.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def servers_that_end(_):
    fast, immediate = signal.SIGINT, signal.SIGQUIT  # as `pg_ctl stop -m` does
    with Restarted() as server:
        for how, when in ((immediate, "copy"), (fast, "swap"), (immediate, "swap"), (fast, "after")):
            world = World(server)
            before = world.objects()
            ids = world.people(1500)
            with Writers(world, ids, 2) as writers:
                process = world.start("run", "--yes")
                wait_until(world, {"copy": "SELECT to_regclass('whimbrel_new_public.letters') IS NOT NULL AND pg_relation_size('whimbrel_new_public.people') > 0",
                                   "swap": "SELECT EXISTS (SELECT FROM pg_locks WHERE granted AND mode = 'ShareRowExclusiveLock' AND relation = to_regclass('public.people'))",
                                   "after": IS_SWITCHED}[when], process)
                server.end(how)
                server.start()
                told = carried_through(world, "run", "--yes", first=process)
                assert world.one("SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'whimbrel%'") > 0, (how, when, told)
                written = writers.acknowledged
                wait_for_more = time.monotonic() + 30
                while writers.acknowledged < written + 50 and time.monotonic() < wait_for_more:
                    time.sleep(0.05)
                is_on_the_new_side(world, before)
                server.end(how)
                server.start()
                told += carried_through(world, "rollback", "--yes")
            assert writers.acknowledged > written, "the application did not come back"
            strange = [error for error in writers.errors if not any(word in error for word in SERVER_IS_GONE)]
            assert not strange, (when, strange[:3])
            writers.are_all_there()
            is_back(world, before)
            print("        %s at %s: given up %d times" % (how.name, when, len(told)), flush=True)
            world.close()


def deadlocks_with_the_application(server):
    """It locks two tables in the other order, and tables as a whole; only its own deadlocks are its own."""
    for mixed in (False, True):
        world = World(server)
        before = world.objects()
        ids = world.people(2000)
        stop, errors, done = threading.Event(), [], [0]

        def both(number, mixed=mixed, ids=ids):
            rnd = random.Random(number)
            with psycopg.connect(world.url, autocommit=True, prepare_threshold=None, application_name="the application") as connection:
                while not stop.is_set():
                    one = rnd.choice(ids)
                    steps = ["UPDATE people SET note = 'both' WHERE id = '%s'" % one, "UPDATE letters SET body = 'both' WHERE sender = '%s'" % one]
                    if rnd.random() < 0.2:
                        steps = ["LOCK TABLE people IN ROW EXCLUSIVE MODE", "LOCK TABLE letters IN %s MODE" % rnd.choice(("ROW SHARE", "SHARE ROW EXCLUSIVE") if mixed else ("ROW SHARE",))] + steps
                    if mixed and rnd.random() < 0.5:
                        steps.reverse()
                    try:
                        with connection.transaction():
                            for step in steps:
                                connection.execute(step)
                                time.sleep(rnd.uniform(0, 0.01))
                        done[0] += 1
                        time.sleep(0.02 if mixed else 0)
                    except psycopg.errors.DeadlockDetected as error:
                        errors.append(str(error).splitlines()[0])
        threads = [threading.Thread(target=both, args=(number,)) for number in range(2 if mixed else 4)]
        for thread in threads:
            thread.start()
        try:
            told = carried_through(world, "run", "--yes")
            is_on_the_new_side(world, before)
            told += carried_through(world, "rollback", "--yes")
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert done[0] > 20, done
        assert mixed or not errors, "the application was made to fail: %s" % errors[:3]
        assert world.one("SELECT count(*) FROM people p WHERE note = 'both' AND EXISTS (SELECT FROM letters l WHERE l.sender = p.id AND body <> 'both')") == 0
        is_back(world, before)
        print("        %s: %d transactions, %d deadlocks, given up %d times" % ("mixed orders" if mixed else "the other order", done[0], len(errors), len(told)), flush=True)
        world.close()


def changes_of_the_schema_by_others(server):
    # Before the exchange: refused with its name, and after a rollback carried over.
    refused = {
        "ALTER TABLE letters ADD COLUMN place text": "SELECT count(*) FROM pg_attribute WHERE attrelid = 'letters'::regclass AND attname = 'place'",
        "CREATE INDEX letters_late ON letters (body)": "SELECT count(*) FROM pg_indexes WHERE indexname = 'letters_late' AND tablename = 'letters'",
        "DROP INDEX letters_sender": "SELECT count(*) = 0 FROM pg_indexes WHERE indexname = 'letters_sender'",
        "ALTER TABLE people ADD CHECK (length(mail) > 1)": "SELECT count(*) FROM pg_constraint WHERE conrelid = 'people'::regclass AND contype = 'c'",
        "CREATE TABLE replies (id serial PRIMARY KEY, writer varchar(36) REFERENCES people(id))":
            "SELECT count(*) FROM pg_attribute WHERE attrelid = 'replies'::regclass AND attname = 'writer' AND atttypid = 'uuid'::regtype",
        "ALTER TABLE letters ADD COLUMN receiver varchar(36) REFERENCES people(id)":
            "SELECT count(*) FROM pg_attribute WHERE attrelid = 'letters'::regclass AND attname = 'receiver' AND atttypid = 'uuid'::regtype",
    }
    for change, is_there in refused.items():
        world = World(server)
        world.people(60)
        world.run("run", "--until", "verify", "--yes")
        world.sql(change)
        if "receiver" in change:
            world.sql("UPDATE letters SET receiver = sender")
        before = world.objects()
        said = world.run("run", "--yes", code=3)
        assert "replies" not in change or "began to refer" in said, said
        table = "replies" if "replies" in change else "letters" if "letters" in change else "people"
        assert table in said, (change, said)
        assert differences(before, world.objects()) == [], (change, differences(before, world.objects()))
        world.run("rollback", "--yes")
        is_back(world, before)
        if not any(word in change for word in ("DROP", "receiver", "replies")):  # the same as these
            world.close()
            continue
        world.run("run", "--yes")
        assert world.one(is_there), change
        assert "receiver" not in change or world.one("SELECT count(*) FROM letters WHERE receiver = sender") == 120
        world.run("rollback", "--yes")
        is_back(world, before)
        world.close()

    # These hang on the tables, and go along.
    world = World(server)
    world.people(60)
    world.run("run", "--until", "verify", "--yes")
    world.sql("""CREATE VIEW late AS SELECT id, note FROM people; GRANT SELECT ON people TO pg_monitor; COMMENT ON TABLE people IS 'late';
        CREATE TABLE mails (mail text PRIMARY KEY REFERENCES people(mail)); INSERT INTO mails SELECT mail FROM people LIMIT 9;
        CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.note := 'late'; RETURN NEW; END $$;
        CREATE TRIGGER late BEFORE INSERT ON people FOR EACH ROW EXECUTE FUNCTION late();""")
    before = world.objects()
    world.run("run", "--yes")
    is_on_the_new_side(world, before)
    assert world.type_of("late", "id") == "uuid"
    # And what comes after the switch goes back.
    world.sql("CREATE VIEW later AS SELECT p.id, l.body FROM people p JOIN letters l ON l.sender = p.id; GRANT UPDATE ON people TO pg_monitor")
    world.run("rollback", "--yes")
    assert world.one("SELECT count(*) FROM later") == 120 and world.type_of("later", "id") == "character varying(36)"
    world.sql("DROP VIEW later")
    after = world.objects()
    same = {kind: before[kind] for kind in before if kind != "tables"}
    assert differences(same, after) == [], differences(same, after)
    world.nothing_is_left()
    world.close()

    # A table that came after the switch and refers by the new type is not left without its reference.
    world = World(server)
    world.people(60)
    world.run("run", "--yes")
    world.sql("CREATE TABLE replies (id serial PRIMARY KEY, writer uuid REFERENCES people(id)); INSERT INTO replies (writer) SELECT id FROM people")
    said = world.run("rollback", "--yes", code=3)
    assert "replies" in said, said
    assert world.type_of("people", "id") == "uuid" and world.one("SELECT count(*) FROM pg_constraint WHERE conrelid = 'replies'::regclass AND contype = 'f'") == 1
    world.sql("DROP TABLE replies")
    world.run("rollback", "--yes")
    world.nothing_is_left()
    world.close()


def changes_of_the_schema_while_it_is_read(server):
    """The catalogue was read, the new tables are not made yet: what comes in between is not left out of them."""
    for change in ("CREATE INDEX letters_late ON letters (body)", "ALTER TABLE people ADD COLUMN phone text DEFAULT 'none yet'"):
        world = World(server)
        world.people(60)
        # Behind the analysis, which makes the new tables and takes them back, and would notice it.
        world.run("run", "--yes", "--until", "backup")
        # Somebody makes our schema and does not say yet whether he does.
        with psycopg.connect(world.url) as other:
            other.execute("CREATE SCHEMA whimbrel_new_public")
            process = world.start("run", "--yes")
            wait_until(world, "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'whimbrel' AND wait_event_type = 'Lock' AND wait_event = 'transactionid')", process, 20)
            world.sql(change)
            if "phone" in change:
                world.sql("UPDATE people SET phone = mail")
            before = world.objects()
            other.rollback()
        code, said = ends(process)
        if code != 0:
            # 1 when the first of the new tables had been made by then.
            assert code in (1, 3) and ("letters" in said or "people" in said), (code, said)
            world.run("rollback", "--yes")
            world.run("run", "--yes")
        is_on_the_new_side(world, before)
        if "phone" in change:
            assert world.one("SELECT count(*) FROM people WHERE phone = mail") == 60
        world.run("rollback", "--yes")
        is_back(world, before)
        world.close()


def blockers_are_named_and_outlived(server):
    for statement, name in (("UPDATE people SET note = 'open' WHERE mail = 'p1@x'", "a forgotten writer"), ("SELECT count(*) FROM letters", "a forgotten reader")):
        world = World(server)
        before = world.objects()
        ids = world.people(1000)
        world.run("run", "--until", "verify", "--yes")
        # It takes no row that the long transaction has.
        with Writers(world, ids[2:], 2) as writers, psycopg.connect(world.url, application_name=name) as other:
            other.execute(statement)
            pid = other.info.backend_pid
            process = world.start("run", "--yes")
            time.sleep(3)
            gone = process.poll() is not None
            other.rollback()
            code, said = ends(process)
            assert code == (1 if gone else 0), said
            if gone:
                world.run("run", "--yes")
            is_on_the_new_side(world, before)
            for word in (name, str(pid), "idle in transaction for 00:00:0", statement[:20]):
                assert word in said, (word, said)
            world.run("rollback", "--yes")
        assert not writers.errors, writers.errors[:3]
        assert max(writers.stalls) < STALL_S_MAX, (name, max(writers.stalls))
        writers.are_all_there()
        is_back(world, before)
        print("        %s: %s, longest stall %.2f s" % (name, "given up" if gone else "outlived", max(writers.stalls)), flush=True)
        world.close()


def killed_right_after_the_switch(server):
    rnd = random.Random(SEED)
    for round_number in range(3):
        world = World(server)
        before = world.objects()
        ids = world.people(500)
        with Writers(world, ids, 2) as writers:
            process = world.start("run", "--yes")
            if wait_until(world, IS_SWITCHED, process):
                time.sleep(rnd.choice((0, 0, 0.01, 0.05)))
            process.send_signal(signal.SIGKILL)
            process.communicate()
            time.sleep(0.2)  # the application goes on
            if round_number % 2:
                carried_through(world, "run", "--yes")
                is_on_the_new_side(world, before)
            carried_through(world, "rollback", "--yes")
        assert not writers.errors, (round_number, writers.errors[:3])
        writers.are_all_there()
        is_back(world, before)
        world.close()


class Returning(Working):
    """Keys that are deleted and come again, each the affair of one thread; and what each is to hold."""

    def __init__(self, world, ids, count=4):
        self.world, self.stop, self.errors, self.expected = world, threading.Event(), [], {}
        self.threads = [threading.Thread(target=self.work, args=(n, ids[n::count])) for n in range(count)]

    def work(self, number, ids):
        rnd, there, version = random.Random(number), set(ids), 0
        with psycopg.connect(self.world.url, autocommit=True, prepare_threshold=None) as connection:
            while not self.stop.is_set():
                version += 1
                one, note = rnd.choice(ids), "%d of %d" % (version, number)
                try:
                    if one not in there:
                        connection.execute("INSERT INTO people(id, mail, note) VALUES ('%s', '%s', '%s')" % (one, one, note))
                        there.add(one)
                        self.expected[one] = note
                    elif rnd.random() < 0.3:
                        connection.execute("BEGIN; DELETE FROM people WHERE id = '%s'; INSERT INTO people(id, mail, note) VALUES ('%s', '%s', '%s'); COMMIT" % (one, one, one, note))
                        self.expected[one] = note
                    else:
                        connection.execute("DELETE FROM people WHERE id = '%s'" % one)
                        there.discard(one)
                        self.expected[one] = None
                except psycopg.Error as error:
                    self.errors.append(str(error).splitlines()[0])
                time.sleep(0.001)


def no_phantoms(server):
    for round_number in range(3):
        world = World(server)
        ids = world.people(2000)
        with Returning(world, ids) as writers:
            world.run("run", "--yes")
            there = dict(writers.expected)
            world.run("rollback", "--yes")
        assert not writers.errors, writers.errors[:3]
        assert len(there) > 100, len(there)
        now = dict(world.sql("SELECT id, note FROM people"))
        wanted = {**{one: "none" for one in ids}, **writers.expected}
        wrong = [(one, note, now.get(one)) for one, note in wanted.items() if now.get(one) != note]
        assert not wrong and len(now) == sum(note is not None for note in wanted.values()), (round_number, len(wrong), wrong[:3])
        world.nothing_is_left()
        world.close()


LARGE = ACCOUNTS + """
CREATE TABLE papers (id serial PRIMARY KEY, owner varchar(36) REFERENCES people(id) ON DELETE CASCADE, text text, title text);
ALTER TABLE papers ALTER text SET STORAGE EXTERNAL;
"""


def known_ways_to_fail(server):
    """A transaction that is older than all and ends after the copy, large values that stay, a table that is emptied."""
    world = World(server, LARGE)
    before = world.objects()
    ids = world.people(500)
    world.sql("INSERT INTO papers (owner, text, title) SELECT id, repeat(id, 500), 'untouched' FROM people ORDER BY slot LIMIT 100")
    sums = dict(world.sql("SELECT id, md5(text) FROM papers"))
    world.run("run", "--until", "prepare", "--yes")
    with psycopg.connect(world.url, application_name="a long one") as late, psycopg.connect(world.url, application_name="a longer one") as later:
        late.execute("DELETE FROM people WHERE id = '%s'" % ids[0])
        late.execute("UPDATE people SET id = '00000000-0000-0000-0000-00000000000a' WHERE id = (SELECT id FROM people p WHERE NOT EXISTS (SELECT FROM letters WHERE sender = p.id) AND NOT EXISTS (SELECT FROM papers WHERE owner = p.id) LIMIT 1)")
        late.execute("UPDATE people SET note = NULL WHERE id = '%s'" % ids[1])
        late.execute("INSERT INTO people (id, mail) VALUES ('00000000-0000-0000-0000-00000000000b', 'late')")
        late.execute("SAVEPOINT s; UPDATE people SET note = 'within' WHERE id = '%s'; RELEASE s" % ids[2])
        late.execute("UPDATE papers SET title = 'late' WHERE id % 2 = 0")
        later.execute("UPDATE people SET note = 'not to be' WHERE id = '%s'" % ids[3])
        world.run("run", "--until", "follow", "--yes")
        world.sql("UPDATE papers SET title = 'touched' WHERE id % 3 = 0 AND id % 2 = 1")
        late.commit()
        later.rollback()
    carried_through(world, "run", "--yes")
    people = {str(one): note for one, note in world.sql("SELECT id, note FROM people")}
    assert ids[0] not in people and "00000000-0000-0000-0000-00000000000a" in people and people["00000000-0000-0000-0000-00000000000b"] == "none"
    assert len(people) == 500 and people[ids[1]] is None and people[ids[2]] == "within" and people[ids[3]] == "none", [people[one] for one in ids[1:4]]
    gone = set(sums) - {one for (one,) in world.sql("SELECT id FROM papers")}
    assert gone == {1}, gone
    assert dict(world.sql("SELECT id, md5(text) FROM papers WHERE title <> 'x'")) == {one: digest for one, digest in sums.items() if one != 1}
    assert world.one("SELECT count(*) FROM papers WHERE title = 'late'") == 50
    world.sql("UPDATE papers SET title = 'behind' WHERE id = 7")
    world.run("rollback", "--yes")
    assert dict(world.sql("SELECT id, md5(text) FROM papers")) == {one: digest for one, digest in sums.items() if one != 1}
    is_back(world, before)
    world.close()

    # Emptied in the middle of the copy and filled again, and once more after the switch.
    world = World(server)
    before = world.objects()
    ids = world.people(6000)
    process = world.start("run", "--yes")
    wait_until(world, "SELECT to_regclass('whimbrel_new_public.letters') IS NOT NULL AND pg_relation_size('whimbrel_new_public.people') > 0", process)
    world.sql("TRUNCATE people CASCADE")
    world.sql("INSERT INTO people (id, mail) VALUES ('%s', 'again')" % ids[0])
    carried_through(world, "run", "--yes", first=process)
    assert [(str(one), mail) for one, mail in world.sql("SELECT id, mail FROM people")] == [(ids[0], "again")]
    assert world.one("SELECT count(*) FROM letters") == 0
    world.sql("TRUNCATE people CASCADE")
    world.sql("INSERT INTO people (id, mail) VALUES ('%s', 'once more')" % ids[1])
    world.run("rollback", "--yes")
    assert world.sql("SELECT id, mail FROM people") == [(ids[1], "once more")]
    is_back(world, before)
    world.close()

    world = World(server, """CREATE TABLE people (id varchar(36) NOT NULL, at integer NOT NULL, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
        CREATE TABLE people_1 PARTITION OF people FOR VALUES FROM (0) TO (10);""")
    world.sql("INSERT INTO people SELECT md5(i::text)::uuid::text, i FROM generate_series(0, 9) i")
    before = world.objects()
    world.run("run", "--yes")
    assert world.type_of("people_1", "id") == "uuid" and world.one("SELECT count(*) FROM people_1") == 10
    world.run("rollback", "--yes")
    assert world.type_of("people_1", "id") == "character varying(36)" and world.one("SELECT count(*) FROM people_1") == 10
    assert differences(before, world.objects()) == []
    world.nothing_is_left()
    world.close()


PLACED = """SELECT c.relname, s.spcname FROM pg_class c JOIN pg_tablespace s ON s.oid = c.reltablespace
    WHERE c.relnamespace = 'public'::regnamespace ORDER BY 1"""


@contextlib.contextmanager
def small_disk(megabytes):
    folder = tempfile.mkdtemp(prefix="whimbrel-small-")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%dm,mode=0777" % megabytes, "tmpfs", folder], capture_output=True, text=True)
    if mounted.returncode != 0:
        os.rmdir(folder)
        yield None
        return
    try:
        os.chmod(folder, 0o777)
        os.mkdir(folder + "/space")
        if os.getuid() == 0:
            shutil.chown(folder + "/space", "postgres", "postgres")
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)
        os.rmdir(folder)


def full_disks(server):
    """A large table beside the ones that are written lies on a disk that has no room for it twice."""
    with small_disk(3) as folder:
        if folder is None:
            print("        skipped: nothing can be mounted here", flush=True)
            return
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("CREATE TABLESPACE small LOCATION '%s/space'" % folder)
        try:
            world = World(server)
            ids = world.people(1000)
            world.sql("""CREATE TABLE papers (id serial PRIMARY KEY, owner varchar(36) REFERENCES people(id) ON DELETE CASCADE, text text) TABLESPACE small;
                ALTER TABLE papers ALTER text SET STORAGE PLAIN; INSERT INTO papers (owner, text) SELECT id, repeat(md5(id), 50) FROM people;
                CREATE INDEX papers_owner ON papers (owner) TABLESPACE small""")
            before, placed = world.objects(), world.sql(PLACED)
            sums = world.one("SELECT count(*) FROM papers")
            with Writers(world, ids, 2) as writers:
                code, said = ends(world.start("run", "--yes"))
                assert code == 1 and "No space left" in said and "make room" in said and "safe: " in said, (code, said)
                assert not world.one(IS_SWITCHED)
                written = writers.acknowledged
                time.sleep(0.3)
                assert writers.acknowledged > written
                subprocess.run(["mount", "-o", "remount,size=60m", folder], check=True)
                world.run("run", "--yes")
                is_on_the_new_side(world, before)
                assert world.sql(PLACED) == placed, (world.sql(PLACED), placed)
                world.run("rollback", "--yes")
            assert not writers.errors, writers.errors[:3]
            writers.are_all_there()
            assert world.one("SELECT count(*) FROM papers") <= sums
            is_back(world, before)
            world.close()
        finally:
            with psycopg.connect(server.url, autocommit=True) as connection:
                for (schema,) in connection.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'whimbrel%' OR nspname = 'public'").fetchall():
                    connection.execute('DROP SCHEMA "%s" CASCADE' % schema)
                connection.execute("DROP TABLESPACE IF EXISTS small")


TESTS = [sessions_that_the_server_ends, servers_that_end, deadlocks_with_the_application, changes_of_the_schema_by_others,
         changes_of_the_schema_while_it_is_read, blockers_are_named_and_outlived, killed_right_after_the_switch, no_phantoms, known_ways_to_fail, full_disks]


def main():
    with postgresql() as server:
        run_each(TESTS, lambda test: test(server))


if __name__ == "__main__":
    main()

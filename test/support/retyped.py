"""Tables whose key gets another type, an application that writes to them, and what it was told. Every look is psycopg's."""

import contextlib
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import uuid

import psycopg

from servers import postgresql

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("WHIMBREL", str(ROOT / "build" / "whimbrel"))

ACCOUNTS = """
CREATE TABLE people (id varchar(36) PRIMARY KEY, mail text UNIQUE NOT NULL, slot integer UNIQUE, note text DEFAULT 'none');
CREATE TABLE letters (id serial PRIMARY KEY, sender varchar(36) NOT NULL REFERENCES people(id) ON DELETE CASCADE,
                      body text, sent timestamptz DEFAULT now());
CREATE INDEX letters_sender ON letters (sender, sent DESC);
CREATE VIEW writers AS SELECT p.id, p.mail, count(l.id) AS letters FROM people p LEFT JOIN letters l ON l.sender = p.id GROUP BY p.id;
"""
PLAN = """
whimbrel: 1
migration: ids
stores: {app: "${DATABASE_URL}"}
retype: [{table: app/public.people, column: id, to: uuid}]
sync: capture
cutover: {max_hold: 800ms}
"""


class World:
    def __init__(self, server, ddl=ACCOUNTS, plan=PLAN):
        self.url = server.url
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="whimbrel-postgresql-"))
        self.plan = self.folder / "plan.yaml"
        self.plan.write_text(plan)
        for (schema,) in self.sql("SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'"):
            self.sql('DROP SCHEMA "%s" CASCADE' % schema.replace('"', '""'))
        for (publication,) in self.sql("SELECT pubname FROM pg_publication"):
            self.sql("DROP PUBLICATION " + publication)
        self.sql("CREATE SCHEMA public")
        if ddl:
            self.sql(ddl)

    def sql(self, text, *values):
        with psycopg.connect(self.url, autocommit=True) as connection:
            answer = connection.execute(text, values or None)
            return answer.fetchall() if answer.description else None

    def one(self, text, *values):
        return self.sql(text, *values)[0][0]

    def start(self, *words):
        return subprocess.Popen([BINARY, *words[0].split(), str(self.plan), *words[1:], "--state", str(self.folder / "state")],
                                env={**os.environ, "DATABASE_URL": self.url}, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="surrogateescape")

    def run(self, *words, code=0):
        process = self.start(*words)
        out, err = process.communicate(timeout=300)
        assert not re.search("[\udc80-\udcff]", out + err), "no text: %s" % ascii(out + err)
        assert process.returncode == code, "%s ended with %d:\n%s%s" % (" ".join(words), process.returncode, out[-2000:], err[-3000:])
        return out + err

    def kill_again_and_again(self, rnd, times, seconds, *words):
        """Until it comes to its end in time, or that often."""
        for _ in range(times):
            process = self.start(*words)
            try:
                process.communicate(timeout=rnd.uniform(*seconds))
                return
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.communicate()

    def people(self, count):
        rnd = random.Random(11)
        ids = [str(uuid.UUID(int=rnd.getrandbits(128))) for _ in range(count)]
        with psycopg.connect(self.url) as connection, connection.cursor() as cursor:
            with cursor.copy("COPY people(id, mail, slot) FROM STDIN") as copy:
                for number, one in enumerate(ids):
                    copy.write_row((one, "p%d@x" % number, number))
            with cursor.copy("COPY letters(sender, body) FROM STDIN") as copy:
                for number in range(count * 2):
                    copy.write_row((rnd.choice(ids), "body %d" % number))
        return ids

    def type_of(self, table, column):
        return self.one("SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = %s::regclass AND attname = %s", table, column)

    def objects(self):
        """Everything that hangs on the tables of the application, as the catalogue spells it."""
        return {
            "columns": self.sql("""SELECT a.attrelid::regclass::text, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
                pg_get_expr(d.adbin, d.adrelid), a.attidentity, a.attgenerated, col_description(a.attrelid, a.attnum), a.attacl::text, a.attstattarget, a.attstorage
                FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
                WHERE c.relkind IN ('r', 'v', 'm') AND a.attnum > 0 AND NOT a.attisdropped AND c.relnamespace = 'public'::regnamespace ORDER BY 1, 2"""),
            "tables": self.sql("""SELECT c.relname, c.relkind, pg_get_userbyid(c.relowner), array(SELECT unnest(coalesce(c.relacl, acldefault('r', c.relowner)))::text ORDER BY 1), c.reloptions::text,
                c.relrowsecurity, c.relforcerowsecurity, c.relreplident, obj_description(c.oid, 'pg_class') FROM pg_class c
                WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'v', 'm') ORDER BY 1"""),
            "indexes": self.sql("SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1"),
            "constraints": self.sql("""SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), convalidated, obj_description(oid, 'pg_constraint')
                FROM pg_constraint WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2"""),
            "triggers": self.sql("SELECT pg_get_triggerdef(t.oid), tgenabled FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid WHERE NOT tgisinternal AND tgname NOT LIKE 'whimbrel%' AND c.relnamespace = 'public'::regnamespace ORDER BY 1"),
            "rules": self.sql("SELECT pg_get_ruledef(r.oid) FROM pg_rewrite r JOIN pg_class c ON c.oid = ev_class WHERE c.relnamespace = 'public'::regnamespace AND rulename <> '_RETURN' ORDER BY 1"),
            "views": self.sql("SELECT c.relname, pg_get_viewdef(c.oid) FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND relkind IN ('v', 'm') ORDER BY 1"),
            "policies": self.sql("SELECT * FROM pg_policies WHERE schemaname = 'public' ORDER BY tablename, policyname"),
            "publications": self.sql("SELECT pubname, schemaname, tablename, attnames::text, rowfilter FROM pg_publication_tables ORDER BY 1, 3"),
            "statistics": self.sql("SELECT pg_get_statisticsobjdef(oid), stxstattarget, obj_description(oid, 'pg_statistic_ext') FROM pg_statistic_ext ORDER BY 1"),
            "sequences": self.sql("""SELECT s.relname, d.refobjid::regclass::text, d.refobjsubid, d.deptype FROM pg_class s JOIN pg_depend d ON d.objid = s.oid AND d.classid = 'pg_class'::regclass
                AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i') WHERE s.relkind = 'S' AND s.relnamespace = 'public'::regnamespace ORDER BY 1"""),
        }

    def nothing_is_left(self):
        left = self.sql("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'whimbrel%'")
        left += self.sql("SELECT tgname FROM pg_trigger WHERE tgname LIKE 'whimbrel%'")
        left += self.sql("SELECT proname FROM pg_proc WHERE proname LIKE 'note\\_%%'")
        assert not left, left

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)


def differences(before, after):
    return ["%s: %s -> %s" % (kind, [x for x in before[kind] if x not in after[kind]], [x for x in after[kind] if x not in before[kind]])
            for kind in before if before[kind] != after[kind]]


class Working:
    """Threads that work while the block is open. Who inherits has `threads`, and `stop`, an event."""

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()


class Writers(Working):
    """An application: it inserts, changes, deletes, exchanges unique values, and remembers what was acknowledged.

    A connection that is lost is opened again; nothing is expected of the row that was written just then.
    """

    def __init__(self, world, ids, count=3, pause=0.002):
        self.world, self.stop, self.errors, self.stalls, self.pause = world, threading.Event(), [], [], pause
        self.lock, self.alive, self.dead, self.acknowledged = threading.Lock(), {}, set(), 0
        self.threads = [threading.Thread(target=self.work, args=(n, ids[n::count])) for n in range(count)]

    def work(self, number, ids):
        rnd = random.Random(number)
        while not self.stop.is_set():
            try:
                with psycopg.connect(self.world.url, autocommit=True, prepare_threshold=None, application_name="the application") as connection:
                    self.work_on(connection, rnd, number, ids)
            except psycopg.Error as error:
                self.errors.append(str(error).splitlines()[0])
                time.sleep(0.05)

    def work_on(self, connection, rnd, number, ids):
        say = connection.execute

        def timed(*words):
            begun = time.monotonic()
            try:
                return say(*words)
            finally:
                self.stalls.append(time.monotonic() - begun)
        connection.execute = timed
        while not self.stop.is_set() and not connection.closed:
            try:
                self.step(connection, rnd, number, ids)
                self.acknowledged += 1
            except psycopg.Error as error:
                self.errors.append(str(error).splitlines()[0])
            time.sleep(self.pause)

    @contextlib.contextmanager
    def written(self, connection, one, note):
        """Expected from the answer on; and not, from the question on, what was there before."""
        with self.lock:
            was = self.alive.pop(one, self)
        try:
            yield
        except psycopg.Error:
            if not connection.closed and was is not self:  # the server says that it is as before
                with self.lock:
                    self.alive[one] = was
            raise
        with self.lock:
            if note is self:
                self.dead.add(one)
            else:
                self.alive[one] = note

    def step(self, connection, rnd, number, ids):
        what = rnd.random()
        if what < 0.4 or len(ids) < 5:
            one = str(uuid.UUID(int=rnd.getrandbits(128)))
            with self.written(connection, one, "none"):
                connection.execute("INSERT INTO people(id, mail) VALUES ('%s', '%s@live')" % (one, one))
            ids.append(one)
            connection.execute("INSERT INTO letters(sender, body) VALUES ('%s', 'live')" % one)
        elif what < 0.6:
            one, note = rnd.choice(ids), "note %d %f" % (number, rnd.random())
            with self.written(connection, one, note):
                connection.execute("UPDATE people SET note = %s WHERE id = '" + one + "'", (note,))
        elif what < 0.7:  # a null on purpose
            one = rnd.choice(ids)
            with self.written(connection, one, None):
                connection.execute("UPDATE people SET note = NULL WHERE id = '%s'" % one)
        elif what < 0.8:
            one = ids.pop(rnd.randrange(len(ids)))
            with self.written(connection, one, self):
                connection.execute("DELETE FROM people WHERE id = '%s'" % one)
        elif what < 0.9:  # unique values change places in one transaction
            one, other = rnd.sample(ids, 2)
            with connection.transaction():
                connection.execute("SELECT 1 FROM people WHERE id IN ('%s', '%s') ORDER BY id FOR UPDATE" % (one, other))
                rows = connection.execute("SELECT slot FROM people WHERE id = '%s' UNION ALL SELECT slot FROM people WHERE id = '%s'" % (one, other)).fetchall()
                if len(rows) == 2:
                    connection.execute("UPDATE people SET slot = NULL WHERE id = '%s'" % one)
                    connection.execute("UPDATE people SET slot = %s WHERE id = '" + other + "'", (rows[0][0],))
                    connection.execute("UPDATE people SET slot = %s WHERE id = '" + one + "'", (rows[1][0],))
        else:  # the key changes; letters keep it from having any
            one, other = str(uuid.UUID(int=rnd.getrandbits(128))), str(uuid.UUID(int=rnd.getrandbits(128)))
            with self.written(connection, one, "none"):
                connection.execute("INSERT INTO people(id, mail) VALUES ('%s', '%s@key')" % (one, one))
            with self.written(connection, one, self), self.written(connection, other, "none"):
                connection.execute("UPDATE people SET id = '%s' WHERE id = '%s'" % (other, one))
            ids.append(other)

    def are_all_there(self):
        notes = {str(one): note for one, note in self.world.sql("SELECT id, note FROM people")}
        lost = [one for one, note in self.alive.items() if one not in notes or notes[one] != note]
        assert not lost, "%d acknowledged writes are lost, like %s" % (len(lost), lost[:3])
        back = [one for one in self.dead if one in notes]
        assert not back, "%d deleted rows came back, like %s" % (len(back), back[:3])
        assert self.world.one("SELECT count(*) FROM letters l WHERE NOT EXISTS (SELECT FROM people p WHERE p.id = l.sender)") == 0
        assert self.world.one("SELECT count(*) FROM (SELECT slot FROM people WHERE slot IS NOT NULL GROUP BY 1 HAVING count(*) > 1) d") == 0


def run_tests(tests):
    """Each on one server, or those that the command line names; ends the process."""
    failed = 0
    wanted = sys.argv[1:]
    with postgresql() as server:
        for test in tests:
            if wanted and test.__name__ not in wanted:
                continue
            begun = time.monotonic()
            try:
                test(server)
                print("ok     %s (%.1f s)" % (test.__name__, time.monotonic() - begun), flush=True)
            except Exception as error:  # the others go on
                failed += 1
                where = traceback.extract_tb(error.__traceback__)[1]
                print("FAILED %s, line %d: %s: %s" % (test.__name__, where.lineno, type(error).__name__, error), flush=True)
    sys.exit(1 if failed else 0)

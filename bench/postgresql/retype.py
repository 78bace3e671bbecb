"""Text keys become uuid while an application writes: three ways, and what the application sees of each."""
import re
import signal
import time

import measuring
from database import HERE, Database, measured
from measuring import Failed
from whimbrel import RETYPE, Whimbrel

PYTHON = HERE.parent.parent / "tools" / "servers" / "python"  # it has psycopg
WRITES = {"insert_user": 2, "insert_entry": 2, "update_user": 5, "delete_tag": 1}
WRONG = """
SELECT (SELECT count(*) FROM pg_attribute WHERE attname IN ('id', 'user_id') AND atttypid <> 'uuid'::regtype
        AND (attrelid, attname) IN (('users'::regclass, 'id'), ('tags'::regclass, 'user_id'),
                                    ('journal_entries'::regclass, 'user_id')))
     + (SELECT 2 - count(*) FROM pg_constraint WHERE contype = 'f' AND convalidated
        AND connamespace = 'public'::regnamespace)
     + (SELECT count(*) FROM users, regexp_match(email, '^user([0-9]+)@') AS found
        WHERE found IS NOT NULL AND id <> md5(found[1])::uuid)
     + (SELECT count(*) FROM tags WHERE user_id <> md5((id * 104729 % :users + 1)::text)::uuid)
"""


class Application:
    """pgbench at a fixed rate, a statement a transaction; a wait counts from when the write was due."""
    BACKLOG_S = 3  # for what became due while it was held

    def __init__(self, bench, database):
        self.prefix = bench.work / "pgbench"
        for old in bench.work.glob("pgbench.[0-9]*"):
            old.unlink()
        self.log = bench.work / "pgbench.out"
        files = [word for name, weight in WRITES.items()
                 for word in ("-f", f"{HERE / 'writes' / name}.sql@{weight}")]
        self.process = measuring.Process(
            ["pgbench", "-n", "-c", bench.clients, "-R", bench.rate, "-T", 86_400, "-l", "--log-prefix",
             self.prefix, "-D", f"users={bench.users}", *files], self.log, env=database.environment)
        time.sleep(0.5 if bench.smoke else 2)

    def stop(self):
        time.sleep(self.BACKLOG_S)
        if self.process.runs():
            # As when its time is over: it ends each statement, and its log is whole.
            self.process.child.send_signal(signal.SIGALRM)
        try:
            self.process.wait(codes=(0, 2))  # 2: an error has ended clients
        except Failed as error:
            raise Failed(f"the application: {error}") from None
        errors = re.findall(r"ERROR: .*", self.log.read_text("utf-8", errors="replace"))
        samples = self.samples()
        return {"samples": samples, "errors": len(errors) + sum(one[2] for one in samples),
                "first_error": (errors or [""])[0]}

    def samples(self):
        """(when due, how many ms until it was done, whether it failed, which of WRITES)

        A deadlock is `failed` and its client goes on; any other error ends the client.
        """
        found = []
        for file in self.prefix.parent.glob("pgbench.[0-9]*"):
            for line in file.read_text("utf-8").splitlines():
                _, _, took_us, script, second, us, *_ = line.split()
                failed = took_us == "failed"
                took_s = 0 if failed else int(took_us) / 1e6
                found.append((int(second) + int(us) / 1e6 - took_s, took_s * 1e3, failed, int(script)))
        return found


def whimbrel(bench, database):
    """The only one whose trail says when it has swapped."""
    one = Whimbrel(bench, RETYPE, database.environment)
    return lambda: one.run_until("watch"), one.swapped


def alter(bench, database):
    return lambda: measuring.Process(database.psql("-f", HERE / "alter.sql"), bench.work / "alter.log"), None


def batches(bench, database):
    return lambda: measuring.Process([PYTHON, HERE / "batches.py", database.url],
                                     bench.work / "batches.log"), None


WAYS = {"whimbrel": whimbrel, "alter": alter, "batches": batches}


def once(bench, name):
    database = Database(bench.server, "race").made("users")
    way, swapped = WAYS[name](bench, database)
    application = Application(bench, database)
    try:
        taken = measured(database, way)
    finally:
        seen = application.stop()
    ended = taken["began"] + taken["seconds"]
    inserts = sum(not one[2] and one[3] == list(WRITES).index("insert_user") for one in seen["samples"])
    # What was in flight when it ended may be there and in no log.
    unlogged = database.number("SELECT count(*) FROM users") - bench.users - inserts
    wrong = database.number(WRONG.replace(":users", str(bench.users)))
    return {**taken, "swap_s": swapped() - taken["began"] if swapped else None,
            "waits": measuring.stalls(seen["samples"], taken["began"], ended),
            "errors": seen["errors"], "first_error": seen["first_error"],
            "tables_mb": database.table_bytes() / 1e6, "all_mb": database.all_bytes() / 1e6,
            "wrong": wrong + (0 if 0 <= unlogged <= bench.clients else abs(unlogged))}


def nobody(bench):
    """The same application where nobody migrates."""
    database = Database(bench.server, "race").made("users")
    application = Application(bench, database)
    wal, began = database.wal_bytes(), time.time()
    time.sleep(1 if bench.smoke else 10)
    seconds = time.time() - began
    wal = database.wal_bytes() - wal
    seen = application.stop()
    return {"seconds": seconds, "waits": measuring.stalls(seen["samples"], began, began + seconds),
            "errors": seen["errors"], "wal_mb": wal / 1e6, "tables_mb": database.table_bytes() / 1e6,
            "all_mb": database.all_bytes() / 1e6}


def prepare(bench):
    Database(bench.server, "users").made().fill("users.sql", users=bench.users)

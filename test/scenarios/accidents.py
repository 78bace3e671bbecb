"""What goes wrong at night, each as a function of its own: a clear error, nothing lost, and on it goes.

`python3 accidents.py` runs all of them, `python3 accidents.py NAME...` some; `--large` adds ten million
rows. An accident that cannot be made to happen
here (no root, no faketime) says why; if none failed and one could not be run, the exit code is 77.
"""
import os
import pathlib
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

from whimbrel import BINARY, OLD, World

MEGABYTE = 1 << 20
DISK_FULL = ("database or disk is full", "disk I/O error", "No space left on device", "unable to open database file")


class Skip(Exception):
    """This accident cannot be made to happen here."""


def attempt(world, *arguments, seconds=60):
    """As World.run, but what does not end is ended."""
    process = world.start(*arguments)
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError("%s did not end in %d s; its last words:\n%s" % (arguments, seconds, err[-600:])) from None
    return process.returncode, out, err


def wait_for(what, seconds=60, why="it never happened"):
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, why
        time.sleep(0.01)


def state_of(world):
    return world.folder / ".whimbrel" / "scenario"


def changed(world, old, new):
    text = world.plan.read_text()
    assert old in text, old
    world.plan.write_text(text.replace(old, new))


def slowly(world, rows_per_s):
    changed(world, "limits: {batch_size: 50}", "limits: {batch_size: 50, rows_per_s: %d}" % rows_per_s)


def expect_words(text, *words):
    for word in words:
        assert word in text, "%r is missing in:\n%s" % (word, text)


def sql(world, statement, *parameters):
    connection = world.connect()
    try:
        with connection:
            return connection.execute(statement, parameters).fetchall()
    finally:
        connection.close()


def triggers(world, table):
    return [r[0] for r in sql(world, "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?", table)]


def is_switched(world):
    return sql(world, "SELECT state FROM switches WHERE name = 'use_new'") == [(1,)]


class Before:
    """What a rollback has to bring back: schema, rows, and what the application wrote since."""

    def __init__(self, world):
        self.world = world
        self.schema = world.schema()
        self.rows = world.old_rows()

    def unchanged(self):
        assert self.world.old_rows() == self.rows, "rows of the source changed"

    def is_back(self):
        left = sorted(set(self.world.schema()) ^ set(self.schema))
        assert not left, "left behind, or lost: %s" % left
        self.unchanged()


def goes_on_to_its_end(world, before, *options):
    """The cause is gone: the same command ends where an undisturbed run ends, and can go back."""
    world.run("run", "--yes", *options)
    world.compare()
    assert is_switched(world)
    world.run("verify", *options)
    write_new(world, "after")
    world.run("rollback", "--yes", *options)
    old = world.old_rows()
    assert old.pop("after-new", None), "a row written on the new side was lost by the rollback"
    assert old == before.rows, "rollback did not bring back the rows"
    left = sorted(set(world.schema()) ^ set(before.schema))
    assert not left, "left behind, or lost: %s" % left
    assert not world.own_objects(), world.own_objects()


def write_old(world, name):
    sql(world, "INSERT INTO \"old orders\" (id, who, qty, price, note) VALUES (?, 'w', 1, 0.5, 'n')", name + "-old")


def write_new(world, name):
    sql(world, "INSERT INTO \"new {orders}\" (key, customer, doc) VALUES (?, 'n', '{\"note\":\"hi\"}')", name + "-new")


class Application(threading.Thread):
    """Writes to the table in service as the switch says, all the time; keeps a book of what was accepted."""

    def __init__(self, world, mode, pause=0.002):
        super().__init__(daemon=True)
        self.world, self.mode, self.pause = world, mode, pause
        self.accepted, self.refused = set(), []
        self.ends = threading.Event()

    def run(self):
        connection = sqlite3.connect(self.world.db, timeout=20, isolation_level=None)
        connection.execute("PRAGMA journal_mode = " + self.mode)
        number = 0
        while not self.ends.wait(self.pause):
            number += 1
            key = "app%05d" % number
            try:
                connection.execute("BEGIN IMMEDIATE")
                switched = connection.execute("SELECT state FROM switches WHERE name = 'use_new'").fetchone()
                if switched == (1,):
                    connection.execute("INSERT INTO \"new {orders}\" (key, customer, doc) VALUES (?, 'n', '{}')",
                                       (key,))
                else:
                    connection.execute("INSERT INTO \"old orders\" VALUES (?, 'w', NULL, 1, 0.5, 'n', NULL)", (key,))
                    connection.execute("UPDATE \"old orders\" SET note = ? WHERE id LIKE ?",
                                       (key, "k%05d%%" % (number % 100)))
                connection.execute("COMMIT")
                self.accepted.add(key)
            except sqlite3.Error as failure:
                self.refused.append("%s: %s" % (key, failure))
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
        connection.close()

    def stop(self):
        self.ends.set()
        self.join(60)
        assert not self.is_alive(), "the application hangs"
        return self.accepted

    def lost_nothing(self):
        missing = self.accepted - set(self.world.old_rows())
        assert not missing, "%d of %d accepted writes are lost: %s" % (
            len(missing), len(self.accepted), sorted(missing)[:3])


# A disk that is full.

class SmallDisk:
    def __init__(self, megabytes):
        if os.geteuid() != 0:
            raise Skip("a small disk is mounted by root only")
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="whimbrel-disk-"))
        made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%dm" % megabytes, "tmpfs", str(self.folder)],
                              capture_output=True, text=True)
        if made.returncode != 0:
            self.folder.rmdir()
            raise Skip("no tmpfs can be mounted here: " + made.stderr.strip())
        self.ballast = self.folder / "ballast"

    def fill(self, leave):
        """Writes until only `leave` bytes are free."""
        with open(self.ballast, "ab") as f:
            while True:
                now = os.statvfs(self.folder)
                room = now.f_bavail * now.f_frsize - leave
                if room <= 0:
                    return
                f.write(b"\0" * min(room, 64 * 1024))
                f.flush()

    def empty(self):
        self.ballast.unlink(missing_ok=True)

    def close(self):
        subprocess.run(["umount", "--lazy", str(self.folder)], check=True)  # a failed test may still hold a file
        self.folder.rmdir()


class FullDiskWorld:
    """A world whose database, or whose state folder, lies on a disk of its own."""

    def __init__(self, what, sync, rows=400):
        self.disk = SmallDisk(8)
        self.world = World(rows=rows, sync=sync)
        self.options = ()
        if what == "database":
            moved = self.disk.folder / "app.db"
            connection = self.world.connect()
            connection.execute("VACUUM INTO ?", (str(moved),))
            connection.close()
            self.world.db = moved
            sql(self.world, "PRAGMA journal_mode = WAL")
        else:
            self.options = ("--state", str(self.disk.folder / "state"))
        self.before = Before(self.world)

    def close(self):
        self.disk.close()
        self.world.close()


ROOM = (0, 16384, 65536, 200000)
GOALS = ("backup", "prepare", "copy", "follow", "verify", "watch", "rollback")


def full_in_each_phase(what, sync, goals=GOALS, least=5):
    full = 0
    for goal in goals:
        here = FullDiskWorld(what, sync)
        try:
            verb = ("rollback", "--yes") if goal == "rollback" else ("run", "--yes", "--until", goal)
            reached = {"prepare": "backup", "copy": "prepare", "follow": "copy", "verify": "follow", "watch": "verify",
                       "rollback": "watch"}.get(goal)
            if reached:
                here.world.run("run", "--yes", "--until", reached, *here.options)
            if what == "database" and goal == "copy" and sync == "dual":
                write_old(here.world, "live")
                here.before.rows = here.world.old_rows()
            for room in ROOM:
                here.disk.fill(room)
                code, out, err = attempt(here.world, *verb, *here.options)
                here.disk.empty()
                here.before.unchanged()
                if code == 0:
                    break
                full += 1
                told = "%s with %d bytes of room: exit %d\n%s" % (goal, room, code, err)
                assert code == 1, told
                assert any(words in err for words in DISK_FULL), told
                assert "room" in err and "hint:" in err, told
            if goal == "rollback":
                here.world.run("rollback", "--yes", *here.options)
                here.before.is_back()
            else:
                here.world.run(*verb, *here.options)
            goes_on_to_its_end(here.world, here.before, *here.options)
        finally:
            here.close()
    assert full >= least, "the disk was hardly ever full: %d times" % full


def disk_too_small_is_told_before():
    full = FullDiskWorld("database", "capture", rows=2000)
    try:
        full.disk.fill(32768)
        told = "".join(full.world.run("analyze")[1:])
        assert " more on disk, and 32 kB are free there" in told, told
        full.disk.empty()
        told = "".join(full.world.run("analyze")[1:])
        assert "are free there" not in told, told
    finally:
        full.close()


def disk_full_under_the_database_dual():
    full_in_each_phase("database", "dual")


def disk_full_under_the_database_capture():
    full_in_each_phase("database", "capture", [goal for goal in GOALS if goal != "watch"])


def disk_full_at_the_switch_with_capture():
    full_in_each_phase("database", "capture", ["watch"], 1)


def disk_full_under_the_state_folder_dual():
    full_in_each_phase("state", "dual")


def disk_full_under_the_state_folder_capture():
    full_in_each_phase("state", "capture")


# Files that cannot be written.

class ReadOnly:
    """A file or folder that nobody can write, root neither."""

    def __init__(self, path):
        self.path, self.mounted = path, False
        self.mode = os.stat(path).st_mode
        if os.geteuid() != 0:
            os.chmod(path, self.mode & ~0o222)
            return
        if subprocess.run(["mount", "--bind", str(path), str(path)], capture_output=True).returncode != 0:
            raise Skip("root writes everything here, and nothing can be mounted")
        self.mounted = True
        subprocess.run(["mount", "-o", "remount,bind,ro", str(path)], check=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.mounted:
            subprocess.run(["umount", "--lazy", str(self.path)], check=True)
        else:
            os.chmod(self.path, self.mode)


def read_only(which, until, codes, *words):
    world = World(rows=60)
    before = Before(world)
    if until:
        world.run("run", "--yes", "--until", until)
    else:
        state_of(world).mkdir(parents=True)
    path = {"file": world.db, "folder": world.folder, "state": state_of(world)}[which]
    own = world.own_objects()
    with ReadOnly(path):
        code, out, err = attempt(world, "run", "--yes")
        assert code in codes, "exit %d\n%s" % (code, err)
        before.unchanged()
        if code != 0:
            expect_words(err, "hint:", *words)
            assert world.own_objects() == own
    goes_on_to_its_end(world, before)
    world.close()


def read_only_database_file():
    for until in (None, "backup", "copy", "verify"):
        read_only("file", until, (3,), "app.db", "must be writable by this user")


def read_only_folder_of_the_database():
    for until in (None, "backup", "copy", "verify"):
        # Without root only the folder itself is closed: what is needed may be there already.
        read_only("folder", until, (1, 3) if os.geteuid() == 0 else (0, 1, 3), "writable")


def read_only_state_folder():
    for until in (None, "backup", "copy", "verify"):
        read_only("state", until, (1, 3), "journal.db", "the state folder must exist and be writable")


# A journal, or another file of the state folder, that is damaged.

def without_journal_companions(world):
    for end in ("-wal", "-shm"):
        (state_of(world) / ("journal.db" + end)).unlink(missing_ok=True)


def damaged_journal(damage, until, sync):
    """Each verb is refused or carries on rightly; with the journal put back it goes on."""
    world = World(rows=200, sync=sync)
    before = Before(world)
    world.run("run", "--yes", "--until", until)
    journal = state_of(world) / "journal.db"
    good = journal.read_bytes()
    refused = 0
    for bad in damage(good):
        # An unread page may be damaged unseen: what is then carried out must be right, on a copy of everything.
        kept = world.folder / "kept.db"
        sql(world, "VACUUM INTO ?", str(kept))
        journal.write_bytes(bad)
        for verb in (("status",), ("run", "--yes", "--until", until), ("verify",), ("rollback", "--yes")):
            code, out, err = attempt(world, *verb)
            before.unchanged()
            if code == 0:
                continue
            refused += 1
            expect_words(err, "journal.db", "hint:")
        without_journal_companions(world)
        journal.write_bytes(good)
        put_database(world, kept)
    assert refused, "no damage was noticed"
    goes_on_to_its_end(world, before)
    world.close()


def put_database(world, other):
    for end in ("", "-wal", "-shm", "-journal"):
        pathlib.Path(str(world.db) + end).unlink(missing_ok=True)
    os.replace(other, world.db)
    sql(world, "PRAGMA journal_mode = WAL")


def bytes_overwritten(good):
    for page in range(len(good) // 4096):
        yield good[:page * 4096] + bytes(range(256)) * 16 + good[(page + 1) * 4096:]
        middle = page * 4096 + 3900
        yield good[:middle] + bytes(64) + good[middle + 64:]


def cut_short(good):
    for part in (4, 3, 2):
        yield good[:len(good) * (part - 1) // part]
    yield good[:4096]
    yield good[:5000]
    yield good[:100]


def journal_overwritten():
    damaged_journal(bytes_overwritten, "copy", "dual")


def journal_cut_short():
    for sync in ("dual", "capture"):
        damaged_journal(cut_short, "copy", sync)
        damaged_journal(cut_short, "watch", sync)


def journal_deleted():
    """A new journal does not take over what another one drives."""
    for sync in ("dual", "capture"):
        for until in ("prepare", "copy", "watch"):
            world = World(rows=60, sync=sync)
            before = Before(world)
            world.run("run", "--yes", "--until", until)
            aside = world.folder / "aside"
            os.rename(state_of(world), aside)
            schema = world.schema()
            for verb in (("status",), ("verify",), ("rollback", "--yes"), ("run", "--yes")):
                code, out, err = attempt(world, *verb)
                assert code == 3, "%s after %s: exit %d\n%s" % (verb, until, code, err)
                assert world.schema() == schema, "%s changed the schema" % (verb,)
                before.unchanged()
            shutil.rmtree(state_of(world), ignore_errors=True)  # one that was refused may have made none
            os.rename(aside, state_of(world))
            goes_on_to_its_end(world, before)
            world.close()


def journal_deleted_is_told_as_what_it_is():
    """The links are alive: whoever empties the target empties the source."""
    for until in ("copy", "watch"):
        world = World(rows=60)
        world.run("run", "--yes", "--until", until)
        shutil.rmtree(state_of(world))
        for verb in (("check",), ("analyze",), ("run", "--yes")):
            code, out, err = attempt(world, *verb)
            assert code == 3, code
            assert "empty it" not in out + err, "it is told to empty a table whose rows are linked:\n" + out + err
            expect_words(out + err, "driven by the journal of another state folder", "--state")
        world.close()


def rollback_of_a_refused_journal_leaves_the_other_alone():
    world = World(rows=60)
    before = Before(world)
    world.run("run", "--yes", "--until", "prepare")
    claims = sql(world, "SELECT * FROM whimbrel_claims")
    elsewhere = ("--state", str(world.folder / "elsewhere"))
    world.run("run", "--yes", *elsewhere, expect=3)
    world.run("rollback", "--yes", *elsewhere, expect=None)
    assert "whimbrel_claims" in world.own_objects(), "the claim is gone"
    assert sql(world, "SELECT * FROM whimbrel_claims") == claims
    world.run("run", "--yes", *elsewhere, expect=3)
    goes_on_to_its_end(world, before)
    world.close()


def files_half_written():
    for until in ("backup", "prepare", "verify", "watch"):
        world = World(rows=100)
        before = Before(world)
        world.run("analyze")
        world.run("run", "--yes", "--until", until)
        state = state_of(world)
        for file in state.glob("migration-*.json"):
            file.write_bytes(file.read_bytes()[:file.stat().st_size // 2])
            (state / (file.name + ".part")).write_bytes(b'{"half')
        (state / "rejected.jsonl").write_bytes(b'{"table": "old or')
        (state / "migration.log").write_bytes(b"\xff\xfe half a li")
        (state / "journal.db.lock").write_bytes(b"99999999")
        for file in (state / "backup").rglob("*"):
            if file.is_file() and until == "backup":
                file.write_bytes(file.read_bytes()[:file.stat().st_size // 2])
        world.run("status")
        goes_on_to_its_end(world, before)
        world.close()


def older_journal_put_back():
    """The database has gone on since this copy of the state folder was made: nothing is undone that it forgot."""
    for sync in ("dual", "capture"):
        for until in ("prepare", "copy", "verify"):
            for verb in ("rollback", "run"):
                world = World(rows=60, sync=sync)
                before = Before(world)
                world.run("run", "--yes", "--until", until)
                older, newer = world.folder / "older", world.folder / "newer"
                shutil.copytree(state_of(world), older)
                world.run("run", "--yes")
                write_new(world, "since")
                os.rename(state_of(world), newer)
                os.rename(older, state_of(world))
                code, out, err = attempt(world, verb, "--yes")
                told = "%s, journal of %s, %s: exit %d\n%s" % (sync, until, verb, code, err)
                if is_switched(world):
                    assert sql(world, "SELECT count(*) FROM sqlite_master WHERE name = 'new {orders}'") == [(1,)], \
                        "the application is switched to a table that is gone: " + told
                    assert "since-new" in world.new_rows(), told
                else:
                    assert "since-new" in world.old_rows(), "a row written on the new side is lost: " + told
                if code != 0:
                    assert code == 3, told
                    expect_words(err, "hint:")
                    shutil.rmtree(state_of(world))
                    os.rename(newer, state_of(world))
                attempt(world, "rollback", "--yes")
                assert not is_switched(world), "rolled back, and still switched: " + told
                old = world.old_rows()
                assert old.pop("since-new", None), "a row written on the new side is lost: " + told
                assert old == before.rows and sorted(world.schema()) == before.schema, told
                world.close()


# The database is not the one it was.

def copy_of(world, name):
    path = world.folder / name
    sql(world, "VACUUM INTO ?", str(path))
    return path


def replaced_by_an_older_copy(sync, before_what, until, well_told=False):
    """Noticed, or put right; never a row lost in silence. With the right file back it goes on."""
    world = World(rows=120, sync=sync)
    before = Before(world)
    if before_what:
        world.run("run", "--yes", "--until", before_what)
    older = copy_of(world, "older.db")
    world.run("run", "--yes", "--until", until)
    right = copy_of(world, "right.db")
    put_database(world, older)
    code, out, err = attempt(world, "run", "--yes")
    if code == 0:
        assert is_switched(world), "`run` says that it is switched, and it is not"
        world.compare()
    elif well_told:
        expect_words(err, "hint:", "safe:")
        assert "no such table" not in err and "what else writes" not in err, "it does not say what happened:\n" + err
    before.unchanged()
    code, out, err = attempt(world, "rollback", "--yes")
    before.unchanged()
    if code == 0:
        left = sorted(set(world.schema()) ^ set(before.schema))
        assert not left, "left behind: %s" % left
        world.run("run", "--yes")
        world.compare()
        world.run("rollback", "--yes")
        before.is_back()
    else:
        put_database(world, right)
        goes_on_to_its_end(world, before)
    world.close()


def database_replaced_by_an_older_copy():
    for sync in ("dual", "capture"):
        for before_what, until in ((None, "copy"), ("prepare", "copy"), ("prepare", "verify")):
            replaced_by_an_older_copy(sync, before_what, until)


def database_replaced_by_an_older_copy_is_told_as_what_it_is():
    for sync in ("dual", "capture"):
        for before_what, until in ((None, "copy"), ("prepare", "copy"), ("prepare", "verify")):
            replaced_by_an_older_copy(sync, before_what, until, well_told=True)


def database_replaced_by_an_older_copy_after_the_switch():
    for sync in ("dual", "capture"):
        for before_what in (None, "prepare", "verify"):
            replaced_by_an_older_copy(sync, before_what, "watch")


def database_replaced_by_another():
    for until in ("backup", "copy", "watch"):
        world = World(rows=60)
        before = Before(world)
        world.run("run", "--yes", "--until", until)
        right = copy_of(world, "right.db")
        other = world.folder / "other.db"
        connection = sqlite3.connect(other)
        connection.execute("CREATE TABLE theirs (x)")
        connection.close()
        put_database(world, other)
        schema = world.schema()
        for verb in (("run", "--yes"), ("verify",), ("rollback", "--yes")):
            code, out, err = attempt(world, *verb)
            assert code in (2, 3), "%s: exit %d\n%s" % (verb, code, err)
            expect_words(err, "there is no table `old orders`")
        assert world.schema() == schema, "a database of others was changed"
        put_database(world, right)
        goes_on_to_its_end(world, before)
        world.close()


def database_deleted():
    for until in ("backup", "copy", "watch"):
        world = World(rows=60)
        before = Before(world)
        world.run("run", "--yes", "--until", until)
        right = copy_of(world, "right.db")
        for end in ("", "-wal", "-shm"):
            pathlib.Path(str(world.db) + end).unlink(missing_ok=True)
        for verb in (("run", "--yes"), ("verify",), ("rollback", "--yes")):
            code, out, err = attempt(world, *verb)
            assert code == 3, "%s: exit %d\n%s" % (verb, code, err)
            expect_words(err, "there is no database", "hint:")
            assert not world.db.exists(), "a database was made"
        world.run("status")
        put_database(world, right)
        goes_on_to_its_end(world, before)
        world.close()


def database_deleted_while_it_is_copied():
    world = World(rows=1000)
    before = Before(world)
    slowly(world, 1000)
    right = copy_of(world, "right.db")
    process = world.start("run", "--yes", "--until", "verify")
    journal_says(world, "chunk_copied")
    for end in ("", "-wal", "-shm"):
        pathlib.Path(str(world.db) + end).unlink(missing_ok=True)
    out, err = process.communicate(timeout=60)
    assert process.returncode in (1, 3), "exit %d\n%s" % (process.returncode, err)
    expect_words(err, "there is no database")
    assert not world.db.exists(), "a database was made"
    put_database(world, right)  # as it was before the migration began
    attempt(world, "rollback", "--yes")
    before.unchanged()
    goes_on_to_its_end(world, before)
    world.close()


def journal_says(world, event):
    log = state_of(world) / "migration.log"
    wait_for(lambda: log.exists() and event in log.read_text(), 60, "`%s` never came" % event)


# Clocks.

def with_clock(world, clock, *arguments, extra=None):
    faketime = shutil.which("faketime")
    if faketime is None:
        raise Skip("faketime is not installed")
    if sanitized():
        raise Skip("faketime and the sanitizers do not go together")
    environment = dict(world.environment(), **(extra or {}))
    command = [BINARY, arguments[0], str(world.plan), *arguments[1:]]
    if clock:
        command = [faketime, "-f", clock] + command
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=120)
    assert done.returncode == 0, "%s at %s: exit %d\n%s" % (arguments, clock, done.returncode, done.stderr)
    return done.stdout


def sanitized():
    return b"__asan_init" in pathlib.Path(BINARY).read_bytes()


def clock_set_back_between_two_runs():
    for sync in ("dual", "capture"):
        for clock in ("-2d", "-400d", "+30d"):
            world = World(rows=120, sync=sync)
            before = Before(world)
            world.run("run", "--yes", "--until", "copy")
            with_clock(world, clock, "run", "--yes", "--until", "verify")
            with_clock(world, clock, "status")
            world.compare()
            with_clock(world, clock, "run", "--yes")
            assert is_switched(world)
            write_new(world, "live")
            world.run("status")
            world.run("rollback", "--yes")
            old = world.old_rows()
            assert old.pop("live-new", None), "a write was lost"
            assert old == before.rows
            goes_on = Before(world)
            goes_on_to_its_end(world, goes_on)
            world.close()


def clock_set_back_during_a_run():
    for sync in ("dual", "capture"):
        world = World(rows=1500, sync=sync)
        before = Before(world)
        slowly(world, 1500)
        library = next((str(p) for p in pathlib.Path("/usr/lib").rglob("libfaketimeMT.so.1")), None)
        if library is None:
            raise Skip("libfaketime is not installed")
        if sanitized():
            raise Skip("faketime and the sanitizers do not go together")
        clock = world.folder / "clock"
        clock.write_text("+0\n")
        environment = dict(world.environment(), LD_PRELOAD=library, FAKETIME_TIMESTAMP_FILE=str(clock),
                           FAKETIME_NO_CACHE="1", DONT_FAKE_MONOTONIC="1")
        process = subprocess.Popen([BINARY, "run", str(world.plan), "--yes"], env=environment, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        journal_says(world, "chunk_copied")
        clock.write_text("-3d\n")
        try:
            out, err = process.communicate(timeout=90)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise AssertionError("it does not end when the clock is set back") from None
        assert process.returncode == 0, "exit %d\n%s" % (process.returncode, err)
        world.compare()
        goes_on_to_its_end(world, before)
        world.close()


# Sizes.

# A process of its own, because a child is said to have had all the memory of whoever forked it.
MEASURE = """
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(done.returncode)
"""


def run_measured(world, *arguments):
    """The most memory it had, in megabytes."""
    command = [sys.executable, "-c", MEASURE, BINARY, arguments[0], str(world.plan), *arguments[1:]]
    done = subprocess.run(command, env=world.environment(), capture_output=True, text=True)
    assert done.returncode == 0, "%s: exit %d\n%s" % (arguments, done.returncode, done.stderr[-2000:])
    return int(done.stdout) / 1024


def within(megabytes, most, what):
    if not sanitized():
        assert megabytes <= most, "%s took %d MB, more than %d" % (what, megabytes, most)


def giant(what, sync, most):
    size = 100 * MEGABYTE
    world = World(rows=20, sync=sync)
    if what == "blob":
        sql(world, "UPDATE \"old orders\" SET \"select\" = zeroblob(?) WHERE id LIKE 'k00003%'", size)
    else:
        sql(world, "UPDATE \"old orders\" SET note = ? WHERE id LIKE 'k00003%'", "lörem\n" * (size // 7))
    for verb in (("analyze",), ("run", "--yes", "--until", "copy"), ("run", "--yes", "--until", "verify"),
                 ("run", "--yes"), ("verify",)):
        within(run_measured(world, *verb), most, "%s of a giant %s (%s)" % (verb, what, sync))
    same = sql(world, """SELECT count(*) FROM "old orders" o JOIN "new {orders}" n ON n.key = o.id
        WHERE n.choice IS coalesce(o."select", 'none') AND json_extract(n.doc, '$.note') IS o.note""")
    assert same == [(20,)], same
    within(run_measured(world, "rollback", "--yes"), most, "the rollback of a giant %s (%s)" % (what, sync))
    length = sql(world, "SELECT length(CAST(\"select\" AS BLOB)), length(CAST(note AS BLOB)) FROM \"old orders\""
                        " WHERE id LIKE 'k00003%'")
    assert size - 10 < max(length[0][0] or 0, length[0][1] or 0) <= size, length
    assert not world.own_objects()
    world.close()


PROMISED_MB = 128 + 3 * 100


# SQLite sets rows aside before it inserts them into a table with triggers, so with links it holds one more copy.
def giant_blob():
    giant("blob", "dual", PROMISED_MB + 100)
    giant("blob", "capture", PROMISED_MB)


def giant_text():
    giant("text", "dual", PROMISED_MB + 200)  # and its JSON functions one besides
    giant("text", "capture", PROMISED_MB + 200)


class WideWorld(World):
    """A table with as many columns as SQLite takes; all but `skipped` of them move under other names."""

    def __init__(self, columns, sync, rows=5):
        super().__init__(rows=0, sync=sync)
        names = ["c%04d" % i for i in range(1, columns)]
        connection = self.connect()
        connection.execute("CREATE TABLE wide (id TEXT PRIMARY KEY, %s)" % ", ".join(n + " TEXT" for n in names))
        connection.executemany("INSERT INTO wide VALUES (%s)" % ", ".join("?" * columns),
                               ([str(r)] + ["%d-%s" % (r, n) for n in names] for r in range(rows)))
        connection.commit()
        connection.close()
        (self.folder / "new.sql").write_text(
            "CREATE TABLE wider (id TEXT PRIMARY KEY, %s);\n" % ", ".join("n" + n + " TEXT" for n in names))
        mapping = "".join("      n%s: %s\n" % (n, n) for n in names)
        self.plan.write_text("whimbrel: 1\nmigration: scenario\nstores: {db: \"sqlite:${SCENARIO_DB}\"}\ntables:\n"
                             "  - from: db/wide\n    to: db/wider\n    create: new.sql\n    columns:\n      id: id\n"
                             + mapping + "sync: " + sync + "\n")

    def equal(self):
        return sql(self, "SELECT * FROM wide ORDER BY id") == sql(self, "SELECT * FROM wider ORDER BY id")


def wide(columns, sync):
    world = WideWorld(columns, sync)
    schema = world.schema()
    code, out, err = attempt(world, "run", "--yes", seconds=280)
    if code == 3 and "safe: nothing was changed" in err:
        assert world.schema() == schema  # a limit that is told before anything is made is a limit
        expect_words(err, "columns")
    else:
        assert code == 0, "%d columns, %s: exit %d\n%s" % (columns, sync, code, err[-1500:])
        sql(world, "UPDATE wider SET nc0007 = 'written' WHERE id = '1'")
        world.run("verify")
        world.run("rollback", "--yes")
        assert sql(world, "SELECT c0007 FROM wide WHERE id = '1'") == [("written",)]
        assert world.schema() == schema
    world.close()


def nine_hundred_columns_with_capture():
    wide(900, "capture")


def two_thousand_columns_with_capture():
    wide(2000, "capture")
    wide(1999, "capture")


def many_columns_with_links():
    for columns in (100, 400):
        wide(columns, "dual")


def two_thousand_columns_with_links():
    wide(2000, "dual")


def steps_of_a_write(columns):
    """How long the program is that SQLite makes of one UPDATE, with all triggers that it may fire."""
    world = WideWorld(columns, "dual")
    world.run("run", "--yes", "--until", "copy")
    steps = sql(world, "EXPLAIN UPDATE wide SET c0001 = 'x' WHERE id = '1'")
    world.close()
    return len(steps)


def links_of_a_wide_table_cost_its_writers_little():
    narrow, wide = steps_of_a_write(50), steps_of_a_write(400)
    assert wide < 8 * narrow, "eight times the columns make %.1f times the program" % (wide / narrow)


def no_rows_and_one_row():
    for rows in (0, 1):
        for sync in ("dual", "capture"):
            world = World(rows=rows, sync=sync)
            before = Before(world)
            world.run("analyze")
            goes_on_to_its_end(world, before)
            world.run("run", "--yes")
            world.run("finish", "--yes")
            world.close()


def many_rows(rows=300_000, batch=5000):
    for sync in ("dual", "capture"):
        world = World(rows=rows, sync=sync)
        changed(world, "batch_size: 50", "batch_size: %d" % batch)
        schema = world.schema()
        for verb in (("analyze",), ("run", "--yes", "--until", "verify"), ("run", "--yes"), ("verify",),
                     ("rollback", "--yes")):
            within(run_measured(world, *verb), 128, "%s of %d rows (%s)" % (verb, rows, sync))
        assert world.schema() == schema
        assert sql(world, 'SELECT count(*) FROM "old orders"') == [(rows,)]
        world.close()


def ten_million_rows():
    many_rows(10_000_000, 20_000)


# Others at the same database.

def a_reader_that_stays():
    for mode, sync in (("wal", "dual"), ("wal", "capture"), ("delete", "dual")):
        world = World(rows=300, sync=sync, journal_mode=mode)
        before = Before(world)
        reader = sqlite3.connect(world.db, isolation_level=None)
        reader.execute("BEGIN")
        assert reader.execute('SELECT count(*) FROM "old orders"').fetchone() == (300,)
        code, out, err = attempt(world, "run", "--yes", seconds=120)
        assert reader.execute('SELECT count(*) FROM "old orders"').fetchone() == (300,), "a reader saw a change"
        reader.execute("COMMIT")
        reader.close()
        if mode == "wal":
            assert code == 0, "exit %d\n%s" % (code, err)
        else:
            assert code == 1, "exit %d\n%s" % (code, err)
            expect_words(err, "the database is locked by somebody else", "hint:")
            before.unchanged()
        goes_on_to_its_end(world, before)
        world.close()


def held_for(world, seconds, event):
    """Somebody holds the write lock for longer than the busy timeout, from the first time the event is logged."""
    def hold():
        journal_says(world, event)
        writer = sqlite3.connect(world.db, timeout=20, isolation_level=None)
        writer.execute("BEGIN IMMEDIATE")
        time.sleep(seconds)
        writer.execute("ROLLBACK")
        writer.close()
    holder = threading.Thread(target=hold, daemon=True)
    holder.start()
    return holder


def a_writer_longer_than_the_busy_timeout():
    for sync, event in (("dual", "chunk_copied"), ("capture", "chunk_copied"), ("capture", "chunk_verified")):
        world = World(rows=600, sync=sync)
        before = Before(world)
        slowly(world, 1200)
        holder = held_for(world, 7, event)
        world.run("run", "--yes", timeout=120)
        holder.join()
        goes_on_to_its_end(world, before)
        world.close()


def a_writer_beside(mode, sync, seconds=0.5):
    world = World(rows=800, sync=sync, journal_mode=mode)
    changed(world, "cutover:\n  max_hold: 2s", "cutover:\n  max_hold: 4s")
    schema = world.schema()
    application = Application(world, mode)
    application.start()
    try:
        world.run("run", "--yes", "--until", "verify")
        world.run("run", "--yes")
        time.sleep(seconds)
        world.run("verify")
        world.run("rollback", "--yes")
        time.sleep(seconds / 2)
    finally:
        application.stop()
    application.lost_nothing()
    assert len(application.accepted) > 50, "it hardly wrote: %d" % len(application.accepted)
    unexpected = [words for words in application.refused if sync == "dual" or "locked" in words]
    assert not unexpected, "%d writes failed: %s" % (len(unexpected), unexpected[:3])
    assert world.schema() == schema, "left behind: %s" % sorted(set(world.schema()) ^ set(schema))
    with sqlite3.connect(world.db) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        now = connection.execute("PRAGMA journal_mode").fetchone()[0]
        assert (now == "wal") == (mode == "wal"), "the journal mode was changed to " + now
    world.close()


def a_writer_beside_in_each_journal_mode():
    for mode in ("wal", "delete", "truncate", "persist"):
        for sync in ("dual", "capture"):
            a_writer_beside(mode, sync)


def vacuum_in_between():
    for sync in ("dual", "capture"):
        for mode in ("wal", "delete"):
            world = World(rows=500, sync=sync, journal_mode=mode)
            before = Before(world)
            sql(world, "DELETE FROM \"old orders\" WHERE id LIKE 'k0002%'")
            before.rows = world.old_rows()
            for goal in ("prepare", "copy", "verify", "watch"):
                world.run("run", "--yes", "--until", goal)
                connection = sqlite3.connect(world.db, isolation_level=None)
                connection.execute("PRAGMA page_size = %d" % (1024 if goal == "copy" else 4096))
                connection.execute("VACUUM")
                connection.close()
            goes_on_to_its_end(world, before)
            world.close()


def vacuum_while_it_copies():
    for sync in ("dual", "capture"):
        world = World(rows=1500, sync=sync)
        before = Before(world)
        slowly(world, 1500)
        process = world.start("run", "--yes")
        journal_says(world, "chunk_copied")
        for _ in range(5):
            connection = sqlite3.connect(world.db, timeout=20, isolation_level=None)
            connection.execute("VACUUM")
            connection.close()
            time.sleep(0.1)
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, "exit %d\n%s" % (process.returncode, err)
        goes_on_to_its_end(world, before)
        world.close()


RENAMED = (('ALTER TABLE "old orders" RENAME COLUMN qty TO amount',
            'ALTER TABLE "old orders" RENAME COLUMN amount TO qty', "qty"),
           ('ALTER TABLE "new {orders}" RENAME COLUMN quantity TO amount',
            'ALTER TABLE "new {orders}" RENAME COLUMN amount TO quantity', "quantity"))
ADDED = ('ALTER TABLE "old orders" ADD COLUMN extra TEXT', 'ALTER TABLE "new {orders}" ADD COLUMN extra TEXT')


def a_column_is_renamed_and_put_right():
    """Refused with the column's name; the application's writes go on being carried; put right, it goes on."""
    for sync in ("dual", "capture"):
        for until in ("copy", "watch"):
            for alter, back, column in RENAMED:
                world = World(rows=60, sync=sync)
                before = Before(world)
                world.run("run", "--yes", "--until", until)
                sql(world, alter)
                sql(world, "UPDATE \"old orders\" SET who = who" if until == "copy" else
                           "UPDATE \"new {orders}\" SET customer = customer")
                schema = world.schema()
                for verb in (("run", "--yes"), ("verify",), ("rollback", "--yes"), ("check",)):
                    code, out, err = attempt(world, *verb)
                    assert code == 3, "%s after %s: exit %d\n%s" % (verb, alter, code, err)
                    expect_words(err, "had the column `%s` when this migration began" % column, "hint:", "safe:")
                    assert world.schema() == schema
                    before.unchanged()
                sql(world, back)
                goes_on_to_its_end(world, before)
                world.close()


def a_column_is_added_and_rolled_back():
    """What somebody adds to a table does not close the way back."""
    for sync in ("dual", "capture"):
        for until in ("copy", "verify", "watch"):
            for alter in ADDED:
                world = World(rows=60, sync=sync)
                world.run("run", "--yes", "--until", until)
                sql(world, alter)
                unseen_writes(world, until == "watch")
                code, out, err = attempt(world, "rollback", "--yes")
                assert code == 0, "rollback after %s and %s (%s): exit %d\n%s" % (until, alter, sync, code, err)
                says_the_unseen({key: row[:7] for key, row in world.old_rows().items()})
                assert not world.own_objects()
                world.close()


def a_column_is_added_to_the_source_before_the_switch():
    """`rest: forbid`: what the application writes there would not reach the new side."""
    for sync in ("dual", "capture"):
        world = World(rows=60, sync=sync)
        world.run("run", "--yes", "--until", "verify")
        sql(world, ADDED[0])
        for verb in ("run", "cutover"):
            code, out, err = attempt(world, verb, "--yes")
            assert code == 3, "%s (%s): exit %d\n%s" % (verb, sync, code, err)
            expect_words(err, "extra", "hint:")
            assert not is_switched(world)
        world.close()


def the_trial_of_a_row_fails():
    """What was refused leaves nothing behind that makes the application's writes fail."""
    for more in ('CREATE TRIGGER nope BEFORE INSERT ON "new {orders}" BEGIN SELECT RAISE(ABORT, \'no\'); END;',
                 "CREATE INDEX broken ON \"new {orders}\"(json_extract(customer, '$.a'));"):
        for sync in ("dual", "capture"):
            world = World(rows=60, sync=sync)
            before = Before(world)
            ddl = world.folder / "new.sql"
            ddl.write_text(ddl.read_text() + more)
            code, out, err = attempt(world, "run", "--yes")
            assert code == 3, "exit %d\n%s" % (code, err)
            try:
                write_old(world, "live")
            except sqlite3.Error as failure:
                raise AssertionError("after exit 3 (%s) the application cannot write: %s" % (sync, failure)) from None
            sql(world, "DELETE FROM \"old orders\" WHERE id = 'live-old'")
            attempt(world, "rollback", "--yes")
            before.is_back()
            world.close()


def an_index_of_the_target_is_dropped():
    for until in ("copy", "watch"):
        world = World(rows=60)
        before = Before(world)
        world.run("run", "--yes", "--until", until)
        sql(world, "DROP INDEX by_customer")
        goes_on_to_its_end(world, before)
        world.close()


def drop_triggers(world, table):
    for name in triggers(world, table):
        sql(world, 'DROP TRIGGER "%s"' % name)


def unseen_writes(world, switched):
    """Each kind of write on the side in service; gives what the old table has to say afterwards."""
    if switched:
        write_new(world, "unseen")
        sql(world, "UPDATE \"new {orders}\" SET customer = 'unseen' WHERE key LIKE 'k00001%'")
        sql(world, "DELETE FROM \"new {orders}\" WHERE key LIKE 'k00002%'")
        sql(world, "UPDATE \"new {orders}\" SET key = 'moved' WHERE key LIKE 'k00004%'")
    else:
        write_old(world, "unseen")
        sql(world, "UPDATE \"old orders\" SET who = 'unseen' WHERE id LIKE 'k00001%'")
        sql(world, "DELETE FROM \"old orders\" WHERE id LIKE 'k00002%'")
        sql(world, "UPDATE \"old orders\" SET id = 'moved' WHERE id LIKE 'k00004%'")


def says_the_unseen(rows):
    keys = set(rows)
    assert "unseen-new" in keys or "unseen-old" in keys, "an insert is lost"
    assert [r[1] for k, r in rows.items() if k.startswith("k00001")] == ["unseen"], "an update is lost"
    assert not [k for k in keys if k.startswith("k00002")], "a deleted row is back"
    assert "moved" in keys and not [k for k in keys if k.startswith("k00004")], "a changed key is lost"


def triggers_dropped(until, verb):
    """Unseen writes are carried after all, or the verb is refused and both sides stay: never thrown away."""
    for sync in ("dual", "capture"):
        for table in ("old orders", "new {orders}"):
            world = World(rows=60, sync=sync)
            before = Before(world)
            world.run("run", "--yes", "--until", until)
            drop_triggers(world, table)
            unseen_writes(world, until == "watch")
            code, out, err = attempt(world, verb, "--yes")
            what = "%s, triggers on %s dropped after %s, %s: exit %d\n%s" % (sync, table, until, verb, code, err)
            if code != 0:
                assert code in (1, 3), what
                expect_words(err, "hint:")
                says_the_unseen(world.new_rows() if until == "watch" else world.old_rows())
                world.close()
                continue
            try:
                says_the_unseen(world.old_rows())
                if verb == "run":
                    world.compare()
                    world.run("rollback", "--yes")
                    says_the_unseen(world.old_rows())
            except AssertionError as failure:
                raise AssertionError("%s\n%s" % (failure, what)) from None
            assert sorted(world.schema()) == before.schema
            world.close()


def triggers_dropped_before_the_switch():
    triggers_dropped("verify", "run")


def triggers_dropped_before_a_rollback():
    triggers_dropped("verify", "rollback")


def triggers_dropped_after_the_switch():
    triggers_dropped("watch", "run")


def triggers_dropped_before_a_rollback_after_the_switch():
    triggers_dropped("watch", "rollback")


def triggers_dropped_while_it_copies():
    for sync in ("dual", "capture"):
        world = World(rows=1500, sync=sync)
        schema = world.schema()
        slowly(world, 1500)
        process = world.start("run", "--yes")
        journal_says(world, "chunk_copied")
        wait_for(lambda: sql(world, 'SELECT count(*) FROM "new {orders}"') > [(100,)])
        drop_triggers(world, "old orders")
        unseen_writes(world, False)
        out, err = process.communicate(timeout=120)
        assert process.returncode in (0, 1, 3), "exit %d\n%s" % (process.returncode, err)
        if process.returncode == 0:
            world.compare()
        says_the_unseen(world.old_rows())
        world.run("rollback", "--yes")
        says_the_unseen(world.old_rows())
        assert world.schema() == schema
        world.close()


def dropped_triggers_are_told():
    """Somebody who drops triggers at night is told by each verb that there were some."""
    for table in ("old orders", "new {orders}"):
        world = World(rows=60)
        world.run("run", "--yes", "--until", "verify")
        drop_triggers(world, table)
        looked = subprocess.run([BINARY, "diagnose", "summary", str(world.plan)], env=world.environment(),
                                capture_output=True, text=True)
        for verb, (out, err) in (("diagnose", (looked.stdout, looked.stderr)),
                                 ("run", attempt(world, "run", "--yes")[1:])):
            told = any("trigger" in line and ("gone" in line or "missing" in line or "removed" in line)
                       for line in (out + err).splitlines())
            assert told, "%s does not say that triggers are gone:\n%s%s" % (verb, out, err)
        world.close()


def the_target_is_dropped_by_somebody():
    """The old application may be unable to write now: the rollback is what helps it."""
    for sync in ("dual", "capture"):
        for until in ("prepare", "copy", "watch"):
            world = World(rows=60, sync=sync)
            before = Before(world)
            world.run("run", "--yes", "--until", until)
            sql(world, 'DROP TABLE "new {orders}"')
            attempt(world, "run", "--yes", "--until", "prepare")
            before.unchanged()
            code, out, err = attempt(world, "rollback", "--yes")
            told = "%s after %s: rollback gives %d\n%s" % (sync, until, code, err)
            assert not is_switched(world), told
            before.is_back()
            write_old(world, "again")
            world.close()


def the_serving_table_is_made_anew_by_somebody():
    """It looks like one whose rows were deleted, and nobody has noted that: the other side is not emptied after it."""
    for sync in ("dual", "capture"):
        for until, verb in (("watch", "rollback"), ("watch", "finish"), ("watch", "run"), ("verify", "run"), ("verify", "rollback")):
            world = World(rows=60, sync=sync)
            before = world.old_rows()
            world.run("run", "--yes", "--until", until)
            switched = until == "watch"
            with world.connect() as connection:
                if switched:
                    connection.execute('DROP TABLE "new {orders}"')
                    connection.executescript((world.folder / "new.sql").read_text())
                else:
                    connection.execute('DROP TABLE "old orders"')
                    connection.executescript(OLD.split(";")[0])
            other, rows = (world.old_rows, before) if switched else (world.new_rows, world.new_rows())
            goes = not switched and verb == "rollback"  # the old side serves, and the new one goes anyway
            code, out, err = attempt(world, verb, "--yes")
            told = "%s, %s after %s: exit %d\n%s" % (sync, verb, until, code, err)
            assert code == (0 if goes else 3), told
            if not goes:
                assert other() == rows, told
                expect_words(err, "60 rows", "made anew by mistake", "hint:")
            if switched and verb == "rollback":
                world.run("rollback", "--yes", "--force")
                assert world.old_rows() == {}, told
            world.close()


def the_source_is_dropped_after_the_switch():
    """The new application may be unable to write now: `finish` helps it, and so does the backup."""
    for sync in ("dual", "capture"):
        world = World(rows=60, sync=sync)
        before = Before(world)
        world.run("run", "--yes")
        sql(world, 'DROP TABLE "old orders"')
        world.run("rollback", "--yes")
        before.is_back()
        world.run("run", "--yes")
        rows = world.new_rows()
        sql(world, 'DROP TABLE "old orders"')
        code, out, err = attempt(world, "finish", "--yes")
        assert code == 0, "finish (%s): exit %d\n%s" % (sync, code, err)
        assert world.new_rows() == rows
        assert not world.own_objects()
        write_new(world, "again")
        world.close()


def rebuilt(world, table):
    """What one does in SQLite to change a table: a new one, its rows, the old one's name."""
    ddl = sql(world, "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?", table)[0][0]
    connection = sqlite3.connect(world.db, isolation_level=None)
    connection.execute("BEGIN")
    connection.execute(ddl.replace('"%s"' % table, "rebuilt", 1))
    connection.execute('INSERT INTO rebuilt SELECT * FROM "%s"' % table)
    connection.execute('DROP TABLE "%s"' % table)
    connection.execute('ALTER TABLE rebuilt RENAME TO "%s"' % table)
    connection.execute("COMMIT")
    connection.close()


def a_table_is_rebuilt_by_somebody():
    """Its triggers go with it. Under links SQLite refuses it by itself."""
    for table in ("old orders", "new {orders}"):
        for until in ("copy", "watch"):
            for verb in ("run", "rollback"):
                world = World(rows=60, sync="capture")
                world.run("run", "--yes", "--until", until)
                rebuilt(world, table)
                unseen_writes(world, until == "watch")
                world.run(verb, "--yes")
                says_the_unseen(world.old_rows())
                world.run("rollback", "--yes")
                says_the_unseen(world.old_rows())
                assert not world.own_objects()
                world.close()


def two_runners_at_once():
    for sync in ("dual", "capture"):
        world = World(rows=600, sync=sync)
        before = Before(world)
        slowly(world, 2000)
        runners = [world.start("run", "--yes") for _ in range(4)]
        codes = []
        for runner in runners:
            out, err = runner.communicate(timeout=120)
            codes.append(runner.returncode)
            if runner.returncode != 0:
                expect_words(err, "another runner is at work")
        assert codes.count(0) >= 1 and set(codes) <= {0, 3}, codes
        goes_on_to_its_end(world, before)
        world.close()


def two_runners_with_two_journals():
    world = World(rows=600)
    before = Before(world)
    slowly(world, 1500)
    first = world.start("run", "--yes")
    journal_says(world, "chunk_copied")
    elsewhere = ("--state", str(world.folder / "elsewhere"))
    for _ in range(3):
        code, out, err = attempt(world, "run", "--yes", *elsewhere)
        assert code == 3, "exit %d\n%s" % (code, err)
    out, err = first.communicate(timeout=120)
    assert first.returncode == 0, err
    world.compare()
    goes_on_to_its_end(world, before)
    world.close()


def stop_between_two_transactions(world, process):
    """What is stopped inside a transaction keeps SQLite's own lock, and no hold has to do with that."""
    while True:
        process.send_signal(signal.SIGSTOP)
        connection = sqlite3.connect(world.db, timeout=3, isolation_level=None)
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
            return
        except sqlite3.OperationalError:
            process.send_signal(signal.SIGCONT)
            time.sleep(0.005)
        finally:
            connection.close()


def stopped_in_the_middle_of_the_switch():
    """SIGSTOP, as a laptop that sleeps: the hold ends by itself, and nothing is lost."""
    world = World(rows=300, sync="capture")
    schema = world.schema()
    application = Application(world, "wal")
    application.start()
    try:
        world.run("run", "--yes", "--until", "verify")
        process = world.start("run", "--yes")
        journal_says(world, "writers_held")
        stop_between_two_transactions(world, process)
        accepted = len(application.accepted)
        wait_for(lambda: len(application.accepted) > accepted + 20, 20, "the hold does not end by itself")
        process.send_signal(signal.SIGCONT)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, "exit %d\n%s" % (process.returncode, err)
        world.run("verify")
        world.run("rollback", "--yes")
    finally:
        application.stop()
    application.lost_nothing()
    unexpected = [words for words in application.refused if "try again" not in words]
    assert not unexpected, unexpected[:3]
    assert world.schema() == schema
    world.close()


def started_with_limits(world, limit, most, *arguments):
    done = subprocess.run([BINARY, arguments[0], str(world.plan), *arguments[1:]], env=world.environment(),
                          preexec_fn=lambda: resource.setrlimit(limit, (most, most)), stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60)
    return done.returncode, done.stderr


def too_few_file_descriptors():
    for most in (4, 6, 8, 10, 12, 14):
        world = World(rows=60)
        before = Before(world)
        code, err = started_with_limits(world, resource.RLIMIT_NOFILE, most, "run", "--yes")
        assert code in (0, 1, 3), "exit %d\n%s" % (code, err)
        before.unchanged()
        goes_on_to_its_end(world, before)
        world.close()


def files_may_not_grow():
    """The system ends the process with a signal: as a kill at that place."""
    for most in (4096, 65536, 200_000):
        world = World(rows=600)
        before = Before(world)
        code, err = started_with_limits(world, resource.RLIMIT_FSIZE, most, "run", "--yes")
        assert code != 0
        before.unchanged()
        goes_on_to_its_end(world, before)
        world.close()


def too_little_memory():
    if sanitized():
        raise Skip("the sanitizers need memory of their own")
    world = World(rows=60)
    before = Before(world)
    sql(world, "UPDATE \"old orders\" SET note = ? WHERE id LIKE 'k00003%'", "x" * (30 * MEGABYTE))
    before.rows = world.old_rows()
    code, err = started_with_limits(world, resource.RLIMIT_AS, 90 * MEGABYTE, "run", "--yes")
    assert code == 1, "exit %d\n%s" % (code, err)
    before.unchanged()
    goes_on_to_its_end(world, before)
    world.close()


def output_that_nobody_reads():
    for redirect in (">&- 2>&-", "<&- >&- 2>&-", "> /dev/full 2> /dev/full", "2>&1 | true"):
        world = World(rows=300)
        before = Before(world)
        subprocess.run("%s run %s --yes %s" % (BINARY, world.plan, redirect), shell=True, env=world.environment(),
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60)
        world.run("run", "--yes")
        for file in state_of(world).rglob("*"):
            if file.suffix == ".html":
                continue  # the report tells the phases as well
            printed = file.is_file() and b"prepared: targets" in file.read_bytes()
            assert not printed, "what was printed is in %s" % file
        restored = world.folder / "restored.db"
        sqlite3.connect(restored).execute("CREATE TABLE other (x)").connection.close()
        backup = "file:%s" % (state_of(world) / "backup" / "attempt-1")
        done = subprocess.run([BINARY, "restore", backup, "sqlite:%s" % restored, "--yes"], capture_output=True,
                              text=True)
        assert done.returncode == 0, "the backup cannot be restored:\n" + done.stderr
        world.run("rollback", "--yes")
        before.is_back()
        world.close()


def journal_locked_by_somebody_else():
    world = World(rows=60)
    before = Before(world)
    world.run("run", "--yes", "--until", "copy")
    other = sqlite3.connect(state_of(world) / "journal.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    code, out, err = attempt(world, "run", "--yes")
    assert code == 1, "exit %d\n%s" % (code, err)
    expect_words(err, "journal.db", "database is locked")
    other.execute("ROLLBACK")
    other.close()
    goes_on_to_its_end(world, before)
    world.close()


# Two files.

class TwoFiles(World):
    def __init__(self, rows, target=None):
        super().__init__(rows=rows, sync="capture")
        self.target = target or self.folder / "new.db"
        connection = sqlite3.connect(self.target)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE theirs (x)")
        connection.close()
        changed(self, "stores: {db: \"sqlite:${SCENARIO_DB}\"}",
                "stores: {db: \"sqlite:${SCENARIO_DB}\", other: \"sqlite:%s\"}" % self.target)
        changed(self, "to: 'db/", "to: 'other/")
        changed(self, ", view: true", "")

    def new_rows(self):
        own, self.db = self.db, self.target
        try:
            return super().new_rows()
        finally:
            self.db = own

    def in_target(self, statement):
        own, self.db = self.db, self.target
        try:
            return sql(self, statement)
        finally:
            self.db = own

    def goes_on_to_its_end(self, before):
        self.run("run", "--yes")
        self.compare()
        assert is_switched(self)
        self.in_target("INSERT INTO \"new {orders}\" (key, customer, doc) VALUES ('after', 'n', '{}')")
        self.run("rollback", "--yes")
        old = self.old_rows()
        assert old.pop("after", None), "a row written on the new side was lost"
        assert old == before.rows and sorted(self.schema()) == before.schema
        assert self.in_target("SELECT name FROM sqlite_master") == [("theirs",)]


def the_target_file_is_away_for_a_while():
    for until in ("backup", "prepare", "copy", "verify", "watch"):
        world = TwoFiles(rows=60)
        before = Before(world)
        world.run("run", "--yes", "--until", until)
        write_old(world, "live") if until != "watch" else None
        before.rows = world.old_rows()
        connection = sqlite3.connect(world.target)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        os.rename(world.target, world.folder / "away.db")
        for verb in (("run", "--yes"), ("rollback", "--yes")):
            code, out, err = attempt(world, *verb)
            assert code == 3, "%s: exit %d\n%s" % (verb, code, err)
            expect_words(err, "there is no database", "new.db", "hint:")
            before.unchanged()
        assert not world.target.exists()
        os.rename(world.folder / "away.db", world.target)
        world.goes_on_to_its_end(before)
        world.close()


def the_target_file_is_an_older_copy_after_the_switch():
    """Whatever is missing there now: rows of the source are not deleted for it in silence."""
    for until in ("backup", "prepare", "verify"):
        for verb in ("run", "rollback"):
            world = TwoFiles(rows=60)
            before = Before(world)
            world.run("run", "--yes", "--until", until)
            world.in_target("VACUUM INTO '%s'" % (world.folder / "older.db"))
            world.run("run", "--yes")
            own, world.db = world.db, world.target
            put_database(world, world.folder / "older.db")
            world.db = own
            code, out, err = attempt(world, verb, "--yes")
            missing = set(before.rows) - set(world.old_rows())
            assert not missing, "%s with the target of %s: exit %d, and %d rows of the source are deleted\n%s" % (
                verb, until, code, len(missing), err)
            world.close()


def disk_full_under_the_target_file():
    for goal, reached in (("prepare", "backup"), ("copy", "prepare"), ("follow", "copy"), ("watch", "verify")):
        disk = SmallDisk(8)
        world = TwoFiles(rows=400, target=disk.folder / "new.db")
        try:
            before = Before(world)
            world.run("run", "--yes", "--until", reached)
            if goal == "follow":
                sql(world, "UPDATE \"old orders\" SET note = 'changed while nobody looks'")
                before.rows = world.old_rows()
            for room in ROOM:
                disk.fill(room)
                code, out, err = attempt(world, "run", "--yes", "--until", goal)
                disk.empty()
                before.unchanged()
                if code == 0:
                    break
                assert code == 1, "%s with %d bytes of room: exit %d\n%s" % (goal, room, code, err)
                expect_words(err, "new.db", "make room on its disk")
            world.goes_on_to_its_end(before)
        finally:
            disk.close()
            world.close()


def the_target_file_is_locked_for_a_while():
    world = TwoFiles(rows=600)
    before = Before(world)
    slowly(world, 1500)

    def hold():
        journal_says(world, "chunk_copied")
        writer = sqlite3.connect(world.target, timeout=20, isolation_level=None)
        writer.execute("BEGIN IMMEDIATE")
        time.sleep(7)
        writer.execute("ROLLBACK")
        writer.close()
    holder = threading.Thread(target=hold, daemon=True)
    holder.start()
    world.run("run", "--yes", "--until", "verify", timeout=120)
    holder.join()
    world.goes_on_to_its_end(before)
    world.close()


# The end.

def disk_full_while_it_finishes():
    full = 0
    for what in ("database", "state"):
        for sync in ("dual", "capture"):
            here = FullDiskWorld(what, sync)
            try:
                world = here.world
                world.run("run", "--yes", *here.options)
                rows = world.new_rows()
                for room in ROOM:
                    here.disk.fill(room)
                    code, out, err = attempt(world, "finish", "--yes", *here.options)
                    here.disk.empty()
                    assert world.new_rows() == rows, "rows changed"
                    if code == 0:
                        break
                    full += 1
                    assert code == 1, "%s with %d bytes of room: exit %d\n%s" % (what, room, code, err)
                    expect_words(err, "room", "hint:")
                world.run("finish", "--yes", *here.options)
                assert world.new_rows() == rows
                assert not world.own_objects()
                assert sql(world, "SELECT type FROM sqlite_master WHERE name = 'old orders'") == [("view",)]
            finally:
                here.close()
    assert full >= 2, "the disk was hardly ever full: %d times" % full


ACCIDENTS = [
    disk_full_under_the_state_folder_dual, disk_full_under_the_state_folder_capture,
    disk_too_small_is_told_before, disk_full_under_the_database_dual, disk_full_under_the_database_capture, disk_full_at_the_switch_with_capture,
    read_only_database_file, read_only_folder_of_the_database, read_only_state_folder,
    journal_overwritten, journal_cut_short, journal_deleted, journal_deleted_is_told_as_what_it_is, files_half_written,
    database_replaced_by_an_older_copy, database_replaced_by_another, database_deleted,
    database_deleted_while_it_is_copied, clock_set_back_between_two_runs, clock_set_back_during_a_run,
    giant_blob, giant_text, nine_hundred_columns_with_capture, many_columns_with_links, no_rows_and_one_row, many_rows,
    a_reader_that_stays, a_writer_longer_than_the_busy_timeout, a_writer_beside_in_each_journal_mode,
    vacuum_in_between, vacuum_while_it_copies, a_column_is_renamed_and_put_right, a_column_is_added_and_rolled_back,
    the_serving_table_is_made_anew_by_somebody,
    an_index_of_the_target_is_dropped,
    triggers_dropped_before_the_switch, triggers_dropped_before_a_rollback, triggers_dropped_after_the_switch,
    triggers_dropped_before_a_rollback_after_the_switch, triggers_dropped_while_it_copies, two_runners_at_once,
    two_runners_with_two_journals, a_table_is_rebuilt_by_somebody, rollback_of_a_refused_journal_leaves_the_other_alone,
    stopped_in_the_middle_of_the_switch, too_few_file_descriptors, files_may_not_grow, too_little_memory,
    output_that_nobody_reads, journal_locked_by_somebody_else, the_target_file_is_away_for_a_while,
    the_target_file_is_locked_for_a_while, disk_full_under_the_target_file, disk_full_while_it_finishes,
    the_trial_of_a_row_fails, the_target_file_is_an_older_copy_after_the_switch, older_journal_put_back,
    two_thousand_columns_with_capture, two_thousand_columns_with_links, links_of_a_wide_table_cost_its_writers_little,
    a_column_is_added_to_the_source_before_the_switch,
    the_target_is_dropped_by_somebody, the_source_is_dropped_after_the_switch,
    database_replaced_by_an_older_copy_after_the_switch,
    database_replaced_by_an_older_copy_is_told_as_what_it_is, dropped_triggers_are_told]
LARGE = [ten_million_rows]


def run_all(arguments):
    chosen = ACCIDENTS + (LARGE if "--large" in arguments else [])
    names = [a for a in arguments if not a.startswith("--") and a != "all"]
    if names:
        known = {accident.__name__: accident for accident in ACCIDENTS + LARGE}
        unknown = [name for name in names if name not in known]
        if unknown:
            sys.exit("no accident is called %s; there are: %s" % (unknown[0], ", ".join(known)))
        chosen = [known[name] for name in names]
    failed = skipped = 0
    for accident in chosen:
        began = time.monotonic()
        try:
            accident()
            print("ok       %-58s %5.1f s" % (accident.__name__, time.monotonic() - began))
        except Skip as why:
            skipped += 1
            print("skipped  %s: %s" % (accident.__name__, why))
        except Exception as failure:  # each accident is reported, whatever went wrong
            failed += 1
            print("FAILED   %s: %s" % (accident.__name__, failure))
        sys.stdout.flush()
    print("%d passed, %d failed, %d skipped" % (len(chosen) - failed - skipped, failed, skipped))
    sys.exit(1 if failed else 77 if skipped else 0)


if __name__ == "__main__":
    run_all(sys.argv[1:])

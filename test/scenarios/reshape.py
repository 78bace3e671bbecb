"""Tables in another shape: several items of a row, groups, lookups, joined keys, several tables in one.

What has to be there is computed here, from the old tables alone, and the other way round after the switch.
"""
import json
import os
import pathlib
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from reshaped import PLAN  # noqa: E402

PLAN = PLAN.replace("STORE", "sqlite:app.db")
BINARY = os.environ["WHIMBREL"]

OLD = """
CREATE TABLE people (id INTEGER PRIMARY KEY, mail TEXT NOT NULL, name TEXT, role TEXT);
CREATE TABLE guests (id TEXT PRIMARY KEY, mail TEXT, host INTEGER);
CREATE TABLE settings (section TEXT NOT NULL, key TEXT NOT NULL, value TEXT, PRIMARY KEY (section, key));
CREATE TABLE log (id INTEGER PRIMARY KEY, who INTEGER NOT NULL, at TEXT NOT NULL, what TEXT);
"""
NEW = """
CREATE TABLE things (pk TEXT NOT NULL, sk TEXT NOT NULL, mail TEXT, name TEXT, role TEXT, host INTEGER, doc TEXT,
  kind TEXT NOT NULL, PRIMARY KEY (pk, sk)) WITHOUT ROWID;
CREATE INDEX by_mail ON things (mail);
"""
EVENTS = "CREATE TABLE events (pk TEXT NOT NULL, sk TEXT NOT NULL, what TEXT, PRIMARY KEY (pk, sk)) WITHOUT ROWID;"


class World:
    def __init__(self, people=120, seed=3, guest="GUEST#"):
        self.guest = guest
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="whimbrel-reshape-"))
        self.random = random.Random(seed)
        (self.folder / "things.sql").write_text(NEW)
        (self.folder / "events.sql").write_text(EVENTS)
        self.plan(PLAN.replace("GUEST#", guest))
        with self.open() as db:
            db.executescript("PRAGMA journal_mode = WAL;" + OLD)
            for i in range(1, people + 1):
                db.execute("INSERT INTO people VALUES (?, ?, ?, ?)", (i, "p%d@x" % i, "Name %d" % i, self.role()))
                db.execute("INSERT INTO log VALUES (?, ?, ?, ?)", (i, i % 9, "2026-01-%02dT00:00:00Z" % (i % 28 + 1), "w%d" % i))
            for i in range(people // 3):
                db.execute("INSERT INTO guests VALUES (?, ?, ?)", ("g-%d" % i, None if i % 4 else "g@%d" % i, i * 2 or None))
            for i in range(40):
                db.execute("INSERT INTO settings VALUES (?, ?, ?)", ("s%d" % (i % 7), "k%d" % i, None if i % 5 == 0 else "v%d" % i))

    def role(self):
        return self.random.choice(["admin", "dev", "ops", None])

    def plan(self, text):
        (self.folder / "plan.yaml").write_text(text)

    def open(self):
        return sqlite3.connect(self.folder / "app.db", timeout=10, isolation_level=None)

    def run(self, *words, code=0, **more):
        done = subprocess.run([BINARY, words[0], "plan.yaml", *words[1:]], cwd=self.folder, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=240, **more)
        assert done.returncode == code, "%s gave %d instead of %d:\n%s%s" % (words, done.returncode, code, done.stdout, done.stderr)
        return done.stdout + done.stderr

    def remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)


def text(number):
    return str(number)


def expected(db, guest="GUEST#"):
    """The new tables, from the old ones."""
    things, events = {}, {}
    names = {row[0]: row[2] for row in db.execute("SELECT * FROM people")}
    for id, mail, name, role in db.execute("SELECT * FROM people"):
        things["PERSON#" + text(id), "PROFILE"] = (mail, name, role, None, None, "person")
        if role is not None:
            things["ROLE#" + role, "PERSON#" + text(id)] = (None, name, None, None, None, "member")
    for id, mail, host in db.execute("SELECT * FROM guests"):
        things[guest + id, "PROFILE"] = (mail, names.get(host) or "nobody", None, host, None, "guest")
    groups = {}
    for section, key, value in db.execute("SELECT * FROM settings"):
        groups.setdefault(section, {})[key] = value
    for section, document in groups.items():
        things["SETTINGS#" + section, "ALL"] = (None, None, None, None, json.dumps(document, sort_keys=True), "settings")
    for id, who, at, what in db.execute("SELECT * FROM log"):
        events["PERSON#" + text(who), "AT#%s#%s" % (at, id)] = (what,)
    return things, events


def found(db):
    things = {}
    for pk, sk, mail, name, role, host, doc, kind in db.execute("SELECT * FROM things WHERE kind <> 'others'"):
        things[pk, sk] = (mail, name, role, host, None if doc is None else json.dumps(json.loads(doc), sort_keys=True), kind)
    return things, {(pk, sk): (what,) for pk, sk, what in db.execute("SELECT * FROM events")}


def expect_equal(world):
    with world.open() as db:
        for wanted, there in zip(expected(db, world.guest), found(db)):
            missing = [key for key in wanted if key not in there]
            extra = [key for key in there if key not in wanted]
            differ = [(key, wanted[key], there[key]) for key in wanted if key in there and wanted[key] != there[key]]
            assert not missing and not extra and not differ, (missing[:3], extra[:3], differ[:3])


def old_application(world, db, steps):
    r = world.random
    for _ in range(steps):
        act, id = r.randrange(11), r.randrange(1, 140)
        if act == 0:
            db.execute("INSERT OR REPLACE INTO people VALUES (?, ?, ?, ?)", (id, "q%d@x" % id, "Again %d" % id, world.role()))
        elif act == 1:
            db.execute("DELETE FROM people WHERE id = ?", (id,))
        elif act == 2:
            db.execute("UPDATE people SET role = ? WHERE id = ?", (world.role(), id))
        elif act == 3:
            db.execute("UPDATE people SET name = ? WHERE id = ?", ("Renamed %d" % r.randrange(999), id))
        elif act == 4:
            db.execute("UPDATE log SET who = ?, at = ? WHERE id = ?", (r.randrange(9), "2026-02-%02dT00:00:00Z" % r.randrange(1, 28), id))
        elif act == 5:
            db.execute("DELETE FROM log WHERE id = ?", (id,))
        elif act == 6:
            db.execute("INSERT OR REPLACE INTO log VALUES (?, ?, ?, ?)", (id, r.randrange(9), "2026-03-01T00:00:00Z", "n%d" % id))
        elif act == 7:
            db.execute("INSERT OR REPLACE INTO settings VALUES (?, ?, ?)", ("s%d" % r.randrange(12), "k%d" % r.randrange(60), "n%d" % id))
        elif act == 8:
            db.execute("DELETE FROM settings WHERE key = ?", ("k%d" % r.randrange(60),))
        elif act == 9:
            db.execute("UPDATE OR IGNORE settings SET section = ? WHERE key = ?", ("s%d" % r.randrange(12), "k%d" % r.randrange(60)))
        else:
            db.execute("UPDATE guests SET host = ? WHERE id = ?", (id, "g-%d" % r.randrange(40)))


def new_application(world, db, steps):
    """Keeps its items in step, as an application of that design does; the old tables are to follow."""
    r = world.random
    for _ in range(steps):
        act, id = r.randrange(7), r.randrange(1, 140)
        person, log = "PERSON#%d" % id, ("PERSON#%d" % r.randrange(9), "AT#2026-05-%02dT00:00:00Z#%d" % (r.randrange(1, 28), 900 + id))
        db.execute("BEGIN IMMEDIATE")
        if act in (0, 1):
            db.execute("DELETE FROM things WHERE sk = ?", (person,))
            db.execute("DELETE FROM things WHERE pk = ?", (person,))
            if act == 0:
                role, name = world.role(), "New %d" % r.randrange(999)
                db.execute("INSERT INTO things (pk, sk, mail, name, role, kind) VALUES (?, 'PROFILE', ?, ?, ?, 'person')", (person, "n%d@x" % id, name, role))
                if role:
                    db.execute("INSERT INTO things (pk, sk, name, kind) VALUES (?, ?, ?, 'member')", ("ROLE#" + role, person, name))
                db.execute("UPDATE things SET name = ? WHERE host = ?", (name, id))
            else:
                db.execute("UPDATE things SET name = 'nobody' WHERE host = ?", (id,))
        elif act == 2:
            db.execute("INSERT OR REPLACE INTO events VALUES (?, ?, ?)", (*log, "x%d" % id)) if not db.execute(
                "SELECT 1 FROM events WHERE sk LIKE ?", ("%%#%d" % (900 + id),)).fetchone() else None
        elif act == 3:
            db.execute("DELETE FROM events WHERE sk LIKE ?", ("%%#%d" % id,))
        elif act == 4:
            section = "SETTINGS#s%d" % r.randrange(12)
            document = {"k%d" % r.randrange(60): "d%d" % id for _ in range(r.randrange(1, 4))}
            db.execute("INSERT OR REPLACE INTO things (pk, sk, doc, kind) VALUES (?, 'ALL', ?, 'settings')", (section, json.dumps(document)))
        elif act == 5:
            db.execute("DELETE FROM things WHERE pk = ?", ("SETTINGS#s%d" % r.randrange(12),))
        else:  # an event of another person: deleted and made again under another key, in one go
            row = db.execute("SELECT * FROM events ORDER BY sk LIMIT 1 OFFSET ?", (r.randrange(20),)).fetchone()
            if row:
                db.execute("DELETE FROM events WHERE pk = ? AND sk = ?", row[:2])
                db.execute("INSERT OR REPLACE INTO events VALUES (?, ?, ?)", ("PERSON#%d" % r.randrange(9), row[1], row[2]))
        db.execute("COMMIT")


def there_and_back_under_writers(guest="GUEST#"):
    world = World(guest=guest)
    ended, failures = threading.Event(), []

    def write():
        try:
            db = world.open()
            while not ended.is_set():
                old_application(world, db, 1)
                time.sleep(0.002)
        except sqlite3.Error as failure:
            failures.append(failure)
    writer = threading.Thread(target=write)
    writer.start()
    try:
        world.run("run", "--yes", "--until", "follow")
    finally:
        ended.set()
        writer.join(20)
    assert not failures, failures
    for round in range(3):
        with world.open() as db:
            old_application(world, db, 60)
        world.run("run", "--yes", "--until", "verify")
        expect_equal(world)
    world.run("run", "--yes")
    with world.open() as db:
        db.execute("INSERT INTO things (pk, sk, kind) VALUES ('ELSE#1', 'X', 'others')")
        new_application(world, db, 200)
    world.run("run", "--yes")
    expect_equal(world)
    assert "0 differ" in world.run("verify")
    with world.open() as db:
        new_application(world, db, 100)
        before = found(db)
    world.run("rollback", "--yes")
    with world.open() as db:
        assert expected(db, world.guest) == before
        tables = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        # What is of none of them keeps the table that it is in.
        assert tables == {"people", "guests", "settings", "log", "things"}, tables
        assert db.execute("SELECT pk, sk FROM things").fetchall() == [("ELSE#1", "X")]
    world.run("run", "--yes", "--until", "verify")
    expect_equal(world)
    world.remove()


def there_and_back_with_keys_of_one_beginning():
    there_and_back_under_writers(guest="PERSON#")


LATER = """whimbrel: 1
migration: reshape
stores: {app: "sqlite:app.db"}
tables:
  - from: app/people
    to: app/things
    create: things.sql
    items:
      - columns: {pk: "USER#{id}", sk: {const: PROFILE}}
        same: [mail, name, role]
      - when: {present: role}
        columns: {pk: "ROLE#{role}", sk: "USER#{id}", name: {lookup: name, in: people, by: boss}}
        rest: drop
sync: capture
"""


def later_world():
    world = World(people=200)
    (world.folder / "things.sql").write_text(NEW.replace("kind TEXT NOT NULL", "kind TEXT, boss INTEGER"))
    world.plan(LATER.replace("same: [mail, name, role]", "same: [mail, name, role, boss]"))
    with world.open() as db:
        db.execute("ALTER TABLE people ADD COLUMN boss INTEGER")
        db.execute("UPDATE people SET boss = 1, role = 'old'")
    return world


def an_item_that_follows_moves_as_often_as_its_row():
    """Told of by the row that is looked up in it, stopped in between: it leaves nothing under the key of the meantime."""
    world = later_world()
    world.plan((world.folder / "plan.yaml").read_text() + "limits: {batch_size: 5}\n")
    world.run("run", "--yes", "--until", "follow")
    with world.open() as db:
        db.execute("UPDATE people SET name = 'New boss' WHERE id = 1")
        db.execute("UPDATE people SET role = 'mid' WHERE id > 1")
    process = subprocess.Popen([BINARY, "run", "plan.yaml", "--yes", "--until", "follow"], cwd=world.folder,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with world.open() as db:
        while process.poll() is None and db.execute("SELECT count(*) FROM things WHERE pk = 'ROLE#mid'").fetchone()[0] < 20:
            time.sleep(0.002)
    process.send_signal(signal.SIGTERM)
    process.wait()
    with world.open() as db:
        db.execute("UPDATE people SET role = 'last' WHERE id > 1")
    world.run("run", "--yes", "--until", "verify")
    with world.open() as db:
        assert db.execute("SELECT pk, count(*) FROM things WHERE pk LIKE 'ROLE#%' GROUP BY 1").fetchall() == [("ROLE#last", 199), ("ROLE#old", 1)]
    world.remove()


def what_is_written_into_later_items_is_kept():
    for cutover in ("", "cutover: {max_hold: 5s, switches: [{env_file: app.env, set: {TABLES: new}}]}\n"):
        world = later_world()
        world.plan((world.folder / "plan.yaml").read_text() + cutover)
        (world.folder / "app.env").write_text("TABLES=old\n")
        file = world.folder / ".whimbrel" / "reshape" / "kept-by-rollback.jsonl.zst"

        def kept():
            return subprocess.run(["zstd", "-dc", str(file)], capture_output=True, text=True, check=True).stdout

        world.run("run", "--yes")
        with world.open() as db:
            db.execute("UPDATE things SET name = 'only here' WHERE pk = 'ROLE#old' AND sk = 'USER#7'")
            db.execute("INSERT INTO things (pk, sk, name) VALUES ('ROLE#guest', 'USER#900', 'of no row')")
            # Whoever writes both loses nothing, in whichever order and however long in between.
            db.execute("UPDATE things SET name = 'Chief' WHERE pk = 'ROLE#old' AND sk <> 'USER#7'")
        world.run("run", "--yes")
        with world.open() as db:
            db.execute("UPDATE things SET name = 'Chief' WHERE pk = 'USER#1'")
        said = world.run("rollback", "--yes")
        assert "2 rows of the new side had what the old one has no place for" in said, said
        assert len(kept().splitlines()) == 2 and "only here" in kept() and "of no row" in kept(), kept()
        with world.open() as db:
            assert db.execute("SELECT name FROM people WHERE id = 1").fetchall() == [("Chief",)]
        world.run("run", "--yes")
        with world.open() as db:
            db.execute("UPDATE things SET name = 'in the second attempt' WHERE pk = 'ROLE#old' AND sk = 'USER#8'")
        world.run("rollback", "--yes")
        assert len(kept().splitlines()) == 3 and "only here" in kept() and "of no row" in kept(), kept()
        world.remove()


def a_trial_leaves_nothing():
    world = World(people=20)
    told = world.run("test", "--limit", "4", "--yes")
    assert "guests: " in told and "everything was removed again" in told, told
    with world.open() as db:
        tables = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        assert not {"things", "events"} & tables, tables
        db.executescript(NEW + "INSERT INTO things (pk, sk, kind) VALUES ('ELSE#1', 'X', 'others')")
    world.run("test", "--limit", "4", "--yes")
    with world.open() as db:
        assert db.execute("SELECT pk FROM things").fetchall() == [("ELSE#1",)]
    world.run("run", "--yes", "--until", "verify")
    expect_equal(world)
    world.run("rollback", "--yes")
    with world.open() as db:
        assert db.execute("SELECT pk FROM things").fetchall() == [("ELSE#1",)]
    world.remove()


def survives_sigkill():
    world = World(people=3000, guest="PERSON#")
    for kill in range(6):
        process = subprocess.Popen([BINARY, "run", "plan.yaml", "--yes", "--until", "verify"], cwd=world.folder,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        time.sleep(0.05 + 0.08 * kill)
        process.send_signal(signal.SIGKILL)
        process.wait()
        with world.open() as db:
            old_application(world, db, 20)
    world.run("run", "--yes", "--until", "verify")
    expect_equal(world)
    world.remove()


def tells_what_cannot_be():
    world = World(people=10)
    with world.open() as db:
        db.execute("UPDATE log SET at = 'a#b' WHERE id = 3")
        db.execute("UPDATE guests SET id = '5' WHERE id = (SELECT min(id) FROM guests)")
    told = world.run("analyze", code=3)
    assert "would be read back from" in told and "separator" in told, told
    world.plan(PLAN.replace('"GUEST#{id}"', '"PERSON#{id}"'))
    told = world.run("analyze", code=3)
    assert "a key that a row of people gets as well" in told, told
    world.plan(PLAN.replace('"GUEST#{id}"', '"PERSON#{id}"').replace("kind: {const: guest}", "kind: {const: person}"))
    told = world.run("check", code=2)
    assert "a row of `people` and one of `guests` could have the same key in things" in told, told
    world.plan(PLAN.replace("in: people", "in: persons"))
    assert "nothing of the same store is called `persons`" in world.run("check", code=2)
    world.plan(PLAN.replace("by: key}", "by: keys}"))
    assert "settings has no column `keys`" in world.run("check", code=2)
    world.plan(PLAN.replace("collect: value, by: key", "collect: key, by: value"))
    told = world.run("analyze", code=3)
    assert "names no value" in told, told
    world.plan(PLAN.replace("sync: capture", "sync: dual"))
    assert "cannot be kept in step by links" in world.run("check", code=2)
    world.remove()


HOLD = """  hold: [{env_file: settings.env, set: {READ_ONLY: "yes"}}]
"""


def lets_go_when_killed():
    """The guard puts back what held the application, whoever kills whimbrel."""
    world = World(people=10)
    settings = world.folder / "settings.env"
    settings.write_text("READ_ONLY=no\nOTHER=1\n")
    world.plan(PLAN.replace("cutover:\n", "cutover:\n" + HOLD) +
               "checks: [{at: held, command: [sh, -c, \"touch held; sleep 20\"]}]\n")
    process = subprocess.Popen([BINARY, "run", "plan.yaml", "--yes"], cwd=world.folder, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (world.folder / "held").exists():
        assert time.monotonic() < deadline and process.poll() is None, "nobody was held"
        time.sleep(0.02)
    assert "READ_ONLY=yes" in settings.read_text()
    process.send_signal(signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 15
    while "READ_ONLY=no" not in settings.read_text():
        assert time.monotonic() < deadline, "the application stays held: " + settings.read_text()
        time.sleep(0.05)
    assert settings.read_text() == "READ_ONLY=no\nOTHER=1\n"
    world.run("rollback", "--yes")
    assert settings.read_text() == "READ_ONLY=no\nOTHER=1\n"
    world.remove()


def holds_and_puts_back():
    world = World(people=10)
    settings = world.folder / "settings.env"
    settings.write_text("READ_ONLY=no\n")
    world.plan(PLAN.replace("cutover:\n", "cutover:\n" + HOLD))
    told = world.run("run", "--yes")
    assert "let go: settings.env" in told, told
    assert settings.read_text() == "READ_ONLY=no\n"
    assert "let go: settings.env" in world.run("rollback", "--yes")
    assert settings.read_text() == "READ_ONLY=no\n"
    world.plan(PLAN.replace("cutover:\n", "cutover:\n" + HOLD).replace(
        "switches: [", "switches: [{env_file: settings.env, set: {READ_ONLY: \"maybe\"}}, "))
    assert "set by a hold and by a switch" in world.run("check", code=2)
    world.remove()


def main():
    wanted = sys.argv[1:]
    for test in (there_and_back_under_writers, there_and_back_with_keys_of_one_beginning, a_trial_leaves_nothing, survives_sigkill, tells_what_cannot_be, lets_go_when_killed, holds_and_puts_back,
                 an_item_that_follows_moves_as_often_as_its_row, what_is_written_into_later_items_is_kept):
        if wanted and test.__name__ not in wanted:
            continue
        began = time.monotonic()
        test()
        print("%s: well (%.1f s)" % (test.__name__, time.monotonic() - began), flush=True)


main()

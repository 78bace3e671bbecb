"""`init`: how many renames it guesses rightly, that what it guesses wrongly is never called certain, and that its plan
passes `check` once exactly what its DECIDE comments ask has been done.

`python3 init.py --figures` prints the figures of each schema.
"""
import json
import os
import pathlib
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile

import yaml

import plans
import shapes
from refusals import expect_words
from whimbrel import BINARY, main


def unwrapped(text):
    """Comments without their line ends."""
    return re.sub(r"\n *# (?! )", " ", text)


class Folder:
    def __init__(self):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="whimbrel-init-"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)

    def run(self, *arguments, expect=0):
        done = subprocess.run([BINARY, *arguments], cwd=self.path, capture_output=True, text=True, timeout=300,
                              stdin=subprocess.DEVNULL)
        if expect is not None and done.returncode != expect:
            raise AssertionError("%s gave %d, not %d:\n%s%s" % (arguments, done.returncode, expect, done.stdout,
                                                               done.stderr))
        return done.stdout, done.stderr

    def database(self, name, script=""):
        connection = sqlite3.connect(self.path / name)
        connection.executescript(script)
        connection.close()
        return "sqlite:" + name

    def query(self, name, sql):
        connection = sqlite3.connect(self.path / name)
        rows = connection.execute(sql).fetchall()
        connection.close()
        return rows

    def write(self, text, name="plan.yaml"):
        (self.path / name).write_text(text)
        return name


def source_of(value):
    """The column that a mapping reads; the functions that `init` writes read one."""
    while isinstance(value, dict):
        value = next(value[k] for k in ("cast", "time", "map", "from") if k in value and k != "const")
    return value


def mapped(entry):
    pairs = {target: source_of(value) for target, value in (entry.get("columns") or {}).items()}
    pairs.update({name: name for name in entry.get("same") or []})
    return pairs


def judged(shape, text):
    """Figures of a plan for two stores: right, wrong and missed, of tables and of columns."""
    plan = yaml.safe_load(text)
    found = {e["from"].split("/", 1)[1]: (e["to"].split("/", 1)[1], mapped(e)) for e in plan["tables"]}
    figures = dict(tables=0, wrong_tables=[], missed_tables=[], columns=0, wrong=[], missed=[])
    for table in shape.tables:
        if table.old not in found:
            figures["missed_tables"].append(table.old)
            continue
        target, columns = found[table.old]
        if target != table.new:
            figures["wrong_tables"].append((table.old, target))
            continue
        figures["tables"] += 1
        wanted = table.renames()
        for new, old in columns.items():
            if wanted.get(new) == old:
                figures["columns"] += 1
            else:
                figures["wrong"].append("%s.%s: %s" % (table.new, new, old))
        figures["missed"] += ["%s.%s: %s" % (table.new, n, o) for n, o in wanted.items() if n not in columns]
    return figures


def is_called_certain(text, column):
    """Whether the line of this mapping has no comment that says it is a guess."""
    lines = text.splitlines()
    at = next(i for i, line in enumerate(lines) if line.strip().startswith(column.split(".")[1].split(":")[0] + ": "))
    return "guessed" not in "\n".join(lines[max(0, at - 4):at])


def accepted(text):
    """Every proposal within a table taken; of several for one column the last, which is always possible."""
    lines, proposed = [], {}
    for line in text.splitlines():
        match = re.match(r"( {4,})#: (.*)$", line)  # with less before it, it is a whole table
        if not match:
            lines.append(line)
            if re.match(r"  - from", line):
                proposed = {}
            continue
        name = match.group(2).split(": ")[0]
        if name in proposed:
            lines[proposed[name]] = "#"
        proposed[name] = len(lines)
        lines.append(match.group(1) + match.group(2))
    return "\n".join(lines) + "\n"


def said_to_the_database(text):
    return [line.strip()[1:].strip() for line in text.splitlines() if re.match(r" *#   \S.*;$", line)]


def decide_as_asked(folder, text, new="new.db"):
    connection = sqlite3.connect(folder.path / new)
    for sql in said_to_the_database(text):
        connection.execute(sql)
    connection.commit()
    connection.close()
    return folder.write(accepted(text))


def made(shape, folder, part):
    shape.make(folder.path / "old.db", False)
    shape.make(folder.path / "new.db", True, part)
    return folder.run("init", "sqlite:old.db", "sqlite:new.db")[0]


def renames_are_guessed_and_checked():
    for shape in shapes.ALL:
        assert len(shape.tables) > 10
        # Without rows on the new side only names, types and references speak; some have little to say.
        for part, columns_least in [(0.7, 0.95), (0, 0.4 if shape is shapes.COMPANY else 0.65)]:
            with Folder() as folder:
                text = made(shape, folder, part)
                plans.schema().validate(yaml.safe_load(text))
                figures = judged(shape, text)
                wanted = sum(len(t.renames()) for t in shape.tables)
                if "--figures" in sys.argv:
                    print("%-8s %s: tables %d of %d, wrong %s, missed %s; columns %d of %d\n   wrong %s\n   missed %s" % (
                        shape.name, "70 % of the rows are there" if part else "the new side is empty", figures["tables"],
                        len(shape.tables), figures["wrong_tables"], figures["missed_tables"], figures["columns"], wanted,
                        figures["wrong"], figures["missed"]))
                for wrong in figures["wrong"]:
                    assert not is_called_certain(text, wrong), "a wrong guess is called certain: " + wrong
                assert len(figures["wrong"]) * 50 <= figures["columns"], figures
                assert figures["columns"] >= wanted * columns_least, figures
                plan = decide_as_asked(folder, text)
                out, err = folder.run("check", plan, expect=None)
                assert "would go ahead" in out, "%s, part %s:\n%s%s\n%s" % (shape.name, part, out, err, text)


def rows_of(folder, database, table):
    return sorted(folder.query(database, 'SELECT * FROM "%s"' % table), key=repr)


def the_plan_runs_to_the_end_and_the_rows_are_equal():
    for shape in [shapes.MUSIC, shapes.ORDERS, shapes.BLOG]:
        with Folder() as folder:
            plan = decide_as_asked(folder, made(shape, folder, 0.7))
            shape.make(folder.path / "wanted.db", True, 1.0)
            folder.run("check", plan)
            before = {t.old: rows_of(folder, "old.db", t.old) for t in shape.tables}
            folder.run("run", plan, "--yes")
            for table in shape.tables:
                columns = [name_in_sql(c[1]) for c in table.columns if c[1] and c[2]]
                sql = 'SELECT %s FROM "%s" ORDER BY 1, 2' % (", ".join(columns), table.new)
                assert folder.query("new.db", sql) == folder.query("wanted.db", sql), (shape.name, table.new)
            folder.run("rollback", plan, "--yes")
            assert before == {t.old: rows_of(folder, "old.db", t.old) for t in shape.tables}
            assert all(rows_of(folder, "new.db", t.new) == [] for t in shape.tables)


def name_in_sql(column):
    return '"%s"' % shapes.name_of(column)


ODD = '''
CREATE TABLE "select" ("from" INTEGER PRIMARY KEY, "to" TEXT NOT NULL, "a b" TEXT, "it's" TEXT, "q""uote" TEXT,
  "true" INTEGER, "{x}" TEXT, "${HOME}" TEXT, "schlüssel" TEXT, "#c" TEXT, "k: v" TEXT, "n
l" TEXT, "~" REAL, "no" BLOB);
CREATE TABLE "${weird} table" (id INTEGER PRIMARY KEY, v);
CREATE TABLE """q""" (id INTEGER PRIMARY KEY, v);
CREATE TABLE "größe/1" (id INTEGER PRIMARY KEY, v);
CREATE TABLE "new
line" (id INTEGER PRIMARY KEY, v);
CREATE TABLE without_a_rowid (a TEXT, b INTEGER, c AS (b * 2), PRIMARY KEY (a, b)) WITHOUT ROWID;
CREATE TABLE by_a_unique_index (a TEXT NOT NULL UNIQUE, b);
CREATE TABLE computed (id INTEGER PRIMARY KEY, x INTEGER, y INTEGER GENERATED ALWAYS AS (x + 1) STORED);
CREATE TABLE as_it_says (id TEXT PRIMARY KEY NOT NULL, z REAL NOT NULL) STRICT;
CREATE VIEW seen AS SELECT * FROM computed;
'''
ODD_ROWS = '''
INSERT INTO "select" VALUES (1,'a','b','c','d',1,'e','f','g','h','i','j',0.5,x'00'),(2,'a',NULL,'','d',1,'e','f','g','h','i','j',2,NULL);
INSERT INTO "${weird} table" VALUES (1, 'x'), (2, 3);
INSERT INTO """q""" VALUES (1, 'x'), (2, NULL);
INSERT INTO "größe/1" VALUES (1, 'x');
INSERT INTO "new
line" VALUES (7, x'ff');
INSERT INTO without_a_rowid VALUES ('k', 1), ('k', 2);
INSERT INTO by_a_unique_index VALUES ('k', 1), ('l', 2);
INSERT INTO computed (id, x) VALUES (1, 5), (2, NULL);
INSERT INTO as_it_says VALUES ('k', 0.25);
'''
ODD_TABLES = ["select", "${weird} table", '"q"', "größe/1", "new\nline", "without_a_rowid", "by_a_unique_index", "computed",
              "as_it_says"]


def odd_names_go_through_a_plan():
    """Between two files, and into new tables beside the old ones."""
    with Folder() as folder:
        folder.database("old.db", ODD + ODD_ROWS)
        folder.database("new.db", ODD)
        text, _ = folder.run("init", "sqlite:old.db", "sqlite:new.db")
        assert "DECIDE:" not in text, text
        assert text.count("- from: ") == len(ODD_TABLES), text
        folder.run("run", folder.write(text), "--yes")
        for table in ODD_TABLES:
            name = table.replace('"', '""')
            assert rows_of(folder, "new.db", name) == rows_of(folder, "old.db", name) != [], table
    with Folder() as folder:
        folder.database("old.db", ODD + ODD_ROWS)
        folder.run("init", "sqlite:old.db", "--output", "plan.yaml")
        folder.run("check", "plan.yaml")
        folder.run("run", "plan.yaml", "--yes")
        for table in ODD_TABLES:
            name = table.replace('"', '""')
            old = rows_of(folder, "old.db", name)
            assert len(rows_of(folder, "old.db", name + "_v2")) == len(old) > 0, table


NOT_PLAIN = """
CREATE TABLE no_key (a, b);
CREATE TABLE half_a_key (a TEXT UNIQUE, b);
CREATE VIRTUAL TABLE words USING fts5(body);
CREATE TABLE fine (id INTEGER PRIMARY KEY, a);
"""


def what_cannot_move_is_said_and_rows_without_a_key_move_by_their_numbers():
    with Folder() as folder:
        folder.database("old.db", NOT_PLAIN)
        folder.database("new.db", NOT_PLAIN)
        text, _ = folder.run("init", "sqlite:old.db", "sqlite:new.db")
        expect_words(unwrapped(text), "from: old/no_key", "from: old/half_a_key", "no plain tables: words")
        folder.run("check", folder.write(text))
        text, _ = folder.run("init", "sqlite:old.db")
        expect_words(unwrapped(text), "from: db/no_key", "from: db/half_a_key")


def a_decision_is_asked_for():
    """A column without a source, one without a place, nulls that may not be, and no way back."""
    with Folder() as folder:
        folder.database("old.db", "CREATE TABLE t (id INTEGER PRIMARY KEY, zip TEXT, weight REAL NOT NULL, colour TEXT);"
                        "INSERT INTO t VALUES (1, NULL, 1.5, 'x'), (2, 'z', 2.5, 'y');")
        folder.database("new.db", "CREATE TABLE t (id INTEGER PRIMARY KEY, zip TEXT NOT NULL, salary INTEGER NOT NULL);")
        text, _ = folder.run("init", "sqlite:old.db", "sqlite:new.db")
        expect_words(unwrapped(text), "1 of 2 sampled rows have a null in `zip`", "`salary` (INTEGER) is NOT NULL without a default",
                     "`weight` is NOT NULL without a default and has no place", "DECIDE: nothing takes `weight`, `colour`",
                     '#: zip: {from: zip, if_null: {const: ""}}', "#: salary: {const: 0}", "#: rest: drop")
        assert "'x'" not in text and "1.5" not in text
        _, err = folder.run("check", folder.write(text), expect=2)
        expect_words(err, "nothing mentions the column `weight`", "t.salary is NOT NULL without a default")
        plan = decide_as_asked(folder, text)
        folder.run("check", plan)
        folder.run("run", plan, "--yes")
        assert folder.query("new.db", "SELECT id, zip, salary, weight FROM t") == [(1, "", 0, 1.5), (2, "z", 0, 2.5)]


def other_kinds_of_values_under_the_same_name():
    with Folder() as folder:
        folder.database("old.db", "CREATE TABLE t (id INTEGER PRIMARY KEY, state TEXT, seen TEXT, made_at TEXT, price TEXT);"
                        "INSERT INTO t VALUES (1, 'open', '2020-01-01T00:00:00Z', '2020-01-01T00:00:00Z', '1.5'),"
                        " (2, 'shut', '2020-01-01T00:00:00Z', '2020-01-01T00:00:00Z', '2.25');")
        folder.database("new.db", "CREATE TABLE t (id INTEGER PRIMARY KEY, state INTEGER, seen DATETIME, made_at INTEGER,"
                        " price REAL);")
        text, _ = folder.run("init", "sqlite:old.db", "sqlite:new.db")
        told = unwrapped(text)
        expect_words(told, "2 of 2 sampled values of `state` would be refused", "seconds since 1970, or `as: epoch_ms`",
                     'made_at: {time: "made_at", from: iso8601, as: epoch_s}', 'price: {cast: "price", to: real}')
        assert "seen" in yaml.safe_load(text)["tables"][0]["same"], text
        plan = folder.write(text.replace('{cast: "state", to: integer}', "{map: state, values: {open: 1, shut: 0}}"))
        folder.run("run", plan, "--yes")
        assert folder.query("new.db", "SELECT * FROM t") == [
            (1, 1, "2020-01-01T00:00:00Z", 1577836800, 1.5), (2, 0, "2020-01-01T00:00:00Z", 1577836800, 2.25)]


def values_are_moved_as_they_are_or_left_to_a_person():
    """Another measure under a name alike, bytes that are no text, and texts in a column of bytes."""
    with Folder() as folder:
        folder.database("old.db", "CREATE TABLE visit (id BLOB PRIMARY KEY, cost REAL, weight REAL, note BLOB, seconds INTEGER);")
        folder.database("new.db", "CREATE TABLE visits (id TEXT PRIMARY KEY, cost_cents INTEGER, weight_g INTEGER, note BLOB, seconds INTEGER);")
        connection = sqlite3.connect(folder.path / "old.db")
        connection.executemany("INSERT INTO visit VALUES (?, 19.59, 0.143, 'a text', 5)", [(bytes([200 + i, 255, i]),) for i in range(30)])
        connection.commit()
        connection.close()
        text, _ = folder.run("init", "sqlite:old.db", "sqlite:new.db")
        [entry] = yaml.safe_load(text)["tables"]
        columns = mapped(entry)
        assert "cost_cents" not in columns and "weight_g" not in columns, text
        expect_words(text, "only one of them says `cent`", "only one of them says `g`")
        assert all(columns[name] == name for name in ("id", "note", "seconds")), text
        text, _ = folder.run("init", "sqlite:old.db")
        assert "cast" not in text, text
    with Folder() as folder:
        folder.database("old.db", "CREATE TABLE flags (name TEXT PRIMARY KEY, enabled INTEGER);")
        text, _ = folder.run("init", "sqlite:old.db")
        expect_words(text, "row: db/migration_flags")


def misleading_names_are_not_called_certain():
    """Two columns have changed their names with each other, and one name means something else now."""
    with Folder() as folder:
        rows = [(i, "n%d" % i, "c%d" % (i * 7), "s%d" % i, i * 3.5) for i in range(60)]
        for name, order in [("old.db", (0, 1, 2, 3, 4)), ("new.db", (0, 2, 1, 4, 3))]:
            folder.database(name, "CREATE TABLE t (id INTEGER PRIMARY KEY, note TEXT, remark TEXT, level, size);")
            connection = sqlite3.connect(folder.path / name)
            connection.executemany("INSERT INTO t VALUES (?,?,?,?,?)", [[r[i] for i in order] for r in rows])
            connection.commit()
            connection.close()
        text, _ = folder.run("init", "sqlite:old.db", "sqlite:new.db")
        columns = mapped(yaml.safe_load(text)["tables"][0])
        for name in ["note", "remark", "level", "size"]:
            certain = columns.get(name) == name and is_called_certain(text, "t.%s: " % name)
            assert not certain, "%s is taken for %s without a word\n%s" % (name, name, text)


CLINIC_OLD = """
CREATE TABLE contact (id INTEGER PRIMARY KEY, first_name TEXT, last_name TEXT, home_phone TEXT, work_phone TEXT,
  home_city TEXT, work_city TEXT, start_date TEXT, end_date TEXT, created TEXT, modified TEXT, price REAL, cost REAL,
  status TEXT, state TEXT, name TEXT);
CREATE TABLE doctor (doctor_id INTEGER PRIMARY KEY, name TEXT, licence_no TEXT);
CREATE TABLE nurse (nurse_id INTEGER PRIMARY KEY, name TEXT, licence_no TEXT);
"""
CLINIC_NEW = """
CREATE TABLE contacts (id INTEGER PRIMARY KEY, given_name TEXT, family_name TEXT, phone_private TEXT, phone_office TEXT,
  town_private TEXT, town_office TEXT, begins_on TEXT, ends_on TEXT, inserted_at TEXT, updated_at TEXT, unit_cost REAL,
  unit_price REAL, region TEXT, phase TEXT, label TEXT);
CREATE TABLE physicians (id INTEGER PRIMARY KEY, full_name TEXT, license_number TEXT);
CREATE TABLE caregivers (id INTEGER PRIMARY KEY, full_name TEXT, license_number TEXT);
"""
CLINIC = {"id": "id", "given_name": "first_name", "family_name": "last_name", "begins_on": "start_date",
          "ends_on": "end_date", "inserted_at": "created", "updated_at": "modified", "unit_cost": "cost",
          "unit_price": "price", "label": "name"}


def what_could_be_several_things_stays_a_doubt():
    """Without a row on either side, and with two tables of one shape."""
    with Folder() as folder:
        folder.database("old.db", CLINIC_OLD)
        folder.database("new.db", CLINIC_NEW)
        text, _ = folder.run("init", "sqlite:old.db", "sqlite:new.db")
        tables = yaml.safe_load(text)["tables"]
        assert [e["from"] for e in tables] == ["old/contact"], text
        found = mapped(tables[0])
        assert found.items() <= CLINIC.items() and len(found) >= 8, text
        expect_words(unwrapped(text), "perhaps old/doctor is new/", "perhaps old/nurse is new/")
        folder.run("check", decide_as_asked(folder, text))


def a_doubtful_table_can_be_accepted():
    """All lines of a table that is only proposed; then what these ask in turn."""
    for part in [0.7, 0]:
        with Folder() as folder:
            text = made(shapes.RENTAL, folder, part)
            assert "perhaps old/store is new/shops" in unwrapped(text), text
            text = re.sub(r"(?m)^  #: ", "  ", text)
            assert "- from: old/store" in [line.strip() for line in text.splitlines()], text
            folder.run("check", decide_as_asked(folder, text))


def keys_that_were_given_anew_are_noticed():
    with Folder() as folder:
        people = [("n%d" % i, "m%d@example.org" % i, i * 37 % 101) for i in range(200)]
        for name, script, rows in [
                ("old.db", "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, mail TEXT, points INTEGER);", people),
                ("new.db", "CREATE TABLE t (id INTEGER PRIMARY KEY, nick TEXT, contact TEXT, points INTEGER);", people[::-1])]:
            folder.database(name, script)
            connection = sqlite3.connect(folder.path / name)
            connection.executemany("INSERT INTO t VALUES (?,?,?,?)", [(i + 1, *p) for i, p in enumerate(rows)])
            connection.commit()
            connection.close()
        text, _ = folder.run("init", "sqlite:old.db", "sqlite:new.db")
        assert mapped(yaml.safe_load(text)["tables"][0]) == {"id": "id", "nick": "name", "contact": "mail",
                                                             "points": "points"}, text
        expect_words(unwrapped(text), "keys may have been given anew")


def documents_are_proposed():
    with Folder() as folder:
        folder.database("old.db", "CREATE TABLE a (id INTEGER PRIMARY KEY, doc TEXT); CREATE TABLE b (id INTEGER PRIMARY KEY,"
                        """ x TEXT, y INTEGER); INSERT INTO a VALUES (1, '{"user": "me", "tags": [1]}'), (2, NULL);"""
                        "INSERT INTO b VALUES (1, 'z', 5);")
        folder.database("new.db", "CREATE TABLE a (id INTEGER PRIMARY KEY, user TEXT); "
                        "CREATE TABLE b (id INTEGER PRIMARY KEY, payload JSON);")
        text, _ = folder.run("init", "sqlite:old.db", "sqlite:new.db")
        expect_words(text, '#: user: {extract: "doc.user"}', '#: payload: {json: {"x": "x", "y": "y"}}')
        plan = decide_as_asked(folder, text)
        folder.run("run", plan, "--yes")
        assert folder.query("new.db", "SELECT * FROM a") == [(1, "me"), (2, None)]
        assert json.loads(folder.query("new.db", "SELECT payload FROM b")[0][0]) == {"x": "z", "y": 5}


ONE = """
CREATE TABLE people (id INTEGER PRIMARY KEY, full_name TEXT NOT NULL, mail TEXT, joined TEXT);
CREATE TABLE people_v2 (id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT, joined_at TEXT);
CREATE TABLE orders (nr INTEGER PRIMARY KEY, who INTEGER NOT NULL REFERENCES people(id), total REAL, note TEXT);
CREATE TABLE orders_new (order_id INTEGER PRIMARY KEY, person_id INTEGER NOT NULL REFERENCES people_v2(id), total REAL,
  remark TEXT);
CREATE TABLE old_stock (sku TEXT PRIMARY KEY NOT NULL, amount INTEGER);
CREATE TABLE stock (sku TEXT PRIMARY KEY NOT NULL, amount INTEGER);
CREATE TABLE other (id INTEGER PRIMARY KEY, t TEXT);
INSERT INTO people VALUES (1, 'a b', 'a@example.org', '2020'), (2, 'c d', NULL, NULL);
INSERT INTO orders VALUES (1, 2, 1.5, 'n'), (2, 1, NULL, NULL);
INSERT INTO old_stock VALUES ('x', 1), ('y', NULL);
"""


def an_old_and_a_new_table_in_one_store():
    with Folder() as folder:
        folder.database("app.db", ONE)
        text, _ = folder.run("init", "sqlite:app.db")
        plan = yaml.safe_load(text)
        pairs = {e["from"]: (e["to"], mapped(e)) for e in plan["tables"]}
        assert pairs == {
            "db/people": ("db/people_v2", {"id": "id", "name": "full_name", "email": "mail", "joined_at": "joined"}),
            "db/orders": ("db/orders_new", {"order_id": "nr", "person_id": "who", "total": "total", "remark": "note"}),
            "db/old_stock": ("db/stock", {"sku": "sku", "amount": "amount"})}, text
        assert [e["from"] for e in plan["tables"]].index("db/people") < [e["from"] for e in plan["tables"]].index(
            "db/orders"), "parents come first"
        expect_words(text, "#: - from: db/other", "by their names an older and a newer one", "level 1: orders, orders_new")
        folder.run("run", folder.write(text), "--yes")
        assert folder.query("app.db", "SELECT * FROM people_v2") == folder.query("app.db", "SELECT * FROM people")
        assert folder.query("app.db", "SELECT * FROM orders_new") == folder.query("app.db", "SELECT * FROM orders")


def one_table_or_one_pair_can_be_asked_for():
    with Folder() as folder:
        folder.database("app.db", ONE + 'CREATE TABLE "odd % name" (id INTEGER PRIMARY KEY);')
        text, _ = folder.run("init", "sqlite:app.db/old_stock", "sqlite:app.db/stock")
        assert [(e["from"], e["to"]) for e in yaml.safe_load(text)["tables"]] == [("db/old_stock", "db/stock")]
        assert yaml.safe_load(text)["sync"] == "dual"
        folder.run("check", folder.write(text))
        text, _ = folder.run("init", "sqlite:app.db/old_stock")
        assert [(e["from"], e["to"]) for e in yaml.safe_load(text)["tables"]] == [("db/old_stock", "db/stock")]
        text, _ = folder.run("init", "sqlite:app.db/OTHER")
        assert [(e["from"], e["to"]) for e in yaml.safe_load(text)["tables"]] == [("db/other", "db/other_v2")]
        assert "people" not in text, text
        text, _ = folder.run("init", "sqlite:app.db/odd%20%25%20name")
        assert [e["to"] for e in yaml.safe_load(text)["tables"]] == ["db/odd % name_v2"]
        whole, _ = folder.run("init", "sqlite:app.db")
        twice, _ = folder.run("init", "sqlite:app.db", "sqlite:./app.db")
        assert yaml.safe_load(twice)["tables"] == yaml.safe_load(whole)["tables"], "the same store twice is one store"
        _, err = folder.run("init", "sqlite:app.db/stock", "sqlite:app.db/stock", expect=2)
        expect_words(err, "source and target are the same table")
        _, err = folder.run("init", "sqlite:app.db/stok", expect=3)
        expect_words(err, "there is no table `stok`", "did you mean `stock`?")


def a_plan_is_written_beside_its_files():
    with Folder() as folder:
        folder.database("app.db", "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'x');")
        text, _ = folder.run("init", "sqlite:app.db")
        expect_words(text, "DECIDE", "# t_v2.sql:")
        folder.run("check", folder.write(text, "printed.yaml"), expect=2)
        (folder.path / "plans").mkdir()
        out, _ = folder.run("init", "sqlite:app.db", "--output", "plans/plan.yaml")
        expect_words(out, "written: plans/plan.yaml", "whimbrel check plans/plan.yaml")
        folder.run("check", "plans/plan.yaml")
        kept = (folder.path / "plans/plan.yaml").read_text() + "# by hand\n"
        (folder.path / "plans/plan.yaml").write_text(kept)
        _, err = folder.run("init", "sqlite:app.db", "--output", "plans/plan.yaml", expect=3)
        expect_words(err, "there is a file plans/", "--force", "nothing was written")
        assert (folder.path / "plans/plan.yaml").read_text() == kept
        folder.run("init", "sqlite:app.db", "--output", "plans/plan.yaml", "--force")
        assert "# by hand" not in (folder.path / "plans/plan.yaml").read_text()
        folder.run("init", "sqlite:app.db", "--output", "nowhere/plan.yaml", expect=3)
        out, _ = folder.run("init", "sqlite:app.db", "--output", "dry.yaml", "--dry-run")
        assert yaml.safe_load(out)["tables"] and not (folder.path / "dry.yaml").exists()
        assert not (folder.path / "nowhere").exists()
        told = json.loads(folder.run("init", "sqlite:app.db", "--json")[0].splitlines()[-1])
        assert told["result"] == "written" and yaml.safe_load(told["reason"])["whimbrel"] == 1


def an_empty_new_store_gets_the_tables_of_the_old_one():
    with Folder() as folder:
        folder.database("old.db", "CREATE TABLE a (id INTEGER PRIMARY KEY, v TEXT NOT NULL);"
                        "CREATE TABLE b (x TEXT, y INT, PRIMARY KEY (x, y)); INSERT INTO a VALUES (1, 'x');"
                        "INSERT INTO b VALUES ('x', 1), ('x', 2);")
        folder.database("new.db")
        folder.run("init", "sqlite:old.db", "sqlite:new.db", "--output", "plan.yaml")
        folder.run("run", "plan.yaml", "--yes")
        for table in "ab":
            assert rows_of(folder, "new.db", table) == rows_of(folder, "old.db", table)


RICH = """
CREATE TABLE area (code TEXT PRIMARY KEY);
CREATE TABLE item (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  sku TEXT NOT NULL DEFAULT 'none' UNIQUE COLLATE NOCASE,  -- how it is called
  amount INTEGER DEFAULT (1 + 1) CHECK (amount >= 0),
  area TEXT REFERENCES area(code) ON DELETE SET NULL,
  parent INTEGER REFERENCES item(id),
  twice INTEGER AS (amount * 2) STORED,
  CONSTRAINT both CHECK (item.amount < 100 OR sku <> '')
);
CREATE INDEX item_area ON item(area, amount DESC);
CREATE UNIQUE INDEX "by on" ON item(lower(sku)) WHERE amount > 5;
CREATE TRIGGER item_note AFTER UPDATE ON item BEGIN SELECT 1; END;
INSERT INTO area VALUES ('north');
INSERT INTO item (sku, amount, area, parent) VALUES ('a', 6, 'north', NULL), ('b', 2, NULL, 1);
"""


def what_the_old_table_has_is_in_the_new_one():
    """Defaults, CHECK, UNIQUE, references, computed columns and indexes; and what a person has to decide."""
    with Folder() as folder:
        folder.database("app.db", RICH)
        out, _ = folder.run("init", "sqlite:app.db/item", "--output", "plan.yaml")
        assert "1 decision" in out and "nothing is left" not in out, out
        ddl, plan = (folder.path / "item_v2.sql").read_text(), (folder.path / "plan.yaml").read_text()
        expect_words(ddl, "DEFAULT 'none' UNIQUE", "DEFAULT (1 + 1) CHECK (amount >= 0)", "ON DELETE SET NULL", "AUTOINCREMENT",
                     'REFERENCES "item_v2"(id)', "AS (amount * 2) STORED", '"item_v2_area" ON "item_v2"(area, amount DESC)',
                     '"by on_item_v2" ON "item_v2"(lower(sku)) WHERE amount > 5', "-- DECIDE: triggers of `item`")
        expect_words(unwrapped(plan), "DECIDE: triggers of `item` are not carried over: `item_note`")
        expect_words(plan, "sync: capture")
        folder.run("run", "plan.yaml", "--yes")
        assert rows_of(folder, "app.db", "item_v2") == rows_of(folder, "app.db", "item") != []
        connection = sqlite3.connect(folder.path / "app.db", isolation_level=None)
        made = connection.execute("INSERT INTO item_v2 (sku) VALUES ('c') RETURNING id, amount, twice").fetchall()
        assert made == [(3, 2, 4)], made
        for wrong in ("INSERT INTO item_v2 (sku) VALUES ('A')", "INSERT INTO item_v2 (sku, amount) VALUES ('x', -1)"):
            try:
                connection.execute(wrong)
            except sqlite3.IntegrityError:
                continue
            raise AssertionError("taken: " + wrong)
        connection.close()
        folder.run("rollback", "plan.yaml", "--yes")
    with Folder() as folder:  # all tables of a file: which of them refers to which is for a person
        folder.database("app.db", RICH)
        text, _ = folder.run("init", "sqlite:app.db")
        expect_words(unwrapped(text), "DECIDE: `area` goes on referring to the table `area`")
        folder.database("empty.db")
        folder.run("init", "sqlite:app.db", "sqlite:empty.db", "--output", "whole.yaml")
        folder.run("run", "whole.yaml", "--yes")
        assert rows_of(folder, "empty.db", "item") == rows_of(folder, "app.db", "item")
        assert folder.query("empty.db", "SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
                            " AND name NOT LIKE 'whimbrel%' ORDER BY 1") == [("by on",), ("item_area",)]
        folder.database("lonely.db")
        out, _ = folder.run("init", "sqlite:app.db/item", "sqlite:lonely.db")
        expect_words(unwrapped(out), "`area` refers to the table `area`, which new does not have")


def a_slip_in_a_store_is_told_with_what_was_meant():
    with Folder() as folder:
        folder.database("app.db", "CREATE TABLE t (id INTEGER PRIMARY KEY);")
        there = str(folder.path / "app.db")
        for slip, meant, code in [("app.db", "`sqlite:app.db`", 2), ("app.db/t", "`sqlite:app.db/t`", 2),
                                  (there, "`sqlite:%s`" % there, 2), ("sqlite3:app.db", "`sqlite:app.db`", 2),
                                  ("SQLite:app.db", "`sqlite:app.db`", 2), ("sqllite:app.db", "`sqlite:app.db`", 2),
                                  ("file:app.db", "`sqlite:app.db`", 2), ("sqlite://app.db", "`sqlite:app.db`", 3),
                                  ("sqlite:", "write sqlite:PATH", 2)]:
            _, err = folder.run("init", slip, expect=code)
            expect_words(err, "error: ", "hint: ", meant, "safe: nothing was")
        _, err = folder.run("init", "mysql://me:secret@host/db", expect=2)
        assert "secret" not in err and "write sqlite:PATH" in err, err
        _, err = folder.run("diff", "app.db/t", "sqlite:app.db/t", expect=2)
        expect_words(err, "`sqlite:app.db`")


def what_is_not_there_is_not_made():
    with Folder() as folder:
        good = folder.database("good.db", "CREATE TABLE t (id INTEGER PRIMARY KEY);")
        folder.database("zero.db")
        (folder.path / "text.db").write_text("this is no database, whatever its name is; " * 50)
        before = sorted(os.listdir(folder.path))
        for stores, words, code in [
                (["sqlite:none.db"], ["there is no database", "none.db", "nothing was written"], 3),
                (["sqlite:none.db/t"], ["there is no database"], 3),
                ([good, "sqlite:none.db"], ["there is no database"], 3),
                (["sqlite:zero.db"], ["there is no table to move"], 3),
                (["sqlite:zero.db", good], ["there is no table to move"], 3),
                (["sqlite:text.db"], ["text.db"], 3),
                (["nonsense"], ["no store has a URL like this"], 2),
                (["postgresql://me:secret@127.0.0.1:1/db"], ["PostgreSQL server", "psql"], 1),
                ([], [], 2)]:
            out, err = folder.run("init", *stores, expect=code)
            expect_words(err + out, *words)
            assert "secret" not in out + err
        assert sorted(os.listdir(folder.path)) == before, os.listdir(folder.path)


def init_changes_nothing():
    with Folder() as folder:
        folder.database("app.db", ONE)
        folder.database("other.db", ONE)
        before = [(folder.path / n).read_bytes() for n in ("app.db", "other.db")]
        folder.run("init", "sqlite:app.db")
        folder.run("init", "sqlite:app.db", "sqlite:other.db")
        assert [(folder.path / n).read_bytes() for n in ("app.db", "other.db")] == before
        assert sorted(os.listdir(folder.path)) == ["app.db", "other.db"]


TESTS = [renames_are_guessed_and_checked, the_plan_runs_to_the_end_and_the_rows_are_equal, odd_names_go_through_a_plan,
         what_cannot_move_is_said_and_rows_without_a_key_move_by_their_numbers, a_decision_is_asked_for, other_kinds_of_values_under_the_same_name,
         values_are_moved_as_they_are_or_left_to_a_person, misleading_names_are_not_called_certain,
         what_could_be_several_things_stays_a_doubt, a_doubtful_table_can_be_accepted, keys_that_were_given_anew_are_noticed,         documents_are_proposed,         an_old_and_a_new_table_in_one_store, one_table_or_one_pair_can_be_asked_for, a_plan_is_written_beside_its_files,
         an_empty_new_store_gets_the_tables_of_the_old_one, what_is_not_there_is_not_made,
         what_the_old_table_has_is_in_the_new_one, a_slip_in_a_store_is_told_with_what_was_meant, init_changes_nothing]

if __name__ == "__main__":
    main(*TESTS)

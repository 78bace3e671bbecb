"""New ids: every reference follows, rows of others are left alone, and what was written goes away to the row."""
import json
import pathlib
import shutil
import subprocess

from pair import BINARY, Copying, are, main, new_id

PLAN = """whimbrel: 1
migration: copy
stores: {dev: "sqlite:dev.db", prod: "sqlite:prod.db"}
ids: {column: id, format: FORMAT, from: [name, id, "prod"]}
tables:
  - from: dev/{name}_dev
    to: prod/{name}_prod
    create: exists
    names: NAMES
    rest: copy
references:
  orders: {boss: users}
  items: {order_id: orders, parent_id: items}
sync: none
on_failure: rollback
backup: {of: [target], to: "file:backup"}
verify: {full: true, references: true}
"""
TABLES = """CREATE TABLE users_{0} (id TEXT PRIMARY KEY, name TEXT);
CREATE TABLE orders_{0} (id TEXT PRIMARY KEY, user_id TEXT REFERENCES users_{0} (id), boss TEXT, total REAL);
CREATE TABLE items_{0} (id TEXT PRIMARY KEY, order_id TEXT NOT NULL, parent_id TEXT, qty INTEGER);"""

class Copy(Copying):
    def __init__(self, form="short", names='[users, "*"]', rows=300):
        super().__init__()
        self.form = form
        (self.folder / "plan.yaml").write_text(PLAN.replace("FORMAT", form).replace("NAMES", names))
        for name in ("dev", "prod"):
            self.connect(name).executescript(TABLES.format(name))
        dev = self.connect("dev")
        dev.executemany("INSERT INTO users_dev VALUES (?, ?)", [("u%d" % i, "é%d" % i) for i in range(rows)])
        dev.executemany("INSERT INTO orders_dev VALUES (?, ?, ?, ?)",
                        [("o%d" % i, "u%d" % (i % rows) if i % 7 else None, "u%d" % (i % 13), i / 3) for i in range(rows)])
        dev.executemany("INSERT INTO items_dev VALUES (?, ?, ?, ?)",
                        [("i%d" % i, "o%d" % (i % rows), "i%d" % (i - 1) if i % 2 else None, i) for i in range(3 * rows)])
        dev.commit()
        self.ask("prod", "INSERT INTO users_prod VALUES ('already', 'here')")

    def wanted(self, table):
        made = {"users": lambda r: (self.of("users", r[0]), r[1]),
                "orders": lambda r: (self.of("orders", r[0]), self.of("users", r[1]), self.of("users", r[2]), r[3]),
                "items": lambda r: (self.of("items", r[0]), self.of("orders", r[1]), self.of("items", r[2]), r[3])}
        return sorted(made[table](row) for row in self.ask("dev", "SELECT * FROM %s_dev" % table))

    def of(self, table, old):
        return new_id(table, old, form=self.form)

    def is_copied(self):
        for table in ("users", "orders", "items"):
            are(sorted(self.ask("prod", "SELECT * FROM %s_prod WHERE id <> 'already'" % table)), self.wanted(table), table)
        are(self.ask("prod", "SELECT * FROM users_prod WHERE id = 'already'"), [("already", "here")])


def every_reference_follows_in_each_format():
    for form in ("short", "uuid", "hex"):
        with Copy(form) as copy:
            said = copy.run("analyze")
            assert "1. users" in said and "2. orders" in said and "3. items" in said, said
            copy.run("run", "--yes")
            copy.is_copied()
            copy.run("verify")


def the_guide_says_the_same():
    page = (pathlib.Path(__file__).resolve().parents[2] / "docs" / "guide" / "copies.md").read_text()
    rows = [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in page.split("| table | old id |")[1].splitlines()[2:5]]
    are(rows, [[table, old] + [new_id(table, old, form=form) for form in ("short", "uuid", "hex")]
               for table, old in (("customers", "1"), ("orders", "a-17"), ("Contacts", "é漢🜁"))])


COMPOSED = """whimbrel: 1
migration: copy
stores: {dev: "sqlite:dev.db", prod: "sqlite:prod.db"}
ids: {column: id, format: short, from: [name, id, "prod"]}
tables:
  - {from: dev/users, to: prod/users, create: exists, columns: {id: id, tag: "USER#{id|upper}"}, rest: copy}
  - from: dev/orders
    to: prod/orders
    create: exists
    columns: {pk: "USER#{user_id}#ORDER#{id}", doc: {json: {user: user_id, all: [user_id, boss], n: total}}, who: {coalesce: [boss, user_id]}}
    rest: copy
references: {orders: {boss: users}}
sync: none
"""


def what_is_composed_of_ids_is_composed_of_the_new_ones():
    with Copying() as copy:
        (copy.folder / "plan.yaml").write_text(COMPOSED)
        for name, more in (("dev", ""), ("prod", ", pk TEXT UNIQUE, doc JSON, who TEXT")):
            copy.connect(name).executescript(
                "CREATE TABLE users (id TEXT PRIMARY KEY, name TEXT%s);"
                "CREATE TABLE orders (id TEXT PRIMARY KEY, user_id TEXT REFERENCES users (id), boss TEXT, total INTEGER%s);"
                % (", tag TEXT" if more else "", more))
        copy.ask("dev", "INSERT INTO users VALUES ('u1', 'a'), ('u2', 'b')")
        copy.ask("dev", "INSERT INTO orders VALUES ('o1', 'u1', 'u2', 5), ('o2', 'u2', NULL, 6)")
        printed = copy.run("analyze")
        assert "text 'USER#', new id for user_id" in printed, printed
        copy.run("run", "--yes")
        u1, u2, o1, o2 = (new_id(table, old) for table, old in (("users", "u1"), ("users", "u2"), ("orders", "o1"), ("orders", "o2")))
        are(sorted(copy.ask("prod", "SELECT * FROM users")), sorted([(u1, "a", "USER#" + u1.upper()), (u2, "b", "USER#" + u2.upper())]))
        rows = {row[0]: row[1:] for row in copy.ask("prod", "SELECT id, user_id, boss, total, pk, json(doc), who FROM orders")}
        # The columns that a text only mentions move as well, and refer to rows that are there.
        are(rows[o1], (u1, u2, 5, "USER#%s#ORDER#%s" % (u1, o1), '{"user":"%s","all":["%s","%s"],"n":5}' % (u1, u1, u2), u2))
        are(rows[o2], (u2, None, 6, "USER#%s#ORDER#%s" % (u2, o2), '{"user":"%s","all":["%s",null],"n":6}' % (u2, u2), u2))
        copy.run("verify")
        copy.run("rollback", "--yes")
        are(copy.ask("prod", "SELECT count(*) FROM orders"), [(0,)])
        # What comes from other rows would come with their old ids.
        text = COMPOSED.replace("who: {coalesce: [boss, user_id]}", "who: {lookup: id, in: users, by: boss}")
        (copy.folder / "plan.yaml").write_text(text)
        printed = copy.run("check", expect=2)
        assert "`lookup` gives `id` of users as the source has it" in printed, printed


def one_row_has_one_id_in_all_its_items():
    plan = """whimbrel: 1
migration: copy
stores: {dev: "sqlite:dev.db", prod: "sqlite:prod.db"}
ids: {column: id, format: short, from: [name, id, "prod"]}
tables:
  - from: dev/users
    to: prod/things
    create: exists
    items:
      - {columns: {pk: "USER#{id}", sk: {const: P}, a: boss}, rest: drop}
      - {columns: {pk: "NAME#{name}", sk: "USER#{id}", a: boss}, rest: drop}
references: {users: {boss: [{to: users, as: "U#{id}"}, users]}}
sync: none
"""
    with Copying() as copy:
        (copy.folder / "plan.yaml").write_text(plan)
        copy.connect("dev").executescript("CREATE TABLE users (id TEXT PRIMARY KEY, name TEXT UNIQUE NOT NULL, boss TEXT)")
        copy.connect("prod").executescript("CREATE TABLE things (pk TEXT, sk TEXT, a TEXT, PRIMARY KEY (pk, sk)) WITHOUT ROWID")
        copy.ask("dev", "INSERT INTO users VALUES ('1', 'ann', NULL), ('2', 'bob', 'U#1'), ('3', 'cy', '2')")
        copy.run("run", "--yes")
        ids = {old: new_id("users", old) for old in "123"}
        # A plain id beside a text around one: each value gets a new id once.
        bosses = {"1": None, "2": "U#" + ids["1"], "3": ids["2"]}
        wanted = [("USER#" + new, "P", bosses[old]) for old, new in ids.items()]
        wanted += [("NAME#" + name, "USER#" + ids[old], bosses[old]) for old, name in (("1", "ann"), ("2", "bob"), ("3", "cy"))]
        are(sorted(copy.ask("prod", "SELECT * FROM things")), sorted(wanted))
        copy.run("verify")
        copy.run("rollback", "--yes")
        are(copy.ask("prod", "SELECT count(*) FROM things"), [(0,)])


def references_to_a_composed_key_are_followed():
    plan = COMPOSED.split("tables:")[0] + """tables:
  - {from: dev/users, to: prod/things, create: exists, columns: {pk: "USER#{id}", sk: {const: P}, name: name}, rest: drop}
  - {from: dev/orders, to: prod/orders, create: exists, rest: copy}
references: {orders: {who: {to: users, as: "USER#{id}"}}}
sync: none
verify: {references: true}
"""
    with Copying() as copy:
        (copy.folder / "plan.yaml").write_text(plan)
        copy.connect("dev").executescript("CREATE TABLE users (id TEXT PRIMARY KEY, name TEXT); CREATE TABLE orders (id TEXT PRIMARY KEY, who TEXT)")
        copy.connect("prod").executescript("CREATE TABLE things (pk TEXT, sk TEXT, name TEXT, PRIMARY KEY (pk, sk)) WITHOUT ROWID;"
                                           "CREATE TABLE orders (id TEXT PRIMARY KEY, who TEXT)")
        copy.ask("dev", "INSERT INTO users VALUES ('1', 'ann'), ('2', 'bob')")
        copy.ask("dev", "INSERT INTO orders VALUES ('a', 'USER#1'), ('b', 'USER#2'), ('c', NULL)")
        printed = copy.run("run", "--yes")
        assert "2 references looked up" in printed, printed
        are(sorted(copy.ask("prod", "SELECT who FROM orders WHERE who IS NOT NULL")), sorted(copy.ask("prod", "SELECT pk FROM things")))


def a_second_run_carries_what_came_went_and_changed():
    with Copy() as copy:
        copy.run("run", "--yes")
        dev = copy.connect("dev")
        dev.executescript("UPDATE users_dev SET name = 'new' WHERE id = 'u5'; INSERT INTO users_dev VALUES ('u999', 'late');"
                          "DELETE FROM items_dev WHERE id = 'i899'; UPDATE orders_dev SET boss = 'u999' WHERE id = 'o1';")
        dev.close()
        copy.run("run", "--yes")
        copy.is_copied()


def a_rollback_takes_away_what_was_written_and_nothing_else():
    with Copy() as copy:
        copy.run("run", "--yes")
        changed = new_id("users", "u3")
        copy.ask("prod", "UPDATE users_prod SET name = 'mine now' WHERE id = '%s'" % changed)
        copy.ask("prod", "INSERT INTO users_prod VALUES ('theirs', 'too')")
        copy.run("rollback", "--yes")
        are(sorted(copy.ask("prod", "SELECT * FROM users_prod")),
            sorted([("already", "here"), ("theirs", "too"), (changed, "mine now")]))
        are(copy.ask("prod", "SELECT count(*) FROM items_prod"), [(0,)])


def a_key_of_somebody_else_is_never_overwritten():
    with Copy() as copy:
        taken = new_id("users", "u7")
        copy.ask("prod", "INSERT INTO users_prod VALUES ('%s', 'theirs')" % taken)
        printed = copy.run("run", "--yes", expect=3)
        assert "1 row with a key of others" in printed, printed
        are(copy.ask("prod", "SELECT * FROM users_prod ORDER BY 1"), sorted([("already", "here"), (taken, "theirs")]))


def a_row_that_refers_to_nothing_is_refused_before():
    with Copy() as copy:
        copy.ask("dev", "UPDATE items_dev SET order_id = 'nowhere' WHERE id = 'i4'")
        printed = copy.run("run", "--yes", expect=3)
        assert "refers to 'nowhere'" in printed, printed
        are(copy.ask("prod", "SELECT count(*) FROM users_prod"), [(1,)])


def a_trial_takes_along_what_is_referred_to():
    with Copy() as copy:
        printed = copy.run("test", "--limit", "2", "--yes")
        assert "references followed" in printed, printed
        are(copy.ask("prod", "SELECT count(*) FROM users_prod"), [(1,)])


def an_id_is_found_in_both_directions():
    with Copy() as copy:
        copy.run("run", "--yes")
        made = new_id("users", "u3")
        for asked in ("u3", made):
            printed = copy.run("report", "--id", asked)
            assert "users  'u3' → '%s'" % made in printed, printed
        printed = copy.run("report", "--id", made, "--json")
        assert json.loads(printed.splitlines()[0]) == {"table": "users", "from": "'u3'", "to": "'%s'" % made}, printed
        copy.run("report", "--id", "nobody", expect=1)
        listed = subprocess.run(["zstd", "-dc", copy.folder / ".whimbrel" / "copy" / "id-mappings.jsonl.zst"], capture_output=True, check=True)
        lines = [json.loads(line) for line in listed.stdout.splitlines()]
        are(len(lines), 300 + 300 + 900)
        assert {"table": "users", "from": "u3", "to": made} in lines, lines[:2]
        # From a copy of the folder alone, on another machine.
        shutil.move(copy.folder / ".whimbrel" / "copy", copy.folder / "elsewhere")
        copy.run("rollback", "--yes", "--checkpoint", str(copy.folder / "elsewhere" / "migration-checkpoint-latest.json"))
        are(copy.ask("prod", "SELECT * FROM users_prod"), [("already", "here")])
        are(copy.ask("prod", "SELECT count(*) FROM items_prod"), [(0,)])


def names_that_are_not_there_are_told():
    with Copy(names="[usres]") as copy:
        printed = copy.run("check", expect=2)
        assert "there is no table `usres_dev`" in printed and "did you mean `users`?" in printed, printed
    with Copy(names="[users, orders]") as copy:
        copy.ask("dev", "CREATE VIRTUAL TABLE words_dev USING fts5 (word)")
        printed = copy.run("check")
        assert "no name in the plan means them: dev/items_dev\n" in printed, printed
    with Copy(names='["*", "!items"]') as copy:
        copy.ask("dev", "CREATE VIRTUAL TABLE words_dev USING fts5 (word)")  # which is no plain table
        copy.run("run", "--yes")
        are(copy.ask("prod", "SELECT count(*) FROM items_prod"), [(0,)])


def killed_at_any_moment_it_goes_on():
    for milliseconds in (60, 120, 200, 350):
        with Copy(rows=2000) as copy:
            process = subprocess.Popen([BINARY, "run", str(copy.folder / "plan.yaml"), "--yes"], stdin=subprocess.DEVNULL,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                process.wait(milliseconds / 1000)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            copy.run("run", "--yes")
            copy.is_copied()
            copy.run("rollback", "--yes")
            are(copy.ask("prod", "SELECT * FROM users_prod"), [("already", "here")])


TESTS = [every_reference_follows_in_each_format, the_guide_says_the_same,
         what_is_composed_of_ids_is_composed_of_the_new_ones, one_row_has_one_id_in_all_its_items,
         references_to_a_composed_key_are_followed, a_second_run_carries_what_came_went_and_changed,
         a_rollback_takes_away_what_was_written_and_nothing_else, a_key_of_somebody_else_is_never_overwritten,
         a_row_that_refers_to_nothing_is_refused_before, a_trial_takes_along_what_is_referred_to,
         an_id_is_found_in_both_directions,
         names_that_are_not_there_are_told, killed_at_any_moment_it_goes_on]

if __name__ == "__main__":
    main(*TESTS)

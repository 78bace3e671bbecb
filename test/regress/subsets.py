"""Copies of only some rows: `limit`, and `sample` with everything that the chosen rows need and that belongs to them."""
import random

from pair import Copying, are, main

PLAN = """whimbrel: 1
migration: copy
stores: {dev: "sqlite:dev.db", prod: "sqlite:prod.db"}
tables:
  - {from: "dev/{name}", to: "prod/{name}", create: exists, names: ["*"]}
sync: none
verify: {references: true}
"""
TABLES = {"contacts": "id TEXT PRIMARY KEY, boss TEXT REFERENCES contacts (id)",
          "projects": "id TEXT PRIMARY KEY, contact TEXT REFERENCES contacts (id), state TEXT",
          "quotes": "id TEXT PRIMARY KEY, project TEXT REFERENCES projects (id), agent TEXT REFERENCES contacts (id)",
          "items": "id TEXT PRIMARY KEY, quote TEXT REFERENCES quotes (id), twin TEXT REFERENCES items (id), bag TEXT",
          "requests": "id TEXT PRIMARY KEY, contact TEXT REFERENCES contacts (id)",
          "settings": "id TEXT PRIMARY KEY, value TEXT"}
REFERENCES = {"contacts": {1: "contacts"}, "projects": {1: "contacts"}, "quotes": {1: "projects", 2: "contacts"},
              "items": {1: "quotes", 2: "items"}, "requests": {1: "contacts"}, "settings": {}}


class Shop(Copying):
    def __init__(self, plan, seed=1):
        super().__init__()
        (self.folder / "plan.yaml").write_text(plan)
        for name in ("dev", "prod"):
            connection = self.connect(name)
            for table, columns in TABLES.items():
                connection.execute("CREATE TABLE %s (%s)" % (table, columns))
            connection.commit()
            connection.close()
        self.fill(random.Random(seed))

    def fill(self, rng):
        connection = self.connect("dev")

        def add(table, count, values):
            for i in range(count):
                row = ["%s%d" % (table[0], i)] + values(i)
                connection.execute("INSERT INTO %s VALUES (%s)" % (table, ", ".join("?" * len(row))), row)

        add("contacts", 300, lambda i: ["c%d" % rng.randrange(i) if i and i % 3 else None])
        add("projects", 200, lambda i: ["c%d" % rng.randrange(300), rng.choice(["open", "done"])])
        add("quotes", 600, lambda i: ["p%d" % rng.randrange(200) if i % 9 else None, "c%d" % rng.randrange(300)])
        add("items", 1500, lambda i: ["q%d" % (i % 600), "i%d" % ((i + 600) % 1500) if i % 5 == 0 and i < 300 else None, "x"])
        add("requests", 100, lambda i: ["c%d" % rng.randrange(300)])
        add("settings", 7, lambda i: ["v"])
        connection.commit()
        connection.close()

    def rows(self, name):
        return {table: {row[0]: row for row in self.ask(name, "SELECT * FROM " + table)} for table in TABLES}


def closure(source, roots, whole):
    """What whimbrel's page on copies promises, written once more; `roots` by table."""
    chosen = {table: set(roots.get(table, ())) for table in TABLES}
    grows = True
    while grows:  # what belongs to them; a sampled table gets no more rows by that
        grows = False
        for table, references in REFERENCES.items():
            for key, row in source[table].items():
                leads = any(row[at] in chosen[parent] for at, parent in references.items())
                if table not in roots and key not in chosen[table] and leads:
                    chosen[table].add(key)
                    grows = True
    waiting = [(table, key) for table in TABLES for key in chosen[table]]
    while waiting:  # and what all of these need
        table, key = waiting.pop()
        for at, parent in REFERENCES[table].items():
            needed = source[table][key][at]
            if needed is not None and needed not in chosen[parent]:
                chosen[parent].add(needed)
                waiting.append((parent, needed))
    for table in whole:
        chosen[table] = set(source[table])
    return chosen


def is_closed(shop, sampled, count):
    source, target = shop.rows("dev"), shop.rows("prod")
    roots = {table: set(target[table]) for table in sampled}
    are(sum(len(keys) for keys in roots.values()), count)
    wanted = closure(source, roots, ["settings"])
    for table in TABLES:
        are(set(target[table]), wanted[table], table)
        for key, row in target[table].items():
            are(row, source[table][key])
    are(shop.ask("prod", "PRAGMA foreign_key_check"), [])
    return target


def a_sample_comes_with_what_it_needs_and_what_belongs_to_it():
    with Shop(PLAN + "sample: {projects: 20}\n") as shop:
        printed = shop.run("analyze")
        assert "180 rows, by `sample`" in printed, printed
        shop.run("run", "--yes")
        target = is_closed(shop, ["projects"], 20)
        assert 30 < len(target["quotes"]) < 120 and not target["requests"], {t: len(r) for t, r in target.items()}
        shop.run("verify")
        shop.run("run", "--yes")
        are(shop.rows("prod"), target, "the same every time")
        project, other = sorted(target["projects"])[0], sorted(set(shop.rows("dev")["projects"]) - set(target["projects"]))[0]
        shop.ask("dev", "INSERT INTO quotes VALUES ('new', ?, 'c1')", project)
        shop.ask("dev", "INSERT INTO quotes VALUES ('strange', ?, 'c1')", other)
        shop.ask("dev", "DELETE FROM items WHERE quote = (SELECT min(id) FROM quotes WHERE project = ?) AND id NOT IN (SELECT twin FROM items WHERE twin IS NOT NULL)", project)
        shop.run("run", "--yes")
        target = is_closed(shop, ["projects"], 20)
        assert "new" in target["quotes"] and "strange" not in target["quotes"]
        shop.run("rollback", "--yes")
        are([len(rows) for rows in shop.rows("prod").values()], [0] * len(TABLES))


def two_tables_may_be_sampled_and_a_middle_one():
    for sampled, count in ((["contacts"], 5), (["quotes"], 30), (["settings", "requests"], 9), (["items"], 40)):
        for seed in (2, 3):
            top = "sample: {%s}\n" % ", ".join("%s: %d" % (table, count) for table in sampled)
            with Shop(PLAN + top, seed) as shop:
                shop.run("run", "--yes")
                source, target = shop.rows("dev"), shop.rows("prod")
                wanted = {table: min(count, len(source[table])) for table in sampled}
                connected = {"settings"} if "settings" not in sampled else set()
                # Rows that others need come beside those that were drawn, so the roots are among the target's.
                roots = {table: set(target[table]) for table in sampled}
                for table in sampled:
                    assert len(roots[table]) >= wanted[table], (table, len(roots[table]))
                drawn = closure(source, roots, connected)
                for table in TABLES:
                    assert set(target[table]) <= drawn[table], table
                are(shop.ask("prod", "PRAGMA foreign_key_check"), [])
                shop.run("verify")


def conditions_hold_for_a_sample_too():
    line = PLAN.replace('  - {from: "dev/{name}"', '  - {from: dev/projects, to: prod/projects, where: {state: open}}\n  - {from: "dev/{name}"')
    with Shop(line + "sample: {projects: 20}\norphans: delete\n") as shop:
        shop.run("run", "--yes")
        are({row[2] for row in shop.rows("prod")["projects"].values()}, {"open"})
        is_closed(shop, ["projects"], 20)
    with Shop(PLAN + "sample: {projects: 100000}\n") as shop:
        shop.run("run", "--yes")
        is_closed(shop, ["projects"], 200)


def a_limit_takes_the_first_rows():
    line = PLAN.replace('  - {from: "dev/{name}"', '  - {from: dev/quotes, to: prod/quotes, where: {agent: {not: [c1]}}, limit: 50}\n  - {from: "dev/{name}"')
    with Shop(line + "orphans: delete\n") as shop:
        printed = shop.run("analyze")
        assert "550 rows, by `where`, `limit`" in printed, printed
        shop.run("run", "--yes")
        first = shop.ask("dev", "SELECT id FROM quotes WHERE agent <> 'c1' ORDER BY id LIMIT 50")
        are(shop.ask("prod", "SELECT id FROM quotes ORDER BY id"), first)
        quotes = {key for key, in first}
        source = shop.rows("dev")["items"]
        # A twin that is left out takes its items along, and these theirs.
        kept = {key for key, row in source.items() if row[1] in quotes}
        while True:
            left = {key for key in kept if source[key][2] is None or source[key][2] in kept}
            if left == kept:
                break
            kept = left
        are(set(shop.rows("prod")["items"]), kept)
        shop.run("verify")
        shop.run("run", "--yes")
        are(shop.ask("prod", "SELECT id FROM quotes ORDER BY id"), first)


def conditions_see_values_as_they_are():
    """The store is asked to leave rows out, and what it sees otherwise is not left to it."""
    texts = ["a", "B", "b", "Ba", "ba", "", "5", "05", "\u00e9", "\ue000", "\U0001f701", "zz"]
    values = [(text, number) for text, number in zip(texts, [5, 5.0, "5", 4, 6, None, -1, 5.5, "x", b"5", 7, 2**60])]
    is_number = lambda value: isinstance(value, (int, float))
    cases = [("t: b", lambda t, n: t == "b"), ("t: [b, \"5\"]", lambda t, n: t in ("b", "5")), ("t: {at_least: b}", lambda t, n: t >= "b"),
             ("t: {above: B, below: b}", lambda t, n: "B" < t < "b"), ("t: {begins_with: B}", lambda t, n: t.startswith("B")),
             ("t: {below: \"\ue001\"}", lambda t, n: t.encode() < "\ue001".encode()), ("t: {not: [b, a]}", lambda t, n: t not in ("b", "a")),
             ("t: 5", lambda t, n: False), ("n: 5", lambda t, n: is_number(n) and n == 5), ("n: \"5\"", lambda t, n: n == "5"),
             ("n: {at_least: 5}", lambda t, n: is_number(n) and n >= 5), ("n: {below: 5}", lambda t, n: is_number(n) and n < 5),
             ("n: {above: 5.2}", lambda t, n: is_number(n) and n > 5.2), ("n: null", lambda t, n: n is None),
             ("n: {not: null}", lambda t, n: n is not None), ("n: [5, null, x]", lambda t, n: n is None or n == "x" or (is_number(n) and n == 5))]
    for where, holds in cases:
        with Copying() as copy:
            (copy.folder / "plan.yaml").write_text(PLAN.replace("exists, names", "exists, where: {%s}, names" % where))
            for name in ("dev", "prod"):
                connection = copy.connect(name)
                connection.execute("CREATE TABLE odd (id INTEGER PRIMARY KEY, t TEXT COLLATE NOCASE, n)")
                if name == "dev":
                    connection.execute("CREATE INDEX by_t ON odd (t)")
                    connection.executemany("INSERT INTO odd (t, n) VALUES (?, ?)", values)
                connection.commit()
                connection.close()
            copy.run("run", "--yes")
            wanted = [(t, n) for t, n in values if holds(t, n)]
            are(copy.ask("prod", "SELECT t, n FROM odd ORDER BY id"), wanted, where)


ONE_OF_MANY = """whimbrel: 1
migration: copy
stores: {dev: "sqlite:dev.db", prod: "sqlite:prod.db"}
tables:
  - {from: dev/all, to: prod/own, create: own.sql, where: {%s}, columns: {%s}, rest: drop}
sync: none
"""


def a_row_that_is_left_out_takes_no_other_along():
    """Its key on the other side may be that of a row which is taken, or none at all."""
    tenants = ("tenant TEXT NOT NULL, id INTEGER NOT NULL, what TEXT, PRIMARY KEY (tenant, id)",
               [("a", 1, "ours"), ("a", 2, "ours"), ("b", 1, "theirs"), ("b", 3, "theirs")],
               "CREATE TABLE own (id INTEGER PRIMARY KEY, what TEXT)")
    entries = ("pk TEXT NOT NULL, sk TEXT NOT NULL, what TEXT, PRIMARY KEY (pk, sk)",
               [("LIST#a", "ENTRY#1", "ours"), ("LIST#b", "ENTRY#2", "ours"), ("SONG#7", "PROFILE", "theirs")],
               "CREATE TABLE own (id TEXT, at TEXT, what TEXT, PRIMARY KEY (id, at))")
    lead_back = 'id: {between: pk, prefix: "LIST#"}, at: {between: sk, prefix: "ENTRY#"}, what: what'
    for (columns, rows, own), where, mapping, change in (
            (tenants, "tenant: {not: [b]}", "id: id, what: what", "UPDATE \"all\" SET what = what || '!' WHERE tenant = 'b'"),
            (tenants, "tenant: a", "id: id, what: what", "DELETE FROM \"all\" WHERE tenant = 'b'"),
            (entries, 'sk: {begins_with: "ENTRY#"}', lead_back, "UPDATE \"all\" SET what = what || '!' WHERE sk = 'PROFILE'")):
        with Copying() as copy:
            (copy.folder / "plan.yaml").write_text(ONE_OF_MANY % (where, mapping))
            (copy.folder / "own.sql").write_text(own)
            copy.ask("prod", "CREATE TABLE theirs (a)")
            copy.ask("dev", 'CREATE TABLE "all" (%s) WITHOUT ROWID' % columns)
            for row in rows:
                copy.ask("dev", 'INSERT INTO "all" VALUES (%s)' % ", ".join("?" * len(row)), *row)
            ours = [("ours",), ("ours",)]
            for _ in range(2):
                copy.run("run", "--yes")
                are(copy.ask("prod", "SELECT what FROM own ORDER BY 1"), ours, where)
                assert "0 differ" in copy.run("verify"), where
                copy.ask("dev", change)


def what_it_may_not_be():
    for top, words in (("sample: {project: 20}\n", "no table of the plan is called `project`"), ("sample: {projects: 0}\n", "at least 1"),
                       ("sample: {projects: many}\n", "at least 1"), ("sample: 20\n", "like {orders: 100}")):
        with Shop(PLAN + top) as shop:
            printed = shop.run("check", expect=2)
            assert words in printed, printed


if __name__ == "__main__":
    main(a_sample_comes_with_what_it_needs_and_what_belongs_to_it, two_tables_may_be_sampled_and_a_middle_one,
         conditions_hold_for_a_sample_too, a_limit_takes_the_first_rows, conditions_see_values_as_they_are,
         a_row_that_is_left_out_takes_no_other_along, what_it_may_not_be)

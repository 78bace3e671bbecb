"""Plans and databases that are refused before anything is made, because no run of them could end well."""
import os

from pair import PLAN_ERROR, REFUSED, Copying, Pair, are, changed, expect_words, main

PLAIN = "CREATE TABLE {} (id INTEGER PRIMARY KEY, v TEXT);"
TWO_ROWS = PLAIN.format("o") + "INSERT INTO o VALUES (1, 'a'), (2, 'b');"


def one_table_into_two_goes_there_and_back_by_feeds():
    tables = ("  - {from: db/o, to: db/n1, as: one, create: n1.sql, columns: {id: id, a: a}, rest: drop}\n"
              "  - {from: db/o, to: db/n2, as: two, create: n2.sql, columns: {id: id, b: b}, rest: drop}")
    for sync in ("dual", "capture"):
        with Pair("CREATE TABLE o (id INTEGER PRIMARY KEY, a TEXT, b TEXT); INSERT INTO o VALUES (1, 'a1', 'b1'), (2, 'a2', 'b2');",
                  {"n1.sql": "CREATE TABLE n1 (id INTEGER PRIMARY KEY, a TEXT);",
                   "n2.sql": "CREATE TABLE n2 (id INTEGER PRIMARY KEY, b TEXT);"}, sync, tables=tables) as pair:
            changed(pair, ", rename_source_to: o_archive", "")
            if sync == "dual":
                pair.refused("cannot be kept in step by links", code=PLAN_ERROR)
                continue
            pair.run("run", "--yes")
            pair.script("UPDATE n1 SET a = 'new a' WHERE id = 1; UPDATE n2 SET b = 'new b' WHERE id = 2;"
                        "INSERT INTO n1 VALUES (3, 'a3'); INSERT INTO n2 VALUES (3, 'b3')")
            pair.run("rollback", "--yes")
            are(pair.old(), [(1, "new a", "b1"), (2, "a2", "new b"), (3, "a3", "b3")], "the old table")


def a_rollback_is_not_hidden_from_another_migration_of_the_table():
    """Refused is well, too: then nobody waits for what never comes."""
    with Pair(TWO_ROWS, PLAIN.format("n")) as pair:
        changed(pair, ", rename_source_to: o_archive", "")
        first, second = pair.plan, pair.folder / "second.yaml"
        text = first.read_text().replace("regress", "second").replace("db/n", "db/z").replace("new.sql", "z.sql")
        second.write_text(text.replace("name: new", "name: newer"))
        (pair.folder / "z.sql").write_text(PLAIN.format("z"))
        pair.run("run", "--yes")
        before = pair.everything()
        pair.plan = second
        _, printed = pair.answer("run", "--yes", "--until", "verify")
        if "another migration is at work on db/o" in printed:
            pair.is_as(before)
            return
        pair.plan = first
        pair.ask("UPDATE n SET v = 'new side' WHERE id = 1")
        pair.run("rollback", "--yes")
        pair.plan = second
        pair.run("run", "--yes")
        are(pair.ask("SELECT * FROM z"), [(1, "new side"), (2, "b")])


def a_column_that_comes_after_the_beginning_is_not_left_behind():
    for sync in ("dual", "capture", "none"):
        with Pair(TWO_ROWS, "CREATE TABLE n (id INTEGER PRIMARY KEY, v TEXT, late TEXT);", sync) as pair:
            pair.run("run", "--yes", "--until", "verify")
            pair.ask("ALTER TABLE o ADD COLUMN late TEXT")
            pair.ask("UPDATE o SET late = 'precious'")
            expect_words(pair.run("run", "--yes", expect=3), "o.late")
            are(pair.ask("SELECT * FROM flags"), [], "switched, " + sync)
            pair.run("rollback", "--yes")
            are(pair.old(), [(1, "a", "precious"), (2, "b", "precious")])


def a_plan_without_stores_moves_nothing_and_says_so():
    with Pair(TWO_ROWS, PLAIN.format("n")) as pair:
        changed(pair, '{db: "sqlite:app.db"}', "{}")
        pair.refused("the plan names no stores", "add `stores: {name: URL}`", code=PLAN_ERROR)
        expect_words(pair.run("check", expect=PLAN_ERROR), "the plan names no stores")


def two_names_of_one_file_are_one_database():
    with Pair(TWO_ROWS, PLAIN.format("n"), two=True) as pair:
        (pair.folder / "far.db").unlink()
        os.link(pair.folder / "app.db", pair.folder / "far.db")
        pair.refused("`db` and `far` are one database under two names", "use one of them for both tables", code=PLAN_ERROR)
        expect_words(pair.run("check", expect=PLAN_ERROR), "one database under two names")


def the_plan_that_reverse_prints_tells_tables_of_one_name_apart():
    other = "CREATE TABLE {} (k TEXT PRIMARY KEY NOT NULL, z TEXT);"
    tables = ("  - {from: db/o, to: db/n, create: new.sql}\n"
              "  - {as: far, from: far/o, to: far/n, create: far.sql}")
    with Pair(TWO_ROWS, {"new.sql": PLAIN.format("n"), "far.sql": other.format("n")}, tables=tables, two=True) as pair:
        pair.ask(other.format("o"), "far")
        pair.ask("INSERT INTO o VALUES ('q', 'w')", "far")
        changed(pair, "rename_source_to: o_archive", "keep_source: false")
        pair.run("run", "--yes")
        pair.run("finish", "--yes")
        back = pair.folder / "back.yaml"
        back.write_text(pair.start("reverse").communicate()[0])
        pair.plan = back
        pair.run("check")


def a_switch_that_moves_with_its_table_is_refused():
    tables = ("  - {from: db/o, to: db/n, create: new.sql}\n"
              "  - {from: db/flags, to: db/flags2, create: flags.sql}")
    with Pair(TWO_ROWS, {"new.sql": PLAIN.format("n"), "flags.sql": "CREATE TABLE flags2 (name TEXT PRIMARY KEY, state INTEGER NOT NULL);"}, tables=tables) as pair:
        changed(pair, ", rename_source_to: o_archive", "")
        pair.refused("the switch is a row of flags, which this plan moves", code=PLAN_ERROR)


def a_new_table_that_refers_to_an_old_one_is_refused():
    parent = "CREATE TABLE {} (id INTEGER PRIMARY KEY);"
    tables = ("  - {from: db/p, to: db/p2, create: p2.sql}\n"
              "  - {from: db/o, to: db/n, create: new.sql}")
    child = "CREATE TABLE {} (id INTEGER PRIMARY KEY, p INTEGER REFERENCES {});"
    for parent_of_new, refused in (("p", True), ("p2", False)):
        with Pair(parent.format("p") + child.format("o", "p"), {"p2.sql": parent.format("p2"), "new.sql": child.format("n", parent_of_new)},
                  tables=tables) as pair:
            changed(pair, ", rename_source_to: o_archive", "")
            if refused:
                pair.refused("n refers to p by a foreign key, which is the old table", code=PLAN_ERROR)
                changed(pair, "create: new.sql", "create: like-source")
            pair.run("run", "--yes")
            are(pair.ask("SELECT \"table\" FROM pragma_foreign_key_list('n')"), [("p2",)])
    tables = ("  - {from: db/p, to: db/p2, create: p2.sql, columns: {pid: id}}\n"
              "  - {from: db/o, to: db/n, create: like-source}")
    child = child.replace("REFERENCES {}", "REFERENCES {} (id)")
    with Pair(parent.format("p") + child.format("o", "p"), {"p2.sql": "CREATE TABLE p2 (pid INTEGER PRIMARY KEY);"}, tables=tables) as pair:
        changed(pair, ", rename_source_to: o_archive", "")
        pair.refused("make it by a file", code=PLAN_ERROR)


def a_plan_that_was_changed_since_leads_no_row_back():
    """Columns exchanged, tables in another order: what goes back, or away, would be other rows than those that came."""
    old = "CREATE TABLE o (id INTEGER PRIMARY KEY, a INTEGER, b INTEGER); INSERT INTO o VALUES (1, 10, 100), (2, 20, 200);"
    new = {"new.sql": "CREATE TABLE n (id INTEGER PRIMARY KEY, x INTEGER, y INTEGER);"}
    for sync in ("capture", "dual"):
        with Pair(old, new, sync, "{id: id, x: a, y: b}") as pair:
            pair.run("run", "--yes")
            pair.ask("UPDATE n SET x = 11 WHERE id = 1")
            pair.ask("INSERT INTO n VALUES (3, 30, 300)")
            changed(pair, "x: a, y: b", "x: b, y: a")
            for verb in ("rollback", "finish"):
                told = pair.run(verb, "--yes", expect=REFUSED)
                assert "/tables/0/columns/x: \"a\" → \"b\"" in told, told
                assert "put the old plan back" in told, told
            changed(pair, "x: b, y: a", "x: a, y: b")
            changed(pair, "after: 0s", "after: 1d")  # says nothing about rows
            pair.run("rollback", "--yes")
            are(pair.ask("SELECT * FROM o ORDER BY id"), [(1, 11, 100), (2, 20, 200), (3, 30, 300)], sync)
    with Copying() as copy:
        plan = copy.folder / "plan.yaml"
        text = ("whimbrel: 1\nmigration: copy\nstores: {dev: \"sqlite:dev.db\", prod: \"sqlite:prod.db\"}\non_conflict: skip\n"
                "tables: [%s]\nsync: none\n")
        lines = ["{from: dev/u, to: prod/u}", "{from: dev/w, to: prod/w}"]
        plan.write_text(text % ", ".join(lines))
        for name in ("dev", "prod"):
            for table in ("u", "w"):
                copy.ask(name, "CREATE TABLE %s (id INTEGER PRIMARY KEY, v TEXT)" % table)
        copy.ask("dev", "INSERT INTO u VALUES (2, 'Bob')")
        copy.ask("dev", "INSERT INTO w VALUES (2, 'Bob'), (5, 'five')")
        copy.ask("prod", "INSERT INTO w VALUES (2, 'Bob')")
        copy.run("run", "--yes")
        for other in (lines[::-1], lines[1:]):
            plan.write_text(text % ", ".join(other))
            copy.run("rollback", "--yes", expect=REFUSED)
        plan.write_text(text % ", ".join(lines))
        copy.run("rollback", "--yes")
        are((copy.ask("prod", "SELECT * FROM u"), copy.ask("prod", "SELECT * FROM w")), ([], [(2, "Bob")]), "what was there is there")


def an_analysis_of_before_is_none_of_now():
    """A new table that got an index since, and rows that were written since the attempt before."""
    plain = "CREATE TABLE %s (id INTEGER PRIMARY KEY, v TEXT);"
    for before in ("analyze", "an attempt"):
        with Pair(plain % "o" + plain % "n" + "INSERT INTO o VALUES (1, 'a'), (2, 'b');", {}, "dual", tables="  - {from: db/o, to: db/n}") as pair:
            pair.run("analyze")
            if before == "an attempt":
                pair.run("run", "--yes")
                pair.run("rollback", "--yes")
            pair.ask("CREATE UNIQUE INDEX n_v ON n (v)")
            told = pair.run("run", "--yes", "--until", "verify", expect=REFUSED)
            assert "n is unique over (v), and o does not promise that: a write could fail" in told, told
            pair.ask("INSERT INTO o VALUES (3, 'a')")
    with Pair(PLAIN.format("o") + "INSERT INTO o VALUES (1, '1'), (2, '2');", "CREATE TABLE n (id INTEGER PRIMARY KEY, v INTEGER);",
              columns="{id: id, v: {cast: v, to: integer}}") as pair:
        pair.run("run", "--yes")
        pair.run("rollback", "--yes")
        pair.ask("INSERT INTO o VALUES (3, 'many')")
        told = pair.run("run", "--yes", expect=REFUSED)
        assert "'many' is no integer" in told, told
        are(pair.ask("SELECT name FROM sqlite_schema WHERE name = 'n'"), [])


TESTS = [an_analysis_of_before_is_none_of_now, a_plan_that_was_changed_since_leads_no_row_back, a_switch_that_moves_with_its_table_is_refused, a_new_table_that_refers_to_an_old_one_is_refused, one_table_into_two_goes_there_and_back_by_feeds, a_rollback_is_not_hidden_from_another_migration_of_the_table,
         a_column_that_comes_after_the_beginning_is_not_left_behind, a_plan_without_stores_moves_nothing_and_says_so,
         two_names_of_one_file_are_one_database,
         the_plan_that_reverse_prints_tells_tables_of_one_name_apart]

if __name__ == "__main__":
    main(*TESTS)

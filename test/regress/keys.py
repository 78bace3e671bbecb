"""Keys: two rows of one side are never one row of the other, and a key is what the application wrote."""
from pair import PLAN_ERROR, Pair, are, main

TEXT_KEY = "CREATE TABLE {} (id TEXT {} PRIMARY KEY NOT NULL, v TEXT);"


def text_keys(old, new, rows, sync, columns=""):
    return Pair(TEXT_KEY.format("o", old) + "INSERT INTO o VALUES %s;" % rows, TEXT_KEY.format("n", new), sync, columns)


def a_key_in_another_case_does_not_live_on_beside_its_row():
    for sync in ("dual", "capture"):
        with text_keys("COLLATE NOCASE", "", "('abc', 'old'), ('d', '1')", sync) as pair:
            pair.refused("o.id is compared by NOCASE, and n.id by BINARY", "say `COLLATE NOCASE` for the new column as well")


def keys_of_the_new_side_are_not_one_key_on_the_way_back():
    for sync in ("dual", "capture"):
        for collation in ("NOCASE", "RTRIM"):
            with text_keys("COLLATE " + collation, "", "('x', 'lower')", sync) as pair:
                pair.refused("o.id is compared by %s" % collation)
        with Pair(TEXT_KEY.format("o", "") + "INSERT INTO o VALUES ('1', 'one');",
                  "CREATE TABLE n (id PRIMARY KEY NOT NULL, v TEXT);", sync) as pair:
            pair.refused("n.id has no type and would hold 1 and '1' as two keys", "declare it TEXT as well")


def a_mapped_key_does_not_meet_one_that_the_map_leaves_alone():
    for sync in ("dual", "capture"):
        with text_keys("", "", "('UK', 'uk'), ('FR', 'fr')", sync,
                       "{id: {map: id, values: {UK: GB}, others: keep}, v: v}") as pair:
            pair.refused("the key n.id is mapped", "two of them could become one")


def a_primary_key_with_a_collation_of_its_own_loses_no_rows():
    table = "(id TEXT COLLATE NOCASE NOT NULL, v TEXT, PRIMARY KEY (id COLLATE BINARY));"
    for sync in ("dual", "capture"):
        with Pair("CREATE TABLE o " + table + "INSERT INTO o VALUES ('abc', '1'), ('ABC', '2');", "CREATE TABLE n " + table,
                  sync) as pair:
            pair.refused("the primary key of `o` compares `id` by BINARY, and the column itself by NOCASE", code=PLAN_ERROR)


def a_key_that_is_spelled_anew_is_carried_over():
    for sync in ("dual", "capture"):
        for collation, spelled in (("NOCASE", "ABC"), ("RTRIM", "abc  ")):
            collate = "COLLATE " + collation
            with text_keys(collate, collate, "('abc', '1'), ('d', '2')", sync) as pair:
                pair.run("run", "--yes", "--until", "copy")
                pair.ask("INSERT OR REPLACE INTO o VALUES ('%s', 'x')" % spelled)
                pair.run("run", "--yes")
                are(pair.new(), [(spelled, "x"), ("d", "2")], "after the switch, " + sync)
                pair.ask("INSERT OR REPLACE INTO n VALUES ('abc', 'y')")
                want = pair.new()
                pair.run("rollback", "--yes")
                are(pair.old(), want, "after the rollback, " + sync)


def a_number_that_is_spelled_anew_is_one_key():
    """0 and 0.0 are one key to SQLite in a column without a type."""
    for sync in ("dual", "capture"):
        table = "CREATE TABLE {} (id PRIMARY KEY NOT NULL, v TEXT);"
        with Pair(table.format("o") + "INSERT INTO o VALUES (0.0, '1'), ('d', '2');", table.format("n"), sync) as pair:
            pair.run("run", "--yes", "--until", "copy")
            pair.ask("UPDATE o SET v = 'y' WHERE id = 0")
            pair.ask("INSERT OR REPLACE INTO o VALUES (0, 'x')")
            pair.run("run", "--yes")
            are(list(map(repr, pair.new())), ["(0, 'x')", "('d', '2')"], "after the switch, " + sync)
            pair.ask("INSERT OR REPLACE INTO n VALUES (0.0, 'y')")
            pair.run("rollback", "--yes")
            are(list(map(repr, pair.old())), ["(0.0, 'y')", "('d', '2')"], "after the rollback, " + sync)


def a_key_that_an_update_spells_anew_does_not_block_the_rollback():
    for sync in ("dual", "capture"):
        for spelled in ("ABC", "abc"):
            with text_keys("COLLATE NOCASE", "COLLATE NOCASE", "('aBc', '1'), ('d', '2')", sync) as pair:
                pair.run("run", "--yes")
                pair.ask("UPDATE n SET id = '%s' WHERE id = 'abc'" % spelled)
                pair.run("rollback", "--yes")
                are(pair.old(), [(spelled, "1"), ("d", "2")], sync)


def a_write_to_the_old_table_does_not_fail_for_the_key_of_the_new_one():
    with Pair("CREATE TABLE o (id TEXT PRIMARY KEY NOT NULL, v TEXT); INSERT INTO o VALUES ('a', 'first');",
              "CREATE TABLE n (id TEXT NOT NULL, v TEXT, PRIMARY KEY (id COLLATE NOCASE));", "dual") as pair:
        pair.refused("the primary key of `n` compares `id` by NOCASE, and the column itself by BINARY", code=PLAN_ERROR)
    # DESC makes it a column like any other: no row number, and it takes texts.
    with Pair("CREATE TABLE o (id INTEGER PRIMARY KEY DESC NOT NULL, v TEXT); INSERT INTO o VALUES (1, 'first');",
              "CREATE TABLE n (id INTEGER PRIMARY KEY, v TEXT);", "dual") as pair:
        pair.refused("n.id takes whole numbers only")
    with Pair("CREATE TABLE o (id TEXT PRIMARY KEY NOT NULL, v TEXT); INSERT INTO o VALUES ('1', 'first');",
              "CREATE TABLE n (id INTEGER PRIMARY KEY, without TEXT);", "dual", "{id: id, without: v}") as pair:
        pair.refused("n.id takes whole numbers only")


def a_column_called_without_does_not_make_a_key_of_texts():
    with Pair("CREATE TABLE o (id INTEGER PRIMARY KEY, without TEXT); INSERT INTO o VALUES (1, 'a');",
              "CREATE TABLE n (id INTEGER PRIMARY KEY, v TEXT);", "dual", "{id: id, v: without}") as pair:
        pair.run("run", "--yes")
        are(pair.new(), [(1, "a")])


NUMBERS = "CREATE TABLE {} (id INTEGER PRIMARY KEY AUTOINCREMENT, v TEXT);"


def a_number_that_a_row_had_is_not_given_again():
    for sync in ("dual", "capture"):
        with Pair(NUMBERS.format("o") + "INSERT INTO o VALUES (1, 'a'), (1000, 'b'); DELETE FROM o WHERE id = 1000;",
                  NUMBERS.format("n"), sync) as pair:
            pair.run("run", "--yes")
            pair.ask("INSERT INTO n (v) VALUES ('c')")
            are(pair.new(), [(1, "a"), (1001, "c")], "after the switch, " + sync)
            pair.ask("INSERT INTO n VALUES (5000, 'd')")
            pair.ask("DELETE FROM n WHERE id = 5000")
            pair.run("rollback", "--yes")
            pair.ask("INSERT INTO o (v) VALUES ('e')")
            are(pair.old(), [(1, "a"), (1001, "c"), (5001, "e")], "after the rollback, " + sync)


def a_lookup_means_what_the_store_means_by_a_key():
    old = "CREATE TABLE p (id TEXT COLLATE NOCASE PRIMARY KEY, name TEXT); CREATE TABLE o (id INTEGER PRIMARY KEY, pid TEXT);" \
          "INSERT INTO p VALUES ('Ann', 'A'), ('bob', 'B'); INSERT INTO o VALUES (1, 'ann'), (2, 'ANN'), (3, 'BOB'), (4, 'zed');"
    tables = "  - {from: db/p, to: db/p2, create: p2.sql}\n  - {from: db/o, to: db/n, create: new.sql, columns: {id: id, pid: pid, name: {lookup: name, in: p, by: pid}}}"
    new = {"new.sql": "CREATE TABLE n (id INTEGER PRIMARY KEY, pid TEXT, name TEXT);", "p2.sql": "CREATE TABLE p2 (id TEXT COLLATE NOCASE PRIMARY KEY, name TEXT);"}
    with Pair(old, new, "capture", tables=tables) as pair:
        pair.plan.write_text(pair.plan.read_text().replace(", rename_source_to: o_archive", ""))
        pair.run("run", "--yes", "--until", "verify")
        pair.ask("UPDATE p SET name = 'X' WHERE id = 'ANN'")
        pair.ask("DELETE FROM p WHERE id = 'bob'")
        pair.ask("INSERT INTO p VALUES ('ZED', 'Z')")
        pair.run("run", "--yes", "--until", "verify")
        are(pair.new(), [(1, "ann", "X"), (2, "ANN", "X"), (3, "BOB", None), (4, "zed", "Z")])


def a_group_by_a_collated_key_is_refused():
    old = "CREATE TABLE o (s TEXT COLLATE NOCASE, k TEXT, v TEXT, PRIMARY KEY (s, k)); INSERT INTO o VALUES ('Mail', 'a', '1');"
    tables = "  - {from: db/o, to: db/n, create: new.sql, group: [s], columns: {s: s, doc: {collect: v, by: k}}}"
    with Pair(old, "CREATE TABLE n (s TEXT PRIMARY KEY, doc TEXT);", "capture", tables=tables) as pair:
        pair.refused("the key o.s is compared by NOCASE, and groups are told apart by bytes")


TESTS = [a_lookup_means_what_the_store_means_by_a_key, a_group_by_a_collated_key_is_refused, a_key_in_another_case_does_not_live_on_beside_its_row, keys_of_the_new_side_are_not_one_key_on_the_way_back,
         a_mapped_key_does_not_meet_one_that_the_map_leaves_alone, a_primary_key_with_a_collation_of_its_own_loses_no_rows,
         a_key_that_is_spelled_anew_is_carried_over, a_number_that_is_spelled_anew_is_one_key, a_write_to_the_old_table_does_not_fail_for_the_key_of_the_new_one,
         a_column_called_without_does_not_make_a_key_of_texts, a_number_that_a_row_had_is_not_given_again,
         a_key_that_an_update_spells_anew_does_not_block_the_rollback]

if __name__ == "__main__":
    main(*TESTS)

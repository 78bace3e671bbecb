"""What a constraint or a name would push aside in silence is refused, or told row by row."""

from pair import Pair, main

UNIQUE = "CREATE TABLE {} (id INTEGER PRIMARY KEY, u TEXT {});"


def a_constraint_that_gives_way_in_silence_is_refused_under_links():
    for constraint, word in (("UNIQUE ON CONFLICT REPLACE", "REPLACE"), ("NOT NULL ON CONFLICT IGNORE", "IGNORE")):
        with Pair(UNIQUE.format("o", constraint) + "INSERT INTO o VALUES (1, 'a'), (2, 'b');", UNIQUE.format("n", ""),
                  "dual") as pair:
            pair.refused("a constraint of o says ON CONFLICT " + word, "say `sync: capture`")


def rows_that_become_one_in_the_target_are_found_by_the_analysis():
    for word in ("REPLACE", "IGNORE"):
        with Pair(UNIQUE.format("o", "") + "INSERT INTO o VALUES (1, 'a'), (2, 'a');",
                  UNIQUE.format("n", "UNIQUE ON CONFLICT " + word)) as pair:
            pair.refused("UNIQUE", "n.u", "key 2")


def an_index_whose_name_is_taken_is_refused_before():
    for more in ("", ", indexes: after"):
        table = "CREATE TABLE {} (id INTEGER PRIMARY KEY, v TEXT);"
        with Pair(table.format("o") + "CREATE INDEX by_v ON o (v); INSERT INTO o VALUES (1, 'a');",
                  {"new.sql": table.format("n") + "CREATE UNIQUE INDEX by_v ON n (v);"},
                  tables="  - {from: db/o, to: db/n, create: new.sql%s}" % more) as pair:
            pair.refused("the index by_v of n cannot be made", "of o", "give the new index another name")


def a_target_that_is_called_like_an_index_is_refused_before():
    with Pair("CREATE TABLE o (id INTEGER PRIMARY KEY, v TEXT); CREATE INDEX n ON o (v);",
              "CREATE TABLE n (id INTEGER PRIMARY KEY, v TEXT);") as pair:
        pair.refused("the table n cannot be made: there is another index of that name", "give the new table another name")


def a_file_of_another_encoding_is_found_before_anything_is_made():
    with Pair("CREATE TABLE o (id TEXT PRIMARY KEY NOT NULL, v TEXT); INSERT INTO o VALUES ('é', 'ü');",
              "CREATE TABLE n (id TEXT PRIMARY KEY NOT NULL, v TEXT);", two=True) as pair:
        (pair.folder / "far.db").unlink()
        connection = pair.connect("far")
        connection.execute("PRAGMA encoding = 'UTF-16le'")
        connection.execute("CREATE TABLE theirs (a)")
        connection.close()
        pair.refused("this file keeps its texts as UTF-16le", "only UTF-8 is supported")


TESTS = [a_constraint_that_gives_way_in_silence_is_refused_under_links,
         rows_that_become_one_in_the_target_are_found_by_the_analysis, an_index_whose_name_is_taken_is_refused_before,
         a_target_that_is_called_like_an_index_is_refused_before,
         a_file_of_another_encoding_is_found_before_anything_is_made]

if __name__ == "__main__":
    main(*TESTS)

"""Tables without a key, rows that OR REPLACE removes, wide tables, odd names: there and back, read by SQLite alone."""
import pathlib
import shutil
import sqlite3
import subprocess
import tempfile

from whimbrel import BINARY, main

ROWS = """WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < 120)
  INSERT INTO o({key}, a, b) SELECT n * 3, 'a' || (n % 20), n % 5 FROM i;"""
NUMBERED, WITH_ID = "rowid", "id"
WAYS = [("dual", False), ("capture", False), ("capture", True), ("none", True)]


class Pair:
    """The tables o and n, in one file or two."""

    def __init__(self, old, new, columns="", sync="dual", two=False, rows="", old_name="o"):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="whimbrel-scenario-"))
        self.files = {"o": self.folder / "a.db", "n": self.folder / ("b.db" if two else "a.db")}
        (self.folder / "new.sql").write_text(new)
        for path in self.files.values():
            sqlite3.connect(path).execute("PRAGMA journal_mode = wal")
        self.script(old + ";" + rows + "CREATE TABLE switches (name TEXT PRIMARY KEY, state INTEGER NOT NULL);")
        self.schema_before = self.schema()
        target = "b" if two else "a"
        (self.folder / "plan.yaml").write_text("\n".join([
            "whimbrel: 1",
            "migration: scenario",
            'stores: {a: "sqlite:a.db"%s}' % (', b: "sqlite:b.db"' if two else ""),
            "tables:",
            "  - from: a/" + old_name,
            "    to: %s/n" % target,
            "    create: new.sql",
            "    columns: %s" % columns if columns else "",
            "    rest: drop" if columns else "",
            "sync: " + sync,
            "limits: {batch_size: 50}",
            "cutover:",
            "  window: {max: 20s}" if sync == "none" else "  max_hold: 2s",
            "  switches: [{row: a/switches, key: {name: use_new}, set: {state: 1}, create: true}]",
            "finish: {after: 0s, rename_source_to: o_archive}",
        ]))

    def ask(self, sql, of="o", recursive=False):
        connection = sqlite3.connect(self.files[of], timeout=20, isolation_level=None)
        try:
            connection.execute("PRAGMA recursive_triggers = %d" % recursive)
            return connection.execute(sql).fetchall()
        finally:
            connection.close()

    def script(self, sql):
        connection = sqlite3.connect(self.files["o"], timeout=20)
        connection.executescript(sql)
        connection.close()

    def schema(self):
        return sorted(r[0] or "" for r in self.ask("SELECT sql FROM sqlite_master"))

    def run(self, *arguments, expect=0):
        done = subprocess.run([BINARY, arguments[0], str(self.folder / "plan.yaml"), *arguments[1:]], timeout=120,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=self.folder)
        if done.returncode != expect:
            raise AssertionError("%s gave %d, not %d:\n%s%s" % (arguments, done.returncode, expect, done.stdout, done.stderr))
        return done.stdout + done.stderr

    def vacuum(self):
        self.ask("VACUUM", "o")
        self.ask("VACUUM", "n")

    def equal(self, old, new=None, when=""):
        left, right = self.ask(old, "o"), self.ask(new or old.replace(" o ", " n "), "n")
        only = [r for r in left if r not in right][:3], [r for r in right if r not in left][:3]
        assert left == right, "%s: only old %s, only new %s, %d and %d rows" % (when, *only, len(left), len(right))
        return left

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)


def keyless(old_key, new_key, sync, two):
    """A table without a key on one side or on both, with gaps between the numbers of its rows."""
    ddl = {NUMBERED: "CREATE TABLE {}(a TEXT, b INTEGER{})", WITH_ID: "CREATE TABLE {}(id INTEGER PRIMARY KEY, a TEXT, b INTEGER{})"}
    columns = "{a: a, b: b}" if old_key == new_key else "{%s: %s, a: a, b: b}" % (new_key, old_key)
    return Pair(ddl[old_key].format("o", ""), ddl[new_key].format("n", ", extra TEXT DEFAULT 'd'"), columns, sync, two,
                ROWS.format(key=old_key))


def application_writes(pair, table, mark):
    for sql in ("INSERT INTO {t}(a, b) VALUES ('{m}', 1), ('{m}', 1), ('x', '5')",
                "UPDATE {t} SET b = b + 100 WHERE b = 3 AND a LIKE 'a1%'",
                "UPDATE {t} SET a = '{m}f' FROM (SELECT 'a7' AS k) AS s WHERE {t}.a = s.k",
                "DELETE FROM {t} WHERE a = 'a9' RETURNING b",
                "INSERT INTO {t}(a, b) SELECT a || '!', b FROM {t} WHERE a = 'a2'"):
        pair.ask(sql.format(t=table, m=mark), table)


def content(pair, table):
    return sorted(pair.ask("SELECT a, b FROM " + table, table))


def vacuum_in_every_phase(old_key, new_key, ways=WAYS):
    for sync, two in ways:
        pair = keyless(old_key, new_key, sync, two)
        both = "SELECT %s, a, b FROM o ORDER BY 1" % old_key, "SELECT %s, a, b FROM n ORDER BY 1" % new_key
        pair.run("run", "--until", "copy", "--yes")
        application_writes(pair, "o", "copied")
        pair.vacuum()
        pair.run("run", "--until", "verify", "--yes")
        pair.vacuum()
        application_writes(pair, "o", "verified")
        want = content(pair, "o")
        pair.run("run", "--yes")
        pair.equal(*both, when="after the switch, " + sync)
        assert content(pair, "n") == want, sync
        pair.run("verify")
        application_writes(pair, "n", "switched")
        pair.vacuum()
        application_writes(pair, "n", "numbered anew")
        want = content(pair, "n")
        pair.run("rollback", "--yes")
        assert content(pair, "o") == want, "after the rollback, " + sync
        assert pair.schema() == pair.schema_before, pair.schema()
        pair.close()


def vacuum_in_every_phase_without_a_key_on_both_sides():
    vacuum_in_every_phase(NUMBERED, NUMBERED)


def vacuum_in_every_phase_where_the_new_side_has_an_id():
    vacuum_in_every_phase(NUMBERED, WITH_ID)


def vacuum_in_every_phase_where_the_old_side_has_an_id():
    vacuum_in_every_phase(WITH_ID, NUMBERED, [w for w in WAYS if w[0] != "capture"])


def vacuum_of_a_target_without_a_key_under_capture():
    vacuum_in_every_phase(WITH_ID, NUMBERED, [("capture", False), ("capture", True)])


def columns_that_are_called_like_the_number_of_a_row():
    for taken, free in ((["rowid"], "_rowid_"), (["ROWID", "_rowid_"], "oid"), (["oid", "Rowid"], "_rowid_")):
        for sync in ("dual", "capture"):
            columns = ", ".join('"%s" TEXT' % name for name in taken)
            pair = Pair("CREATE TABLE o(%s, a TEXT)" % columns, "CREATE TABLE n(%s, a TEXT)" % columns, "", sync)
            for i in range(5):
                pair.ask("INSERT INTO o VALUES (%s, 'twin')" % ", ".join("'t%d'" % i for _ in taken))
            pair.run("run", "--yes")
            pair.ask("DELETE FROM n WHERE %s = 2" % free)
            pair.ask("UPDATE n SET \"%s\" = '99' WHERE %s = 3" % (taken[0], free))
            pair.ask("UPDATE n SET %s = 50 WHERE %s = 4" % (free, free))
            pair.ask("INSERT INTO n(a) VALUES ('twin')")
            pair.run("rollback", "--yes")
            left = pair.ask("SELECT %s, * FROM o ORDER BY 1" % free)
            assert [r[0] for r in left] == [1, 3, 5, 50, 51] and left[1][1] == "99", left
            pair.close()


def many_rows_deleted_and_row_numbers_changed():
    for sync in ("dual", "capture"):
        pair = keyless(NUMBERED, NUMBERED, sync, False)
        for sql in ("CREATE VIEW v AS SELECT rowid AS r, * FROM o", "CREATE TABLE audit(x)", "CREATE TABLE src(a TEXT, b INTEGER)",
                    "CREATE TRIGGER au AFTER DELETE ON o BEGIN INSERT INTO audit VALUES (OLD.rowid); END",
                    "INSERT INTO src SELECT a, b FROM o LIMIT 20"):
            pair.ask(sql)
        before = pair.schema()
        pair.run("run", "--until", "copy", "--yes")
        for sql in ("DELETE FROM o", "INSERT INTO o SELECT * FROM src",
                    "REPLACE INTO o(rowid, a, b) VALUES (3, 'r', 1), (500, 'r', 2)",
                    "UPDATE o SET rowid = rowid + 1000 WHERE rowid < 5", "UPDATE OR REPLACE o SET rowid = 7 WHERE rowid = 8"):
            pair.ask(sql)
        pair.run("run", "--yes")
        pair.equal("SELECT rowid, a, b FROM o ORDER BY 1")
        for sql in ("DELETE FROM n WHERE rowid > 500", "UPDATE OR REPLACE n SET rowid = 9 WHERE rowid = 10",
                    "INSERT INTO n SELECT a, b, 'e' FROM src"):
            pair.ask(sql)
        want = pair.ask("SELECT rowid, a, b FROM n ORDER BY 1")
        pair.run("rollback", "--yes")
        assert pair.ask("SELECT rowid, a, b FROM o ORDER BY 1") == want
        assert pair.schema() == before
        pair.close()


def unique_columns_that_may_be_null():
    for sync in ("dual", "capture"):
        pair = Pair("CREATE TABLE o(a TEXT UNIQUE, b INTEGER)", "CREATE TABLE n(a TEXT UNIQUE, b INTEGER)", "", sync,
                    rows="INSERT INTO o VALUES ('a', 1), (NULL, 1), (NULL, 1), ('b', 2); DELETE FROM o WHERE rowid = 2;")
        pair.run("run", "--until", "verify", "--yes")
        for sql in ("INSERT OR REPLACE INTO o VALUES ('a', 9)", "DELETE FROM o WHERE a IS NULL",
                    "INSERT INTO o VALUES ('b', 5) ON CONFLICT(a) DO UPDATE SET b = excluded.b RETURNING rowid",
                    "INSERT INTO o SELECT NULL, b FROM o", "UPDATE OR REPLACE o SET a = 'a' WHERE a = 'b'",
                    "INSERT OR IGNORE INTO o VALUES ('a', 100)"):
            pair.ask(sql)
        pair.run("run", "--yes")
        pair.equal("SELECT rowid, * FROM o ORDER BY 1")
        pair.ask("INSERT OR REPLACE INTO n VALUES ('a', 19), (NULL, 20)")
        pair.ask("UPDATE OR REPLACE n SET a = 'a' WHERE b = 20")
        want = pair.ask("SELECT rowid, * FROM n ORDER BY 1")
        pair.run("rollback", "--yes")
        assert pair.ask("SELECT rowid, * FROM o ORDER BY 1") == want
        pair.run("run", "--yes")
        pair.ask("DELETE FROM n")
        pair.run("rollback", "--yes")
        assert pair.ask("SELECT * FROM o") == []
        pair.close()


def verify_repairs_rows_without_a_key():
    for sync in ("dual", "capture"):
        pair = keyless(NUMBERED, NUMBERED, sync, False)
        pair.run("run", "--until", "verify", "--yes")
        pair.ask("UPDATE whimbrel_guard SET busy = 1")
        pair.ask("DELETE FROM n WHERE rowid = 6")
        pair.ask("UPDATE n SET b = 77 WHERE rowid = 9")
        pair.ask("INSERT INTO n(rowid, a) VALUES (2000, 'intruder')")
        pair.ask("UPDATE whimbrel_guard SET busy = 0")
        pair.run("verify", expect=1)
        pair.run("verify", "--repair", "--yes")
        pair.equal("SELECT rowid, a, b FROM o ORDER BY 1")
        pair.run("verify")
        pair.close()


UNIQUE = "CREATE TABLE {}(id INTEGER PRIMARY KEY, u TEXT {}, own INTEGER);"
REPLACING = ["INSERT OR REPLACE INTO {t}(id, u, own) VALUES (200, 'u5', 1)", "UPDATE OR REPLACE {t} SET u = 'u6' WHERE id = 7",
             "INSERT INTO {t}(id, u, own) VALUES (201, 'u8', 1) ON CONFLICT(u) DO UPDATE SET own = 99",
             "UPDATE OR REPLACE {t} SET u = 'all' WHERE id BETWEEN 20 AND 24",
             "UPDATE OR REPLACE {t} SET id = 31, u = 'u33' WHERE id = 30", "INSERT OR IGNORE INTO {t}(id, u) VALUES (300, 'u9')",
             "REPLACE INTO {t}(id, u, own) SELECT id + 1000, u, own FROM {t} WHERE id < 4"]
BY_DDL = ["INSERT INTO {t}(id, u, own) VALUES (100, 'u5', 3)", "INSERT INTO {t}(id, u, own) VALUES (101, 'u6', 3), (102, 'u102', 4)",
          "UPDATE {t} SET u = 'u8' WHERE id = 9", "UPDATE {t} SET u = 'same' WHERE id > 30"]
U_ROWS = """WITH RECURSIVE i(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM i WHERE n < 40)
  INSERT INTO o(id, u, own) SELECT n, 'u' || n, n % 3 FROM i;"""
ALL_U = "SELECT id, u, own FROM o ORDER BY id"


def or_replace_is_followed_on_both_sides(old_unique, statements, recursive, syncs=("dual", "capture")):
    for sync in syncs:
        pair = Pair(UNIQUE.format("o", old_unique), UNIQUE.format("n", "UNIQUE"), "", sync, rows=U_ROWS)
        pair.run("run", "--until", "copy", "--yes")
        for sql in statements:
            pair.ask(sql.format(t="o"), recursive=recursive)
        if sync == "dual":
            pair.equal(ALL_U, when="before the switch")
        pair.run("run", "--yes")
        pair.equal(ALL_U, when="after the switch")
        pair.ask("DELETE FROM n WHERE id > 99")
        pair.ask("INSERT OR REPLACE INTO n SELECT value, 'u' || value, 5 FROM (SELECT id AS value FROM n WHERE id % 4 = 0)")
        for sql in REPLACING:
            pair.ask(sql.format(t="n"), recursive=recursive)
        if sync == "dual":
            pair.equal(ALL_U, when="new side")
        pair.run("verify")
        want = pair.ask(ALL_U.replace(" o ", " n "))
        pair.run("rollback", "--yes")
        assert pair.ask(ALL_U) == want, "after the rollback, " + sync
        pair.close()


def or_replace_is_followed_with_and_without_recursive_triggers():
    or_replace_is_followed_on_both_sides("UNIQUE", REPLACING, False)
    or_replace_is_followed_on_both_sides("UNIQUE", REPLACING, True)


def on_conflict_clauses_of_the_table_are_followed():
    # Triggers are at the mercy of such a clause, so links are refused (test/regress/conflicts.py).
    or_replace_is_followed_on_both_sides("UNIQUE ON CONFLICT REPLACE", BY_DDL, False, ("capture",))
    or_replace_is_followed_on_both_sides("UNIQUE ON CONFLICT IGNORE", BY_DDL, False, ("capture",))


def odd_indexes(*indexes):
    for index in indexes:
        for sync in ("dual", "capture"):
            pair = Pair('CREATE TABLE o(id INTEGER PRIMARY KEY, "na me" TEXT, b TEXT COLLATE NOCASE, c INTEGER);' + index,
                        'CREATE TABLE n(id INTEGER PRIMARY KEY, "na me" TEXT, b TEXT, c INTEGER)', "", sync,
                        rows="INSERT INTO o VALUES (1, 'Name', 'b', 20), (2, 'where', 'ABC', 30), (3, NULL, NULL, 1);")
            pair.run("run", "--until", "copy", "--yes")
            pair.ask("INSERT OR REPLACE INTO o VALUES (7, 'NAME  ', 'B', 20), (8, 'where', 'abc', 30), (9, 'Name', 'b', 20)")
            pair.ask("UPDATE OR REPLACE o SET \"na me\" = 'where', b = 'ABC', c = 30 WHERE id = 3")
            pair.run("run", "--yes")
            pair.equal('SELECT id, "na me", b, c FROM o ORDER BY id', when=index)
            pair.close()


def indexes_with_comments_quotes_brackets_and_collations():
    odd_indexes('CREATE UNIQUE INDEX "i (1)" ON o /* a ( comment */ (lower("na me") -- up, to ) here\n COLLATE RTRIM DESC);',
                "CREATE UNIQUE INDEX [i 2] ON o (c COLLATE NOCASE ASC, `b` COLLATE BINARY DESC) WHERE c > 10 AND \"na me\" IS NOT 'x''(,)';",
                'CREATE UNIQUE INDEX i3 ON "o"(coalesce(c, -id), substr(b, 1, 3)\nCOLLATE nocase)\n  WHERE\n(b IS NOT NULL);',
                "CREATE UNIQUE INDEX i4 ON o(c*2, iif(\"na me\" IN ('a','b'), 1, 0));")


def indexes_with_operators_of_two_characters_and_numbers():
    odd_indexes("CREATE UNIQUE INDEX i1 ON o(c) WHERE b <> 'x';", "CREATE UNIQUE INDEX i2 ON o((\"na me\" || b));",
                "CREATE UNIQUE INDEX i3 ON o(c) WHERE c >= 1;", "CREATE UNIQUE INDEX i4 ON o(c * 1.5);",
                "CREATE UNIQUE INDEX i5 ON o(c) WHERE b IS NOT x'00ff';", "CREATE UNIQUE INDEX i6 ON o(c) WHERE c != 1e-5;")


def wide_tables_of_150_and_500_columns():
    for count, sync in ((150, "dual"), (150, "capture"), (500, "dual"), (500, "capture")):
        names = ["c%d" % i for i in range(count - 1)]
        pair = Pair("CREATE TABLE o(id INTEGER PRIMARY KEY, %s)" % ", ".join(n + " TEXT" for n in names),
                    "CREATE TABLE n(id INTEGER PRIMARY KEY, %s)" % ", ".join(n + " TEXT" for n in reversed(names)), "", sync,
                    rows="".join("INSERT INTO o(id, c0, c5, c%d) VALUES (%d, 'a', 'z', 'last');" % (count - 2, i) for i in range(20)))
        every = "SELECT id, %s FROM o ORDER BY id" % ", ".join(names)

        def write(table):
            pair.ask("UPDATE %s SET c5 = 'x', c%d = c0 || 'y' WHERE id = 3" % (table, count - 2))
            pair.ask("UPDATE %s SET %s WHERE id IN (4, 5)" % (table, ", ".join("%s = '%d'" % (n, i) for i, n in enumerate(names[:60]))))
            pair.ask("UPDATE %s SET %s WHERE id > 10" % (table, ", ".join("%s = id || '%d'" % (n, i) for i, n in enumerate(names))))
            pair.ask("UPDATE %s SET id = id + 500, c7 = 'k' WHERE id IN (6, 12)" % table)
            pair.ask("INSERT OR REPLACE INTO %s(id, c1) VALUES (1, 'new'), (700, 'new')" % table)
            pair.ask("DELETE FROM %s WHERE id = 2" % table)

        pair.run("run", "--until", "copy", "--yes")
        write("o")
        pair.run("run", "--yes")
        pair.equal(every)
        write("n")
        want = pair.ask(every.replace(" o ", " n "))
        pair.run("rollback", "--yes")
        assert pair.ask(every) == want, (count, sync)
        pair.close()


def kept_values_come_back_where_old_columns_have_defaults():
    for sync in ("dual", "capture"):
        pair = Pair("CREATE TABLE o(id INTEGER PRIMARY KEY, a TEXT DEFAULT 'first', gone TEXT DEFAULT 'g')",
                    "CREATE TABLE n(id INTEGER PRIMARY KEY, a TEXT, e TEXT, f TEXT DEFAULT 'fd')", "{id: id, a: a, f: gone}", sync,
                    rows="INSERT INTO o VALUES (1, 'a', 'x'), (2, 'b', NULL), (3, 'c', 'y');")
        pair.run("run", "--yes")
        pair.ask("UPDATE n SET e = 'e' || id, f = NULL WHERE id < 3")
        pair.ask("INSERT INTO n(id, e) VALUES (20, 'only e')")
        pair.ask("INSERT INTO n VALUES (21, NULL, 'E', NULL)")
        want = pair.ask("SELECT * FROM n ORDER BY id")
        pair.run("rollback", "--yes")
        pair.run("run", "--yes")
        assert pair.ask("SELECT * FROM n ORDER BY id") == want, pair.ask("SELECT * FROM n ORDER BY id")
        pair.close()


def a_table_called_old_or_new():
    for name in ("old", "NEW"):
        for sync in ("dual", "capture"):
            pair = Pair('CREATE TABLE "%s"(id INTEGER PRIMARY KEY, a TEXT)' % name, "CREATE TABLE n(id INTEGER PRIMARY KEY, a TEXT)",
                        "", sync, old_name=name, rows="INSERT INTO \"%s\" VALUES (1, 'a'), (2, 'b');" % name)
            if sync == "dual":
                said = pair.run("run", "--yes", expect=3)
                assert "a trigger cannot tell the table `%s` from the word %s" % (name, name.upper()) in said, said
                assert pair.schema() == pair.schema_before
                continue
            pair.run("run", "--yes")
            pair.ask("UPDATE n SET a = 'z' WHERE id = 1")
            pair.run("rollback", "--yes")
            assert pair.ask('SELECT * FROM "%s" ORDER BY 1' % name) == [(1, "z"), (2, "b")]
            pair.close()


def rows_with_a_null_in_their_primary_key_are_not_lost():
    for sync in ("dual", "capture"):
        pair = Pair("CREATE TABLE o(a TEXT PRIMARY KEY, x TEXT)", "CREATE TABLE n(a TEXT PRIMARY KEY, x TEXT)", "", sync,
                    rows="INSERT INTO o VALUES ('a', 'p');")
        pair.run("run", "--until", "copy", "--yes")
        pair.ask("INSERT INTO o VALUES (NULL, 'later'), (NULL, 'later still')")
        pair.ask("UPDATE o SET x = 'changed' WHERE x = 'later'")
        try:
            pair.run("run", "--yes")
        except AssertionError:  # to refuse is good enough
            assert pair.ask("SELECT * FROM switches") == []
            continue
        pair.equal("SELECT * FROM o ORDER BY x", when="switched, " + sync)
        pair.close()


def kept_values_do_not_come_back_in_other_rows():
    pair = Pair("CREATE TABLE o(a TEXT)", "CREATE TABLE n(a TEXT, extra TEXT)", "{a: a}",
                rows="INSERT INTO o(rowid, a) VALUES (2, 'ann'), (4, 'bob'), (6, 'cid');")
    pair.run("run", "--yes")
    pair.ask("UPDATE n SET extra = 'of ' || a")
    pair.run("rollback", "--yes")
    pair.ask("INSERT INTO o(rowid, a) VALUES (1, 'first')")
    pair.vacuum()
    pair.run("run", "--yes")
    wrong = pair.ask("SELECT a, extra FROM n WHERE extra <> 'of ' || a")
    assert not wrong, wrong
    pair.close()


def kept_values_do_not_come_back_in_a_row_that_got_the_number_of_another():
    pair = Pair("CREATE TABLE o(a TEXT)", "CREATE TABLE n(a TEXT, extra TEXT)", "{a: a}",
                rows="INSERT INTO o VALUES ('ann'), ('bob');")
    pair.run("run", "--yes")
    pair.ask("UPDATE n SET extra = 'of ' || a")
    pair.run("rollback", "--yes")
    pair.ask("DELETE FROM o WHERE a = 'bob'")
    pair.ask("INSERT INTO o VALUES ('eve')")
    pair.run("run", "--yes")
    wrong = pair.ask("SELECT a, extra FROM n WHERE extra <> 'of ' || a")
    assert not wrong, wrong
    pair.close()


def a_row_removed_by_a_unique_computed_column_stays_removed():
    pair = Pair("CREATE TABLE o(id INTEGER PRIMARY KEY, b TEXT, c INTEGER)",
                "CREATE TABLE n(id INTEGER PRIMARY KEY, b TEXT, c INTEGER, g TEXT AS (b || '/' || c) UNIQUE)",
                "{id: id, b: b, c: c}", "capture", rows="INSERT INTO o VALUES (1, 'A', 1), (2, 'A', 2);")
    pair.run("run", "--yes")
    pair.ask("UPDATE OR REPLACE n SET c = 1 WHERE id = 2")
    pair.run("rollback", "--yes")
    assert pair.ask("SELECT * FROM o") == [(2, "A", 1)], pair.ask("SELECT * FROM o")
    pair.close()


def a_row_removed_by_the_default_of_a_unique_column_stays_removed():
    pair = Pair("CREATE TABLE o(id INTEGER PRIMARY KEY, u TEXT)",
                "CREATE TABLE n(id INTEGER PRIMARY KEY, u TEXT NOT NULL DEFAULT 'std' UNIQUE)", "", "capture",
                rows="INSERT INTO o VALUES (1, 'std'), (2, 'b');")
    pair.run("run", "--yes")
    pair.ask("INSERT OR REPLACE INTO n VALUES (5, NULL)")
    pair.run("rollback", "--yes")
    assert pair.ask("SELECT * FROM o") == [(2, "b"), (5, "std")], pair.ask("SELECT * FROM o")
    pair.close()


def or_replace_beside_a_trigger_that_updates_the_same_table():
    pair = Pair("CREATE TABLE o(id INTEGER PRIMARY KEY, d INTEGER, u TEXT); CREATE UNIQUE INDEX x ON o(u) WHERE d < 2",
                "CREATE TABLE n(id INTEGER PRIMARY KEY, d INTEGER, u TEXT)", rows="INSERT INTO o VALUES (1, 1, 'a'), (2, 0, 'b');")
    pair.ask("CREATE TRIGGER one BEFORE INSERT ON o WHEN NEW.d = 1 BEGIN UPDATE o SET d = 0 WHERE d = 1; END")
    refused = pair.run("run", "--until", "verify", "--yes", expect=3)
    assert "may write o itself" in refused, refused
    plan = pair.folder / "plan.yaml"
    plan.write_text(plan.read_text().replace("sync: dual", "sync: capture"))
    pair.run("run", "--until", "verify", "--yes")
    pair.ask("INSERT OR REPLACE INTO o VALUES (9, 1, 'b')")
    pair.run("run", "--until", "verify", "--yes")
    pair.equal("SELECT * FROM o ORDER BY 1")
    pair.close()


def a_later_finish_drops_the_renamed_table():
    pair = keyless(NUMBERED, NUMBERED, "capture", True)
    plan = pair.folder / "plan.yaml"
    plan.write_text(plan.read_text().replace("o_archive}", "o_archive, drop_after: 0s}"))
    pair.run("run", "--yes")
    pair.run("finish", "--yes")
    pair.run("finish", "--yes")
    assert not pair.ask("SELECT 1 FROM sqlite_master WHERE name = 'o_archive'")
    pair.close()


def a_null_that_the_old_column_cannot_hold_is_told_before():
    pair = Pair("CREATE TABLE o(id INTEGER PRIMARY KEY, a TEXT NOT NULL DEFAULT 'd')", "CREATE TABLE n(id INTEGER PRIMARY KEY, a TEXT)",
                "", "capture", rows="INSERT INTO o VALUES (1, 'x');")
    said = pair.run("analyze")
    pair.run("run", "--yes")
    pair.ask("INSERT INTO n(id) VALUES (2)")
    assert "NOT NULL" in said, "analyze is silent"
    pair.close()


TESTS = [vacuum_in_every_phase_without_a_key_on_both_sides, vacuum_in_every_phase_where_the_new_side_has_an_id,
         vacuum_in_every_phase_where_the_old_side_has_an_id, columns_that_are_called_like_the_number_of_a_row,
         many_rows_deleted_and_row_numbers_changed, unique_columns_that_may_be_null, verify_repairs_rows_without_a_key,
         or_replace_is_followed_with_and_without_recursive_triggers, on_conflict_clauses_of_the_table_are_followed,
         indexes_with_comments_quotes_brackets_and_collations, wide_tables_of_150_and_500_columns,
         kept_values_come_back_where_old_columns_have_defaults, a_table_called_old_or_new,
         rows_with_a_null_in_their_primary_key_are_not_lost, a_row_removed_by_a_unique_computed_column_stays_removed,
         a_later_finish_drops_the_renamed_table, indexes_with_operators_of_two_characters_and_numbers,
         kept_values_do_not_come_back_in_other_rows, kept_values_do_not_come_back_in_a_row_that_got_the_number_of_another,
          a_row_removed_by_the_default_of_a_unique_column_stays_removed,
          or_replace_beside_a_trigger_that_updates_the_same_table, vacuum_of_a_target_without_a_key_under_capture,
          a_null_that_the_old_column_cannot_hold_is_told_before]

if __name__ == "__main__":
    main(*TESTS)

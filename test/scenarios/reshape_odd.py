"""Odd values in tables of another shape: numbers that are long, documents that are empty, groups that rows leave.

Each case is a few rows; what has to be there on either side is written down beside them.
"""
import os
import pathlib
import sqlite3
import subprocess
import sys
import tempfile

BINARY = os.environ["WHIMBREL"]
PLAN = """whimbrel: 1
migration: odd
stores: {app: "sqlite:app.db"}
tables:
%s
sync: capture
cutover: {max_hold: 10s, switches: [{command: [touch, new-side], undo: [rm, -f, new-side], state: [test, -e, new-side]}]}
finish: {keep_source: false, after: 0s}
"""
DOCUMENTS = "CREATE TABLE docs (pk TEXT NOT NULL PRIMARY KEY, doc TEXT) WITHOUT ROWID;"
GROUP = '  - {from: app/%s, to: app/docs, create: new.sql, group: [s], columns: {pk: "%s#{s}", doc: {collect: v, by: k}}}'


class Case:
    def __init__(self, old, new, *tables):
        self.place = tempfile.TemporaryDirectory(prefix="whimbrel-odd-")
        self.folder = pathlib.Path(self.place.name)
        (self.folder / "new.sql").write_text(new)
        (self.folder / "plan.yaml").write_text(PLAN % "\n".join(tables))
        self.db = sqlite3.connect(self.folder / "app.db", timeout=10, isolation_level=None)
        self.db.executescript("PRAGMA journal_mode = WAL;" + old)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.db.close()
        self.place.cleanup()

    def run(self, *words, code=0):
        done = subprocess.run([BINARY, words[0], "plan.yaml", *words[1:]], cwd=self.folder, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=120)
        told = done.stdout + done.stderr
        assert done.returncode == code, "%s gave %d instead of %d:\n%s" % (words, done.returncode, code, told)
        return told

    def rows(self, sql):
        return self.db.execute(sql).fetchall()

    def expect(self, sql, *rows):
        there = self.rows(sql)
        assert there == list(rows), "%s gives %s instead of %s" % (sql, there, list(rows))


def numbers_keep_their_digits():
    with Case("CREATE TABLE t (s TEXT, k TEXT, v, PRIMARY KEY (s, k)); INSERT INTO t VALUES ('a', 'n', 1), ('a', 'r', 2.5);"
              "CREATE TABLE w (s TEXT, k TEXT, v INTEGER, PRIMARY KEY (s, k)); INSERT INTO w VALUES ('a', 'n', 7);"
              "CREATE TABLE d (s TEXT, k TEXT, v TEXT, PRIMARY KEY (s, k)); INSERT INTO d VALUES ('a', 'n', '007');",
              DOCUMENTS, GROUP % ("t", "T"), GROUP % ("w", "W"), GROUP % ("d", "D")) as case:
        case.run("run", "--yes")
        case.expect("SELECT pk, doc FROM docs ORDER BY 1", ("D#a", '{"n":"007"}'), ("T#a", '{"n":1,"r":2.5}'), ("W#a", '{"n":7}'))
        case.db.execute("""UPDATE docs SET doc = '{"n":"008","m":"1.0"}' WHERE pk = 'D#a'""")
        case.db.execute("""UPDATE docs SET doc = '{"n":{"deep":12345678901234567890123.50},"r":2.5}' WHERE pk = 'T#a'""")
        case.db.execute("""UPDATE docs SET doc = '{"n":9223372036854775807,"big":18446744073709551615}' WHERE pk = 'W#a'""")
        case.run("run", "--yes")
        case.run("rollback", "--yes")
        case.expect("SELECT k, v FROM d ORDER BY 1", ("m", "1.0"), ("n", "008"))
        case.expect("SELECT k, v FROM t ORDER BY 1", ("n", '{"deep":12345678901234567890123.50}'), ("r", 2.5))
        # A column of whole numbers has no place for one of them: the row stays as it was, and the document is kept.
        case.expect("SELECT k, v FROM w ORDER BY 1", ("n", 7))
        assert list(case.folder.rglob("kept-by-rollback.jsonl.zst")), "nothing was kept"


def what_no_document_holds_is_refused_beforehand():
    for value in ("x'00ff'", "9e999", "CAST(x'ff41' AS TEXT)"):
        with Case("CREATE TABLE t (s TEXT, k TEXT, v, PRIMARY KEY (s, k)); INSERT INTO t VALUES ('a', 'good', 1), ('b', 'bad', %s);" % value,
                  DOCUMENTS, GROUP % ("t", "T")) as case:
            told = case.run("analyze", code=3)
            assert "'b'" in told and "cannot be in a JSON document" in told, told
            case.run("run", "--yes", code=3)
            case.expect("SELECT name FROM sqlite_schema WHERE name LIKE '%docs%' OR name LIKE 'whimbrel%'")


def a_document_without_fields_is_a_group_without_rows():
    for write in ("INSERT INTO docs VALUES ('T#new', '{}')", "UPDATE docs SET doc = '{}'", "UPDATE docs SET doc = NULL"):
        with Case("CREATE TABLE t (s TEXT, k TEXT, v, PRIMARY KEY (s, k)); INSERT INTO t VALUES ('a', 'k', 1);", DOCUMENTS,
                  GROUP % ("t", "T")) as case:
            case.run("run", "--yes")
            case.db.execute(write)
            case.run("run", "--yes")
            case.run("verify")
            case.run("rollback", "--yes")
            case.expect("SELECT * FROM t", *([("a", "k", 1)] if write.startswith("INSERT") else []))


def a_row_leaves_its_group():
    with Case("CREATE TABLE t (id INTEGER PRIMARY KEY, s TEXT, v TEXT);"
              "INSERT INTO t VALUES (1, 'p', 'a'), (2, 'p', 'b'), (3, 'p', 'c'), (5, 'r', 'e');", DOCUMENTS,
              '  - {from: app/t, to: app/docs, create: new.sql, group: [s], columns: {pk: "T#{s}", doc: {collect: v, by: id}}}') as case:
        case.run("run", "--yes", "--until", "follow")
        case.db.executescript("DELETE FROM t WHERE id = 2; UPDATE t SET s = 'q' WHERE id = 3; DELETE FROM t WHERE id = 5;")
        case.run("run", "--yes")
        case.expect("SELECT * FROM docs ORDER BY 1", ("T#p", '{"1":"a"}'), ("T#q", '{"3":"c"}'))


def a_lookup_between_columns_of_other_types():
    with Case("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO users VALUES (1, 'Ada'), (2, 'Bo');"
              "CREATE TABLE orders (id INTEGER PRIMARY KEY, uid TEXT);"
              "INSERT INTO orders VALUES (10, '1'), (11, '2'), (12, NULL), (13, '9'), (14, ''), (15, 'x'), (16, x'00');",
              "CREATE TABLE ent (pk TEXT NOT NULL PRIMARY KEY, name TEXT, uid) WITHOUT ROWID;",
              '  - {as: u, from: app/users, to: app/ent, create: new.sql, columns: {pk: "U#{id}", name: name}}',
              '  - {as: o, from: app/orders, to: app/ent, columns: {pk: "O#{id}", uid: uid, name: {lookup: name, in: u, by: uid}}}') as case:
        case.run("run", "--yes", "--until", "verify")
        case.db.execute("UPDATE users SET name = 'Zed' WHERE id = 1")
        case.run("cutover", "--yes")
        case.expect("SELECT pk, name FROM ent ORDER BY 1", ("O#10", "Zed"), ("O#11", "Bo"), ("O#12", None), ("O#13", None),
                    ("O#14", None), ("O#15", None), ("O#16", None), ("U#1", "Zed"), ("U#2", "Bo"))


def rows_outside_of_the_condition_stay_as_they_are():
    old = "CREATE TABLE a (id INTEGER PRIMARY KEY, x TEXT, y TEXT); INSERT INTO a VALUES (1, 'p', 'q'), (2, NULL, 'kept'), (3, 'z', 'z');"
    new = "CREATE TABLE ent (pk TEXT NOT NULL PRIMARY KEY, v TEXT, d TEXT) WITHOUT ROWID;"
    table = """  - as: a
    from: app/a
    to: app/ent
    create: new.sql
    items: [{when: {present: x}, columns: {pk: "A#{id}", v: x, d: y}}, {columns: {pk: "B#{id}", v: y}, rest: drop}]"""
    for write in ("INSERT INTO ent VALUES ('A#2', 'new', 'n')", "UPDATE ent SET v = NULL WHERE pk = 'A#1'"):
        with Case(old, new, table) as case:
            before = case.rows("SELECT * FROM a")
            case.run("run", "--yes")
            case.db.execute(write)
            case.db.execute("UPDATE ent SET d = 'changed' WHERE pk = 'A#3'")
            case.run("run", "--yes")
            case.run("rollback", "--yes")
            case.expect("SELECT * FROM a", *before[:2], (3, "z", "changed"))
            assert list(case.folder.rglob("kept-by-rollback.jsonl.zst")), "nothing was kept"


def repair_deletes_no_row_that_another_table_has():
    with Case("CREATE TABLE emp (id INTEGER PRIMARY KEY, name TEXT, pay INTEGER); INSERT INTO emp VALUES (1, 'Ada', 5);",
              "CREATE TABLE pub (id INTEGER PRIMARY KEY, name TEXT);",
              "  - {as: pub, from: app/emp, to: app/pub, create: new.sql, same: [id, name], rest: drop}",
              "  - {as: priv, from: app/emp, to: app/priv, create: priv.sql, same: [id, pay], rest: drop}") as case:
        (case.folder / "priv.sql").write_text("CREATE TABLE priv (id INTEGER PRIMARY KEY, pay INTEGER);")
        case.run("run", "--yes")
        case.db.execute("INSERT INTO pub VALUES (10, 'only here')")
        case.run("run", "--yes")
        case.run("verify", "--repair", "--yes", code=1)
        case.run("rollback", "--yes")
        case.expect("SELECT * FROM emp", (1, "Ada", 5), (10, "only here", None))


TWO = """CREATE TABLE hens (id TEXT NOT NULL PRIMARY KEY, name TEXT) WITHOUT ROWID;
CREATE TABLE cocks (id TEXT NOT NULL PRIMARY KEY, name TEXT, crows INTEGER) WITHOUT ROWID;
INSERT INTO hens VALUES ('h1', 'Ada'), ('h2', 'Bea'), ('both', 'Cleo');
INSERT INTO cocks VALUES ('c1', 'Abe', 3), ('c2', 'Bob', 4);"""
BIRDS = "CREATE TABLE birds (pk TEXT NOT NULL PRIMARY KEY, kind INTEGER NOT NULL, name TEXT, crows INTEGER) WITHOUT ROWID;"
TWO_TABLES = ('  - {from: app/hens, to: app/birds, create: new.sql, columns: {pk: "{id}", kind: {const: 1}, name: name, crows: {const: 0}}}',
              '  - {from: app/cocks, to: app/birds, create: new.sql, columns: {pk: "{id}", kind: {const: 2}, name: name, crows: crows}}')


def keys_that_only_the_values_keep_apart():
    with Case(TWO, BIRDS, *TWO_TABLES) as case:
        case.db.execute("INSERT INTO cocks VALUES ('both', 'Cid', 5)")
        told = case.run("analyze", code=3)
        assert "a row of hens gets the key 'both' as well" in told, told
        assert "a row of hens gets the key 'both' as well" in case.run("run", "--yes", code=3)
        more = [("x%d" % i, "") for i in range(1, 41)]
        case.db.executemany("INSERT INTO hens VALUES (?, ?)", more)
        case.db.executemany("INSERT INTO cocks VALUES (?, ?, 0)", more)
        assert "… 36 more in the file" in case.run("analyze", code=3)
        newest = max(case.folder.rglob("migration-analysis-*.json"), key=lambda path: path.stat().st_mtime_ns)
        assert all("'x%d'" % i in newest.read_text() for i in range(1, 41)), "a row is not named"
        case.db.executescript("DELETE FROM cocks WHERE id = 'both' OR id GLOB 'x*'; DELETE FROM hens WHERE id GLOB 'x*'")
        assert "would go ahead" in case.run("analyze")
        case.run("run", "--until", "verify", "--yes")
        birds = "SELECT pk, kind, name, crows FROM birds ORDER BY 1"
        case.expect(birds, ("both", 1, "Cleo", 0), ("c1", 2, "Abe", 3), ("c2", 2, "Bob", 4), ("h1", 1, "Ada", 0), ("h2", 1, "Bea", 0))
        # A key goes from the one to the other, and is deleted where it is no longer.
        case.db.executescript("DELETE FROM hens WHERE id = 'h1'; INSERT INTO cocks VALUES ('h1', 'Hal', 1);"
                              "UPDATE cocks SET name = 'Abel' WHERE id = 'c1'; DELETE FROM cocks WHERE id = 'c2';")
        case.run("run", "--yes")
        case.expect(birds, ("both", 1, "Cleo", 0), ("c1", 2, "Abel", 3), ("h1", 2, "Hal", 1), ("h2", 1, "Bea", 0))
        case.db.executescript("DELETE FROM birds WHERE pk = 'both'; INSERT INTO birds VALUES ('both', 2, 'Carl', 9), ('h3', 1, 'Dora', 0),"
                              "('c3', 2, 'Don', 2); UPDATE birds SET name = 'Hank' WHERE pk = 'h1'; DELETE FROM birds WHERE pk = 'h2'")
        case.run("rollback", "--yes")
        case.expect("SELECT * FROM hens ORDER BY 1", ("h3", "Dora"))
        case.expect("SELECT * FROM cocks ORDER BY 1", ("both", "Carl", 9), ("c1", "Abel", 3), ("c3", "Don", 2), ("h1", "Hank", 1))


def a_key_that_two_rows_get_while_it_runs_loses_neither():
    with Case(TWO, BIRDS, *TWO_TABLES) as case:
        case.run("run", "--until", "verify", "--yes")
        case.db.execute("INSERT INTO cocks VALUES ('both', 'Cid', 5)")
        told = case.run("run", "--yes", code=3)
        assert "both" in told and "is another's" in told, told
        case.expect("SELECT * FROM birds WHERE pk = 'both'", ("both", 1, "Cleo", 0))
        case.db.execute("UPDATE cocks SET id = 'alone' WHERE id = 'both'")
        case.run("run", "--yes")
        case.expect("SELECT * FROM birds WHERE pk IN ('both', 'alone') ORDER BY 1", ("alone", 2, "Cid", 5), ("both", 1, "Cleo", 0))


def kept(case):
    return "".join(subprocess.run(["zstdcat", str(path)], capture_output=True, text=True, check=True).stdout
                   for path in case.folder.rglob("kept-by-rollback.jsonl.zst"))


def two_rows_of_the_new_side_that_are_one_on_the_old():
    old = "CREATE TABLE log (id INTEGER PRIMARY KEY, who TEXT, what TEXT); INSERT INTO log VALUES (1, 'a', 'x'), (2, 'a', 'y');"
    new = "CREATE TABLE ent (pk TEXT NOT NULL, sk TEXT NOT NULL, what TEXT, PRIMARY KEY (pk, sk)) WITHOUT ROWID;"
    with Case(old, new, '  - {from: app/log, to: app/ent, create: new.sql, columns: {pk: "P#{who}", sk: "L#{id}", what: what}}') as case:
        case.run("run", "--yes")
        case.db.executescript("INSERT INTO ent VALUES ('P#m', 'L#7', 'm'), ('P#n', 'L#7', 'n'), ('P#b', 'L#1', 'second');"
                              "UPDATE ent SET pk = 'P#c' WHERE sk = 'L#2'")
        case.run("run", "--yes")
        case.run("rollback", "--yes")
        case.expect("SELECT * FROM log ORDER BY id", (1, "a", "x"), (2, "c", "y"), (7, "m", "m"))
        told = kept(case)
        assert '"n"' in told and '"second"' in told and '"m"' not in told, told


def a_row_is_in_one_document():
    old = "CREATE TABLE t (k INTEGER PRIMARY KEY, s TEXT NOT NULL, v TEXT); INSERT INTO t VALUES (1, 'p', 'a'), (2, 'p', 'b'), (3, 'q', 'c');"
    for new_side, rows, waits in (
            ("INSERT INTO docs VALUES ('T#m', '{\"9\":\"x\"}'), ('T#n', '{\"9\":\"y\"}')",
             ((1, "p", "a"), (2, "p", "b"), (3, "q", "c"), (9, "m", "x")), "T#n"),
            ("UPDATE docs SET doc = '{\"1\":\"x\",\"3\":\"c\"}' WHERE pk = 'T#q'", ((1, "p", "a"), (2, "p", "b"), (3, "q", "c")), "T#q"),
            ("BEGIN; UPDATE docs SET doc = '{\"2\":\"b\"}' WHERE pk = 'T#p'; UPDATE docs SET doc = '{\"1\":\"moved\",\"3\":\"c\"}' "
             "WHERE pk = 'T#q'; COMMIT", ((1, "q", "moved"), (2, "p", "b"), (3, "q", "c")), "")):
        with Case(old, DOCUMENTS, GROUP % ("t", "T")) as case:
            case.run("run", "--yes")
            case.db.executescript(new_side)
            case.run("rollback", "--yes")
            case.expect("SELECT * FROM t ORDER BY k", *rows)
            assert waits in kept(case) and (waits or not kept(case)), kept(case)


def of_two_documents_one_may_say_more():
    old = "CREATE TABLE s (s TEXT, k TEXT, value TEXT, note TEXT, PRIMARY KEY (s, k)); INSERT INTO s VALUES ('a', '1', 'v', 'n'), ('a', '2', NULL, NULL);"
    new = "CREATE TABLE docs (pk TEXT NOT NULL PRIMARY KEY, d1 TEXT, d2 TEXT) WITHOUT ROWID;"
    with Case(old, new, '  - {from: app/s, to: app/docs, create: new.sql, group: s, columns: {pk: "S#{s}", d1: {collect: value, by: k}, '
                        'd2: {collect: note, by: k}}}') as case:
        case.run("run", "--yes")
        case.expect("SELECT d1, d2 FROM docs", ('{"1":"v","2":null}', '{"1":"n"}'))
        case.db.execute("UPDATE docs SET d1 = '{\"1\":\"v\",\"2\":null,\"3\":\"new\"}', d2 = '{\"1\":\"n\",\"4\":\"alone\"}'")
        case.run("run", "--yes")
        assert "0 differ" in case.run("verify")
        case.run("rollback", "--yes")
        case.expect("SELECT * FROM s ORDER BY k", ("a", "1", "v", "n"), ("a", "2", None, None), ("a", "3", "new", None), ("a", "4", None, "alone"))
        assert not kept(case), kept(case)


def a_row_may_be_a_document_of_several_columns():
    old = """CREATE TABLE lines (bill INTEGER NOT NULL, n INTEGER NOT NULL, sku TEXT NOT NULL, pieces INTEGER, note TEXT, PRIMARY KEY (bill, n));
      INSERT INTO lines VALUES (1, 1, 'tea', 2, NULL), (1, 2, '12', NULL, 'a "b" {c}'), (2, 1, '', 0, 'é');"""
    new = "CREATE TABLE docs (pk TEXT NOT NULL PRIMARY KEY, lines TEXT) WITHOUT ROWID;"
    table = ('  - {from: app/lines, to: app/docs, create: new.sql, group: [bill], rest: forbid, columns: {pk: "B#{bill}", '
             'lines: {collect: [sku, pieces, note], by: n}}}')
    with Case(old, new, table) as case:
        case.run("run", "--yes", "--until", "verify")
        case.expect("SELECT * FROM docs ORDER BY pk", ("B#1", '{"1":{"pieces":2,"sku":"tea"},"2":{"note":"a \\"b\\" {c}","sku":"12"}}'),
                    ("B#2", '{"1":{"note":"é","pieces":0,"sku":""}}'))
        case.db.executescript("UPDATE lines SET pieces = 3 WHERE n = 1; INSERT INTO lines VALUES (3, 7, 'x', 1, NULL); DELETE FROM lines WHERE bill = 2")
        case.run("run", "--yes")
        case.expect("SELECT * FROM docs ORDER BY pk", ("B#1", '{"1":{"pieces":3,"sku":"tea"},"2":{"note":"a \\"b\\" {c}","sku":"12"}}'),
                    ("B#3", '{"7":{"pieces":1,"sku":"x"}}'))
        case.db.executescript("""UPDATE docs SET lines = '{"1": {"sku": "tea", "pieces": 4}, "3": {"sku": "y"}}' WHERE pk = 'B#1';
          UPDATE docs SET lines = '{"7":[1,2]}' WHERE pk = 'B#3'; INSERT INTO docs VALUES ('B#9', '{"1":{"sku":"z","pieces":5,"colour":"red"}}')""")
        case.run("run", "--yes")
        assert "0 differ" in case.run("verify")
        case.run("rollback", "--yes")
        case.expect("SELECT * FROM lines ORDER BY bill, n", (1, 1, "tea", 4, None), (1, 3, "y", None, None), (3, 7, "x", 1, None), (9, 1, "z", 5, None))
        assert "colour" in kept(case) and "[1,2]" in kept(case) and "B#1" not in kept(case), kept(case)
    for said, problem in (("[sku, n]", "`n` names the documents"), ("[sku, sku]", "`sku` is collected twice"), ("[]", "must be a list of columns"),
                          ("[sku, piece]", "lines has no column `piece`"), ("[sku, pieces]", "nothing mentions the column `note`"),
                          ("[sku, pieces, note], by: n}, more: {collect: note", "`note` is collected into two documents")):
        with Case(old, new, table.replace("[sku, pieces, note]", said)) as case:
            told = case.run("check", code=2)
            assert problem in told, told


def a_group_has_what_its_columns_lead_to():
    """A document of lines, beside columns of the bill that they are on."""
    old = """CREATE TABLE bills (id INTEGER PRIMARY KEY, who TEXT); INSERT INTO bills VALUES (1, 'Ada'), (2, 'Bo'), (3, 'Cy');
      CREATE TABLE lines (n INTEGER PRIMARY KEY, bill INTEGER NOT NULL, sku TEXT); INSERT INTO lines VALUES (11, 1, 'tea'), (12, 1, 'jam'), (21, 2, 'tea'), (91, 9, 'pie');"""
    new = "CREATE TABLE docs (pk TEXT NOT NULL PRIMARY KEY, who TEXT, head TEXT, lines TEXT) WITHOUT ROWID;"
    tables = ('  - {from: app/bills, to: app/docs, create: new.sql, columns: {pk: "BILL#{id}", who: who}}',
              '  - {from: app/lines, to: app/docs, create: new.sql, group: [bill], columns: {pk: "LINES#{bill}", lines: {collect: sku, by: n}, '
              'who: {lookup: who, in: bills, by: bill}, head: {json: {to: {lookup: who, in: bills, by: bill, if_null: {const: nobody}}}}}}')
    lines = "SELECT pk, who, head, lines FROM docs WHERE pk LIKE 'L%' ORDER BY pk"
    with Case(old, new, *tables) as case:
        case.run("run", "--yes", "--until", "verify")
        case.expect(lines, ("LINES#1", "Ada", '{"to":"Ada"}', '{"11":"tea","12":"jam"}'), ("LINES#2", "Bo", '{"to":"Bo"}', '{"21":"tea"}'),
                    ("LINES#9", None, '{"to":"nobody"}', '{"91":"pie"}'))
        case.db.executescript("UPDATE bills SET who = 'Ada L.' WHERE id = 1; DELETE FROM bills WHERE id = 2; UPDATE bills SET who = 'Cyd' WHERE id = 3;"
                              "INSERT INTO lines VALUES (31, 3, 'egg'); INSERT INTO bills VALUES (9, 'Ida'); DELETE FROM lines WHERE n = 12")
        case.run("run", "--yes")
        case.expect(lines, ("LINES#1", "Ada L.", '{"to":"Ada L."}', '{"11":"tea"}'), ("LINES#2", None, '{"to":"nobody"}', '{"21":"tea"}'),
                    ("LINES#3", "Cyd", '{"to":"Cyd"}', '{"31":"egg"}'), ("LINES#9", "Ida", '{"to":"Ida"}', '{"91":"pie"}'))
        assert "0 differ" in case.run("verify")
        case.db.executescript("""UPDATE docs SET lines = '{"11":"tea","13":"fig"}' WHERE pk = 'LINES#1'; UPDATE docs SET who = 'Ida II' WHERE pk = 'BILL#9';
          INSERT INTO docs VALUES ('LINES#7', 'Eve', NULL, '{"71":"rye"}')""")
        case.run("rollback", "--yes")
        case.expect("SELECT * FROM lines ORDER BY n", (11, 1, "tea"), (13, 1, "fig"), (21, 2, "tea"), (31, 3, "egg"), (71, 7, "rye"), (91, 9, "pie"))
        case.expect("SELECT * FROM bills ORDER BY id", (1, "Ada L."), (3, "Cyd"), (9, "Ida II"))
    with Case(old, new, tables[0], tables[1].replace("lines: {collect: sku, by: n}, ", "lines: {collect: sku, by: n}, head: {collect: sku, by: n}, ").replace(
            ", head: {json: {to: {lookup: who, in: bills, by: bill, if_null: {const: nobody}}}}", "")) as case:
        case.run("run", "--yes")
        case.expect(lines, ("LINES#1", "Ada", '{"11":"tea","12":"jam"}', '{"11":"tea","12":"jam"}'), ("LINES#2", "Bo", '{"21":"tea"}', '{"21":"tea"}'),
                    ("LINES#9", None, '{"91":"pie"}', '{"91":"pie"}'))
    with Case(old, new, tables[0], tables[1].replace("in: bills, by: bill}", "in: bills, by: sku}")) as case:
        told = case.run("check", code=2)
        assert "a group has no `sku`" in told and "columns of the group: bill" in told, told


def a_lookup_by_a_key_of_several_columns():
    old = """CREATE TABLE prices (shop TEXT, sku INTEGER, cents INTEGER, PRIMARY KEY (shop, sku)); INSERT INTO prices VALUES ('a', 1, 10), ('a', 2, 20), ('b', 1, 11);
      CREATE TABLE sold (id INTEGER PRIMARY KEY, sku INTEGER, shop TEXT); INSERT INTO sold VALUES (1, 1, 'a'), (2, 1, 'b'), (3, 2, 'b'), (4, NULL, 'a');"""
    new = "CREATE TABLE docs (pk TEXT NOT NULL PRIMARY KEY, cents INTEGER, shop TEXT, sku INTEGER) WITHOUT ROWID;"
    tables = ('  - {from: app/prices, to: app/docs, create: new.sql, columns: {pk: "PRICE#{shop}#{sku}", cents: cents}}',
              '  - {from: app/sold, to: app/docs, create: new.sql, same: [shop, sku], columns: {pk: "SOLD#{id}", cents: {lookup: cents, in: prices, by: [shop, sku]}}}')
    sold = "SELECT pk, cents FROM docs WHERE pk LIKE 'S%' ORDER BY pk"
    with Case(old, new, *tables) as case:
        case.run("run", "--yes", "--until", "verify")
        case.expect(sold, ("SOLD#1", 10), ("SOLD#2", 11), ("SOLD#3", None), ("SOLD#4", None))
        case.db.executescript("UPDATE prices SET cents = 12 WHERE shop = 'b'; INSERT INTO prices VALUES ('b', 2, 22); UPDATE prices SET sku = 3 WHERE shop = 'a' AND sku = 1")
        case.run("run", "--yes")
        case.expect(sold, ("SOLD#1", None), ("SOLD#2", 12), ("SOLD#3", 22), ("SOLD#4", None))
        assert "0 differ" in case.run("verify")
        case.run("rollback", "--yes")
        case.expect("SELECT * FROM sold ORDER BY id", (1, 1, "a"), (2, 1, "b"), (3, 2, "b"), (4, None, "a"))
    with Case(old, new, tables[0], tables[1].replace("[shop, sku]}}}", "sku}}}")) as case:
        told = case.run("check", code=2)
        assert "prices has a key of 2 columns, and the lookup names 1 column" in told and "shop, sku, in this order" in told, told


def an_item_whose_key_does_not_say_whose_it_is():
    """Each e-mail once: the item's key is made of a value that goes from row to row."""
    old = """CREATE TABLE t (id INTEGER PRIMARY KEY, mail TEXT, n INTEGER);
      INSERT INTO t VALUES (1, 'Ada@x.org', 0), (2, 'bo@x.org', 0), (3, NULL, 0), (4, 'eve@x.org', 0);"""
    new = "CREATE TABLE ent (pk TEXT NOT NULL, sk TEXT NOT NULL, owner INTEGER, mail TEXT, n INTEGER, PRIMARY KEY (pk, sk)) WITHOUT ROWID;"
    table = """  - as: u
    from: app/t
    to: app/ent
    create: new.sql
    items: [{columns: {pk: "U#{id}", sk: {const: P}, mail: mail, n: n}}, {when: {present: mail}, columns: {pk: "MAIL#{mail|lower}", sk: {const: MAIL}, owner: id}, rest: drop}]"""
    mails = "SELECT pk, owner FROM ent WHERE sk = 'MAIL' ORDER BY pk"
    with Case(old, new, table) as case:
        case.run("run", "--yes", "--until", "verify")
        case.expect(mails, ("MAIL#ada@x.org", 1), ("MAIL#bo@x.org", 2), ("MAIL#eve@x.org", 4))
        case.db.executescript("""UPDATE t SET mail = NULL WHERE id = 1; UPDATE t SET mail = 'ADA@x.org' WHERE id = 3; UPDATE t SET n = 1;
          UPDATE t SET mail = 'bo2@x.org' WHERE id = 2; DELETE FROM t WHERE id = 4; INSERT INTO t VALUES (5, 'eve@x.org', 2)""")
        case.run("run", "--yes", "--until", "verify")
        case.expect(mails, ("MAIL#ada@x.org", 3), ("MAIL#bo2@x.org", 2), ("MAIL#eve@x.org", 5))
        case.db.executescript("UPDATE ent SET owner = 7 WHERE pk = 'MAIL#bo2@x.org'; INSERT INTO ent (pk, sk, owner) VALUES ('MAIL#of nobody', 'MAIL', 1)")
        told = case.run("verify", code=1)
        assert "2 differ" in told and "bo2@x.org" in told and "of nobody" in told, told
        case.run("verify", "--repair", "--yes")
        case.expect(mails, ("MAIL#ada@x.org", 3), ("MAIL#bo2@x.org", 2), ("MAIL#eve@x.org", 5))
        case.run("run", "--yes")
        case.db.executescript("""INSERT INTO ent (pk, sk, owner, n) VALUES ('U#9', 'P', NULL, 9), ('MAIL#nine@x.org', 'MAIL', 9, NULL);
          UPDATE ent SET n = 8 WHERE pk = 'U#3'""")
        case.run("run", "--yes")
        assert "0 differ" in case.run("verify")
        case.run("rollback", "--yes")
        case.expect("SELECT * FROM t ORDER BY id", (1, None, 1), (2, "bo2@x.org", 1), (3, "ADA@x.org", 8), (5, "eve@x.org", 2), (9, None, 9))
        assert "nine@x.org" in kept(case), kept(case)
    with Case(old, new, table) as case:
        case.run("run", "--yes", "--until", "verify")
        case.db.execute("INSERT INTO t VALUES (6, 'ada@X.ORG', 1)")
        told = case.run("run", "--yes", code=3)
        assert "the rows 1 and 6 of t would both get the item ('MAIL#ada@x.org', 'MAIL')" in told, told
        case.db.execute("UPDATE t SET mail = 'other' WHERE id = 1")
        case.run("run", "--yes")
        case.expect(mails, ("MAIL#ada@x.org", 6), ("MAIL#bo@x.org", 2), ("MAIL#eve@x.org", 4), ("MAIL#other", 1))
        case.db.execute("INSERT INTO ent (pk, sk, mail, n) VALUES ('U#8', 'P', 'other', 1)")
        case.run("rollback", "--yes")
        case.expect("SELECT count(*) FROM t WHERE mail = 'other'", (2,))
    # Another table that refers to the one that becomes several items.
    with Case(old + "CREATE TABLE o (id INTEGER PRIMARY KEY, t INTEGER REFERENCES t (id)); INSERT INTO o VALUES (1, 2);", new, table,
              '  - {from: app/o, to: app/o2, create: like-source}') as case:
        assert "o2 refers to t by a foreign key, which is the old table" in case.run("run", "--yes", code=2)
        plan = case.folder / "plan.yaml"
        plan.write_text(plan.read_text().replace("to: app/o2, create: like-source", "to: app/o2, create: o2.sql"))
        (case.folder / "o2.sql").write_text("CREATE TABLE o2 (id INTEGER PRIMARY KEY, t INTEGER);")
        case.run("run", "--yes")
        case.expect("SELECT * FROM o2", (1, 2))
    with Case(old + "INSERT INTO t VALUES (6, 'ada@X.ORG', 1)", new, table) as case:
        told = case.run("analyze", code=3)
        assert "MAIL#ada@x.org" in told, told
    with Case(old, new, table.replace("when: {present: mail}, ", "")) as case:
        told = case.run("analyze", code=3)
        assert "1 row" in told and "pk is part of the key and would get a null" in told, told


def later_items_are_the_new_applications_own():
    old = "CREATE TABLE t (id INTEGER PRIMARY KEY, role TEXT); INSERT INTO t VALUES (1, 'r'), (2, 's');"
    new = "CREATE TABLE ent (pk TEXT NOT NULL, sk TEXT NOT NULL, v TEXT, PRIMARY KEY (pk, sk)) WITHOUT ROWID;"
    table = """  - as: u
    from: app/t
    to: app/ent
    create: new.sql
    items: [{columns: {pk: "U#{id}", sk: {const: P}, v: role}}, {when: {present: role}, columns: {pk: "R#{role}", sk: "U#{id}"}}]"""
    with Case(old, new, table) as case:
        case.run("run", "--yes")
        case.db.executescript("DELETE FROM ent WHERE pk = 'U#1'; DELETE FROM ent WHERE sk = 'U#2'")
        case.run("watch")
        assert "0 differ" in case.run("verify")
        case.run("verify", "--repair", "--yes")
        case.run("run", "--yes")
        case.run("finish", "--yes")
        case.db.execute("UPDATE ent SET v = 't' WHERE pk = 'U#2'")
        case.run("rollback", "--yes")
        case.expect("SELECT * FROM t", (2, "t"))
    with Case(old, new, table) as case:
        plan = case.folder / "plan.yaml"
        plan.write_text(plan.read_text().replace("keep_source: false", "keep_source: false, view: true"))
        told = case.run("check", code=2)
        assert "a view cannot show rows that have got another shape" in told, told


def what_is_looked_up_is_not_kept():
    old = "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT); CREATE TABLE guests (id INTEGER PRIMARY KEY, host INTEGER); INSERT INTO users VALUES (1, 'Ada');"
    new = "CREATE TABLE ent (pk TEXT NOT NULL PRIMARY KEY, v TEXT, host INTEGER) WITHOUT ROWID;"
    with Case(old, new, '  - {as: z, from: app/users, to: app/ent, create: new.sql, columns: {pk: "U#{id}", v: name}}',
              '  - {as: g, from: app/guests, to: app/ent, columns: {pk: "G#{id}", host: host, v: {lookup: name, in: z, by: host}}}') as case:
        case.run("run", "--yes")
        case.db.execute("INSERT INTO ent VALUES ('U#9', 'Nina', NULL), ('G#5', 'Nina', 9)")
        case.run("rollback", "--yes")
        case.db.execute("DELETE FROM users WHERE id = 9")
        case.run("run", "--yes")
        case.expect("SELECT * FROM ent ORDER BY pk", ("G#5", None, 9), ("U#1", "Ada", None))


def rows_are_set_aside_where_the_store_would_write_them():
    for value, declared, how in (("'012'", "INTEGER", "c"), ("x'ff61'", "TEXT", '"X{c}"'), ("x'00'", "TEXT", "{json: {a: c}}")):
        with Case("CREATE TABLE t (id TEXT PRIMARY KEY, c); INSERT INTO t VALUES ('good', NULL), ('bad', %s);" % value,
                  "CREATE TABLE ent (id TEXT PRIMARY KEY, v %s);" % declared,
                  "  - {from: app/t, to: app/ent, create: new.sql, on_error: reject, columns: {id: id, v: %s}}" % how) as case:
            case.run("run", "--yes")
            case.expect("SELECT id FROM ent", ("good",))
            assert "bad" in next(case.folder.rglob("rejected.jsonl")).read_text()
    with Case("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b TEXT); INSERT INTO t VALUES (1, 'x', 'y'), (2, 'x', NULL), (3, 'x#y', 'z'), (4, x'00', 'y');",
              "CREATE TABLE ent (pk TEXT NOT NULL PRIMARY KEY) WITHOUT ROWID;",
              '  - {from: app/t, to: app/ent, create: new.sql, on_error: reject, columns: {pk: "T#{a}#{b}#{id}"}}') as case:
        case.run("run", "--yes", "--until", "verify")
        case.db.execute("INSERT INTO t VALUES (5, 'later', NULL)")
        case.run("run", "--yes")
        case.expect("SELECT pk FROM ent", ("T#x#y#1",))
        assert "0 differ" in case.run("verify")


def a_unique_value_that_went_from_row_to_row():
    """The first row that gave it away is in another batch than those it came to."""
    table = "CREATE TABLE %s (id INTEGER PRIMARY KEY, n TEXT UNIQUE);"
    moves = "DELETE FROM %s WHERE id = 5000; UPDATE %s SET n = 'p' WHERE id = 2; INSERT INTO %s VALUES (4, 'q'); UPDATE %s SET n = n || 'x' WHERE id >= 10"
    with Case(table % "a" + "INSERT INTO a VALUES (5000, 'p'), (2, 'q'); WITH RECURSIVE k(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM k WHERE i < 3000) "
              "INSERT INTO a SELECT i, 'w' || i FROM k;", table % "b", "  - {from: app/a, to: app/b, create: new.sql, same: [id, n]}") as case:
        case.run("run", "--yes", "--until", "follow")
        case.db.executescript(moves.replace("%s", "a"))
        case.run("run", "--yes")
        case.expect("SELECT count(*) FROM (SELECT * FROM a EXCEPT SELECT * FROM b)", (0,))
        case.db.executescript("INSERT INTO b VALUES (5000, 'r');" + moves.replace("%s", "b").replace("'q'", "'s'").replace("(4,", "(6,").replace("'p'", "'r'"))
        wanted = case.rows("SELECT * FROM b ORDER BY id")
        case.run("rollback", "--yes")
        case.expect("SELECT * FROM a ORDER BY id", *wanted)


def what_cannot_be_said_is_refused():
    with Case("CREATE TABLE t (s TEXT, k TEXT, v, PRIMARY KEY (s, k)); INSERT INTO t VALUES ('a', 'k', 1);", DOCUMENTS,
              (GROUP % ("t", "T"))[:-1] + ", on_error: reject}") as case:
        told = case.run("check", code=2)
        assert "under `group` a row cannot be set aside as a whole" in told, told
    with Case("CREATE TABLE t (s TEXT, k TEXT, v, PRIMARY KEY (s, k)); INSERT INTO t VALUES ('a', 'k', 1);", DOCUMENTS,
              GROUP % ("t", "T")) as case:
        case.run("run", "--yes")
        case.run("finish", "--yes")
        assert "`whimbrel rollback` brings the old tables back" in case.run("reverse", code=3)


if __name__ == "__main__":
    failed = 0
    for test in (numbers_keep_their_digits, what_no_document_holds_is_refused_beforehand,
                 a_document_without_fields_is_a_group_without_rows, a_row_leaves_its_group,
                 a_lookup_between_columns_of_other_types, rows_outside_of_the_condition_stay_as_they_are,
                 repair_deletes_no_row_that_another_table_has, keys_that_only_the_values_keep_apart,
                 a_key_that_two_rows_get_while_it_runs_loses_neither, two_rows_of_the_new_side_that_are_one_on_the_old,
                 a_row_is_in_one_document, a_group_has_what_its_columns_lead_to, a_lookup_by_a_key_of_several_columns, of_two_documents_one_may_say_more, a_row_may_be_a_document_of_several_columns,
                 an_item_whose_key_does_not_say_whose_it_is, later_items_are_the_new_applications_own,
                 what_is_looked_up_is_not_kept, rows_are_set_aside_where_the_store_would_write_them,
                 a_unique_value_that_went_from_row_to_row, what_cannot_be_said_is_refused):
        if len(sys.argv) > 1 and test.__name__ not in sys.argv[1:]:
            continue
        try:
            test()
            print("%s: well" % test.__name__, flush=True)
        except AssertionError as failure:
            failed += 1
            print("%s: %s" % (test.__name__, failure), flush=True)
    sys.exit(1 if failed else 0)

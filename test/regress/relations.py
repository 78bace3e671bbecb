"""Copies with new ids: what a relation is, whose a row is, and what stands when something has changed since."""
import sqlite3

from pair import Copying, are, expect_words, main, new_id

HEAD = """whimbrel: 1
migration: copy
stores: {dev: "sqlite:dev.db", prod: "sqlite:prod.db"}
"""
ALL = 'tables:\n  - {from: "dev/{name}", to: "prod/{name}", create: exists, names: ["*"]}\nsync: none\n'
IDS = 'ids: {column: id, from: [name, id, "prod"]}\n'


class Copy(Copying):
    def __init__(self, schema, rows, plan, target=None):
        super().__init__()
        (self.folder / "plan.yaml").write_text(HEAD + plan)
        self.script("dev", schema + rows)
        self.script("prod", schema if target is None else target)

    def script(self, name, sql):
        connection = self.connect(name)
        connection.executescript(sql)
        connection.close()

    def of(self, table):
        return sorted(self.ask("prod", "SELECT * FROM " + table))


def made(table, old):
    return new_id(table, old)


def a_relation_is_kept_through_every_kind_of_key():
    users, teams = made("users", "1"), made("teams", "1")
    schema = "CREATE TABLE users (id TEXT PRIMARY KEY); CREATE TABLE teams (id TEXT PRIMARY KEY);"
    rows = "INSERT INTO users VALUES ('1'); INSERT INTO teams VALUES ('1');"
    own_key = "CREATE TABLE pages (of_user TEXT PRIMARY KEY REFERENCES users (id));" \
              "CREATE TABLE visits (id TEXT PRIMARY KEY, page TEXT REFERENCES pages (of_user));"
    with Copy(schema + own_key, rows + "INSERT INTO pages VALUES ('1'); INSERT INTO visits VALUES ('v', '1');", IDS + ALL) as copy:
        copy.run("run", "--yes")
        are(copy.of("visits"), [(made("visits", "v"), users)], "through a key that is a reference")
    of_two = "CREATE TABLE members (u TEXT REFERENCES users (id), t TEXT REFERENCES teams (id), PRIMARY KEY (u, t));" \
             "CREATE TABLE badges (id TEXT PRIMARY KEY, a TEXT, b TEXT, FOREIGN KEY (a, b) REFERENCES members (u, t));"
    with Copy(schema + of_two, rows + "INSERT INTO members VALUES ('1', '1'); INSERT INTO badges VALUES ('x', '1', '1');",
              IDS + ALL) as copy:
        copy.run("run", "--yes")
        are(copy.of("badges"), [(made("badges", "x"), users, teams)], "of two columns")
        are(copy.of("members"), [(users, teams)])
    inside = "CREATE TABLE notes (id TEXT PRIMARY KEY); CREATE TABLE marks (id TEXT PRIMARY KEY, note TEXT);"
    with Copy(schema + inside, rows + "INSERT INTO notes VALUES ('N#1'); INSERT INTO marks VALUES ('m', 'N#1');",
              IDS + 'references: {notes: {id: {to: users, as: "N#{id}"}}, marks: {note: notes}}\n' + ALL) as copy:
        copy.run("run", "--yes")
        are(copy.of("notes"), [("N#" + users,)])
        are(copy.of("marks"), [(made("marks", "m"), "N#" + users)], "to a key with an id inside")
    circle = "CREATE TABLE a (id TEXT PRIMARY KEY REFERENCES b (id)); CREATE TABLE b (id TEXT PRIMARY KEY REFERENCES a (id));" \
             "CREATE TABLE c (id TEXT PRIMARY KEY, a TEXT REFERENCES a (id), b TEXT REFERENCES b (id));"
    with Copy(circle, "INSERT INTO a VALUES ('1'); INSERT INTO b VALUES ('1'); INSERT INTO c VALUES ('c', '1', '1');", IDS + ALL) as copy:
        copy.run("run", "--yes")
        [(one,)], [(other,)], [(_, a, b)] = copy.of("a"), copy.of("b"), copy.of("c")
        are(len({one, other, a, b}), 1, "two keys that refer to each other")


def a_reference_of_a_table_that_the_plan_does_not_have_is_a_mistake():
    schema = "CREATE TABLE users (id TEXT PRIMARY KEY); CREATE TABLE orders (id TEXT PRIMARY KEY, u TEXT);"
    for name in ("oders", "Orders"):
        with Copy(schema, "", IDS + "references: {%s: {u: users}}\n" % name + ALL) as copy:
            expect_words(copy.run("check", expect=2), "no table of the plan is called `%s`" % name, "did you mean `orders`?")


PLAIN = "CREATE TABLE a (id TEXT PRIMARY KEY, n TEXT); CREATE TABLE b (id TEXT PRIMARY KEY, n TEXT);"
FOUR = "INSERT INTO a VALUES ('1', 'x'), ('2', 'y'); INSERT INTO b VALUES ('1', 'x'), ('2', 'y');"


def a_target_that_is_gone_is_named_by_verify():
    with Copy(PLAIN, FOUR, IDS + ALL, PLAIN) as copy:
        copy.run("run", "--yes")
        copy.ask("prod", "DROP TABLE b")
        expect_words(copy.run("verify", expect=3), "b is gone: somebody has dropped or renamed it")


def a_source_that_is_gone_takes_nothing_of_others_along():
    theirs = "INSERT INTO b VALUES ('t', 'theirs');"
    for gone in ("DROP TABLE a", "DROP TABLE b", "ALTER TABLE a DROP COLUMN n", "ALTER TABLE b DROP COLUMN n"):
        with Copy(PLAIN, FOUR, IDS + ALL, PLAIN + theirs) as copy:
            copy.run("run", "--yes")
            copy.ask("dev", gone)
            expect_words(copy.run("run", "--yes", expect=3), "is gone: somebody has dropped or renamed it", "whimbrel rollback")
            copy.run("rollback", "--yes")
            are((copy.of("a"), copy.of("b")), ([], [("t", "theirs")]), gone)
    with Copy("CREATE TABLE t (id TEXT PRIMARY KEY);", "INSERT INTO t VALUES ('1');",
              'tables:\n  - {from: "dev/{name}", to: "dev/copy_{name}", create: like-source, names: ["*"]}\nsync: none\n'
              'verify: {references: true}\non_conflict: skip\n') as copy:
        copy.run("run", "--yes")
        copy.run("run", "--yes")
        copy.run("rollback", "--yes")
        are(copy.ask("dev", "SELECT name FROM sqlite_master WHERE type = 'table'"), [("t",)])


def a_null_does_not_become_a_key():
    schema = "CREATE TABLE u (id TEXT PRIMARY KEY); CREATE TABLE m (org TEXT REFERENCES u (id), id TEXT, PRIMARY KEY (org, id));"
    rows = "INSERT INTO m VALUES ('nobody', '1');"
    with Copy(schema, rows, IDS + "orphans: \"null\"\n" + ALL) as copy:
        expect_words(copy.run("analyze", expect=3), "null into org")
        expect_words(copy.run("test", "m", "--yes", expect=3), "which no row is found by")
        copy.run("run", "--yes", expect=3)
        are(copy.of("m"), [])
    with Copy(schema, "", IDS + "orphans: \"null\"\n" + ALL) as copy:
        copy.run("analyze")
        copy.script("dev", rows)  # after the analysis
        expect_words(copy.run("run", "--yes", expect=1), "would get a null in its key")
        copy.run("rollback", "--yes")
        are(copy.of("m"), [])
    with Copy(schema, "", IDS + "orphans: \"null\"\non_error: reject\n" + ALL) as copy:
        copy.run("analyze")
        copy.script("dev", rows)
        copy.run("run", "--yes")
        expect_words((copy.folder / ".whimbrel/copy/rejected.jsonl").read_text(), "would get a null in its key")
        are(copy.of("m"), [])


def what_the_application_wrote_beside_stays():
    wider = "CREATE TABLE a (id TEXT PRIMARY KEY, n TEXT, nick TEXT); CREATE TABLE b (id TEXT PRIMARY KEY, n TEXT);"
    key = made("a", "1")
    with Copy(PLAIN, FOUR, IDS + ALL, wider) as copy:
        copy.run("run", "--yes")
        copy.ask("prod", "UPDATE a SET nick = 'his' WHERE id = ?", key)
        copy.ask("dev", "UPDATE a SET n = 'later'")
        copy.run("run", "--yes")  # the columns of the copy follow
        are(copy.ask("prod", "SELECT n, nick FROM a WHERE id = ?", key), [("later", "his")])
        copy.ask("dev", "DELETE FROM a WHERE id = '1'")
        expect_words(copy.run("run", "--yes", expect=1), "1 of 3 rows differ", "stays his")
        copy.script("prod", "ALTER TABLE a ADD COLUMN more TEXT")  # no change of a row
        copy.run("rollback", "--yes")
        are((copy.of("a"), copy.of("b")), ([(key, "later", "his", None)], []))


def a_row_that_the_application_has_changed_stops_nothing():
    for failure in ("stop", "rollback"):
        with Copy(PLAIN, FOUR, IDS + "on_failure: %s\n" % failure + ALL) as copy:
            copy.run("run", "--yes")
            copy.ask("prod", "UPDATE a SET n = 'his' WHERE id = ?", made("a", "1"))
            copy.ask("dev", "UPDATE a SET n = 'later' WHERE id = '2'")
            expect_words(copy.run("run", "--yes", expect=1), "1 of 4 rows differ", "key '1': n", "stays his")
            are(copy.of("a"), sorted([(made("a", "1"), "his"), (made("a", "2"), "later")]), failure)
            are(len(copy.of("b")), 2)


def an_orphan_that_came_after_the_analysis_is_not_written():
    schema = "CREATE TABLE a (id TEXT PRIMARY KEY); CREATE TABLE b (id TEXT PRIMARY KEY, a TEXT REFERENCES a (id));"
    rows = "INSERT INTO a VALUES ('1'); INSERT INTO b VALUES ('1', '1');"
    orphan = "INSERT INTO b VALUES ('2', 'gone')"
    with Copy(schema, rows, IDS + ALL) as copy:
        copy.run("analyze")
        copy.ask("dev", orphan)
        expect_words(copy.run("run", "--yes", expect=1), "a of the row '2' of dev/b refers to 'gone' of a")
        copy.ask("dev", "DELETE FROM b WHERE id = '2'")
        copy.run("run", "--yes")
        before = copy.of("b")
        copy.ask("dev", orphan)
        copy.run("run", "--yes", expect=3)
        are(copy.of("b"), before, "a copy that is made again")


def numbers_of_a_book_that_an_earlier_release_has_begun_are_read():
    with Copy(PLAIN, FOUR, IDS + ALL) as copy:
        copy.run("run", "--yes")
        book = sqlite3.connect(next(copy.folder.rglob("own-rows.db")))
        book.execute("ALTER TABLE own DROP COLUMN whole")
        book.commit()
        book.close()
        copy.run("run", "--yes")
        copy.run("rollback", "--yes")
        are((copy.of("a"), copy.of("b")), ([], []))


def a_broken_reference_hides_no_difference():
    schema = "CREATE TABLE users (id TEXT PRIMARY KEY, v TEXT); CREATE TABLE notes (id TEXT PRIMARY KEY, u TEXT REFERENCES users (id));"
    rows = "INSERT INTO users VALUES ('1', 'a'), ('2', 'b'); INSERT INTO notes VALUES ('n', '1');"
    with Copy(schema, rows, IDS + ALL + "verify: {references: true}\n") as copy:
        copy.run("run", "--yes")
        copy.ask("prod", "DELETE FROM users WHERE v = 'a'")
        copy.ask("prod", "UPDATE users SET v = 'c'")
        expect_words(copy.run("verify", expect=1), made("users", "1"), "2 of 3 rows differ", "'2'")


def tables_are_called_alike_whichever_line_means_them():
    schema = "CREATE TABLE %s_dev (id TEXT PRIMARY KEY, v TEXT);"
    tables = [schema % name for name in ("Users", "LogA", "LogB")]
    rows = "INSERT INTO Users_dev VALUES ('1', 'a'); INSERT INTO LogA_dev VALUES ('1', 'a'), ('2', 'b'); INSERT INTO LogB_dev VALUES ('1', 'a');"
    target = "".join(tables).replace("_dev", "_prod")
    line = '  - {from: "dev/%s_dev", to: "prod/%s_prod", create: exists%s}\n'

    def plan(*lines):
        return IDS + "tables:\n" + "".join(line % (name, name, more) for name, more in lines) + "sync: none\n"

    one_line = plan(("Users", ', mask: {v: name}'), ("{name}", ', names: ["!Log*", "*"]'), ("{name}", ', names: ["Log*"], where: {id: "1"}'))
    with Copy("".join(tables), rows, one_line, target) as copy:
        copy.run("run", "--yes")
        are([row[0] for row in copy.of("Users_prod")], [made("Users", "1")], "a line of its own")
        are(copy.of("LogA_prod"), [(made("LogA", "1"), "a")], "a line for some")
    with Copy("".join(tables), rows, plan(("{name}", ', names: ["!Log*", "*"]')), target) as copy:
        copy.run("run", "--yes")
        are((len(copy.of("Users_prod")), copy.of("LogA_prod")), (1, []), "what is taken out first")
    with Copy("".join(tables), rows, plan(("{name}", ', names: ["Lug*"]')), target) as copy:
        expect_words(copy.run("check", expect=2), "no table of dev is meant by `names:`")
    with Copy("".join(tables), rows, plan(("{name}", ', names: ["*"]'), ("{name}", ', names: ["Log*"]')), target) as copy:
        expect_words(copy.run("check", expect=2), "two tables are called `LogA`", "take it out of one line")


def levels_know_every_relation():
    schema = "CREATE TABLE a (id TEXT PRIMARY KEY, b TEXT REFERENCES b (id)); CREATE TABLE b (id TEXT PRIMARY KEY, a TEXT REFERENCES a (id));" \
             "CREATE TABLE docs (id TEXT PRIMARY KEY, doc JSON); CREATE TABLE after_a (id TEXT PRIMARY KEY, a TEXT REFERENCES a (id));" \
             "CREATE TABLE tree (id TEXT PRIMARY KEY, up TEXT REFERENCES tree (id));"
    with Copy(schema, "", IDS + 'references: {docs: {"doc.items[].p": after_a}}\n' + ALL) as copy:
        printed = copy.run("analyze")
        expect_words(printed, "1. a, b, tree", "2. after_a", "3. docs", "a, b refer to each other", "tree refers to itself")


def without_its_book_nothing_is_taken_away():
    schema = "CREATE TABLE users (id TEXT PRIMARY KEY);"
    with Copy(schema, "INSERT INTO users VALUES ('1'), ('2');", IDS + ALL) as copy:
        copy.run("run", "--yes")
        book = copy.folder / ".whimbrel" / "copy" / "own-rows.db"
        kept = book.read_bytes()
        for content in (None, b""):
            book.unlink(missing_ok=True)
            if content is not None:
                book.write_bytes(content)
            for verb in (["rollback", "--yes"], ["run", "--yes"], ["verify"]):
                expect_words(copy.run(*verb, expect=3), "own-rows.db is missing")
        book.write_bytes(kept)
        copy.run("rollback", "--yes")
        are(copy.of("users"), [])


def what_a_reference_cannot_do_is_told():
    of_two = "CREATE TABLE users (id TEXT PRIMARY KEY); CREATE TABLE members (u TEXT, n INTEGER, PRIMARY KEY (u, n));" \
             "CREATE TABLE badges (id TEXT PRIMARY KEY, u TEXT, n INTEGER, FOREIGN KEY (u, n) REFERENCES members (u, n));"
    rows = "INSERT INTO members VALUES ('1', 1); INSERT INTO badges VALUES ('x', '1', 1), ('y', '1', 9);"
    for policy, code in (("delete", 3), ("null", 3), ("keep", 0)):
        with Copy(of_two, rows, IDS + "orphans: %s\n" % policy + ALL) as copy:
            printed = copy.run("analyze", expect=code)
            assert ("1 row refers by several columns" in printed) == (code == 3), printed
    schema = "CREATE TABLE users (id TEXT PRIMARY KEY); CREATE TABLE notes (id TEXT PRIMARY KEY, u TEXT, doc JSON);"
    rows = "INSERT INTO users VALUES ('1'); INSERT INTO notes VALUES ('a', 'U#1', '{\"i\": [{\"p\": \"1\"}]}'), ('b', NULL, NULL);"
    for said, found in (('u: {to: users, as: "U#{id}"}', True), ('u: {to: users, as: "V#{id}"}', False),
                        ('"doc.i[].p": users', True), ('"doc.j[].p": users', False)):
        with Copy(schema, rows, IDS + "references: {notes: {%s}}\n" % said + ALL) as copy:
            printed = copy.run("analyze")
            assert ("finds no id of users in any of 1 value" in printed) == (not found), printed


def a_key_of_several_columns_refers_to_its_own_table():
    schema = "CREATE TABLE n (t TEXT, id TEXT, up TEXT, PRIMARY KEY (t, id), FOREIGN KEY (t, up) REFERENCES n (t, id));"
    with Copy(schema, "INSERT INTO n VALUES ('t', 'a', NULL), ('t', 'b', 'a'), ('t', 'c', 'b')", IDS + ALL) as copy:
        copy.run("run", "--yes")
        are(copy.of("n"), sorted([("t", made("n", "a"), None), ("t", made("n", "b"), made("n", "a")), ("t", made("n", "c"), made("n", "b"))]))
        are(copy.ask("prod", "PRAGMA foreign_key_check"), [])


PARENT = "CREATE TABLE par (id TEXT PRIMARY KEY);"
AB = "CREATE TABLE a (id TEXT PRIMARY KEY); CREATE TABLE b (id TEXT PRIMARY KEY);"
ONE_TWO = "INSERT INTO a VALUES ('1'), ('2'); INSERT INTO b VALUES ('1'), ('2');"


def a_reference_that_only_the_target_declares_has_to_be_said():
    source = PARENT + "CREATE TABLE kid (id TEXT PRIMARY KEY, p TEXT);"
    target = PARENT + "CREATE TABLE kid (id TEXT PRIMARY KEY, p TEXT REFERENCES par (id));"
    rows = "INSERT INTO par VALUES ('1'); INSERT INTO kid VALUES ('k', '1');"
    with Copy(source, rows, IDS + ALL, target) as copy:
        expect_words(copy.run("analyze", expect=3), "prod/kid.p refers to prod/par, whose rows get new ids", "references: {kid: {p: par}}")
        copy.run("run", "--yes", expect=3)
    with Copy(source, rows, IDS + "references: {kid: {p: par}}\n" + ALL, target) as copy:
        copy.run("run", "--yes")
        are(copy.of("kid"), [(made("kid", "k"), made("par", "1"))])
    with Copy(source, rows, "on_conflict: skip\n" + ALL, target) as copy:
        copy.run("run", "--yes")
        are(copy.of("kid"), [("k", "1")], "without new ids")


def what_a_table_says_itself_goes_before_a_pattern():
    schema = AB + "CREATE TABLE e (id TEXT PRIMARY KEY, c TEXT%s); CREATE TABLE f (id TEXT PRIMARY KEY, c TEXT);"
    rows = ONE_TWO + "INSERT INTO e VALUES ('x', '1'); INSERT INTO f VALUES ('y', '1');"
    for declared, said in (("", '{"*": {c: a}, e: {c: b}}'), ("", '{e: {c: b}, "*": {c: a}}'), (" REFERENCES b (id)", '{"*": {c: a}}')):
        with Copy(schema % declared, rows, IDS + "references: %s\n" % said + ALL) as copy:
            copy.run("run", "--yes")
            are(copy.of("e"), [(made("e", "x"), made("b", "1"))], said)
            are(copy.of("f"), [(made("f", "y"), made("a", "1"))], said)


def of_several_texts_around_an_id_the_one_that_says_most_holds():
    schema = AB + "CREATE TABLE e (id TEXT PRIMARY KEY, k TEXT);"
    rows = ONE_TWO + "INSERT INTO e VALUES ('x', 'U#1'), ('y', 'U#2#META'), ('z', 'B#1#U#'), ('w', 'plain');"
    new = [(made("e", "x"), "U#" + made("a", "1")), (made("e", "y"), "U#%s#META" % made("a", "2")),
           (made("e", "z"), "B#%s#U#" % made("b", "1")), (made("e", "w"), "plain")]
    said = ['{to: a, as: "U#{id}#META"}', '{to: a, as: "U#{id}"}', '{to: b, as: "B#{id}#U#"}']
    for order in (said, said[::-1]):
        for orphans in ("fail", "delete"):
            with Copy(schema, rows, IDS + "orphans: %s\nreferences: {e: {k: [%s]}}\n" % (orphans, ", ".join(order)) + ALL) as copy:
                copy.run("run", "--yes")
                are(copy.of("e"), sorted(new), orphans)


def a_key_with_several_ids_inside_is_referred_to():
    schema = AB + "CREATE TABLE ent (pk TEXT PRIMARY KEY); CREATE TABLE kid (id TEXT PRIMARY KEY, e TEXT REFERENCES ent (pk), f TEXT);"
    rows = ONE_TWO + "INSERT INTO ent VALUES ('U#1'), ('U#1#META'); INSERT INTO kid VALUES ('x', 'U#1', 'E:U#1#META'), ('y', 'U#1#META', 'E:U#1');"
    said = 'references: {ent: {pk: [{to: a, as: "U#{id}"}, {to: a, as: "U#{id}#META"}]}, kid: {f: {to: ent, as: "E:{id}"}}}\n'
    with Copy(schema, rows, IDS + said + ALL) as copy:
        copy.run("run", "--yes")
        one = made("a", "1")
        are(copy.of("ent"), sorted([("U#" + one,), ("U#%s#META" % one,)]))
        are(copy.of("kid"), sorted([(made("kid", "x"), "U#" + one, "E:U#%s#META" % one), (made("kid", "y"), "U#%s#META" % one, "E:U#" + one)]))


def what_cannot_be_meant_is_refused_by_the_plan():
    schema = AB + "CREATE TABLE e (id TEXT PRIMARY KEY, c TEXT, m TEXT UNIQUE); CREATE TABLE g (id TEXT PRIMARY KEY, m TEXT REFERENCES e (m));"
    cases = ((IDS + "references: {e: {c: [a, b]}}\n" + ALL, "cannot lead to a and to b"),
             (IDS + 'references: {"e*": {cc: a}}\n' + ALL, "no table that `e*` names has a column `cc`"),
             (IDS + ALL.replace('names: ["*"]', 'names: ["*"], mask: {m: email}').replace('["*"]', "[e]")
              + '  - {from: "dev/{name}", to: "prod/{name}", create: exists, names: [a, b, g]}\n', "g refers to `m` by `m`"),
             (IDS + "references: {e: {c: a}}\n" + ALL.replace('names: ["*"]', "names: [e], mask: {c: name}")
              + '  - {from: "dev/{name}", to: "prod/{name}", create: exists, names: [a, b, g]}\n', "`c` refers to a"))
    for plan, problem in cases:
        plan = plan.replace("sync: none\n", "") + "sync: none\n"
        with Copy(schema, "", plan) as copy:
            expect_words(copy.run("check", expect=2), problem)
    twice = IDS + """tables:
  - {from: dev/a, to: prod/a2, create: exists, as: second}
  - {from: dev/a, to: prod/a, create: exists}
  - {from: dev/u, to: prod/u, create: exists}
sync: none
"""
    schema = "CREATE TABLE a (id TEXT PRIMARY KEY); CREATE TABLE a2 (id TEXT PRIMARY KEY); CREATE TABLE u (id TEXT PRIMARY KEY, a TEXT REFERENCES a (id));"
    with Copy(schema, "", twice) as copy:
        expect_words(copy.run("check", expect=2), "u refers to a by a, and `second` and `a` are both made of it", "references: {u: {a: second}}")
    hidden = "ids: {column: id, from: [name, id, prod]}\n" + ALL.replace('names: ["*"]', 'names: [e], mask: {m: email}') + """  - {from: dev/g, to: prod/g, create: exists, same: [id], rest: drop}
"""
    other = "CREATE TABLE e (id TEXT PRIMARY KEY, m TEXT UNIQUE); CREATE TABLE g (id TEXT PRIMARY KEY, m TEXT REFERENCES e (m));"
    with Copy(other, "", hidden.replace("sync: none\n", "") + "sync: none\n") as copy:
        copy.run("check")  # what refers to it does not go along
    with Copy(schema, "INSERT INTO a VALUES ('1'); INSERT INTO u VALUES ('x', '1')", "references: {u: {a: a}}\n" + twice) as copy:
        copy.run("run", "--yes")
        are(copy.ask("prod", "PRAGMA foreign_key_check"), [])


TESTS = [a_target_that_is_gone_is_named_by_verify, a_key_of_several_columns_refers_to_its_own_table, a_reference_that_only_the_target_declares_has_to_be_said,
         what_a_table_says_itself_goes_before_a_pattern, of_several_texts_around_an_id_the_one_that_says_most_holds,
         a_key_with_several_ids_inside_is_referred_to, what_cannot_be_meant_is_refused_by_the_plan, what_a_reference_cannot_do_is_told, tables_are_called_alike_whichever_line_means_them, levels_know_every_relation, without_its_book_nothing_is_taken_away,
         a_broken_reference_hides_no_difference,
         a_relation_is_kept_through_every_kind_of_key, a_reference_of_a_table_that_the_plan_does_not_have_is_a_mistake,
         a_source_that_is_gone_takes_nothing_of_others_along, a_null_does_not_become_a_key, what_the_application_wrote_beside_stays,
         a_row_that_the_application_has_changed_stops_nothing, an_orphan_that_came_after_the_analysis_is_not_written,
         numbers_of_a_book_that_an_earlier_release_has_begun_are_read]

if __name__ == "__main__":
    main(*TESTS)

"""Copies among rows of others: what is taken (`where`), what an equal key does (`on_conflict`), what refers to nothing
(`orphans`), and ids that stand inside of values."""
import json
import random
import subprocess

from pair import BINARY, REFUSED, Copying, are, main, new_id

PLAN = """whimbrel: 1
migration: copy
stores: {dev: "sqlite:dev.db", prod: "sqlite:prod.db"}
%s
tables:
  - {from: "dev/{name}", to: "prod/{name}", create: exists, names: ["*"]}
sync: none
verify: {references: true}
"""
TABLES = """CREATE TABLE people (id TEXT PRIMARY KEY, name TEXT, mail TEXT, age INTEGER);
CREATE TABLE notes (id TEXT PRIMARY KEY, person TEXT REFERENCES people (id), text TEXT);"""


class Copy(Copying):
    def __init__(self, top, tables=TABLES, rows=(), theirs=(), plan=PLAN):
        super().__init__()
        (self.folder / "plan.yaml").write_text(plan % top)
        for name, all_rows in (("dev", rows), ("prod", theirs)):
            connection = self.connect(name)
            connection.executescript(tables)
            for sql, values in all_rows:
                connection.execute(sql, values)
            connection.commit()
            connection.close()


PERSON = "INSERT INTO people VALUES (?, ?, ?, ?)"
NOTE = "INSERT INTO notes VALUES (?, ?, ?)"
OURS = [(PERSON, ("a", "Ann", None, 30)), (PERSON, ("b", "Bob", "bob@new", 40)), (PERSON, ("c", "Cy", "cy@new", None))]
THEIRS = [(PERSON, ("b", "Robert", "bob@old", 41)), (PERSON, ("c", "Cyril", None, 9)), (PERSON, ("z", "Zoe", "z@z", 1))]
BEFORE = [row for _, row in THEIRS]


def an_equal_key_is_treated_as_the_plan_says():
    wanted = {"skip": [("a", "Ann", None, 30), ("b", "Robert", "bob@old", 41), ("c", "Cyril", None, 9)],
              "overwrite": [("a", "Ann", None, 30), ("b", "Bob", "bob@new", 40), ("c", "Cy", "cy@new", None)],
              "merge": [("a", "Ann", None, 30), ("b", "Bob", "bob@new", 40), ("c", "Cy", "cy@new", 9)]}
    for policy, rows in wanted.items():
        with Copy("on_conflict: " + policy, rows=OURS, theirs=THEIRS) as copy:
            printed = copy.run("analyze")
            assert "2 rows" in printed, printed
            for _ in range(2):  # running twice gives the same
                copy.run("run", "--yes")
                are(copy.ask("prod", "SELECT * FROM people ORDER BY id"), rows + [("z", "Zoe", "z@z", 1)], policy)
            copy.run("verify")
            copy.ask("dev", "UPDATE people SET age = 77 WHERE id = 'b'")
            copy.ask("dev", "DELETE FROM people WHERE id = 'c'")
            copy.run("run", "--yes")
            age, theirs = (41 if policy == "skip" else 77), copy.ask("prod", "SELECT * FROM people WHERE id = 'c'")
            are(copy.ask("prod", "SELECT age FROM people WHERE id = 'b'"), [(age,)], policy)
            are(theirs, [("c", "Cyril", None, 9)], policy + ": ours is gone, theirs is back")
            copy.ask("prod", "UPDATE people SET name = 'changed since' WHERE id = 'a'")
            copy.run("rollback", "--yes")
            are(copy.ask("prod", "SELECT * FROM people ORDER BY id"), [("a", "changed since", None, 30)] + BEFORE, policy)


def without_a_word_an_equal_key_is_refused_before():
    with Copy("ids: {from: [name, id]}", rows=OURS, theirs=[(PERSON, (new_id_of("people", "b"), "x", "y", 1))]) as copy:
        printed = copy.run("run", "--yes", expect=REFUSED)
        assert "on_conflict: skip" in printed, printed
        are(copy.ask("prod", "SELECT count(*) FROM people"), [(1,)])


def new_id_of(table, old):
    """Without a third part."""
    return new_id(table, old, target=None)


def conditions_choose_rows_and_references_are_closed_over():
    rows = [(PERSON, ("p%d" % i, "n%d" % i, None, i)) for i in range(50)]
    rows += [(NOTE, ("n%d" % i, "p%d" % i, "t")) for i in range(50)] + [(NOTE, ("alone", None, "t"))]
    top = """orphans: %s
tables:
  - {from: dev/people, to: prod/people, where: {age: {at_least: 10, below: 20}, name: {not: [n12]}}}
  - {from: dev/notes, to: prod/notes}
references: {notes: {person: people}}
sync: none
verify: {references: true}
"""
    plan = PLAN.split("%s")[0] + "%s"
    kept = {"p%d" % i for i in range(10, 20)} - {"p12"}
    for policy, count in (("delete", 10), ("null", 51), ("reject", 10), ("keep", 51), ("{assign: p15}", 51)):
        with Copy(top % policy, rows=rows, plan=plan) as copy:
            copy.run("run", "--yes")
            are({row[0] for row in copy.ask("prod", "SELECT id FROM people")}, kept)
            notes = dict(copy.ask("prod", "SELECT id, person FROM notes"))
            are(len(notes), count, policy)
            led = {"null": None, "keep": "p3", "{assign: p15}": "p15"}
            if count == 51:
                are(notes["n3"], led[policy], policy)
            are(notes["n11"], "p11")
            are(copy.ask("prod", "SELECT count(*) FROM notes WHERE id = 'alone'"), [(1,)])
            if policy == "reject":
                rejected = (copy.folder / ".whimbrel" / "copy" / "rejected.jsonl").read_text()
                assert "n3" in rejected and "p3" in rejected, rejected[:300]
            copy.run("verify")
            copy.ask("dev", "UPDATE people SET age = 99 WHERE id = 'p11'")  # it is no longer taken
            copy.run("run", "--yes")
            are(copy.ask("prod", "SELECT count(*) FROM people WHERE id = 'p11'"), [(0,)])
            copy.run("rollback", "--yes")
            are(copy.ask("prod", "SELECT count(*) FROM people"), [(0,)])
    with Copy(top % "fail", rows=rows, plan=plan) as copy:
        printed = copy.run("run", "--yes", expect=REFUSED)
        assert "41 rows" in printed and "delete" in printed, printed


def ids_inside_of_values_are_followed():
    tables = TABLES + "CREATE TABLE bags (id TEXT PRIMARY KEY, pk TEXT, content JSON, tags TEXT);"
    content = '{ "big": 12345678901234567890.10, "items": [ {"person": "a", "n": 1.50}, {"person":"b"}, {"person": null}, {} ], "x": "a" }'
    rows = OURS + [("INSERT INTO bags VALUES (?, ?, ?, ?)", ("1", "PERSON#b#X", content, '["a","b"]')),
                   ("INSERT INTO bags VALUES (?, ?, ?, ?)", ("2", "OTHER#b", None, "[]"))]
    top = """ids: {format: uuid, from: [name, id, "prod"]}
references:
  bags: {"content.items[].person": people, "tags[]": people, pk: [{to: people, as: "PERSON#{id}#X"}]}
"""
    with Copy(top, tables=tables, rows=rows) as copy:
        copy.run("test", "bags", "--limit", "1", "--yes")
        are(copy.ask("prod", "SELECT count(*) FROM people"), [(0,)])
        copy.run("run", "--yes")

        def person(old):
            return new_id("people", old, form="uuid")
        (first, second) = (copy.ask("prod", "SELECT pk, content, tags FROM bags WHERE id = ?", new_id("bags", one, form="uuid"))[0] for one in "12")
        are(first, ("PERSON#%s#X" % person("b"), content.replace('"person": "a"', '"person": "%s"' % person("a"))
                    .replace('"person":"b"', '"person":"%s"' % person("b")), json.dumps([person("a"), person("b")], separators=(",", ":"))))
        are(second, ("OTHER#b", None, "[]"))
        copy.run("verify")
        copy.run("rollback", "--yes")
    rows[-2] = (rows[-2][0], ("1", "PERSON#gone#X", content, '["a","nobody"]'))
    with Copy(top, tables=tables, rows=rows) as copy:
        printed = copy.run("analyze", expect=REFUSED)
        assert "tags[] refers to 'nobody'" in printed and "'gone'" in printed, printed


def personal_data_is_masked_and_keeps_its_format():
    tables = "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT, mail TEXT UNIQUE, phone TEXT UNIQUE, profile JSON, office INTEGER);"
    people = [(i, "Ann-Marie O'Neil %s" % "é" if i % 2 else "bob", "p%d@corp.org" % i, "+49 (30) %07d" % i, '{"contact": {"mail": "p%d@corp.org"}, "x": 1.10}' % i, 1000 + i)
              for i in range(3000)] + [(5000, None, None, None, None, None), (5001, "", "", "", "{}", 7)]
    top = """tables:
  - {from: dev/people, to: prod/people, mask: {name: name, mail: email, phone: phone, profile.contact.mail: email, office: phone}}
sync: none
%s"""
    plan = PLAN.split("%s")[0] + "%s"
    with Copy(top % "", tables=tables, rows=[("INSERT INTO people VALUES (?, ?, ?, ?, ?, ?)", row) for row in people], plan=plan) as copy:
        copy.run("run", "--yes")
        rows = copy.ask("prod", "SELECT * FROM people ORDER BY id")
        are(len(rows), len(people))
        for (number, name, mail, phone, profile, office), old in zip(rows, people):
            are(number, old[0])
            if number >= 5000:
                are((name, mail, phone, profile), old[1:5])
                continue
            assert [len(word) for word in name.split(" ")] == [len(word) for word in old[1].split(" ")] and name != old[1], name
            assert name[0].isupper() == old[1][0].isupper(), name
            local, domain = mail.split("@")
            assert domain == "example.com" and len(local) == 16 and local.isalnum(), mail
            assert phone[:1] + phone[3:5] == "+ (" and phone[7:9] == ") " and len(phone) == len(old[3]), phone
            are(profile, old[4].replace(old[2], mail))
            assert 1000 <= office <= 9999, office
        are(len({row[3] for row in rows}), len({row[3] for row in people}), "no two numbers became one")
        for old in people[:2000]:
            assert old[3] not in {row[3] for row in rows if row[0] == old[0]}, old
        copy.run("verify")
    made = top.replace("mask:", "columns: {mail: \"<{mail}>\"}, rest: drop, mask:")
    with Copy(made % "", tables=tables, plan=plan) as copy:
        printed = copy.run("check", expect=2)
        assert "which `mask` is to hide" in printed, printed


def sqlite(top, tables, rows=(), theirs=(), target=None):
    """A plan whose `tables:` are in `top`."""
    copy = Copy(top, tables=tables, rows=rows, plan=PLAN.split("%s")[0] + "%s\nsync: none\n")
    connection = copy.connect("prod")
    if target is not None:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'").fetchall():
            connection.execute("DROP TABLE " + name)
        connection.executescript(target)
    for sql, values in theirs:
        connection.execute(sql, values)
    connection.commit()
    connection.close()
    return copy


ONE = "tables: [{from: dev/p, to: prod/p%s}]\n"
P = "CREATE TABLE p (id INTEGER PRIMARY KEY, mail TEXT UNIQUE, note TEXT);"
INTO_P = "INSERT INTO p VALUES (?, ?, ?)"


def no_way_leads_around_a_mask():
    """Not by another row's lookup, not by a group, and not by a list where the path expects none."""
    tables = TABLES + "CREATE TABLE bags (id TEXT PRIMARY KEY, kind TEXT, content JSON);"
    plan = PLAN.split("%s")[0] + """tables:
  - {from: dev/people, to: prod/people, create: exists, mask: {mail: email}}
  - {from: dev/notes, to: prod/notes, create: exists, columns: {id: id, person: person, text: %s}}
  - {from: dev/bags, to: prod/bags, create: exists%s}
sync: none
"""
    bag = "INSERT INTO bags VALUES (?, ?, ?)"
    for text, bags, refusal in (("{lookup: mail, in: people, by: person}", "", "`lookup` gives `mail` of people"),
                                ("text", ", mask: {content: phone}, group: kind, columns: {id: kind, content: {collect: content, by: id}}", "`collect` gives `content` of bags")):
        with Copy((text, bags), tables=tables, rows=OURS, plan=plan) as copy:
            printed = copy.run("check", expect=2)
            assert refusal in printed and "`mask` is to hide" in printed, printed
    for content, code in (('{"mail": "a@b.org"}', 0), ('{"mail": ["a@b.org"]}', REFUSED), ('[{"mail": "a@b.org"}]', REFUSED), ('{"mail": {"home": "a@b.org"}}', REFUSED),
                          ('{"mail": null}', 0), ('{"mail": []}', 0), ('{}', 0)):
        with Copy(("text", ', mask: {"content.mail": email}'), tables=tables, rows=OURS + [(bag, ("1", "k", content))], plan=plan) as copy:
            printed = copy.run("run", "--yes", expect=code)
            assert code == 0 or "would stay as it is" in printed, printed
            assert "a@b.org" not in str(copy.ask("prod", "SELECT content FROM bags"))


def a_group_that_refers_to_what_stays_behind_is_told():
    plan = PLAN.split("%s")[0] + """tables:
  - {from: dev/people, to: prod/people, create: exists, where: {age: {below: 35}}}
  - {from: dev/notes, to: prod/notes, create: exists%s, group: text, columns: {id: text, text: {collect: person, by: id}}}
sync: none
"""
    rows = OURS + [(NOTE, ("n1", "a", "x")), (NOTE, ("n2", "b", "x"))]
    with Copy("", rows=rows, plan=plan) as copy:
        printed = copy.run("check", expect=2)
        assert "what rows of a group hold is not followed" in printed, printed
    with Copy(", orphans: keep", rows=rows, plan=plan) as copy:
        copy.run("run", "--yes")
        are(copy.ask("prod", "SELECT * FROM notes"), [("x", None, '{"n1":"a","n2":"b"}')])


def a_rollback_puts_back_values_that_have_to_be_unique():
    ours = [(INTO_P, (i, "m%d" % {2: 900, 900: 2}.get(i, i), "ours")) for i in range(1, 1001)]
    theirs = [(INTO_P, (i, "m%d" % i, "theirs")) for i in range(1, 1001)]
    with sqlite(ONE % "" + "on_conflict: overwrite", P, ours, theirs) as copy:
        copy.run("run", "--yes")
        are(copy.ask("prod", "SELECT mail, note FROM p WHERE id = 2"), [("m900", "ours")])
        copy.run("rollback", "--yes")
        are(copy.ask("prod", "SELECT * FROM p ORDER BY id"), [row for _, row in theirs])
    with sqlite(ONE % "" + "on_conflict: overwrite", P, [(INTO_P, (1, "new", "ours")), (INTO_P, (2, "x", "ours"))], [(INTO_P, (1, "old", "theirs"))]) as copy:
        copy.run("run", "--yes")
        copy.ask("prod", "INSERT INTO p VALUES (3, 'old', 'took it')")
        printed = copy.run("rollback", "--yes", expect=1)
        assert "the row 3 has a value by now that has to be unique" in printed, printed
        are(copy.ask("prod", "SELECT * FROM p ORDER BY id"), [(1, "new", "ours"), (3, "old", "took it")])
        copy.ask("prod", "UPDATE p SET mail = 'other' WHERE id = 3")
        copy.run("rollback", "--yes")
        are(copy.ask("prod", "SELECT * FROM p ORDER BY id"), [(1, "old", "theirs"), (3, "other", "took it")])


def a_unique_value_of_others_is_told_before():
    ours = [(INTO_P, (i, "m%d" % i, "ours")) for i in range(1, 6001)]
    for policy in ("skip", "overwrite", "merge"):
        top = ONE % "" + "on_conflict: " + policy
        theirs = [(INTO_P, (9001, "m5000", "theirs")), (INTO_P, (9002, "free", "theirs")), (INTO_P, (9003, None, "theirs"))]
        theirs.append((INTO_P, (7, "m7", "theirs")))  # its key is told of, not its mail
        with sqlite(top, P, ours, theirs) as copy:
            printed = copy.run("analyze", expect=REFUSED)
            assert "9001" in printed and "p.mail" in printed and "9002" not in printed, printed
            printed = copy.run("run", "--yes", expect=REFUSED)
            are(copy.ask("prod", "SELECT * FROM p ORDER BY id"), sorted(row for _, row in theirs), "nothing is changed")
            copy.ask("prod", "UPDATE p SET mail = 'other' WHERE id = 9001")
            copy.run("run", "--yes")
            are(copy.ask("prod", "SELECT count(*) FROM p"), [(6003,)])


def unique_values_may_change_places():
    with sqlite(ONE % "" + "on_conflict: overwrite", P, [(INTO_P, (i, "m%d" % i, None)) for i in range(1, 3000)]) as copy:
        copy.run("run", "--yes")
        for sql in ("UPDATE p SET mail = 'x' WHERE id = 1", "UPDATE p SET mail = 'm1' WHERE id = 2999", "UPDATE p SET mail = 'm2999' WHERE id = 1"):
            copy.ask("dev", sql)
        copy.run("run", "--yes")
        are(copy.ask("prod", "SELECT id, mail FROM p WHERE id IN (1, 2999)"), [(1, "m2999"), (2999, "m1")])


def what_somebody_did_to_our_rows_is_told():
    with sqlite(ONE % "" + "on_conflict: overwrite", P, [(INTO_P, (i, "m%d" % i, None)) for i in range(1, 101)], [(INTO_P, (1, "theirs", "n"))]) as copy:
        copy.run("run", "--yes")
        copy.ask("prod", "DELETE FROM p WHERE id > 90")
        copy.ask("prod", "UPDATE p SET note = 'mine' WHERE id = 50")
        copy.ask("dev", "UPDATE p SET note = 'later' WHERE id = 60")
        printed = copy.run("verify", expect=1)
        assert "11 differ" in printed and "1 wait to be carried over" in printed, printed
        copy.ask("prod", "DELETE FROM p WHERE id IN (1, 50)")
        copy.ask("dev", "DELETE FROM p WHERE id = 1")
        copy.run("run", "--yes")
        are(copy.ask("prod", "SELECT count(*) FROM p WHERE id = 1"), [(0,)], "it was removed on both sides")
        are(copy.ask("prod", "SELECT note FROM p WHERE id = 60"), [("later",)])


def a_table_that_the_copy_made_stays_while_others_have_rows_in_it():
    for inserts in (True, False):
        with sqlite("tables: [{from: dev/p, to: prod/p, create: like-source, where: {id: {below: 5}}}]", P, [(INTO_P, (i, None, None)) for i in range(9)], target="") as copy:
            copy.run("run", "--yes")
            if inserts:
                copy.ask("prod", "INSERT INTO p VALUES (99, 'theirs', NULL)")
            copy.run("rollback", "--yes")
            are(copy.ask("prod", "SELECT name FROM sqlite_master WHERE name = 'p'"), [("p",)] if inserts else [])
            if inserts:
                are(copy.ask("prod", "SELECT * FROM p"), [(99, "theirs", None)])


def what_a_trigger_of_the_target_made_of_a_row_goes_with_it():
    target = P + "CREATE TRIGGER upper AFTER INSERT ON p WHEN new.id > 5 BEGIN UPDATE p SET note = upper(note) WHERE id = new.id; END;"
    with sqlite(ONE % ", where: {id: {above: 0}}", P, [(INTO_P, (i, None, "text")) for i in range(1, 11)], target=target) as copy:
        copy.run("run", "--yes")
        are(copy.ask("prod", "SELECT DISTINCT note FROM p"), [("text",)])
        copy.run("rollback", "--yes")
        are(copy.ask("prod", "SELECT count(*) FROM p"), [(0,)])
    target = target.replace("AFTER INSERT", "AFTER UPDATE")
    with sqlite(ONE % "" + "on_conflict: overwrite", P, [(INTO_P, (9, None, "text"))], [(INTO_P, (9, None, "theirs"))], target=target) as copy:
        copy.run("run", "--yes", expect=1)  # what the trigger makes of it is not what the plan says
        copy.run("rollback", "--yes")
        are(copy.ask("prod", "SELECT note FROM p"), [("THEIRS",)])


def keys_of_every_kind_lead_their_references():
    tables = """CREATE TABLE users (id INTEGER PRIMARY KEY, mail TEXT UNIQUE);
CREATE TABLE profiles (id INTEGER PRIMARY KEY REFERENCES users (id), country TEXT REFERENCES countries (code));
CREATE TABLE countries (code TEXT PRIMARY KEY);
CREATE TABLE pics (id INTEGER PRIMARY KEY, profile INTEGER REFERENCES profiles (id), mail TEXT REFERENCES users (mail));"""
    target = tables.replace("id INTEGER PRIMARY KEY", "id TEXT PRIMARY KEY").replace("profile INTEGER", "profile TEXT")
    rows = [("INSERT INTO users VALUES (1, 'u@x')", ()), ("INSERT INTO countries VALUES ('DE')", ()), ("INSERT INTO profiles VALUES (1, 'DE')", ()),
            ("INSERT INTO pics VALUES (9, 1, 'u@x')", ())]
    top = 'ids: {from: [name, id, "prod"]}\ntables: [{from: "dev/{name}", to: "prod/{name}", names: ["*"]}]\nverify: {references: true}'
    with sqlite(top, tables, rows, target=target) as copy:
        copy.run("run", "--yes")
        user = new_id("users", "1")
        are(copy.ask("prod", "SELECT * FROM profiles"), [(user, "DE")], "one key, one id")
        are(copy.ask("prod", "SELECT * FROM pics"), [(new_id("pics", "9"), user, "u@x")])
        are(copy.ask("prod", "PRAGMA foreign_key_check"), [])
    for policy, left in (("delete", [("k", "a")]), ("null", [("k", "a"), ("l", None)]), ("reject", [("k", "a")])):
        tables = "CREATE TABLE a (id TEXT PRIMARY KEY, n INTEGER); CREATE TABLE b (id TEXT PRIMARY KEY, a TEXT REFERENCES a (id));"
        rows = [("INSERT INTO a VALUES ('a', '1'), ('w', 'wrong')", ()), ("INSERT INTO b VALUES ('k', 'a'), ('l', 'w')", ())]
        with sqlite("tables: [{from: dev/a, to: prod/a, columns: {n: {cast: n, to: integer}}, same: [id], on_error: reject}, {from: dev/b, to: prod/b}]\norphans: " + policy, tables, rows) as copy:
            copy.run("run", "--yes")
            are(copy.ask("prod", "SELECT * FROM b ORDER BY id"), left, policy + ": what is set aside is not there")


def circles_of_references_end():
    tables = """CREATE TABLE a (id INTEGER PRIMARY KEY, a INTEGER REFERENCES a (id), b INTEGER REFERENCES b (id));
CREATE TABLE b (id INTEGER PRIMARY KEY, a INTEGER REFERENCES a (id), b INTEGER REFERENCES b (id));"""
    rows = [("INSERT INTO %s VALUES (?, ?, ?)" % t, (i, (i + 1) % 20, (i + 7) % 20)) for t in "ab" for i in range(20)]
    with sqlite("tables: [{from: dev/a, to: prod/a}, {from: dev/b, to: prod/b}]\norphans: delete", tables, rows) as copy:
        copy.run("run", "--yes")
        are(copy.ask("prod", "SELECT (SELECT count(*) FROM a), (SELECT count(*) FROM b)"), [(20, 20)])


def odd_values_are_refused_and_not_cut_off():
    tables = "CREATE TABLE p (id INTEGER PRIMARY KEY, doc TEXT, mail TEXT);"
    for doc in ("\ufeff{\"mail\": \"a@x\"}", "{\"p\": 1}\0rest", "[" * 100_000 + "]" * 100_000):
        with sqlite(ONE % ", mask: {doc.mail: email}", tables, [(INTO_P, (1, doc, None))]) as copy:
            printed = copy.run("run", "--yes", expect=REFUSED)
            assert "JSON" in printed or "the path leads to a list" in printed, printed[:500]
    with sqlite(ONE % ", same: [id, MAIL], rest: drop, mask: {mail: email}", tables, [(INTO_P, (1, None, "ada@corp.org"))]) as copy:
        copy.run("run", "--yes")
        assert copy.ask("prod", "SELECT mail FROM p")[0][0].endswith("@example.com")
    for top, words in (("where: {id: []}", "an empty list"), ("where: {id: {}}", "nothing is asked of `id`"), ("where: {}", "no condition at all"),
                       ("where: {id: {abov: 1}}", "did you mean `above`?"), ("where: {id: {above: null}}", "more or less than null")):
        with sqlite(ONE % (", " + top), tables) as copy:
            printed = copy.run("check", expect=2)
            assert words in printed, printed
    with sqlite("tables: [{from: dev/p, to: prod/p}, {from: dev/c, to: prod/c}]\norphans: {assign: 77}", tables + "CREATE TABLE c (id INTEGER PRIMARY KEY, p INTEGER REFERENCES p (id));") as copy:
        printed = copy.run("run", "--yes", expect=REFUSED)
        assert "names 77 of p" in printed, printed


def references_that_nobody_has_said_are_asked_for():
    tables = """CREATE TABLE contacts (id TEXT PRIMARY KEY, name TEXT);
CREATE TABLE addresses (id TEXT PRIMARY KEY, street TEXT);
CREATE TABLE deals (id TEXT PRIMARY KEY, agentContactId TEXT, place TEXT, state TEXT, pages INTEGER, lost TEXT);"""
    rows = [("INSERT INTO contacts VALUES (?, ?)", ("c-%03d" % i, "n")) for i in range(60)]
    rows += [("INSERT INTO addresses VALUES (?, ?)", ("a-%03d" % i, "s")) for i in range(60)]
    rows += [("INSERT INTO deals VALUES (?, ?, ?, ?, ?, ?)",
              ("d-%03d" % i, "c-%03d" % (i * 7 % 60) if i != 5 else "c-gone", "a-%03d" % (i * 11 % 60), "open", i, "c-%03d" % (i + 50)))
             for i in range(60)]
    top = "ids: {from: [name, id]}\nreferences: {deals: {place: addresses}}\norphans: keep\n"
    with Copy(top, tables=tables, rows=rows) as copy:
        printed = copy.run("analyze")
        assert "agentContactId looks like a reference to contacts" in printed, printed
        assert "`references: {deals: {agentContactId: contacts}}`" in printed, printed
        are(printed.count("              hint: `references:"), 1, "neither what was said nor what is too often missing")
        asked = subprocess.run([BINARY, "init", "sqlite:%s" % (copy.folder / "dev.db")], capture_output=True, text=True, timeout=60)
        for line in ("#     deals:", "#       agentContactId: contacts  # 49 of 50", "#       place: addresses  # 50 of 50"):
            assert line in asked.stdout, (line, asked.stdout)


def what_is_left_out_takes_along_what_refers_to_it():
    """Rows that refer to rows of their own chunk, in chains and in circles."""
    tables = """CREATE TABLE p (id INTEGER PRIMARY KEY, n INTEGER, up INTEGER REFERENCES p (id), q INTEGER REFERENCES q (id));
CREATE TABLE q (id INTEGER PRIMARY KEY, p INTEGER REFERENCES p (id));"""
    lines = 'tables:\n  - {from: dev/p, to: prod/p, where: {n: {not: 0}}}\n  - {from: dev/q, to: prod/q}\n'
    head, tail = PLAN.split("tables:")[0], PLAN[PLAN.index("sync:"):]
    rng = random.Random(4)
    for policy in ("delete", "reject", "delete", "delete"):
        count = 400
        pick = lambda: rng.choice([None, rng.randrange(count), rng.randrange(count)])
        p = {i: (rng.randrange(12), i - 1 if 0 < i < 100 else pick(), pick() if i % 3 == 0 else None) for i in range(count)}
        q = {i: pick() for i in range(count)}
        rows = [("INSERT INTO p VALUES (?, ?, ?, ?)", (i, *row)) for i, row in p.items()] + [("INSERT INTO q VALUES (?, ?)", row) for row in q.items()]
        left_p, left_q = {i for i in p if p[i][0] != 0}, set(q)
        while True:
            now_p = {i for i in left_p if p[i][1] in left_p | {None} and p[i][2] in left_q | {None}}
            now_q = {i for i in left_q if q[i] in left_p | {None}}
            if (now_p, now_q) == (left_p, left_q):
                break
            left_p, left_q = now_p, now_q
        with Copy("orphans: " + policy, tables=tables, rows=rows, plan=head + lines + tail) as copy:
            copy.run("run", "--yes")
            are({i for i, in copy.ask("prod", "SELECT id FROM p")}, left_p)
            are({i for i, in copy.ask("prod", "SELECT id FROM q")}, left_q)
            assert 3 < len(left_p) < count and len(left_q) < count, (len(left_p), len(left_q))
            are(copy.ask("prod", "PRAGMA foreign_key_check"), [])
            copy.run("verify")
            are(copy.run("report").count(" 0 there already"), 2)


def references_that_cannot_be_followed_are_refused_where_rows_stay_behind():
    tables = "CREATE TABLE a (x INTEGER, y INTEGER, PRIMARY KEY (x, y)); CREATE TABLE b (id INTEGER PRIMARY KEY, x INTEGER, y INTEGER, FOREIGN KEY (x, y) REFERENCES a (x, y));"
    rows = [("INSERT INTO a VALUES (?, ?)", (i, 1)) for i in range(4)] + [("INSERT INTO b VALUES (?, ?, 1)", (i, i)) for i in range(4)]
    with Copy("sample: {a: 1}", tables=tables, rows=rows) as copy:
        printed = copy.run("run", "--yes", expect=REFUSED)
        assert "b refers to a by x, y" in printed, printed
    with Copy("sample: {a: 1}\norphans: keep", tables=tables, rows=rows) as copy:
        copy.run("run", "--yes")
        are(copy.ask("prod", "SELECT (SELECT count(*) FROM a), (SELECT count(*) FROM b)"), [(1, 4)])


def a_long_list_of_values_is_no_trouble():
    rows = [(PERSON, ("p%d" % i, "n", None, i)) for i in range(1500)]
    plan = PLAN.replace("exists, names", "exists, where: {age: [%s]}, names" % ", ".join(map(str, range(1200)))).replace('["*"]', "[people]")
    with Copy("", rows=rows, plan=plan) as copy:
        copy.run("run", "--yes")
        are(copy.ask("prod", "SELECT count(*) FROM people"), [(1200,)])
        text = (copy.folder / "plan.yaml").read_text()
        (copy.folder / "plan.yaml").write_text(text.replace("where: {age: [0, ", "where: {age: ["))
        for verb in (["verify"], ["run", "--yes"]):
            assert "not the one this migration was started with" in copy.run(*verb, expect=REFUSED)


def a_rollback_gives_numbers_back():
    tables = "CREATE TABLE n (id INTEGER PRIMARY KEY AUTOINCREMENT, a); CREATE TABLE two (a TEXT, b INTEGER, c, PRIMARY KEY (a, b));"
    rows = [("INSERT INTO n VALUES (?, ?)", (i, "x")) for i in (50, 60, 70)] + [("INSERT INTO two VALUES ('x', 7, 'c')", ())]
    for somebody_came in (False, True):
        with Copy("on_conflict: skip", tables=tables, rows=rows, theirs=[("INSERT INTO n VALUES (?, ?)", (9, "theirs"))]) as copy:
            copy.run("run", "--yes")
            for asked in ("x,7", "x", "7"):  # the whole key, or a part of it
                assert "two  ('x', 7) → ('x', 7)" in copy.run("report", "--id", asked), copy.run("report", "--id", asked)
            copy.run("report", "--id", "y", expect=1)
            if somebody_came:
                copy.ask("prod", "INSERT INTO n (a) VALUES ('theirs')")
            copy.run("rollback", "--yes")
            are(copy.ask("prod", "SELECT seq FROM sqlite_sequence WHERE name = 'n'"), [(71,) if somebody_came else (9,)])
    with Copy("", tables=tables, rows=rows, plan=PLAN.replace("exists, names", "exists, where: {id: 50}, names").replace('["*"]', "[n]")) as copy:
        copy.run("run", "--yes")
        are(copy.ask("prod", "SELECT seq FROM sqlite_sequence WHERE name = 'n'"), [(50,)])


def what_a_second_run_would_meet_is_told_before():
    with Copy("", rows=OURS, plan=PLAN.replace("create: exists", "create: exists, where: {id: {not: q}}")) as copy:
        copy.run("run", "--yes")
        copy.ask("dev", PERSON, "z", "Zoe", None, 1)
        assert "would go ahead" in copy.run("analyze")
        copy.ask("prod", PERSON, "z", "of others", None, 1)
        printed = copy.run("analyze", expect=REFUSED)
        assert "has a row 'z' already" in printed and "1 row" in printed, printed
        copy.ask("prod", "UPDATE people SET age = 5 WHERE id = 'a'")  # ours, whoever has written there since
        assert "has a row 'a'" not in copy.run("analyze", expect=REFUSED)


def an_id_where_another_shape_stands_is_told():
    tables = "CREATE TABLE people (id TEXT PRIMARY KEY); CREATE TABLE notes (id TEXT PRIMARY KEY, doc TEXT);"
    rows = [("INSERT INTO people VALUES (?)", ("a",)), ("INSERT INTO notes VALUES (?, ?)", ("n", '{"who": ["a"]}')),
            ("INSERT INTO notes VALUES (?, ?)", ("m", '{"who": "a"}'))]
    ids = 'ids: {column: id, from: [name, id, "prod"]}\nreferences: {notes: {%s}}'
    with Copy(ids % "doc.who: people", tables=tables, rows=rows) as copy:
        assert "the path leads to a list" in copy.run("run", "--yes", expect=REFUSED)
    with Copy(ids % 'doc.who: people, "doc.who[]": people', tables=tables, rows=rows) as copy:
        copy.run("run", "--yes")
        new = new_id("people", "a")
        are(sorted(copy.ask("prod", "SELECT doc FROM notes")), sorted([('{"who": ["%s"]}' % new,), ('{"who": "%s"}' % new,)]))


def a_row_that_others_refer_to_goes_with_a_word():
    with Copy("on_conflict: skip", rows=OURS) as copy:
        copy.run("run", "--yes")
        copy.ask("prod", NOTE, "theirs", "b", "about Bob")
        copy.ask("prod", NOTE, "odd", "nobody", "of before")
        assert "refers to no row" not in copy.run("run", "--yes")
        copy.ask("dev", "DELETE FROM people WHERE id = 'b'")
        printed = copy.run("run", "--yes")
        assert "2 rows of notes refer to no row of people" in printed, printed
        assert "give the source its rows back" in printed, printed
        assert "refer to no row" not in copy.run("run", "--yes")


def other_rows_of_the_same_number_are_told():
    with Copy("on_conflict: skip", rows=OURS) as copy:
        copy.run("run", "--yes")
        copy.ask("prod", NOTE, "theirs", "b", "about Bob")
        copy.ask("prod", NOTE, "too", "c", "about Cy")
        copy.ask("dev", "DELETE FROM people WHERE id = 'b'")
        assert "1 row of notes refers to no row of people: 'theirs'" in copy.run("run", "--yes")
        copy.ask("dev", PERSON, *OURS[1][1])
        copy.ask("dev", "DELETE FROM people WHERE id = 'c'")
        assert "1 row of notes refers to no row of people: 'too'" in copy.run("run", "--yes")
        printed = copy.run("rollback", "--yes")
        assert "2 rows of notes refer to no row of people: 'theirs', 'too'" in printed and "rows of others" in printed, printed


def what_a_trial_leaves_dangling_is_told():
    with Copy("on_conflict: skip", rows=OURS) as copy:
        copy.run("test", "people", "--limit", "3", "--keep", "--yes")
        copy.ask("prod", NOTE, "theirs", "b", "about Bob")
        printed = copy.run("test", "people", "--limit", "1", "--yes")
        assert "1 row of notes refers to no row of people: 'theirs'" in printed, printed
        assert "refers to no row" not in copy.run("test", "people", "--limit", "1", "--yes")


def a_reference_by_a_part_of_a_key_is_not_passed_over():
    tables = """CREATE TABLE events (tenant TEXT, id TEXT, kind TEXT, PRIMARY KEY (tenant, id));
        CREATE TABLE guests (id TEXT PRIMARY KEY, event TEXT);"""
    rows = [("INSERT INTO events VALUES (?, ?, ?)", ("t1", "e1", "a")), ("INSERT INTO events VALUES (?, ?, ?)", ("t2", "e1", "b")),
            ("INSERT INTO guests VALUES (?, ?)", ("g", "e1")), ("INSERT INTO guests VALUES (?, ?)", ("h", "nobody"))]
    top = "ids: {column: id, from: [name, id, \"prod\"]}\nreferences: {guests: {event: events}}\n"
    for word in ("null", "reject", "delete", "{assign: e1}"):
        with Copy(top + "orphans: " + word, tables=tables, rows=rows) as copy:
            printed = copy.run("run", "--yes", expect=REFUSED)
            assert "guests.event refers to rows of events, whose key has several columns" in printed and "orphans: keep" in printed, printed
    with Copy(top, tables=tables, rows=rows) as copy:
        assert "is not looked at" in copy.run("analyze")
        copy.run("run", "--yes")
    with Copy(top, tables=tables, rows=rows, plan=PLAN.replace("create: exists, names: [\"*\"]", "create: exists, names: [guests]}\n  - {from: dev/events, to: prod/events, create: exists, where: {kind: a}")) as copy:
        assert "copy all rows of events" in copy.run("run", "--yes", expect=REFUSED)


def a_reference_that_the_plan_computes_is_followed():
    tables = "CREATE TABLE people (id TEXT PRIMARY KEY); CREATE TABLE notes (id TEXT PRIMARY KEY, who TEXT);"
    rows = [("INSERT INTO people VALUES (?)", ("a",)), ("INSERT INTO notes VALUES (?, ?)", ("n", "a")), ("INSERT INTO notes VALUES (?, ?)", ("m", "404"))]
    plan = PLAN.replace('create: exists, names: ["*"]', 'create: exists, names: [people]}\n  - {from: dev/notes, to: prod/notes, create: exists, columns: {who: "P#{who}"}, rest: copy')
    top = 'ids: {column: id, from: [name, id, "prod"]}\nreferences: {notes: {who: people}}\n'
    with Copy(top, tables=tables, rows=rows, plan=plan) as copy:
        printed = copy.run("run", "--yes", expect=REFUSED)
        assert "404" in printed, printed
    with Copy(top + "orphans: delete", tables=tables, rows=rows, plan=plan) as copy:
        copy.run("run", "--yes")
        are(copy.ask("prod", "SELECT who FROM notes"), [("P#" + new_id("people", "a"),)])


def a_document_that_is_none_is_one_row():
    tables = "CREATE TABLE people (id TEXT PRIMARY KEY); CREATE TABLE notes (id TEXT PRIMARY KEY, doc TEXT);"
    rows = [("INSERT INTO people VALUES (?)", ("a",)), ("INSERT INTO notes VALUES (?, ?)", ("n", '{"who": "a"}')),
            ("INSERT INTO notes VALUES (?, ?)", ("m", "not json"))]
    top = 'ids: {column: id, from: [name, id, "prod"]}\nreferences: {notes: {doc.who: people}}\n'
    with Copy(top, tables=tables, rows=rows) as copy:
        printed = copy.run("run", "--yes", expect=REFUSED)
        assert "key 'm'" in printed and "no JSON" in printed, printed
    with Copy(top + "on_error: reject", tables=tables, rows=rows) as copy:
        printed = copy.run("run", "--yes")
        assert "set aside" in printed, printed
        are(copy.ask("prod", "SELECT count(*) FROM notes"), [(1,)])
        copy.run("run", "--yes")
        assert (copy.folder / ".whimbrel" / "copy" / "rejected.jsonl").read_text().count("\n") == 1, "told once a run"
        copy.ask("dev", "UPDATE notes SET doc = '{}' WHERE id = 'm'")
        copy.run("run", "--yes")
        assert "set aside" not in copy.run("status"), copy.run("status")
        are(copy.ask("prod", "SELECT count(*) FROM notes"), [(2,)])


def a_second_run_is_offered_to_the_constraints_of_the_target():
    with Copy("on_conflict: skip", tables=TABLES.replace("age INTEGER", "age INTEGER CHECK (age < 100)"), rows=OURS) as copy:
        copy.run("run", "--yes")
        before = copy.ask("prod", "SELECT * FROM people ORDER BY id")
        connection = copy.connect("dev")
        connection.execute("PRAGMA ignore_check_constraints = 1")
        connection.execute("UPDATE people SET age = 1 WHERE id = 'a'")
        connection.execute("UPDATE people SET age = 200 WHERE id = 'b'")
        connection.commit()
        connection.close()
        printed = copy.run("run", "--yes", expect=REFUSED)
        assert "CHECK" in printed and "nothing was changed" in printed, printed
        are(copy.ask("prod", "SELECT * FROM people ORDER BY id"), before)


def what_a_plan_for_a_copy_may_not_say():
    for top, words in (("on_conflict: skip\ncutover: {switches: [{row: dev/f, key: {a: 1}, set: {b: 1}, create: true}]}", "nobody is switched over"),
                       ("references: {notes: {\"person..x\": people}}", "is no path"),
                       ("references: {notes: {person: {to: people, as: \"P#\"}}}", "`as:` needs `{id}` once"),
                       ("orphans: sometimes", "is not known"),
                       ("on_conflict: maybe", "on_conflict")):
        with Copy(top, rows=OURS) as copy:
            printed = copy.run("check", expect=2)
            assert words in printed, (top, printed)


if __name__ == "__main__":
    main(other_rows_of_the_same_number_are_told, what_a_trial_leaves_dangling_is_told, a_reference_by_a_part_of_a_key_is_not_passed_over,
         a_reference_that_the_plan_computes_is_followed, a_document_that_is_none_is_one_row, a_second_run_is_offered_to_the_constraints_of_the_target,
         what_a_second_run_would_meet_is_told_before, an_id_where_another_shape_stands_is_told, a_row_that_others_refer_to_goes_with_a_word, an_equal_key_is_treated_as_the_plan_says, without_a_word_an_equal_key_is_refused_before,
         conditions_choose_rows_and_references_are_closed_over, ids_inside_of_values_are_followed,
         personal_data_is_masked_and_keeps_its_format, a_rollback_puts_back_values_that_have_to_be_unique,
         no_way_leads_around_a_mask, a_group_that_refers_to_what_stays_behind_is_told,
         a_unique_value_of_others_is_told_before, unique_values_may_change_places,
         what_somebody_did_to_our_rows_is_told, a_table_that_the_copy_made_stays_while_others_have_rows_in_it,
         what_a_trigger_of_the_target_made_of_a_row_goes_with_it, keys_of_every_kind_lead_their_references, circles_of_references_end,
         odd_values_are_refused_and_not_cut_off, references_that_nobody_has_said_are_asked_for, a_rollback_gives_numbers_back, what_is_left_out_takes_along_what_refers_to_it,
         references_that_cannot_be_followed_are_refused_where_rows_stay_behind, a_long_list_of_values_is_no_trouble,
         what_a_plan_for_a_copy_may_not_say)

"""`reverse`: the plan that it prints is good, and brings the old shape back."""

import re

from refusals import changed
from whimbrel import World, main

ODD = """
CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, n TEXT, s TEXT, "odd
name" TEXT, "x: #y" TEXT, "$" TEXT, lost TEXT, "${HOME}" TEXT, at TEXT);
INSERT INTO t VALUES (1, 'A', '12', 'open', 'o', 'x', 'd', 'only here', 'h', '2026-01-01T00:00:00Z'),
  (2, 'B', '-13', 'shut', NULL, '', 'd', NULL, 'h2', NULL), (3, 'C', NULL, 'other', 'o', 'x', NULL, 'z', 'h', NULL);
"""
ODD_NEW = """CREATE TABLE "the new: t" (nid INTEGER PRIMARY KEY, a TEXT, n INTEGER, s, o TEXT, x TEXT, d TEXT,
  at INTEGER, of_new TEXT);"""
ODD_TABLE = """  - from: db/t
    to: 'db/"the new: t"'
    create: odd.sql
    columns:
      nid: id
      a: "<{a}>"
      n: {cast: n, to: integer}
      s: {map: s, values: {open: 1, shut: 0}, others: keep}
      o: "odd\\nname"
      x: "x: #y"
      d: $
      at: {time: at, from: iso8601, as: epoch_s}
    rest: drop
"""


def odd_world(sync="capture"):
    world = World(rows=0, sync=sync)
    (world.folder / "odd.sql").write_text(ODD_NEW)
    text = world.plan.read_text()
    world.plan.write_text(text[:text.index("  - from")] + ODD_TABLE + text[text.index("sync:"):])
    changed(world, "rename_source_to: orders archive, view: true", "rename_source_to: t kept")
    with world.connect() as c:
        c.executescript(ODD)
    return world


def reversed_plan(world):
    """The migration is finished; the plan for the way back is world.plan from here on."""
    world.run("run", "--yes")
    world.run("reverse", expect=3)
    world.run("finish", "--yes")
    _, out, _ = world.run("reverse")
    world.plan = world.folder / "back.yaml"
    world.plan.write_text(out)
    return out


def the_reversed_plan_brings_the_old_shape_back():
    for sync in ["capture", "dual"]:
        world = odd_world(sync)
        if sync == "dual":  # a trigger must not refuse a value
            changed(world, "{cast: n, to: integer}", "n")
            changed(world, "{time: at, from: iso8601, as: epoch_s}", "at")
        with world.connect() as c:
            before = c.execute("SELECT * FROM t").fetchall()
        text = reversed_plan(world)
        world.run("check")
        world.run("run", "--yes")
        update = [line.strip("# ") for line in text.splitlines() if "UPDATE" in line]
        with world.connect() as c:
            assert len(update) == 1, text
            c.execute(update[0])
            assert c.execute("SELECT * FROM t").fetchall() == before, c.execute("SELECT * FROM t").fetchall()
        world.run("cutover", "--yes")
        with world.connect() as c:
            assert c.execute("SELECT * FROM switches").fetchall() == [("use_new", 0)]
            c.execute("UPDATE t SET n = 99 WHERE id = 2")
        world.run("verify")
        world.run("rollback", "--yes")
        with world.connect() as c:
            assert c.execute('SELECT n FROM "the new: t" WHERE nid = 2').fetchall() == [(99,)]
        world.close()


def a_reversed_plan_asks_with_samples():
    world = odd_world()
    world.plan.write_text(world.plan.read_text() + "queries:\n  one: {old: 'SELECT a FROM t WHERE id = :id OR n = :made', "
                          "new: 'SELECT a FROM \"the new: t\" WHERE nid = :id OR n = :made', with: {id: {sample: id, of: t}, made: '#{id}'}}\n")
    text = reversed_plan(world)
    assert "sample" in text and "#{id}" in text, text
    world.run("check")
    world.run("measure", "--duration", "1s")
    world.close()


def a_reversed_plan_knows_its_window():
    world = odd_world("none")
    changed(world, "max_hold: 2s", "window: {max: 20s}")
    reversed_plan(world)
    world.run("check")
    world.close()


def a_reversed_plan_knows_its_variables():
    world = odd_world()
    changed(world, "${SCENARIO_DB}", "${FILE}")
    changed(world, "migration: scenario", "migration: scenario\nvars: {FILE: {default: app.db}}")
    reversed_plan(world)
    world.run("check")
    world.close()


def a_reversed_plan_knows_what_is_said_of_a_store():
    world = odd_world()
    text = world.plan.read_text()
    store = re.search(r'stores: *\{(\w+): *("[^"]*"|[^}]*)\}|stores:\n  (\w+): (.*)\n', text)
    alias, url = [part for part in store.groups() if part]
    world.plan.write_text(text.replace(store.group(), "stores: {%s: {url: %s, lock_timeout: 350ms, statement_timeout: 7s}}\n" % (alias, url)))
    assert "lock_timeout: 350ms, statement_timeout: 7000ms}" in reversed_plan(world)
    world.run("check")
    world.close()


def a_template_of_one_column_is_reversed():
    world = odd_world()
    changed(world, '"<{a}>"', '"{a}"')
    reversed_plan(world)
    world.run("check")
    world.close()


def a_key_in_a_template_is_reversed():
    world = odd_world()
    changed(world, "nid: id", 'nid: "row-{id}"')
    changed_file = world.folder / "odd.sql"
    changed_file.write_text(ODD_NEW.replace("nid INTEGER", "nid TEXT"))
    reversed_plan(world)
    world.run("check")
    world.run("run", "--yes")
    with world.connect() as c:
        assert c.execute("SELECT id FROM t ORDER BY id").fetchall() == [(1,), (2,), (3,)]
    world.close()


TESTS = [the_reversed_plan_brings_the_old_shape_back, a_reversed_plan_knows_its_window,
         a_reversed_plan_knows_its_variables, a_template_of_one_column_is_reversed, a_key_in_a_template_is_reversed,
         a_reversed_plan_asks_with_samples, a_reversed_plan_knows_what_is_said_of_a_store]

if __name__ == "__main__":
    main(*TESTS)

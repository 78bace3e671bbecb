"""Every document that is written into the state folder is held to its schema in docs/schemas."""
import json
import pathlib

import jsonschema

from whimbrel import World, main

SCHEMAS = pathlib.Path(__file__).resolve().parents[2] / "docs" / "schemas"
KINDS = ("analysis", "report", "checkpoint")


def validator(kind):
    schema = json.loads((SCHEMAS / (kind + ".schema.json")).read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


VALIDATORS = {kind: validator(kind) for kind in KINDS}


def state_folder(world):
    return world.folder / ".whimbrel" / "scenario"


def hold(kind, document, where):
    for error in VALIDATORS[kind].iter_errors(document):
        raise AssertionError("%s: %s at /%s" % (where, error.message, "/".join(map(str, error.absolute_path))))


def latest(world, kind):
    return json.loads((state_folder(world) / ("migration-%s-latest.json" % kind)).read_text())


def hold_all(world, *wanted):
    """All that lie there by now, and that the wanted kinds are among them."""
    for kind in KINDS:
        files = sorted(state_folder(world).glob("migration-%s-*.json" % kind))
        assert files or kind not in wanted, "no %s was written" % kind
        for file in files:
            hold(kind, json.loads(file.read_text()), file.name)


def replace(world, old, new):
    text = world.plan.read_text()
    assert old in text, old
    world.plan.write_text(text.replace(old, new))


def there_back_and_finished(sync):
    world = World(rows=200, sync=sync)
    world.run("analyze")
    hold_all(world, "analysis")
    assert latest(world, "analysis")["tables"][0]["samples"]
    for goal, phase in [("backup", "planned"), ("prepare", "prepared"), ("copy", "following"), ("verify", "verified")]:
        world.run("run", "--yes", "--until", goal)
        hold_all(world, *KINDS)
        assert latest(world, "report")["phase"] == latest(world, "checkpoint")["phase"] == phase, phase
    with world.connect() as c:
        c.execute("INSERT INTO \"old orders\" VALUES ('live', 'w', NULL, 1, 0.5, 'n', NULL)")
    world.run("run", "--yes")
    hold_all(world)
    with world.connect() as c:
        c.execute("UPDATE \"new {orders}\" SET label = 'only here' WHERE key = 'live'")
    world.run("verify")
    world.run("rollback", "--yes")
    hold_all(world)
    assert latest(world, "report")["phase"] == "rolled_back"
    assert "kept-by-rollback.jsonl.zst" in latest(world, "checkpoint")["files"]
    world.run("run", "--yes")
    world.run("finish", "--yes")
    hold_all(world)
    report = latest(world, "report")
    assert report["phase"] == "finished" and report["attempt"] == 2
    assert [entry["number"] for entry in report["trail"]] == list(range(1, len(report["trail"]) + 1))
    world.run("report")
    hold_all(world)
    world.close()


def there_back_and_finished_with_links():
    there_back_and_finished("dual")


def there_back_and_finished_with_feeds():
    there_back_and_finished("capture")


def a_refused_analysis():
    world = World(rows=60, sync="capture")
    replace(world, "choice: {from: select, if_null: {const: none}}", "choice: select")  # into NOT NULL
    with world.connect() as c:
        c.executescript((world.folder / "new.sql").read_text())
        c.execute("INSERT INTO \"new {orders}\" (key, customer) VALUES ('theirs', 'x')")
    world.run("analyze", expect=3)
    hold_all(world, "analysis")
    analysis = latest(world, "analysis")
    assert analysis["refused"] and analysis["tables"][0]["refused_rows"] > 0, analysis
    assert analysis["tables"][0]["target_rows"] == 1
    assert any(finding["weight"] == "refusal" for finding in analysis["tables"][0]["findings"])
    world.close()


def rows_that_refer_to_nothing_or_break_a_constraint():
    world = World(rows=60)
    new = world.folder / "new.sql"
    new.write_text(new.read_text().replace("quantity INTEGER", "quantity INTEGER CHECK (quantity <> 3)")
                   .replace("customer TEXT NOT NULL", "customer TEXT NOT NULL REFERENCES people(name)"))
    with world.connect() as c:
        c.execute("CREATE TABLE people (name TEXT PRIMARY KEY)")
        c.execute("INSERT INTO people VALUES ('who 1')")
    world.run("analyze", expect=3)
    hold_all(world, "analysis")
    table = latest(world, "analysis")["tables"][0]
    assert table["orphan_rows"] > 0 and table["orphan_reasons"], table
    world.close()


def an_analysis_tells_all_that_is_wrong_and_first_what_matters():
    world = World(rows=0)
    with world.connect() as c:
        c.executescript("""
            CREATE TABLE p (id INTEGER PRIMARY KEY); INSERT INTO p VALUES (1);
            CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b TEXT);
            INSERT INTO t VALUES (1, 'x', 'y'), (2, 'x', 'y'), (3, 'x', 'y'), (4, '4', 'y'), (5, '5', '55');
            CREATE TABLE o (id INTEGER PRIMARY KEY, p INTEGER); INSERT INTO o VALUES (1, 1), (2, 77), (3, 88);""")
    for name, columns in (("p", ""), ("t", ", a INTEGER, b INTEGER"), ("o", ", p INTEGER REFERENCES p2(id)")):
        (world.folder / (name + ".sql")).write_text("CREATE TABLE %s2 (id INTEGER PRIMARY KEY%s);" % (name, columns))
    world.plan.write_text("""
whimbrel: 1
migration: scenario
stores: {db: "sqlite:${SCENARIO_DB}"}
tables:
  - {from: db/p, to: db/p2, create: p.sql}
  - {from: db/o, to: db/o2, create: o.sql}
  - {from: db/t, to: db/t2, create: t.sql, same: [id],
     columns: {a: {cast: a, to: integer}, b: {cast: b, to: integer}}}
sync: capture
""")
    _, out, _ = world.run("analyze", expect=3)
    hold_all(world, "analysis")
    lines = out.splitlines()
    first = lines.index("what matters most:")
    assert first < next(i for i, line in enumerate(lines) if "db/p → db/p2" in line), out
    # The heavier first; a row counts once, and each of its columns is told.
    assert lines[first + 1].startswith("  1. refusal: t: 4 rows cannot be moved (4 making t2.b, 3 making t2.a"), out
    assert lines[first + 2].startswith("  2. refusal: o: 2 rows cannot be moved (a reference to p2"), out
    reasons = {r["reason"]: r["rows"] for r in latest(world, "analysis")["tables"][2]["refused_reasons"]}
    assert latest(world, "analysis")["tables"][2]["refused_rows"] == 4 and sorted(reasons.values()) == [3, 4], reasons
    # The mapping on the first row that can move, and by rule alone when none can.
    assert "mapping     as the first movable row shows it, key 5:" in out, out
    assert any(line.split() == ["b", "←", "b", "as", "integer", "'55'", "→", "55"] for line in lines), out
    with world.connect() as c:
        c.execute("UPDATE t SET a = 'x'")
    _, out, _ = world.run("analyze", expect=3)
    assert "mapping     by rule; no row can move as it is:" in out, out
    assert any(line.split() == ["b", "←", "b", "as", "integer"] for line in out.splitlines()), out
    with world.connect() as c:
        c.execute("UPDATE t SET a = id, b = id")
    _, out, _ = world.run("analyze", expect=3)
    assert "  1. refusal: o: 2 rows cannot be moved" in out and "refusal: t" not in out, out
    world.close()


def a_failure_is_reported():
    world = World(rows=30)
    replace(world, "finish:", "checks: [{at: before, sql: \"SELECT count(*) FROM switches\", expect: 9}]\nfinish:")
    world.run("run", "--yes", expect=1)
    hold_all(world, *KINDS)
    assert latest(world, "report")["last_error"]["code"] == "data_mismatch", latest(world, "report")
    world.close()


def rows_that_are_set_aside():
    world = World(rows=60, sync="capture")
    replace(world, "quantity: qty", "quantity: {cast: qty, to: integer}")
    replace(world, "    rest: forbid", "    rest: forbid\n    on_error: reject")
    with world.connect() as c:
        c.execute("UPDATE \"old orders\" SET qty = 'no number' WHERE id LIKE 'k0001%'")
    world.run("run", "--yes")
    hold_all(world, *KINDS)
    report = latest(world, "report")
    assert report["rejected"] == 10 and "rejected.jsonl" in latest(world, "checkpoint")["files"], report["rejected"]
    assert report["tables"][0]["copied"]["rejected"] == 10
    world.run("rollback", "--yes")
    hold_all(world)
    world.close()


def what_is_printed_is_what_is_written():
    world = World(rows=20)
    _, out, _ = world.run("analyze", "--json")
    documents = [json.loads(line) for line in out.splitlines()]
    hold("analysis", next(d for d in documents if "digest" in d), "analyze --json")
    world.run("run", "--yes")
    _, out, _ = world.run("report", "--json")
    documents = [json.loads(line) for line in out.splitlines()]
    hold("report", next(d for d in documents if "trail" in d), "report --json")
    world.close()


def documents_of_one_second_are_all_kept():
    world = World(rows=5)
    for _ in range(4):
        world.run("analyze")
    files = [p for p in state_folder(world).glob("migration-analysis-*.json") if "latest" not in p.name]
    assert len(files) == 4, files
    made = sorted(json.loads(p.read_text())["made_at"] for p in files)
    assert len(set(made)) == 4 and latest(world, "analysis")["made_at"] == made[-1], made
    world.close()


def redacted_documents_hold_neither_keys_nor_values():
    for damage in (False, True):
        world = World(rows=60)
        with world.connect() as c:
            c.execute("UPDATE \"old orders\" SET who = 'very ' || 'secret', note = 'very ' || 'secret'")
            if damage:
                replace(world, "quantity: qty", "quantity: {cast: qty, to: integer}")
                c.execute("UPDATE \"old orders\" SET qty = 'very ' || 'secret' WHERE id LIKE 'k0001%'")
        world.run("analyze", "--redact", expect=3 if damage else 0)
        hold_all(world, "analysis")
        table = latest(world, "analysis")["tables"][0]
        assert table["samples"] == [] and table["rows"] == 60
        assert (table["refused_rows"] > 0) == damage
        world.run("run", "--yes", "--redact", expect=3 if damage else 0)
        hold_all(world)
        for file in state_folder(world).glob("migration*"):
            text = file.read_text()
            assert "very secret" not in text and "k0001" not in text, "%s tells what is in a row" % file.name
        world.close()


def a_document_of_another_shape_does_not_fit():
    world = World(rows=5)
    world.run("run", "--yes")
    for kind in KINDS:
        document = latest(world, kind)
        document["colour"] = "blue"
        assert not VALIDATORS[kind].is_valid(document), kind
        del document["colour"], document["migration"]
        assert not VALIDATORS[kind].is_valid(document), kind
    report = latest(world, "report")
    report["trail"][0]["body"]["plan"] = "{}"
    assert not VALIDATORS["report"].is_valid(report), "a plan in the trail"
    world.close()


if __name__ == "__main__":
    main(there_back_and_finished_with_links, there_back_and_finished_with_feeds, a_refused_analysis,
         rows_that_refer_to_nothing_or_break_a_constraint,
         an_analysis_tells_all_that_is_wrong_and_first_what_matters, a_failure_is_reported, rows_that_are_set_aside,
         what_is_printed_is_what_is_written, documents_of_one_second_are_all_kept, redacted_documents_hold_neither_keys_nor_values,
         a_document_of_another_shape_does_not_fit)

"""`measure`, `compare` and `diagnose`: what the plan's queries answer on both sides, judged by the plan's criteria.

No time is asserted but where one side is a hundred times slower by construction: the old side has no index.
"""
import json
import pathlib
import signal
import sqlite3
import subprocess
import threading
import time

import jsonschema

from whimbrel import BINARY, World, main

SCHEMAS = pathlib.Path(__file__).resolve().parents[2] / "docs" / "schemas"
QUERIES = r"""
queries:
  "by who, oddly":
    old: "SELECT id, \"it's\" FROM \"old orders\" WHERE who = :who -- :not_one"
    new: "SELECT key, \"q\"\"uote\" FROM \"new {orders}\" WHERE customer = :who"
    with: {who: ["who 1", "who 6", "nobody ':x"]}
  count:
    old: "SELECT count(*) FROM \"old orders\" WHERE qty > :n OR :n IS NULL"
    new: "SELECT count(*) FROM \"new {orders}\" WHERE quantity > :n OR :n IS NULL"
    with: {n: [1, 2.5, null]}
"""
SLOW = r"""
queries:
  by_customer:
    old: "SELECT count(*) FROM \"old orders\" WHERE who = :who"
    new: "SELECT count(*) FROM \"new {orders}\" WHERE customer = :who"
    with: {who: ["who 77"]}
"""


def world_with(more, rows=300, sync="dual"):
    world = World(rows=rows, sync=sync)
    world.plan.write_text(world.plan.read_text() + more)
    return world


def hold(kind, document):
    schema = json.loads((SCHEMAS / (kind + ".schema.json")).read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    for error in jsonschema.Draft202012Validator(schema).iter_errors(document):
        raise AssertionError("%s: %s at /%s" % (kind, error.message, "/".join(map(str, error.absolute_path))))
    return document


def read(kind, path):
    return hold(kind, json.loads(pathlib.Path(path).read_text()))


def state(world):
    return world.folder / ".whimbrel" / "scenario"


def measure(world, name, *arguments, expect=0):
    path = world.folder / name
    world.run("measure", "--duration", "0.3", "--output", str(path), *arguments, expect=expect)
    return read("measurement", path) if expect == 0 else None


def compare(world, before, after, *arguments, expect=0):
    done = subprocess.run([BINARY, "compare", str(world.folder / before), str(world.folder / after), *arguments],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == expect, "compare gave %d, not %d:\n%s%s" % (done.returncode, expect, done.stdout, done.stderr)
    return done.stdout + done.stderr


def verdicts(comparison):
    return {one["name"]: one["verdict"] for one in comparison["criteria"]}


def both_sides_answer_with_one_connection_and_with_eight():
    world = world_with(QUERIES)
    rows = world.old_rows()
    for concurrency in ("1", "8"):
        document = measure(world, "old-%s.json" % concurrency, "--concurrency", concurrency)
        (side,) = document["sides"]
        assert side["side"] == "old" and document["journal"] is None, document
        assert document["load"] == {"connections": int(concurrency), "rate_per_s": None, "times": 1.0}
        assert [q["name"] for q in side["queries"]] == ["by who, oddly", "count"], side
        for query in side["queries"]:
            assert query["count"] > 0 and query["failed"] == 0, query
            assert 0 < query["p50_ms"] <= query["p95_ms"] <= query["p99_ms"] <= query["max_ms"], query
        assert side["queries"][1]["rows"] == side["queries"][1]["count"]
        assert side["failed"] == side["unserved"] == side["errors_per_cent"] == 0
    world.run("run", "--yes")
    for concurrency in ("1", "8"):
        (side,) = measure(world, "new-%s.json" % concurrency, "--concurrency", concurrency)["sides"]
        assert side["side"] == "new" and side["failed"] == 0, side
    assert world.old_rows() == rows
    latest = read("measurement", state(world) / "migration-measurement-latest.json")
    assert latest == json.loads((world.folder / "new-8.json").read_text())
    assert (state(world) / "migration-measurement-latest.json").stat().st_mode & 0o777 == 0o600
    compare(world, "old-8.json", "new-8.json")
    world.close()


ANSWERS = r"""
queries:
  one:
    old: "SELECT id, who, qty FROM \"old orders\" WHERE who = :who ORDER BY id"
    new: "SELECT quantity, key, customer FROM \"new {orders}\" WHERE customer = :who"
    with: {who: {sample: who, of: "old orders"}}
  "all, and more":
    old: "SELECT id FROM \"old orders\" WHERE who = :who"
    new: "SELECT key, quantity FROM \"new {orders}\" WHERE customer = :who"
    with: {who: ["who 1", "who 6"]}
criteria: {same_answers: 100%}
"""


def both_sides_give_the_same_answers():
    world = world_with(ANSWERS)
    world.run("run", "--yes")
    document = measure(world, "same.json", "--side", "both")
    first, second = document["answers"]
    assert first == {"name": "one", "asked": 100, "same": 100, "counted": 0, "moving": 0, "first": ""}, first
    assert second["same"] == second["asked"] == second["counted"] == 100, second
    old, new = (side["queries"] for side in document["sides"])
    assert [query["scans"] for query in old] == [["old orders"]] * 2, old
    assert [query["scans"] for query in new] == [[], []], new
    compare(world, "same.json", "same.json")
    # A query that asks for something else on the new side is found out.
    world.plan.write_text(world.plan.read_text().replace("WHERE customer = :who\"\n    with: {who: {", "WHERE customer <> :who\"\n    with: {who: {"))
    _, out, err = world.run("check")
    assert "on the new side the query `one` reads all of new {orders}" in out + err, out + err
    _, out, _ = world.run("measure", "--duration", "0.2", "--side", "both", "--output", str(world.folder / "other.json"))
    assert "0 of 100 the same; first difference: " in out and "on the old side" in out, out
    other = read("measurement", world.folder / "other.json")
    assert other["answers"][0]["same"] == 0 and other["answers"][1]["same"] == 100, other
    assert "same_answers" in compare(world, "same.json", "other.json", expect=1)
    world.close()


def answers_that_change_while_they_are_asked_for_say_nothing():
    """A check beside a writer: what was carried back is compared, and a count that moves is told as that."""
    world = world_with(ANSWERS.replace("criteria:", """  moving:
    old: "SELECT count(*) FROM \\"old orders\\""
    new: "SELECT count(*) FROM \\"new {orders}\\""
criteria:"""), sync="capture")
    world.run("run", "--yes")
    ended = threading.Event()

    def write():
        connection = world.connect()
        for number in range(10 ** 9):
            if ended.is_set():
                break
            with connection:
                connection.execute("INSERT INTO \"new {orders}\" (key, customer, doc) VALUES (?, 'who 1', '{}')", ("w%d" % number,))
            time.sleep(0.005)
        connection.close()
    writer = threading.Thread(target=write)
    writer.start()
    try:
        _, out, _ = world.run("watch")
    finally:
        ended.set()
        writer.join(30)
    assert "\nclean: " in out, out
    document = max((world.folder / ".whimbrel" / "scenario").glob("migration-measurement-*.json"))
    answers = {one["name"]: one for one in read("measurement", document)["answers"]}
    assert answers["moving"]["asked"] + answers["moving"]["moving"] == 1 and answers["moving"]["first"] == "", answers
    assert answers["one"]["same"] == answers["one"]["asked"] and answers["one"]["first"] == "", answers
    world.close()


def storage_is_what_sqlite_itself_counts():
    world = world_with(QUERIES, rows=2000)
    world.run("run", "--yes")
    document = measure(world, "both.json", "--side", "both")
    for side, table in zip(document["sides"], ("old orders", "new {orders}")):
        with world.connect() as c:
            indexes = "SELECT name FROM sqlite_master WHERE tbl_name = ? AND type = 'index'"
            try:
                pages = c.execute("SELECT sum(pgsize) FROM dbstat WHERE name = ? OR name IN (%s)" % indexes,
                                  (table, table)).fetchone()[0]
            except sqlite3.OperationalError:  # built without it
                pages = None
        assert side["storage"]["tables"][0]["table"] == table
        assert not side["storage"]["exact"] or pages is None or side["storage"]["bytes"] == pages, (side, pages)
    world.close()


def a_query_that_fails_is_counted_and_told():
    world = world_with("""
queries:
  fails:
    old: "SELECT json_extract(note, '$.x') FROM \\"old orders\\""
    new: "SELECT 1"
  works: {old: "SELECT 1", new: "SELECT 1"}
criteria: {errors: 0.1%, p95_change: 1000000%}
""")
    document = measure(world, "before.json", "--side", "old")
    fails, works = document["sides"][0]["queries"]
    assert fails["count"] == 0 and fails["failed"] > 0 and works["failed"] == 0 < works["count"], fails
    assert list(fails["errors"]) == ["malformed JSON"], "and no place of this machine: %s" % fails["errors"]
    assert str(world.folder) not in json.dumps(document)
    assert document["sides"][0]["errors_per_cent"] > 10
    said = compare(world, "before.json", "before.json", expect=1)
    assert "NOT met" in said and "fails never succeeded" in said, said
    world.close()


def queries_that_cannot_be_put_are_refused():
    for old, words in (("DELETE FROM switches", "only queries that read are measured"),
                       ("SELECT 1; DELETE FROM switches", "a query is one statement"),
                       ("SELECT * FROM nowhere", "no such table: nowhere"),
                       ("PRAGMA user_version = 7", "only queries that read are measured")):
        world = world_with("queries: {q: {old: \"%s\", new: \"SELECT 1\"}}\n" % old)
        with world.connect() as c:
            c.execute("INSERT INTO switches VALUES ('a', 1)")
        _, _, err = world.run("measure", "--duration", "0.1", expect=3)
        assert words in err and "`old` of the query `q`" in err, err
        _, _, err = world.run("check")
        assert "warning: the plan's queries cannot be measured" in err and words in err, err
        with world.connect() as c:
            assert c.execute("SELECT count(*) FROM switches").fetchone()[0] == 1
            assert c.execute("PRAGMA user_version").fetchone()[0] == 0
        world.close()
    world = world_with(QUERIES)
    _, _, err = world.run("check")
    assert "warning" not in err, err
    _, _, err = world.run("measure", "--side", "new", "--duration", "0.1", expect=3)
    assert "run PLAN --until prepare" in err, err
    for wrong in (["--duration", "0"], ["--duration", "x"], ["--duration", "8d"], ["--rate", "-1"],
                  ["--rate", "1e-9"], ["--rate", "1e6", "--load", "2x"], ["--load", "10y"],
                  ["--concurrency", "600", "--load", "10x"], ["--concurrency", "0"], ["--side", "left"],
                  ["--baseline", str(world.plan)]):
        world.run("measure", *wrong, expect=2)
    world.close()
    world = world_with("")
    _, _, err = world.run("measure", expect=2)
    assert "names no queries" in err, err
    world.close()


def criteria_are_met_where_the_new_side_is_a_hundred_times_faster():
    criteria = "criteria: {lost: 0, errors: 0.1%, p95_change: -30%, p50_change: -30%, writer_uptime: 99.9%}\n"
    advisory = "advisory: {storage_change: -90%, p99: 1h}\n"
    world = world_with(SLOW + criteria + advisory, rows=3000)
    with world.connect() as c:  # none of these is asked for
        c.execute("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000) INSERT INTO"
                  " \"old orders\" (id, who, note) SELECT 'x' || i, 'who ' || (100 + i), hex(zeroblob(40)) FROM n")
    measure(world, "before.json")
    world.run("run", "--yes")
    measure(world, "after.json")
    said = compare(world, "before.json", "after.json", "--state", str(state(world)))
    comparison = read("comparison", state(world) / "migration-comparison-latest.json")
    assert verdicts(comparison) == {"lost": "met", "errors": "met", "p95_change": "met", "p50_change": "met",
                                    "writer_uptime": "met", "storage_change": "not met", "p99": "met"}, said
    assert comparison["result"] == "met" and "only told" in said and "met: 5 met, 0 not met" in said, said
    said = compare(world, "after.json", "before.json", "--json", expect=1)  # the other way round it is slower
    document, last = [json.loads(line) for line in said.splitlines()]
    hold("comparison", document)
    assert last["result"] == "not met" and verdicts(document)["p95_change"] == "not met", said
    assert verdicts(document)["lost"] == "not measured", said
    world.close()


def what_nobody_knows_is_not_measured():
    world = world_with(QUERIES + "criteria: {lost: 0, writer_uptime: 99.9%}\n")
    measure(world, "before.json")
    said = compare(world, "before.json", "before.json")
    assert "not all measured: 0 met, 0 not met, 2 not measured" in said, said
    assert (state(world) / "migration-comparison-latest.json").exists(), "it lies beside the plan"
    (state(world) / "migration-comparison-latest.json").unlink()
    compare(world, "before.json", "before.json", "--dry-run")
    assert not (state(world) / "migration-comparison-latest.json").exists()
    world.close()


def rows_that_differ_are_not_met():
    world = world_with(QUERIES + "criteria: {lost: 0}\n")
    world.run("run", "--yes", "--until", "verify")
    with world.connect() as c:
        for name, in c.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            c.execute('DROP TRIGGER "%s"' % name)
        c.execute("DELETE FROM \"new {orders}\" WHERE key LIKE 'k0001%'")
    world.run("verify", expect=1)
    assert measure(world, "a.json")["journal"]["verified"]["differing"] == 10
    assert "NOT met" in compare(world, "a.json", "a.json", expect=1)
    world.close()


def a_hold_takes_from_the_writers_uptime():
    world = world_with(QUERIES + "criteria: {writer_uptime: 100%}\n", sync="capture")
    world.run("run", "--yes")
    writers = measure(world, "a.json")["journal"]["writers"]
    assert writers["holds"] >= 1 and 0 < writers["held_ms"] < writers["migration_ms"], writers
    assert "held for" in compare(world, "a.json", "a.json", expect=1)
    world.close()


def probes_write_and_take_it_back():
    world = world_with(QUERIES + "criteria: {writer_uptime: 99%}\n")
    with world.connect() as c:
        c.execute("CREATE TABLE log (x)")
        c.execute('CREATE TRIGGER t AFTER UPDATE ON "old orders" BEGIN INSERT INTO log VALUES (1); END')
    before = world.old_rows(), world.schema()
    measure(world, "no.json", "--writes", expect=2)
    document = measure(world, "a.json", "--writes", "--yes")
    probe = document["sides"][0]["probe"]
    assert probe["probes"] >= 1 and probe["failed"] == 0, probe
    assert (world.old_rows(), world.schema()) == before
    with world.connect() as c:
        assert c.execute("SELECT count(*) FROM log").fetchone()[0] == 0
    assert "writer_uptime      met" in compare(world, "a.json", "a.json")
    world.plan.write_text(world.plan.read_text() + "protect: production\n")
    measure(world, "no.json", "--writes", expect=2)
    lock = sqlite3.connect(world.db, isolation_level=None)
    lock.execute("BEGIN IMMEDIATE")
    probe = measure(world, "b.json", "--writes", "--yes")["sides"][0]["probe"]
    assert probe["failed"] == probe["probes"] >= 1 and any("locked" in m for m in probe["errors"]), probe
    lock.execute("ROLLBACK")
    assert "NOT met" in compare(world, "b.json", "b.json", expect=1)
    world.close()


def ten_times_the_present_traffic_is_one_option():
    world = world_with(QUERIES)
    load = measure(world, "present.json", "--rate", "20", "--concurrency", "2")["load"]
    assert load == {"connections": 2, "rate_per_s": 20.0, "times": 1.0}, load
    document = measure(world, "tenfold.json", "--load", "10x", "--baseline", str(world.folder / "present.json"))
    assert document["load"] == {"connections": 2, "rate_per_s": 200.0, "times": 10.0}, document["load"]
    side = document["sides"][0]
    assert side["answered"] + side["unserved"] == 60, side  # 0.3 s of 200 a second
    closed = measure(world, "closed.json", "--concurrency", "3", "--load", "10x")["load"]
    assert closed == {"connections": 30, "rate_per_s": None, "times": 10.0}, closed
    assert "another load" in compare(world, "present.json", "tenfold.json")
    world.close()


def files_that_cannot_be_compared_are_bad_usage():
    world = world_with(QUERIES)
    measure(world, "a.json")
    (world.folder / "b.json").write_text("{}")
    (world.folder / "c.json").write_text("no json")
    (world.folder / "d.json").write_text((world.folder / "a.json").read_text().replace('"scenario"', '"other"'))
    for wrong in ("b.json", "c.json", "d.json", "nowhere.json"):
        compare(world, "a.json", wrong, expect=2)
        compare(world, wrong, "a.json", expect=2)
    world.close()


def queries_may_change_while_a_migration_is_under_way():
    world = world_with(QUERIES)
    world.run("run", "--yes", "--until", "verify")
    world.plan.write_text(world.plan.read_text().replace("2.5, null", "3") + "criteria: {lost: 0}\n")
    world.run("run", "--yes")
    measure(world, "a.json")
    world.run("finish", "--yes")
    (side,) = measure(world, "b.json")["sides"]
    assert side["side"] == "new" and side["failed"] == 0, side
    _, out, _ = world.run("reverse")
    assert 'old: "SELECT count(*) FROM \\"new {orders}\\"' in out, out
    world.close()


def a_stopped_measurement_writes_nothing():
    world = world_with(QUERIES)
    process = world.start("measure", "--duration", "60", "--output", str(world.folder / "a.json"))
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130 and not (world.folder / "a.json").exists(), process.returncode
    world.close()


def summary(world, *arguments, expect=0):
    _, out, _ = diagnose(world, *arguments, expect=expect)
    documents = [json.loads(line) for line in out.splitlines()]
    return hold("health", next(d for d in documents if "verdict" in d))


def diagnose(world, *arguments, expect=0):
    done = subprocess.run([BINARY, "diagnose", "summary", str(world.plan), *arguments], env=world.environment(),
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    assert done.returncode == expect, "diagnose gave %d:\n%s%s" % (done.returncode, done.stdout, done.stderr)
    return done.returncode, done.stdout, done.stderr


def everything(world):
    with world.connect() as c:
        return list(c.iterdump())


def the_health_of_both_sides():
    for sync in ("dual", "capture"):
        world = World(rows=200, sync=sync)
        with world.connect() as c:
            c.execute("ALTER TABLE \"old orders\" ADD COLUMN status TEXT")
            c.execute("UPDATE \"old orders\" SET status = CASE WHEN rowid % 4 THEN 'open' ELSE NULL END")
        world.plan.write_text(world.plan.read_text().replace("rest: forbid", "rest: drop"))
        health = summary(world, "--json")
        assert health["healthy"] and health["phase"] == "not started", health
        assert not health["tables"][0]["new"]["there"] and health["tables"][0]["old"]["rows"] == 200
        assert health["tables"][0]["old"]["groups"] == {
            "column": "status", "groups": [{"rows": 150, "value": "'open'"}, {"rows": 50, "value": "null"}]}, health
        world.run("run", "--yes", "--until", "verify")
        before = everything(world)
        files = sorted(p.name for p in state(world).iterdir())
        health = summary(world, "--json")
        assert health["healthy"] and health["capture_is_whole"], health
        assert health["drift"]["differing"] == 0 and health["drift"]["compared"] > 0, health
        assert health["tables"][0]["new"]["rows"] == 200 and health["tables"][0]["new"]["room"]["indexes"] == 2, health
        _, out, _ = diagnose(world)
        assert out.startswith("healthy: "), out
        assert everything(world) == before and sorted(p.name for p in state(world).iterdir()) == files
        _, out, _ = diagnose(world, "--redact", "--json")
        assert "'open'" not in out and "k00" not in out, out
        if sync == "capture":
            with world.connect() as c:
                c.execute("UPDATE \"old orders\" SET who = 'later' WHERE id LIKE 'k0000%'")
            (lag,) = summary(world, "--json")["lag"]
            assert lag["changes"] == 10 and not lag["at_least"], lag
        world.close()


def what_is_wrong_comes_first():
    world = World(rows=200)
    world.run("run", "--yes", "--until", "verify")
    with world.connect() as c:
        for name, in c.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            c.execute('DROP TRIGGER "%s"' % name)
        c.execute("DELETE FROM \"new {orders}\" WHERE key LIKE 'k0001%'")
    health = summary(world, "--json", "--sample", "500", expect=1)
    assert len(health["problems"]) == 2 and health["drift"]["differing"] == 10, health
    _, out, _ = diagnose(world, expect=1)
    assert out.startswith("needs attention: 2 problems"), out
    world.close()
    world = World(rows=200)
    world.run("run", "--yes")
    world.plan.write_text(world.plan.read_text() + QUERIES)
    measure(world, "a.json", "--side", "both")
    world.run("finish", "--yes")
    health = summary(world, "--json")
    assert health["healthy"] and not health["tables"][0]["old"]["there"], health
    assert [side["side"] for side in health["measured"]["sides"]] == ["old", "new"], health
    world.close()


def rows_that_only_the_new_side_has_are_noticed():
    for sample, both_ways in (("500", True), ("50", False)):
        world = World(rows=200)
        world.run("run", "--yes", "--until", "verify")
        health = summary(world, "--json", "--sample", sample)
        assert health["healthy"] and health["drift"]["both_ways"] == both_ways, health
        with world.connect() as c:  # as somebody would who goes round the triggers
            triggers = c.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
            for name, _ in triggers:
                c.execute('DROP TRIGGER "%s"' % name)
            c.execute("INSERT INTO \"new {orders}\" (key, customer) VALUES ('stranger', 'x')")
            for _, sql in triggers:
                c.execute(sql)
        health = summary(world, "--json", "--sample", sample, expect=1)
        (problem,) = health["problems"]
        assert health["drift"]["differing"] == (1 if both_ways else 0), health
        assert ("1 of " if both_ways else "has 200 rows on the old side and 201 on the new one") in problem["what"], problem
        _, out, _ = diagnose(world, "--sample", sample, expect=1)
        assert ("every row of both sides" if both_ways else "were counted, not looked for") in out, out
        world.close()


if __name__ == "__main__":
    main(both_sides_answer_with_one_connection_and_with_eight, both_sides_give_the_same_answers, answers_that_change_while_they_are_asked_for_say_nothing, storage_is_what_sqlite_itself_counts,
         a_query_that_fails_is_counted_and_told, queries_that_cannot_be_put_are_refused,
         criteria_are_met_where_the_new_side_is_a_hundred_times_faster, what_nobody_knows_is_not_measured,
         rows_that_differ_are_not_met, a_hold_takes_from_the_writers_uptime, probes_write_and_take_it_back,
         ten_times_the_present_traffic_is_one_option, files_that_cannot_be_compared_are_bad_usage,
         queries_may_change_while_a_migration_is_under_way, a_stopped_measurement_writes_nothing,
         the_health_of_both_sides, what_is_wrong_comes_first, rows_that_only_the_new_side_has_are_noticed)

"""What is refused, with the exact words a person reads, and that nothing was changed by it."""
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import time

from whimbrel import BINARY, World, main


def changed(world, old, new):
    text = world.plan.read_text()
    assert old in text, old
    world.plan.write_text(text.replace(old, new))


def expect_words(err, *words):
    for word in words:
        assert word in err, "%r is missing in:\n%s" % (word, err)


def every_mistake_at_once_with_place_and_hint():
    world = World(rows=3)
    changed(world, "customer: who", "customer: whoo")
    changed(world, "same: [price]", "same: [prise]")
    changed(world, "limits: {batch_size: 50}", "limits: {batchsize: 50}")
    _, _, err = world.run("run", "--yes", expect=2)
    expect_words(err, "`limits` has no key `batchsize`", "did you mean `batch_size`?", "plan.yaml:20:", "^~")
    changed(world, "limits: {batchsize: 50}", "limits: {batch_size: 50}")
    _, _, err = world.run("run", "--yes", expect=2)
    expect_words(err, "old orders has no column `whoo`", "did you mean `who`?", "has no column `prise`",
                 "did you mean `price`?", "the plan has")
    world.close()


def a_changed_plan_is_refused_with_the_difference():
    world = World(rows=20)
    world.run("run", "--yes", "--until", "copy")
    changed(world, "batch_size: 50", "batch_size: 60")
    for words in (("run", "--yes"), ("check",), ("analyze",)):  # what says whether `run` would go ahead tells it as well
        _, out, err = world.run(*words, expect=3)
        expect_words(err, "the plan is not the one this migration was started with", '/limits/batch_size: "50" → "60"')
        assert "would go ahead" not in out + err, (out, err)
    world.run("rollback", "--yes")
    world.run("check")
    world.close()


def a_second_runner_is_refused():
    world = World(rows=20)
    first = world.start("run", "--yes", "--stay")
    journal = world.folder / ".whimbrel" / "scenario" / "journal.db.lock"
    for _ in range(100):
        if journal.exists() and journal.read_text():
            break
        time.sleep(0.1)
    _, _, err = world.run("run", "--yes", expect=3)
    expect_words(err, "another runner is at work")
    for _ in range(100):  # wait for the switch, then stop the first one as Ctrl-C does
        with world.connect() as c:
            if c.execute("SELECT count(*) FROM switches").fetchone()[0]:
                break
        time.sleep(0.1)
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=30)
    world.run("rollback", "--yes")
    world.close()


def ctrl_c_ends_the_chunk_and_exits_with_130():
    world = World(rows=3000)
    changed(world, "limits: {batch_size: 50}", "limits: {batch_size: 50, rows_per_s: 2000}")
    process = world.start("run", "--yes", "--until", "verify")
    time.sleep(0.7)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, (process.returncode, out, err)
    expect_words(err, "goes on")
    changed(world, "limits: {batch_size: 50, rows_per_s: 2000}", "limits: {batch_size: 50, rows_per_s: 2000}")
    world.run("run", "--yes", "--until", "verify")
    world.compare()
    world.close()


def a_locked_database_is_a_clear_error_and_nothing_is_lost():
    world = World(rows=100)
    world.run("run", "--yes", "--until", "backup")
    blocker = sqlite3.connect(world.db, isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    process = world.start("run", "--yes", "--until", "verify")
    out, err = process.communicate(timeout=120)
    assert process.returncode == 1, (process.returncode, err)
    expect_words(err, "the database is locked by somebody else", "hint:")
    blocker.execute("ROLLBACK")
    world.run("run", "--yes", "--until", "verify")
    world.compare()
    world.close()


def without_a_terminal_yes_is_needed():
    world = World(rows=3)
    before = world.schema()
    _, _, err = world.run("run", expect=2)
    expect_words(err, "needs to be confirmed", "--yes", "nothing was changed")
    assert world.schema() == before
    world.close()


def a_dry_run_changes_nothing():
    world = World(rows=30)
    before, schema = world.old_rows(), world.schema()
    world.run("run", "--dry-run")
    assert world.old_rows() == before and world.schema() == schema
    world.close()


def an_unset_variable_is_named_with_its_place():
    world = World(rows=3)
    environment = {k: v for k, v in os.environ.items() if k != "SCENARIO_DB"}
    done = subprocess.run([BINARY, "check", str(world.plan)], env=environment, capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    expect_words(done.stderr, "the variable SCENARIO_DB is not set", "--var SCENARIO_DB=", "plan.yaml:4:")
    world.run("check", "--var", "SCENARIO_DB=" + str(world.db))
    world.close()


def what_a_trigger_would_break_is_refused_before():
    world = World(rows=3)
    changed(world, "choice: {from: select, if_null: {const: none}}", "choice: select")
    before = world.schema()
    _, _, err = world.run("run", "--yes", expect=3)
    expect_words(err, "is NOT NULL", "an old writer's INSERT would fail", "if_null")
    assert world.schema() == before
    world.close()


def a_target_with_rows_is_refused():
    world = World(rows=3)
    with world.connect() as c:
        c.executescript((world.folder / "new.sql").read_text())
        c.execute("INSERT INTO \"new {orders}\" (key, customer) VALUES ('theirs', 'x')")
    _, _, err = world.run("run", "--yes", expect=3)
    expect_words(err, "has 1 row already")
    world.close()


def rows_without_a_key_are_refused():
    world = World(rows=3)
    with world.connect() as c:
        c.execute("INSERT INTO \"old orders\" (id, who) VALUES (NULL, 'x')")
    _, out, err = world.run("analyze", expect=3)
    expect_words(out, "has a null in its key")
    world.close()


def rows_copied(world):
    try:
        return len(world.new_rows())
    except sqlite3.OperationalError:
        return 0


def columns_that_change_while_it_runs():
    """SQLite reads an unknown name in quotes as a text: a column that is gone must not become its own name."""
    for ddl in ("RENAME COLUMN who TO whom", "DROP COLUMN who", "ADD COLUMN late TEXT"):
        world = World(rows=1500, sync="capture")
        changed(world, "limits: {batch_size: 50}", "limits: {batch_size: 50, rows_per_s: 1500}")
        runner = world.start("run", "--yes")
        while not rows_copied(world):
            assert runner.poll() is None, runner.communicate()
            time.sleep(0.02)
        with world.connect() as c:
            c.execute('ALTER TABLE "old orders" ' + ddl)
        out, err = runner.communicate(timeout=120)
        assert runner.returncode in (1, 3), (ddl, runner.returncode, out, err)
        expect_words(err, "somebody has changed the columns" if "ADD" in ddl else "no such column")
        with world.connect() as c:
            assert c.execute("SELECT count(*) FROM \"new {orders}\" WHERE customer = 'who'").fetchone() == (0,)
        world.close()


def not_yet_is_said_by_name():
    world = World(rows=3)
    changed(world, "sync: dual", "sync: dual\nretype: [{table: db/a, column: b, to: uuid, method: shadow_column}]")
    _, _, err = world.run("check", expect=2)
    expect_words(err, "`method: shadow_column` is part of the grammar, but not yet of this release", "`retype:`, not both")
    world.close()


def finish_is_refused_too_early():
    world = World(rows=3)
    changed(world, "finish: {after: 0s,", "finish: {after: 7d,")
    _, _, err = world.run("finish", "--yes", expect=3)
    world.run("run", "--yes")
    _, _, err = world.run("finish", "--yes", expect=3)
    expect_words(err, "too early")
    world.run("finish", "--yes", "--after", "0s")
    world.close()


def bad_usage_is_exit_code_2():
    done = subprocess.run([BINARY, "nonsense"], capture_output=True, text=True)
    assert done.returncode == 2, done
    done = subprocess.run([BINARY, "run", "/does/not/exist.yaml", "--yes"], capture_output=True, text=True)
    assert done.returncode == 2, done
    assert subprocess.run([BINARY, "--help"], capture_output=True).returncode == 0


def a_slip_in_the_command_line_is_told_with_what_was_meant():
    for line, words in [
            (["run", "plan.yaml", "--untill", "verify"], ["`run` has no option `--untill`", "did you mean `--until`?"]),
            (["run", "--untill", "verify"], ["`run` has no option `--untill`"]),
            (["run", "plan.yaml", "--untill=verify"], ["did you mean `--until`?"]),
            (["verify", "plan.yaml", "--repare"], ["did you mean `--repair`?"]),
            (["check", "plan.yaml", "--zzz"], ["`check` has no option `--zzz`", "`whimbrel check --help`"]),
            (["check", "plan.yaml", "another.yaml"], ["one word too many for `check`"]),
            (["run"], ["`run` needs PLAN: the plan file"]),
            (["diff", "sqlite:a.db/t"], ["`diff` needs RIGHT"]),
            (["measure", "plan.yaml", "--side", "nev"], ["`--side` cannot be `nev`", "did you mean `new`?", "old, new, both"]),
            (["verify", "plan.yaml", "--sample", "many"], ["`--sample` cannot be `many`", "whole number from 1"]),
            (["verify", "plan.yaml", "--sample", "0"], ["`--sample` cannot be `0`", "whole number from 1"]),
            (["run", "plan.yaml", "--state"], ["`--state` has no value"]),
            (["diagnose", "sumary", "plan.yaml"], ["`what` cannot be `sumary`", "did you mean `summary`?"]),
            (["chek", "plan.yaml"], ["no verb `chek`", "did you mean `check`?"]),
            (["man", "--zzz"], ["--zzz"]),
            (["--zzz"], ["`--zzz` is no option of whimbrel itself"]),
            ([], ["no verb is said"])]:
        done = subprocess.run([BINARY, *line], capture_output=True, text=True)
        assert done.returncode == 2 and done.stdout == "", (line, done)
        assert done.stderr.startswith("error: "), (line, done.stderr)
        expect_words(done.stderr, "\nhint: ", "\nsafe: nothing was changed", *words)
        if "check" not in line:
            continue
        done = subprocess.run([BINARY, *line, "--json"], capture_output=True, text=True)
        last = json.loads(done.stdout)
        assert (done.returncode, last["result"], last["code"]) == (2, "error", "invalid_plan"), done
    world = World(rows=3)
    _, _, err = world.run("run", "--until", "veryfied", expect=2)
    expect_words(err, "error: ", "`--until` cannot be `veryfied`", "hint: ", "verify", "safe: nothing was changed")
    world.close()


def mistakes_of_grammar_and_of_columns_are_told_together():
    world = World(rows=3)
    changed(world, "customer: who", "customer: whoo")
    changed(world, "limits: {batch_size: 50}", "limits: {batchsize: 50}")
    _, _, err = world.run("check", expect=2)
    expect_words(err, "the plan has 2 mistakes", "did you mean `batch_size`?", "old orders has no column `whoo`")
    changed(world, "limits: {batchsize: 50}", "limits: {batch_size: 50}")
    # What is left out by a mistake is not told as missing.
    changed(world, "doc: {json: {note: note}, if_null: {json: {}}}", "doc: {jsonn: {note: note}}")
    _, _, err = world.run("check", expect=2)
    expect_words(err, "the plan has 2 mistakes", "jsonn", "old orders has no column `whoo`")
    assert "mentions" not in err, err
    changed(world, "sqlite:${SCENARIO_DB}", "sqlite:nowhere.db")
    _, _, err = world.run("check", expect=2)
    expect_words(err, "jsonn")
    world.close()


def two_migrations_of_one_table_do_not_go_together():
    for first, second in (("dual", "dual"), ("capture", "dual"), ("dual", "capture")):
        world = World(rows=30, sync=first)
        world.run("run", "--yes")
        other = world.folder / "other.yaml"
        other.write_text(world.plan.read_text().replace("migration: scenario", "migration: another").replace(
            "new {orders}", "newer").replace("new.sql", "newer.sql").replace("sync: " + first, "sync: " + second).replace(
            "use_new", "use_newer"))
        (world.folder / "newer.sql").write_text((world.folder / "new.sql").read_text().replace("new {orders}", "newer").replace(
            "by_customer", "by_customer_too"))
        before = world.schema()
        for verb in (["check"], ["analyze"], ["run", "--yes"]):
            done = subprocess.run([BINARY, verb[0], str(other), *verb[1:]], env=world.environment(), capture_output=True,
                                  text=True, stdin=subprocess.DEVNULL)
            assert done.returncode == 3, (first, second, verb, done)
            expect_words(done.stderr, "another migration is at work on db/old orders", ": scenario", "finish it or roll it back",
                         "nothing was changed")
        assert world.schema() == before
        world.run("run", "--yes")  # the first one goes on as if nothing had been
        world.run("rollback", "--yes")
        done = subprocess.run([BINARY, "run", str(other), "--yes"], env=world.environment(), capture_output=True, text=True)
        assert done.returncode == 0, done
        world.close()


def what_would_be_made_is_what_is_made():
    """The list of `check`: nothing twice, and only what this plan needs."""
    world = World(rows=5)
    with world.connect() as c:
        c.executescript("CREATE TABLE numbered (v TEXT, w TEXT); CREATE TABLE named (id INTEGER PRIMARY KEY, v TEXT UNIQUE);"
                        "CREATE TABLE plain (id INTEGER PRIMARY KEY, v TEXT);")
    for name, columns in [("numbered", "v TEXT, w TEXT"), ("named", "id INTEGER PRIMARY KEY, v TEXT UNIQUE"),
                          ("plain", "id INTEGER PRIMARY KEY, v TEXT")]:
        (world.folder / (name + ".sql")).write_text("CREATE TABLE %s2 (%s);\n" % (name, columns))
    for tables, made in [(["plain"], []), (["named"], ["_replaced_"]), (["numbered"], ["_witness"]),
                         (["plain", "named"], ["_replaced_"])]:
        for sync in ("dual", "capture"):
            world.plan.write_text("whimbrel: 1\nmigration: scenario\nstores: {db: 'sqlite:${SCENARIO_DB}'}\ntables:\n" + "".join(
                "  - {from: db/%s, to: db/%s2, create: %s.sql}\n" % (t, t, t) for t in tables) + "sync: %s\n" % sync)
            _, out, _ = world.run("check")
            lines = out[out.index("would make:"):].splitlines()[1:]
            lines = [line.strip() for line in lines if line.startswith("  ")]
            assert len(set(lines)) == len(lines), lines
            world.run("run", "--yes", "--until", "verify")
            own = world.own_objects()
            for object in ("_replaced_", "_witness"):
                wanted = object in made and (sync == "dual" or object == "_witness")
                assert any(object in line for line in lines) == wanted, (tables, sync, lines)
                assert any(object in name for name in own) == wanted, (tables, sync, own)
            world.run("rollback", "--yes")
            shutil.rmtree(world.folder / ".whimbrel")
    world.close()


def a_failed_check_after_the_switch_goes_back():
    world = World(rows=30)
    changed(world, "finish:", "checks:\n  - {at: after, sql: \"SELECT count(*) FROM switches\", expect: 99}\nfinish:")
    schema = world.schema()
    _, _, err = world.run("run", "--yes", expect=1)
    expect_words(err, "the plan's check", "99 is expected")
    assert world.schema() == schema, "not rolled back"
    world.close()


if __name__ == "__main__":
    main(columns_that_change_while_it_runs, every_mistake_at_once_with_place_and_hint, a_changed_plan_is_refused_with_the_difference,
         a_second_runner_is_refused, ctrl_c_ends_the_chunk_and_exits_with_130,
         a_locked_database_is_a_clear_error_and_nothing_is_lost, without_a_terminal_yes_is_needed,
         a_dry_run_changes_nothing, an_unset_variable_is_named_with_its_place,
         what_a_trigger_would_break_is_refused_before, a_target_with_rows_is_refused,
         rows_without_a_key_are_refused, not_yet_is_said_by_name, finish_is_refused_too_early,
         bad_usage_is_exit_code_2, a_slip_in_the_command_line_is_told_with_what_was_meant,
         mistakes_of_grammar_and_of_columns_are_told_together, two_migrations_of_one_table_do_not_go_together,
         what_would_be_made_is_what_is_made, a_failed_check_after_the_switch_goes_back)

"""`watch`: checks after the switch, once and again and again; what `finish` waits for; whom a check alarms."""
import json
import pathlib
import shutil
import signal
import sqlite3
import subprocess
import time

from refusals import changed, expect_words
from web_checks import Service
from whimbrel import BINARY, World, main

DAY = 24 * 60


def later(world, minutes, *arguments, expect=0):
    """The same so many minutes later, where faketime is installed."""
    sanitized = b"__asan_init" in pathlib.Path(BINARY).read_bytes()  # it wants to be the first library
    assert shutil.which("faketime") and not sanitized
    done = subprocess.run(["faketime", "-f", "+%dm" % minutes, BINARY, arguments[0], str(world.plan), *arguments[1:]],
                          env=world.environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=100)
    assert done.returncode == expect, (minutes, arguments, done.returncode, done.stdout + done.stderr)
    return done.stdout + done.stderr


def switched(sync="capture", watch="", finish="{after: 0s, rename_source_to: orders archive, view: true}", rows=70,
             more=""):
    world = World(rows=rows, sync=sync)
    changed(world, "finish: {after: 0s, rename_source_to: orders archive, view: true}",
            ("watch: %s\n" % watch if watch else "") + more + "finish: " + finish)
    world.run("run", "--yes")
    return world


def last_line(out):
    return json.loads(out.splitlines()[-2])


def checked(world, expect=0, *more):
    return last_line(world.run("watch", "--json", *more, expect=expect)[1])


def write_on_the_new_side(world, name, keys=(1, 2, 3)):
    with world.connect() as c:
        for key in keys:
            c.execute('UPDATE "new {orders}" SET customer = ? WHERE key = ?', (name, world.row(key)[0]))


def write_on_the_old_side(world, key, silently=True):
    """`silently`: so that nothing has noted it."""
    with world.connect() as c:
        logs = [name for name, in c.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'whimbrel%'")]
        newest = {name: c.execute('SELECT coalesce(max(rowid), 0) FROM "%s"' % name).fetchone()[0] for name in logs}
        triggers = c.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        links = [one for one in triggers if 'INTO "new {orders}"' in one[1] or 'UPDATE "new {orders}"' in one[1]]
        for name, _ in links if silently else []:
            c.execute('DROP TRIGGER "%s"' % name)
        c.execute('UPDATE "old orders" SET who = ? WHERE id = ?', ("broken", world.row(key)[0]))
        for _, sql in links if silently else []:
            c.execute(sql)
        for name in logs if silently else []:
            c.execute('DELETE FROM "%s" WHERE rowid > ?' % name, (newest[name],))


def digest_of(world):
    with world.connect() as c:
        return [c.execute(sql).fetchall() for sql in ('SELECT * FROM "old orders" ORDER BY id', 'SELECT * FROM "new {orders}" ORDER BY key',
                                                      "SELECT name, sql FROM sqlite_master ORDER BY name")]


def only_a_switched_migration_is_watched():
    world = World(rows=5)
    _, _, err = world.run("watch", expect=3)
    expect_words(err, "nothing was started yet")
    world.run("run", "--yes", "--until", "verify")
    _, _, err = world.run("watch", expect=3)
    expect_words(err, "only a switched migration is watched; this one is verified", "hint: ")
    world.run("run", "--yes")
    world.run("watch")
    world.run("finish", "--yes")
    _, _, err = world.run("watch", expect=3)
    expect_words(err, "this one is finished", "take the timer away")
    world.close()


def a_check_carries_back_and_compares_and_writes_nothing_else():
    for sync in ("dual", "capture"):
        world = switched(sync)
        write_on_the_new_side(world, "written")
        before = digest_of(world)
        one = checked(world)
        assert one["clean"] and one["every_row"] and one["rows"] >= 70 and one["clean_checks"] == 1, one
        old = world.old_rows()
        assert all(old[world.row(key)[0]][1] == "written" for key in (1, 2, 3)), sync
        after = digest_of(world)
        assert after[1:] == before[1:] and (sync == "capture" or after == before), sync
        assert digest_of(world) == after
        checked(world)
        assert digest_of(world) == after, "a second check wrote something"
        world.run("rollback", "--yes")
        world.close()


def what_differs_is_told_and_counts_from_the_beginning():
    for sync in ("dual", "capture"):
        world = switched(sync, finish="{after: 0s, clean_checks: 1}")
        assert checked(world)["clean_checks"] == 1
        write_on_the_old_side(world, 7)
        _, out, err = world.run("watch", expect=1)
        expect_words(out, "1 of 70 rows differ", "differs: ", "verify", "--repair")
        _, out, _ = world.run("status")
        expect_words(" ".join(out.split()), "0 of 1 clean checks in a row", "not clean: 1 of 70 rows differ")
        _, _, err = world.run("finish", "--yes", expect=3)
        expect_words(err, "the plan wants 1 clean checks in a row, and there are 0", "was not clean", "--force")
        world.run("verify", "--repair", "--yes")
        assert checked(world)["clean_checks"] == 1
        world.run("finish", "--yes")
        world.close()


def a_part_a_check_and_what_has_changed_since():
    world = switched(watch="{every: 1h, part: 1/7}", rows=700)
    first = checked(world)
    assert not first["every_row"] and first["rows"] == 100, first
    write_on_the_new_side(world, "far away", (650, 651))
    second = checked(world)
    assert not second["every_row"] and second["rows"] == 102, second
    world.run("run", "--yes")  # carries nothing
    for key in (250, 320):
        write_on_the_old_side(world, key)
    found = checked(world, 1)
    assert found["differing"] == 1 and found["rows"] == 100, found  # the third seventh
    again = checked(world, 1)
    assert again["differing"] == 1, again  # the same part, until it is clean
    write_on_the_new_side(world, "mended", (250,))
    assert checked(world)["clean"]
    found = checked(world, 1)
    assert found["differing"] == 1, found  # in its turn
    write_on_the_new_side(world, "mended", (320,))
    assert [checked(world)["rows"] for _ in range(4)] == [101, 100, 100, 100]
    write_on_the_old_side(world, 10)
    assert checked(world, 1)["differing"] == 1  # on with the first
    world.close()


def who_writes_on_the_old_side_is_found_at_once():
    world = switched(watch="{part: 1/7}", rows=700)
    write_on_the_old_side(world, 600, silently=False)
    found = checked(world, 1)
    assert found["differing"] == 1 and not found["every_row"], found
    world.close()


def a_position_that_is_lost_makes_it_compare_everything():
    world = switched(watch="{part: 1/7}", rows=700)
    assert not checked(world)["every_row"]
    with world.connect() as c:
        c.execute("CREATE TABLE another (one)")
    assert checked(world)["every_row"]
    assert not checked(world)["every_row"]
    world.close()


def what_another_life_has_carried_makes_it_compare_everything():
    world = switched(watch="{part: 1/7}", rows=700)
    assert not checked(world)["every_row"]
    write_on_the_new_side(world, "by run")
    world.run("run", "--yes")  # carries it, and nobody remembers what
    assert checked(world)["every_row"]
    assert not checked(world)["every_row"]
    world.close()


def beside_a_runner_a_check_only_looks():
    world = switched(finish="{after: 0s, clean_checks: 1}")
    runner = world.start("run", "--yes", "--stay")
    journal = next(world.folder.glob(".whimbrel/*/journal.db"))
    time.sleep(0.5)
    one = checked(world)
    assert one["clean"] and one["clean_checks"] == 1 and one["counts"], one
    _, _, err = world.run("watch", "--every", "1d", expect=3)
    expect_words(err, "without `--every` checks once, beside the runner")
    runner.send_signal(signal.SIGTERM)
    runner.communicate(timeout=30)
    with sqlite3.connect(journal) as c:
        assert c.execute("SELECT count(*) FROM records WHERE name = 'CheckEnded'").fetchone()[0] == 1
    world.run("finish", "--yes")
    world.close()


def finish_waits_for_seven_days_of_clean_checks():
    world = switched(watch="{every: 1d}", finish="{after: 7d, clean_checks: 7, rename_source_to: orders archive}")
    text = later(world, 1, "finish", "--yes", expect=3)
    expect_words(text, "too early: the plan keeps the way back open until")
    for day in range(7):
        text = later(world, day * DAY + 60, "watch")
        expect_words(text, "%d of 7 clean checks in a row" % (day + 1))
        again = later(world, day * DAY + 120, "watch")
        expect_words(again, "%d of 7 clean checks in a row (this one comes too soon to be counted)" % (day + 1))
        if day == 4:
            expect_words(later(world, day * DAY + 180, "status"), "5 of 7 clean checks in a row", "after 2 more clean checks")
            expect_words(later(world, day * DAY + 180, "report"), "5 of 7 clean checks in a row")
        later(world, day * DAY + 240, "finish", "--yes", expect=3)
    expect_words(later(world, 7 * DAY - 60, "finish", "--yes", "--dry-run", expect=3), "too early")
    expect_words(later(world, 7 * DAY + 60, "finish", "--dry-run"), "would rename", "to orders archive")
    later(world, 7 * DAY + 60, "finish", "--yes")
    world.close()


def a_late_failure_begins_the_count_again():
    world = switched(finish="{after: 2d, clean_checks: 3}")
    for day in range(2):
        later(world, day * DAY + 60, "watch")
    write_on_the_old_side(world, 9)
    later(world, 2 * DAY + 60, "watch", expect=1)
    text = later(world, 2 * DAY + 90, "finish", "--yes", expect=3)
    expect_words(text, "wants 3 clean checks in a row, and there are 0")
    text = later(world, 2 * DAY + 90, "finish", "--yes", "--after", "0s", expect=3)
    later(world, 2 * DAY + 90, "finish", "--yes", "--force")
    world.close()


def the_plans_checks_and_a_webhook():
    service = Service()
    service.answers = {"/up": [(200, {"up": True})], "/hook": [(200, {})]}
    world = switched(watch="{webhook: '%s/hook'}" % service.url, more="checks:\n"
                     "  - {at: watch, http: '%s/up', within: 200ms, expect: {json: {up: true}}}\n"
                     "  - {at: watch, sql: 'SELECT count(*) FROM \"new {orders}\"', expect: 70}\n" % service.url)
    one = checked(world)
    assert one["clean"] and one["checks"] == 2, one
    assert all(path == "/up" for _, path, _ in service.asked), service.asked
    service.answers["/up"] = [(200, {"up": False, "who": "who 1"})]
    with world.connect() as c:
        c.execute('DELETE FROM "new {orders}" WHERE key = ?', (world.row(5)[0],))
    one = checked(world, 1)
    assert len(one["reasons"]) == 2 and one["clean_checks"] == 0, one
    method, path, told = service.asked[-1]
    assert (method, path) == ("POST", "/hook"), service.asked
    assert told["migration"] == "scenario" and told["result"] == "not clean" and told["differing"] == 0, told
    assert len(told["reasons"]) == 2 and "who 1" not in json.dumps(told) and "k0000" not in json.dumps(told), told
    journal = next(world.folder.glob(".whimbrel/*/journal.db"))
    with world.connect() as c:
        c.execute('ALTER TABLE "new {orders}" RENAME TO elsewhere')
    world.run("watch", expect=1)
    assert service.asked[-1][1] == "/hook" and "could not be carried back" in json.dumps(service.asked[-1][2]), service.asked[-1]
    assert journal.exists()
    service.close()
    world.close()


def queries_are_measured_and_judged():
    world = switched(more="""queries:
  count:
    old: 'SELECT count(*) FROM "old orders" WHERE qty > :n'
    new: 'SELECT count(*) FROM "new {orders}" WHERE quantity > :n'
    with: {n: [1]}
criteria: {p95: 1ms, errors: 0%}
""")
    plan = world.plan.read_text()
    world.plan.write_text(plan.replace("p95: 1ms", "p95: 60s"))
    one = checked(world)
    assert one["clean"] and one["comparison"]["not_met"] == 0, one
    slow = 'FROM "new {orders}" a, "new {orders}" b, "new {orders}" WHERE quantity'.replace("WHERE", "d WHERE a.")
    world.plan.write_text(plan.replace('FROM "new {orders}" WHERE quantity', slow.replace("a. quantity", "a.quantity")))
    one = checked(world, 1)
    assert one["reasons"] == ["the criterion p95 is not met"], one["reasons"]
    world.close()


def again_and_again_until_it_is_stopped():
    world = switched(watch="{every: 1s}")
    watching = subprocess.Popen([BINARY, "watch", str(world.plan), "--every", "1s", "--json"], env=world.environment(),
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def next_check():
        """Events come between."""
        while "clean" not in (line := json.loads(watching.stdout.readline())):
            pass
        return line

    assert next_check()["clean"]
    write_on_the_new_side(world, "meanwhile", (4,))
    end = time.monotonic() + 20
    while world.old_rows()[world.row(4)[0]][1] != "meanwhile":
        assert time.monotonic() < end, "nothing was carried back between two checks"
        time.sleep(0.05)
    counted = [next_check()["clean_checks"] for _ in range(2)]
    assert counted == [2, 3], counted
    watching.send_signal(signal.SIGINT)
    _, err = watching.communicate(timeout=30)
    assert watching.returncode == 130, (watching.returncode, err)
    world.close()


def a_rollback_is_carried_out_by_whoever_watches():
    world = switched()
    schema = None
    watching = world.start("watch", "--every", "1d")
    time.sleep(1)
    world.run("rollback", "--yes")
    out, err = watching.communicate(timeout=30)
    assert watching.returncode == 0, (watching.returncode, out, err)
    assert "rolled back" in out, out
    assert not world.own_objects(), schema
    world.close()


def mistakes_are_told_with_their_place():
    for wrong, words in (("{part: 8/7}", "`8/7` is no part of the keys"), ("{part: seventh}", "is no part of the keys"),
                         ("{every: 10ms}", "nothing can be checked so often"), ("{webhook: here}", "`here` is no URL"),
                         ("{often: 1d}", "`watch` has no key `often`"), ("7", "`watch` must be a map")):
        world = World(rows=3)
        changed(world, "finish:", "watch: %s\nfinish:" % wrong)
        _, _, err = world.run("check", expect=2)
        expect_words(err, words)
        world.close()


def rows_have_to_come_between_two_checks():
    for sync in ("capture", "dual"):
        world = switched(sync, more="checks: [{at: watch, new_rows: old orders}]\n")
        _, out, err = world.run("watch", expect=1)
        expect_words(out + err, "the application wrote no row of old orders since the last check")
        write_on_the_new_side(world, "somebody")
        world.run("watch")
        if sync == "capture":
            world.run("watch", expect=1)
        # What another process has carried back is not known of each table.
        write_on_the_new_side(world, "somebody else")
        world.run("run", "--yes")
        world.run("watch")
        world.close()


if __name__ == "__main__":
    main(rows_have_to_come_between_two_checks, only_a_switched_migration_is_watched, a_check_carries_back_and_compares_and_writes_nothing_else,
         what_differs_is_told_and_counts_from_the_beginning, a_part_a_check_and_what_has_changed_since,
         who_writes_on_the_old_side_is_found_at_once, a_position_that_is_lost_makes_it_compare_everything,
         what_another_life_has_carried_makes_it_compare_everything, beside_a_runner_a_check_only_looks,
         finish_waits_for_seven_days_of_clean_checks, a_late_failure_begins_the_count_again, the_plans_checks_and_a_webhook,
         queries_are_measured_and_judged, again_and_again_until_it_is_stopped, a_rollback_is_carried_out_by_whoever_watches,
         mistakes_are_told_with_their_place)

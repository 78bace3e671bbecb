"""Checks that cannot be asked have failed; switches that cannot be flipped, or not be put back, are found in time."""
import time

from pair import PLAN_ERROR, Pair, are, changed, expect_words, main

PLAIN = "CREATE TABLE {} (id INTEGER PRIMARY KEY, v TEXT);"
TWO_ROWS = PLAIN.format("o") + "INSERT INTO o VALUES (1, 'a'), (2, 'b');"
ROW_SWITCH = "{row: db/flags, key: {name: new}, set: {state: 1}, create: true}"


def with_check(check, more="", sync="dual"):
    pair = Pair(TWO_ROWS, PLAIN.format("n"), sync)
    changed(pair, "finish:", "checks: [%s]\n%sfinish:" % (check, more))
    return pair


def with_switch(switch):
    pair = Pair(TWO_ROWS, PLAIN.format("n"), "dual")
    changed(pair, ROW_SWITCH, switch)
    return pair


def who_asks_for_a_comparison_gets_no_switch():
    """Also where a cutover was killed while writers were held."""
    for goal, phase in (("verify", "verified"), ("copy", "following"), (None, "verified")):
        with with_check('{at: held, command: [sh, -c, "test -e held || { touch held; sleep 30; }"]}', sync="capture") as pair:
            changed(pair, "max_hold: 2s", "start: manual\n  max_hold: 20s")
            pair.run("run", "--yes")
            cutover = pair.start("cutover", "--yes")
            while not (pair.folder / "held").exists():
                time.sleep(0.02)
            cutover.kill()
            cutover.communicate()
            assert "whimbrel cutover" in pair.run("status")
            pair.run("run", "--yes", *(["--until", goal] if goal else []))
            are(pair.ask("SELECT * FROM flags"), [], "switched")
            assert phase in pair.run("status", "--json"), phase
            pair.script("INSERT INTO o VALUES (9, 'i')")  # nobody is held
            pair.run("run", "--yes", "--until", "verify")
            pair.run("cutover", "--yes")
            are(pair.ask("SELECT * FROM flags"), [("new", 1)])
            are(pair.new(), pair.old())


def a_check_that_cannot_start_is_no_success():
    for more, code in (("", 1), ("on_failure: rollback\n", 4)):
        with with_check("{at: after, command: [/no/such/program]}", more) as pair:
            before = pair.everything()
            expect_words(pair.run("run", "--yes", expect=code), "the plan's check `/no/such/program` failed")
            pair.is_as(before, "rolled back")


def a_check_whose_query_fails_is_no_refusal_before_anything():
    for at in ("after", "held"):
        with with_check('{at: %s, sql: "SELECT count(*) FROM nosuch", expect: 0}' % at) as pair:
            expect_words(pair.run("run", "--yes", expect=1),
                         "the plan's check `SELECT count(*) FROM nosuch` failed", "no such table")


def a_command_without_words_is_a_mistake_of_the_plan():
    with with_switch('{command: [], undo: ["true"]}') as pair:
        pair.refused("the command has no words", code=PLAN_ERROR)


def a_program_that_is_not_there_leaves_no_switch_in_doubt():
    with with_switch('{command: [/no/such/program], undo: ["true"]}') as pair:
        _, printed = pair.answer("run", "--yes")
        expect_words(printed, "/no/such/program")
        assert "may or may not" not in printed and "stuck" not in printed, printed
        pair.run("rollback", "--yes")
        are(pair.old(), [(1, "a"), (2, "b")])
        are(pair.ask("SELECT name FROM sqlite_master WHERE name LIKE 'whimbrel%' OR name = 'n'"), [])


def a_switch_that_would_never_be_found_again_is_refused():
    with with_switch(ROW_SWITCH.replace("name: new", "name: ")) as pair:
        pair.refused("null", code=PLAN_ERROR)


def a_switch_by_a_command_keeps_no_secret():
    word = "[sh, -c, 'test -n \"$0\"', '${API_TOKEN}']"
    secret = {"API_TOKEN": "s3cr3t-v4lue"}
    with with_switch("{command: %s, undo: %s}" % (word, word)) as pair:
        printed = pair.run("run", "--yes", environment=secret) + pair.run("rollback", "--yes", environment=secret)
        assert "s3cr3t-v4lue" not in printed, printed
        files = [f for f in pair.folder.rglob("*") if f.is_file()]
        are([f.name for f in files if b"s3cr3t-v4lue" in f.read_bytes()], [], "files with the secret")


TESTS = [who_asks_for_a_comparison_gets_no_switch, a_check_that_cannot_start_is_no_success, a_check_whose_query_fails_is_no_refusal_before_anything,
         a_command_without_words_is_a_mistake_of_the_plan, a_program_that_is_not_there_leaves_no_switch_in_doubt,
         a_switch_that_would_never_be_found_again_is_refused, a_switch_by_a_command_keeps_no_secret]

if __name__ == "__main__":
    main(*TESTS)

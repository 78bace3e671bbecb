"""`rehearsal: required`: no production without a run and a rollback elsewhere; and what `protect: production` forbids."""
import shutil

from refusals import changed, expect_words
from whimbrel import World, main

VARIANTS = """
variant: ${env}
variants:
  dev: {finish: {after: 0s, keep_source: false, rename_source_to: "", view: false}}
  prod: {rehearsal: required, protect: production, finish: {after: 0s, keep_source: false, rename_source_to: "", view: false}}
"""


class Two:
    """A world in which the same plan is run for `dev` and for `prod`."""

    def __init__(self):
        self.world = World(rows=60)
        changed(self.world, "migration: scenario", "vars: {env: {one_of: [dev, prod]}}\nmigration: scenario-${env}")
        changed(self.world, "finish: {after: 0s, rename_source_to: orders archive, view: true}", "finish: {after: 0s}")
        self.world.plan.write_text(self.world.plan.read_text() + VARIANTS)

    def run(self, env, *words, expect=0):
        return self.world.run(*words, "--var", "env=" + env, expect=expect)

    def rehearse(self):
        self.run("dev", "run", "--yes")
        self.run("dev", "rollback", "--yes")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.world.close()


def nothing_begins_before_the_rehearsal():
    with Two() as two:
        for words in (("check",), ("run", "--yes"), ("run", "--dry-run")):
            _, out, err = two.run("prod", *words, expect=3)
            expect_words(err, "this plan was not rehearsed: no state folder beside this one's", "nothing was changed",
                         "run it with another variant up to the switch, then roll back")
        assert two.world.own_objects() == []
        two.run("dev", "check")  # who needs none is not asked for one


def a_run_without_its_way_back_is_no_rehearsal():
    with Two() as two:
        two.run("dev", "run", "--yes", "--until", "verify")
        two.run("dev", "rollback", "--yes")
        two.run("prod", "check", expect=3)  # it was never switched
        two.run("dev", "run", "--yes")
        two.run("prod", "check", expect=3)  # it has not gone back
        two.run("dev", "rollback", "--yes")
        _, out, err = two.run("prod", "check")
        expect_words(out + err, "rehearsed: scenario-dev was switched and rolled back")


def it_is_this_very_plan():
    with Two() as two:
        two.rehearse()
        two.world.plan.write_text("# a remark\n" + two.world.plan.read_text())
        two.run("prod", "check")
        changed(two.world, "max_hold: 2s", "max_hold: 3s")
        _, _, err = two.run("prod", "check", expect=3)
        expect_words(err, "scenario-dev was rolled back at", "the plan or its files have changed since")
        changed(two.world, "max_hold: 3s", "max_hold: 2s")
        two.run("prod", "check")
        table = two.world.folder / "new.sql"
        table.write_text(table.read_text().replace("DEFAULT 'x'", "DEFAULT 'y'"))
        two.run("prod", "check", expect=3)


def a_number_in_quotes_is_another_plan():
    with Two() as two:
        changed(two.world, "doc: {json: {note: note}, if_null: {json: {}}}", "doc: {json: {note: note, n: {const: 5}}}")
        two.rehearse()
        changed(two.world, "{const: 5}", "{const: '5'}")
        two.run("prod", "check", expect=3)


def files_that_the_variant_names_may_differ():
    with Two() as two:
        changed(two.world, "create: new.sql", "create: new-${env}.sql")
        text = (two.world.folder / "new.sql").read_text()
        (two.world.folder / "new-dev.sql").write_text(text)
        (two.world.folder / "new-prod.sql").write_text(text + "CREATE INDEX more ON \"new {orders}\"(quantity);")
        two.rehearse()
        two.run("prod", "check")


def the_state_folder_may_be_said_with_a_slash():
    with Two() as two:
        states = two.world.folder / "states"
        two.run("dev", "run", "--yes", "--state", str(states / "dev"))
        two.run("dev", "rollback", "--yes", "--state", str(states / "dev"))
        for state in (str(states / "prod"), str(states / "prod") + "/"):
            two.run("prod", "check", "--state", state)


def the_report_alone_proves_it():
    with Two() as two:
        two.rehearse()
        states = two.world.folder / ".whimbrel"
        report = (states / "scenario-dev" / "migration-report-latest.json").read_bytes()
        shutil.rmtree(states / "scenario-dev")
        two.run("prod", "check", expect=3)
        (states / "from-another-machine").mkdir(parents=True)
        (states / "from-another-machine" / "migration-report-latest.json").write_bytes(report)
        two.run("prod", "run", "--yes", "--until", "copy")
        shutil.rmtree(states / "from-another-machine")
        two.run("prod", "run", "--yes")  # what was begun goes on
        two.world.compare()


def production_keeps_an_archive():
    with Two() as two:
        two.rehearse()
        two.run("prod", "run", "--yes")
        for words in (("finish", "--yes", "--no-backup"), ("finish", "--dry-run", "--no-backup")):
            _, _, err = two.run("prod", *words, expect=3)
            expect_words(err, "under `protect: production` no table goes without a verified archive")
        assert two.world.old_rows()
        _, _, err = two.run("prod", "finish", "--yes", "--force", expect=3)
        expect_words(err, "`--force` is never allowed under `protect: production`")
        two.run("prod", "finish", "--yes")
        assert list((two.world.folder / ".whimbrel" / "scenario-prod").glob("archive-*/manifest.json"))


if __name__ == "__main__":
    main(nothing_begins_before_the_rehearsal, a_run_without_its_way_back_is_no_rehearsal, it_is_this_very_plan,
         a_number_in_quotes_is_another_plan, files_that_the_variant_names_may_differ, the_state_folder_may_be_said_with_a_slash,
         the_report_alone_proves_it, production_keeps_an_archive)

"""whimbrel with a plan and a state folder of its own."""
import json
import shutil

import measuring
import trail

RETYPE = """\
whimbrel: 1
migration: retype
stores: {app: "${DATABASE_URL}"}
retype: [{table: app/public.users, column: id, to: uuid}]
sync: capture
backup: none
"""
COPY = """\
whimbrel: 1
migration: events
stores: {old: "${OLD}", new: "${NEW}"}
tables: [{from: old/public.events, to: new/public.events, create: like-source, indexes: after}]
sync: capture
backup: none
"""


class Whimbrel:
    def __init__(self, bench, plan, environment):
        self.program, self.environment = bench.whimbrel, environment
        self.folder = bench.work / "whimbrel"
        self.log = bench.work / "whimbrel.log"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        (self.folder / "plan.yaml").write_text(plan, "utf-8")

    def command(self, verb, *more):
        return [self.program, verb, self.folder / "plan.yaml", "--state", self.folder / "state", *more]

    def start(self, verb, *more):
        return measuring.Process(self.command(verb, *more), self.log, env=self.environment)

    def run_until(self, phase):
        return self.start("run", "--yes", "--quiet", "--until", phase)

    def trail(self):
        report = {}
        for line in measuring.output_of(self.command("report", "--json"), self.environment).splitlines():
            report.update(json.loads(line))
        return report["trail"]

    def swapped(self):
        """When the application got the new tables, on the clock."""
        return next(trail.seconds_of(entry["at"]) for entry in self.trail()
                    if entry["record"] == "EffectConfirmed" and entry["body"]["id"] == "switch:swap")

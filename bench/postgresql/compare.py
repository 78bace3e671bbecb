"""Two tables compared, first equal and then with ten rows that differ."""
import measuring
from copies import DIGEST, Pair, statements
from database import server_cpu_s
from from_pypi import FromPyPI
from measuring import Failed, note
from whimbrel import COPY, Whimbrel

DIFFERING = 10
SPOIL = f"UPDATE events SET body = 'x' WHERE id % (SELECT max(id) / {DIFFERING} FROM events) = 7"


class Reladiff(FromPyPI):
    """From PyPI, in a folder of the build tree."""
    package = "reladiff[postgresql]==0.6.0"

    def __init__(self, folder):
        super().__init__(folder)
        self.program = self.folder / "bin" / "reladiff"


class Compare:
    """The pair is what a migration that was verified has left."""

    def __init__(self, bench):
        self.bench, self.pair = bench, Pair(bench)
        self.whimbrel = Whimbrel(bench, COPY, self.pair.environment)
        self.log = bench.work / "compare.log"
        self.whimbrel.run_until("verify").wait()

    def ways(self):
        """(name, its command, how many differences its output tells)"""
        old, new = self.pair.old, self.pair.new
        both = " ".join(f"{statements(one, '{}')} &" for one in (old, new)) + " wait"

        def on_both(sql):
            """At once on both sides, so that each has a core."""
            return ["bash", "-c", both.replace("{}", sql)]

        def beginning(words):
            return lambda text: sum(line.startswith(words) for line in text.splitlines())

        def unlike(text):
            return len(set(text.split())) - 1

        found = [("verify", self.whimbrel.command("verify", "--quiet"), beginning("differs: ")),
                 ("diff", [self.bench.whimbrel, "diff", f"{old.url}/public.events",
                           f"{new.url}/public.events", "--quiet"], beginning("key "))]
        if self.bench.reladiff.installed():
            found.append(("reladiff", [self.bench.reladiff.program, old.url, "events", new.url, "events",
                                       "-k", "id", "-c", "%", "--json"], beginning('["-"')))
        return [*found, ("counts", on_both("SELECT count(*) FROM events"), unlike),
                ("digests", on_both(DIGEST), unlike)]

    def once(self, command, count):
        cpu_s = server_cpu_s(self.bench.server)
        taken = measuring.run(command, self.log, env=self.pair.environment, codes=(0, 1))
        text = self.log.read_text("utf-8", errors="replace")
        return {**taken, "server_cpu_s": server_cpu_s(self.bench.server) - cpu_s,
                "found": count(text)}


def measure(bench):
    found = {}
    there = Compare(bench)
    for side in ("equal", "ten"):
        if side == "ten":
            there.pair.new.sql(SPOIL)
        for name, command, count in there.ways():
            note(f"  {name}, {side} …")
            try:
                found.setdefault(name, {})[side] = there.once(command, count)
            except Failed as error:
                bench.missing.append(f"{name} ({side}): {error}")
    return found

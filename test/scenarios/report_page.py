"""The report's page and the runbook: true to the journal, well-formed, alone in the world, and quiet in a browser.

Where a Chromium is installed the page is opened in it, light and dark and on paper; without one those tests say that
they were skipped.
"""
import datetime
import html.parser
import json
import os
import pathlib
import re
import shutil
import sqlite3
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree

from documents import hold
from refusals import changed, expect_words
from whimbrel import World, main

CHROMIUM = next((p for p in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if p), None)
PHASES_WITH_PAGE = ("backup", "prepare", "copy", "follow", "verify", "watch")


def state_folder(world):
    return world.folder / ".whimbrel" / "scenario"


def records(world):
    with sqlite3.connect(state_folder(world) / "journal.db") as c:
        return [(name, json.loads(body)) for name, body in c.execute("SELECT name, body FROM records ORDER BY number")]


class Addresses(html.parser.HTMLParser):
    """What a browser would load or run."""

    def __init__(self):
        super().__init__()
        self.found, self.tags = [], set()

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        for name, value in attributes:
            if name in ("src", "href", "srcset", "action", "data", "poster", "xlink:href", "style") or name.startswith("on"):
                self.found.append((tag, name, value))

    handle_startendtag = handle_starttag


def hold_page(text):
    """Well-formed, with nothing to load and nothing to run. Gives the tree."""
    addresses = Addresses()
    addresses.feed(text)
    assert [f for f in addresses.found if f != ("link", "href", "data:,")] == [], addresses.found
    assert not addresses.tags & {"script", "iframe", "img", "object", "embed", "form"}, addresses.tags
    assert "://" not in text.split("<style>")[0] and "url(" not in text and "@import" not in text
    assert "Content-Security-Policy" in text
    tree = ElementTree.fromstring(text.split("\n", 1)[1])
    ids = [e.get("id") for e in tree.iter() if e.get("id")]
    assert len(ids) == len(set(ids)), "an id twice"
    for e in tree.iter():
        for name in ("aria-labelledby", "aria-describedby"):
            assert e.get(name) is None or e.get(name) in ids, e.get(name)
    for number in re.findall(r'(?:x|y|x1|x2|y1|y2|width|height|cx|cy|d)="([^"]*)"', text):
        assert "nan" not in number and "inf" not in number, number
    return tree


def words(tree, id):
    found = next(e for e in tree.iter() if e.get("id") == id)
    return " ".join("".join(found.itertext()).split())


def number(tree, id):
    return int(words(tree, id).replace(",", ""))


def page_of(world, *more):
    file = world.folder / "page.html"
    world.run("report", "--html", str(file), *more)
    return file, hold_page(file.read_text())


def hold_numbers(world, tree):
    """The figures of the page are those of the journal, counted here anew."""
    attempt = []
    for name, body in records(world):
        attempt = [] if name == "PlanAccepted" else attempt
        attempt.append((name, body))
    chunks = [b for n, b in attempt if n == "ChunkCopied"]
    assert number(tree, "figure-rows") == sum(b["read"] - b["rejected"] for b in chunks)
    assert number(tree, "figure-rejected") == sum(1 for n, _ in attempt if n == "RowRejected")
    compared = [b for n, b in attempt if n == "VerifyEnded" and b["full"]]
    if compared:
        assert number(tree, "figure-differing") == compared[-1]["differing"]
        aside = sum(b["rejected"] for b in chunks)
        assert "of %s compared" % format(compared[-1]["rows"] - aside, ",") in "".join(tree.itertext())
    if chunks:
        expect_words(words(tree, "chunk-rows-caption"), "%s chunk" % format(len(chunks), ","),
                     "the largest %s" % format(max(b["read"] for b in chunks), ","))
    carried = [b for n, b in attempt if n == "ChangesApplied"]
    if any(b["changes"] for b in carried):
        forward = sum(b["changes"] for b in carried if b["feed"].startswith("forward"))
        backward = sum(b["changes"] for b in carried if b["feed"].startswith("backward"))
        expect_words(words(tree, "lag-caption"), "%d changes were carried to the new side, %d back" % (forward, backward))
    expect_words(words(tree, "trail"), "%s in all" % format(len(records(world)), ","))


def ticks(tree):
    return {e.get("id")[6:]: e.get("class") for e in tree.iter() if (e.get("id") or "").startswith("check-")}


def before_anything_has_begun():
    world = World(rows=20)
    environment = {k: v for k, v in os.environ.items() if k != "SCENARIO_DB"}
    world.environment = lambda: environment  # a report needs neither stores nor their variables
    _, out, _ = world.run("report", "--runbook")
    expect_words(out, "# Runbook: scenario", "before anything has begun", "not yet measured: run `analyze`",
                 "Variables", "SCENARIO\\_DB", "Way back", "db/old orders", "--until verify", "whimbrel rollback")
    _, tree = page_of(world)
    expect_words(words(tree, "headline"), "Nothing has moved yet", "db/old orders")
    _, out, _ = world.run("report", "--json")
    told = [json.loads(line) for line in out.splitlines()]
    assert told[0]["phase"] == "not started" and told[0]["plan"] == {} and told[0]["attempt"] == 0, out
    hold("report", told[0], "report --json before anything has begun")
    assert told[1]["next_steps"], told[1]
    for kind in ("report-latest.json", "report-latest.html", "runbook-latest.md"):
        assert (state_folder(world) / ("migration-" + kind)).exists(), kind
    assert not (state_folder(world) / "journal.db").exists()
    world.run("report", "--html", str(world.folder / "no" / "such" / "folder.html"), expect=1)
    world.plan.write_text("whimbrel: 1\nmigration: scenario\nstores: [\n")
    world.run("report", expect=2)
    world.close()


def at_every_goal_and_after_the_end():
    for sync in ("dual", "capture"):
        world = World(rows=230, sync=sync)
        world.run("analyze")
        _, out, _ = world.run("report", "--runbook")
        expect_words(out, "as the analysis estimates", "230")
        for goal in PHASES_WITH_PAGE:
            world.run("run", "--yes", "--until", goal)
            hold_page((state_folder(world) / "migration-report-latest.html").read_text())
            hold_numbers(world, page_of(world)[1])
            with world.connect() as c:
                c.execute("UPDATE \"old orders\" SET note = ? WHERE id LIKE 'k0001%'" if goal != "watch" else
                          "UPDATE \"new {orders}\" SET customer = ? WHERE key LIKE 'k0001%'", (goal,))
        world.run("verify")
        _, tree = page_of(world)
        hold_numbers(world, tree)
        expect_words(words(tree, "headline"), "Switched over", "Nothing is lost", "The application uses the new side",
                     "The way back is open")
        met = ticks(tree)
        assert all(met[i] == "met" for i in ("rows_read", "backup", "rows_copied", "rows_compared", "rows_set_aside",
                                             "switched", "writers_held", "way_back", "no_open_error")), met
        world.run("rollback", "--yes")
        _, tree = page_of(world)
        expect_words(words(tree, "headline"), "Rolled back", "Nothing is lost")
        world.run("run", "--yes")
        world.run("finish", "--yes")
        _, tree = page_of(world)
        hold_numbers(world, tree)
        expect_words(words(tree, "headline"), "Finished")
        _, out, _ = world.run("report", "--runbook")
        expect_words(out, "What really happened", "rolled back", "finished on", "flipped on")
        world.close()


def what_failed_is_said():
    world = World(rows=60, sync="capture")
    changed(world, "finish:", "checks: [{at: before, sql: \"SELECT 'a</p>' || count(*) FROM switches\", expect: 9}]\nfinish:")
    world.run("run", "--yes", expect=1)
    _, tree = page_of(world)
    expect_words(words(tree, "headline"), "'a</p>0' where 9 is expected", "The application uses the old side")
    assert ticks(tree)["no_open_error"] == "not_met"
    _, tree = page_of(world, "--redact")
    assert "a</p>0" not in "".join(tree.itertext())
    for kind in ("json", "html"):
        assert "a</p>0" not in (state_folder(world) / ("migration-report-latest." + kind)).read_text()
    world.close()


def rows_set_aside_and_a_way_of_odd_names():
    world = World(rows=80, sync="capture")
    changed(world, "quantity: qty", "quantity: {cast: qty, to: integer}")
    changed(world, "    rest: forbid", "    rest: forbid\n    on_error: reject\n    as: \"odd </script><i>| `name` ünïcode\"")
    with world.connect() as c:
        c.execute("UPDATE \"old orders\" SET qty = 'no number' WHERE id LIKE 'k0001%'")
    world.run("run", "--yes")
    _, tree = page_of(world)
    hold_numbers(world, tree)
    assert ticks(tree)["rows_set_aside"] == "not_met" and number(tree, "figure-rejected") == 10
    assert "Nothing is lost" not in words(tree, "headline"), "beside rows that are set aside"
    expect_words(words(tree, "validation"), "odd </script><i>| `name` ünïcode")
    world.close()


def compared_at(world, at, migration="scenario"):
    (state_folder(world) / "migration-comparison-latest.json").write_text(json.dumps({
        "migration": migration, "made_at": stamp(), "after": {"made_at": at},
        "criteria": [{"name": "p95_change", "wanted": "-30%", "measured": "-12%", "met": False},
                     {"name": "errors", "wanted": "0.1%", "measured": "0 of 5,000", "met": True}]}))
    return page_of(world)[1]


def stamp():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def measurements_are_taken_from_the_state_folder():
    """Only those that belong to what is told: of this migration, this attempt, and after the switch."""
    world = World(rows=20)
    world.plan.write_text(world.plan.read_text() + "criteria: {lost: 0, p95_change: -30%, errors: 0.1%}\n")
    before = stamp()
    world.run("run", "--yes", "--until", "verify")
    following = stamp()
    assert ticks(compared_at(world, following))["p95_change"] == "not_met"
    world.run("run", "--yes")
    assert ticks(page_of(world)[1])["lost"] == "met" and ticks(page_of(world)[1])["errors"] == "not_measured"
    expect_words(words(page_of(world)[1], "check-errors"), "measured before the switch")
    tree = compared_at(world, stamp())
    assert ticks(tree)["p95_change"] == "not_met" and ticks(tree)["errors"] == "met", ticks(tree)
    expect_words(words(tree, "check-p95_change"), "-12%", "measurement")
    for at, of, why in [(before, "scenario", "measured before the migration began"), (following, "scenario", "before the switch"),
                        (stamp(), "other", "of another migration")]:
        tree = compared_at(world, at, of)
        assert ticks(tree)["p95_change"] == ticks(tree)["errors"] == "not_measured", (at, of, ticks(tree))
        expect_words(words(tree, "check-p95_change"), why)
    switched = stamp()
    world.run("rollback", "--yes")
    world.run("run", "--yes")
    tree = compared_at(world, switched)
    assert ticks(tree)["p95_change"] == "not_measured"
    expect_words(words(tree, "check-p95_change"), "earlier attempt")
    world.close()


def beside_a_runner_and_without_its_folder():
    world = World(rows=3000, sync="capture")
    changed(world, "limits: {batch_size: 50}", "limits: {batch_size: 5, rows_per_s: 300}")
    process = world.start("run", "--yes")
    for _ in range(200):
        time.sleep(0.05)
        try:
            journal = state_folder(world) / "journal.db"
            if journal.exists() and any(n == "ChunkCopied" for n, _ in records(world)):
                break
        except sqlite3.OperationalError:  # the journal is just being made
            pass
    _, tree = page_of(world)
    assert "a runner is at work" in "".join(tree.itertext()) and "Rows are being copied" in words(tree, "headline")
    process.terminate()
    process.communicate()
    _, tree = page_of(world)
    hold_numbers(world, tree)
    expect_words(words(tree, "headline"), "The copy is interrupted")
    _, out, _ = world.run("report", "--html", "-")
    hold_page(out)
    elsewhere = world.folder / "elsewhere of it"
    shutil.move(state_folder(world), elsewhere)
    world.plan.unlink()
    _, out, _ = world.run("report", "--runbook", "--state", str(elsewhere))
    expect_words(out, "--state '%s'" % elsewhere, "since")
    world.close()


def browser(world, page, *more):
    profile = world.folder / "profile"
    done = subprocess.run([CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                           "--no-first-run", "--user-data-dir=%s" % profile, "--enable-logging=stderr", *more,
                           page.as_uri()], capture_output=True, text=True, timeout=120)
    said = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    assert not said, said
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def a_browser_shows_it_without_complaint():
    if CHROMIUM is None:
        print("skipped: no Chromium is installed (tools/install test)")
        return
    world = World(rows=400, sync="capture")
    world.run("run", "--yes")
    page, tree = page_of(world)
    for dark in (False, True):
        color = ["--blink-settings=preferredColorScheme=%d" % (0 if dark else 1)]
        dom = browser(world, page, "--dump-dom", *color)
        assert dom.count("<section") == sum(1 for e in tree.iter("section"))
        for width in (1200, 420):
            picture = world.folder / ("page-%d-%d.png" % (dark, width))
            browser(world, page, "--screenshot=%s" % picture, "--hide-scrollbars", "--window-size=%d,2400" % width, *color)
            assert picture.stat().st_size > 20_000, picture.stat().st_size
    light, dark = ((world.folder / ("page-%d-1200.png" % i)).read_bytes() for i in (0, 1))
    assert light != dark, "it is not dark where a person wants it dark"
    paper = world.folder / "page.pdf"
    browser(world, page, "--print-to-pdf=%s" % paper, "--no-pdf-header-footer")
    assert paper.read_bytes().startswith(b"%PDF")
    world.close()


if __name__ == "__main__":
    main(before_anything_has_begun, at_every_goal_and_after_the_end, what_failed_is_said,
         rows_set_aside_and_a_way_of_odd_names, measurements_are_taken_from_the_state_folder,
         beside_a_runner_and_without_its_folder, a_browser_shows_it_without_complaint)

"""`status` beside a runner: how fast, how long still, what limits it, in 80 columns; and what it costs to ask."""
import json
import re
import sqlite3
import subprocess
import time

from refusals import changed
from whimbrel import BINARY, World, main


def status(world, *options):
    return world.run("status", *options)[1]


def document(world):
    """The first line; nothing before the journal is there."""
    code, out, _ = world.run("status", "--json", expect=None)
    return json.loads(out.splitlines()[0]) if code == 0 else {}


def at_work(world):
    return document(world).get("at_work")


def fits(text):
    """But for the commands to go on with, which are as long as the plan's path."""
    return all(len(line) <= 80 for line in text.splitlines() if "next: " not in line)


def wait_for(what, seconds=60):
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.05)
    return found


def slow_world(rows=3000, rows_per_s=300, sync="dual"):
    world = World(rows=rows, sync=sync)
    changed(world, "limits: {batch_size: 50}", "limits: {batch_size: 50, rows_per_s: %d}" % rows_per_s)
    return world


def tells_the_rate_the_rest_and_the_limit():
    for sync in ("dual", "capture"):
        world = slow_world(sync=sync)
        runner = world.start("run", "--yes", "--until", "verify")
        told = wait_for(lambda: (now := at_work(world)) and now["doing"] == "copying" and now["done"] >= 1000 and now)
        assert 0 < told["left_ms"] < 30_000, told
        assert 100 < told["rows_per_s"] < 600, told
        assert "limit of 300 rows/s" in told["limited_by"], told
        text = status(world)
        assert fits(text), text
        assert text.startswith("The old side is read and written"), text
        assert text.splitlines()[1].startswith("way back: open"), text
        for word in ("rate", "left", "lag", "limited by", "a runner is at work"):
            assert word in text, (word, text)
        assert runner.wait(timeout=120) == 0
        runner.communicate()
        after = status(world)
        assert "no runner is at work" in after and "limited by" not in after, after
        assert at_work(world) is None
        world.close()


def a_pause_is_told_and_time_stands_still():
    world = slow_world()
    runner = world.start("run", "--yes", "--until", "verify")
    wait_for(lambda: (now := at_work(world)) and now["doing"] == "copying" and now)
    world.run("pause")
    first = wait_for(lambda: (now := at_work(world)) and now["paused"] and now)
    time.sleep(1)
    assert at_work(world)["left_ms"] == first["left_ms"]
    assert "PAUSED" in status(world)
    world.run("resume")
    wait_for(lambda: not at_work(world)["paused"])
    assert "PAUSED" not in status(world)
    assert runner.wait(timeout=120) == 0
    runner.communicate()
    world.close()


def a_limit_that_is_raised_is_heeded_at_once():
    world = slow_world()
    runner = world.start("run", "--yes", "--until", "copy")
    wait_for(lambda: (now := at_work(world)) and now["doing"] == "copying" and now)
    world.run("limits", "batch_size=500", "rows_per_s=200000")
    wait_for(lambda: "200,000 rows/s" in ((at_work(world) or {}).get("limited_by") or "200,000 rows/s"))
    assert runner.wait(timeout=60) == 0
    runner.communicate()
    journal = sqlite3.connect(next(world.folder.glob(".whimbrel/*/journal.db")))
    chunks = [json.loads(row[0])["read"] for row in
              journal.execute("SELECT body FROM records WHERE name = 'ChunkCopied' ORDER BY number")]
    journal.close()
    assert chunks[0] <= 50 and max(chunks) > 50, chunks
    world.close()


def watch_is_a_block_of_eighty_columns():
    world = slow_world()
    runner = world.start("run", "--yes", "--until", "verify")
    wait_for(lambda: (now := at_work(world)) and now["doing"] == "copying" and now)
    watch = subprocess.Popen([BINARY, "status", str(world.plan), "--watch"], env=world.environment(),
                             stdout=subprocess.PIPE, text=True)
    time.sleep(2.5)
    watch.terminate()
    blocks = watch.communicate(timeout=20)[0].split("\x1b[H\x1b[2J")[1:]
    assert len(blocks) >= 2, blocks
    for block in blocks:
        lines = re.sub(r"\x1b\[[0-9;]*m", "", block).splitlines()
        assert fits(block), block
        assert lines[0].startswith("The old side is read and written"), block
        assert any("whimbrel rollback" in line for line in lines), block
    assert runner.wait(timeout=120) == 0
    runner.communicate()
    world.close()


def thirty_thousand_records_are_not_read_anew():
    """Counted, not timed: beside a snapshot, `status` reads what came after it."""
    world = slow_world(rows=1500, rows_per_s=100_000)
    changed(world, "batch_size: 50", "batch_size: 1")
    world.run("run", "--yes", "--until", "copy")
    journal = next(world.folder.glob(".whimbrel/*/journal.db"))
    connection = sqlite3.connect(journal)
    records = connection.execute("SELECT max(number) FROM records").fetchone()[0]
    snapshot = connection.execute("SELECT number FROM snapshots").fetchone()[0]
    assert records > 500 and records - snapshot < 500, (records, snapshot)
    # What lies before the snapshot is not looked at: damage there is for `run` and `report` to find.
    connection.execute("UPDATE records SET body = '{}' WHERE number = 7")
    connection.commit()
    connection.close()
    assert document(world)["phase"] == "following"
    code, _, err = world.run("run", "--yes", expect=None)
    assert code == 3 and "damaged at record 7" in err, err
    world.close()


if __name__ == "__main__":
    main(tells_the_rate_the_rest_and_the_limit, a_pause_is_told_and_time_stands_still,
         a_limit_that_is_raised_is_heeded_at_once,
         watch_is_a_block_of_eighty_columns, thirty_thousand_records_are_not_read_anew)

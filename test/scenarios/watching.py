"""`status` beside a runner: how fast, how long still, what limits it, in 80 columns; and what it costs to ask."""
import fcntl
import json
import os
import pty
import re
import select
import signal
import sqlite3
import struct
import subprocess
import termios
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


def on_a_terminal(world, rows, columns, seconds, *arguments):
    """What a terminal of this size was sent."""
    process, terminal = pty.fork()
    if process == 0:
        os.execve(BINARY, [BINARY, *arguments], dict(world.environment(), TERM="xterm"))
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    sent, end = b"", time.monotonic() + seconds
    while time.monotonic() < end:
        if select.select([terminal], [], [], 0.1)[0]:
            sent += os.read(terminal, 65536)
    os.kill(process, signal.SIGTERM)
    try:
        while more := os.read(terminal, 65536):
            sent += more
    except OSError:
        pass  # it has ended
    os.waitpid(process, 0)
    return sent.decode()


def the_block_of_many_tables_fits_a_terminal():
    """Eighteen tables at work on 80x24: nothing scrolls, and what is to be done next works."""
    world = World(rows=0)
    names = ["table_%02d" % i for i in range(18)]
    with world.connect() as c:
        for name in names:
            c.execute("CREATE TABLE %s (id INTEGER PRIMARY KEY, v TEXT)" % name)
            c.execute("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 150) "
                      "INSERT INTO %s SELECT i, 'v' || i FROM n" % name)
    for name in names:
        (world.folder / (name + ".sql")).write_text("CREATE TABLE %s_v2 (id INTEGER PRIMARY KEY, v TEXT)" % name)
    world.plan.write_text("whimbrel: 1\nmigration: scenario\nstores: {db: \"sqlite:${SCENARIO_DB}\"}\ntables:\n" + "".join(
        "  - {from: db/%s, to: db/%s_v2, create: %s.sql}\n" % (n, n, n) for n in names) +
        "sync: capture\nlimits: {batch_size: 25, rows_per_s: 100}\n")
    runner = world.start("run", "--yes", "--until", "verify")
    wait_for(lambda: (now := at_work(world)) and now["doing"] == "copying" and now["done"] >= 50 and now)
    for rows, columns in ((24, 80), (24, 200), (12, 60)):
        blocks = on_a_terminal(world, rows, columns, 1.5, "status", str(world.plan), "--watch").split("\x1b[H\x1b[2J")
        for block in blocks[1:-1]:  # after the last one the end of the command is told
            lines = block.replace("\r", "").split("\n")
            assert len(lines) <= rows, (rows, block)
            assert all(len(line) <= min(columns, 80) for line in lines), block
            assert lines[0].startswith("The old side is read and written"), block
            assert rows < 24 or "18 tables: " in block, block
        assert rows < 24 or "whimbrel pause" in blocks[1] and "whimbrel run" not in blocks[1], blocks[1]
    document = world.run("status", "--json")[1].splitlines()
    steps = [step["command"].split()[1] for step in json.loads(document[-1])["next_steps"]]
    assert steps == ["status", "pause", "limits", "rollback"], steps
    world.run("pause")
    assert "whimbrel resume" in wait_for(lambda: (out := status(world)) and "PAUSED" in out and out)
    world.run("resume")
    world.run("limits", "rows_per_s=100000", expect=None)  # it may have ended by then
    assert runner.wait(timeout=60) == 0
    runner.communicate()
    assert "whimbrel cutover" in status(world)
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
         watch_is_a_block_of_eighty_columns, the_block_of_many_tables_fits_a_terminal, thirty_thousand_records_are_not_read_anew)

"""The way back after days, from a copy of the state folder, when the runner and its machine are gone."""
import json
import pathlib
import shutil
import subprocess
import time

from after_the_end import ending, is_as_before, new_application_writes
from refusals import expect_words
from verbs import everything
from whimbrel import BINARY, main


def after_days(world, *arguments, expect=0):
    """The same, three days later, where faketime is installed."""
    sanitized = b"__asan_init" in pathlib.Path(BINARY).read_bytes()  # it wants to be the first library
    later = ["faketime", "-f", "+3d"] if shutil.which("faketime") and not sanitized else []
    done = subprocess.run([*later, BINARY, arguments[0], str(world.plan), *arguments[1:]], env=world.environment(),
                          capture_output=True, text=True, timeout=100)
    assert done.returncode == expect, (arguments, done.returncode, done.stdout + done.stderr)
    return done.stdout + done.stderr


def switched_and_killed(sync):
    """After the switch the runner dies, the new application makes 10,000 changes, and the state folder moves."""
    world = ending(sync, "rename_source_to: orders archive, view: true", rows=2500)
    before, schema = world.old_rows(), world.schema()
    world.run("run", "--yes")
    runner = world.start("run", "--yes", "--stay")
    time.sleep(0.3)
    runner.kill()
    runner.communicate()
    with world.connect() as c:
        for turn in range(4):
            c.execute("UPDATE \"new {orders}\" SET customer = ? || key", ("turn %d " % turn,))
    new_application_writes(world, "first")
    copy = world.folder / "copy"
    shutil.move(world.folder / ".whimbrel" / "scenario", copy)
    shutil.rmtree(world.folder / ".whimbrel")
    wanted = {k: r[:1] + ("turn 3 " + k,) + r[2:] for k, r in before.items()}
    return world, copy, wanted, schema


def the_long_way_back_from_a_copy():
    for sync in ["dual", "capture"]:
        world, copy, wanted, schema = switched_and_killed(sync)
        where = ["--checkpoint", str(copy / "migration-checkpoint-latest.json")]
        if sync == "dual":
            where = ["--state", str(copy)]
        after_days(world, "rollback", "--yes", expect=3)
        after_days(world, "rollback", "--yes", *where)
        is_as_before(world, wanted, schema, ["first"])
        assert not (world.folder / ".whimbrel").exists(), "a second state folder was made"
        world.close()


def a_checkpoint_says_what_is_missing():
    world, copy, wanted, schema = switched_and_killed("dual")
    checkpoint = copy / "migration-checkpoint-latest.json"
    world.run("rollback", "--yes", "--state", str(copy))
    world.run("run", "--yes", "--state", str(copy))
    noted = json.loads(checkpoint.read_text())["files"]
    assert "kept-by-rollback.jsonl.zst" in noted, noted
    file = copy / "kept-by-rollback.jsonl.zst"
    content = file.read_bytes()
    for damage in [lambda: file.write_bytes(content[:-3]), file.unlink]:
        damage()
        _, _, err = world.run("rollback", "--yes", "--checkpoint", str(checkpoint), expect=3)
        expect_words(err, "kept-by-rollback.jsonl.zst", "nothing was changed")
    file.write_bytes(content)
    _, _, err = world.run("rollback", "--yes", "--checkpoint", str(copy / "no-such.json"), expect=3)
    expect_words(err, "no-such.json")
    journal = (copy / "journal.db").rename(copy / "gone")
    _, _, err = world.run("rollback", "--yes", "--checkpoint", str(checkpoint), expect=3)
    assert "journal.db" in err and "run` begins" not in err, err
    journal.rename(copy / "journal.db")
    world.run("rollback", "--yes", "--checkpoint", str(checkpoint))
    is_as_before(world, wanted, schema, ["first"])
    world.close()


def an_older_copy_is_refused():
    for sync in ["dual", "capture"]:
        world = ending(sync, "keep_source: true")
        folder = world.folder / ".whimbrel" / "scenario"
        world.run("run", "--yes", "--until", "verify")
        shutil.copytree(folder, world.folder / "older")
        world.run("run", "--yes")
        new_application_writes(world, "first")
        before = everything(world)
        for verb in ["rollback", "run"]:
            _, _, err = world.run(verb, "--yes", "--state", str(world.folder / "older"), expect=3)
            expect_words(err, "this state folder is an older copy", "find the newest state folder", "nothing was changed")
            assert everything(world) == before
        world.run("rollback", "--yes")
        world.close()


def an_older_copy_does_no_harm_after_the_end():
    for sync in ["dual", "capture"]:
        for until in ["verify", "watch"]:
            world = ending(sync, "keep_source: true")
            world.run("run", "--yes", "--until", until)
            shutil.copytree(world.folder / ".whimbrel" / "scenario", world.folder / "older")
            world.run("run", "--yes")
            world.run("finish", "--yes")
            new_application_writes(world, "first")
            before = everything(world)
            world.run("rollback", "--yes", "--state", str(world.folder / "older"), expect=3)
            assert everything(world) == before, "the copy of the state folder did harm"
            world.close()


def an_older_copy_cannot_finish():
    for sync in ["dual", "capture"]:
        world = ending(sync, "rename_source_to: orders archive")
        world.run("run", "--yes")
        shutil.copytree(world.folder / ".whimbrel" / "scenario", world.folder / "older")
        world.run("rollback", "--yes")
        world.run("run", "--yes", "--until", "verify")
        before = everything(world)
        _, _, err = world.run("finish", "--yes", "--state", str(world.folder / "older"), expect=3)
        expect_words(err, "older copy")
        assert everything(world) == before, "the table that serves was retired"
        world.close()


def a_switch_put_back_by_hand_is_noticed_by_finish():
    world = ending("dual", "keep_source: false")
    world.run("run", "--yes")
    with world.connect() as c:
        c.execute("UPDATE switches SET state = 7")
    before = everything(world)
    _, _, err = world.run("finish", "--yes", expect=3)
    expect_words(err, "use_new")
    assert everything(world) == before
    world.close()


TESTS = [the_long_way_back_from_a_copy, an_older_copy_is_refused, a_checkpoint_says_what_is_missing,
         an_older_copy_does_no_harm_after_the_end, an_older_copy_cannot_finish,
         a_switch_put_back_by_hand_is_noticed_by_finish]

if __name__ == "__main__":
    main(*TESTS)

#!/usr/bin/env python3
"""Lives of migrations that no example has: generated from a seed, carried out by the real binary, read by a reader of our own.

    WHIMBREL=build/whimbrel python3 test/generated/generated.py --count 200 --seed 1 [--jobs 2] [--only SEED] [--keep DIR]

The seeds of known_seeds.txt come first. One line for each life that failed; exit code 1 if there was one.
"""
import argparse
import concurrent.futures
import faulthandler
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import life  # noqa: E402
import migration  # noqa: E402

FAILED = "FAILED  seed %d: "


def known_seeds():
    lines = (HERE / "known_seeds.txt").read_text(encoding="utf-8").splitlines()
    return [int(line.split("#")[0]) for line in lines if line.split("#")[0].strip()]


def one(seed, keep, binary):
    """The reason why the life of a seed failed, or None."""
    folder = os.path.join(keep, str(seed)) if keep else os.path.join(tempfile.gettempdir(), "gen-%d-%d" % (seed, os.getpid()))
    try:
        reason = life.live(seed, folder, binary)
    except Exception:
        reason = "the generator failed: " + " / ".join(traceback.format_exc().splitlines()[-3:])
    if not keep or reason is None:
        life.clean(folder)
    return reason


def apart(seed, options, keep=None):
    """As one(), in a process of its own: its threads are nobody else's, and what hangs there is told and ended."""
    command = [sys.executable, __file__, "--only", str(seed)] + (["--keep", keep] if keep else []) + (["--all"] if options.all else [])
    began = time.monotonic()
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                             errors="replace", start_new_session=True)
    try:
        out, err = child.communicate(timeout=options.limit_s)
    except subprocess.TimeoutExpired:
        child.send_signal(signal.SIGABRT)  # faulthandler prints where each thread stands
        time.sleep(1)
        os.killpg(child.pid, signal.SIGKILL)
        out, err = child.communicate()
        return seed, "it did not end within %d s:\n%s" % (options.limit_s, err), time.monotonic() - began
    if child.returncode == 0:
        return seed, None, time.monotonic() - began
    told = [line[len(FAILED % seed):] for line in out.splitlines() if line.startswith(FAILED % seed)]
    return seed, told[0] if told else "it ended with %d: %s" % (child.returncode, err[-2000:]), time.monotonic() - began


def tell(seed, reason):
    print((FAILED + "%s\n        again: %s --only %d --keep DIR") % (seed, reason, os.path.relpath(__file__), seed), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", type=int, help="this seed alone")
    parser.add_argument("--keep", metavar="DIR", help="keep the folder of a failed life in DIR")
    parser.add_argument("--limit-s", type=int, default=300, metavar="S", help="a life that takes longer is ended, and has failed")
    parser.add_argument("--all", action="store_true", help="generate also what KNOWN_GAPS in migration.py leaves out")
    parser.add_argument("--again", type=int, default=0, metavar="N",
                        help="live a failed life N times more; it is told as unsteady if most of them go well")
    parser.add_argument("--verbose", action="store_true", help="a line for each life")
    options = parser.parse_args()
    binary = os.environ.get("WHIMBREL")
    if not binary:
        sys.exit("generated.py: set WHIMBREL to the binary")
    if options.all:
        migration.KNOWN_GAPS.clear()
    if options.only is not None:
        faulthandler.enable()
        reason = one(options.only, options.keep, os.path.abspath(binary))
        if reason is not None:
            tell(options.only, " / ".join(reason.splitlines()))
        sys.exit(1 if reason else 0)
    seeds = known_seeds() + list(range(options.seed, options.seed + options.count))
    began, failed = time.monotonic(), 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        lives = [pool.submit(apart, seed, options, options.keep) for seed in seeds]
        for done in concurrent.futures.as_completed(lives):
            seed, reason, seconds = done.result()
            if reason is not None:
                tell(seed, reason)
                again = [apart(seed, options)[1] for _ in range(options.again)]
                well = again.count(None)
                if well > len(again) / 2:
                    print("        unsteady: %d times of %d well afterwards" % (well, len(again)), flush=True)
                else:
                    failed += 1
            elif options.verbose:
                print("ok      seed %d, %.1f s" % (seed, seconds), flush=True)
    print("%d lives, %d failed, %.0f s" % (len(seeds), failed, time.monotonic() - began))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()

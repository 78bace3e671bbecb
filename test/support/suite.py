"""The suite that every store has to pass, in an executable of its own a server: runs it and sums up what it skips."""

import collections
import subprocess


def run_suite(binary, environment, arguments):
    """Its exit code."""
    skipped = collections.Counter()
    with subprocess.Popen([binary, "--gtest_brief=1", *arguments], env=environment, stdout=subprocess.PIPE,
                          text=True) as tests:
        for line in tests.stdout:
            if line.endswith(": Skipped\n"):
                skipped[next(tests.stdout).strip()] += 1
            else:
                print(line, end="", flush=True)
    for reason, count in skipped.items():
        print("skipped %d: %s" % (count, reason))
    return tests.returncode

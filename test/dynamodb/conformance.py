"""The contract of src/store/store.h over DynamoDB Local: the suite that every store has to pass.

What DynamoDB says that it cannot do is skipped, and summed up by reason. Runs under
tools/servers/python, with CONFORMANCE naming the test executable; what follows is handed to it, like
--gtest_filter='Feeds.*'.
"""

import collections
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "test" / "support"))
from servers import dynamodb_local  # noqa: E402

BINARY = os.environ.get("CONFORMANCE", str(ROOT / "build" / "conformance_dynamodb_test"))


def run(environment, arguments):
    skipped = collections.Counter()
    with subprocess.Popen([BINARY, "--gtest_brief=1", *arguments], env=environment, stdout=subprocess.PIPE,
                          text=True) as tests:
        for line in tests.stdout:
            if line.endswith(": Skipped\n"):
                skipped[next(tests.stdout).strip()] += 1
            else:
                print(line, end="", flush=True)
    for reason, count in skipped.items():
        print("skipped %d: %s" % (count, reason))
    return tests.returncode


with dynamodb_local() as server:
    sys.exit(run({**os.environ, **server.environment, "WHIMBREL_DYNAMODB_ENDPOINT": server.url}, sys.argv[1:]))

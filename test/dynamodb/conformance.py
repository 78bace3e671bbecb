"""The contract of src/store/store.h over DynamoDB Local: the suite that every store has to pass.

What DynamoDB says that it cannot do is skipped, and summed up by reason. Runs under
tools/servers/python, with CONFORMANCE naming the test executable; what follows is handed to it, like
--gtest_filter='Feeds.*'.
"""

import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "test" / "support"))
from servers import dynamodb_local  # noqa: E402
from suite import run_suite  # noqa: E402

BINARY = os.environ.get("CONFORMANCE", str(ROOT / "build" / "conformance_dynamodb_test"))

with dynamodb_local() as server:
    environment = {**os.environ, **server.environment, "WHIMBREL_DYNAMODB_ENDPOINT": server.url}
    sys.exit(run_suite(BINARY, environment, sys.argv[1:]))

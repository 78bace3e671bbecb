"""The contract of src/store/store.h over PostgreSQL: the suite that every store has to pass.

What PostgreSQL says that it cannot do is skipped, and summed up by reason. Runs under
tools/servers/python, with CONFORMANCE naming the test executable; what follows is handed to it, like
--gtest_filter='Feeds.*'.
"""

import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "test" / "support"))
from servers import postgresql  # noqa: E402
from suite import run_suite  # noqa: E402

BINARY = os.environ.get("CONFORMANCE", str(ROOT / "build" / "conformance_postgresql_test"))

with postgresql() as server:
    sys.exit(run_suite(BINARY, {**os.environ, "WHIMBREL_POSTGRESQL_URL": server.url}, sys.argv[1:]))

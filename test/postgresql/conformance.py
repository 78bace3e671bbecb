"""The contract of src/store/store.h over PostgreSQL: the suite that every store has to pass.

On PostgreSQL 15, and on 18 where that is installed; or on what WHIMBREL_POSTGRESQL names. What PostgreSQL says
that it cannot do is skipped, and summed up by reason. Runs under tools/servers/python, with CONFORMANCE naming
the test executable; what follows is handed to it, like --gtest_filter='Feeds.*'.
"""

import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "test" / "support"))
from servers import is_installed, postgresql  # noqa: E402
from suite import run_suite  # noqa: E402

BINARY = os.environ.get("CONFORMANCE", str(ROOT / "build" / "conformance_postgresql_test"))

NEWEST = "postgresql-18"

if "WHIMBREL_POSTGRESQL" in os.environ:
    names = [os.environ["WHIMBREL_POSTGRESQL"]]
else:
    names = ["postgresql"] + [NEWEST] * is_installed(NEWEST)
failed = 0
for name in names:
    print(name, flush=True)
    with postgresql(name=name) as server:
        failed |= run_suite(BINARY, {**os.environ, "WHIMBREL_POSTGRESQL_URL": server.url}, sys.argv[1:])
sys.exit(failed)

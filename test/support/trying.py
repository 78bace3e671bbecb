"""Runs the tests of a file, or those of them that its command line names; says how each went, and ends with 1 when one failed."""
import sys
import time
import traceback


def run_each(tests, call):
    """`call` is handed one test after the other, and gives it what it needs."""
    failed = 0
    for test in tests:
        if len(sys.argv) > 1 and test.__name__ not in sys.argv[1:]:
            continue
        begun = time.monotonic()
        try:
            call(test)
            print("ok      %5.1f s  %s" % (time.monotonic() - begun, test.__name__), flush=True)
        except Exception as error:  # each test is reported, whatever went wrong
            failed += 1
            at = ", ".join(str(one.lineno) for one in traceback.extract_tb(error.__traceback__)[2:5])
            print("FAILED  %s, line %s: %s: %s" % (test.__name__, at, type(error).__name__, error), flush=True)
    sys.exit(1 if failed else 0)

#!/usr/bin/env python3
"""Runs a simulation with a planted mistake, and wants it to find a broken promise.

  bites.py PROGRAM [options of the program]

Passes (0) only when the program ends with 1 and names the seed and the promise. A simulation that
stays silent fails, and so does one that stops for any other reason.
"""

import re
import subprocess
import sys


def main() -> int:
    run = subprocess.run(sys.argv[1:], capture_output=True, text=True, check=False)
    found = re.search(r"^seed \d+: .+$", run.stdout, re.MULTILINE)
    if run.returncode == 1 and found:
        lived = re.search(r"^\d+ histories", run.stdout, re.MULTILINE)
        print(f"found after {lived.group() if lived else 'some histories'}: {found.group()}")
        return 0
    print(f"the mistake was not found; exit code {run.returncode}; the last it said:")
    print("\n".join((run.stdout + run.stderr).splitlines()[-20:]))
    return 1


if __name__ == "__main__":
    sys.exit(main())

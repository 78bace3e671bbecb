"""Passes if the scenarios notice that this binary has a mistake planted in it."""
import os
import pathlib
import subprocess
import sys

scenario = pathlib.Path(__file__).resolve().parents[1] / "there_and_back.py"
done = subprocess.run([sys.executable, str(scenario)], env=dict(os.environ, WHIMBREL=sys.argv[1]),
                      capture_output=True, text=True)
found = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
print("\n".join(found) or "the scenarios are silent\n" + done.stdout + done.stderr)
sys.exit(0 if done.returncode == 1 and found else 1)

"""Runs every bash block of an example's README, in order, in one shell, on a copy of its folder."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from whimbrel import BINARY, EXAMPLES, main


def blocks(text):
    return re.findall(r"^```bash\n(.*?)^```", text, re.M | re.S)


def tell(name):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="whimbrel-story-"))
    try:
        copy = folder / name
        shutil.copytree(EXAMPLES / name, copy)
        (folder / "bin").mkdir()
        os.symlink(BINARY, folder / "bin" / "whimbrel")
        script = "set -euo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n"
        script += "\n".join(blocks((copy / "README.md").read_text()))
        environment = dict(os.environ, PATH="%s:%s" % (folder / "bin", os.environ["PATH"]))
        environment.pop("APP_DB", None)
        done = subprocess.run(["bash", "-x", "-c", script], cwd=copy, env=environment, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=900)
        if done.returncode != 0:
            raise AssertionError("exit %d\n%s\n%s" % (done.returncode, done.stdout[-3000:], done.stderr[-4000:]))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def workflow_runs():
    tell("workflow-runs")


if __name__ == "__main__":
    main(workflow_runs)

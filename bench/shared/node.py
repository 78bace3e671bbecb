"""The packages of the scripts for Node: package.json beside this file says which."""
import os
import pathlib
import shutil
import subprocess

import measuring
from measuring import Failed, note

HERE = pathlib.Path(__file__).resolve().parent


class NodePackages:
    """What the scripts for Node need, in a folder of the build tree."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.environment = {"NODE_PATH": str(self.folder / "node_modules")}
        self.wanted = (HERE / "package.json").read_text("utf-8")

    def installed(self):
        done = self.folder / "installed.json"
        return done.exists() and done.read_text("utf-8") == self.wanted

    def install(self):
        if shutil.which("npm") is None:
            raise Failed("there is no `npm`: install Node 20 or later, or say --no-node")
        note("installing what the Node script needs; better-sqlite3 may be compiled, for two minutes …")
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "package.json").write_text(self.wanted, "utf-8")
        done = subprocess.run(["npm", "install", "--no-audit", "--no-fund"], cwd=self.folder,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Failed(f"npm install: {(done.stderr + done.stdout).strip()[-600:]}")
        (self.folder / "installed.json").write_text(self.wanted, "utf-8")

    def driver(self):
        return measuring.output_of(["node", HERE / "stores.js", "which"],
                                   {**os.environ, **self.environment}).strip()

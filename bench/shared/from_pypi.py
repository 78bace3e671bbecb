"""Programs of PyPI, each with its packages in a folder of its own."""
import pathlib
import subprocess
import sys

from measuring import Failed, note


class FromPyPI:
    """Who inherits says `package`, like "name==1.0"; `folder` is where it is, or will be."""
    package = ""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)

    def installed(self):
        done = self.folder / "installed.txt"
        return done.exists() and done.read_text("utf-8") == self.package

    def install(self):
        note(f"installing {self.package.partition('==')[0].partition('[')[0]} …")
        for command in ([sys.executable, "-m", "venv", "--clear", self.folder],
                        [self.folder / "bin" / "python", "-m", "pip", "install", "--quiet",
                         "--disable-pip-version-check", self.package]):
            done = subprocess.run([str(part) for part in command], stdin=subprocess.DEVNULL,
                                  capture_output=True, text=True, check=False)
            if done.returncode:
                raise Failed(f"{command[-1]}: {(done.stderr + done.stdout).strip()[-600:]}")
        (self.folder / "installed.txt").write_text(self.package, "utf-8")

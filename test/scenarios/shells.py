"""Completion in the real shells, and the manual page: both say what the command line says."""
import os
import pathlib
import pty
import re
import select
import shutil
import subprocess
import tempfile
import time

from whimbrel import BINARY, main

ROOT = pathlib.Path(__file__).resolve().parents[2]


def printed(*arguments):
    return subprocess.run([BINARY, *arguments], capture_output=True, text=True, check=True).stdout


def verbs():
    return re.findall(r"^  (\w+) +\S", printed("--help").split("Subcommands:")[1].split("Examples:")[0], re.M)


class Folder:
    """Scripts, a plan and a folder to complete to."""

    def __enter__(self):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="whimbrel-shells-"))
        (self.path / "bin").mkdir()
        os.symlink(BINARY, self.path / "bin" / "whimbrel")
        for name in ("plan one.yaml", "plan.yml", "planless.txt"):
            (self.path / name).write_text("")
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)

    def environment(self):
        return dict(os.environ, PATH="%s:%s" % (self.path / "bin", os.environ["PATH"]), HOME=str(self.path))


def bash(folder, *words):
    script = folder.path / "whimbrel.bash"
    script.write_text(printed("completion", "bash"))
    done = subprocess.run(
        ["bash", "--norc", "-c", 'source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _whimbrel; '
         'printf "%s\\n" "${COMPREPLY[@]}"', str(script), *words],
        cwd=folder.path, env=folder.environment(), capture_output=True, text=True, timeout=30)
    assert done.returncode == 0 and not done.stderr, done.stderr
    return [line for line in done.stdout.splitlines() if line]


def bash_completes():
    with Folder() as folder:
        assert bash(folder, "whimbrel", "ro") == ["rollback"]
        assert set(verbs()) <= set(bash(folder, "whimbrel", ""))
        assert bash(folder, "whimbrel", "run", "--unt") == ["--until"]
        assert bash(folder, "whimbrel", "run", "plan.yml", "--until", "ver") == ["verify"]
        assert set(bash(folder, "whimbrel", "run", "pl")) == {"plan one.yaml", "plan.yml"}
        assert bash(folder, "whimbrel", "measure", "--side", "") == ["old", "new", "both"]
        assert bash(folder, "whimbrel", "completion", "f") == ["fish"]
        assert bash(folder, "whimbrel", "measure", "x", "--output", "planl") == ["planless.txt"]
        assert bash(folder, "whimbrel", "measure", "x", "--dur") == ["--duration"]
        assert bash(folder, "whimbrel", "diagnose", "") == ["summary"]
        assert set(bash(folder, "whimbrel", "diagnose", "summary", "pl")) == {"plan one.yaml", "plan.yml"}
        assert bash(folder, "whimbrel", "measure", "--seed", "7", "plan.y") == ["plan.yml"]
        assert bash(folder, "whimbrel", "measure", "--seed", "pl") == []
        assert bash(folder, "whimbrel", "measure", "plan.yml", "pl") == []
        assert bash(folder, "whimbrel", "man") == [], "hidden"


def bash_takes_it_as_users_load_it():
    with Folder() as folder:
        done = subprocess.run(["bash", "--norc", "-c", "source <(whimbrel completion bash); complete -p whimbrel"],
                              env=folder.environment(), capture_output=True, text=True, timeout=30)
        assert done.stdout.strip() == "complete -F _whimbrel whimbrel", done.stdout + done.stderr


def fish_completes():
    if not shutil.which("fish"):
        return print("        fish is not installed")
    with Folder() as folder:
        script = folder.path / "whimbrel.fish"
        script.write_text(printed("completion", "fish"))

        def fish(line):
            done = subprocess.run(["fish", "--no-config", "-c", "source '%s'; complete -C '%s'" % (script, line)],
                                  cwd=folder.path, env=folder.environment(), capture_output=True, text=True, timeout=60)
            assert done.returncode == 0 and not done.stderr, done.stderr
            return [answer.split("\t")[0] for answer in done.stdout.splitlines()]

        assert fish("whimbrel ro") == ["rollback"]
        assert set(verbs()) <= set(fish("whimbrel "))
        assert fish("whimbrel run --unt") == ["--until"]
        assert fish("whimbrel run plan.yml --until ver") == ["verify"]
        assert "plan.yml" in fish("whimbrel run pla")
        assert fish("whimbrel diagnose sum") == ["summary"]
        assert "plan.yml" in fish("whimbrel diagnose summary pla")
        assert set(fish("whimbrel completion ")) >= {"bash", "zsh", "fish"}


class Terminal:
    """zsh completes only for somebody who types."""

    def __init__(self, command, folder):
        self.pid, self.file = pty.fork()
        if self.pid == 0:
            os.chdir(folder.path)
            os.execvpe(command[0], command, dict(folder.environment(), TERM="dumb", PS1="> "))

    def type(self, text, until, seconds=20):
        os.write(self.file, text.encode())
        seen, end = "", time.time() + seconds
        while until not in seen and time.time() < end:
            if select.select([self.file], [], [], 0.2)[0]:
                seen += os.read(self.file, 65536).decode("utf-8", "replace")
        assert until in seen, "no %r in %r" % (until, seen)

    def close(self):
        os.close(self.file)
        os.waitpid(self.pid, 0)


def zsh_completes():
    if not shutil.which("zsh"):
        return print("        zsh is not installed")
    with Folder() as folder:
        (folder.path / "functions").mkdir()
        (folder.path / "functions" / "_whimbrel").write_text(printed("completion", "zsh"))
        terminal = Terminal(["zsh", "-f", "-i"], folder)
        terminal.type("unsetopt zle_bracketed_paste; fpath=($PWD/functions $fpath); autoload -U compinit;"
                      " compinit -u -D; echo rea''dy\n", "ready")
        terminal.type("whimbrel roll\t", "rollback ")
        terminal.type("\x15whimbrel run plan.yml --until ver\t", "verify ")
        terminal.type("\x15whimbrel run --unt\t", "--until ")
        terminal.type("\x15whimbrel completion f\t", "fish ")
        terminal.type("\x15whimbrel run plan.\t", "plan.yml ")
        terminal.close()


def the_scripts_are_whole():
    for shell in ("bash", "zsh", "fish"):
        script = printed("completion", shell)
        for verb in verbs():
            assert re.search(r"\b%s\b" % verb, script), "%s does not know %s" % (shell, verb)
        if shutil.which(shell):
            done = subprocess.run([shell, "-n"], input=script, capture_output=True, text=True)
            assert done.returncode == 0 and not done.stderr, done.stderr
    done = subprocess.run([BINARY, "completion", "csh"], capture_output=True, text=True)
    assert done.returncode == 2, done.returncode


def the_manual_page_is_up_to_date():
    page = (ROOT / "docs" / "man" / "whimbrel.1").read_text()
    assert page == printed("man"), "say: whimbrel man > docs/man/whimbrel.1"
    for verb in verbs():
        assert ".SS %s\n" % verb in page, verb


def the_manual_page_can_be_read():
    page = str(ROOT / "docs" / "man" / "whimbrel.1")
    if shutil.which("mandoc"):
        done = subprocess.run(["mandoc", "-Tlint", "-Wwarning", page], capture_output=True, text=True)
        assert done.returncode == 0 and not done.stdout, done.stdout
    if shutil.which("man"):
        done = subprocess.run(["man", "--warnings", "-l", page], capture_output=True, text=True,
                              env=dict(os.environ, MANWIDTH="80", MANPAGER="cat", LC_ALL="C.UTF-8"))
        if "has been minimized" not in done.stdout:
            assert done.returncode == 0 and "EXIT STATUS" in done.stdout and not done.stderr, done.stderr


def they_are_installed_where_they_are_looked_for():
    build = pathlib.Path(BINARY).parent
    if not (build / "cmake_install.cmake").exists():
        return print("        this binary does not lie where it was built")
    with Folder() as folder:
        subprocess.run(["cmake", "--install", str(build), "--prefix", str(folder.path / "usr")], check=True,
                       capture_output=True, text=True)
        share = folder.path / "usr" / "share"
        assert (share / "man/man1/whimbrel.1").read_text() == printed("man")
        for place, shell in (("bash-completion/completions/whimbrel", "bash"),
                             ("zsh/site-functions/_whimbrel", "zsh"),
                             ("fish/vendor_completions.d/whimbrel.fish", "fish")):
            assert (share / place).read_text() == printed("completion", shell), place
        assert (folder.path / "usr" / "bin" / "whimbrel").exists()


if __name__ == "__main__":
    main(bash_completes, bash_takes_it_as_users_load_it, fish_completes, zsh_completes, the_scripts_are_whole,
         the_manual_page_is_up_to_date, the_manual_page_can_be_read, they_are_installed_where_they_are_looked_for)

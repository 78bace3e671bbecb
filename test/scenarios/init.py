"""`init`: how many renames it guesses rightly, that what it guesses wrongly is never called certain, and that its plan
passes `check` once exactly what its DECIDE comments ask has been done.

`python3 init.py --figures` prints the figures of each schema.
"""
import json
import os
import pathlib
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile

import yaml

import shapes
from refusals import expect_words
from whimbrel import BINARY, main


class Folder:
    def __init__(self):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="whimbrel-init-"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)

    def run(self, *arguments, expect=0):
        done = subprocess.run([BINARY, *arguments], cwd=self.path, capture_output=True, text=True, timeout=300,
                              stdin=subprocess.DEVNULL)
        if expect is not None and done.returncode != expect:
            raise AssertionError("%s gave %d, not %d:\n%s%s" % (arguments, done.returncode, expect, done.stdout,
                                                               done.stderr))
        return done.stdout, done.stderr

    def database(self, name, script=""):
        connection = sqlite3.connect(self.path / name)
        connection.executescript(script)
        connection.close()
        return "sqlite:" + name

    def query(self, name, sql):
        connection = sqlite3.connect(self.path / name)
        rows = connection.execute(sql).fetchall()
        connection.close()
        return rows

    def write(self, text, name="plan.yaml"):
        (self.path / name).write_text(text)
        return name


def source_of(value):
    """The column that a mapping reads; the functions that `init` writes read one."""
    while isinstance(value, dict):
        value = next(value[k] for k in ("cast", "time", "map", "from") if k in value and k != "const")
    return value


def mapped(entry):
    pairs = {target: source_of(value) for target, value in (entry.get("columns") or {}).items()}
    pairs.update({name: name for name in entry.get("same") or []})
    return pairs


def judged(shape, text):
    """Figures of a plan for two stores: right, wrong and missed, of tables and of columns."""
    plan = yaml.safe_load(text)
    found = {e["from"].split("/", 1)[1]: (e["to"].split("/", 1)[1], mapped(e)) for e in plan["tables"]}
    figures = dict(tables=0, wrong_tables=[], missed_tables=[], columns=0, wrong=[], missed=[])
    for table in shape.tables:
        if table.old not in found:
            figures["missed_tables"].append(table.old)
            continue
        target, columns = found[table.old]
        if target != table.new:
            figures["wrong_tables"].append((table.old, target))
            continue
        figures["tables"] += 1
        wanted = table.renames()
        for new, old in columns.items():
            if wanted.get(new) == old:
                figures["columns"] += 1
            else:
                figures["wrong"].append("%s.%s: %s" % (table.new, new, old))
        figures["missed"] += ["%s.%s: %s" % (table.new, n, o) for n, o in wanted.items() if n not in columns]
    return figures


def is_called_certain(text, column):
    """Whether the line of this mapping has no comment that says it is a guess."""
    lines = text.splitlines()
    at = next(i for i, line in enumerate(lines) if line.strip().startswith(column.split(".")[1].split(":")[0] + ": "))
    return "guessed" not in "\n".join(lines[max(0, at - 4):at])


def accepted(text):
    """Every proposal taken; of several for one column the last, which is always possible."""
    lines, proposed = [], {}
    for line in text.splitlines():
        match = re.match(r"( *)#: (.*)$", line)
        if not match:
            lines.append(line)
            if re.match(r"  - from", line):
                proposed = {}
            continue
        name = match.group(2).split(": ")[0]
        if name in proposed:
            lines[proposed[name]] = "#"
        proposed[name] = len(lines)
        lines.append(match.group(1) + match.group(2))
    return "\n".join(lines) + "\n"


def said_to_the_database(text):
    return [line.strip()[1:].strip() for line in text.splitlines() if re.match(r" *#   \S.*;$", line)]


def decide_as_asked(folder, text, new="new.db"):
    connection = sqlite3.connect(folder.path / new)
    for sql in said_to_the_database(text):
        connection.execute(sql)
    connection.commit()
    connection.close()
    return folder.write(accepted(text))


def made(shape, folder, part):
    shape.make(folder.path / "old.db", False)
    shape.make(folder.path / "new.db", True, part)
    return folder.run("init", "sqlite:old.db", "sqlite:new.db")[0]


def renames_are_guessed_and_checked():
    for shape in shapes.ALL:
        assert len(shape.tables) > 10
        for part, columns_least in [(0.7, 0.97), (0, 0.6)]:
            with Folder() as folder:
                text = made(shape, folder, part)
                figures = judged(shape, text)
                wanted = sum(len(t.renames()) for t in shape.tables)
                if "--figures" in sys.argv:
                    print("%-8s %s: tables %d of %d, wrong %s, missed %s; columns %d of %d\n   wrong %s\n   missed %s" % (
                        shape.name, "70 % of the rows are there" if part else "the new side is empty", figures["tables"],
                        len(shape.tables), figures["wrong_tables"], figures["missed_tables"], figures["columns"], wanted,
                        figures["wrong"], figures["missed"]))
                for wrong in figures["wrong"]:
                    assert not is_called_certain(text, wrong), "a wrong guess is called certain: " + wrong
                assert len(figures["wrong"]) * 50 <= figures["columns"], figures
                assert figures["columns"] >= wanted * columns_least, figures
                plan = decide_as_asked(folder, text)
                out, err = folder.run("check", plan, expect=None)
                assert "would go ahead" in out, "%s, part %s:\n%s%s\n%s" % (shape.name, part, out, err, text)


if __name__ == "__main__":
    main(renames_are_guessed_and_checked)

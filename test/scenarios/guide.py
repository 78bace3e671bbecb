"""Holds the guide to what the binary does: every block of docs/guide is executed or compared.

A page is read from top to bottom, in a fresh folder of its own and in one shell.

    ```sh       commands; all have to succeed, but for a line that ends with `# exit N`
    ```text     what the block before it prints, stdout and stderr; `…` stands for anything within a
                line, and a line with nothing but `…` for any number of lines
    ```yaml sql python ini     a file, named by the comment in its first line; something further down
                has to name it again

On transforms.md a `yaml` block with `# old(…) → new(…)` is an example: the table below it is carried
out as a migration there and back, and the lines `SQL:`, `Lost:` and `dual:` are held to it. Anything
else that looks like code is a mistake of the page, so no block can be there without being executed.

`python3 guide.py PAGE...` runs some pages; `--fill PAGE...` writes what is printed now into the page.
"""
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile

import jsonschema
import yaml

from whimbrel import BINARY as GIVEN

BINARY = os.path.abspath(GIVEN)
ROOT = pathlib.Path(__file__).resolve().parents[2]
GUIDE = ROOT / "docs" / "guide"
FILES = {"yaml": "#", "sql": "--", "python": "#", "ini": "#"}
PATIENCE = int(os.environ.get("WHIMBREL_GUIDE_PATIENCE", "240"))  # seconds for a page
# A page is not about the disk, and a busy one makes it five times slower.
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) and shutil.disk_usage("/dev/shm").free > 1 << 30 else None
PASSAGES = {"cpp": "*.cpp", "cmake": "CMakeLists.txt"}
GENERATED = "plan-reference.md"
EXAMPLES = "transforms.md"
MISTAKEN = {"misspelt/plan.yaml", "later/plan.yaml"}  # plans that show a mistake of grammar
EXAMPLE = re.compile(r"# old\((.*)\) → new\((.*)\)$")

# What changes from run to run, when a page is filled.
VARYING = [
    (r"^(copying|comparing|reading|feeding) .*[0-9].*$", "…"),
    (r"20[2-9][0-9]-[0-9]{2}-[0-9]{2}T[0-9:]+(\.[0-9]+)?Z?", "…"),
    (r"[0-9]{8}T[0-9]{6}Z", "…"),
    (r"rows in [0-9]+ chunks?, [0-9,]+ rows/s", "rows in …, … rows/s"),
    (r"\bin [0-9.]+ (ms|s|min)\b", "in …"),
    (r"estimate .*", "estimate    …"),
    (r"\(([0-9.,]+) (B|kB|MB) of values\)", "(… of values)"),
    (r"process [0-9]+", "process …"),
    (r"whimbrel_[0-9a-f]{8}_", "whimbrel_…_"),
    (r"[0-9a-f]{32}", "…"),
]


class Block:
    def __init__(self, line, language, text):
        self.line, self.language, self.text = line, language, text
        self.output = None  # the text block that belongs to it
        self.name = None    # of the file

    def lines(self):
        return self.text.splitlines()


class Page:
    """Its blocks in order; AssertionError where one could not be executed."""

    def __init__(self, name, text):
        self.name, self.text = name, text
        self.blocks = []
        opened, kept = None, []
        for number, line in enumerate(text.splitlines(), 1):
            where = "%s:%d" % (name, number)
            if opened is not None:
                if line == "```":
                    self.take(Block(opened[0], opened[1], "".join(k + "\n" for k in kept)))
                    opened = None
                else:
                    assert not line.startswith("```"), "%s: a block within a block" % where
                    kept.append(line)
                continue
            assert not re.match(r"\s+(```|~~~)|~~~", line), "%s: a block has to begin with ``` at the margin" % where
            assert not re.match(r"    |\t", line), "%s: indented text is code, and nothing executes it" % where
            assert not re.search(r"<(pre|code)\b", line), "%s: say it with ```" % where
            if line.startswith("```"):
                opened, kept = (number, line[3:]), []
        assert opened is None, "%s:%d: the block is not closed" % (name, opened[0])
        self.every_file_is_used()

    def take(self, block):
        where = "%s:%d" % (self.name, block.line)
        if block.language == "text":
            before = self.blocks[-1] if self.blocks else None
            assert before is not None and before.language == "sh" and before.output is None, \
                "%s: an output without its command" % where
            before.output = block
            return
        if block.language in PASSAGES:
            files = (ROOT / "examples").rglob(PASSAGES[block.language])
            assert any(block.text in file.read_text() for file in files), "%s: no example has this passage" % where
            return
        if block.language in FILES:
            first = block.lines()[0] if block.text else ""
            if not (self.name == EXAMPLES and EXAMPLE.match(first)):
                found = re.match(re.escape(FILES[block.language]) + r" ([\w./-]+)$", first)
                assert found, "%s: the first line has to name the file: `%s NAME`" % (where, FILES[block.language])
                block.name = found.group(1)
        else:
            assert block.language == "sh", "%s: nothing executes a block of `%s`" % (where, block.language)
        self.blocks.append(block)

    def every_file_is_used(self):
        for i, block in enumerate(self.blocks):
            if block.name is None:
                continue
            used = any(block.name in other.text for j, other in enumerate(self.blocks)
                       if j != i and (j > i or other.language != "sh"))
            assert used, "%s:%d: nothing uses %s" % (self.name, block.line, block.name)

    def script(self, outputs):
        """One bash script; what a block prints goes into a file of its own."""
        parts = ["set -euo pipefail", "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT"]
        for i, block in enumerate(self.blocks):
            if block.name is not None:
                file = outputs.parent / "here" / block.name
                parts.append("mkdir -p %s && cp %s/%d.file %s" % (file.parent, outputs, i, file))
            elif block.language == "sh":
                parts.append("exec >%s/%d.out 2>&1" % (outputs, i))
                parts.append(expecting(block.text))
                parts.append("touch %s/%d.done" % (outputs, i))
        return "\n".join(parts) + "\n"


def expecting(text):
    """Each `command  # exit N` becomes a test of its exit code."""
    out, command = [], []
    for line in text.splitlines():
        command.append(line)
        if line.endswith("\\"):
            continue
        found = re.search(r"\s+# exit ([0-9]+)$", line)
        if found:
            command[-1] = line[:found.start()]
            out.append("code=0\n%s || code=$?\nif [ $code != %s ]; then echo \"exit $code\"; exit 99; fi"
                       % ("\n".join(command), found.group(1)))
        else:
            out += command
        command = []
    return "\n".join(out + command)


def pattern(expected):
    lines = []
    for line in expected.splitlines():
        if line.strip() == "…":
            lines.append(r"(?:[^\n]*\n)*?")
        else:
            lines.append("[^\\n]*?".join(re.escape(part) for part in line.split("…")) + r"[ ]*\n")
    return re.compile("".join(lines))


def differs(expected, printed):
    """Nothing when it fits; else the first line from which on it does not."""
    if pattern(expected).fullmatch(printed):
        return None
    lines = expected.splitlines()
    for count in range(1, len(lines) + 1):
        if not pattern("\n".join(lines[:count] + ["…"])).fullmatch(printed):
            return "no line like\n  %s\nin\n%s" % (lines[count - 1], printed)
    return "more is printed than\n%s\nin\n%s" % (expected, printed)


def schema():
    return json.loads(subprocess.run([BINARY, "schema"], capture_output=True, text=True, check=True).stdout)


class Folder:
    def __enter__(self):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="whimbrel-guide-", dir=MEMORY))
        (self.path / "bin").mkdir()
        os.symlink(BINARY, self.path / "bin" / "whimbrel")
        (self.path / "out").mkdir()
        (self.path / "here").mkdir()
        kept = {k: v for k, v in os.environ.items() if k in ("PATH", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS")}
        self.environment = dict(kept, PATH="%s:%s" % (self.path / "bin", os.environ["PATH"]), HOME=str(self.path),
                                LC_ALL="C.UTF-8", TZ="UTC", NO_COLOR="1")
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)


def run_bash(script, folder):
    """In a process group of its own, so that nothing outlives its page."""
    process = subprocess.Popen(["bash", "-c", script], cwd=folder.path / "here", env=folder.environment,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               start_new_session=True)
    try:
        process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        pass  # the block that has not ended is told
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    process.communicate()
    return process.returncode


def printed_by(page):
    """What each sh block printed, by its index."""
    with Folder() as folder:
        for i, block in enumerate(page.blocks):
            if block.name is not None:
                (folder.path / "out" / ("%d.file" % i)).write_text(block.text)
        done = run_bash(page.script(folder.path / "out"), folder)
        printed = {}
        for i, block in enumerate(page.blocks):
            if block.language != "sh":
                continue
            file = folder.path / "out" / ("%d.out" % i)
            text = file.read_text() if file.exists() else ""
            text = text.replace(str(folder.path / "here"), "…").replace(str(folder.path / "bin") + "/", "")
            text = "".join(line.rstrip() + "\n" for line in text.splitlines())
            assert (folder.path / "out" / ("%d.done" % i)).exists(), \
                "%s:%d failed (%d):\n%s" % (page.name, block.line, done, text)
            printed[i] = text
        assert done == 0, "%s: exit %d" % (page.name, done)
        plans_fit_the_schema(page, folder.path / "here")
        return printed


def plans_fit_the_schema(page, here):
    """Every plan that the page has left behind, but for those that show a mistake."""
    validator = jsonschema.Draft202012Validator(schema())
    for file in sorted(here.rglob("*.yaml")):
        name = str(file.relative_to(here))
        plan = yaml.safe_load(file.read_text())
        fits = validator.is_valid(plan)
        assert fits != (name in MISTAKEN), "%s: %s %s the schema" % (page.name, name, "fits" if fits else "does not fit")


def hold(page):
    printed = printed_by(page)
    wrong = []
    for i, text in printed.items():
        block = page.blocks[i]
        if block.output is not None:
            difference = differs(block.output.text, text)
            if difference:
                wrong.append("%s:%d: %s" % (page.name, block.output.line, difference))
    assert not wrong, "\n".join(wrong)
    return len(printed)


def normal(text):
    lines = []
    for line in text.splitlines():
        for what, to in VARYING:
            line = re.sub(what, to, line)
        if line == "…" and lines and lines[-1] == "…":
            continue
        lines.append(line)
    return "".join(line + "\n" for line in lines)


def fill(page):
    """The page with what is printed now."""
    lines = page.text.splitlines(keepends=True)
    for i, text in sorted(printed_by(page).items(), reverse=True):
        output = page.blocks[i].output
        if output is not None and differs(output.text, text):
            begin = output.line  # lines are counted from 1, so this is the one after the fence
            lines[begin:begin + len(output.lines())] = [normal(text)]
    return "".join(lines)


# ---------------------------------------------------------------- transforms


class Example:
    """A mapping, the table of its values, and what is said about it."""

    def __init__(self, page, block, after):
        self.where = "%s:%d" % (page.name, block.line)
        self.old, self.new = EXAMPLE.match(block.lines()[0]).groups()
        self.mapping = "\n".join("    " + line for line in block.lines()[1:])
        rows = [line for line in after if line.startswith("|")]
        assert len(rows) > 2, "%s: no table of values" % self.where
        cells = [[c.strip() for c in row.strip("|").split(" | ")] for row in rows]
        head = [c.strip("` ") for c in cells[0]]
        self.columns = {"old": [], "new": [], "back": []}
        for at, name in enumerate(head):
            side, column = name.split(".")
            self.columns[side].append((at, column))
        self.rows = cells[2:]
        said = {m.group(1): m.group(2) for m in (re.match(r"- (SQL|Lost|dual): (.*)$", line) for line in after) if m}
        assert set(said) == {"SQL", "Lost", "dual"}, "%s: it has to say SQL, Lost and dual" % self.where
        self.sql = dict(part.split(" = ", 1) for part in re.findall(r"`(.*?)`(?:,|$)", said["SQL"]))
        self.lost, self.dual = said["Lost"], said["dual"]

    def take(self, cells, side):
        return {column: cells[at].strip("`") for at, column in self.columns[side]}

    def moved(self):
        return [cells for cells in self.rows if "refused" not in cells]


def examples_of(page):
    lines = page.text.splitlines()
    marks = [b.line for b in page.blocks] + [i for i, line in enumerate(lines, 1) if line.startswith("#")]
    for block in page.blocks:
        if block.language == "yaml" and block.name is None:
            begin = block.line + len(block.lines()) + 1
            end = min([m for m in marks if m > begin] or [len(lines) + 1])
            yield Example(page, block, lines[begin:end - 1])


def literal(text):
    return sqlite3.connect(":memory:").execute("SELECT " + text).fetchone()[0]


class Tried:
    """One example in a folder of its own."""

    def __init__(self, folder, example, cells, sync):
        self.example, self.folder = example, folder
        self.here = pathlib.Path(tempfile.mkdtemp(dir=folder.path))
        (self.here / "new.sql").write_text("CREATE TABLE the_new (%s);\n" % example.new)
        (self.here / "plan.yaml").write_text(
            'whimbrel: 1\nmigration: example\nstores: {db: "sqlite:app.db"}\ntables:\n  - from: db/the_old\n    to: db/the_new\n'
            "    create: new.sql\n%s\nsync: %s\nbackup: none\n" % (example.mapping, sync))
        with self.connect() as c:
            c.execute("CREATE TABLE the_old (%s)" % example.old)
            for row, one in enumerate(cells, 1):
                values = example.take(one, "old")
                names = list(values) if "id" in values else ["id", *values]
                given = ", ".join(values.get(n, str(row)) for n in names)
                c.execute("INSERT INTO the_old (%s) VALUES (%s)" % (", ".join(names), given))

    def connect(self):
        return sqlite3.connect(self.here / "app.db")

    def run(self, verb, *more, expect):
        done = subprocess.run([BINARY, verb, "plan.yaml", *more], cwd=self.here, env=self.folder.environment,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        assert done.returncode == expect, "%s: %s gave %d, not %d:\n%s%s" % (
            self.example.where, verb, done.returncode, expect, done.stdout, done.stderr)
        return done.stdout + done.stderr

    def equal(self, what, row, column, found, wanted):
        assert type(found) is type(wanted) and found == wanted, \
            "%s: row %d, %s %s is %r, not %r" % (self.example.where, row, what, column, found, wanted)


def carry_out(folder, example):
    moved = example.moved()
    tried = Tried(folder, example, moved, "capture")
    analysis = tried.run("analyze", expect=0)
    losses = [line.strip() for line in re.findall(r"^  way back(.*(?:\n    +.*)*)", analysis, re.M)]
    if example.lost.startswith("nothing"):
        assert not losses, "%s: it does lose something: %s" % (example.where, losses)
    for told in re.findall(r"`(.*?)`", example.lost):
        assert told in analysis, "%s: `analyze` does not say `%s`:\n%s" % (example.where, told, analysis)
    tried.run("run", "--yes", expect=0)
    with tried.connect() as c:
        types = {d[1]: d[2] for d in c.execute("PRAGMA table_info(the_new)")}
        for column, sql in example.sql.items():
            c.execute("CREATE TEMP TABLE asked (%s %s)" % (column, types[column]))
            c.execute("INSERT INTO asked SELECT %s FROM the_old ORDER BY rowid" % sql)
            asked = c.execute("SELECT * FROM asked ORDER BY rowid").fetchall()
            c.execute("DROP TABLE asked")
            given = c.execute("SELECT %s FROM the_new ORDER BY rowid" % column).fetchall()
            for row, (one, other) in enumerate(zip(asked, given), 1):
                tried.equal("by SQL", row, column, one[0], other[0])
        for row, cells in enumerate(moved, 1):
            for column, wanted in example.take(cells, "new").items():
                found = c.execute("SELECT %s FROM the_new WHERE rowid = (SELECT rowid FROM the_new ORDER BY rowid LIMIT 1 OFFSET %d)"
                                  % (column, row - 1)).fetchone()[0]
                tried.equal("new", row, column, found, literal(wanted))
        # The new application writes rows like these, and the way back has to make old ones of them.
        names = [d[1] for d in c.execute("PRAGMA table_info(the_new)")]
        rows = c.execute("SELECT * FROM the_new ORDER BY rowid").fetchall()
        if example.columns["back"]:
            at = names.index("id")
            for r in rows:
                made = tuple(v + 1000 if i == at else v for i, v in enumerate(r))
                c.execute("INSERT INTO the_new VALUES (%s)" % ", ".join("?" * len(names)), made)
    tried.run("rollback", "--yes", expect=0)
    with tried.connect() as c:
        for row, cells in enumerate(moved, 1):
            for column, wanted in example.take(cells, "back").items():
                found = c.execute("SELECT %s FROM the_old WHERE id = ?" % column, (row + 1000,)).fetchone()
                assert found, "%s: row %d did not come back" % (example.where, row)
                tried.equal("back", row, column, found[0], literal(wanted))
    for cells in example.rows:
        if "refused" in cells:
            Tried(folder, example, [cells], "capture").run("analyze", expect=3)
    Tried(folder, example, [], "dual").run("analyze", expect=0 if example.dual.startswith("yes") else 3)


def all_examples(page):
    with Folder() as folder:
        all_of_them = list(examples_of(page))
        assert all_of_them, "no example was found"
        wrong = []
        for example in all_of_them:
            try:
                carry_out(folder, example)
            except (AssertionError, sqlite3.Error) as failure:
                wrong.append("%s: %s" % (example.where, failure))
        assert not wrong, "\n".join(wrong)
        # What looks at other rows is carried out on a page of its own.
        told = set(re.findall(r"{(\w+): ", (GUIDE / "reshaping.md").read_text()))
        told |= {word for example in all_of_them for word in re.findall(r"\w+", example.mapping)}
    for alternative in schema()["$defs"]["function"]["anyOf"]:
        function = alternative["required"][0]
        assert function in told, "%s has no example of `%s`" % (EXAMPLES, function)
    return len(all_of_them)


# ---------------------------------------------------------------- the guide as a whole


def anchor(heading):
    return re.sub(r"[^\w\- ]", "", heading.replace("`", "").strip().lower()).replace(" ", "-")


def anchors(text):
    outside = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
    return {anchor(h) for h in re.findall(r"^#+ (.*)$", outside, re.M)}


def links_lead_somewhere(pages):
    for name, text in pages.items():
        outside = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
        for target in re.findall(r"\]\(([^)]+)\)", outside):
            if target.startswith("https://"):
                continue
            path, _, part = target.partition("#")
            file = (GUIDE / path).resolve() if path else GUIDE / name
            assert file.exists(), "%s: there is no %s" % (name, target)
            if part:
                assert part in anchors(file.read_text()), "%s: nothing is called %s" % (name, target)
        if name != "README.md":
            assert "](%s)" % name in pages["README.md"], "README.md does not mention %s" % name


def the_reference_is_what_the_generator_prints():
    with Folder() as folder:
        done = subprocess.run([sys.executable, str(ROOT / "tools" / "plan_reference"), str(folder.path / "bin/whimbrel")],
                              capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout == (GUIDE / GENERATED).read_text(), \
        "it is not: tools/plan_reference build/whimbrel > docs/guide/" + GENERATED


def what_is_not_executed_is_a_mistake():
    """This very test is held, too."""
    good = "```sh\necho a b\n```\n\n```text\na …\n```\n"
    assert hold(Page("good", good)) == 1
    for bad in ["```bash\ntrue\n```\n", "```\ntrue\n```\n", "```text\na\n```\n", good + "```text\nb\n```\n", "~~~sh\ntrue\n~~~\n",
                "  ```sh\n  true\n  ```\n", "    true\n", "<pre>true</pre>\n", "```sh\ntrue\n", "```yaml\na: 1\n```\n",
                "```yaml\n# unused.yaml\na: 1\n```\n", "```sh\nfalse\n```\n", "```sh\nfalse\ntrue\n```\n",
                "```sh\ntrue  # exit 1\n```\n", "```sh\nfalse  # exit 2\n```\n", "```sh\necho b\n```\n```text\na\n```\n",
                "```sh\nprintf 'a\\nb\\n'\n```\n```text\na\n```\n", "```sh\nexit 0\n```\n"]:
        try:
            hold(Page("bad", bad))
        except AssertionError:
            continue
        raise AssertionError("nothing is wrong with %r" % bad)


def main(arguments):
    names = [a for a in arguments if not a.startswith("--")]
    texts = {file.name: file.read_text() for file in sorted(GUIDE.glob("*.md"))}
    if "--fill" in arguments:
        for name in names:
            (GUIDE / name).write_text(fill(Page(name, texts[name])))
        return
    tests = [("%s: %s" % (name, "its blocks"), lambda n=name: hold(Page(n, texts[n]))) for name in texts
             if not names or name in names]
    if not names or EXAMPLES in names:
        tests.append(("%s: its examples" % EXAMPLES, lambda: all_examples(Page(EXAMPLES, texts[EXAMPLES]))))
    if not names:
        tests += [("every link leads somewhere", lambda: links_lead_somewhere(texts)),
                  ("the reference is what the generator prints", the_reference_is_what_the_generator_prints),
                  ("what is not executed is a mistake", what_is_not_executed_is_a_mistake)]
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(4) as pool:  # they wait more than they work
        for (title, _), future in [(t, pool.submit(t[1])) for t in tests]:
            try:
                future.result()
                print("ok      " + title)
            except Exception as failure:  # each is reported, whatever went wrong
                failed += 1
                print("FAILED  %s: %s" % (title, failure))
            sys.stdout.flush()
    print("%d passed, %d failed" % (len(tests) - failed, failed))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main(sys.argv[1:])

"""An installed library, found by find_package, in the example's program, on a database made here.

    find_package.py BUILD EXAMPLE -- OPTIONS...   the options are cmake's, for the example

What is compared on the new side is read by Python and SQLite alone.
"""
import pathlib
import re
import sqlite3
import subprocess
import sys
import tempfile

PLAN = """
whimbrel: 1
migration: by-a-program
stores: {db: "sqlite:app.db"}
tables:
  - from: db/people
    to: db/persons
    create: persons.sql
    columns: {person: id, called: {from: name, if_null: {const: nobody}}}
    same: [born]
    rest: forbid
sync: dual
limits: {batch_size: 50}
"""
PERSONS = "CREATE TABLE persons (person INTEGER PRIMARY KEY, called TEXT NOT NULL, born INTEGER);\n"
ROWS = 300


def call(*command, expect=0, **more):
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=240, **more)
    assert done.returncode == expect, "%s gave %d, not %d:\n%s" % (command, done.returncode, expect, done.stdout)
    return done.stdout


def install(build, folder):
    """Into a folder that is then renamed: an installation does not know where it lies."""
    call("cmake", "--install", build, "--prefix", folder / "made")
    prefix = (folder / "made").rename(folder / "prefix")
    for file in ("bin/whimbrel", "share/man/man1/whimbrel.1"):
        assert (prefix / file).is_file(), "%s is not installed" % file
    return prefix


def headers_are_our_own(prefix):
    """Neither a library that whimbrel is made of nor a macro reaches who includes them."""
    standard = re.compile(r"[a-z_]+$")
    headers = sorted((prefix / "include").rglob("*.h"))
    assert headers, "no header is installed"
    for header in headers:
        text = header.read_text()
        for included in re.findall(r'^\s*#\s*include\s*[<"]([^>"]+)', text, re.MULTILINE):
            beside = [header.parent / included, prefix / "include" / included]
            assert standard.match(included) or any(path.is_file() for path in beside), \
                "%s includes %s, which is not installed" % (header.name, included)
        assert not re.search(r"^\s*#\s*define", text, re.MULTILINE), "%s defines a macro" % header.name


def build_example(example, prefix, folder, options):
    call("cmake", "-S", example, "-B", folder, "-D", "CMAKE_PREFIX_PATH=%s" % prefix, *options)
    call("cmake", "--build", folder)
    return folder / "migrate"


def make_database(folder):
    folder.mkdir()
    (folder / "plan.yaml").write_text(PLAN)
    (folder / "persons.sql").write_text(PERSONS)
    with sqlite3.connect(folder / "app.db") as db:
        db.execute("CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT, born INTEGER)")
        db.executemany("INSERT INTO people VALUES (?,?,?)",
                       ((i, None if i % 3 == 0 else "n'%d" % i, 1900 + i % 99) for i in range(ROWS)))


def persons(folder):
    with sqlite3.connect(folder / "app.db") as db:
        return list(db.execute("SELECT person, called, born FROM persons ORDER BY person"))


def migrates(migrate, folder):
    make_database(folder)
    told = call(migrate, folder / "plan.yaml")
    assert "copying\n" in told and "  people: 300 rows\n" in told and "watching\n" in told, told
    expected = [(i, "nobody" if i % 3 == 0 else "n'%d" % i, 1900 + i % 99) for i in range(ROWS)]
    assert persons(folder) == expected, "rows differ: %s" % persons(folder)[:3]
    with sqlite3.connect(folder / "app.db") as db:
        db.execute("UPDATE people SET born = 1 WHERE id = 7")
    assert persons(folder)[7][2] == 1, "the new side is not kept equal"
    call(migrate, folder / "plan.yaml")  # done already, and says so with 0


def goes_on_beside_the_command_line(prefix, folder):
    """Both use one journal: what a program began the command line knows, and takes back."""
    whimbrel = prefix / "bin" / "whimbrel"
    assert "watching" in call(whimbrel, "status", folder / "plan.yaml")
    call(whimbrel, "rollback", folder / "plan.yaml", "--yes")
    with sqlite3.connect(folder / "app.db") as db:
        names = {row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        assert names == {"people"}, names
        assert db.execute("SELECT born FROM people WHERE id = 7").fetchone() == (1,)


def tells_what_is_wrong(migrate, folder):
    (folder / "plan.yaml").write_text(PLAN.replace("same:", "smae:"))
    told = call(migrate, folder / "plan.yaml", expect=1)
    assert "error:" in told and "plan.yaml:" in told and "hint:" in told, told
    assert "error:" in call(migrate, folder / "missing.yaml", expect=1)
    call(migrate, expect=2)


def main():
    build, example = (pathlib.Path(word) for word in sys.argv[1:3])
    options = sys.argv[sys.argv.index("--") + 1:]
    with tempfile.TemporaryDirectory(prefix="whimbrel-library-") as name:
        folder = pathlib.Path(name)
        prefix = install(build, folder)
        headers_are_our_own(prefix)
        migrate = build_example(example, prefix, folder / "build", options)
        migrates(migrate, folder / "data")
        goes_on_beside_the_command_line(prefix, folder / "data")
        tells_what_is_wrong(migrate, folder / "data")
    print("installed, found, built and run")


if __name__ == "__main__":
    main()

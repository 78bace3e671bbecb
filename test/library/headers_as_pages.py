"""The headers' comments fit the code, and the library's face leaves nothing unsaid: doxygen warns of nothing.

A mistake of each kind is planted in a copy first: a configuration that finds nothing would be no test.
"""
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]


def warnings(tree, configuration, pages):
    """What doxygen has to say; pages that are written come with none."""
    settings = "@INCLUDE = docs/%s\nOUTPUT_DIRECTORY = %s\n" % (configuration, pages)
    done = subprocess.run(["doxygen", "-"], input=settings, cwd=tree, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=240)
    said = done.stdout.strip()
    assert (done.returncode == 0) == (said == ""), "exit code %d, and it says: %s" % (done.returncode, said)
    return said


def planted(folder, configuration, header, before, after):
    tree = folder / "planted"
    shutil.rmtree(tree, ignore_errors=True)
    for part in ("docs", "include", "src"):
        shutil.copytree(ROOT / part, tree / part)
    text = (tree / header).read_text()
    assert text.count(before) == 1, "%s is not once in %s" % (before, header)
    (tree / header).write_text(text.replace(before, after))
    return warnings(tree, configuration, folder / "pages")


def main():
    with tempfile.TemporaryDirectory(prefix="whimbrel-pages-") as name:
        folder = pathlib.Path(name)
        said = planted(folder, "Doxyfile", "src/engine/engine.h", "// The switch alone, or",
                       "// \\param nobody has it. The switch alone, or")
        assert "nobody" in said, "a wrong comment is not noticed: " + said
        said = planted(folder, "Doxyfile.public", "include/whimbrel/runner.h",
                       "  // The migration's name in the plan.\n", "")
        assert "not documented" in said, "a call without a comment is not noticed: " + said
        for configuration in ("Doxyfile", "Doxyfile.public"):
            said = warnings(ROOT, configuration, folder / configuration)
            assert not said, said
            page = folder / configuration / "html" / "classwhimbrel_1_1Runner.html"
            assert "Undoes, newest first" in page.read_text(), "the comments do not reach the pages"
    print("no warning")


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Plants one mistake: writes the source that a mistake names, with the mistake in it.

  plant.py MISTAKE.toml PROJECT_FOLDER OUTPUT.cpp
  plant.py --self-test

A mistake is data: `source`, the file it changes; `breaks`, what goes wrong then; and one or more
`[[change]]` with `find`, the lines as they are, and `replace`, the lines as they become. Each
`find` has to be in the source exactly once, else nothing is written and the exit code is 1: so a
mistake that no longer fits its source stops the build instead of testing nothing. Where few
histories come to it, `seed` is the first that the simulation is to live.
"""

import sys
import tomllib
from pathlib import Path


def plant(source: str, changes: list[dict]) -> str:
    """The source with every change made; ValueError names the one that does not fit."""
    for change in changes:
        times = source.count(change["find"])
        if times != 1:
            raise ValueError(f"is there {times} times instead of once:\n{change['find']}")
        source = source.replace(change["find"], change["replace"])
    return source


def self_test() -> int:
    """A text that is there once is replaced; one that is there twice, or not at all, is refused."""
    assert plant("a b c", [{"find": "b", "replace": "x"}]) == "a x c"
    for source in ("a b b", "a c"):
        try:
            plant(source, [{"find": "b", "replace": "x"}])
        except ValueError:
            continue
        raise AssertionError(f"planted into {source!r}")
    return 0


def main() -> int:
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    if len(sys.argv) != 4:
        print(__doc__, file=sys.stderr)
        return 2
    mistake, project, output = (Path(argument) for argument in sys.argv[1:])
    told = tomllib.loads(mistake.read_text(encoding="utf-8"))
    before = (project / told["source"]).read_text(encoding="utf-8")
    try:
        after = plant(before, told["change"])
    except ValueError as problem:
        print(f"{mistake.name}: in {told['source']} this {problem}", file=sys.stderr)
        return 1
    if not told["breaks"] or after == before:
        print(f"{mistake.name}: says nothing, or changes nothing", file=sys.stderr)
        return 1
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(after, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Right and wrong programs with tests of every kind, on which the sandbox must say what plain CPython says.

Blocks are separated by lines of `=`; the first line is the name, a line of `-` parts the program from its tests. Behind a
line of `~` come changes to the program, `old => new`, each of which makes another program of the same tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent / "semantics"


class Case(NamedTuple):
    name: str
    source: str
    tests: str


def cases() -> Iterator[Case]:
    for path in sorted(FOLDER.glob("*.txt")):
        for block in path.read_text("utf-8").split("\n====\n"):
            name, _, rest = block.strip("\n").partition("\n")
            source, _, tests = rest.partition("\n----\n")
            tests, _, changes = tests.partition("\n~~~~\n")
            yield Case(f"{path.stem}-{name.strip()}", source, tests)
            for change in filter(None, changes.split("\n")):
                old, _, new = change.partition(" => ")
                assert old in source, f"{name}: {old!r} is not in the program"
                yield Case(f"{path.stem}-{name.strip()}, but {change}", source.replace(old, new), tests)

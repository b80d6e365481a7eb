"""Right and wrong programs with tests of every kind, on which the sandbox must say what plain CPython says.

Blocks are separated by lines of `=`; the first line is the name, a line of `-` parts the program from its tests.
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
            yield Case(f"{path.stem}-{name.strip()}", source, tests)

"""More programs that try to pass without being right: types that lie, the process around the answers, tests by unittest.

They complete `f(x)`, which is to be x * 7 + 1. Blocks are separated by lines of `=`; the first line is the name, and a line
that says `socket` stands for the way to the child's own socket.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.sandbox.attacks import FIND_SOCKET

PATH = Path(__file__).with_name("process_attacks.txt")


def programs() -> Iterator[tuple[str, str]]:
    """Name and source of every attack."""
    for block in PATH.read_text("utf-8").split("\n====\n"):
        name, _, source = block.strip("\n").partition("\n")
        yield name, source.replace("socket\n", FIND_SOCKET, 1) if source.startswith("socket\n") else source

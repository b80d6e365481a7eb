"""Prose that is on every machine: docstrings of the running Python's standard library, and the chapters of its reference that pydoc has.

Which texts there are depends on the version of Python; a task made of them says so by the hash of its data.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import os
import re
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SKIPPED = {"site-packages", "dist-packages", "lib2to3", "test", "tests", "idle_test", "__pycache__", "lib-dynload"}
DOCUMENTED = re.compile(r'^[ \t]*(?:async )?(?:def|class) \w+[^\n]*:\n[ \t]+[rR]?"""(.*?)"""', re.DOTALL | re.MULTILINE)
PLAIN = re.compile(r"[ -~\n]*")
"""Texts of other characters are left out: a small model should not spend itself on them."""
TEST_SHARE = 10
"""One text in so many is kept for the test."""


@dataclass(frozen=True, slots=True)
class Docstring:
    """A docstring of the usual form: a line that says what the thing does, and a description."""

    summary: str
    body: str


def is_test(text: str) -> bool:
    """Whether a text is kept for the test: a fixed coin for each."""
    return hashlib.sha256(text.encode()).digest()[0] % TEST_SHARE == 0


@functools.cache
def docstrings() -> tuple[Docstring, ...]:
    """All docstrings that have a summary line and a description, each once, in the order of the files' names."""
    found: dict[str, Docstring] = {}
    for text in _sources():
        for match in DOCUMENTED.finditer(text):
            if (one := _parted(inspect.cleandoc(match[1]))) is not None:
                found.setdefault(one.body, one)
    return tuple(found.values())


def _parted(text: str) -> Docstring | None:
    summary, _, body = text.partition("\n\n")
    body = body.strip()
    usual = 10 <= len(summary) <= 90 and "\n" not in summary and len(body) >= 60
    return Docstring(summary, body) if usual and PLAIN.fullmatch(text) else None


def _sources() -> Iterator[str]:
    root = Path(sysconfig.get_paths()["stdlib"])
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(set(folders) - SKIPPED)
        for file in sorted(files):
            if file.endswith(".py"):
                yield Path(folder, file).read_text("utf-8", "replace")


@functools.cache
def paragraphs() -> tuple[str, ...]:
    """Paragraphs of English sentences, each once, on one line: of the reference's chapters first, then of the docstrings."""
    from pydoc_data.topics import topics

    texts = [*(topics[name] for name in sorted(topics)), *(one.body for one in docstrings())]
    found: dict[str, None] = {}
    for text in texts:
        for block in text.split("\n\n"):
            line = " ".join(block.split())
            is_prose = (
                len(line) >= 60
                and line[0].isupper()
                and line[-1] in ".:"
                and block.count("  ") <= 2 * block.count("\n")
            )
            if is_prose and PLAIN.fullmatch(line) and not re.search(r"[=<>{}\[\]|]|>>>|__", line):
                found.setdefault(line)
    return tuple(found)

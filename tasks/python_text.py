"""Python among other text: which lines of it parse.

The parser decides, never a guess at what code looks like. Lines are kept as they are; nothing is rewritten.
"""

from __future__ import annotations

import ast
import itertools
import re
import textwrap
import warnings
from collections.abc import Iterator, Sequence

CONTINUES = re.compile(r"(?:else|elif|except|finally)\b|[)\]}]")
"""How a line at the left margin begins that belongs to the statement above it."""
MOST_TRIES = 100
"""Parses of one text before the search for its end becomes coarse, so that no text takes minutes."""


def parse(source: str) -> ast.Module:
    """`ast.parse` without the warnings that odd literals give."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(source)


def compiles(source: str) -> bool:
    """Whether Python parses the text."""
    return first_error(source) is None


def first_error(source: str) -> int | None:
    """The line, from 1, at which the text stops being Python; None when all of it is."""
    try:
        parse(source)
    except SyntaxError as error:
        return max(error.lineno or 1, 1)
    except (ValueError, RecursionError, MemoryError):
        return 1
    return None


def longest_start(lines: Sequence[str], at_least: int = 0) -> int:
    """How many lines from the first on parse together: as many as possible, or `at_least` when fewer do.

    No text that holds the line of an error parses, so that each failure cuts the search short.
    """
    end, tries = len(lines), 0
    while end > at_least:
        error = first_error("\n".join(lines[:end]))
        if error is None:
            return end
        tries += 1
        end = min(end - 1, error - 1) if tries < MOST_TRIES else end // 2
    return at_least


def statements(text: str) -> Iterator[tuple[int, int]]:
    """Line ranges (first, behind the last) that may be top-level statements: from one line at the margin to the next."""
    lines = text.split("\n")
    starts = [
        number
        for number, line in enumerate(lines)
        if line.strip() and not line[0].isspace() and not CONTINUES.match(line)
    ]
    joined = [
        number for number in starts if not (number and lines[number - 1].startswith("@") and number - 1 in starts)
    ]
    edges = [*dict.fromkeys([0, *joined]), len(lines)]
    yield from ((first, last) for first, last in itertools.pairwise(edges) if last > first)


def valid_runs(text: str) -> list[str]:
    """The runs of consecutive lines that parse, in the order of the text; prose between them is dropped."""
    lines, runs = text.split("\n"), list[list[str]]()
    ranges = list(statements(text))
    open_run, position = False, 0
    while position < len(ranges):
        first, last = ranges[position]
        taken = _extended(lines, ranges, position)
        if taken is None:  # the statement's own beginning may parse: a function with text below its body
            end = first + longest_start(lines[first:last])
            kept = lines[first:end]
            if any(line.strip() for line in kept):
                runs = [*runs, kept] if not open_run else [*runs[:-1], runs[-1] + kept]
            open_run, position = False, position + 1
            continue
        end, position = taken
        runs = [*runs[:-1], runs[-1] + lines[first:end]] if open_run else [*runs, lines[first:end]]
        open_run = True
    return [run for run in ("\n".join(run) for run in runs) if run.strip()]


def _extended(lines: list[str], ranges: list[tuple[int, int]], position: int) -> tuple[int, int] | None:
    """The end line of the statement that begins at a range, and the next range; None when it does not parse.

    A string or bracket may hold lines at the margin, so that a statement goes on over ranges until it parses.
    """
    first, last = ranges[position]
    text = "\n".join(lines[first:last])
    if compiles(text):
        return last, position + 1
    for mark in ('"""', "'''", "(", "[", "{"):
        if mark not in text:
            continue
        closing = {"(": ")", "[": "]", "{": "}"}.get(mark, mark)
        for later in range(position + 1, min(len(ranges), position + MOST_TRIES)):
            if closing in "\n".join(lines[ranges[later][0] : ranges[later][1]]):
                end = ranges[later][1]
                if compiles("\n".join(lines[first:end])):
                    return end, later + 1
                if mark in ('"""', "'''"):
                    break
    return None


def future_first(source: str) -> tuple[str, str]:
    """The `from __future__` lines of a text that parses, and its other lines."""
    nodes = [node for node in parse(source).body if isinstance(node, ast.ImportFrom) and node.module == "__future__"]
    numbers = {number for node in nodes for number in range(node.lineno - 1, node.end_lineno or node.lineno)}
    lines = source.split("\n")
    future = "".join(f"{line}\n" for number, line in enumerate(lines) if number in numbers)
    return future, "\n".join(line for number, line in enumerate(lines) if number not in numbers)


def indented_groups(text: str) -> list[str]:
    """The runs of indented lines below prose, moved to the margin: code as Markdown has it without fences."""
    groups, above, group = list[str](), "", list[str]()
    for line in [*text.split("\n"), "end"]:
        if not line.strip() or line.startswith(("    ", "\t")):
            group.append(line)
            continue
        code = textwrap.dedent("\n".join(group)).strip("\n") + "\n"
        if code.strip() and above and not compiles(f"{above}\n    pass"):
            groups.append(code)
        above, group = line, []
    return groups

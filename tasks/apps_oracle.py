"""The judge of APPS problems that name a function: calls it with each test's arguments and compares what it returns.

The text of this file is itself the beginning of the trusted tests, so it uses the standard library only. The published
tests give arguments as lines of text, so that "1" may have been the number or the text. Where an
argument's lines leave that open (all plain numbers, or some no value at all), both readings are tried, and a program is
right if it is right on all tests under one and the same reading.
"""

import ast
import itertools
import json
from collections.abc import Callable
from typing import Any


def value_of(line: str) -> Any:
    """The Python or JSON value that a line is, else the line itself."""
    for read in (ast.literal_eval, json.loads):
        try:
            return read(line)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
    return line


def lines_of(text: str, n_arguments: int) -> list[str]:
    """One text for each argument; where there are more lines than arguments, the first one takes the surplus."""
    lines = text.split("\n")
    surplus = len(lines) - n_arguments
    return ["\n".join(lines[: surplus + 1]), *lines[surplus + 1 :]] if surplus > 0 else lines


def readings(calls: list[list[str]]) -> list[tuple[bool, ...]]:
    """For each position whether lines are values where they can be (True) or always text (False), likeliest first."""
    options: list[tuple[bool, ...]] = []
    for position in range(max(map(len, calls))):
        values = [value_of(call[position]) for call in calls if position < len(call)]
        n_text = sum(isinstance(value, str) for value in values)
        if n_text == len(values):
            options.append((False,))
        elif n_text:
            options.append((False, True))
        elif all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
            options.append((True, False))
        else:
            options.append((True,))
    return list(itertools.islice(itertools.product(*options), 8))


def plain(value: Any) -> Any:
    """Tuples as lists, at any depth: JSON, in which the answers are published, has no tuples."""
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    return value


def run_calls(function: Callable[..., Any], payload: str, n_arguments: int) -> None:
    """Pass if the function is right on every test under one reading; else raise what the first reading met."""
    tests = json.loads(payload)
    calls = [lines_of(test["input"], n_arguments) for test in tests]
    first_problem: Exception | None = None
    for reading in readings(calls):
        try:
            for number, (call, test) in enumerate(zip(calls, tests, strict=True), 1):
                arguments = [
                    value_of(text) if as_value else text for text, as_value in zip(call, reading, strict=False)
                ]
                out, expected = plain(function(*arguments)), test["output"]
                if out != expected and [out] != expected:
                    raise AssertionError(f"test {number}: expected {expected!r:.80}, got {out!r:.80}")
            return
        except Exception as problem:
            first_problem = first_problem or problem
    if first_problem is not None:
        raise first_problem

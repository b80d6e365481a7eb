"""Decide by a problem's reference where its tests run, once, before any completion of it is looked at.

From outside if the reference passes that way, else in the program's own interpreter if it passes there. Problems
without a reference are decided by their tests' text (`sandbox.trusted.mode`). No completion has any influence on this.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import replace
from hashlib import blake2b
from itertools import islice
from typing import Literal

from mtp_eval.sandbox.executor import Executor
from mtp_eval.sandbox.outcome import Outcome, Verdict
from mtp_eval.sandbox.program import Program
from mtp_eval.sandbox.trusted.compiled import compile_trusted

Interpreter = Literal["auto", "program", "outside"]
_CANNOT_BE_JUDGED_SO = (Verdict.FAILED, Verdict.ERROR, Verdict.EXITED_EARLY)
"""What a right program ends with where its tests need its own interpreter. A timeout or a crash says nothing about that,
unless the tests' text asks for it, too: a patched `time.sleep` is patched on one side only."""


_BATCH = 64
"""References in hand at a time: some benchmarks' tests are megabytes each."""


class ByReference(Executor):
    """An executor around another one, which decides where the tests of each program run.

    Args:
        executor: runs the programs; closed with this one.
        interpreter: "auto" decides as described above; "program" and "outside" decide for all programs alike that do not
            say themselves.
    """

    def __init__(self, executor: Executor, interpreter: Interpreter = "auto") -> None:
        self._executor, self._interpreter = executor, interpreter
        self._inside: dict[bytes, bool] = {}
        self.isolation, self.layers = executor.isolation, executor.layers

    def decided(self, program: Program) -> Program:
        """The program with the decision in it; unchanged where the text of its tests is to decide."""
        if program.same_interpreter is not None or program.stdin_cases:
            return program
        if self._interpreter != "auto":
            return replace(program, same_interpreter=self._interpreter == "program")
        inside = self._inside.get(_key(program))
        return program if inside is None else replace(program, same_interpreter=inside)

    def judge_references(self, references: Iterable[Program]) -> Iterator[Outcome]:
        """Run each problem's reference from outside, and where it fails so, in its own interpreter; remember which.

        An outcome says by `same_interpreter` how its problem's programs are judged from now on.
        """
        several = iter(references)
        while batch := list(islice(several, _BATCH)):
            yield from self._judge_batch([self.decided(reference) for reference in batch])

    def _judge_batch(self, programs: list[Program]) -> list[Outcome]:
        open_ones = [program.same_interpreter is None and not program.stdin_cases for program in programs]
        outside = [replace(p, same_interpreter=False) if o else p for p, o in zip(programs, open_ones, strict=True)]
        outcomes = list(self._executor.run(outside))
        lost = [n for n, o in enumerate(outcomes) if open_ones[n] and _needs_another_try(programs[n], o)]
        again = self._executor.run(replace(programs[n], same_interpreter=True) for n in lost)
        for number, outcome in zip(lost, again, strict=True):
            if outcome.passed:
                outcomes[number] = outcome
        for program, is_open, outcome in zip(programs, open_ones, outcomes, strict=True):
            if is_open and outcome.passed:
                self._inside[_key(program)] = outcome.same_interpreter
        return outcomes

    def submit(self, program: Program, tag: Hashable) -> None:
        """Queue a program, with what was decided for its problem."""
        self._executor.submit(self.decided(program), tag)

    def ready(self) -> list[tuple[Hashable, Outcome]]:
        """The outcomes that have arrived."""
        return self._executor.ready()

    def drain(self) -> Iterator[tuple[Hashable, Outcome]]:
        """All outcomes not collected yet."""
        return self._executor.drain()

    def cancel(self) -> None:
        """Give up programs that have not begun."""
        self._executor.cancel()

    def close(self) -> None:
        """Close the other executor."""
        self._executor.close()


def _needs_another_try(program: Program, outcome: Outcome) -> bool:
    if outcome.passed or outcome.verdict is Verdict.INFRASTRUCTURE_ERROR:
        return False
    return outcome.verdict in _CANNOT_BE_JUDGED_SO or bool(why_inside(program))


def _key(program: Program) -> bytes:
    """A digest of prelude and tests, which is what a decision belongs to."""
    return blake2b(
        f"{len(program.prelude)} {program.prelude}{program.tests}".encode("utf-8", "surrogatepass"), digest_size=16
    ).digest()


def why_inside(program: Program) -> str:
    """Why the text of a program's tests puts them into its own interpreter; empty where they are judged from outside.

    Raises:
        BadTests: they do not compile.
    """
    return "" if program.stdin_cases else compile_trusted(program.prelude, program.tests, program.entry_point).inside

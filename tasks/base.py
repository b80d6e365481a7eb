"""What every adapter has: a name, a protocol id, the data's hash, problems, and an extraction rule."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType
from typing import ClassVar

from mtp_eval.tasks.errors import UnknownProtocolError
from mtp_eval.tasks.extract import rule_named
from mtp_eval.tasks.problem import Judgement, Problem, Program


class BaseTask:
    """Shared by all adapters: holds the problems and applies the extraction rule.

    Args:
        name: what the user types, without the protocol.
        protocol: the part after the "@".
        data_sha256: of the file the problems were read from, or of what the generator made.
        problems: in the benchmark's order.
        extract: the extraction rule (see `tasks.extract`); by default the protocol's own.
    """

    kind: ClassVar[str] = "execution"
    default_rule: str = "raw"
    report_by: str | None = None

    def __init__(
        self, name: str, protocol: str, data_sha256: str, problems: Sequence[Problem], extract: str | None = None
    ):
        self.name = name
        self.protocol = f"{name}@{protocol}"
        self.data_sha256 = data_sha256
        self.rule = rule_named(extract or self.default_rule)
        self._problems = tuple(problems)

    def problems(self) -> Sequence[Problem]:
        """All problems in the benchmark's order."""
        return self._problems

    def prefix(self, problem: Problem) -> str:
        """The part of the prompt that belongs to the program."""
        return ""

    def source(self, problem: Problem, completion: str) -> str:
        """The source that is executed for a raw completion, under this task's extraction rule."""
        return self.rule.apply(problem, self.prefix(problem), completion)

    def tested(self, problem: Problem, source: str) -> Program:
        """A whole program with the tests that judge it."""
        raise NotImplementedError

    def program(self, problem: Problem, completion: str) -> Program:
        """Extract the program from a raw completion and put it together with its tests."""
        return self.tested(problem, self.source(problem, completion))


class ExactMatchTask(BaseTask):
    """A task whose answer is text: a completion is right when its answer equals the reference's."""

    kind: ClassVar[str] = "exact_match"

    def answer(self, problem: Problem, text: str) -> str:
        """The answer in a completion or reference, in its normal form; empty when there is none."""
        return text.strip()

    def judge(self, problem: Problem, completion: str) -> Judgement:
        """Whether the completion's answer is the reference's."""
        found = self.answer(problem, self.source(problem, completion))
        wanted = self.answer(problem, problem.reference)
        if found and found == wanted:
            return Judgement(True, found)
        return Judgement(False, found, f"expected {wanted[:60]!r}, got {found[:60]!r}" if found else "no answer found")

    def tested(self, problem: Problem, source: str) -> Program:
        """Nothing is executed; the answer is kept for the journal, where votes are counted."""
        return Program(problem_id=problem.problem_id, source=self.answer(problem, source))


def choose_protocol(task: str, wanted: str | None, known: Sequence[str]) -> str:
    """The wanted protocol, or the first one known.

    Raises:
        UnknownProtocolError: with the list of those there are.
    """
    if wanted is None:
        return known[0]
    if wanted not in known:
        raise UnknownProtocolError(
            f"task {task} has no protocol {wanted!r}; expected one of {', '.join(f'{task}@{p}' for p in known)}"
        )
    return wanted


def refuse_taken_name(entry_point: str, oracle: ModuleType) -> None:
    """A judge's own names would hide a program's function of the same name: such a problem cannot be judged by it.

    Raises:
        ValueError: the entry point has the name of something in the judge's module.
    """
    if hasattr(oracle, entry_point):
        raise ValueError(f"the entry point {entry_point} has the name of something in {oracle.__name__}; rename that")

"""What every adapter has: a name, a protocol id, the data's hash, problems, and an extraction rule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from mtp_eval.tasks.extract import extract_text, rule_named
from mtp_eval.tasks.problem import Problem


class UnknownProtocolError(ValueError):
    """A task was asked for under a protocol it does not have."""


class BaseTask:
    """Shared by all adapters: holds the problems and applies the extraction rule.

    Args:
        name: what the user types, without the protocol.
        protocol: the part after the "@".
        data_sha256: of the file the problems were read from, or of what the generator made.
        problems: in the benchmark's order.
        extract: the extraction rule (see `tasks.extract`); by default the protocol's own.
    """

    default_rule: ClassVar[str] = "raw"
    report_by: str | None = None

    def __init__(
        self, name: str, protocol: str, data_sha256: str, problems: Sequence[Problem], extract: str | None = None
    ):
        self.name = name
        self.protocol = f"{name}@{protocol}"
        self.data_sha256 = data_sha256
        self.extract_rule = rule_named(extract or self.default_rule).name
        self._problems = tuple(problems)

    def problems(self) -> Sequence[Problem]:
        """All problems in the benchmark's order."""
        return self._problems

    def extracted(self, problem: Problem, completion: str) -> str:
        """The completion after this task's extraction rule."""
        return extract_text(self.extract_rule, problem, completion)


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

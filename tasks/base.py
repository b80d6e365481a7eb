"""Names that adapters use: the classes they derive from, and the checks of what a user asked for."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType

from mtp_eval.tasks.errors import DataError, UnknownProtocolError
from mtp_eval.tasks.exact_match import ExactMatchTask
from mtp_eval.tasks.problem import Task

__all__ = ["BaseTask", "ExactMatchTask", "Task", "choose_protocol", "refuse_taken_name"]

BaseTask = Task
"""The name that `Task` had in 0.1."""


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
    """Refuse a problem whose function has the name of one of its judge's own, which would hide it.

    Raises:
        DataError: the entry point has the name of something in the judge's module.
    """
    if hasattr(oracle, entry_point):
        raise DataError(f"the entry point {entry_point} has the name of something in {oracle.__name__}; rename that")

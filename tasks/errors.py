"""Errors of the tasks: what was asked for is not there, or its data are not what they should be.

    TaskError
    ├── UnknownTask             no task of this name
    ├── UnknownProtocolError    the task has no protocol of this name
    ├── UnknownRuleError        there is no extraction rule of this name
    ├── TaskOptionError         an option that the task does not have, or a value outside its range
    └── DataError               a benchmark's file is missing, broken or another edition
        └── HubError            the hub cannot be reached or does not have it

All of them are bad input: `try: load_task(name) ... except TaskError as error: print(error)`. `did_you_mean` is the hint of
every error about an unknown name, here and in the harness.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class TaskError(ValueError):
    """Base of all; the message says what was expected, what was got and what to do."""


class UnknownTask(TaskError):  # noqa: N818  (it reads as what happened)
    """No task of this name; the message lists near matches."""


class UnknownProtocolError(TaskError):
    """A task was asked for under a protocol it does not have."""


class UnknownRuleError(TaskError):
    """There is no extraction rule of this name."""


class TaskOptionError(TaskError):
    """An option that the task does not have, or a value outside its range."""


class DataError(TaskError):
    """A benchmark's file is missing, broken, or another edition than the one this adapter knows."""


class HubError(DataError):
    """`datasets` cannot get a data set."""


def did_you_mean(wrong: str, known: Iterable[str], otherwise: str = "") -> str:
    """Hint for an unknown name: "did you mean mbpp or mbpp-plus?", or `otherwise` where no known name is near.

    Args:
        wrong: what was asked for.
        known: the names there are.
        otherwise: the hint where nothing is near; by default the list of known names.
    """
    names = list(known)
    near = get_close_matches(wrong, names, n=3, cutoff=0.5)
    if near:
        return f"did you mean {' or '.join(near)}?"
    return otherwise or f"expected one of {', '.join(names)}"

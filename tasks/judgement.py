"""Verdicts that need no execution, and the programs that a task's own tests must refuse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict of a task that needs no execution.

    Args:
        passed: whether the completion is right.
        extracted: the answer that was found in it; empty when none was.
        error: why it is not right, in the form of an outcome's error.
    """

    passed: bool
    extracted: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class Cheat:
    """Programs without knowledge that a task's own tests must refuse.

    Args:
        name: what `tasks check` calls them.
        sources: a whole program for each problem id that it is tried on.
        allowed_share: of these, how many may pass.
        fails_with: what the error of a refused program contains; "" accepts any.
    """

    name: str
    sources: Mapping[str, str]
    allowed_share: float = 0.0
    fails_with: str = ""

"""Faults of published problems, listed and never mended: a changed problem would be another benchmark.

Only what was checked here is listed; the reasons are ours. Where a reference is known to fail with the running Python, a run
goes on and says so: the problem counts as it is judged, which may be against right programs.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KnownIssue:
    """One fault of a published problem.

    Args:
        reason: what is wrong, worded as part of a sentence.
        reference_fails_from: the first Python version with which the benchmark's own solution is judged wrong.
    """

    reason: str
    reference_fails_from: tuple[int, int] | None = None

    def fails_here(self, version: tuple[int, int] = sys.version_info[:2]) -> bool:
        """Whether the reference is known to fail with this Python."""
        return self.reference_fails_from is not None and version >= self.reference_fails_from


KNOWN_ISSUES: Mapping[str, Mapping[str, KnownIssue]] = {
    "humaneval": {
        "HumanEval/47": KnownIssue(
            "the docstring says median([-10, 4, 6, 1000, 10, 20]) is 15.0; it is 8.0, and the tests say 8.0"
        ),
        "HumanEval/116": KnownIssue(
            "the docstring's examples contradict the tests: sort_array([1, 5, 2, 3, 4]) is [1, 2, 4, 3, 5]"
        ),
    },
    "humaneval-plus": {
        "HumanEval/32": KnownIssue(
            "any root within 1e-4 is right (EvalPlus 0.3.1 counts every correct answer as wrong). From Python 3.12 on sum() of "
            "floats is compensated, with which Newton's method, the reference's, ends beside the root on 7 of 788 plus inputs: "
            "right programs may fail; 0.6 points of the score depend on it",
            reference_fails_from=(3, 12),
        ),
        "HumanEval/47": KnownIssue("as in humaneval"),
        "HumanEval/116": KnownIssue("as in humaneval"),
    },
    "mbpp-plus": {
        "Mbpp/255": KnownIssue("5 of 109 plus inputs are left out: their answers are lists of 6 to 128 million items"),
    },
}


def known_issues(task: str) -> Mapping[str, KnownIssue]:
    """The known issues of a task, by problem id."""
    return KNOWN_ISSUES.get(task, {})

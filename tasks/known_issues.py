"""Faults of published problems, listed and never mended: a changed problem would be another benchmark.

Only what was checked here is listed; the reasons are ours.
"""

from __future__ import annotations

from collections.abc import Mapping

KNOWN_ISSUES: Mapping[str, Mapping[str, str]] = {
    "humaneval": {
        "HumanEval/47": "the docstring says median([-10, 4, 6, 1000, 10, 20]) is 15.0; it is 8.0, and the tests say 8.0",
        "HumanEval/116": "the docstring's examples contradict the tests: sort_array([1, 5, 2, 3, 4]) is [1, 2, 4, 3, 5]",
    },
    "humaneval-plus": {
        "HumanEval/32": "any root within 1e-4 is right; EvalPlus 0.3.1 counts every correct answer as wrong",
        "HumanEval/47": "as in humaneval",
        "HumanEval/116": "as in humaneval",
    },
    "mbpp-plus": {
        "Mbpp/255": "5 of 109 plus inputs are left out: their answers are lists of 6 to 128 million items",
    },
    "mbpp": {
        "mbpp/367": "test_setup_code builds the solution's Node objects, so tests run in the program's interpreter",
        "mbpp/601": "the asserts build the solution's Pair objects, so tests run in the program's interpreter",
        "mbpp/927": "test_setup_code builds the solution's Node objects, so tests run in the program's interpreter",
    },
    "apps-intro": {"apps/2886#2": "a second copy of apps/2886, as published in this selection"},
    "apps-interview": {"apps/…#2": "most of the 52 problems occur twice in this selection; copies end in #2"},
}


def known_issues(task: str) -> Mapping[str, str]:
    """Problem ids with what is wrong with them."""
    return KNOWN_ISSUES.get(task, {})

"""CodeContests (Li et al. 2022), test split, Python 3: programs that read standard input and print the answer.

The data come through `datasets` (deepmind/code_contests, some gigabytes), or from code-contests.jsonl in a data folder
with the fields name, description, and public_tests, private_tests, generated_tests ({"input": [...], "output": [...]}).
All three kinds of tests count. Problems are in the published order. Outputs are compared as the data set's own tester does
it. Checkers that accept more than one answer are not part of the data set, so that some right programs fail, as with every
harness that uses it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mtp_eval.sandbox.program import WordsRule
from mtp_eval.tasks.base import choose_protocol
from mtp_eval.tasks.errors import DataError
from mtp_eval.tasks.problem import Problem, Program, Task
from mtp_eval.tasks.sources import load_file, rows_sha256

FILE = "code-contests.jsonl"
PROTOCOLS = ("0shot",)
TESTS = ("public_tests", "private_tests", "generated_tests")
PYTHON3 = 3
"""The number of Python 3 among the data set's languages."""


class CodeContestsTask(Task):
    """The test split.

    Args:
        name: as registered.
        protocol: one of `PROTOCOLS`.
        data_dir: a folder that may hold code-contests.jsonl.
        extract: an extraction rule other than the protocol's.
    """

    default_rule = "fence"

    def __init__(
        self, name: str, protocol: str | None = None, *, data_dir: Path | None = None, extract: str | None = None
    ):
        chosen = choose_protocol(name, protocol, PROTOCOLS)
        rows = load(data_dir)
        self._cases = {f"code-contests/{row['name']}": cases_of(row) for row in rows}
        problems = [
            Problem(
                problem_id=f"code-contests/{row['name']}",
                prompt=f"{row['description'].rstrip()}\n\nWrite a Python program that solves this.\n\n```python\n",
                reference=python_solution(row),
                stop=("\n```",),
                max_new_tokens=1024,
            )
            for row in rows
        ]
        super().__init__(
            name, chosen, problems, data_sha256=rows_sha256(rows, ("name", "description", *TESTS)), extract=extract
        )

    def judge_program(self, problem: Problem, source: str) -> Program:
        """Judge by the outputs for all inputs."""
        cases = self._cases[problem.problem_id]
        return Program(problem.problem_id, source, stdin_cases=cases, timeout_seconds=10.0, output_rule=WordsRule())


def cases_of(row: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """(input, output) pairs of all kinds of tests."""
    return tuple(
        pair for kind in TESTS if kind in row for pair in zip(row[kind]["input"], row[kind]["output"], strict=True)
    )


def python_solution(row: Mapping[str, Any]) -> str:
    """The first published right solution in Python 3, if there is one."""
    solutions = row.get("solutions") or {"language": [], "solution": []}
    pairs = zip(solutions["language"], solutions["solution"], strict=True)
    return next((text for language, text in pairs if language == PYTHON3), "")


def load(data_dir: Path | None) -> list[dict[str, Any]]:
    """The rows of a local file, else of the hub.

    Raises:
        DataError: neither is to be had, or a row lacks a field.
    """
    loaded = load_file(FILE, data_dir)
    for number, row in enumerate(loaded.rows, start=1):
        if not isinstance(row.get("name"), str) or not isinstance(row.get("description"), str) or not cases_of(row):
            raise DataError(f"{loaded.where}, row {number}: expected name, description and at least one test")
    return loaded.rows

"""MultiPL-E's Python (arXiv 2208.08227): HumanEval and MBPP as the multilingual benchmark asks them, with its stops and tests.

The data are rows with name, prompt, tests and stop_tokens, in multipl-e-humaneval-py.jsonl or multipl-e-mbpp-py.jsonl in a data folder.
A program is prompt, completion and tests, one after the other; the last two lines of the tests run them. There are no reference solutions.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

from mtp_eval.tasks.base import choose_protocol
from mtp_eval.tasks.errors import DataError
from mtp_eval.tasks.problem import Problem, Program, Task
from mtp_eval.tasks.sources import load_file

PROTOCOLS = ("reworded",)
"""Prompts in the terms of the language, as the published rows have them."""
FUNCTION = re.compile(r"^def\s+(\w+)\s*\(", re.MULTILINE)


class MultiplETask(Task):
    """One of the two benchmarks.

    Args:
        name: "multipl-e-humaneval-py" or "multipl-e-mbpp-py".
        protocol: one of `PROTOCOLS`.
        data_dir: a folder that holds NAME.jsonl.
        extract: an extraction rule other than `stops`.
    """

    default_rule = "stops"

    def __init__(
        self, name: str, protocol: str | None = None, *, data_dir: Path | None = None, extract: str | None = None
    ):
        chosen = choose_protocol(name, protocol, PROTOCOLS)
        loaded = load_file(f"{name}.jsonl", data_dir)
        self._tests: dict[str, str] = {}
        problems = []
        for number, row in enumerate(loaded.rows, start=1):
            if absent := [f for f in ("name", "prompt", "tests") if not isinstance(row.get(f), str)]:
                raise DataError(f"{loaded.where}, row {number}: expected the text field {absent[0]}")
            self._tests[row["name"]] = row["tests"]
            functions = FUNCTION.findall(row["prompt"])
            problems.append(
                Problem(
                    problem_id=row["name"],
                    prompt=row["prompt"],
                    reference="",
                    stop=stops_of(row),
                    max_new_tokens=1024,
                    entry_point=functions[-1] if functions else None,
                )
            )
        super().__init__(name, chosen, problems, data_sha256=loaded.sha256, extract=extract)

    def prefix(self, problem: Problem) -> str:
        """The prompt is the beginning of the program."""
        return problem.prompt

    def judge_program(self, problem: Problem, source: str) -> Program:
        """Judge by the published tests."""
        return Program(
            problem.problem_id, source, tests=self._tests[problem.problem_id], entry_point=problem.entry_point
        )


def stops_of(row: dict[str, Any]) -> tuple[str, ...]:
    """The row's stop strings: a list, or the text of one."""
    stops = row.get("stop_tokens") or []
    return tuple(ast.literal_eval(stops) if isinstance(stops, str) else stops)

"""BigCodeBench (arXiv 2406.15877): functions that use many libraries, judged by unit tests in the program's own interpreter.

`complete` gives the signature and a long docstring, `instruct` a question in words and the beginning of the code. The data come
through `datasets` (bigcode/bigcodebench, v0.1.4), or from bigcodebench.jsonl in a data folder. A problem counts only where all the
libraries that it names are installed for the Python that runs here; others are left out, and the protocol's id then ends in "+installed".
"""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mtp_eval.tasks.base import choose_protocol
from mtp_eval.tasks.errors import DataError
from mtp_eval.tasks.problem import Problem, Program, Task
from mtp_eval.tasks.sources import load_file

FILE = "bigcodebench.jsonl"
PROTOCOLS = ("complete", "instruct")
STOPS = ("\nif __name__", "\ndef main(", "\nprint(", "\ndef ", "\nclass ", "\nimport ", "\nfrom ", "\nassert ")
FIELDS = ("task_id", "complete_prompt", "instruct_prompt", "canonical_solution", "code_prompt", "test", "entry_point")
TIMEOUT_SECONDS = 60.0
RUN_TESTS = """
import unittest as _unittest
_result = _unittest.TestResult()
_unittest.defaultTestLoader.loadTestsFromTestCase(TestCases).run(_result)
_issues = _result.failures + _result.errors
assert _result.testsRun and not _issues, (
    f"{len(_issues)} of {_result.testsRun} unit tests fail: "
    + "; ".join(f"{test.id().rpartition('.')[2]}: {trace.strip().splitlines()[-1]}" for test, trace in _issues)[:200]
)
"""


class BigCodeBenchTask(Task):
    """BigCodeBench under one protocol.

    Args:
        name: as registered.
        protocol: one of `PROTOCOLS`.
        data_dir: a folder that may hold bigcodebench.jsonl.
        extract: an extraction rule other than `definitions`.
    """

    default_rule = "definitions"

    def __init__(
        self, name: str, protocol: str | None = None, *, data_dir: Path | None = None, extract: str | None = None
    ):
        chosen = choose_protocol(name, protocol, PROTOCOLS)
        self._is_complete = chosen == "complete"
        loaded = load_file(FILE, data_dir)
        for number, row in enumerate(loaded.rows, start=1):
            if absent := [field for field in FIELDS if not isinstance(row.get(field), str)]:
                raise DataError(f"{loaded.where}, row {number}: expected the text field {absent[0]}")
        self._rows = {row["task_id"]: row for row in loaded.rows if not missing_libraries(row)}
        problems = [
            Problem(
                problem_id=problem_id,
                prompt=row["complete_prompt"] if self._is_complete else f"{row['instruct_prompt'].strip()}\n",
                reference=row["canonical_solution"] if self._is_complete else whole_solution(row),
                stop=STOPS if self._is_complete else (),
                max_new_tokens=1280,
                entry_point=row["entry_point"],
            )
            for problem_id, row in self._rows.items()
        ]
        own_name = chosen if len(problems) == len(loaded.rows) else f"{chosen}+installed"
        super().__init__(name, own_name, problems, data_sha256=loaded.sha256, extract=extract)

    def prefix(self, problem: Problem) -> str:
        """The prompt where it is code."""
        return problem.prompt if self._is_complete else ""

    def judge_program(self, problem: Problem, source: str) -> Program:
        """Judge by the unit tests, which look into the program and patch its libraries, so that they run beside it."""
        return Program(
            problem.problem_id,
            source,
            tests=f"{self._rows[problem.problem_id]['test']}\n{RUN_TESTS}",
            timeout_seconds=TIMEOUT_SECONDS,
            same_interpreter=True,
            entry_point=problem.entry_point,
        )


def whole_solution(row: Mapping[str, Any]) -> str:
    """The reference as a program of its own."""
    return f"{row['code_prompt']}{row['canonical_solution']}"


def missing_libraries(row: Mapping[str, Any]) -> list[str]:
    """The libraries that a problem names and this Python does not have."""
    named = row.get("libs") or []
    names = ast.literal_eval(named) if isinstance(named, str) else named
    return [name for name in names if importlib.util.find_spec(str(name).partition(".")[0]) is None]

"""LiveCodeBench, code generation (arXiv 2403.07974): problems from contests, by the date of the contest.

The data are the rows of livecodebench/code_generation_lite, whose files (test.jsonl, test2.jsonl, ...) are put together as
livecodebench.jsonl in a data folder; `datasets` 4 and later refuse the data set's loading script. A problem with starter code is
answered by a method of `Solution`, any other by a program that reads standard input. The private tests count as well as the public ones.
The dates of the contests may follow the protocol: "livecodebench@generic+2024-08-01..2025-01-31" (either end may be empty).
"""

from __future__ import annotations

import base64
import io
import json
import pickle
import zlib
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from mtp_eval.tasks.base import choose_protocol
from mtp_eval.tasks.errors import DataError, TaskOptionError
from mtp_eval.tasks.problem import Problem, Program, Task
from mtp_eval.tasks.sources import load_file

FILE = "livecodebench.jsonl"
PROTOCOLS = ("generic",)
"""The question as the benchmark puts it to a model without a style of its own."""
WITH_STARTER = "You will use the following starter code to write the solution to the problem and enclose your code within delimiters."
WITHOUT_STARTER = (
    "Read the inputs from stdin solve the problem and write the answer to stdout (do not directly test on the sample inputs). "
    "Enclose your code within delimiters as follows."
)
TIMEOUT_SECONDS = 6.0
"""For each input, as there."""
JUDGE = """
def _plain(value):
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


for _arguments, _expected in {cases!r}:
    _got = _plain({name}(*_arguments))
    assert _got == _expected, f"expected {{_expected!r:.80}}, got {{_got!r:.80}}"
"""


class LiveCodeBenchTask(Task):
    """The contests' problems between two dates.

    Args:
        name: as registered.
        protocol: one of `PROTOCOLS`.
        split: dates as "SINCE..UNTIL", both included; "all" is every contest.
        data_dir: a folder holding livecodebench.jsonl.
        extract: an extraction rule other than `fence`.
    """

    default_rule = "fence"
    report_by = "difficulty"

    def __init__(
        self,
        name: str,
        protocol: str | None = None,
        *,
        split: str = "all",
        data_dir: Path | None = None,
        extract: str | None = None,
    ):
        chosen = choose_protocol(name, protocol, PROTOCOLS)
        since, until = dates_of(split)
        loaded = load_file(FILE, data_dir)
        self._rows: dict[str, Mapping[str, Any]] = {}
        for number, row in enumerate(loaded.rows, start=1):
            try:
                if since <= date.fromisoformat(row["contest_date"][:10]) <= until:
                    self._rows[f"livecodebench/{row['question_id']}"] = row
            except (KeyError, TypeError, ValueError) as error:
                raise DataError(f"{loaded.where}, row {number}: no row of LiveCodeBench ({error})") from None
        problems = [
            Problem(
                problem_id=problem_id,
                prompt=prompt_of(row),
                reference="",
                max_new_tokens=2000,
                entry_point=function_of(row),
                tags={"difficulty": row["difficulty"], "platform": row["platform"], "date": row["contest_date"][:10]},
            )
            for problem_id, row in self._rows.items()
        ]
        own_name = chosen if split == "all" else f"{chosen}+{split}"
        super().__init__(name, own_name, problems, data_sha256=loaded.sha256, extract=extract)

    def judge_program(self, problem: Problem, source: str) -> Program:
        """Judge by calls of the method, or through standard input; each input has its own time."""
        tests = tests_of(self._rows[problem.problem_id])
        seconds = TIMEOUT_SECONDS * max(1, len(tests))
        name = problem.entry_point
        if name is None:
            cases = tuple((test["input"], test["output"]) for test in tests)
            return Program(problem.problem_id, source, stdin_cases=cases, timeout_seconds=seconds)
        cases_of_calls = [
            ([json.loads(line) for line in test["input"].split("\n") if line.strip()], json.loads(test["output"]))
            for test in tests
        ]
        if "class Solution" in source:
            source += f"\n\n{name} = Solution().{name}\n"
        tests_text = JUDGE.format(cases=cases_of_calls, name=name)
        return Program(
            problem.problem_id, source, tests_text, timeout_seconds=seconds, entry_point=name, names_apart=True
        )


def dates_of(split: str) -> tuple[date, date]:
    """The first and the last day of "SINCE..UNTIL".

    Raises:
        TaskOptionError: it is not of this form.
    """
    since, dots, until = ("", "..", "") if split == "all" else split.partition("..")
    try:
        if not dots:
            raise ValueError("no two points between two dates")
        return date.fromisoformat(since or "0001-01-01"), date.fromisoformat(until or "9999-12-31")
    except ValueError as error:
        raise TaskOptionError(
            f"livecodebench: expected dates such as 2024-08-01..2025-01-31, got {split!r} ({error})"
        ) from None


def prompt_of(row: Mapping[str, Any]) -> str:
    """The question, the form of the answer, and the beginning of the answer."""
    starter = row["starter_code"]
    said, code = (WITH_STARTER, starter) if starter else (WITHOUT_STARTER, "# YOUR CODE HERE")
    question = f"### Question:\n{row['question_content']}\n\n### Format: {said}\n```python\n{code}\n```\n\n"
    return f"{question}### Answer: (use the provided format with backticks)\n\n"


def function_of(row: Mapping[str, Any]) -> str | None:
    """The method that the tests call; None for a program that reads standard input."""
    name = json.loads(row["metadata"] or "{}").get("func_name")
    return str(name) if name and row["starter_code"] else None


def tests_of(row: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Public and private tests; the private ones are JSON, or JSON that was pickled, packed and written in base 64.

    Raises:
        DataError: they are neither.
    """
    try:
        private = row["private_test_cases"]
        if not private.lstrip().startswith("["):
            private = TextUnpickler(io.BytesIO(zlib.decompress(base64.b64decode(private)))).load()
        return [*json.loads(row["public_test_cases"]), *json.loads(private)]
    except (ValueError, TypeError, KeyError, zlib.error, pickle.UnpicklingError, EOFError) as error:
        raise DataError(f"{FILE}: the tests of {row.get('question_id')} cannot be read ({error})") from None


class TextUnpickler(pickle.Unpickler):
    """Unpickles plain text only: nothing is imported or called."""

    def find_class(self, module: str, name: str) -> Any:
        """Refuse every class.

        Raises:
            UnpicklingError: always.
        """
        raise pickle.UnpicklingError(f"{module}.{name} in a file of tests")

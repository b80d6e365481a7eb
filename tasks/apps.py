"""APPS (Hendrycks et al. 2021): problems from coding sites, judged by calling a function or through standard input.

The file read here has 128 of the 5,000 test problems, 22 of them twice: 49 introductory, 32 interview, 47 competition;
copies are left out, as they would count double. It has no reference solutions. Where a problem's text allows a tolerance for
printed numbers, the judge does. Under `0shot` a problem with starter code is answered by that function;
under `0shot-stdin` every problem is a program that reads the same lines and prints the answer.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from mtp_eval.sandbox.program import OutputRule
from mtp_eval.tasks import apps_oracle
from mtp_eval.tasks.base import choose_protocol, refuse_taken_name
from mtp_eval.tasks.extract import parse
from mtp_eval.tasks.problem import Problem, Program, Task
from mtp_eval.tasks.sources import load_file

FILE = "apps_selected150.jsonl.gz"
PROTOCOLS = ("0shot", "0shot-stdin")
STOP = ("\nQUESTION", "\n---", "\nANSWER")
TOLERANCE = re.compile(
    r"10\s*\^\s*\{?\s*[-−–]\s*(\d+)\s*\}?[^.\n]{0,60}\b(?:error|precision|accuracy)"
    r"|\b(?:error|precision|accuracy|differs?)\b[^.\n]{0,60}10\s*\^\s*\{?\s*[-−–]\s*(\d+)"
)
DIFFICULTIES = {"apps-intro": "introductory", "apps-interview": "interview", "apps-competition": "competition"}


class AppsTask(Task):
    """One difficulty of APPS.

    Args:
        name: a key of `DIFFICULTIES`.
        protocol: one of `PROTOCOLS`.
        data_dir: a folder holding the file.
        extract: an extraction rule other than the protocol's.
    """

    default_rule = "fence"

    def __init__(
        self, name: str, protocol: str | None = None, *, data_dir: Path | None = None, extract: str | None = None
    ):
        chosen = choose_protocol(name, protocol, PROTOCOLS)
        loaded = load_file(FILE, data_dir)
        self._rows: dict[str, Mapping[str, Any]] = {}
        self._calls = chosen == "0shot"
        problems = []
        for row in {row["id"]: row for row in loaded.rows if row["difficulty"] == DIFFICULTIES[name]}.values():
            problem = Problem(
                problem_id=f"apps/{row['id']}",
                prompt=prompt_of(row, calls=self._calls),
                reference="",
                stop=STOP,
                max_new_tokens=512,
                entry_point=entry_point_of(row) if self._calls else None,
                tags={"form": "call" if self._calls and entry_point_of(row) else "stdin"},
            )
            self._rows[problem.problem_id] = row
            problems.append(problem)
        super().__init__(name, chosen, problems, data_sha256=loaded.sha256, extract=extract)

    def judge_program(self, problem: Problem, source: str) -> Program:
        """Judge by calls where the problem names a function, else through standard input."""
        row = self._rows[problem.problem_id]
        if problem.entry_point is None:
            cases = tuple((test["input"], "\n".join(map(as_text, test["output"]))) for test in row["test_list"])
            return Program(
                problem.problem_id, source, stdin_cases=cases, output_rule=output_rule_of(row["description"])
            )
        name = problem.entry_point
        refuse_taken_name(name, apps_oracle)
        if re.search(r"^class Solution\b", source, re.MULTILINE) and not re.search(
            rf"^def {name}\b", source, re.MULTILINE
        ):
            source += f"\n{name} = Solution().{name}\n"
        call = f"run_calls({name}, {json.dumps(row['test_list'])!r}, {n_arguments(row)})"
        return Program(
            problem.problem_id,
            source,
            tests=f"{oracle_source()}\n{call}\n",
            same_interpreter=False,
            entry_point=name,
            names_apart=True,
        )


def output_rule_of(description: str) -> OutputRule:
    """The rule that compares outputs, with the tolerance that the problem states ("10^{-6} relative or absolute precision")."""
    found = TOLERANCE.search(description)
    return OutputRule(tolerance=10.0 ** -int(found[1] or found[2]) if found else 0.0)


def prompt_of(row: Mapping[str, Any], *, calls: bool) -> str:
    """Question, starter code and the form of the answer, as APPS's authors word it."""
    starter = row["starter_code"] if calls else ""
    if starter.strip():
        return f"\nQUESTION:\n{row['description']}\n{starter}\nUse Call-Based format\nANSWER:\n"
    return f"\nQUESTION:\n{row['description']}\nUse Standard Input format\nANSWER:\n"


def starter_function(row: Mapping[str, Any]) -> ast.FunctionDef | None:
    """The function of the starter code."""
    starter = row["starter_code"].strip()
    if not starter:
        return None
    tree = parse(starter + "\n    pass\n")
    return next((node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)), None)


def entry_point_of(row: Mapping[str, Any]) -> str | None:
    """The name of the function that a solution defines."""
    function = starter_function(row)
    return function.name if function else None


def n_arguments(row: Mapping[str, Any]) -> int:
    """The number of arguments that the tests pass: the parameters without a default, or what the tests have lines for."""
    function = starter_function(row)
    assert function is not None
    names = [argument.arg for argument in function.args.args if argument.arg != "self"]
    fewest = min(test["input"].count("\n") + 1 for test in row["test_list"])
    return min(len(names), max(fewest, len(names) - len(function.args.defaults)))


def as_text(value: Any) -> str:
    """An expected value as a program prints it."""
    return value if isinstance(value, str) else str(value)


@cache
def oracle_source() -> str:
    """The source text of the judge (`apps_oracle`), with which the tests begin."""
    return inspect.getsource(apps_oracle)

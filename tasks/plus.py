"""HumanEval+ and MBPP+ (EvalPlus): the base inputs and many more, judged against the canonical solution's outputs.

A program passes when it is right on base AND plus inputs, which is the score that papers quote; under the protocol
`evalplus-base` only the base inputs count. Expected outputs are computed by running the canonical solution once and
kept under the data's hash (`plus_cache`). The special oracles are data here; `plus_oracle` carries them out.
"""

from __future__ import annotations

import copy
import inspect
import json
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from mtp_eval.tasks import chat, plus_oracle
from mtp_eval.tasks.base import choose_protocol, refuse_taken_name
from mtp_eval.tasks.cheats import returns_remembered
from mtp_eval.tasks.errors import DataError
from mtp_eval.tasks.humaneval import helpers_of
from mtp_eval.tasks.plus_cache import cache_folder, read_entry, write_entry
from mtp_eval.tasks.plus_values import arguments_of
from mtp_eval.tasks.plus_versions import elsewhere, load_version
from mtp_eval.tasks.problem import Cheat, Problem, Program, Task

PROTOCOLS = ("evalplus", "evalplus-base", "chat")
ORACLES: Mapping[str, tuple[str, ...]] = {
    "root": ("find_zero",),
    "any": ("are_equivalent",),
    "or zero": ("sum_div",),
    "or perpendicular height": ("surface_Area",),
    "or padded digits": ("digit_distance_nums",),
    "same set": (
        "similar_elements",
        "find_char_long",
        "common_in_nested_lists",
        "extract_singly",
        "larg_nnum",
        "intersection_array",
        "find_dissimilar",
        "Diff",
    ),
    "not none": ("check_str", "text_match_three", "text_starta_endb"),
}
"""Entry points that are not judged by equality: the oracle's name (see plus_oracle.right) and whom it judges."""
_ORACLE_OF = {entry_point: oracle for oracle, entry_points in ORACLES.items() for entry_point in entry_points}
COMMON_STOPS = ("\nif __name__", "\ndef main(", "\nprint(")
STOPS = {
    "humaneval-plus": (*COMMON_STOPS, "\ndef ", "\nclass ", "\nimport ", "\nfrom ", "\nassert "),
    "mbpp-plus": (*COMMON_STOPS, '\n"""', "\nassert"),
}
TIMEOUT_SECONDS = {"humaneval-plus": 20.0, "mbpp-plus": 10.0}
"""For all inputs of a program together; bigcode-evaluation-harness uses the same."""
MAX_NEW_TOKENS = 768
N_TABLES = 40
"""Problems for which a table of base answers is tried."""
DIGEST_ABOVE_CHARACTERS = 20_000
LEFT_OUT = {"Mbpp/255": {"plus": (85, 86, 90, 96, 100)}}
"""Inputs that are not run: their answers are tens of megabytes to gigabytes. Listed in known_issues as well."""
CACHE_FORMAT = "plus-4"
"""Renamed whenever the encoding changes."""


class PlusTask(Task):
    """HumanEval+ or MBPP+.

    Args:
        name: "humaneval-plus" or "mbpp-plus".
        protocol: one of `PROTOCOLS`.
        split: a version of the file other than the latest: "0.1.0" of MBPP+.
        data_dir: a folder holding the EvalPlus file.
        extract: an extraction rule other than the protocol's.
    """

    default_rule = "definitions"

    def __init__(
        self,
        name: str,
        protocol: str | None = None,
        *,
        split: str | None = None,
        data_dir: Path | None = None,
        extract: str | None = None,
    ):
        chosen = choose_protocol(name, protocol, PROTOCOLS)
        loaded = load_version(name, split, data_dir)
        self._version = split
        self._rows = {row["task_id"]: row for row in loaded.rows}
        self._with_plus = chosen != "evalplus-base"
        self._is_chat = chosen == "chat"
        self._timeout_seconds = TIMEOUT_SECONDS[name]
        self._completes_prompt = name == "humaneval-plus"
        self._latest: tuple[str, Program] | None = None  # a problem's samples come one after the other
        problems = [
            Problem(
                problem_id=row["task_id"],
                prompt=row["prompt"].strip() + "\n",
                reference=row["canonical_solution"],
                stop=STOPS[name],
                max_new_tokens=MAX_NEW_TOKENS,
                entry_point=row["entry_point"],
            )
            for row in loaded.rows
        ]
        if self._is_chat:
            problems = [chat.as_chat(one, self.start_of(one.problem_id) + one.reference) for one in problems]
            problems = [replace(one, stop=chat.STOPS) for one in problems]
        own_name = f"{chosen}+{split}" if split else chosen
        super().__init__(name, own_name, problems, data_sha256=loaded.sha256, extract=extract)

    def elsewhere(self, problem_id: str) -> str:
        """The version of MBPP+ that has it."""
        return elsewhere(self.name, self._version, problem_id.rpartition("/")[2])

    def prefix(self, problem: Problem) -> str:
        """The prompt: HumanEval+'s signature, or MBPP+'s docstring; in a chat nothing."""
        return "" if self._is_chat else problem.prompt

    def start_of(self, problem_id: str) -> str:
        """The prompt as the beginning of a program."""
        return str(self._rows[problem_id]["prompt"]).strip() + "\n"

    def judge_program(self, problem: Problem, source: str) -> Program:
        """Judge on the base inputs, then on the plus inputs."""
        if self._latest is None or self._latest[0] != problem.problem_id:
            self._latest = problem.problem_id, self._judged(problem)
        return replace(self._latest[1], source=source)

    def _judged(self, problem: Problem) -> Program:
        """The problem's tests without a program."""
        tests, slow = self._tests(problem.problem_id, self.expected(problem.problem_id))
        assert problem.entry_point is not None
        return Program(
            problem_id=problem.problem_id,
            source="",
            tests=tests,
            entry_point=problem.entry_point,
            prelude=helpers_of(self.start_of(problem.problem_id), problem.entry_point)
            if self._completes_prompt
            else "",
            names_apart=True,
            timeout_seconds=min(60.0, max(self._timeout_seconds, 4 * slow)),
        )

    def _tests(self, problem_id: str, expected: Mapping[str, Any]) -> tuple[str, float]:
        row = self._rows[problem_id]
        groups = ["base", "plus"] if self._with_plus else ["base"]
        cases = [[group, encoded_inputs(row, group), expected[group]] for group in groups]
        entry_point = row["entry_point"]
        refuse_taken_name(entry_point, plus_oracle)
        call = f"run_cases({entry_point}, {json.dumps(cases)!r}, {_ORACLE_OF.get(entry_point, '')!r}, {row['atol']!r})"
        return f"{oracle_source()}\n{call}\n", float(expected["seconds"])

    def expected(self, problem_id: str) -> Mapping[str, Any]:
        """Encoded outputs of the canonical solution by group, and the seconds they took; from the cache if it can."""
        row = self._rows[problem_id]
        kept = read_entry(self._cache_file(problem_id), {group: n_inputs(row, group) for group in ("base", "plus")})
        if kept is None:
            kept = canonical_outputs(row)
            write_entry(self._cache_file(problem_id), kept)
        return kept

    def cheats(self) -> Sequence[Cheat]:
        """Programs that know the base answers and nothing else: where plus inputs count, one of these must refuse them."""
        if not self._with_plus:
            return ()
        chosen = [problem for problem in self.problems() if problem.entry_point not in _ORACLE_OF][:N_TABLES]
        tables = {problem.problem_id: returns_remembered(problem, self._base_calls(problem)) for problem in chosen}
        return (Cheat("a table of the base answers", tables, allowed_share=0.1, fails_with="plus input"),)

    def _base_calls(self, problem: Problem) -> list[tuple[str, str]]:
        """The base inputs and outputs as Python text."""
        row, outputs = self._rows[problem.problem_id], self.expected(problem.problem_id)["base"]
        return [
            (repr(tuple(args)), repr(plus_oracle.decode(output)))
            for args, output in zip(inputs_of(row, "base"), outputs, strict=True)
        ]

    def unprepared(self, problems: Sequence[Problem]) -> Sequence[Problem]:
        """The problems whose expected outputs are not in the cache."""
        return [problem for problem in problems if not self._cache_file(problem.problem_id).is_file()]

    def prepare(self, problem: Problem) -> None:
        """Compute the problem's expected outputs and keep them in the cache."""
        self.expected(problem.problem_id)

    def _cache_file(self, problem_id: str) -> Path:
        version = f"py{sys.version_info.major}.{sys.version_info.minor}"
        return cache_folder() / CACHE_FORMAT / self.data_sha256[:16] / version / f"{problem_id.replace('/', '_')}.json"


def canonical_outputs(row: Mapping[str, Any]) -> dict[str, Any]:
    """Run the canonical solution, which is trusted, on base and plus inputs.

    Raises:
        DataError: it fails with this Python, so that nothing can be judged by it.
    """
    code = row["prompt"] + row["canonical_solution"]
    namespace: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd escapes in published solutions
        exec(compile(code, f"<canonical solution of {row['task_id']}>", "exec"), namespace)
    function = namespace[row["entry_point"]]
    not_none = _ORACLE_OF.get(row["entry_point"]) == "not none"
    started = time.process_time()
    outputs: dict[str, Any] = {}
    for group in ("base", "plus"):
        try:
            values = [function(*copy.deepcopy(args)) for args in inputs_of(row, group)]
        except Exception as error:
            raise DataError(
                f"the canonical solution of {row['task_id']} fails with this Python on a {group} input "
                f"({type(error).__name__}: {error}), so that nothing can be judged by it"
            ) from error
        outputs[group] = [encode_output(value is not None if not_none else value) for value in values]
    return {**outputs, "seconds": time.process_time() - started}


def encoded_inputs(row: Mapping[str, Any], group: str) -> list[Any]:
    """The argument lists of a group, encoded for the tests."""
    return [encode(args) for args in inputs_of(row, group)]


def inputs_of(row: Mapping[str, Any], group: str) -> list[list[Any]]:
    """The argument lists of a group in their Python types, without those in `LEFT_OUT`."""
    left_out = LEFT_OUT.get(row["task_id"], {}).get(group, ())
    inputs = arguments_of(row["task_id"], row[f"{group}_input"])
    return [args for number, args in enumerate(inputs) if number not in left_out]


def n_inputs(row: Mapping[str, Any], group: str) -> int:
    """How many argument lists `inputs_of` gives."""
    return len(row[f"{group}_input"]) - len(LEFT_OUT.get(row["task_id"], {}).get(group, ()))


def encode_output(value: Any) -> Any:
    """An expected output as JSON; where it has megabytes and no tolerance applies, a digest that keeps Python's equality."""
    encoded = encode(value)
    if len(json.dumps(encoded)) > DIGEST_ABOVE_CHARACTERS and not plus_oracle.is_floats(value):
        return {"digest": plus_oracle.digest(value)}
    return encoded


def encode(value: Any) -> Any:
    """A value as JSON, with tags for the types that JSON lacks; `plus_oracle.decode` undoes it.

    Raises:
        DataError: a type that no EvalPlus problem returns.
    """
    if value is None or isinstance(value, bool | str | float):
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**63 else {"int": hex(value)}  # decimal text of a huge int is limited by Python
    if isinstance(value, complex):
        return {"complex": [value.real, value.imag]}
    if isinstance(value, list):
        return [encode(item) for item in value]
    if isinstance(value, dict):
        return {"dict": [[encode(key), encode(item)] for key, item in value.items()]}
    for kind, tag in ((tuple, "tuple"), (set, "set"), (frozenset, "frozenset")):
        if isinstance(value, kind):
            return {tag: [encode(item) for item in value]}
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    raise DataError(f"a canonical solution returned {type(value).__name__}, which has no encoding")


@cache
def oracle_source() -> str:
    """The source text of the judge (`plus_oracle`), with which the tests begin."""
    return inspect.getsource(plus_oracle)

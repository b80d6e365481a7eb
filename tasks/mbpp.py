"""MBPP (Austin et al. 2021): 974 short functions from a one-line description and three asserts.

The test split is ids 11 to 510 (500 problems); ids 2, 3 and 4 are the three examples of the 3-shot prompt. The tests
are test_setup_code, run after the solution (367 and 927 build objects of its classes there), then the asserts.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtp_eval.tasks import chat
from mtp_eval.tasks.base import choose_protocol
from mtp_eval.tasks.errors import TaskOptionError
from mtp_eval.tasks.extract import parse
from mtp_eval.tasks.problem import Chat, Problem, Program, Task
from mtp_eval.tasks.sources import Loaded, load_file

CHALLENGE = "-challenge"
SPLITS = {"prompt": (1, 10), "test": (11, 510), "validation": (511, 600), "train": (601, 974), "all": (1, 974)}
"""First and last id of each split."""
SLOW_REFERENCES = {123: 20.0}
"""Seconds for problems whose own reference needs more than a second of CPU time (123 sums amicable numbers)."""
EXAMPLE_IDS = (2, 3, 4)


@dataclass(frozen=True, slots=True)
class Protocol:
    """A protocol of MBPP: everything that moves the score apart from the model."""

    shots: int
    stop: tuple[str, ...]
    max_new_tokens: int
    rule: str
    chat: Callable[[Mapping[str, Any], Sequence[Mapping[str, Any]]], Chat] | None = None


PROTOCOLS = {
    # Austin et al. as lm-evaluation-harness asks it: three examples, all three asserts shown
    "3shot-austin": Protocol(3, ("[DONE]",), 512, "stops"),
    # InCoder's docstring with the first assert, as bigcode-evaluation-harness asks it; "\ndef" is no stop there
    "0shot-docstring": Protocol(0, ("\nclass", "\nassert", '\n"""', "\nprint", "\nif", "\n<|/", "\n```"), 512, "stops"),
    # the same prompt with EvalPlus's stops and clean-up
    "0shot-evalplus": Protocol(
        0, ("\nif __name__", "\ndef main(", "\nprint(", '\n"""', "\nassert"), 768, "definitions"
    ),
    # lm-evaluation-harness's mbpp_instruct
    "lm-eval-instruct": Protocol(3, (chat.LM_EVAL_STOP,), 256, chat.LM_EVAL_RULE, chat.lm_eval_mbpp_chat),
    # the prompt of 0shot-docstring in EvalPlus's question to chat models
    "chat": Protocol(
        0, chat.STOPS, chat.MAX_NEW_TOKENS, chat.RULE, lambda row, _: chat.evalplus_chat(docstring_prompt(row))
    ),
}
FULL_EDITION_ONLY = ("lm-eval-instruct",)
"""Protocols whose examples are the full edition's."""


class MbppTask(Task):
    """MBPP, or its sanitized edition, under one protocol.

    Args:
        name: "mbpp" or "mbpp-sanitized".
        protocol: a key of `PROTOCOLS`.
        split: a key of `SPLITS`; "test" is what papers report. With "-challenge" behind it, the published challenge tests
            count as well, where a problem has some.
        data_dir: a folder holding the published file.
        extract: an extraction rule other than the protocol's.
    """

    def __init__(
        self,
        name: str,
        protocol: str | None = None,
        *,
        split: str = "test",
        data_dir: Path | None = None,
        extract: str | None = None,
    ):
        chosen = choose_protocol(
            name, protocol, [one for one in PROTOCOLS if name == "mbpp" or one not in FULL_EDITION_ONLY]
        )
        asked = PROTOCOLS[chosen]
        self.default_rule = asked.rule
        ids, self._challenge = split.removesuffix(CHALLENGE), split.endswith(CHALLENGE)
        if ids not in SPLITS or (self._challenge and name != "mbpp"):
            known = [*SPLITS, *(f"{one}{CHALLENGE}" for one in SPLITS if name == "mbpp")]
            raise TaskOptionError(f"{name} has no split {split!r}; expected one of {', '.join(known)}")
        loaded = load(name, data_dir)
        self._rows = {f"mbpp/{row['task_id']}": row for row in loaded.rows}
        first, last = SPLITS[ids]
        examples = [self._rows[f"mbpp/{i}"] for i in EXAMPLE_IDS[: asked.shots]]
        problems = [problem_of(row, examples, asked) for row in loaded.rows if first <= row["task_id"] <= last]
        self._split = split
        own_name = chosen if split == "test" else f"{chosen}+{split}"
        super().__init__(name, own_name, problems, data_sha256=loaded.sha256, extract=extract)

    def elsewhere(self, problem_id: str) -> str:
        """The split that has the problem."""
        number, (first, last) = problem_id.rpartition("/")[2], SPLITS[self._split.removesuffix(CHALLENGE)]
        if not number.isdecimal() or f"mbpp/{int(number)}" not in self._rows:
            return ""
        return f"this is the part {self._split}, {first} to {last}; --split all has 1 to 974"

    def judge_program(self, problem: Problem, source: str) -> Program:
        """Judge by the setup code and the asserts, which run after the source."""
        row = self._rows[problem.problem_id]
        return Program(
            problem_id=problem.problem_id,
            source=source,
            tests=tests_of(row, challenge=self._challenge),
            entry_point=problem.entry_point,
            timeout_seconds=SLOW_REFERENCES.get(row["task_id"]),
        )


def problem_of(row: Mapping[str, Any], examples: Sequence[Mapping[str, Any]], asked: Protocol) -> Problem:
    """A row as this protocol asks it."""
    turns = asked.chat(row, examples) if asked.chat else None
    prompt = austin_prompt(row, examples) if examples else docstring_prompt(row)
    return Problem(
        problem_id=f"mbpp/{row['task_id']}",
        prompt=turns.text if turns else prompt,
        reference=row["code"],
        stop=asked.stop,
        max_new_tokens=asked.max_new_tokens,
        entry_point=entry_point_of(row["code"], row["test_list"]),
        chat=turns,
    )


def tests_of(row: Mapping[str, Any], *, challenge: bool) -> str:
    """Setup code and asserts, one statement a line."""
    asserts = [*row["test_list"], *(row["challenge_test_list"] if challenge else ())]
    return "\n".join([row["test_setup_code"].replace("\r\n", "\n"), *(line.strip() for line in asserts)])


def docstring_prompt(row: Mapping[str, Any]) -> str:
    """The description and the first assert in a docstring."""
    return f'"""\n{row["text"]}\n{row["test_list"][0]}\n"""\n'


def austin_item(row: Mapping[str, Any]) -> str:
    """The task as Austin et al. word it, up to where the code begins."""
    tests = "\n".join(row["test_list"])
    return (
        f"You are an expert Python programmer, and here is your task: {row['text']} "
        f"Your code should pass these tests:\n\n{tests}\n[BEGIN]\n"
    )


def austin_prompt(row: Mapping[str, Any], examples: Sequence[Mapping[str, Any]]) -> str:
    """Worked examples, then the task. The examples' CRLF line ends are the published ones and are kept."""
    shots = "".join(f"{austin_item(example)}{example['code']}\n[DONE]\n\n" for example in examples)
    return shots + austin_item(row)


def entry_point_of(code: str, asserts: Sequence[str]) -> str | None:
    """The function of the reference that the asserts call."""
    defined = {node.name for node in parse(code).body if isinstance(node, ast.FunctionDef)}
    for line in asserts:
        for node in ast.walk(parse(line.strip())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in defined:
                return node.func.id
    return None


def load(name: str, data_dir: Path | None) -> Loaded:
    """The rows of either edition, with the field names of the full one.

    Raises:
        DataError: neither a data folder nor the hub has the published rows.
    """
    if name == "mbpp":
        return load_file("mbpp.jsonl", data_dir)
    loaded = load_file("sanitized-mbpp.json", data_dir)  # only its own imports are set-up code
    rows = [{**row, "text": row["prompt"], "test_setup_code": "\n".join(row["test_imports"])} for row in loaded.rows]
    return Loaded(sorted(rows, key=lambda row: int(row["task_id"])), loaded.sha256, loaded.where)

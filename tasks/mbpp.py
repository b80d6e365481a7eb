"""MBPP (Austin et al. 2021): 974 short functions from a one-line description and three asserts.

The test split is ids 11 to 510 (500 problems); ids 2, 3 and 4 are the three examples of the 3-shot prompt. The tests
are test_setup_code, run after the solution (367 and 927 build objects of its classes there), then the asserts.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mtp_eval.tasks.base import BaseTask, choose_protocol
from mtp_eval.tasks.problem import Problem, Program
from mtp_eval.tasks.sources import SOURCES, DataError, Loaded, find_file, how_to_get, read_checked, rows_sha256

FILE = "mbpp.jsonl"
HUB = "google-research-datasets/mbpp"
ROWS_SHA256 = "342c9d2cdb9abccfcf34606c32270e87d09ebd5fabaf8eb1d963f6ff52a74671"
"""Of the five fields used, whatever file or hub they came from."""
SPLITS = {"prompt": (1, 10), "test": (11, 510), "validation": (511, 600), "train": (601, 974), "all": (1, 974)}
"""First and last id of each split."""
FIELDS = ("task_id", "text", "code", "test_list", "test_setup_code")
EXAMPLE_IDS = (2, 3, 4)
PROTOCOLS = ("3shot-austin",)


class MbppTask(BaseTask):
    """MBPP under one protocol.

    Args:
        protocol: one of `PROTOCOLS`.
        split: a key of `SPLITS`; "test" is what papers report.
        data_dir: a folder holding mbpp.jsonl.
        extract: an extraction rule other than the protocol's.
    """

    default_rule = "stops"

    def __init__(
        self,
        protocol: str | None = None,
        *,
        split: str = "test",
        data_dir: Path | None = None,
        extract: str | None = None,
    ):
        chosen = choose_protocol("mbpp", protocol, PROTOCOLS)
        if split not in SPLITS:
            raise ValueError(f"mbpp has no split {split!r}; expected one of {', '.join(SPLITS)}")
        loaded = load(data_dir)
        self._rows = {f"mbpp/{row['task_id']}": row for row in loaded.rows}
        first, last = SPLITS[split]
        examples = [self._rows[f"mbpp/{i}"] for i in EXAMPLE_IDS]
        problems = [
            Problem(
                problem_id=f"mbpp/{row['task_id']}",
                prompt=austin_prompt(row, examples),
                reference=row["code"],
                stop=("[DONE]",),
                max_new_tokens=512,
                entry_point=entry_point_of(row["code"], row["test_list"]),
            )
            for row in loaded.rows
            if first <= row["task_id"] <= last
        ]
        super().__init__("mbpp", chosen, loaded.sha256, problems, extract)

    def tested(self, problem: Problem, source: str) -> Program:
        """Judged by the setup code and the asserts, which run after the source."""
        row = self._rows[problem.problem_id]
        return Program(
            problem_id=problem.problem_id,
            source=source,
            tests="\n".join([row["test_setup_code"], *row["test_list"]]).replace("\r\n", "\n"),
            same_interpreter=builds_program_classes(row),
        )


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
    defined = {node.name for node in ast.parse(code).body if isinstance(node, ast.FunctionDef)}
    for line in asserts:
        for node in ast.walk(ast.parse(line.strip())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in defined:
                return node.func.id
    return None


def builds_program_classes(row: Mapping[str, Any]) -> bool:
    """Whether the tests build instances of classes that the reference defines: such tests cannot run outside it."""
    classes = {node.name for node in ast.parse(row["code"]).body if isinstance(node, ast.ClassDef)}
    tests = ast.parse("\n".join([row["test_setup_code"], *(line.strip() for line in row["test_list"])]))
    return any(
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in classes
        for node in ast.walk(tests)
    )


def load(data_dir: Path | None) -> Loaded:
    """All 974 rows, from a data folder, else from the hub through `datasets`.

    Raises:
        DataError: neither gives the published rows.
    """
    path = find_file(FILE, data_dir)
    return read_checked(path) if path else _load_from_hub()


def _load_from_hub() -> Loaded:
    try:
        from datasets import concatenate_datasets, load_dataset

        parts = load_dataset(HUB, "full")
        rows = [dict(row) for row in concatenate_datasets([parts[name] for name in sorted(parts)])]
    except Exception as error:  # whatever the hub's client raises without a network, the answer is the same
        raise DataError(
            f"MBPP: no {FILE} in a data folder, and `datasets` could not load {HUB} ({type(error).__name__}). "
            + how_to_get(FILE)
        ) from error
    rows.sort(key=lambda row: int(row["task_id"]))
    found = rows_sha256([{field: row[field] for field in FIELDS} for row in rows])
    if found != ROWS_SHA256:
        raise DataError(
            f"MBPP from the hub: expected 974 rows with hash {ROWS_SHA256[:16]}…, got {len(rows)} with {found[:16]}…: "
            f"another version of the benchmark. {how_to_get(FILE)}"
        )
    return Loaded(rows, SOURCES[FILE].sha256, HUB)

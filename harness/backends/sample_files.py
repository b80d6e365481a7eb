"""Read samples files: completions that another harness generated, with that harness's exact semantics.

The forms are listed in `harness.backends.sample_forms`; a folder `<task>/<n>.py` (evalplus) is read too, and "-" is standard input.
Several texts of one problem are several samples, numbered in the file's order.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtp_eval.harness.backends.sample_forms import Row, rows_of
from mtp_eval.harness.errors import InputError
from mtp_eval.tasks.problem import Problem
from mtp_eval.tasks.reading import read_text

STANDARD_INPUT = Path("-")
ELSEWHERE = "is it of another benchmark, or of another version of its data (--data-dir)?"


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
    """A file's samples in its order, and its identity; `is_raw` where its own harness would first extract the programs."""

    path: Path
    form: str
    sha256: str
    samples: tuple[Sample, ...]
    is_raw: bool = False


def read_samples(
    path: Path,
    problems: Sequence[Problem],
    filter: str | None = None,
    elsewhere: Callable[[str], str] = lambda problem_id: "",
) -> SamplesFile:
    """Read any of the forms.

    Args:
        problems: all of the task's, in its order.
        filter: which of an lm-eval log's filters counts.
        elsewhere: what to say of a problem that is not among these.

    Raises:
        InputError: no such file, a line that is not in any form (named by its number), or an unknown problem.
        DataError: text or JSON that cannot be read, or that unpacks, nests or counts beyond the limits.
    """
    form, rows, digest = read_rows(path, filter)
    find = Finder(path, problems, elsewhere)
    counted: Counter[str] = Counter()
    samples = []
    for row in rows:
        problem_id = find(row)
        samples.append(
            Sample(problem_id, counted[problem_id], row.text, row.whole, row.source or {"task_id": problem_id})
        )
        counted[problem_id] += 1
    return SamplesFile(path, form, digest, tuple(samples), any(row.is_raw for row in rows))


def read_rows(path: Path, filter: str | None = None) -> tuple[str, list[Row], str]:
    """The file's form, its rows, and the sha256 of its content.

    Raises:
        InputError: no such file, an empty one, or one that mixes completions with whole programs.
    """
    if path.is_dir():
        form, rows = "evalplus folder", list(_folder_rows(path))
        digest = hashlib.sha256(json.dumps([row.text for row in rows]).encode()).hexdigest()
    else:
        data = _content(path)
        digest = hashlib.sha256(data).hexdigest()
        form, rows = rows_of(str(path), read_text(path, data), filter)
    if not rows:
        wanted = f": expected <task>/<n>.py in it ({form}), or a run's files" if path.is_dir() else ""
        raise InputError(f"{path} holds no sample{wanted}")
    wholes = [row.whole for row in rows]
    if len(set(wholes)) > 1:
        raise InputError(
            f"{path} mixes completions, which continue the prompt, with solutions, which are whole programs "
            f"(sample {wholes.index(not wholes[0]) + 1} is the first that differs): give a file of each kind"
        )
    return form, rows, digest


def _content(path: Path) -> bytes:
    if path == STANDARD_INPUT:
        return sys.stdin.buffer.read()
    if not path.exists():
        raise InputError(f"there is no samples file {path}")
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error}") from None


def normal_id(problem_id: str) -> str:
    """Benchmarks' files differ in case and prefix: 11, "MBPP/11", "Mbpp/11" and "mbpp/11" are one problem."""
    return re.sub(r"^(?:mbpp/)?(?=\d+$)", "mbpp/", problem_id.lower())


class Finder:
    """Finds the problem that a row is of: by its id, however it is written, or by its place in the benchmark."""

    def __init__(self, path: Path, problems: Sequence[Problem], elsewhere: Callable[[str], str]) -> None:
        self.path, self.problems, self.elsewhere = path, problems, elsewhere
        self.by_id = {normal_id(problem.problem_id): problem.problem_id for problem in problems}
        self.by_number = {problem.problem_id.rpartition("/")[2]: problem.problem_id for problem in problems}
        if len(self.by_number) < len(problems):
            self.by_number = {}

    def __call__(self, row: Row) -> str:
        """The problem's id.

        Raises:
            InputError: the task has no such problem, or another one at that place.
        """
        if row.problem_id is None:
            return self.at(row)
        found = self.by_id.get(normal_id(row.problem_id)) or self.by_number.get(row.problem_id)
        if found is None:
            hint = self.elsewhere(row.problem_id) or ELSEWHERE
            ids = f"{self.problems[0].problem_id} to {self.problems[-1].problem_id}"
            raise InputError(
                f"{self.path}: {row.problem_id!r} is not a problem of this task, which has {len(self.problems):,} "
                f"({ids}): {hint}"
            )
        return found

    def at(self, row: Row) -> str:
        """The problem at the row's place; what the file shows of it must be in its prompt.

        Raises:
            InputError: the benchmark has no such place, or another problem is there.
        """
        place = row.position
        if place is None or not 0 <= place < len(self.problems):
            raise InputError(
                f"{self.path}: there is no problem number {place} in this task, which has {len(self.problems):,}"
            )
        problem = self.problems[place]
        if row.shown and not any(" ".join(text.split()) in " ".join(problem.prompt.split()) for text in row.shown):
            raise InputError(
                f"{self.path}: document {place} is not this task's problem {problem.problem_id}: is it another benchmark, "
                f"or another part of it?"
            )
        return problem.problem_id


def _folder_rows(folder: Path) -> Iterator[Row]:
    for task in sorted(folder.iterdir()):
        for file in sorted(task.glob("*.py"), key=lambda f: (len(f.stem), f.stem)):
            task_id = "/".join(task.name.rsplit("_", 1))
            yield Row(task_id, read_text(file), True, {"task_id": task_id, "file": str(file)})

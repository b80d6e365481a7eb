"""Cells: a run's records counted up. A cell is one model on one task, in one group, at one temperature.

    Record lines -> Cell (n and c per problem) -> scores per problem -> metrics, tables, comparisons

An `infrastructure_error` says nothing about the program, so it is no sample: it is left out of n and counted apart.
Cells and the problems inside them have a fixed order, whatever order the journal was written in.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mtp_eval.results.errors import RunError
from mtp_eval.results.header import RunHeader
from mtp_eval.results.record import Record
from mtp_eval.results.scores.estimators import FloatArray, IntArray, majority, pass_at_k
from mtp_eval.sandbox.outcome import Verdict

if TYPE_CHECKING:
    from mtp_eval.results.store import RunStore


@dataclass(frozen=True)
class Score:
    """One value per scored problem for one k.

    Args:
        values: pass@k of each problem that could be scored; empty where k is undefined for the cell.
        problem_ids: their names.
        reason: why pass@k is undefined for the whole cell, or None.
        n_left_out: problems without a score because the sandbox broke on their samples.
    """

    values: FloatArray
    problem_ids: tuple[str, ...]
    reason: str | None = None
    n_left_out: int = 0

    @property
    def mean(self) -> float:
        """The benchmark's score; NaN where undefined."""
        return float(self.values.mean()) if self.values.size else float("nan")


@dataclass(frozen=True)
class Cell:
    """Counts per problem. `n` counts the judged samples, `c` the passed ones, `broken` the infrastructure errors."""

    model: str
    task: str
    group: str
    temperature: float | None
    problem_ids: tuple[str, ...]
    n: IntArray
    c: IntArray
    broken: IntArray
    verdicts: Mapping[str, int] = field(default_factory=dict)
    n_tokens: int = 0
    n_forwards: int = 0
    n_drafted: tuple[int, ...] = ()
    n_accepted: tuple[int, ...] = ()
    same_interpreter: int = 0
    generation_seconds: float = 0.0
    """Wall seconds of generation, measured; never part of metrics.json."""

    speed_up: tuple[float, int] | None = None
    """Measured rate over plain decoding of the same model, and on how many completions; None where it was not measured.
    A measured time, so never part of metrics.json."""

    majority: FloatArray | None = None
    """Per problem whether the most frequent answer is right; None for tasks whose programs are executed."""

    @property
    def name(self) -> tuple[str, str, str, float | None]:
        """The name that tells this cell from the others of its run."""
        return (self.model, self.task, self.group, self.temperature)

    @property
    def where(self) -> str:
        """Task and group for a heading or a sentence."""
        return where(self.task, self.group)

    @property
    def n_completions(self) -> int:
        """All samples that are there, broken ones included."""
        return int(self.n.sum() + self.broken.sum())

    @property
    def n_broken(self) -> int:
        """The number of samples that say nothing because the sandbox broke on them."""
        return int(self.broken.sum())

    @property
    def n_refused(self) -> int:
        """The number of samples without a completion, since a server refused the prompt; they count as not solved."""
        return self.verdicts.get(Verdict.NO_COMPLETION, 0)

    @property
    def samples(self) -> tuple[int, int]:
        """Samples per problem, broken ones included: the least and the most."""
        counts = self.n + self.broken
        return int(counts.min()), int(counts.max())

    @property
    def tokens_per_forward(self) -> float:
        """Tokens emitted by each forward pass after the prompt, over all samples; NaN where nothing was counted."""
        return self.n_tokens / self.n_forwards if self.n_forwards else float("nan")

    def score(self, k: int) -> Score:
        """pass@k per problem.

        A problem that has fewer than k samples only because the sandbox broke is left out and counted; when samples are
        missing for any other reason pass@k is undefined for the cell, since leaving problems out would bias it.
        """
        short = self.n < k
        lacking = short & (self.n + self.broken < k)
        if lacking.any():
            fewest = int((self.n + self.broken).min())
            many = f"{int(lacking.sum()):,} of {lacking.size:,} problems"
            return Score(np.empty(0), (), f"{many} have fewer than k={k} samples (least: {fewest})")
        kept = ~short
        names = tuple(name for name, keep in zip(self.problem_ids, kept, strict=True) if keep)
        reason = None if names else "the sandbox broke on every problem"
        return Score(pass_at_k(self.n[kept], self.c[kept], k), names, reason, int(short.sum()))


def where(task: str, group: str) -> str:
    """ "listops (in)", or the task alone where it has no groups."""
    return f"{task} ({group})" if group else task


def natural_key(text: str) -> tuple[tuple[int, int, str], ...]:
    """Sorts "mbpp/9" before "mbpp/11"."""
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.findall(r"\d+|\D+", text))


def with_speed_ups(cells: Sequence[Cell], store: RunStore) -> tuple[Cell, ...]:
    """The cells with what `--verify-decoding` measured in this run.

    Raises:
        RunError: verification.json is damaged.
    """
    sidecar = store.sidecar("verification")
    try:
        measured: dict[tuple[str, str, float | None], tuple[float, int]] = {
            (entry["model"], entry["task"], float(entry["temperature"])): (
                float(entry["speed_up"]["wall"]),
                int(entry["speed_up"]["n_completions"]),
            )
            for entry in sidecar.read(default=[])
            if "speed_up" in entry
        }
    except (ValueError, TypeError, KeyError) as error:
        raise RunError(f"{sidecar.path} is damaged ({error}): delete it, or verify the run again") from None
    return tuple(replace(cell, speed_up=measured.get((cell.model, cell.task, cell.temperature))) for cell in cells)


def count_cells(header: RunHeader, records: Iterable[Record], by: str | None = None) -> list[Cell]:
    """One pass over the records; memory grows with problems, not with completions.

    Groups follow each task's own `report_by`, or the tag `by` where it is given.
    """
    tallies = Tallies(header)
    for record in records:
        tag = by or tallies.tag(record.task)
        group = str(record.tags.get(tag, "")) if tag else ""
        given = record.completion.stop_reason == "given"
        tallies.of(record.model, record.task, group, record.temperature, given).add(record)
    return tallies.cells()


class Tallies:
    """The counts of every cell of a run while its records are read."""

    def __init__(self, header: RunHeader) -> None:
        self.header = header
        self.tasks = {name: header.task(name) for name in header.tasks}
        self.found: dict[tuple[str, str, str, float | None], Tally] = {}

    def tag(self, task: str) -> str | None:
        """The tag by which a task's problems are grouped."""
        return self.tasks[task].report_by if task in self.tasks else None

    def votes(self, task: str) -> bool:
        """Whether a task's answers vote."""
        return task in self.tasks and self.tasks[task].votes

    def of(self, model: str, task: str, group: str, temperature: float | None, given: bool) -> Tally:
        """The tally of a cell; completions read from a file (`given`) have no known temperature."""
        heat = None if given else self.header.temperature if temperature is None else temperature
        name = (model, task, group, heat)
        if name not in self.found:
            self.found[name] = Tally(votes=self.votes(task))
        return self.found[name]

    def cells(self) -> list[Cell]:
        """All cells, in the order of the run's tasks and models, then of groups and temperatures."""
        ranks = {name: rank for rank, name in enumerate([*self.header.models, *self.header.tasks])}
        return [self.found[name].cell(*name) for name in sorted(self.found, key=lambda name: _place(name, ranks))]


def _place(name: tuple[str, str, str, float | None], ranks: Mapping[str, int]) -> tuple[Any, ...]:
    """Sorts cells by task, model, group and temperature, the first two as the header has them."""
    model, task, group, temperature = name
    by_header = (ranks.get(task, len(ranks)), task, ranks.get(model, len(ranks)), model)
    return (*by_header, natural_key(group), -1.0 if temperature is None else temperature)


class Tally:
    """Counts of one cell while the journal is read."""

    def __init__(self, votes: bool) -> None:
        self.votes: dict[str, list[tuple[str, bool]]] | None = {} if votes else None
        self.problems: dict[str, list[int]] = {}
        self.verdicts: Counter[str] = Counter()
        self.drafted: Counter[int] = Counter()
        self.accepted: Counter[int] = Counter()
        self.n_tokens = self.n_forwards = self.same_interpreter = 0
        self.generation_seconds = 0.0

    def add(self, record: Record) -> None:
        """Count one record."""
        self.count(record.problem_id, record.verdict, 1)
        if record.judged:
            self.vote(record.problem_id, record.program, record.passed, 1)
        self.same_interpreter += record.outcome.same_interpreter
        completion = record.completion
        self.n_tokens += completion.n_tokens
        self.n_forwards += completion.n_forwards
        self.generation_seconds += completion.wall_seconds
        for head, count in enumerate(completion.n_drafted):
            self.drafted[head] += count
        for head, count in enumerate(completion.n_accepted):
            self.accepted[head] += count

    def count(self, problem: str, verdict: str, n: int) -> None:
        """Count n samples of a problem with a verdict."""
        counts = self.problems.setdefault(problem, [0, 0, 0])
        counts[2 if verdict == Verdict.INFRASTRUCTURE_ERROR else 0] += n
        counts[1] += n if verdict == Verdict.PASSED else 0
        self.verdicts[str(verdict)] += n

    def vote(self, problem: str, answer: str, right: bool, n: int) -> None:
        """Count n samples with the same answer; no answer found is no vote."""
        if self.votes is not None and answer:
            self.votes.setdefault(problem, []).extend([(answer, right)] * n)

    def cell(self, model: str, task: str, group: str, temperature: float | None) -> Cell:
        """The cell that these counts make."""
        names = sorted(self.problems, key=natural_key)
        n, c, broken = (np.array([self.problems[name][i] for name in names], dtype=np.int64) for i in range(3))
        return Cell(
            model=model,
            task=task,
            group=group,
            temperature=temperature,
            problem_ids=tuple(names),
            n=n,
            c=c,
            broken=broken,
            verdicts=dict(sorted(self.verdicts.items())),
            n_tokens=self.n_tokens,
            n_forwards=self.n_forwards,
            n_drafted=tuple(self.drafted[head] for head in range(len(self.drafted))),
            n_accepted=tuple(self.accepted[head] for head in range(len(self.accepted))),
            same_interpreter=self.same_interpreter,
            generation_seconds=round(self.generation_seconds, 6),  # the order of adding does not show
            majority=self._majority(names),
        )

    def _majority(self, names: Sequence[str]) -> FloatArray | None:
        if self.votes is None:
            return None
        found = [self.votes.get(name, []) for name in names]
        scores = [majority([a for a, _ in votes], [ok for _, ok in votes]) if votes else 0.0 for votes in found]
        return np.array(scores, dtype=np.float64)

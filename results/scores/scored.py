"""A run counted up: its header and its cells, as tables, comparisons and plots take it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Self, TypeVar

from mtp_eval.results.columns import fresh_columns, read_tables
from mtp_eval.results.header import RunHeader, TaskFacts
from mtp_eval.results.journal import faults_sentence
from mtp_eval.results.record import Record
from mtp_eval.results.scores.cells import Cell, count_cells, with_speed_ups
from mtp_eval.results.scores.columns import count_columns
from mtp_eval.results.store import RunStore

SomeRun = TypeVar("SomeRun", bound="ScoredRun")


@dataclass(frozen=True)
class ScoredRun:
    """Header and cells of one run; `results.run.Run` is one that also knows its folder.

    A cell is one model on one task, in one group of problems, at one temperature: the counts from which scores are made.
    """

    header: RunHeader
    cells: tuple[Cell, ...]
    damage: str = ""
    """A sentence on the lines of the journal that are not counted, or empty."""
    name: str = ""
    """What the run is called where there are several: its folder's name, with as much before it as tells it apart."""

    @classmethod
    def of(cls, store: RunStore) -> Self:
        """The run in a store, as far as it has been written."""
        if fresh_columns(store) is None:
            counted = count_cells(store.header, store.records())
        else:
            counted = count_columns(store.header, partial(read_tables, store))
        cells = with_speed_ups(counted, store)
        return cls(store.header, cells, faults_sentence(store.faults), store.folder.resolve().name)

    @classmethod
    def of_records(cls, header: RunHeader, records: Iterable[Record]) -> Self:
        """Count up records that belong to a header."""
        return cls(header, tuple(count_cells(header, records)))

    @property
    def ks(self) -> tuple[int, ...]:
        """The k of pass@k that the run was made for."""
        return self.header.ks

    @property
    def models(self) -> tuple[str, ...]:
        """Labels of the models that have records."""
        return tuple(dict.fromkeys(cell.model for cell in self.cells))

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks that have records."""
        return tuple(dict.fromkeys(cell.task for cell in self.cells))

    def task(self, name: str) -> TaskFacts:
        """Protocol, data and number of problems of a task."""
        return self.header.task(name)

    def cells_of(self, model: str) -> tuple[Cell, ...]:
        """The cells of one model."""
        return tuple(cell for cell in self.cells if cell.model == model)

    def missing(self) -> dict[tuple[str, str], int]:
        """The number of completions that the run asked for and does not have, by (model, task); at least so many."""
        there: Counter[tuple[str, str]] = Counter()
        for cell in self.cells:
            there[cell.model, cell.task] += cell.n_completions
        wanted = {(m, t): self.header.n_completions(m, t) for m in self.header.models for t in self.header.tasks}
        return {place: n - there[place] for place, n in wanted.items() if there[place] < n}

    @property
    def is_complete(self) -> bool:
        """Whether every completion that the run asked for is there, and no line of its journal is damaged; never a shard."""
        return not self.missing() and not self.damage and self.header.shard is None

    def own_label(self, label: str) -> str:
        """A model's label without the run's name, which `with_distinct_labels` may have put in front of it."""
        return label.removeprefix(f"{self.name}/") if self.name else label

    def relabelled(self, labels: Mapping[str, str]) -> Self:
        """The run with models renamed, in the header as in the cells; labels that are not named stay."""
        cells = tuple(replace(cell, model=labels.get(cell.model, cell.model)) for cell in self.cells)
        return replace(self, header=self.header.relabelled(labels), cells=cells)


def cells_of(runs: Sequence[ScoredRun]) -> Iterator[tuple[RunHeader, Cell]]:
    """Every cell of every run, with the header of its run."""
    return ((run.header, cell) for run in runs for cell in run.cells)


def with_distinct_labels(runs: Sequence[SomeRun]) -> list[SomeRun]:
    """The runs, with "run/model" for each label that means different things in several of them.

    A label on different tasks with the same weights (or unknown ones) is one model and keeps its name.
    """
    seen = Counter(cell.name for _, cell in cells_of(runs))
    ambiguous = {name[0] for name, count in seen.items() if count > 1} | _of_several_weights(runs)
    return [run.relabelled({label: f"{run.name}/{label}" for label in ambiguous}) for run in runs]


def _of_several_weights(runs: Sequence[ScoredRun]) -> set[str]:
    """Labels that stand for different weights in different runs."""
    weights: dict[str, set[str]] = {}
    for run in runs:
        for label in run.models:
            known = run.header.model(label).get("sha256")
            weights.setdefault(label, set()).update({str(known)} if known else ())
    return {label for label, found in weights.items() if len(found) > 1}

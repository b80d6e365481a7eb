"""A finished run, or one that is still written, as a value: `read_run(folder)`.

run = read_run("runs/n4")
print(run.table())          # the Markdown that the command prints
scores = run.to_frame()     # a row per score, for pandas
run.header.task("mbpp").protocol, run.models, run.cells_of("n4"), run.notes, run.timing
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from mtp_eval.results.columns import ROWS_PER_GROUP, read_tables
from mtp_eval.results.errors import RunError
from mtp_eval.results.files import distinct_names
from mtp_eval.results.frame import completions_frame, scores_frame
from mtp_eval.results.header import RunHeader as RunHeader
from mtp_eval.results.notes import notes
from mtp_eval.results.record import Record
from mtp_eval.results.scores.scored import ScoredRun, with_distinct_labels
from mtp_eval.results.store import RunStore
from mtp_eval.results.tables.render import Table
from mtp_eval.results.tables.standard import results_table
from mtp_eval.results.usage import USAGE, usage_sentences

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Run(ScoredRun):
    """One run: its header, its cells (`results.scores.scored`), and the folder that they were read from."""

    folder: Path = Path()
    labels: Mapping[str, str] = field(default_factory=dict)
    """By the label in the journal, the one that the model is shown under, where the two differ."""

    @classmethod
    def of(cls, store: RunStore) -> Self:
        """The run in a store, as far as it has been written."""
        return replace(super().of(store), folder=store.folder)

    def records(self) -> Iterator[Record]:
        """Every completion with its verdict, in the order of the journal."""
        for record in RunStore.read(self.folder).records():
            label = self.labels.get(record.model)
            yield record if label is None else replace(record, model=label)

    def tables(self, columns: Sequence[str], rows: int = ROWS_PER_GROUP) -> Iterator[Any]:
        """Every completion by columns, as Arrow tables (`results.columns.Tables`); memory does not grow with the records."""
        import pyarrow as pa

        for table in read_tables(RunStore.read(self.folder), columns, rows):
            if self.labels and "model" in columns:
                shown = [self.labels.get(label, label) for label in table["model"].to_pylist()]
                place = table.schema.get_field_index("model")
                table = table.set_column(place, "model", pa.array(shown, pa.string()))
            yield table

    def relabelled(self, labels: Mapping[str, str]) -> Self:
        """The run with models renamed, in its records too; labels that are not named stay."""
        was = {shown: label for label, shown in self.labels.items()}
        renamed = {was.get(label, label): shown for label, shown in labels.items() if label in self.header.models}
        return replace(super().relabelled(labels), labels={**self.labels, **renamed})

    def table(self, ks: Sequence[int] | None = None, level: float = 0.95) -> Table:
        """The standard table; `str()` of it is Markdown. `ks` None takes the run's own that the samples allow."""
        return results_table([self], allowed_ks([self], self.ks) if ks is None else ks, level)

    def to_frame(self, ks: Sequence[int] | None = None) -> pd.DataFrame:
        """One row per score with its 95 % interval; columns are documented in `results.frame.SCORE_COLUMNS`."""
        return scores_frame([self], ks)

    def completions(self, texts: bool = False) -> pd.DataFrame:
        """One row per completion; columns are documented in `results.frame.COMPLETION_COLUMNS`."""
        return completions_frame([(self, RunStore.read(self.folder))], texts)

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """Sentences on what was unusual in this run, and on what `--verify-decoding` found."""
        verified = RunStore.read(self.folder).sidecar("verification").read(default=[])
        said = (f"{one['model']} on {one['task']}: {text}" for one in verified for text in one.get("summary", ()))
        return (
            *notes(self.records()),
            *said,
            *usage_sentences(RunStore.read(self.folder).sidecar(USAGE).read(default=[])),
        )

    @property
    def timing(self) -> tuple[Mapping[str, Any], ...]:
        """Wall-clock figures of each session that finished."""
        return tuple(RunStore.read(self.folder).timing())


def read_run(folder: str | os.PathLike[str]) -> Run:
    """The run in a folder.

    Raises:
        RunError: a folder that holds no run, or none that can be read.
    """
    run = Run.of(RunStore.read(Path(folder)))
    if not run.cells:
        raise RunError(
            f"{folder} holds no record that can be believed: {run.damage}"
            if run.damage
            else f"{folder} holds no records yet"
        )
    return run


def read_runs(folders: Sequence[str | os.PathLike[str]]) -> list[Run]:
    """Several runs; where their models share a label, the run's name is put in front of it.

    Raises:
        RunError: a folder that holds no run, or none that can be read.
        OptionError: a folder is given twice.
    """
    names = distinct_names([Path(folder) for folder in folders])
    return with_distinct_labels(
        [replace(read_run(folder), name=name) for folder, name in zip(folders, names, strict=True)]
    )


def wanted_ks(runs: Sequence[ScoredRun], ks: Sequence[int] | None) -> list[int]:
    """The k that were asked for, or every k that one of the runs was made for and has the samples for."""
    return allowed_ks(runs, {k for run in runs for k in run.ks}) if ks is None else sorted(set(ks))


def allowed_ks(runs: Sequence[ScoredRun], ks: Iterable[int]) -> list[int]:
    """Those of `ks` for which some model has enough samples on some task; the smallest where none has."""
    most = max((cell.samples[0] for run in runs for cell in run.cells), default=0)
    wanted = sorted(ks)
    return [k for k in wanted if k <= most] or wanted[:1]

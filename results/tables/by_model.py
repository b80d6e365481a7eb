"""A row per model, a column per task and k: Table 1 (by n) and Table S7 (by size) of arXiv 2404.19737.

A model that was run on several tasks in several folders is one row: its label says so, and its weights where both folders
know them. A score is bold only where the paired test says that it is better than every other of its block and column;
all tests of the table are corrected together. Where a temperature was chosen on the very problems that are scored
(an oracle, as in the paper) nothing is bold.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mtp_eval.results.errors import OptionError
from mtp_eval.results.header import RunHeader
from mtp_eval.results.scores.cells import Cell, where
from mtp_eval.results.scores.estimators import FloatArray
from mtp_eval.results.scores.scored import ScoredRun, cells_of
from mtp_eval.results.scores.significance import holm, paired_p
from mtp_eval.results.scores.temperature import by_temperature, read_temperatures
from mtp_eval.results.tables.layout import Layout
from mtp_eval.results.tables.render import Column, Entry, Table, text_entry
from mtp_eval.results.tables.standard import conditions, percent, provenance, size_name, warnings

ALPHA = 0.05
Place = tuple[str, str, str, int]
"""Model, task, group and k."""


@dataclass(frozen=True)
class ModelRow:
    """One model, with what the rows are sorted and headed by."""

    model: str
    size: float | None
    n_future: int | None


@dataclass(frozen=True)
class _Scored:
    """One score of the table by problem, and what it may be compared with; `chosen` is an oracle's temperature."""

    values: FloatArray
    problem_ids: tuple[str, ...]
    conditions: tuple[str | None, str | None]
    chosen: float | None = None

    @property
    def mean(self) -> float:
        """The benchmark's score."""
        return float(self.values.mean())


def by_n(runs: Sequence[ScoredRun], ks: Sequence[int], layout: Layout) -> Table:
    """Rows sorted by n."""
    rows = sorted(model_rows(runs), key=lambda row: (layout.place(row.model), row.n_future or 0))
    lead = [Column("model"), Column("n", True)]
    return _table(runs, ks, layout, rows, lead, leading=lambda row: [row.model, row.n_future], block=lambda _: "")


def by_size(runs: Sequence[ScoredRun], ks: Sequence[int], layout: Layout) -> Table:
    """Rows sorted by parameters and n; the models of one size compete."""
    rows = sorted(model_rows(runs), key=lambda row: (row.size or 0, layout.place(row.model), row.n_future or 0))
    lead = [Column("size", True), Column("n", True), Column("model")]
    return _table(
        runs,
        ks,
        layout,
        rows,
        lead,
        leading=lambda row: [size_name(row.size), row.n_future, row.model],
        block=lambda row: size_name(row.size),
    )


def model_rows(runs: Sequence[ScoredRun]) -> list[ModelRow]:
    """One row per label, with the first n and size that a run knows of it."""
    rows = []
    for label in dict.fromkeys(label for run in runs for label in run.models):
        headers = [run.header for run in runs if label in run.models]
        n_future, size = (_known(headers, label, name) for name in ("n_future", "parameters"))
        rows.append(ModelRow(label, size, None if n_future is None else int(n_future)))
    return rows


def _known(headers: Sequence[RunHeader], label: str, name: str) -> float | None:
    found = (header.fact(label, name) for header in headers)
    return next((value for value in found if value is not None), None)


def _table(
    runs: Sequence[ScoredRun],
    ks: Sequence[int],
    layout: Layout,
    rows: Sequence[ModelRow],
    lead: Sequence[Column],
    leading: Callable[[ModelRow], list[object]],
    block: Callable[[ModelRow], str],
) -> Table:
    """`block` says which rows compete for bold type and have one base for gains."""
    tasks = list(dict.fromkeys((cell.task, cell.group) for _, cell in cells_of(runs)))
    scored, notes = _scores(runs, ks)
    best = _best({row.model: block(row) for row in rows}, scored)
    body = []
    for row in rows:
        base = next(first for first in rows if block(first) == block(row))
        entries = [text_entry(value) for value in leading(row)]
        for task, group in tasks:
            entries += [_entry(scored, (row.model, task, group, k), base.model, best, layout) for k in ks]
        body.append(tuple(entries))
    columns = [*lead, *(Column(f"@{k}", True, (f"pass@{k}",)) for _ in tasks for k in ks)]
    groups = (("", len(lead)), *((where(task, group), len(ks)) for task, group in tasks))
    notes = [
        *warnings(runs),
        *dict.fromkeys(map(conditions, runs)),
        *dict.fromkeys(notes),
        *_remarks(scored),
    ]
    return Table(
        tuple(columns),
        tuple(body),
        provenance(runs, over=None),
        tuple(notes),
        groups=groups,
        legend=_legend(lead, layout),
    )


def _scores(runs: Sequence[ScoredRun], ks: Sequence[int]) -> tuple[dict[Place, _Scored], list[str]]:
    """Every score that is defined, and a sentence on each that is not."""
    scored: dict[Place, _Scored] = {}
    notes = []
    for run in runs:
        for cells in by_temperature(run.cells):
            task = run.task(cells[0].task)
            for k in ks:
                try:
                    values, chosen = _read(cells, k)
                except OptionError as error:
                    notes.append(f"pass@{k} is left out: {error}.")
                    continue
                place = (cells[0].model, cells[0].task, cells[0].group, k)
                ids = cells[0].score(k).problem_ids
                scored[place] = _Scored(values, ids, (task.protocol, task.data_sha256), chosen)
    return scored, notes


def _read(cells: Sequence[Cell], k: int) -> tuple[FloatArray, float | None]:
    """A score by problem: of the only cell, or of the one at the best temperature, and which that is.

    Raises:
        OptionError: it is undefined, or the temperatures do not go together.
    """
    if len(cells) > 1:
        oracle = read_temperatures(cells, k).oracle
        return oracle.values, oracle.temperature
    score = cells[0].score(k)
    if score.reason:
        raise OptionError(f"{cells[0].model} on {cells[0].where}: {score.reason}")
    return score.values, None


def _entry(scored: dict[Place, _Scored], place: Place, base: str, best: set[Place], layout: Layout) -> Entry:
    if place not in scored:
        return Entry(percent(math.nan), values=(None,))
    mean = scored[place].mean
    text = percent(mean, layout.digits)
    first = scored.get((base, *place[1:]))
    if layout.gains != "none" and place[0] != base and first is not None:
        text += f" ({gain(first.mean, mean, layout)})"
    return Entry(text, place in best, (mean,))


def gain(base: float, score: float, layout: Layout) -> str:
    """ "+3.8" points, or "+17 %" of the base."""
    if layout.gains == "points":
        return f"{100 * (score - base):+.{layout.digits}f}"
    return f"{100 * (score / base - 1):+.0f} %" if base else "–"


def _best(blocks: dict[str, str], scored: dict[Place, _Scored]) -> set[Place]:
    """The scores that are better than all others of their block and column, by paired tests corrected over the table."""
    columns: dict[tuple[object, ...], list[Place]] = {}
    for place, score in scored.items():
        if score.chosen is None:  # an oracle's choice is no fair competitor
            columns.setdefault((blocks[place[0]], *place[1:]), []).append(place)
    tests: list[tuple[Place, float, float]] = []
    for places in columns.values():
        top = max(places, key=lambda place: scored[place].mean)
        mine = scored[top]
        for other in (scored[place] for place in places if place != top):
            if (other.problem_ids, other.conditions) == (mine.problem_ids, mine.conditions):
                d_P = mine.values - other.values
                tests.append((top, paired_p(d_P)[0], float(d_P.mean())))
            else:
                tests.append((top, 1.0, 0.0))  # not the same problems: nobody can say which is better
    adjusted = holm([p for _, p, _ in tests])
    lost = {top for (top, _, mean), p in zip(tests, adjusted, strict=True) if p > ALPHA or mean <= 0}
    return {top for top, _, _ in tests} - lost


def _remarks(scored: dict[Place, _Scored]) -> list[str]:
    remarks = []
    chosen = ", ".join(
        f"{model} {where(task, group)} @{k}: {score.chosen:g}"
        for (model, task, group, k), score in scored.items()
        if score.chosen is not None
    )
    if chosen:
        remarks.append(f"ORACLE temperature, chosen on these very problems for each score and never bold ({chosen}).")
    return remarks


def _legend(lead: Sequence[Column], layout: Layout) -> str:
    of_size = " of its size" if "size" in lead[0].title else ""
    text = (
        f"pass@k in percent. Bold: better than every other row{of_size} by the paired test at {ALPHA:g}, Holm-corrected over "
        "the table."
    )
    if layout.gains == "none":
        return text
    return f"{text} In brackets: the gain over the first row{of_size} in {'points' if layout.gains == 'points' else 'percent of it'}."

"""The standard table with one more column per k: the paired difference from a baseline run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mtp_eval.results.compare.comparison import Comparison, compare_cells, corrected
from mtp_eval.results.compare.pairs import refuse_unlike
from mtp_eval.results.errors import NotComparable
from mtp_eval.results.scores.scored import ScoredRun
from mtp_eval.results.tables.layout import Layout
from mtp_eval.results.tables.render import NOTHING, Column, Entry, Table
from mtp_eval.results.tables.standard import rows_of, standard_table, unfinished


def with_differences(
    runs: Sequence[ScoredRun],
    baseline: ScoredRun,
    model: str | None,
    ks: Sequence[int],
    layout: Layout | None = None,
    alpha: float = 0.05,
) -> Table:
    """Each row against the baseline's cell of the same task and group; bold where the corrected test finds it.

    Raises:
        NotComparable: protocol, data or problems differ, or the baseline has several models and none is named.
    """
    layout = layout or Layout()
    labels, level = baseline.models, layout.level
    if model is None and len(labels) > 1:
        raise NotComparable(f"the baseline has several models ({', '.join(labels)}); name one as FOLDER::MODEL")
    label = model or labels[0]
    if label not in labels:
        raise NotComparable(f"the baseline has no model {label!r}; it has {', '.join(labels)}")
    of_baseline = baseline.cells_of(label)
    comparisons: list[Comparison] = []
    places: dict[tuple[int, int], int] = {}
    for row, (header, cell) in enumerate(rows_of(runs, layout)):
        same = [base for base in of_baseline if (base.task, base.group) == (cell.task, cell.group)]
        same = [base for base in same if base.temperature == cell.temperature] or (same if len(same) == 1 else [])
        if len(same) != 1:
            continue
        refuse_unlike(baseline.header, header, same[0], cell)
        same_run = header.config_sha256 == baseline.header.config_sha256
        if same_run and cell.model in (label, f"{cell.model.rpartition('/')[0]}/{label}"):
            continue  # the baseline itself
        for column, k in enumerate(ks):
            places[(row, column)] = len(comparisons)
            comparisons.append(compare_cells(same[0], cell, k, level))
    comparisons = corrected(comparisons)
    table = standard_table(runs, ks, layout)
    titles = tuple(
        Column(f"Δ pass@{k} (points)", True, (f"delta@{k}", f"delta@{k}_low", f"delta@{k}_high", f"delta@{k}_p_holm"))
        for k in ks
    )
    rows = []
    for number, row_entries in enumerate(table.rows):
        extra = [
            _entry(comparisons[places[(number, column)]], alpha) if (number, column) in places else _nothing()
            for column in range(len(ks))
        ]
        rows.append((*row_entries, *extra))
    n_tests = sum(c.n_problems > 0 for c in comparisons)
    note = (
        f"Δ: paired difference from {label}, with its {round(100 * level)} % interval (Tango); bold: significant at {alpha:g} "
        f"after Holm's correction over {n_tests} comparison{'s' * (n_tests != 1)}."
    )
    notes = tuple(dict.fromkeys([*unfinished([baseline]), *table.notes]))
    return replace(table, columns=(*table.columns, *titles), rows=tuple(rows), legend=note, notes=notes)


def _entry(c: Comparison, alpha: float) -> Entry:
    if not c.n_problems:
        return _nothing()
    text = f"{100 * c.difference:+.1f} [{100 * c.interval.low:+.1f}, {100 * c.interval.high:+.1f}]"
    return Entry(text, c.p_holm <= alpha, (c.difference, c.interval.low, c.interval.high, c.p_holm))


def _nothing() -> Entry:
    return Entry(NOTHING, values=(None, None, None, None))

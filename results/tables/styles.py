"""Named table styles: the standard table and the layouts of the multi-token-prediction paper (arXiv 2404.19737).

    standard     a row per model, task, group and temperature (results.tables)
    by-n         Table 1: a row per model, sorted by n; columns task x k
    by-size      Table S7: rows by parameters and n
    speed        Tables S2 and S3: a row per number of heads used; speed-up and tokens per forward by task
    overhead     Table S5: training time relative to n = 1
    temperature  oracle, fixed and cross-validated choice of the temperature side by side

Scores of runs over several temperatures are read at the oracle temperature in by-n and by-size, as in the paper, and the
note says so. A score is bold only where the paired test, corrected by Holm over the others of its block and column, says
that it is better than each of them. Not covered: numbers of the paper itself; they are in no table of ours.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from mtp_eval.results.errors import OptionError
from mtp_eval.results.scores.cells import Cell, where
from mtp_eval.results.scores.scored import ScoredRun, cells_of
from mtp_eval.results.scores.significance import holm, paired_p
from mtp_eval.results.scores.temperature import Reading, by_temperature, read_temperatures
from mtp_eval.results.tables.costs import overhead_table, speed_table
from mtp_eval.results.tables.render import Column, Entry, Table, text_entry
from mtp_eval.results.tables.standard import percent, provenance, results_table, score_entry, size_name, warnings

ALPHA = 0.05


@dataclass(frozen=True)
class _Row:
    """One model of one run on one set of columns."""

    run: int
    model: str
    size: float | None
    n_future: int | None


def _by_n(runs: Sequence[ScoredRun], ks: Sequence[int]) -> Table:
    rows = sorted(_rows(runs), key=lambda row: (row.n_future or 0, row.run, row.model))
    lead = [Column("model"), Column("n", True)]
    return _score_table(runs, ks, rows, lead, lambda row: [row.model, row.n_future], lambda row: 0)


def _by_size(runs: Sequence[ScoredRun], ks: Sequence[int]) -> Table:
    rows = sorted(_rows(runs), key=lambda row: (row.size or 0, row.n_future or 0, row.run, row.model))
    lead = [Column("size", True), Column("n", True), Column("model")]
    return _score_table(
        runs,
        ks,
        rows,
        lead,
        lambda row: [size_name(row.size), row.n_future, row.model],
        lambda row: size_name(row.size),
    )


def _score_table(
    runs: Sequence[ScoredRun],
    ks: Sequence[int],
    rows: Sequence[_Row],
    lead: Sequence[Column],
    leading: Callable[[_Row], list[object]],
    block: Callable[[_Row], object],
) -> Table:
    """Rows of models against columns of task and k; `block` says which rows compete for bold type."""
    tasks = list(dict.fromkeys((cell.task, cell.group) for _, cell in cells_of(runs)))
    readings: dict[tuple[int, str, str, str, int], Reading] = {}
    notes: list[str] = []
    for number, run in enumerate(runs):
        for group in by_temperature(run.cells):
            for k in ks:
                try:
                    reading = _reading(group, k)
                except ValueError as error:
                    notes.append(f"pass@{k} is left out: {error}.")
                    continue
                readings[(number, reading.model, reading.task, reading.group, k)] = reading
    columns = [*lead, *(Column(f"@{k}", True, (f"pass@{k}",)) for _ in tasks for k in ks)]
    best = _best(rows, readings, block)
    body = []
    for row in rows:
        entries = [text_entry(value) for value in leading(row)]
        for task, name in tasks:
            for k in ks:
                key = (row.run, row.model, task, name, k)
                mean = readings[key].oracle.mean if key in readings else math.nan
                entries.append(Entry(percent(mean), key in best, (None if math.isnan(mean) else mean,)))
        body.append(tuple(entries))
    if any(len(reading.by_temperature) > 1 for reading in readings.values()):
        chosen = ", ".join(
            f"{r.model} {where(r.task, r.group)} @{r.k}: {r.oracle.temperature:g}" for r in readings.values()
        )
        notes.append(f"ORACLE temperature, chosen on these very problems for each score ({chosen}).")
    notes.append(
        f"pass@k in percent. Bold: better than every other row{' of its size' if 'size' in lead[0].title else ''} by the "
        f"paired test at {ALPHA:g}, Holm-corrected."
    )
    groups = (("", len(lead)), *((where(task, group), len(ks)) for task, group in tasks))
    notes = [*warnings(runs), *dict.fromkeys(map(_conditions, runs)), *dict.fromkeys(notes)]
    return Table(tuple(columns), tuple(body), provenance(runs, over=None), tuple(notes), groups=groups)


def _best(
    rows: Sequence[_Row], readings: Mapping[tuple[int, str, str, str, int], Reading], block: Callable[[_Row], object]
) -> set[tuple[int, str, str, str, int]]:
    """The scores that are better than all others of their block and column by the paired test."""
    blocks = {(row.run, row.model): block(row) for row in rows}
    columns: dict[tuple[object, ...], list[tuple[int, str, str, str, int]]] = {}
    for key in readings:
        columns.setdefault((blocks[key[:2]], *key[2:]), []).append(key)
    best = set()
    for keys in columns.values():
        top = max(keys, key=lambda key: readings[key].oracle.mean)
        values = readings[top].oracle.values
        others = [readings[key].oracle.values for key in keys if key != top]
        if not others or any(other.shape != values.shape for other in others):
            continue
        p_values = holm([paired_p(values - other)[0] for other in others])
        if all(p <= ALPHA and values.mean() > other.mean() for p, other in zip(p_values, others, strict=True)):
            best.add(top)
    return best


def _temperature(runs: Sequence[ScoredRun], ks: Sequence[int]) -> Table:
    readings, notes = [], []
    for run in runs:
        for group in by_temperature(run.cells):
            for k in ks:
                try:
                    readings.append(read_temperatures(group, k))
                except ValueError as error:
                    notes.append(f"pass@{k} is left out: {error}.")
    columns = [Column("model"), Column("task", setting=True), Column("k", True, setting=True)]
    columns += [Column("problems", True, setting=True)]
    columns += [Column("every T (%)")]
    for name in ("oracle", "fixed", "cross-validated"):
        slug = name.replace("-", "_")
        columns += [Column(f"{name} (%)", True, (slug, f"{slug}_low95", f"{slug}_high95")), Column(f"T {name}")]
    body = []
    for r in readings:
        every = ", ".join(f"{t:g}: {percent(v)}" for t, v in r.by_temperature.items())
        row = [text_entry(v) for v in (r.model, where(r.task, r.group), r.k, r.n_problems, every)]
        for read in (r.oracle, r.fixed, r.cross_validated):
            row.append(score_entry(read.mean, read.interval))
            shares = ", ".join(f"{t:g} ({100 * s:.0f} %)" for t, s in sorted(read.share.items(), key=lambda x: -x[1]))
            row.append(text_entry(f"{read.temperature:g}" if len(read.share) == 1 else shares))
        body.append(tuple(row))
    notes += [
        "Oracle: the best temperature on the very problems that are scored (the paper's protocol); too high on average.",
        "Fixed: named before looking, 0.1 for pass@1 and 0.8 above, or the nearest that was run.",
        "Cross-validated: half of the problems choose, the other half is scored, averaged over 200 halvings.",
    ]
    return Table(
        tuple(columns),
        tuple(body),
        provenance(runs),
        (*warnings(runs), *dict.fromkeys(map(_conditions, runs)), *dict.fromkeys(notes)),
    )


STYLES: Mapping[str, Callable[[Sequence[ScoredRun], Sequence[int]], Table]] = {
    "standard": results_table,
    "by-n": _by_n,
    "by-size": _by_size,
    "speed": speed_table,
    "overhead": overhead_table,
    "temperature": _temperature,
}


NEEDS = {
    "standard": "the runs hold no records",
    "by-n": "the runs hold no records",
    "by-size": "the runs hold no records",
    "speed": "no run counted forward passes",
    "overhead": "no model says how long its training took (training.json beside the weights)",
    "temperature": "no score is defined at a known temperature",
}


def checked_style(style: str) -> str:
    """The style, if it is one of `STYLES`.

    Raises:
        OptionError: it is not.
    """
    if style not in STYLES:
        raise OptionError(f"--style {style}: expected one of {', '.join(STYLES)}")
    return style


def styled_table(style: str, runs: Sequence[ScoredRun], ks: Sequence[int]) -> Table:
    """The table in one of `STYLES`.

    Raises:
        OptionError: an unknown style, or runs that have nothing for it.
    """
    table = STYLES[checked_style(style)](runs, ks)
    if not table.rows:
        raise OptionError(f"--style {style} has nothing to show: {NEEDS[style]}")
    return table


def _rows(runs: Sequence[ScoredRun]) -> list[_Row]:
    rows = []
    for number, run in enumerate(runs):
        for label in run.models:
            n_future, size = (run.header.fact(label, name) for name in ("n_future", "parameters"))
            rows.append(_Row(number, label, size, None if n_future is None else int(n_future)))
    return rows


def _reading(group: Sequence[Cell], k: int) -> Reading:
    """The oracle over temperatures; a single cell is read as it is, whether or not its temperature is known."""
    if len(group) == 1 and group[0].temperature is None:
        group = [replace(group[0], temperature=0.0)]
    return read_temperatures(group, k)


def _conditions(run: ScoredRun) -> str:
    """One line per run with everything that a column heading has no room for."""
    parts = []
    for task in map(run.task, run.tasks):
        of_task = [cell for cell in run.cells if cell.task == task.name]
        problems = max(sum(len(c.problem_ids) for c in of_task if c.model == m) for m in {c.model for c in of_task})
        problems //= max(1, len({c.temperature for c in of_task}))
        heats = sorted({c.temperature for c in of_task if c.temperature is not None})
        samples = max(cell.samples[1] for cell in of_task)
        parts.append(
            f"{task.name}: {task.protocol}, {problems:,} problems, n={samples}, "
            f"T={'/'.join(f'{t:g}' for t in heats) or '–'}, top-p={run.header.config.get('top_p', '–')}, "
            f"data {str(task.data_sha256 or '')[:8]}"
        )
    return "; ".join(parts) + "."

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
from dataclasses import dataclass
from typing import Any

from mtp_eval.results.cells import Cell
from mtp_eval.results.facts import model_fact, size_name
from mtp_eval.results.paired import holm, paired_p
from mtp_eval.results.render import Column, Entry, Table, text_entry
from mtp_eval.results.tables import Run, percent, provenance, results_table, score_entry, warnings
from mtp_eval.results.temperature import Reading, by_temperature, read_temperatures

ALPHA = 0.05


@dataclass(frozen=True)
class _Row:
    """One model of one run on one set of columns."""

    run: int
    model: str
    size: float | None
    n_future: int | None


def _by_n(runs: Sequence[Run], ks: Sequence[int]) -> Table:
    rows = sorted(_rows(runs), key=lambda row: (row.n_future or 0, row.run, row.model))
    lead = [Column("model"), Column("n", True)]
    return _score_table(runs, ks, rows, lead, lambda row: [row.model, row.n_future], lambda row: 0)


def _by_size(runs: Sequence[Run], ks: Sequence[int]) -> Table:
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
    runs: Sequence[Run],
    ks: Sequence[int],
    rows: Sequence[_Row],
    lead: Sequence[Column],
    leading: Callable[[_Row], list[object]],
    block: Callable[[_Row], object],
) -> Table:
    """Rows of models against columns of task and k; `block` says which rows compete for bold type."""
    tasks = list(dict.fromkeys((cell.task, cell.group) for _, cells in runs for cell in cells))
    readings: dict[tuple[int, str, str, str, int], Reading] = {}
    notes: list[str] = []
    for number, (_, cells) in enumerate(runs):
        for group in by_temperature(cells):
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
            f"{r.model} {_where(r.task, r.group)} @{r.k}: {r.oracle.temperature:g}" for r in readings.values()
        )
        notes.append(f"ORACLE temperature, chosen on these very problems for each score ({chosen}).")
    notes.append(
        f"pass@k in percent. Bold: better than every other row{' of its size' if 'size' in lead[0].title else ''} by the "
        f"paired test at {ALPHA:g}, Holm-corrected."
    )
    groups = (("", len(lead)), *((_where(task, group), len(ks)) for task, group in tasks))
    facts = [f"{_conditions(header, cells)}" for header, cells in runs]
    notes = [*warnings(runs), *dict.fromkeys(facts), *dict.fromkeys(notes)]
    headers = [header for header, _ in runs]
    line = provenance(headers).replace("; brackets: 95 % interval, bootstrap over problems", "")
    return Table(tuple(columns), tuple(body), line, tuple(notes), groups=groups)


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


def _speed(runs: Sequence[Run], ks: Sequence[int]) -> Table:
    """Throughput of generation relative to the same model with one head, and tokens per forward in brackets."""
    del ks
    entries: dict[tuple[str, int], dict[str, Cell]] = {}
    for _, cells in runs:
        for cell in cells:
            if not cell.n_forwards:
                continue
            label = cell.model.rsplit("/", 1)[-1]
            heads = heads_used(cell)
            entries.setdefault((label, heads), {})[_where(cell.task, cell.group)] = cell
    tasks = list(dict.fromkeys(task for by_task in entries.values() for task in by_task))
    columns = [Column("model"), Column("heads", True)]
    columns += [Column(task, True, (f"{task} speed-up", f"{task} tokens/forward")) for task in tasks]
    body = []
    for (label, heads), by_task in sorted(entries.items()):
        row = [text_entry(label), text_entry(heads)]
        for task in tasks:
            row.append(_speed_entry(by_task.get(task), entries.get((label, 1), {}).get(task)))
        body.append(tuple(row))
    notes = (
        "Speed-up: generated tokens per second of generation against the same model with 1 head, each timed in its own "
        "run; in brackets tokens per forward pass after the prompt.",
    )
    return Table(tuple(columns), tuple(body), provenance([h for h, _ in runs]).split("; pass@k")[0] + ".", notes)


def _speed_entry(cell: Cell | None, base: Cell | None) -> Entry:
    if cell is None or not cell.n_forwards:
        return Entry("–", values=(None, None))
    ratio = math.nan
    if base is not None and base.generation_seconds > 0 and cell.generation_seconds > 0 and base.n_tokens:
        ratio = (cell.n_tokens / cell.generation_seconds) / (base.n_tokens / base.generation_seconds)
    tpf = cell.tokens_per_forward
    text = f"{'–' if math.isnan(ratio) else f'{ratio:.2f}'} ({tpf:.2f})"
    return Entry(text, values=(None if math.isnan(ratio) else ratio, tpf))


def heads_used(cell: Cell) -> int:
    """How many heads were used, head 1 included: one more than drafted."""
    return len(cell.n_drafted) + 1


def _overhead(runs: Sequence[Run], ks: Sequence[int]) -> Table:
    """Training seconds per token relative to the model of n = 1 and the same size."""
    del ks
    cost: dict[tuple[str, int], list[float]] = {}
    for header, _ in runs:
        for label in header.get("models", {}):
            facts = {name: model_fact(header, label, name) for name in ("n_future", "parameters", "train_seconds")}
            tokens = model_fact(header, label, "train_tokens")
            if facts["n_future"] and facts["train_seconds"] and tokens:
                key = (size_name(facts["parameters"]), int(facts["n_future"]))
                cost.setdefault(key, []).append(float(facts["train_seconds"]) / float(tokens))
    sizes = list(dict.fromkeys(size for size, _ in cost))
    columns = [Column("n", True), *(Column(size, True, (size,)) for size in sizes)]
    body = []
    for n in sorted({n for _, n in cost}):
        row = [text_entry(n)]
        for size in sizes:
            own, base = cost.get((size, n)), cost.get((size, 1))
            if own is None or base is None:
                row.append(Entry("–", values=(None,)))
            else:
                ratio = (sum(own) / len(own)) / (sum(base) / len(base))
                row.append(Entry(f"{ratio:.2f}", values=(ratio,)))
        body.append(tuple(row))
    notes = (
        "Training seconds per token relative to n = 1 of the same size, as each checkpoint's training.json has them.",
    )
    return Table(tuple(columns), tuple(body), provenance([h for h, _ in runs]).split("; pass@k")[0] + ".", notes)


def _temperature(runs: Sequence[Run], ks: Sequence[int]) -> Table:
    readings, notes = [], []
    for _, cells in runs:
        for group in by_temperature(cells):
            for k in ks:
                try:
                    readings.append(read_temperatures(group, k))
                except ValueError as error:
                    notes.append(f"pass@{k} is left out: {error}.")
    columns = [Column("model"), Column("task"), Column("k", True), Column("problems", True)]
    columns += [Column("every T (%)")]
    for name in ("oracle", "fixed", "cross-validated"):
        slug = name.replace("-", "_")
        columns += [Column(f"{name} (%)", True, (slug, f"{slug}_low95", f"{slug}_high95")), Column(f"T {name}")]
    body = []
    for r in readings:
        every = ", ".join(f"{t:g}: {percent(v)}" for t, v in r.by_temperature.items())
        row = [text_entry(v) for v in (r.model, _where(r.task, r.group), r.k, r.n_problems, every)]
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
    headers = [header for header, _ in runs]
    conditions = [_conditions(header, cells) for header, cells in runs]
    return Table(
        tuple(columns),
        tuple(body),
        provenance(headers),
        (*warnings(runs), *dict.fromkeys(conditions), *dict.fromkeys(notes)),
    )


STYLES: Mapping[str, Callable[[Sequence[Run], Sequence[int]], Table]] = {
    "standard": results_table,
    "by-n": _by_n,
    "by-size": _by_size,
    "speed": _speed,
    "overhead": _overhead,
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


def styled_table(style: str, runs: Sequence[Run], ks: Sequence[int]) -> Table:
    """The table in one of `STYLES`.

    Raises:
        ValueError: an unknown style, or runs that have nothing for it.
    """
    if style not in STYLES:
        raise ValueError(f"unknown table style {style!r}; expected one of {', '.join(STYLES)}")
    table = STYLES[style](runs, ks)
    if not table.rows:
        raise ValueError(f"--style {style} has nothing to show: {NEEDS[style]}")
    return table


def _rows(runs: Sequence[Run]) -> list[_Row]:
    rows = []
    for number, (header, cells) in enumerate(runs):
        for label in dict.fromkeys(cell.model for cell in cells):
            n_future, size = model_fact(header, label, "n_future"), model_fact(header, label, "parameters")
            rows.append(_Row(number, label, size, None if n_future is None else int(n_future)))
    return rows


def _reading(group: Sequence[Cell], k: int) -> Reading:
    """The oracle over temperatures; a single cell is read as it is, whether or not its temperature is known."""
    if len(group) == 1 and group[0].temperature is None:
        from dataclasses import replace

        group = [replace(group[0], temperature=0.0)]
    return read_temperatures(group, k)


def _conditions(header: Mapping[str, Any], cells: Sequence[Cell]) -> str:
    """One line per run with everything that a column heading has no room for."""
    parts = []
    for name in dict.fromkeys(cell.task for cell in cells):
        task = header.get("tasks", {}).get(name, {})
        of_task = [cell for cell in cells if cell.task == name]
        problems = max(sum(len(c.problem_ids) for c in of_task if c.model == m) for m in {c.model for c in of_task})
        problems //= max(1, len({c.temperature for c in of_task}))
        heats = sorted({c.temperature for c in of_task if c.temperature is not None})
        samples = max(int((c.n + c.broken).max()) for c in of_task)
        parts.append(
            f"{name}: {task.get('protocol')}, {problems:,} problems, n={samples}, "
            f"T={'/'.join(f'{t:g}' for t in heats) or '–'}, top-p={header.get('config', {}).get('top_p', '–')}, "
            f"data {str(task.get('data_sha256') or '')[:8]}"
        )
    return "; ".join(parts) + "."


def _where(task: str, group: str) -> str:
    return f"{task} ({group})" if group else task

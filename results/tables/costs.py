"""Tables of what models cost: speed by heads used (the paper's Tables S2, S3), training time (Table S5)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mtp_eval.results.errors import OptionError
from mtp_eval.results.scores.cells import Cell
from mtp_eval.results.scores.scored import ScoredRun
from mtp_eval.results.tables.layout import Layout
from mtp_eval.results.tables.render import Column, Entry, Table, text_entry
from mtp_eval.results.tables.standard import provenance, size_name, unfinished


def speed_table(runs: Sequence[ScoredRun], ks: Sequence[int], layout: Layout) -> Table:
    """Throughput of generation relative to the same model with one head, and tokens per forward in brackets.

    Raises:
        OptionError: a model was run twice on a task with the same number of heads.
    """
    del ks
    entries: dict[tuple[str, int], dict[str, Cell]] = {}
    for label, cell in _by_own_label(runs):
        if not cell.n_forwards:
            continue
        heads = heads_used(cell)
        by_task = entries.setdefault((label, heads), {})
        if cell.where in by_task:
            raise OptionError(f"{label} with {heads} heads on {cell.where} is there twice; give one run of each")
        by_task[cell.where] = cell
    tasks = list(dict.fromkeys(task for by_task in entries.values() for task in by_task))
    columns = [Column("model"), Column("heads", True)]
    columns += [Column(task, True, (f"{task} speed-up", f"{task} tokens/forward")) for task in tasks]
    body = []
    order = sorted(entries, key=lambda row: (layout.place(row[0]), row))
    for (label, heads), by_task in ((row, entries[row]) for row in order):
        row = [text_entry(label), text_entry(heads)]
        for task in tasks:
            row.append(_speed_entry(by_task.get(task), entries.get((label, 1), {}).get(task)))
        body.append(tuple(row))
    legend = (
        "Speed-up: generated tokens per second of generation against the same model with 1 head, each timed in its own "
        "run; in brackets tokens per forward pass after the prompt."
    )
    return Table(tuple(columns), tuple(body), provenance(runs, scores=False), tuple(unfinished(runs)), legend=legend)


def _by_own_label(runs: Sequence[ScoredRun]) -> list[tuple[str, Cell]]:
    """Every cell under its model's label, without the run's name that tells runs apart: their heads and tasks do that here.

    Labels that stand for several weights keep the run's name.
    """
    of_label: dict[str, set[object]] = {}
    for run in runs:
        for model in run.models:
            of_label.setdefault(run.own_label(model), set()).add(run.header.model(model).get("sha256"))
    labelled = ((run, run.own_label(cell.model), cell) for run in runs for cell in run.cells)
    return [(label if len(of_label[label]) == 1 else cell.model, cell) for run, label, cell in labelled]


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
    """The number of heads used, head 1 included: one more than drafted."""
    return len(cell.n_drafted) + 1


def overhead_table(runs: Sequence[ScoredRun], ks: Sequence[int], layout: Layout) -> Table:
    """Training seconds per token relative to the model of n = 1 and the same size."""
    del ks, layout
    cost: dict[tuple[str, int], list[float]] = {}
    for header, label in ((run.header, label) for run in runs for label in run.header.models):
        names = ("n_future", "parameters", "train_seconds", "train_tokens")
        n_future, parameters, seconds, tokens = (header.fact(label, name) for name in names)
        if n_future and seconds and tokens:
            cost.setdefault((size_name(parameters), int(n_future)), []).append(float(seconds) / float(tokens))
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
    legend = (
        "Training seconds per token relative to n = 1 of the same size, as each checkpoint's training.json has them."
    )
    return Table(tuple(columns), tuple(body), provenance(runs, scores=False), legend=legend)

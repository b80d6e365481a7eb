"""The standard table of runs: one row per model, task, group of problems and temperature.

Every row carries what its number depends on: protocol, problems, samples, temperature, top-p, data hash, and the
isolation where it was not full. Layouts of the paper are in `results.tables.styles`, formats in `results.tables.render`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from mtp_eval.results.header import RunHeader, TaskFacts
from mtp_eval.results.scores.cells import Cell
from mtp_eval.results.scores.intervals import Interval, mean_interval
from mtp_eval.results.scores.scored import ScoredRun, cells_of
from mtp_eval.results.tables.layout import Layout
from mtp_eval.results.tables.render import NOTHING, Column, Entry, Table, text_entry

MAJORITY_FROM = 3
"""Samples per problem from which a majority vote says more than a single sample."""


def percent(value: float, digits: int = 1) -> str:
    """A share as a percentage."""
    return NOTHING if math.isnan(value) else f"{100 * value:.{digits}f}"


def size_name(parameters: float | None) -> str:
    """ "6.7B", "303M", "812k".

    >>> size_name(6.74e9), size_name(3.03e8), size_name(812_345), size_name(None)
    ('6.7B', '303M', '812k', '–')
    """
    if parameters is None:
        return NOTHING
    for unit, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if parameters >= unit:
            value = parameters / unit
            return f"{value:.1f}".removesuffix(".0") + letter if value < 9.95 else f"{value:.0f}{letter}"
    return str(int(parameters))


def score_entry(value: float, interval: Interval | None = None, bold: bool = False, digits: int = 1) -> Entry:
    """A score in percent with its interval; the CSV gets the unrounded shares."""
    if math.isnan(value):
        return Entry(NOTHING, values=(None, None, None))
    if interval is None:
        return Entry(percent(value, digits), bold, (value, None, None))
    ends = f"[{percent(interval.low, digits)}, {percent(interval.high, digits)}]"
    text = f"{percent(value, digits)} {ends}"
    return Entry(text, bold, (value, interval.low, interval.high))


def score_column(k: int, level: float = 0.95) -> Column:
    """The column of pass@k with its interval."""
    tag = f"{round(level * 100)}"
    return Column(f"pass@{k} (%)", True, (f"pass@{k}", f"pass@{k}_low{tag}", f"pass@{k}_high{tag}"))


def results_table(runs: Sequence[ScoredRun], ks: Sequence[int], level: float = 0.95) -> Table:
    """The standard table over one or more runs: a row per model, task, group of problems and temperature."""
    return standard_table(runs, ks, Layout(level))


def rows_of(runs: Sequence[ScoredRun], layout: Layout) -> list[tuple[RunHeader, Cell]]:
    """Header and cell of each row; rows that are compared (one task, group and temperature) stand side by side."""
    rows = list(cells_of(runs))
    places = {place: n for n, place in enumerate(dict.fromkeys((c.task, c.group, c.temperature) for _, c in rows))}
    tasks = {task: n for n, task in enumerate(dict.fromkeys(cell.task for _, cell in rows))}
    return sorted(
        rows,
        key=lambda row: (
            tasks[row[1].task],
            places[row[1].task, row[1].group, row[1].temperature],
            layout.place(row[1].model),
        ),
    )


def standard_table(runs: Sequence[ScoredRun], ks: Sequence[int], layout: Layout) -> Table:
    """`results_table` with layout options."""
    flat, level = rows_of(runs, layout), layout.level
    optional = _optional_columns(flat)
    fixed = ["model", "task", "protocol", "problems", "samples", "T", "top-p", "data"]
    names = [*fixed[:2], *(["group"] if "group" in optional else []), *fixed[2:]]
    names += ["isolation"] if "isolation" in optional else []
    columns = [Column(name, name in ("problems", "samples", "T", "top-p"), setting=name != "model") for name in names]
    columns += [score_column(k, level) for k in ks]
    if "majority" in optional:
        columns.append(Column("majority (%)", True, ("majority", "majority_low", "majority_high")))
    if "tokens/forward" in optional:
        columns.append(Column("tokens/forward", True, ("tokens_per_forward",)))
    if "speed-up" in optional:
        columns.append(Column("speed-up (n)", True, ("speed_up", "speed_up_completions")))
    notes: list[str] = []
    rows = []
    for header, cell in flat:
        facts = _facts(header, cell)
        row = [fact if isinstance(fact, Entry) else text_entry(fact) for fact in map(facts.__getitem__, names)]
        for k in ks:
            row.append(_scored(cell, k, layout, notes))
        if "majority" in optional:
            votes = cell.majority
            shown = votes is not None and int(cell.n.min()) >= MAJORITY_FROM
            row.append(
                score_entry(float(votes.mean()), mean_interval(votes, level), digits=layout.digits)
                if votes is not None and shown
                else Entry(NOTHING, values=(None, None, None))
            )
        if "tokens/forward" in optional:
            tpf = cell.tokens_per_forward
            row.append(Entry(NOTHING if math.isnan(tpf) else f"{tpf:.2f}", values=(None if math.isnan(tpf) else tpf,)))
        if "speed-up" in optional:
            row.append(_speed_up(cell))
        rows.append(tuple(row))
    if "speed-up" in optional:
        notes.append(
            "speed-up: tokens per second over those of plain decoding of the same model on the same n completions, timed "
            "in turns; – where it was not measured."
        )
    notes = [*warnings(runs), *dict.fromkeys(notes)]
    return Table(tuple(columns), tuple(rows), provenance(runs, level), tuple(notes))


def _speed_up(cell: Cell) -> Entry:
    if cell.speed_up is None:
        return Entry(NOTHING, values=(None, None))
    rate, n_completions = cell.speed_up
    return Entry(f"{rate:.2f} ({n_completions})", values=(rate, n_completions))


def unfinished(runs: Sequence[ScoredRun]) -> list[str]:
    """Sentences on what is missing of the runs, and on lines that are not counted."""
    notes = []
    for run in runs:
        shard = run.header.shard
        if shard is not None:
            notes.append(
                f"SHARD {shard.index} OF {shard.of}: {run.name} holds a part of the completions only, and its scores are those of "
                "that part; `mtp-eval merge` makes one run of all shards."
            )
        if run.damage:
            notes.append(f"DAMAGED: {run.damage}. The command that made the run makes them again.")
        notes += [
            f"INCOMPLETE: {model} on {task} lacks {count:,} completions; the same command continues the run."
            for (model, task), count in run.missing().items()
        ]
    return list(dict.fromkeys(notes))


def warnings(runs: Sequence[ScoredRun]) -> list[str]:
    """Warnings that a reader must know before believing the numbers, loudest first."""
    notes = unfinished(runs)
    for _, cell in cells_of(runs):
        if cell.n_broken:
            notes.append(
                f"INFRASTRUCTURE ERRORS: {cell.n_broken:,} of {cell.n_completions:,} completions of {cell.model} on "
                f"{cell.where} could not be judged; they are left out, not counted as wrong."
            )
        if cell.n_refused:
            notes.append(
                f"NO COMPLETION: the server refused the prompts of {cell.n_refused:,} of {cell.n_completions:,} completions of "
                f"{cell.model} on {cell.where}; they count as not solved."
            )
        if cell.same_interpreter:
            notes.append(
                f"{cell.same_interpreter:,} of {cell.n_completions:,} completions of {cell.model} on "
                f"{cell.where} were judged in the program's own interpreter, where a pass can be forged."
            )
    return notes


def provenance(
    runs: Sequence[ScoredRun],
    level: float = 0.95,
    over: str | None = "problems",
    scores: bool = True,
    method: str = "Clopper-Pearson",
) -> str:
    """The line under every table: software, runs, the estimator of its scores, and what its brackets mean.

    `over` says what the intervals were drawn over, None that there are none; `scores` False, that there is no pass@k; `method`
    names the intervals.
    """
    headers = [run.header for run in runs]
    versions = sorted({str(header.versions.get("mtp-eval", "?")) for header in headers})
    commits = sorted({_commit(header) for header in headers} - {""})
    hashes = [header.config_sha256[:8] or "?" for header in headers]
    parts = [
        f"mtp-eval {', '.join(versions)}{f' ({chr(44).join(commits)})' if commits else ''}",
        f"run{'s' if len(hashes) > 1 else ''} {', '.join(hashes)}",
    ]
    if scores:
        parts.append("pass@k: unbiased estimator of Chen et al. 2021")
    if scores and over:
        parts.append(f"brackets: {round(level * 100)} % interval over {over}, {method}")
    return "; ".join(parts) + "."


def _facts(header: RunHeader, cell: Cell) -> dict[str, Any]:
    task = header.task(cell.task)
    fewest, most = cell.samples
    greedy = not cell.temperature  # or unknown, where texts were read from a file
    return {
        "model": cell.model,
        "task": cell.task,
        "group": cell.group,
        "protocol": task.protocol,
        "problems": problems_entry(task, cell),
        "samples": fewest if fewest == most else f"{fewest}–{most}",
        "T": None if cell.temperature is None else f"{cell.temperature:g}",
        "top-p": None if greedy or header.top_p is None else f"{header.top_p:g}",
        "data": str(task.data_sha256 or "")[:8],
        "isolation": header.isolation,
    }


def problems_entry(task: TaskFacts, cell: Cell) -> Entry:
    """The number of problems, and of how many where it is a part of the benchmark, or of those that the run is about."""
    n, whole = len(cell.problem_ids), max(task.n_in_benchmark or 0, task.n_problems)
    if cell.group:
        return text_entry(n) if task.n_problems >= whole else Entry(f"{n} (part)", values=(n,))
    return text_entry(n) if n >= whole else Entry(f"{n} of {whole}", values=(n,))


def _optional_columns(flat: Sequence[tuple[RunHeader, Cell]]) -> set[str]:
    shown = set()
    if any(cell.group for _, cell in flat):
        shown.add("group")
    if any(header.isolation not in ("full", "") for header, _ in flat):
        shown.add("isolation")
    if any(cell.n_drafted or (cell.n_forwards and cell.n_tokens > cell.n_forwards * 1.5) for _, cell in flat):
        shown.add("tokens/forward")
    if any(cell.speed_up is not None for _, cell in flat):
        shown.add("speed-up")
    if any(cell.majority is not None and int(cell.n.min()) >= MAJORITY_FROM for _, cell in flat):
        shown.add("majority")
    return shown


def _scored(cell: Cell, k: int, layout: Layout, notes: list[str]) -> Entry:
    score = cell.score(k)
    where = f"{cell.model} on {cell.where}"
    if score.reason is not None:
        notes.append(f"pass@{k} of {where} is undefined: {score.reason}.")
        return Entry(NOTHING, values=(None, None, None))
    if score.n_left_out:
        notes.append(
            f"pass@{k} of {where} leaves out {score.n_left_out:,} of {len(cell.problem_ids):,} problems, "
            "on which infrastructure errors left fewer than k samples."
        )
    return score_entry(score.mean, mean_interval(score.values, layout.level), digits=layout.digits)


def _commit(header: RunHeader) -> str:
    commit = str(header.git.get("commit", ""))[:10]
    return f"{commit}+changes" if commit and header.git.get("dirty") else commit


def conditions(run: ScoredRun) -> str:
    """One line per run with everything that a column heading has no room for."""
    parts = []
    for task in map(run.task, run.tasks):
        of_task = [cell for cell in run.cells if cell.task == task.name]
        problems = max(sum(len(c.problem_ids) for c in of_task if c.model == m) for m in {c.model for c in of_task})
        problems //= max(1, len({c.temperature for c in of_task}))
        heats = sorted({c.temperature for c in of_task if c.temperature is not None})
        samples = max(cell.samples[1] for cell in of_task)
        top_p = run.header.top_p if any(heats) else None
        parts.append(
            f"{task.name}: {task.protocol}, {problems:,} problems, n={samples}, "
            f"T={'/'.join(f'{t:g}' for t in heats) or NOTHING}, top-p={NOTHING if top_p is None else f'{top_p:g}'}, "
            f"data {str(task.data_sha256 or '')[:8]}"
        )
    return "; ".join(parts) + "."

"""The standard table of runs: one row per model, task, group of problems and temperature.

Every row carries what its number depends on: protocol, problems, samples, temperature, top-p, data hash, and the
isolation where it was not full. Layouts of the paper are in `results.tables.styles`, formats in `results.tables.render`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from mtp_eval.results.scores.cells import INFRASTRUCTURE_ERROR, Cell
from mtp_eval.results.scores.intervals import Interval, mean_interval
from mtp_eval.results.scores.metrics import missing_completions
from mtp_eval.results.tables.render import NOTHING, Column, Entry, Table, text_entry

MAJORITY_FROM = 3
"""Samples per problem from which a majority vote says more than a single sample."""
Run = tuple[Mapping[str, Any], Sequence[Cell]]
"""A run's header and its cells."""


def percent(value: float) -> str:
    """A share as a percentage with one decimal."""
    return NOTHING if math.isnan(value) else f"{100 * value:.1f}"


def score_entry(value: float, interval: Interval | None = None, bold: bool = False) -> Entry:
    """A score in percent with its interval; the CSV gets the unrounded shares."""
    if math.isnan(value):
        return Entry(NOTHING, values=(None, None, None))
    if interval is None:
        return Entry(percent(value), bold, (value, None, None))
    text = f"{percent(value)} [{percent(interval.low)}, {percent(interval.high)}]"
    return Entry(text, bold, (value, interval.low, interval.high))


def score_column(k: int, level: float = 0.95) -> Column:
    """The column of pass@k with its interval."""
    tag = f"{round(level * 100)}"
    return Column(f"pass@{k} (%)", True, (f"pass@{k}", f"pass@{k}_low{tag}", f"pass@{k}_high{tag}"))


def results_table(runs: Sequence[Run], ks: Sequence[int], level: float = 0.95) -> Table:
    """The standard table over one or more runs: a row per model, task, group of problems and temperature."""
    flat = [(header, cell) for header, cells in runs for cell in cells]
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
        row = [text_entry(facts[name]) for name in names]
        for k in ks:
            row.append(_scored(cell, k, level, notes))
        if "majority" in optional:
            votes = cell.majority
            shown = votes is not None and int(cell.n.min()) >= MAJORITY_FROM
            row.append(
                score_entry(float(votes.mean()), mean_interval(votes, level))
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
    return Table(tuple(columns), tuple(rows), provenance([header for header, _ in runs], level), tuple(notes))


def _speed_up(cell: Cell) -> Entry:
    if cell.speed_up is None:
        return Entry(NOTHING, values=(None, None))
    rate, n_completions = cell.speed_up
    return Entry(f"{rate:.2f} ({n_completions})", values=(rate, n_completions))


def warnings(runs: Sequence[Run]) -> list[str]:
    """What a reader must know before believing the numbers, loudest first."""
    notes = []
    for header, cells in runs:
        for (model, task), count in missing_completions(header, cells).items():
            notes.append(
                f"INCOMPLETE: {model} on {task} lacks {count:,} completions; the same command continues the run."
            )
        for cell in cells:
            broken = cell.verdicts.get(INFRASTRUCTURE_ERROR, 0)
            if broken:
                notes.append(
                    f"INFRASTRUCTURE ERRORS: {broken:,} of {cell.n_completions:,} completions of {cell.model} on "
                    f"{cell.where} could not be judged; they are left out, not counted as wrong."
                )
            if cell.same_interpreter:
                notes.append(
                    f"{cell.same_interpreter:,} of {cell.n_completions:,} completions of {cell.model} on "
                    f"{cell.where} were judged in the program's own interpreter, where a pass can be forged."
                )
    return notes


def provenance(headers: Sequence[Mapping[str, Any]], level: float = 0.95) -> str:
    """The line under every table: software, runs, and what the brackets mean."""
    versions = sorted({str(header.get("versions", {}).get("mtp-eval", "?")) for header in headers})
    commits = sorted({_commit(header.get("git", {})) for header in headers} - {""})
    hashes = [str(header.get("config_sha256", "?"))[:8] for header in headers]
    parts = [
        f"mtp-eval {', '.join(versions)}{f' ({chr(44).join(commits)})' if commits else ''}",
        f"run{'s' if len(hashes) > 1 else ''} {', '.join(hashes)}",
        "pass@k: unbiased estimator of Chen et al. 2021",
        f"brackets: {round(level * 100)} % interval, bootstrap over problems",
    ]
    return "; ".join(parts) + "."


def _facts(header: Mapping[str, Any], cell: Cell) -> dict[str, Any]:
    config = header.get("config", {})
    task = header.get("tasks", {}).get(cell.task, {})
    counts = cell.n + cell.broken
    fewest, most = int(counts.min()), int(counts.max())
    greedy = not cell.temperature  # or unknown, where texts were read from a file
    return {
        "model": cell.model,
        "task": cell.task,
        "group": cell.group,
        "protocol": task.get("protocol"),
        "problems": len(cell.problem_ids),
        "samples": fewest if fewest == most else f"{fewest}–{most}",
        "T": None if cell.temperature is None else f"{cell.temperature:g}",
        "top-p": None if greedy or config.get("top_p") is None else f"{config['top_p']:g}",
        "data": str(task.get("data_sha256") or "")[:8],
        "isolation": isolation_name(header),
    }


def isolation_name(header: Mapping[str, Any]) -> str:
    """The name of the isolation that was in force."""
    return str(header.get("isolation", {}).get("name", ""))


def _optional_columns(flat: Sequence[tuple[Mapping[str, Any], Cell]]) -> set[str]:
    shown = set()
    if any(cell.group for _, cell in flat):
        shown.add("group")
    if any(isolation_name(header) not in ("full", "") for header, _ in flat):
        shown.add("isolation")
    if any(cell.n_drafted or (cell.n_forwards and cell.n_tokens > cell.n_forwards * 1.5) for _, cell in flat):
        shown.add("tokens/forward")
    if any(cell.speed_up is not None for _, cell in flat):
        shown.add("speed-up")
    if any(cell.majority is not None and int(cell.n.min()) >= MAJORITY_FROM for _, cell in flat):
        shown.add("majority")
    return shown


def _scored(cell: Cell, k: int, level: float, notes: list[str]) -> Entry:
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
    return score_entry(score.mean, mean_interval(score.values, level))


def _commit(git: Mapping[str, Any]) -> str:
    commit = str(git.get("commit", ""))[:10]
    return f"{commit}+changes" if commit and git.get("dirty") else commit

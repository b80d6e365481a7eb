"""A run's metrics.json: every cell's scores with intervals, and what was counted on the way.

A pure function of the run's header and records: nothing here depends on the clock, on the order in which completions
finished, or on how often the run was interrupted. Measured times are in timing.json.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mtp_eval.results.header import RunHeader
from mtp_eval.results.record import SCHEMA_VERSION
from mtp_eval.results.scores.cells import Cell
from mtp_eval.results.scores.intervals import METHOD, Interval, mean_interval
from mtp_eval.results.scores.scored import ScoredRun

METRICS_FILE = "metrics.json"
DECIMALS = 10
LEVELS = (0.95, 0.90)


def run_metrics(run: ScoredRun, ks: Sequence[int]) -> dict[str, Any]:
    """The content of metrics.json."""
    return {
        "schema_version": SCHEMA_VERSION,
        "config_sha256": run.header.data.get("config_sha256"),
        "intervals": {
            "method": METHOD,
            "levels": list(LEVELS),
        },
        "complete": run.is_complete,
        "cells": [cell_metrics(run.header, cell, ks) for cell in run.cells],
    }


def cell_metrics(header: RunHeader, cell: Cell, ks: Sequence[int]) -> dict[str, Any]:
    """One cell's entry."""
    task = header.task(cell.task)
    least, most = cell.samples
    return {
        "model": cell.model,
        "task": cell.task,
        "group": cell.group,
        "protocol": task.protocol,
        "data_sha256": task.data_sha256,
        "temperature": cell.temperature,
        "top_p": header.top_p,
        "n_problems": len(cell.problem_ids),
        "n_in_benchmark": task.n_in_benchmark,
        "n_samples_least": least,
        "n_samples_most": most,
        "n_completions": cell.n_completions,
        "infrastructure_errors": cell.n_broken,
        **({"no_completion": cell.n_refused} if cell.n_refused else {}),
        "pass_at_k": {str(k): _score(cell, k) for k in ks},
        **({"majority": _majority(cell)} if cell.majority is not None else {}),
        "verdicts": dict(cell.verdicts),
        "n_tokens": cell.n_tokens,
        **_drafting(header, cell),
        "judged_in_same_interpreter": cell.same_interpreter,
    }


def _drafting(header: RunHeader, cell: Cell) -> dict[str, Any]:
    """Forwards and acceptance, where the config fixes how many heads draft.

    `decode = auto` chooses that number by timing: two runs of one config would differ in these and in nothing else. The
    table and the records have them all the same.
    """
    if header.config.get("decode") == "auto":
        return {}
    return {
        "n_forwards": cell.n_forwards,
        "tokens_per_forward": cell.tokens_per_forward,
        "accepted_by_head": [
            a / d if d else float("nan") for a, d in zip(cell.n_accepted, cell.n_drafted, strict=False)
        ],
    }


def _score(cell: Cell, k: int) -> dict[str, Any]:
    score = cell.score(k)
    if score.reason is not None:
        return {"value": None, "reason": score.reason}
    entry: dict[str, Any] = {"value": score.mean, "n_problems": len(score.problem_ids)}
    if score.n_left_out:
        entry["problems_left_out"] = score.n_left_out
    for level in LEVELS:
        interval = mean_interval(score.values, level)
        entry[f"interval_{round(level * 100)}"] = _rounded(interval)
        entry["interval_method"] = interval.method
    return entry


def _majority(cell: Cell) -> dict[str, Any]:
    """Whether the most frequent answer is right, over the problems; for tasks whose answers are compared as text."""
    assert cell.majority is not None
    interval = mean_interval(cell.majority)
    return {"value": float(cell.majority.mean()), "interval_95": _rounded(interval), "n_problems": cell.majority.size}


def _rounded(interval: Interval) -> list[float]:
    return [round(interval.low, DECIMALS), round(interval.high, DECIMALS)]

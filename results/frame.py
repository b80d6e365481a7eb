"""Runs as tidy pandas frames, for a notebook: one row per completion, or one per score.

    from mtp_eval.results.frame import load_completions, load_scores

Columns are documented in `COMPLETION_COLUMNS` and `SCORE_COLUMNS`; a problem's tags become columns `tag_NAME`. Units are in
the names; scores are shares, not percent.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mtp_eval.results.columns import readable
from mtp_eval.results.files import distinct_names
from mtp_eval.results.header import RunHeader
from mtp_eval.results.record import Record
from mtp_eval.results.scores.cells import Cell
from mtp_eval.results.scores.intervals import mean_interval
from mtp_eval.results.scores.scored import ScoredRun
from mtp_eval.results.store import RunStore

if TYPE_CHECKING:
    import pandas as pd

COMPLETION_COLUMNS: Mapping[str, str] = {
    "run": "the folder's name, with as much before it as tells it from the others",
    "model": "label of the model within its run",
    "n_future": "future tokens the model predicts, where known",
    "parameters": "of the model, where known",
    "seed": "training seed, where known",
    "task": "task",
    "protocol": "protocol id",
    "problem_id": "problem",
    "sample": "number of the sample",
    "temperature": "sampling temperature",
    "top_p": "nucleus sampling",
    "verdict": "one of the ten verdicts",
    "passed": "whether the verdict is a pass",
    "judged": "False for an infrastructure error, which is no sample",
    "error": "exception or reason",
    "stop_reason": "what ended the completion",
    "n_tokens": "tokens emitted",
    "n_forwards": "forward passes after the prompt",
    "wall_seconds": "of the program",
    "cpu_seconds": "of the program",
    "peak_bytes": "of the program",
    "generation_wall_seconds": "the completion's share of its batch",
    "n_retries": "how often the program was run again",
    "timeout_sensitive": "a timeout that turned when run alone",
    "same_interpreter": "judged in the program's own interpreter",
    "run_complete": "False where the run lacks completions that it asked for, or a line of its journal is damaged",
}
TEXT_COLUMNS: Mapping[str, str] = {
    "completion": "raw text (with texts=True)",
    "program": "executed source (with texts=True)",
}
SCORE_COLUMNS: Mapping[str, str] = {
    "run": "the folder's name, with as much before it as tells it from the others",
    "config_sha256": "of the run",
    "created": "when the run was started (UTC)",
    "model": "label",
    "n_future": "future tokens the model predicts, where known",
    "parameters": "of the model, where known",
    "seed": "training seed, where known",
    "task": "task",
    "group": "group of problems, or empty",
    "protocol": "protocol id",
    "data_sha256": "of the benchmark's data",
    "n_problems": "problems scored",
    "n_samples": "samples per problem (least)",
    "temperature": "sampling temperature",
    "top_p": "nucleus sampling",
    "k": "k of pass@k",
    "score": "pass@k as a share; NaN where undefined",
    "low95": "lower end of the 95 % interval",
    "high95": "upper end",
    "reason": "why the score is undefined, or empty",
    "tokens_per_forward": "tokens per forward pass",
    "infrastructure_errors": "completions that could not be judged",
    "missing": "completions of this model and task that the run asked for and does not have",
    "run_complete": "False where the run lacks completions that it asked for, or a line of its journal is damaged",
}
Folder = str | os.PathLike[str]


def load_completions(folders: Folder | Iterable[Folder], texts: bool = False) -> pd.DataFrame:
    """One row per completion of one run or several.

    Raises:
        RunError: a folder that holds no run, or none that can be read.
    """
    return completions_frame([(run, store.records()) for run, store in _runs(folders)], texts)


def completions_frame(runs: Iterable[tuple[ScoredRun, Iterable[Record]]], texts: bool = False) -> pd.DataFrame:
    """One row per record of each run."""
    import pandas as pd

    rows = []
    for run, records in runs:
        header = run.header
        facts = {label: _model_facts(header, label) for label in header.models}
        protocols = {name: header.task(name).protocol for name in header.tasks}
        of_run = {"run": run.name, "top_p": header.top_p, "run_complete": run.is_complete}
        for record in records:
            row: dict[str, Any] = {**of_run, "model": record.model, **facts.get(record.model, {})}
            row |= {name: value for name, value in record.to_row().items() if name in COMPLETION_COLUMNS}
            row |= {"error": readable(record.outcome.error), "problem_id": readable(record.problem_id)}
            row |= {"passed": record.passed, "judged": record.judged, "protocol": protocols.get(record.task)}
            given = record.completion.stop_reason == "given"  # read from a file: how it was sampled is not known
            heat = header.temperature if record.temperature is None else record.temperature
            row["temperature"] = float("nan") if given else _number(heat)
            if texts:
                row |= {"completion": readable(record.completion.text), "program": readable(record.program)}
            row |= {f"tag_{name}": value for name, value in record.tags.items()}
            rows.append(row)
    known = [*COMPLETION_COLUMNS, *(TEXT_COLUMNS if texts else ())]
    tags = sorted({name for row in rows for name in row if name.startswith("tag_")})
    return pd.DataFrame(rows, columns=[*known, *tags])


def load_scores(folders: Folder | Iterable[Folder], ks: Sequence[int] | None = None) -> pd.DataFrame:
    """One row per model, task, group, temperature and k, with 95 % intervals; `ks` None takes each run's own.

    Raises:
        RunError: a folder that holds no run, or none that can be read.
    """
    return scores_frame([run for run, _ in _runs(folders)], ks)


def scores_frame(runs: Iterable[ScoredRun], ks: Sequence[int] | None = None) -> pd.DataFrame:
    """One row per cell and k of each run."""
    import pandas as pd

    rows = []
    for run in runs:
        missing = run.missing()
        for cell in run.cells:
            of_cell = {"missing": missing.get((cell.model, cell.task), 0), "run_complete": run.is_complete}
            rows += [{"run": run.name, **_score_row(run.header, cell, k), **of_cell} for k in (ks or run.ks)]
    return pd.DataFrame(rows, columns=list(SCORE_COLUMNS))


def _score_row(header: RunHeader, cell: Cell, k: int) -> dict[str, Any]:
    task, score = header.task(cell.task), cell.score(k)
    interval = mean_interval(score.values)
    return {
        "config_sha256": header.data.get("config_sha256"),
        "created": header.data.get("created"),
        "model": cell.model,
        **_model_facts(header, cell.model),
        "task": cell.task,
        "group": cell.group,
        "protocol": task.protocol,
        "data_sha256": task.data_sha256,
        "n_problems": len(score.problem_ids),
        "n_samples": cell.samples[0],
        "temperature": _number(cell.temperature),
        "top_p": header.top_p,
        "k": k,
        "score": score.mean,
        "low95": interval.low,
        "high95": interval.high,
        "reason": score.reason or "",
        "tokens_per_forward": cell.tokens_per_forward,
        "infrastructure_errors": cell.n_broken,
    }


def _runs(folders: Folder | Iterable[Folder]) -> list[tuple[ScoredRun, RunStore]]:
    given = [folders] if isinstance(folders, (str, os.PathLike)) else list(folders)
    stores = [RunStore.read(Path(folder)) for folder in given]
    names = distinct_names([store.folder for store in stores])
    return [(replace(ScoredRun.of(store), name=name), store) for store, name in zip(stores, names, strict=True)]


def _model_facts(header: RunHeader, label: str) -> dict[str, float]:
    return {name: _number(header.fact(label, name)) for name in ("n_future", "parameters", "seed")}


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) else float("nan")

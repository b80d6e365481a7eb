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

from mtp_eval.results.columns import fresh_columns, readable
from mtp_eval.results.files import distinct_names
from mtp_eval.results.header import RunHeader
from mtp_eval.results.scores.cells import Cell
from mtp_eval.results.scores.intervals import mean_interval
from mtp_eval.results.scores.scored import ScoredRun
from mtp_eval.results.store import RunStore
from mtp_eval.sandbox.outcome import Verdict

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
    "verdict": "one of the eleven verdicts",
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
    "n_in_benchmark": "problems of the whole benchmark, all groups together; NaN where the run does not say",
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
    "no_completion": "samples whose prompt a server refused; not solved",
    "missing": "completions of this model and task that the run asked for and does not have",
    "run_complete": "False where the run lacks completions that it asked for, or a line of its journal is damaged",
}
Folder = str | os.PathLike[str]
JOURNALLED = (
    "model", "task", "problem_id", "sample", "temperature", "verdict", "error", "stop_reason", "n_tokens", "n_forwards",
    "wall_seconds", "cpu_seconds", "peak_bytes", "generation_wall_seconds", "n_retries", "timeout_sensitive", "same_interpreter",
)  # fmt: skip
"""The columns that stand in the journal under the same name."""


def load_completions(folders: Folder | Iterable[Folder], texts: bool = False) -> pd.DataFrame:
    """One row per completion of one run or several.

    Raises:
        RunError: a folder that holds no run, or none that can be read.
    """
    return completions_frame(_runs(folders), texts)


def completions_frame(runs: Iterable[tuple[ScoredRun, RunStore]], texts: bool = False) -> pd.DataFrame:
    """One row per record of each run, read from its `records.parquet` where that is fresh."""
    import pandas as pd

    frames = [_completions(run, store, texts) for run, store in runs]
    known = [*COMPLETION_COLUMNS, *(TEXT_COLUMNS if texts else ())]
    if not frames:
        return pd.DataFrame(columns=known)
    both = pd.concat(frames, ignore_index=True) if len(frames) > 1 else frames[0]
    return both[[*known, *sorted(name for name in both.columns if name.startswith("tag_"))]]


def _completions(run: ScoredRun, store: RunStore, texts: bool) -> pd.DataFrame:
    header = store.header
    frame = _journalled(store, [*JOURNALLED, *(TEXT_COLUMNS if texts else ())])
    for name in ("n_future", "parameters", "seed"):
        frame[name] = (
            frame["model"].map({label: _number(header.fact(label, name)) for label in header.models}).astype(float)
        )
    if store.header.models != run.header.models:  # shown under other labels
        frame["model"] = frame["model"].replace(dict(zip(store.header.models, run.header.models, strict=True)))
    frame["protocol"] = frame["task"].map({name: header.task(name).protocol for name in header.tasks})
    frame["passed"] = frame["verdict"] == Verdict.PASSED.value
    frame["judged"] = frame["verdict"] != Verdict.INFRASTRUCTURE_ERROR.value
    own = frame["temperature"].astype(float).fillna(_number(header.temperature))
    frame["temperature"] = own.where(
        frame["stop_reason"] != "given"
    )  # read from a file: how it was sampled is not known
    return frame.assign(run=run.name, top_p=_number(header.top_p), run_complete=run.is_complete)


def _journalled(store: RunStore, names: Sequence[str]) -> pd.DataFrame:
    """These keys of the journal, and a column for each tag."""
    import pandas as pd

    path = fresh_columns(store)
    if path is None:
        rows = [record.to_row() for record in store.records()]
        values = [[readable(v) if isinstance(v := row[name], str) else v for name in names] for row in rows]
        return _with_tags(pd.DataFrame(values, columns=list(names)), [row["tags"] for row in rows])
    import pyarrow.parquet as pq

    table = pq.read_table(path, columns=[*names, "tags"])
    tagged = sum(len(chunk.keys) for chunk in table["tags"].chunks)
    return _with_tags(
        table.select(names).to_pandas(), [dict(tags) for tags in table["tags"].to_pylist()] if tagged else []
    )


def _with_tags(frame: pd.DataFrame, tags: Sequence[Mapping[str, str]]) -> pd.DataFrame:
    import pandas as pd

    names = sorted({name for of_record in tags for name in of_record})
    for name in names:
        frame[f"tag_{name}"] = pd.Series([of_record.get(name) for of_record in tags], index=frame.index, dtype=object)
    return frame


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
        "n_in_benchmark": _number(task.n_in_benchmark),
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
        "no_completion": cell.n_refused,
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

"""Scores in the forms of other harnesses: lm-eval's results JSON, and the dictionaries that Hugging Face's evaluate returns."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from mtp_eval.results.errors import OptionError
from mtp_eval.results.files import without_nan
from mtp_eval.results.header import RunHeader
from mtp_eval.results.scores.cells import Cell
from mtp_eval.results.scores.scored import ScoredRun, cells_of

EXPORTS = ("lm-eval", "evaluate")


def export(format: str, runs: Sequence[ScoredRun], ks: Sequence[int]) -> str:
    """The runs' scores as JSON in one of `EXPORTS`; an undefined score is null.

    Raises:
        OptionError: several models, temperatures or runs of a task for lm-eval's form, which has room for one.
    """
    made = lm_eval_results(runs, ks) if format == "lm-eval" else evaluate_results(runs, ks)
    return json.dumps(without_nan(made), indent=2, ensure_ascii=False) + "\n"


def evaluate_results(runs: Sequence[ScoredRun], ks: Sequence[int]) -> dict[str, dict[str, dict[str, float]]]:
    """Scores by model and task, in the form of code_eval's first return value: {"pass@1": 0.31}."""
    made: dict[str, dict[str, dict[str, float]]] = {}
    for _, cell in cells_of(runs):
        made.setdefault(cell.model, {})[_task_name(cell)] = {f"pass@{k}": cell.score(k).mean for k in ks}
    return made


def lm_eval_results(runs: Sequence[ScoredRun], ks: Sequence[int]) -> dict[str, Any]:
    """The content of lm-eval's results_*.json for one model: results, n-samples, configs, versions, config.

    Raises:
        OptionError: several models, or a task that is there twice.
    """
    models = sorted({cell.model for _, cell in cells_of(runs)})
    if len(models) != 1:
        raise OptionError(f"lm-eval's results hold one model, these runs {len(models)}: {', '.join(models)}")
    made: dict[str, Any] = {
        "results": {}, "configs": {}, "versions": {}, "n-shot": {}, "higher_is_better": {}, "n-samples": {},
        "config": {"model": models[0], "model_args": None, "limit": None},
        "model_name": models[0],
        "date": runs[0].header.created,
        "git_hash": runs[0].header.git.get("commit"),
        "incomplete": not all(run.is_complete for run in runs),
    }  # fmt: skip
    for header, cell in cells_of(runs):
        name = _task_name(cell)
        if name in made["results"]:
            raise OptionError(
                f"lm-eval's results hold a task once, these runs have {name} twice: give one run or temperature"
            )
        made["results"][name] = {"alias": name, **_scores(cell, ks)}
        made["configs"][name] = _config(header, cell)
        made["versions"][name] = header.task(cell.task).protocol
        made["higher_is_better"][name] = {f"pass@{k}": True for k in ks}
        task, n = header.task(cell.task), len(cell.problem_ids)
        whole = (None if cell.group else task.n_in_benchmark) or task.n_problems or n
        made["n-samples"][name] = {"original": whole, "effective": n}
    return made


def _task_name(cell: Cell) -> str:
    return cell.where.replace(" (", "_").removesuffix(")")


def _scores(cell: Cell, ks: Sequence[int]) -> dict[str, float]:
    made = {}
    for k in ks:
        values = cell.score(k).values
        made[f"pass@{k},none"] = float(values.mean()) if values.size else math.nan
        made[f"pass@{k}_stderr,none"] = (
            float(values.std(ddof=1)) / math.sqrt(values.size) if values.size > 1 else math.nan
        )
    return made


def _config(header: RunHeader, cell: Cell) -> dict[str, Any]:
    return {
        "task": cell.task,
        "protocol": header.task(cell.task).protocol,
        "data_sha256": header.task(cell.task).data_sha256,
        "repeats": cell.samples[0],
        "generation_kwargs": {"temperature": cell.temperature, "top_p": header.top_p},
    }

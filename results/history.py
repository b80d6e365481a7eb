"""The history of nights: one Parquet file with a row per night, series, task, group, temperature and k.

A plain table for pandas (`pandas.read_parquet`); its columns are in `COLUMNS`. Writing replaces the file atomically, and
writing a night again replaces that night's rows. Not covered: completions, which stay in the run folders that
`run_folder` names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mtp_eval.results.errors import OptionError
from mtp_eval.results.files import write_atomically
from mtp_eval.results.scores.cells import Cell
from mtp_eval.results.scores.estimators import sampling_noise
from mtp_eval.results.scores.intervals import mean_interval
from mtp_eval.results.scores.scored import ScoredRun
from mtp_eval.results.tables.render import Column, Entry, Table, text_entry
from mtp_eval.results.tables.standard import percent

if TYPE_CHECKING:
    import pandas as pd

    from mtp_eval.results.report.figure import Plot

COLUMNS: Mapping[str, str] = {
    "night": "name of the night; rows are in the order in which nights were finished",
    "series": "name under [models] in the config",
    "checkpoint": "the spec that was evaluated",
    "weights_sha256": "of the weights, where the backend knows it",
    "task": "task",
    "group": "group of problems within the task, or empty",
    "protocol": "protocol id",
    "data_sha256": "of the benchmark's data",
    "n_problems": "problems",
    "n_samples": "samples per problem (least)",
    "temperature": "sampling temperature",
    "k": "k of pass@k",
    "score": "pass@k as a share; NaN where undefined",
    "low95": "lower end of the 95 % interval",
    "high95": "upper end",
    "tokens_per_forward": "tokens per forward pass; NaN where nothing was counted",
    "infrastructure_errors": "completions that could not be judged",
    "regressed": "whether the gate failed this series and task that night (and it was not accepted)",
    "config_sha256": "of the run",
    "run_folder": "where the run lies, relative to the history file",
    "asked": "the task as the config names it",
    "sampling_sd": "one standard deviation of the score from drawing other samples; NaN with one sample a problem",
    "good": "whether later nights may be held to this one: evaluated, compared with everything, no loss, or accepted",
    "accepted": "whether the night was taken as the good level by --accept",
    "baselines": "what the config compared with, as it names it",
}
LATER = ("asked", "sampling_sd", "good", "accepted", "baselines")
"""Columns that histories of older versions lack."""
KEY = ["night", "series", "task", "group", "temperature", "k"]


def read_history(path: Path) -> pd.DataFrame:
    """The table, oldest night first; empty with the right columns where there is none yet.

    Raises:
        OptionError: the file is not a history.
    """
    import pandas as pd

    if not path.exists():
        return pd.DataFrame(columns=list(COLUMNS))
    try:
        frame = pd.read_parquet(path)
    except Exception as error:
        raise OptionError(
            f"{path} is not a history that can be read ({error}); move it away to start a new one"
        ) from error
    missing = set(COLUMNS) - set(LATER) - set(frame.columns)
    if missing:
        raise OptionError(f"{path} is not a history: it lacks the columns {', '.join(sorted(missing))}")
    return completed(frame)


def completed(frame: pd.DataFrame) -> pd.DataFrame:
    """The table with the columns that older versions did not write."""
    regressed = frame["regressed"].astype(bool)
    defaults: dict[str, Any] = {
        "asked": "",
        "sampling_sd": float("nan"),
        "good": ~regressed,
        "accepted": False,
        "baselines": "",
    }
    return frame.assign(**{name: value for name, value in defaults.items() if name not in frame.columns})[list(COLUMNS)]


def with_rows(history: pd.DataFrame, rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """The table with rows added; they replace those of the same night, series, task, group, temperature and k."""
    import pandas as pd

    if not rows:
        return history
    new = completed(pd.DataFrame(rows))
    both = new if history.empty else pd.concat([history, new], ignore_index=True)
    return both.drop_duplicates(KEY, keep="last").reset_index(drop=True)


def write_history(path: Path, history: pd.DataFrame) -> None:
    """Replace the file, atomically and on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, history.to_parquet(index=False))


def history_rows(run: ScoredRun, ks: Sequence[int], **facts: Any) -> list[dict[str, Any]]:
    """One run's rows; `facts` are the columns that the run does not know (night, series, checkpoint, good, ...)."""
    return [{**facts, **_row(run, cell, k)} for cell in run.cells for k in ks]


def _row(run: ScoredRun, cell: Cell, k: int) -> dict[str, Any]:
    task, score = run.task(cell.task), cell.score(k)
    interval = mean_interval(score.values)
    return {
        "weights_sha256": str(run.header.model(cell.model).get("sha256") or ""),
        "task": cell.task,
        "group": cell.group,
        "protocol": str(task.protocol),
        "data_sha256": str(task.data_sha256),
        "n_problems": len(cell.problem_ids),
        "n_samples": cell.samples[0],
        "temperature": float("nan") if cell.temperature is None else cell.temperature,
        "k": k,
        "score": score.mean,
        "low95": interval.low,
        "high95": interval.high,
        "tokens_per_forward": cell.tokens_per_forward,
        "infrastructure_errors": cell.n_broken,
        "config_sha256": run.header.config_sha256,
        "sampling_sd": sampling_noise(cell.n, cell.c, k),
    }


def trend_table(history: pd.DataFrame, nights: int = 14) -> Table:
    """A row per metric, a column per night (the last ones), scores in percent."""
    last = list(dict.fromkeys(history["night"]))[-nights:]
    columns = [Column("series"), Column("metric"), *(Column(night, True, (night,)) for night in last)]
    rows = []
    several = history.groupby(["series", "task"])["temperature"].nunique().max() > 1
    keys = ["series", "task", "group", "temperature", "k"]
    for (series, task, group, heat, k), part in history.groupby(keys, sort=False, dropna=False):
        by_night = {str(night): float(score) for night, score in zip(part["night"], part["score"], strict=True)}
        where = f"{task} ({group})" if group else task
        where = f"{where} T={heat:g}" if several else where
        found = [by_night.get(night, float("nan")) for night in last]
        entries = [Entry(percent(score), values=(score,)) for score in found]
        rows.append((text_entry(series), text_entry(f"{where} pass@{k} (%)"), *entries))
    note = f"{len(set(history['night']))} nights in the history; the last {len(last)} are shown."
    return Table(
        tuple(columns),
        tuple(rows),
        "Unpaired scores: differences between nights are judged by the comparison.",
        (note,),
    )


def trend_plot(history: pd.DataFrame, nights: int = 60) -> Plot | None:
    """Scores over the nights with their intervals, a panel per task and k; None for a single night."""
    from mtp_eval.results.report.figure import Looks, Plot, finish, legend, make_panels

    last = list(dict.fromkeys(history["night"]))[-nights:]
    if len(last) < 2:
        return None
    place = {night: number for number, night in enumerate(last)}
    history = history[history["night"].isin(last) & history["score"].notna()]
    groups = list(history.groupby(["task", "group", "k"], sort=False))
    figure, axes = make_panels(len(groups))
    looks = Looks()
    for ax, ((task, group, k), part) in zip(axes, groups, strict=False):
        several = part["temperature"].nunique() > 1
        for (series, heat), of_series in part.groupby(["series", "temperature"], sort=False, dropna=False):
            xs = [place[night] for night in of_series["night"]]
            label = f"{series}, T={heat:g}" if several else str(series)
            look = looks(label)
            band = 100 * of_series["low95"].to_numpy(), 100 * of_series["high95"].to_numpy()
            ax.fill_between(xs, *band, color=look["color"], alpha=0.15, linewidth=0)
            ax.plot(xs, 100 * of_series["score"].to_numpy(), label=label, **look)
        step = max(1, len(last) // 6)
        ax.set_xticks(range(0, len(last), step), [night[:10] for night in last[::step]], rotation=30, ha="right")
        finish(ax, f"{task} ({group})" if group else str(task), "", f"pass@{k} (%)")
    legend(figure)
    return Plot("trends", "Scores over the nights; bands are 95 % intervals over problems.", figure)

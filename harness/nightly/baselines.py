"""Baselines of a night: the runs that an evaluation is compared with, by the names that a config gives them.

    last-good   the last night that was evaluated, compared and had no loss
    previous    the last night that was evaluated
    first       the first good night, or the last one that --accept has made the level
    mean-7      the last 7 good nights, their samples put together
    SERIES      another series of the same night
    FOLDER[::MODEL]  one run, until --accept puts a night in its place

"No earlier night" is the only reason for which nothing is compared and all is well. A baseline that is there and cannot be
read, was changed, is incomplete or measures something else is an error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mtp_eval.harness.errors import InputError, MtpEvalError
from mtp_eval.harness.nightly.config import NightlyConfig
from mtp_eval.harness.nightly.evaluations import Evaluation, old_folder_name, renamed
from mtp_eval.results.compare.folders import split_model
from mtp_eval.results.run import Run, read_run

if TYPE_CHECKING:
    import pandas as pd

WORDS = ("last-good", "previous", "first")
MEAN = re.compile(r"mean-([1-9]\d*)")
SAME = 1e-9


class NoBaseline(Exception):  # noqa: N818 - it says why there is none, and that this is well
    """There is nothing to compare with yet."""


class BaselineError(MtpEvalError):
    """A baseline is there and cannot be used."""


def check_baselines(config: NightlyConfig) -> None:
    """Find out before hours of work that a baseline does not exist.

    Raises:
        InputError: it is neither a word, nor a series, nor a run; or the only series is its only baseline.
        RunError: the run cannot be read.
    """
    if set(config.baseline) == set(config.models) and len(config.models) == 1:
        raise InputError(
            f"baseline = {config.baseline[0]}: the only series would be compared with itself alone, and no night could ever "
            "fail; name last-good, another series or a run"
        )
    for name in config.baseline:
        if name not in (*WORDS, *config.models) and not MEAN.fullmatch(name):
            folder, model = split_model(name)
            pinned(read_run(folder), model, name)


def past_rows(earlier: pd.DataFrame, evaluation: Evaluation) -> pd.DataFrame:
    """The history's rows of the same series and task, oldest first."""
    names = earlier["run_folder"].map(lambda path: str(path).rpartition("/")[2])
    of_older = (earlier["asked"] == "") & (names == old_folder_name(evaluation))
    return earlier[(earlier["series"] == evaluation.series) & ((earlier["asked"] == evaluation.task) | of_older)]


def baseline_run(
    config: NightlyConfig, name: str, evaluation: Evaluation, tonight: Sequence[Evaluation], earlier: pd.DataFrame
) -> Run:
    """The run to compare with, its model named after where it comes from.

    Raises:
        NoBaseline: there is no earlier night, or the series is itself the baseline.
        BaselineError, ResultsError: the baseline cannot be used.
    """
    if name in config.models:
        return of_series(name, evaluation, tonight)
    past = past_rows(earlier, evaluation)
    mean = MEAN.fullmatch(name)
    if name not in WORDS and not mean:
        accepted = past[past["accepted"].astype(bool) & past["baselines"].map(lambda names: name in names.split("\n"))]
        if len(accepted):
            return of_night(config, evaluation, past, accepted["night"].iloc[-1])
        folder, model = split_model(name)
        return usable(pinned(read_run(folder), model, name))
    if past.empty:
        raise NoBaseline("there is no earlier night to compare with")
    nights = chosen_nights(name, past)
    if not mean:
        return of_night(config, evaluation, past, nights[-1])
    runs = [of_night(config, evaluation, past, night) for night in nights[-int(mean[1]) :]]
    return put_together(runs, f"{evaluation.series}, mean of {len(runs)} nights to {nights[-1]}")


def chosen_nights(name: str, past: pd.DataFrame) -> list[str]:
    """The nights that a word may mean, oldest first, the one to take last.

    Raises:
        BaselineError: there are earlier nights, and none of them is good.
    """
    nights = list(dict.fromkeys(past["night"]))
    if name == "previous":
        return nights
    good = set(past["night"][past["good"].astype(bool)])
    found = [night for night in since_accepted(past) if night in good]
    if not found:
        raise BaselineError(f"{len(nights)} earlier nights, none of them good: look into them, then --accept one")
    return found[:1] if name == "first" else found


def since_accepted(rows: pd.DataFrame) -> list[str]:
    """The nights from the last accepted one on, oldest first; all where none was accepted."""
    nights = list(dict.fromkeys(rows["night"]))
    accepted = rows["night"][rows["accepted"].astype(bool)]
    return nights[nights.index(accepted.iloc[-1]) :] if len(accepted) else nights


def of_series(name: str, evaluation: Evaluation, tonight: Sequence[Evaluation]) -> Run:
    """Another series of the same night on the same task.

    Raises:
        NoBaseline: the series is itself the baseline.
        BaselineError: the baseline's series could not be evaluated on the task.
    """
    if evaluation.series == name:
        raise NoBaseline("it is the baseline itself")
    for other in tonight:
        if (other.series, other.task) == (name, evaluation.task) and other.run and not other.problem:
            return other.run
    raise BaselineError(f"the baseline {name} could not be evaluated on {evaluation.task} tonight")


def of_night(config: NightlyConfig, evaluation: Evaluation, past: pd.DataFrame, night: str) -> Run:
    """The run of an earlier night, if it still is what the history says of it.

    Raises:
        BaselineError: the folder holds another run, or one that is damaged or changed.
    """
    rows = past[past["night"] == night]
    run = usable(read_run(config.out / str(rows["run_folder"].iloc[0])))
    if run.header.config_sha256 != rows["config_sha256"].iloc[0]:
        raise BaselineError(f"{run.folder} is another run than the one of night {night}: its configuration differs")
    refuse_changed(run, rows.to_dict("records"), night)
    return renamed(run, f"{evaluation.series} of {night}")


def refuse_changed(run: Run, rows: Sequence[Mapping[Any, Any]], night: str) -> None:
    """Raise where a score that the records give is not the one that the history has.

    Raises:
        BaselineError: naming the scores.
    """
    cells = {(cell.task, cell.group, cell.temperature): cell for cell in run.cells}
    for row in rows:
        heat = None if np.isnan(row["temperature"]) else float(row["temperature"])
        cell = cells.get((row["task"], row["group"], heat))
        score = float("nan") if cell is None else cell.score(int(row["k"])).mean
        if not np.isclose(score, row["score"], rtol=0.0, atol=SAME, equal_nan=True):
            raise BaselineError(
                f"the records of {run.folder} give {100 * score:.2f} % on {row['task']} at pass@{row['k']}, night {night} had "
                f"{100 * row['score']:.2f} %: they have been changed since"
            )


def usable(run: Run) -> Run:
    """The run, if all of it is there.

    Raises:
        BaselineError: completions are missing or lines damaged.
    """
    if not run.is_complete:
        lacking = "; ".join(f"{n:,} completions of {model} on {task}" for (model, task), n in run.missing().items())
        raise BaselineError(f"the baseline {run.folder} is not whole: it lacks {lacking or run.damage}")
    return run


def pinned(run: Run, model: str | None, name: str) -> Run:
    """The one model of a run that a config names.

    Raises:
        InputError: it has several and none is named, or not the one that is.
    """
    if model is None and len(run.models) > 1:
        raise InputError(f"baseline {name} has several models ({', '.join(run.models)}); name one as FOLDER::MODEL")
    label = model or run.models[0]
    if label not in run.models:
        raise InputError(f"baseline {name}: the run has no model {label}; it has {', '.join(run.models)}")
    return renamed(replace(run, cells=run.cells_of(label)), f"{run.name}/{label}")


def put_together(runs: Sequence[Run], name: str) -> Run:
    """One run with the samples of several, which must have been made on the same problems.

    Raises:
        BaselineError: the nights have different cells or problems.
    """
    last = renamed(runs[-1], name)
    cells = []
    for place, cell in enumerate(last.cells):
        same = [run.cells[place] for run in runs if len(run.cells) == len(last.cells)]
        if len(same) != len(runs) or any(
            (c.name[1:], c.problem_ids) != (cell.name[1:], cell.problem_ids) for c in same
        ):
            raise BaselineError("the nights to be averaged were not made on the same tasks and problems")
        n, c, broken = (np.sum(part, axis=0) for part in zip(*((s.n, s.c, s.broken) for s in same), strict=True))
        cells.append(replace(cell, n=n, c=c, broken=broken))
    return replace(last, cells=tuple(cells))

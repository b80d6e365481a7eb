"""`nightly`: evaluate tonight's checkpoints, compare them with earlier nights, keep the history, and say so to a CI.

    config -> check everything -> (train) -> one run per series and task -> comparisons, drift -> history -> outputs

A night that was interrupted is continued by the next call. From the first moment on, summary.md and junit.xml say that the
night is not finished, so that a night that is killed is never green. Not covered: scheduling, which is cron's or the CI's
(docs/nightly.md).
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mtp_eval.harness.errors import InputError, MtpEvalError
from mtp_eval.harness.nightly.baselines import check_baselines
from mtp_eval.harness.nightly.comparisons import Fault, Night, compare_night
from mtp_eval.harness.nightly.config import NightlyConfig, newest, overrides
from mtp_eval.harness.nightly.evaluations import OURS, Evaluation, evaluate, folder_of, within
from mtp_eval.harness.nightly.ledger import NightState, known_history, past_nights, save_history
from mtp_eval.harness.progress import say
from mtp_eval.results.history import history_rows, with_rows

if TYPE_CHECKING:
    import pandas as pd


def evaluate_night(config: NightlyConfig, name: str | None = None, accept: bool = False) -> Night:
    """Train what is to be trained, run what is missing, compare it and add it to the history.

    `accept` makes tonight the good level that later nights are held to, whatever the comparison says.

    Raises:
        InputError: a task, an option or a baseline that does not exist.
    """
    history = check_night(config)
    deadline = time.monotonic() + 60.0 * config.budget_minutes if config.budget_minutes else None
    night = open_night(config, name)
    train_all(config, night, deadline)
    for evaluation in night.evaluations:
        evaluate(evaluation, config, deadline)
    compare_night(config, night, history[history["night"] != night.name])
    keep_night(config, night, history, accept)
    return night


def check_night(config: NightlyConfig) -> pd.DataFrame:
    """Find what is wrong before hours of work; returns the history.

    Raises:
        InputError, TaskError, ResultsError: a task that is unknown or lacks its data, a baseline that does not exist.
    """
    from mtp_eval.tasks.registry import load_task

    for task in config.task:
        load_task(task, data_dir=config.run_config("checked", task, config.out).data_dir).problems()
    check_baselines(config)
    return known_history(config.out)


def open_night(config: NightlyConfig, name: str | None) -> Night:
    """A new night, or the last one where it was left unfinished with the same specs."""
    specs, problems = found_specs(config.models)
    states = past_nights(config.out)
    last = states[-1] if states else None
    unfinished = last is not None and not last.finished and dict(last.specs) == specs and name in (None, last.name)
    if name is None:
        name = last.name if unfinished and last else fresh_name({state.name for state in states})
    own = next((state for state in states if state.name == name), None)
    number = own.number if own else 1 + max((state.number for state in states), default=0)
    folder = config.out / name
    folder.mkdir(parents=True, exist_ok=True)
    NightState(name, number, specs, finished=False).write(folder)
    say(f"night {name}{' (continued)' if unfinished else ''}: {', '.join(f'{s} = {p}' for s, p in specs.items())}")
    evaluations = [
        Evaluation(series, specs[series], task, folder_of(folder, series, task), problem=problems.get(series, ""))
        for series in config.models
        for task in config.task
    ]
    return Night(name, number, folder, evaluations)


def fresh_name(taken: set[str]) -> str:
    """The time, with a number where a clock has been set back to it."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H%M%SZ")
    return now if now not in taken else next(f"{now}-{n}" for n in range(2, 10_000) if f"{now}-{n}" not in taken)


def found_specs(models: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Each series' spec with its pattern replaced by the newest match; and why those without a match have none."""
    specs, problems = {}, {}
    for series, spec in models.items():
        specs[series] = spec
        try:
            specs[series] = newest(spec)
        except InputError as error:
            problems[series] = f"{error}"
    return specs, problems


def keep_night(config: NightlyConfig, night: Night, history: pd.DataFrame, accept: bool) -> None:
    """Add the night to its night.json and to the history; it is good where nothing was found against it, or accepted."""
    worse = {id(e) for e, _ in (*night.regressions(config), *night.drifts)}
    rows = []
    for evaluation in night.evaluations:
        run = evaluation.found
        if run is None:
            continue
        at_fault = any(fault.of_all or fault.of is evaluation for fault in night.faults)
        rows += history_rows(
            run,
            run.ks,
            night=night.name,
            series=evaluation.series,
            checkpoint=evaluation.spec,
            asked=evaluation.task,
            regressed=not accept and id(evaluation) in worse,
            good=accept or (id(evaluation) not in worse and not at_fault),
            accepted=accept,
            baselines="\n".join(config.baseline),
            run_folder=evaluation.folder.relative_to(config.out).as_posix(),
        )
    finished = not any(evaluation.out_of_time for evaluation in night.evaluations)
    specs = {evaluation.series: evaluation.spec for evaluation in night.evaluations}
    NightState(night.name, night.number, specs, finished, rows).write(night.folder)
    save_history(config.out, with_rows(history[history["night"] != night.name], rows))


def train_all(config: NightlyConfig, night: Night, deadline: float | None) -> None:
    """Train every checkpoint that is not finished; one that cannot be trained is a fault of the night, not its end."""
    for step in config.train:
        try:
            with within(deadline) as fits:
                train_if_needed(step.preset, step.out, overrides(step.set))
            if fits.over:
                raise MtpEvalError(f"the budget of {config.budget_minutes:g} minutes ended while it was trained")
        except OURS as error:
            night.faults.append(Fault(f"training {step.out}", f"{error}"))
    if config.train:  # a pattern may match what has been trained just now
        specs, problems = found_specs(config.models)
        for evaluation in night.evaluations:
            evaluation.spec, evaluation.problem = specs[evaluation.series], problems.get(evaluation.series, "")


def train_if_needed(what: str, out: Path, changes: Sequence[str]) -> None:
    """Train a checkpoint, or continue its training, unless it is finished."""
    from mtp_eval.harness.training.command import train_checkpoint
    from mtp_eval.harness.training.config_files import named_config

    manifest = out / "training.json"
    if manifest.is_file():
        training = json.loads(manifest.read_text("utf-8")).get("training", {})
        if training.get("step") == training.get("total_steps"):
            return
    train_checkpoint(named_config(what, changes), out, what, resume=out.exists() and any(out.iterdir()))

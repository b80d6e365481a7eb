"""`nightly`: evaluate tonight's checkpoints, compare them with an earlier night, keep the history, and say so to a CI.

    config -> (train) -> one run per series and task -> history -> comparisons -> summary.md, junit.xml, report.html

A night that was interrupted is continued by the next call. Everything is written before the exit code is decided. Not
covered: scheduling, which is cron's or the CI's (docs/nightly.md).
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

from filelock import FileLock, Timeout

from mtp_eval.harness.errors import InputError, MtpEvalError
from mtp_eval.harness.nightly.config import NightlyConfig, newest, overrides
from mtp_eval.harness.progress import say
from mtp_eval.results.compare.comparison import Comparison, compare_runs, corrected
from mtp_eval.results.compare.folders import split_model
from mtp_eval.results.errors import NotComparable
from mtp_eval.results.files import dump_json, write_atomically
from mtp_eval.results.history import add_to_history, history_rows, read_history
from mtp_eval.results.run import Run, read_run

STATE = "night.json"
HISTORY = "history.parquet"
BASELINES = ("last-good", "previous", "first")


@dataclass
class Evaluation:
    """One series on one task tonight. `problem` says why it is not there, or empty."""

    series: str
    spec: str
    task: str
    folder: Path
    run: Run | None = None
    seconds: float = 0.0
    problem: str = ""


@dataclass
class Night:
    """What came of a night."""

    name: str
    folder: Path
    evaluations: list[Evaluation]
    comparisons: list[Comparison] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    uncompared: list[tuple[Evaluation, str]] = field(default_factory=list)

    def regressions(self, alpha: float, tolerance: float) -> list[Comparison]:
        """Comparisons that fail the night."""
        return [c for c in self.comparisons if c.is_regression(alpha, tolerance / 100.0)]


def evaluate_night(config: NightlyConfig, name: str | None = None, accept: bool = False) -> Night:
    """Train what is to be trained, run what is missing, compare it and add it to the history.

    `accept` makes tonight the good level that later nights are held to, whatever the comparison says.

    Raises:
        InputError: a glob that matches nothing, or a baseline that is neither series nor run.
    """
    with only_one(config.out):
        return _evaluate_night(config, name, accept)


def _evaluate_night(config: NightlyConfig, name: str | None, accept: bool) -> Night:
    deadline = time.monotonic() + 60.0 * config.budget_minutes if config.budget_minutes else None
    for step in config.train:
        with within(deadline) as fits:
            train_if_needed(step.preset, step.out, overrides(step.set))
        if fits.over:
            raise MtpEvalError(f"the budget of {config.budget_minutes:g} minutes ended while training {step.out}")
    specs = {series: newest(spec) for series, spec in config.models.items()}
    check_baseline(config)
    night = open_night(config, specs, name)
    for evaluation in night.evaluations:
        evaluate(evaluation, config, deadline)
    finish_night(config, night, accept)
    return night


def open_night(config: NightlyConfig, specs: dict[str, str], name: str | None) -> Night:
    """A new night, or the last one where it was left unfinished with the same specs."""
    unfinished = None if name else last_unfinished(config.out, specs)
    name = name or unfinished or datetime.now(UTC).strftime("%Y-%m-%dT%H%M%SZ")
    folder = config.out / name
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / STATE, dump_json({"night": name, "specs": specs, "finished": False}))
    say(f"night {name}{' (continued)' if unfinished else ''}: {', '.join(f'{s} = {p}' for s, p in specs.items())}")
    evaluations = [
        Evaluation(series, spec, task, folder / f"{series}-{task}".replace("/", "_").replace(":", "_"))
        for series, spec in specs.items()
        for task in config.task
    ]
    return Night(name, folder, evaluations)


def last_unfinished(out: Path, specs: dict[str, str]) -> str | None:
    """The newest night, if it did not get to its end and evaluates the same checkpoints."""
    states = sorted(out.glob(f"*/{STATE}"))
    if not states:
        return None
    try:
        state = json.loads(states[-1].read_text("utf-8"))
    except ValueError:
        return None
    return states[-1].parent.name if not state.get("finished") and state.get("specs") == specs else None


def evaluate(evaluation: Evaluation, config: NightlyConfig, deadline: float | None) -> None:
    """Run one evaluation within the time left; what it could not finish stays in its folder."""
    from mtp_eval.harness.evaluation.run import run

    started = time.monotonic()
    try:
        if deadline is not None and started >= deadline:
            evaluation.problem = "not started: the budget was used up"
            return
        say(f"{evaluation.series} on {evaluation.task}")
        with within(deadline) as fits:
            run(config.run_config(evaluation.spec, evaluation.task, evaluation.folder))
        if fits.over:
            evaluation.problem = "stopped: the budget was used up"
            return
        found = read_run(evaluation.folder)
        if not found.is_complete:
            evaluation.problem = "incomplete: completions are missing"
        evaluation.run = renamed(found, evaluation.series)
    except MtpEvalError as error:
        evaluation.problem = f"{error}"
    finally:
        evaluation.seconds = time.monotonic() - started


def finish_night(config: NightlyConfig, night: Night, accept: bool) -> None:
    """Compare with the baseline, then add the night to the history and mark it finished."""
    history_path = config.out / HISTORY
    history = read_history(history_path)
    earlier = history[history["night"] != night.name]
    comparisons: list[Comparison] = []
    for evaluation in night.evaluations:
        if evaluation.run is None or evaluation.problem:
            continue
        try:
            found = baseline_run(config, night, evaluation, earlier)
            if isinstance(found, str):
                night.uncompared.append((evaluation, found))
                continue
            comparisons += compare_runs(found, evaluation.run, evaluation.run.ks)
        except (NotComparable, InputError) as error:
            night.uncompared.append((evaluation, f"{error}"))
    night.comparisons = corrected(comparisons)
    rows: list[dict[str, Any]] = []
    for evaluation in night.evaluations:
        if evaluation.run is not None and not evaluation.problem:
            folder = evaluation.folder.relative_to(config.out).as_posix()
            run = evaluation.run
            bad = {(c.candidate_model, c.task) for c in night.regressions(config.alpha, config.tolerance)}
            regressed = not accept and (evaluation.series, evaluation.task) in bad
            names = (night.name, evaluation.series, evaluation.spec)
            rows += history_rows(*names, run, run.ks, folder, regressed)
    if rows:
        add_to_history(history_path, rows)
    finished = not any(e.problem.startswith(("stopped", "not started")) for e in night.evaluations)
    state = {"night": night.name, "specs": {e.series: e.spec for e in night.evaluations}, "finished": finished}
    write_atomically(night.folder / STATE, dump_json(state))


def baseline_run(config: NightlyConfig, night: Night, evaluation: Evaluation, earlier: Any) -> Run | str:
    """The run to compare with, its model named after where it comes from; or a sentence on why there is none."""
    if config.baseline in config.models:
        if evaluation.series == config.baseline:
            return "it is the baseline itself"
        for other in night.evaluations:
            if (other.series, other.task) == (config.baseline, evaluation.task) and other.run and not other.problem:
                return other.run
        return f"the baseline {config.baseline} was not evaluated on {evaluation.task} tonight"
    if config.baseline in BASELINES:
        same_task = earlier["run_folder"].map(lambda path: str(path).rpartition("/")[2]) == evaluation.folder.name
        past = earlier[(earlier["series"] == evaluation.series) & same_task]
        if config.baseline == "last-good":
            past = past[~past["regressed"].astype(bool)]
        if past.empty:
            return "there is no earlier night to compare with"
        row = past.iloc[0 if config.baseline == "first" else -1]
        return renamed(read_run(config.out / str(row["run_folder"])), f"{evaluation.series} of {row['night']}")
    folder, model = split_model(config.baseline)
    found = read_run(folder)
    if model is None and len(found.models) > 1:
        raise InputError(f"baseline {folder} has several models ({', '.join(found.models)}); name one as FOLDER::MODEL")
    label = model or found.models[0]
    return renamed(replace(found, cells=found.cells_of(label)), f"{found.name}/{label}")


def renamed(run: Run, name: str) -> Run:
    """A run of one model, under another name for it."""
    return run.relabelled(dict.fromkeys(run.models, name))


def check_baseline(config: NightlyConfig) -> None:
    """Find out before hours of work that the baseline does not exist.

    Raises:
        InputError: it is neither a word, nor a series, nor a run.
    """
    if config.baseline not in (*BASELINES, *config.models):
        read_run(split_model(config.baseline)[0])


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


@contextmanager
def only_one(out: Path) -> Iterator[None]:
    """Two nights at once would write one history.

    Raises:
        InputError: another process holds the folder.
    """
    out.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(out / ".lock", timeout=0):
            yield
    except Timeout:
        raise InputError(f"another nightly is writing {out}; wait for it, or give this one another `out`") from None


@dataclass
class Budget:
    """Whether the time ran out."""

    over: bool = False


@contextmanager
def within(deadline: float | None) -> Iterator[Budget]:
    """Interrupt the work inside, as Ctrl-C would, when the deadline passes; what was done is journalled by the run."""
    budget = Budget()
    if deadline is None:
        yield budget
        return

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        budget.over = True
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, max(0.01, deadline - time.monotonic()))
    try:
        yield budget
    except KeyboardInterrupt:
        if not budget.over:
            raise
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)

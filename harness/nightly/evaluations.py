"""One series on one task tonight: run within the time that is left, and never at the expense of the others."""

from __future__ import annotations

import signal
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from urllib.parse import quote

from mtp_eval.harness.errors import MtpEvalError, disk_sentence
from mtp_eval.harness.nightly.config import NightlyConfig
from mtp_eval.harness.progress import say
from mtp_eval.results.errors import ResultsError
from mtp_eval.results.run import Run, read_run
from mtp_eval.sandbox.errors import IsolationUnavailable, SandboxError
from mtp_eval.tasks.errors import TaskError

OURS = (MtpEvalError, TaskError, ResultsError, SandboxError)
NOT_STARTED, STOPPED = "not started: the budget was used up", "stopped: the budget was used up"


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

    @property
    def found(self) -> Run | None:
        """Its run, if it was evaluated as a whole."""
        return None if self.problem else self.run

    @property
    def out_of_time(self) -> bool:
        """Whether the budget ended before or while it was evaluated."""
        return self.problem in (NOT_STARTED, STOPPED)


def folder_of(night: Path, series: str, task: str) -> Path:
    """The folder of a series' run on a task, inside a night's folder; no two share one."""
    return night / _folder_name(series) / _folder_name(task)


def _folder_name(text: str) -> str:
    """The text as the name of one folder; "." and ".." would be others."""
    name = quote(text, safe=" @+,=")
    return name.replace(".", "%2E") if set(name) <= {"."} else name


def old_folder_name(evaluation: Evaluation) -> str:
    """The name of that folder in versions before 0.2."""
    return f"{evaluation.series}-{evaluation.task}".replace("/", "_").replace(":", "_")


def renamed(run: Run, name: str) -> Run:
    """A run of one model, under another name for it."""
    return run.relabelled(dict.fromkeys(run.models, name))


def evaluate(evaluation: Evaluation, config: NightlyConfig, deadline: float | None) -> None:
    """Run one evaluation within the time left; what it could not finish stays in its folder.

    Whatever goes wrong is the `problem` of this evaluation only, but for isolation that the host cannot give.

    Raises:
        IsolationUnavailable: no evaluation of this night could be made.
    """
    if evaluation.problem:
        return
    started = time.monotonic()
    try:
        if deadline is not None and started >= deadline:
            evaluation.problem = NOT_STARTED
            return
        _evaluate(evaluation, config, deadline)
    except IsolationUnavailable:
        raise
    except OURS as error:
        evaluation.problem = f"{error}"
    except Exception as error:
        disk = disk_sentence(error) if isinstance(error, OSError) else None
        if disk is None:
            traceback.print_exc()
        evaluation.problem = disk or f"unexpected {type(error).__name__}: {error}"
    finally:
        evaluation.seconds = time.monotonic() - started


def _evaluate(evaluation: Evaluation, config: NightlyConfig, deadline: float | None) -> None:
    from mtp_eval.harness.evaluation.run import run

    say(f"{evaluation.series} on {evaluation.task}")
    with within(deadline) as fits:
        run(config.run_config(evaluation.spec, evaluation.task, evaluation.folder))
    if fits.over:
        evaluation.problem = STOPPED
        return
    found = read_run(evaluation.folder)
    if not found.is_complete:
        evaluation.problem = (
            f"incomplete: {sum(found.missing().values()):,} completions are missing {found.damage}".rstrip()
        )
    elif sum(cell.n_broken for cell in found.cells) == sum(cell.n_completions for cell in found.cells):
        evaluation.problem = "the sandbox broke on every program"
    evaluation.run = renamed(found, evaluation.series)


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

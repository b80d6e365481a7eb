"""The one evaluation loop: candidates -> programs -> outcomes -> records -> metrics and table.

    plan ── references pass here? ── candidates ── sandbox ── journal ── metrics.json, table.md ── Run

`run` hands in candidates that a model writes, `score` those of a file. What the journal holds already is not judged again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mtp_eval.harness.errors import InputError
from mtp_eval.harness.evaluation.execution import ExecutionOptions
from mtp_eval.harness.evaluation.judging import Candidate, Judge, refuse_unjudged
from mtp_eval.harness.evaluation.plan import Plan
from mtp_eval.harness.evaluation.references import check_references
from mtp_eval.harness.evaluation.timing import Clock, Timing
from mtp_eval.harness.progress import progress, say
from mtp_eval.results.finish import finish
from mtp_eval.results.run import Run
from mtp_eval.results.store import RunStore
from mtp_eval.sandbox import Executor


class Candidates(ABC):
    """Completions on their way to a verdict, wherever they come from."""

    @abstractmethod
    def missing(self, store: RunStore) -> int:
        """How many completions the run's journal does not hold yet."""

    @abstractmethod
    def produce(self, store: RunStore, timing: Timing) -> Iterator[Candidate]:
        """Yield the missing completions, each as soon as it is there; seconds of making them go to `timing.generation_seconds`."""

    def verify(self, store: RunStore) -> None:
        """Look at the finished journal once more, before its table is made; nothing by default."""
        return


def evaluate(plan: Plan, candidates: Candidates, options: ExecutionOptions, clock: Clock | None = None) -> Run:
    """Execute and score what the run does not hold yet; write its metrics and tables.

    Args:
        clock: started before what the plan needed was loaded, so that the run's wall time includes it.

    Raises:
        MtpEvalError: a benchmark's own references do not pass here, or the journal cannot be written, or
            the sandbox broke on too many programs.
        ResultsError: the folder holds another run, or another process writes it.
        IsolationUnavailable: the sandbox cannot give the isolation asked for.
    """
    clock, timing = clock or Clock(), Timing()
    with options.open() as executor:
        header = plan.header(executor)
        with open_store(plan.folder(header), header) as store:
            n_missing = candidates.missing(store)
            if n_missing:
                timing.reference_check_seconds = check_references(plan.tasks, executor)
                judge_all_of(candidates, n_missing, executor, store, timing)
            timing.wall_seconds, timing.cpu_seconds = clock.elapsed()
            candidates.verify(store)
            run = finish(store, plan.ks, timing.as_dict(), undefined_too=plan.ks_are_wished)
    refuse_unjudged(run, options.max_infrastructure_errors)
    return run


def judge_all_of(candidates: Candidates, n_missing: int, executor: Executor, store: RunStore, timing: Timing) -> None:
    """Judge each missing completion as it comes, with progress."""
    with progress("completions judged", n_missing) as shown:
        judge = Judge(executor, store, shown, lambda: timing.generation_seconds)
        try:
            judge.judge_each(candidates.produce(store, timing))
        finally:
            timing.add(judge)


def open_store(folder: Path, header: Mapping[str, Any]) -> RunStore:
    """The run's folder, new or resumed.

    Raises:
        RunError: it holds another run, or another process writes it.
        InputError: it cannot be written.
    """
    try:
        store = RunStore.open(folder, header)
    except OSError as error:
        raise InputError(f"the run folder {folder} cannot be written: {error}; give another --out") from error
    if store.n_set_aside:
        say(
            f"{store.n_set_aside:,} lines of {folder}'s journal were set aside (damaged, doubled or infrastructure errors)"
        )
    return store


def remarks(run: Run) -> str:
    """The remarks beside a run's table: its notes, where the time of its last session went, where its files are."""
    last = [str(Timing.of(session)) for session in run.timing[-1:]]
    return "\n".join([*(f"note: {note}" for note in run.notes), *last, f"run folder: {run.folder}"])

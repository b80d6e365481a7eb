"""The gate before a score: where a benchmark's own reference solutions fail, no score is printed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mtp_eval.harness.errors import MtpEvalError
from mtp_eval.harness.evaluation.judging import judge_all
from mtp_eval.harness.progress import progress
from mtp_eval.sandbox import Executor
from mtp_eval.tasks.problem import Problem, Task

if TYPE_CHECKING:
    from mtp_eval.harness.evaluation.shards import LoadedTask


def reference_failures(task: Task, problems: Sequence[Problem], pool: Executor) -> list[str]:
    """One line for each problem whose reference is not right, through the sandbox that completions go through."""
    checked = [problem for problem in problems if problem.reference]
    prepare(task, checked)
    outcomes = judge_all((task.judge_reference(problem) for problem in checked), pool)
    return [
        f"{problem.problem_id}: {outcome.verdict} {outcome.error}".rstrip()
        for problem, outcome in zip(checked, outcomes, strict=True)
        if not outcome.passed
    ]


def prepare(task: Task, problems: Sequence[Problem]) -> None:
    """Have the task compute what its tests need, with progress: minutes the first time for some benchmarks."""
    missing = task.unprepared(problems)
    if missing:
        with progress(f"expected outputs of {task.name}, kept for later runs", len(missing)) as shown:
            for problem in missing:
                task.prepare(problem)
                shown.advance(note=problem.problem_id)


def check_references(tasks: Sequence[LoadedTask], pool: Executor) -> float:
    """Run the references of every problem of a run; returns the seconds it took.

    Raises:
        MtpEvalError: a reference does not pass here, so that no score would mean anything.
    """
    started = time.perf_counter()
    for task in tasks:
        failures = reference_failures(task.task, task.problems, pool)
        if failures:
            raise MtpEvalError(
                f"{len(failures)} of {len(task.problems)} reference solutions of {task.task.protocol} do not pass on "
                f"this machine, so its score would mean nothing: {'; '.join(failures[:5])}. A slow machine may need "
                f"a larger --timeout; `mtp-eval tasks check {task.name}` shows them all"
            )
    return time.perf_counter() - started

"""Run a benchmark's own reference solutions before it is scored: where they fail, no score is printed."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from mtp_eval.harness.errors import MtpEvalError
from mtp_eval.harness.evaluation.judging import judge_references
from mtp_eval.harness.evaluation.plan import LoadedTask
from mtp_eval.harness.progress import progress, say
from mtp_eval.sandbox import Executor, Program
from mtp_eval.sandbox.by_reference import why_inside
from mtp_eval.tasks.known_issues import known_issues
from mtp_eval.tasks.problem import Problem, Task


@dataclass(frozen=True, slots=True)
class ReferenceCheck:
    """Results of a task's reference solutions on this machine.

    Args:
        failures: one line for each problem whose reference is not right.
        known: the same for problems of which it is known that their reference fails with this Python, with the reason.
        n_checked: problems that have a reference.
        inside: problems whose tests run in the program's own interpreter from now on, where a pass could be forged.
        by_text: problems without a reference, of which the tests' text says where they run; those of them in `inside` too.
    """

    failures: tuple[str, ...]
    known: tuple[str, ...]
    n_checked: int
    inside: tuple[str, ...]
    by_text: tuple[str, ...]


def judge_task_references(task: Task, problems: Sequence[Problem], pool: Executor) -> ReferenceCheck:
    """Run a task's references through the sandbox that completions go through; this decides how those are judged."""
    checked = [problem for problem in problems if problem.reference]
    prepare(task, checked)
    outcomes = judge_references((task.judge_reference(problem) for problem in checked), pool)
    judged = list(zip(checked, outcomes, strict=True))
    reasons = {name: issue.reason for name, issue in known_issues(task.name).items() if issue.fails_here()}
    failed = {p.problem_id: f"{p.problem_id}: {o.verdict} {o.error}".rstrip() for p, o in judged if not o.passed}
    known = tuple(f"{said} (known: {reasons[name]})" for name, said in failed.items() if name in reasons)
    failures = tuple(said for name, said in failed.items() if name not in reasons)
    inside = [problem.problem_id for problem, outcome in judged if outcome.same_interpreter]
    by_text = [problem for problem in problems if not problem.reference] if task.needs == "text" else []
    inside += [problem.problem_id for problem in by_text if _is_inside(task, problem, pool)]
    by_text = [problem for problem in by_text if isinstance(task.judge_program(problem, ""), Program)]
    return ReferenceCheck(failures, known, len(checked), tuple(inside), tuple(p.problem_id for p in by_text))


def _is_inside(task: Task, problem: Problem, pool: Executor) -> bool:
    """Whether a problem without a reference is judged in the program's own interpreter."""
    match task.judge_program(problem, ""):
        case Program() as program:
            program = pool.decided(program)
            return bool(why_inside(program)) if program.same_interpreter is None else program.same_interpreter
        case _:
            return False


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
        if task.task.caution:
            say(f"{task.name}: {task.task.caution}")
        check = judge_task_references(task.task, task.problems, pool)
        failures = check.failures
        warn_of_undecided(task, check)
        for said in check.known:
            say(f"{task.task.protocol}: the reference of {said}")
        if failures:
            raise MtpEvalError(
                f"{len(failures)} of {len(task.problems)} reference solutions of {task.task.protocol} do not pass on "
                f"this machine, so its score would mean nothing: {'; '.join(failures[:5])}. A slow machine may need "
                f"a larger --timeout; `mtp-eval tasks check {task.name}` shows them all"
            )
    return time.perf_counter() - started


def warn_of_undecided(task: LoadedTask, check: ReferenceCheck) -> None:
    """Say what was decided from the tests' text alone."""
    if not check.by_text:
        return
    inside = set(check.inside) & set(check.by_text)
    print(
        f"{task.task.protocol}: {len(check.by_text)} of {len(task.problems)} problems have no reference solution, so the text "
        f"of their tests decides where these run: {len(check.by_text) - len(inside)} from outside, {len(inside)} in the "
        f"program's own interpreter, where a pass could be forged. --interpreter outside or program decides otherwise",
        file=sys.stderr,
    )

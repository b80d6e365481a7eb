"""The self-test of a task: its references pass here, programs that know nothing do not, and its data are the known ones.

What is checked depends on the task's kind; every check says what it looked at. A task that fails here gives no score.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from mtp_eval.harness.evaluation.references import reference_failures
from mtp_eval.sandbox import Executor
from mtp_eval.tasks import cheats
from mtp_eval.tasks.base import BaseTask
from mtp_eval.tasks.extract import rule_named
from mtp_eval.tasks.plus import PlusTask
from mtp_eval.tasks.plus_oracle import decode
from mtp_eval.tasks.problem import JudgedTask, Problem, Task, kind_of

N_SAMPLED_FOR_PLUS = 40


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: whether it holds, and what was seen."""

    check: str
    holds: bool
    seen: str


def check_task(task: Task, pool: Executor) -> Iterator[Finding]:
    """All checks that apply to the task."""
    problems = task.problems()
    yield Finding("data hash", True, f"{task.data_sha256[:16]}…, {len(problems)} problems")
    yield unique_ids(problems)
    yield round_trip(problems)
    kind = kind_of(task)
    if kind == "exact_match" and isinstance(task, JudgedTask):
        yield answers_judged(task, problems)
    if kind != "execution":
        return
    yield references(task, problems, pool)
    if any(problem.reference for problem in problems):
        yield references_within_reach(task, problems, pool)
    if isinstance(task, BaseTask):
        yield from cheats_fail(task, problems, pool)
    if isinstance(task, PlusTask):
        yield plus_is_more(task, pool)


def unique_ids(problems: Sequence[Problem]) -> Finding:
    """Records are keyed by the problem's id."""
    n = len({problem.problem_id for problem in problems})
    return Finding("problem ids", n == len(problems), f"{n} different of {len(problems)}")


def round_trip(problems: Sequence[Problem]) -> Finding:
    """Prompts survive UTF-8 and the journal's JSON unchanged."""
    bad = [
        problem.problem_id
        for problem in problems
        if problem.prompt.encode("utf-8", "surrogatepass").decode("utf-8", "surrogatepass") != problem.prompt
        or json.loads(json.dumps(problem.prompt)) != problem.prompt
    ]
    return Finding("prompts round-trip", not bad, few(bad) or f"all {len(problems)}")


def answers_judged(task: JudgedTask, problems: Sequence[Problem]) -> Finding:
    """References are right and an empty answer is wrong."""
    bad = [
        problem.problem_id
        for problem in problems
        if not task.judge(problem, problem.reference).passed or task.judge(problem, "").passed
    ]
    return Finding("references right, empty answers wrong", not bad, few(bad) or f"all {len(problems)}")


def references(task: Task, problems: Sequence[Problem], pool: Executor) -> Finding:
    """The benchmark's own solutions pass through the path of completions."""
    known = [problem for problem in problems if problem.reference]
    if not known:
        return Finding("references pass", True, "the benchmark publishes none in this file")
    failures = reference_failures(task, known, pool)
    return Finding(
        "references pass",
        not failures,
        f"{len(known) - len(failures)} of {len(known)}" + (f": {few(failures)}" if failures else ""),
    )


def references_within_reach(task: Task, problems: Sequence[Problem], pool: Executor) -> Finding:
    """How many references survive the protocol's own stop strings and extraction rule: a ceiling on the score."""
    known = [problem for problem in problems if problem.reference]
    cut = [rule_named("stops").apply(problem, "", problem.reference) for problem in known]
    outcomes = pool.run(task.program(problem, text) for problem, text in zip(known, cut, strict=True))
    lost = [problem.problem_id for problem, outcome in zip(known, outcomes, strict=True) if not outcome.passed]
    seen = f"{len(known) - len(lost)} of {len(known)} references survive the protocol's stops and extraction"
    return Finding("within reach", len(lost) <= len(known) // 50, seen + (f"; lost: {few(lost)}" if lost else ""))


def cheats_fail(task: BaseTask, problems: Sequence[Problem], pool: Executor) -> Iterator[Finding]:
    """Programs without knowledge of the problem."""
    callable_ = [problem for problem in problems if problem.entry_point]
    readers = [problem for problem in problems if not problem.entry_point]
    for name, source in (("prints nothing", "pass"), ("prints its input", "import sys\nprint(sys.stdin.read())")):
        if readers:
            passed = passing(task, readers, lambda _, text=source: text, pool)  # type: ignore[misc]
            yield Finding(
                f"cheat: {name}", not passed, f"passes {len(passed)} of {len(readers)} {few(passed)}".rstrip()
            )
    if not callable_:
        return
    for name, make in (("return None", cheats.returns_none), ("always equal", cheats.returns_always_equal)):
        passed = passing(task, callable_, make, pool)
        yield Finding(f"cheat: {name}", not passed, f"passes {len(passed)} of {len(callable_)} {few(passed)}".rstrip())
    tests = {problem.problem_id: task.tested(problem, "").tests for problem in callable_}
    passed = passing(task, callable_, lambda p: cheats.returns_shown_constant(p, tests[p.problem_id]), pool)
    share = len(passed) / len(callable_)
    yield Finding(
        "cheat: the first expected value",
        share <= 0.1,
        f"passes {len(passed)} of {len(callable_)} (all tests expect one value) {few(passed)}".rstrip(),
    )


def plus_is_more(task: PlusTask, pool: Executor) -> Finding:
    """A table of the base answers passes the base inputs and fails the plus inputs."""
    if not task.has_plus:
        return Finding("plus differs from base", True, "the protocol runs the base inputs only")
    chosen = [p for p in task.problems() if not task.has_special_oracle(p)][:N_SAMPLED_FOR_PLUS]
    tables = []
    for problem in chosen:
        calls = [(repr(tuple(decode(i))), repr(decode(o))) for i, o in task.base_calls(problem)]
        tables.append(cheats.returns_remembered(problem, calls))
    outcomes = list(pool.run(task.tested(p, source) for p, source in zip(chosen, tables, strict=True)))
    passed = [p.problem_id for p, outcome in zip(chosen, outcomes, strict=True) if outcome.passed]
    base = [p.problem_id for p, outcome in zip(chosen, outcomes, strict=True) if "base input" in outcome.error]
    seen = f"of {len(chosen)} tables of base answers {len(passed)} pass {few(passed)}, {len(base)} fail on base {few(base)}"
    return Finding("plus differs from base", len(passed) + len(base) <= len(chosen) // 10, seen)


def passing(task: BaseTask, problems: Sequence[Problem], make: Callable[[Problem], str], pool: Executor) -> list[str]:
    """The problems that a made-up program passes."""
    outcomes = pool.run(task.tested(problem, make(problem)) for problem in problems)
    return [problem.problem_id for problem, outcome in zip(problems, outcomes, strict=True) if outcome.passed]


def few(items: Sequence[str]) -> str:
    """The first items, and how many there are besides."""
    more = f" and {len(items) - 5} more" if len(items) > 5 else ""
    return ", ".join(items[:5]) + more

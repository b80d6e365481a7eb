"""The self-test of a task: its references are right here, programs that know nothing are not, and its data are the known ones.

Every check says what it looked at. A task that fails here gives no score.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from mtp_eval.harness.evaluation.judging import judge_all
from mtp_eval.harness.evaluation.references import judge_task_references
from mtp_eval.sandbox import Executor
from mtp_eval.tasks import cheats
from mtp_eval.tasks.extract import Asked, rule_named
from mtp_eval.tasks.problem import Cheat, Problem, Program, Task


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
    yield references(task, problems, pool)
    if task.needs == "text" and any(problem.reference for problem in problems):
        yield references_within_reach(task, problems, pool)
    yield nothing_is_wrong(task, problems, pool)
    for cheat in [*general_cheats(task, problems), *task.cheats()]:
        yield cheat_fails(task, cheat, pool)


def unique_ids(problems: Sequence[Problem]) -> Finding:
    """Check that problem ids are unique, since records are keyed by them."""
    n = len({problem.problem_id for problem in problems})
    return Finding("problem ids", n == len(problems), f"{n} different of {len(problems)}")


def round_trip(problems: Sequence[Problem]) -> Finding:
    """Check that prompts survive UTF-8 and the journal's JSON unchanged."""
    bad = [
        problem.problem_id
        for problem in problems
        if problem.prompt.encode("utf-8", "surrogatepass").decode("utf-8", "surrogatepass") != problem.prompt
        or json.loads(json.dumps(problem.prompt)) != problem.prompt
    ]
    return Finding("prompts round-trip", not bad, few(bad) or f"all {len(problems)}")


def references(task: Task, problems: Sequence[Problem], pool: Executor) -> Finding:
    """Check that the benchmark's own solutions pass where completions are judged."""
    known = [problem for problem in problems if problem.reference]
    if not known:
        return Finding("references pass", True, "the benchmark publishes none in this file")
    check = judge_task_references(task, known, pool)
    seen = f"{len(known) - len(check.failures) - len(check.known)} of {len(known)}"
    if check.inside:
        seen += f", {len(check.inside)} of them in the program's own interpreter ({few(check.inside)})"
    if check.known:
        seen += (
            f", {len(check.known)} known to fail with this Python ({few([said.split(':')[0] for said in check.known])})"
        )
    return Finding("references pass", not check.failures, seen + (f": {few(check.failures)}" if check.failures else ""))


def references_within_reach(task: Task, problems: Sequence[Problem], pool: Executor) -> Finding:
    """Check how many references survive the protocol's own stop strings and extraction rule: a ceiling on the score."""
    known = [problem for problem in problems if problem.reference]
    cut = [rule_named("stops").apply(Asked(stop=problem.stop), problem.reference).source for problem in known]
    outcomes = judge_all((task.judge(problem, text) for problem, text in zip(known, cut, strict=True)), pool)
    lost = [problem.problem_id for problem, outcome in zip(known, outcomes, strict=True) if not outcome.passed]
    seen = f"{len(known) - len(lost)} of {len(known)} references survive the protocol's stops and extraction"
    return Finding("within reach", len(lost) <= len(known) // 50, seen + (f"; lost: {few(lost)}" if lost else ""))


def nothing_is_wrong(task: Task, problems: Sequence[Problem], pool: Executor) -> Finding:
    """Check that an empty completion passes no problem."""
    outcomes = judge_all((task.judge(problem, "") for problem in problems), pool)
    passed = [problem.problem_id for problem, outcome in zip(problems, outcomes, strict=True) if outcome.passed]
    return Finding("an empty completion is wrong", not passed, few(passed) or f"all {len(problems)}")


def general_cheats(task: Task, problems: Sequence[Problem]) -> Iterator[Cheat]:
    """Yield the cheats that are tried on every task: on functions by their entry point, on programs that read standard input."""
    functions, readers = list[tuple[Problem, str]](), list[Problem]()
    for problem in problems:
        match task.judge_program(problem, ""):
            case Program(stdin_cases=()) as program if problem.entry_point:
                functions.append((problem, cheats.shown_constant(program.tests)))
            case Program(stdin_cases=cases) if cases:
                readers.append(problem)
    if readers:
        yield Cheat("prints its input", dict.fromkeys((p.problem_id for p in readers), cheats.PRINTS_INPUT))
    if functions:
        yield Cheat("return None", {p.problem_id: cheats.function_returning(p, "None") for p, _ in functions})
        yield Cheat("always equal", {p.problem_id: cheats.returns_always_equal(p) for p, _ in functions})
        shown = {p.problem_id: cheats.function_returning(p, constant) for p, constant in functions}
        yield Cheat("the first expected value", shown, allowed_share=0.1)


def cheat_fails(task: Task, cheat: Cheat, pool: Executor) -> Finding:
    """Check that a cheat passes on no more than its share of problems, and fails elsewhere for the expected reason."""
    by_id: Mapping[str, Problem] = {problem.problem_id: problem for problem in task.problems()}
    tried = list(cheat.sources)
    outcomes = judge_all((task.judge_program(by_id[name], cheat.sources[name]) for name in tried), pool)
    judged = list(zip(tried, outcomes, strict=True))
    passed = [name for name, outcome in judged if outcome.passed]
    otherwise = [name for name, outcome in judged if not outcome.passed and cheat.fails_with not in outcome.error]
    seen = f"passes {len(passed)} of {len(tried)}" + (f": {few(passed)}" if passed else "")
    seen += f"; fails {len(otherwise)} otherwise than by {cheat.fails_with!r}: {few(otherwise)}" if otherwise else ""
    return Finding(f"cheat: {cheat.name}", len(passed) + len(otherwise) <= cheat.allowed_share * len(tried), seen)


def few(items: Sequence[str]) -> str:
    """The first items, and how many there are besides."""
    more = f" and {len(items) - 5} more" if len(items) > 5 else ""
    return ", ".join(items[:5]) + more

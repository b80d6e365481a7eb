"""Extraction rules on a finished run: how much each cuts, empties and breaks, and the score under it.

Works on the raw completions in the run's journal; nothing is generated again and the run is not changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mtp_eval.harness.evaluation.judging import judge_all
from mtp_eval.results.record import Record
from mtp_eval.results.store import RunStore
from mtp_eval.sandbox import Executor
from mtp_eval.tasks.extract import rules
from mtp_eval.tasks.problem import Judgement, Problem, Program, Task
from mtp_eval.tasks.registry import load_task
from mtp_eval.tasks.rule_statistics import RuleStatistics, statistics


@dataclass(frozen=True, slots=True)
class RuleReport:
    """One rule on one model's completions for one task; `n_passed` is None where nothing was executed."""

    model: str
    task: str
    own_rule: str
    found: RuleStatistics
    n_passed: int | None


def cut_lines(folder: Path, data_dir: Path | None, rule: str) -> Iterator[str]:
    """One tab-separated line for each completion: model, task, problem, sample, and what the rule cuts from it.

    Raises:
        RunError: no run there.
        TaskError: its task or data are not, or there is no such rule.
    """
    store = RunStore.read(folder)
    own = {
        name: load_task(store.header.task(name).loaded_as, data_dir=data_dir, extract=rule)
        for name in store.header.tasks
    }
    problems = {name: {problem.problem_id: problem for problem in task.problems()} for name, task in own.items()}
    for record in store.records():
        task, problem = own[record.task], problems[record.task].get(record.problem_id)
        if problem is not None and task.needs == "text":
            text = record.completion.text.removeprefix(task.prefix(problem))
            cut = "; ".join(task.rule.apply(task.asked(problem), text).cut) or "nothing"
            yield "\t".join((record.model, record.task, record.problem_id, str(record.sample), cut))


def report_rules(folder: Path, data_dir: Path | None, pool: Executor | None) -> Iterator[RuleReport]:
    """All rules on all completions of a run that are executed programs.

    Raises:
        RunError: no run there.
        TaskError: its task or data are not.
    """
    store = RunStore.read(folder)
    records = list(store.records())
    for name in store.header.tasks:
        own = load_task(store.header.task(name).loaded_as, data_dir=data_dir)
        if own.needs != "text":
            continue
        for model in dict.fromkeys(record.model for record in records if record.task == name):
            yield from of_model(own, data_dir, model, [r for r in records if (r.model, r.task) == (model, name)], pool)


def of_model(
    own: Task, data_dir: Path | None, model: str, records: list[Record], pool: Executor | None
) -> Iterator[RuleReport]:
    """Every rule on one model's completions for one task."""
    problems = {problem.problem_id: problem for problem in own.problems()}
    pairs = []
    for record in records:
        if record.problem_id in problems:
            problem = problems[record.problem_id]  # whole programs of other harnesses begin with the prompt
            pairs.append((problem, record.completion.text.removeprefix(own.prefix(problem))))
    name = records[0].task
    for found in statistics([(own.asked(problem), text) for problem, text in pairs]):
        task = load_task(own.protocol, data_dir=data_dir, extract=found.rule)
        yield RuleReport(model, name, own.rule.name, found, n_passed(task, pairs, pool))


def n_passed(task: Task, pairs: list[tuple[Problem, str]], pool: Executor | None) -> int | None:
    """The number of right completions under the task's rule; None where programs would have to be executed for it."""
    judged = (task.judge(problem, text) for problem, text in pairs)
    if pool is not None:
        return sum(outcome.passed for outcome in judge_all(judged, pool))
    n_right = 0
    for one in judged:
        match one:
            case Program():
                return None
            case Judgement():
                n_right += one.passed
    return n_right


def rule_table(reports: list[RuleReport]) -> str:
    """A Markdown table; the run's own rule has a star."""
    lines = [
        "| model | task | rule | completions | changed | emptied | broken | compile | right |",
        "| :--- | :--- | :--- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for report in reports:
        found = report.found
        star = "*" if found.rule == report.own_rule else ""
        right = (
            "–" if report.n_passed is None else f"{report.n_passed} ({100 * report.n_passed / max(found.n, 1):.1f} %)"
        )
        cells = (
            report.model,
            report.task,
            found.rule + star,
            found.n,
            found.n_changed,
            found.n_emptied,
            found.n_broken,
        )
        lines.append("| " + " | ".join(map(str, (*cells, found.n_compile, right))) + " |")
    for report in reports:
        if report.found.rule == "stops" and report.found.cut_by:
            cuts = ", ".join(
                f"{stop!r} {n}" for stop, n in sorted(report.found.cut_by.items(), key=lambda item: -item[1])
            )
            lines.append(f"\n{report.model} on {report.task}: stop strings that still cut: {cuts}")
    lines.append(f"\n* the run's own rule. {'; '.join(f'{rule.name}: {rule.summary}' for rule in rules().values())}.")
    return "\n".join(lines)

"""Prompts, tests and references of finished runs, found again in the benchmark's files: a run keeps hashes only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from mtp_eval.results.record import sha256_text
from mtp_eval.results.report.data import ProblemTexts
from mtp_eval.results.scores.scored import ScoredRun
from mtp_eval.sandbox.program import Program
from mtp_eval.tasks.errors import TaskError
from mtp_eval.tasks.problem import Judgement, Problem, Task


def find_problems(
    runs: Sequence[ScoredRun], prompts: Mapping[tuple[str, str], str], data_dir: Path | None = None
) -> tuple[dict[tuple[str, str], ProblemTexts], list[str]]:
    """Find each problem's texts in its benchmark, where the task can be loaded and the prompt has the recorded hash.

    Args:
        prompts: the hash of the prompt by task and problem.
    """
    from mtp_eval.tasks.registry import load_task

    facts = {name: run.task(name) for run in runs for name in run.header.tasks}
    texts: dict[tuple[str, str], ProblemTexts] = {}
    missing = []
    for name, task in facts.items():
        try:
            loaded = load_task(task.loaded_as, data_dir=data_dir)
            problems = loaded.problems()
        except (TaskError, OSError):
            missing.append(name)
            continue
        for problem in problems:
            key = (name, problem.problem_id)
            if sha256_text(problem.prompt) == prompts.get(key):
                prompt = (
                    problem.prompt if task.protocol in (loaded.protocol, None) else ""
                )  # a file's model was asked another
                texts[key] = ProblemTexts(prompt, tests_of(loaded, problem), problem.reference)
        if not any(found == name for found, _ in texts):
            missing.append(name)
    return texts, missing


def tests_of(task: Task, problem: Problem) -> str:
    """The tests of a problem's programs, as text; empty where an answer is compared."""
    judged = task.judge_reference(problem)
    match judged:
        case Program():
            cases = (f"# input\n{given}\n# expected output\n{expected}" for given, expected in judged.stdin_cases)
            return "\n".join(filter(None, (judged.prelude, judged.tests, *cases)))
        case Judgement():
            return ""

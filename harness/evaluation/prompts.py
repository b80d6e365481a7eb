"""Prompts of finished runs, found again in the benchmark's files: a run keeps their hashes only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mtp_eval.results.record import Record, sha256_text
from mtp_eval.results.scores.scored import ScoredRun
from mtp_eval.tasks.errors import TaskError


def find_prompts(
    runs: Sequence[ScoredRun], records: Sequence[Record], data_dir: Path | None = None
) -> tuple[dict[tuple[str, str], str], list[str]]:
    """Prompts by task and problem, where the task can be loaded and its prompt has the recorded hash."""
    from mtp_eval.tasks.registry import load_task

    facts = [run.task(name) for run in runs for name in run.header.tasks]
    protocols = {
        task.name: task.protocol for task in facts if not task.is_given
    }  # of the others nobody knows the prompt
    hashes = {(r.task, r.problem_id): r.prompt_sha256 for r in records}
    prompts: dict[tuple[str, str], str] = {}
    missing = []
    for name, protocol in protocols.items():
        try:
            problems = load_task(str(protocol or name), data_dir=data_dir).problems()
        except (TaskError, OSError):
            missing.append(name)
            continue
        for problem in problems:
            key = (name, problem.problem_id)
            if key in hashes and sha256_text(problem.prompt) == hashes[key]:
                prompts[key] = problem.prompt
        if not any(task == name for task, _ in prompts):
            missing.append(name)
    return prompts, missing

"""Problems of a task by their ids."""

from __future__ import annotations

from mtp_eval.tasks.problem import Problem, Task


def by_id(task: Task) -> dict[str, Problem]:
    """The task's problems."""
    return {problem.problem_id: problem for problem in task.problems()}

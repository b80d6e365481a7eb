"""Benchmarks: problems, prompts, extraction of programs, and synthetic problem generators.

    from mtp_eval.tasks import load_task

    problem = load_task("humaneval").problems()[0]

A name is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mtp_eval.tasks.errors import TaskError
    from mtp_eval.tasks.problem import Completion, Judgement, Problem, Program, Request, Task
    from mtp_eval.tasks.registry import load_task, task_names

__all__ = ["Completion", "Judgement", "Problem", "Program", "Request", "Task", "TaskError", "load_task", "task_names"]

_HOME = {"TaskError": "errors", "load_task": "registry", "task_names": "registry"}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME.get(name, 'problem')}"), name)

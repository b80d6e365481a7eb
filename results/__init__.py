"""Run folders, what is computed from them, and the tables, reports and comparisons that show it.

    from mtp_eval.results import read_run

    print(read_run("runs/mine").table())

A name is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mtp_eval.results.errors import ResultsError
    from mtp_eval.results.frame import load_completions, load_scores
    from mtp_eval.results.run import Run, read_run, read_runs

__all__ = ["ResultsError", "Run", "load_completions", "load_scores", "read_run", "read_runs"]

_HOME = {
    "ResultsError": "errors",
    "Run": "run",
    "load_completions": "frame",
    "load_scores": "frame",
    "read_run": "run",
    "read_runs": "run",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)

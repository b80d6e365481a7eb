"""Runs untrusted programs and says what became of each: `Program` in, `Outcome` with a `Verdict` out.

`Executor` is the class that runs them (its docstring shows how to write one); `Pool` is the one for this machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mtp_eval.sandbox.executor import Executor
from mtp_eval.sandbox.outcome import Outcome, Verdict
from mtp_eval.sandbox.program import Program

if TYPE_CHECKING:
    from mtp_eval.sandbox.pool import Pool

__all__ = ["Executor", "Outcome", "Pool", "Program", "Verdict"]


def __getattr__(name: str) -> Any:
    """`Pool` is imported when it is asked for: it brings multiprocess and selectors along."""
    if name == "Pool":
        from mtp_eval.sandbox.pool import Pool

        return Pool
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""Timing of one session of work on a run: wall and CPU seconds by what they were spent on."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Self

from mtp_eval.harness.evaluation.judging import Judge


@dataclass(slots=True)
class Clock:
    """Wall and CPU seconds of this process since it was made."""

    wall: float = field(default_factory=time.perf_counter)
    cpu: float = field(default_factory=time.process_time)

    def elapsed(self) -> tuple[float, float]:
        """Wall seconds and CPU seconds since the clock was made."""
        return time.perf_counter() - self.wall, time.process_time() - self.cpu


@dataclass(slots=True)
class Timing:
    """Wall and CPU seconds of one session; a resumed run has several.

    `cpu_seconds` is of this process, model included; the programs' own is `execution_cpu_seconds`.
    """

    n_records: int = 0
    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    generation_seconds: float = 0.0
    execution_cpu_seconds: float = 0.0
    waiting_for_execution_seconds: float = 0.0
    reference_check_seconds: float = 0.0

    @classmethod
    def of(cls, session: Mapping[str, Any]) -> Self:
        """A session as a run's timing.json has it."""
        return cls(**{one.name: session[one.name] for one in fields(cls) if one.name in session})

    def as_dict(self) -> dict[str, Any]:
        """The session's entry in timing.json."""
        return asdict(self)

    def add(self, judge: Judge) -> None:
        """Count what a judge did."""
        self.n_records += judge.n_journalled
        self.waiting_for_execution_seconds += judge.waiting_seconds
        self.execution_cpu_seconds += judge.execution_cpu_seconds

    def __str__(self) -> str:
        return (
            f"{self.n_records} completions judged in {self.wall_seconds:.1f} s: {self.generation_seconds:.1f} s generating; "
            f"executing took {self.execution_cpu_seconds:.1f} s CPU beside it and {self.waiting_for_execution_seconds:.1f} s "
            f"of waiting; {self.reference_check_seconds:.1f} s checking the references"
        )

"""The outcome of one executed program: `Outcome` and the eleven verdicts.

Passed and failed are statements about the program. `infrastructure_error` is a statement about us: it is retried and
never counted as a wrong answer. `no_completion` says that there was no program: it is not solved, and counted by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """The eleven verdicts; every completion gets exactly one."""

    PASSED = "passed"
    """Every test ran to its end and held."""
    FAILED = "failed"
    """An assertion of the tests did not hold, or the output was not the expected one."""
    ERROR = "error"
    """The program or the call into it raised an exception."""
    SYNTAX_ERROR = "syntax_error"
    """The source does not compile."""
    TIMEOUT = "timeout"
    """The CPU-time or wall-clock limit was reached."""
    MEMORY_LIMIT = "memory_limit"
    """An allocation beyond the memory limit was refused."""
    OUTPUT_LIMIT = "output_limit"
    """More was printed, written or returned than the limit allows."""
    CRASHED = "crashed"
    """The process died from a signal that was not ours."""
    EXITED_EARLY = "exited_early"
    """The process ended (sys.exit, os._exit) before the tests did."""
    NO_COMPLETION = "no_completion"
    """The model's server refused the prompt, so that nothing was written and nothing executed."""
    INFRASTRUCTURE_ERROR = "infrastructure_error"
    """The sandbox itself broke; says nothing about the program."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The verdict on one program and what it cost.

    Args:
        error: the exception's type and last line, capped, or a sentence; empty for a pass.
        wall_seconds, cpu_seconds: of the program, its compilation included.
        peak_bytes: the largest resident size of the program's process; 0 where the host does not say.
        same_interpreter: the tests ran inside the program's own interpreter, where a pass could be forged.
        n_retries: how often the program was run again (after a timeout, or when a worker died).
        timeout_sensitive: a timeout that turned into another verdict when the program was run alone.
        isolation: the name of the isolation that was in force ("full", "process", ...).
        failed_test: which assert of the tests failed, counted from 0 in the order of their text, or which input of a program
            that reads standard input; None where no single one did.
        failed_line: the line of the tests at which that was.
        expression: the assert as it stands there, capped.
        expected, actual: what it compared, as text in one line, escaped and capped; seen by the trusted side, so both are
            empty where the tests ran in the program's own interpreter.
    """

    verdict: Verdict
    error: str = ""
    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_bytes: int = 0
    same_interpreter: bool = False
    n_retries: int = 0
    timeout_sensitive: bool = False
    isolation: str = ""
    failed_test: int | None = None
    failed_line: int | None = None
    expression: str = ""
    expected: str = ""
    actual: str = ""

    @property
    def explanation(self) -> str:
        """The failed assert in a line: where it stands, what it says, what it expected and what it got."""
        where = f"line {self.failed_line}: " if self.failed_line is not None else ""
        values = f": expected {self.expected}, got {self.actual}" if self.expected or self.actual else ""
        return f"{where}{self.expression}{values}"

    @property
    def passed(self) -> bool:
        """Whether the program is right."""
        return self.verdict is Verdict.PASSED

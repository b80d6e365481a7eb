"""What the sandbox is given: any object with these attributes (`tasks.problem.Program` is one)."""

from __future__ import annotations

from typing import Protocol


class Program(Protocol):
    """Untrusted source and trusted tests; the fields are described at `tasks.problem.Program`."""

    @property
    def problem_id(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def tests(self) -> str: ...
    @property
    def prelude(self) -> str: ...
    @property
    def stdin_cases(self) -> tuple[tuple[str, str], ...]: ...
    @property
    def timeout_seconds(self) -> float | None: ...
    @property
    def same_interpreter(self) -> bool: ...

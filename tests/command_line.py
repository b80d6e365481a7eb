"""Helper of tests that call commands through typer's runner."""

from __future__ import annotations

from typer.testing import Result

from mtp_eval.harness.cli import exit_code


def exit_code_of(result: Result) -> int:
    """The exit code that `mtp-eval` ends with: the parser's own, or that of the error that a command raised."""
    error = result.exception
    return exit_code(error) if isinstance(error, Exception) else result.exit_code

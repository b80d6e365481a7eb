"""The command line: parse, dispatch, and turn every error into one paragraph and an exit code.

A command is built, and what is heavy is imported (torch, pandas, pydantic, rich), only when it is called, so that
`mtp-eval --help` answers at once.
"""

from __future__ import annotations

import importlib
import io
import logging
import os
import sys
from functools import partial
from typing import Annotated, Any

import typer

from mtp_eval.harness.commands.lazy import Loader, group
from mtp_eval.harness.errors import InputError, MtpEvalError, disk_sentence
from mtp_eval.results.errors import RegressionFound, ResultsError
from mtp_eval.sandbox.errors import IsolationUnavailable, SandboxError, SandboxOptionError
from mtp_eval.tasks.errors import TaskError

INTERRUPTED = 130
EXIT_CODES: dict[type[Exception], int] = {
    InputError: 2,
    TaskError: 2,
    RegressionFound: 3,
    ResultsError: 2,
    IsolationUnavailable: 4,
    SandboxOptionError: 2,
    SandboxError: 1,
    MtpEvalError: 1,
}
"""The exit code of every error that is explained in one paragraph; the first class that fits counts."""

COMMANDS = {
    "Evaluate": ("run", "score", "study", "speed", "merge", "nightly", "demo"),
    "Read results": ("table", "compare", "report", "runs"),
    "Make models": ("train", "presets", "convert", "models"),
    "Look at the parts": ("tasks", "data", "sandbox"),
}
"""Headings of --help with their commands; `run` is the object of that name in harness/commands/run.py."""

UsageError: Any = typer.BadParameter.__base__
"""The library's error for a command line that it cannot parse; it has no public name."""


def load(name: str) -> Any:
    """The command of this name."""
    return getattr(importlib.import_module(f"mtp_eval.harness.commands.{name}"), name)


def loaders() -> dict[str, dict[str, Loader]]:
    """`COMMANDS` with a loader in place of each name."""
    return {heading: {name: partial(load, name) for name in names} for heading, names in COMMANDS.items()}


app = group(loaders(), add_completion=True)


def print_version(wanted: bool) -> None:
    """Print the version and stop."""
    if wanted:
        from importlib import metadata

        print(f"mtp-eval {metadata.version('mtp-eval')}")
        raise typer.Exit


@app.callback()
def mtp_eval(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=print_version, is_eager=True)
    ] = False,
) -> None:
    """Train, decode, execute and score next-token and multi-token-prediction code models.

    `mtp-eval COMMAND --help` shows a command's options with examples; docs/cli.md has the exit codes.
    """
    if context.invoked_subcommand is None:
        print(context.get_help())


def main() -> None:
    """Entry point of the console script; exit codes are listed in docs/cli.md."""
    # Threads that spin while they wait starve the sandbox's workers and one another; read when torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    for stream in (sys.stdout, sys.stderr):  # a terminal that lacks a character gets its escape, not an exception
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    logging.basicConfig(level=logging.WARNING, format="mtp-eval: %(levelname)s: %(message)s")
    try:
        code = app(standalone_mode=False, prog_name="mtp-eval")
    except tuple(EXIT_CODES) as error:
        print(f"mtp-eval: {error}", file=sys.stderr)
        raise SystemExit(exit_code(error)) from None
    except UsageError as error:
        print(f"mtp-eval: {usage(error)}", file=sys.stderr)
        raise SystemExit(2) from None
    except OSError as error:
        said = disk_sentence(error)
        if said is None:
            raise
        print(f"mtp-eval: {said}", file=sys.stderr)
        raise SystemExit(1) from None
    if code == INTERRUPTED:  # the library's answer to Ctrl-C
        print("mtp-eval: interrupted; the same command continues where this one stopped", file=sys.stderr)
    raise SystemExit(code if isinstance(code, int) else 0)


def usage(error: Any) -> str:
    """A sentence on what was wrong with the command line, and where its help is."""
    command = error.ctx.command_path if error.ctx else "mtp-eval"
    message = error.format_message().replace("Value error, ", "").replace(": Input should", ": it should")
    said = message if message.endswith("?") else f"{message.rstrip('.')};"
    return f"{said} `{command} --help` lists what there is"


def exit_code(error: Exception) -> int:
    """The exit code of an error, by `EXIT_CODES`."""
    return next(code for kind, code in EXIT_CODES.items() if isinstance(error, kind))


if __name__ == "__main__":
    main()

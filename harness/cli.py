"""The command line: parse, dispatch, and turn every error into one paragraph and an exit code.

Heavy imports (torch, pandas, datasets) happen inside the commands, so that `mtp-eval --help` answers at once.
"""

from __future__ import annotations

import logging
import os
import sys

import typer

from mtp_eval.harness.commands.compare import compare
from mtp_eval.harness.commands.convert import convert
from mtp_eval.harness.commands.data import data
from mtp_eval.harness.commands.demo import demo
from mtp_eval.harness.commands.models import models
from mtp_eval.harness.commands.nightly import nightly
from mtp_eval.harness.commands.presets import presets
from mtp_eval.harness.commands.report import report
from mtp_eval.harness.commands.run import run
from mtp_eval.harness.commands.runs import runs
from mtp_eval.harness.commands.sandbox import app as sandbox_app
from mtp_eval.harness.commands.score import score
from mtp_eval.harness.commands.table import table
from mtp_eval.harness.commands.tasks import app as tasks_app
from mtp_eval.harness.commands.train import train
from mtp_eval.harness.errors import InputError, MtpEvalError
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

app = typer.Typer(
    name="mtp-eval",
    help="Train, decode, execute and score next-token and multi-token-prediction code models.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


app.command()(convert)
app.command()(demo)
app.command()(models)
app.command()(presets)
app.command()(run)
app.command()(score)
app.command()(table)
app.command()(compare)
app.command()(report)
app.command()(nightly)
app.command()(runs)
app.command()(train)
app.add_typer(tasks_app, name="tasks")
app.add_typer(sandbox_app, name="sandbox")
app.add_typer(data)


def main() -> None:
    """Entry point of the console script; exit codes are listed in docs/cli.md."""
    # Threads that spin while they wait starve the sandbox's workers and one another; read when torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    logging.basicConfig(level=logging.WARNING, format="mtp-eval: %(levelname)s: %(message)s")
    try:
        app()
    except tuple(EXIT_CODES) as error:
        print(f"mtp-eval: {error}", file=sys.stderr)
        raise SystemExit(exit_code(error)) from None
    except SystemExit as ended:  # typer turns Ctrl-C into this
        if ended.code == INTERRUPTED:
            print("mtp-eval: interrupted; the same command continues where this one stopped", file=sys.stderr)
        raise


def exit_code(error: Exception) -> int:
    """What `EXIT_CODES` says of an error."""
    return next(code for kind, code in EXIT_CODES.items() if isinstance(error, kind))

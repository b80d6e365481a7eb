"""`mtp-eval runs`: past runs, listed and filtered."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from mtp_eval.harness.commands.options import command
from mtp_eval.results.choices import RunState, TableFormat


@command("mtp-eval runs", "mtp-eval runs nightly --task 'mbpp*' --since 2026-11-01 --state unfinished")
def runs(
    folder: Annotated[Path, typer.Argument(help="Where to look, at any depth.")] = Path("runs"),
    model: Annotated[
        str | None, typer.Option(metavar="LABEL", help="Runs of a model of this label; * stands for anything.")
    ] = None,
    task: Annotated[
        str | None, typer.Option(metavar="NAME", help="Runs of this task or protocol; * stands for anything.")
    ] = None,
    since: Annotated[
        datetime | None,
        typer.Option(metavar="YYYY-MM-DD", formats=["%Y-%m-%d"], help="Runs started on or after this day."),
    ] = None,
    state: Annotated[RunState | None, typer.Option(help="Runs in this state.")] = None,
    format: Annotated[TableFormat, typer.Option(help="Form of the output.")] = "markdown",
) -> None:
    """List past runs with what they measured, oldest first."""
    from mtp_eval.harness.errors import InputError
    from mtp_eval.results.listing import find_runs, keep, runs_table
    from mtp_eval.results.tables.render import render

    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}; runs are written below runs/ unless --out says otherwise")
    day = None if since is None else since.date().isoformat()
    found = [run for run in find_runs(folder) if keep(run, model, task, day, state)]
    print(render(runs_table(found, folder), format), end="")

"""`mtp-eval runs`: past runs, listed and filtered."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def runs(
    folder: Annotated[Path, typer.Argument(help="Where to look, at any depth.")] = Path("runs"),
    model: Annotated[str | None, typer.Option(help="Runs of a model of this label; * stands for anything.")] = None,
    task: Annotated[str | None, typer.Option(help="Runs of this task or protocol; * stands for anything.")] = None,
    since: Annotated[str | None, typer.Option(help="Runs started on or after this day, such as 2026-11-01.")] = None,
    state: Annotated[str | None, typer.Option(help="complete, incomplete or unfinished.")] = None,
    format: Annotated[str, typer.Option(help="markdown, csv, latex or html.")] = "markdown",
) -> None:
    """List past runs with what they measured, oldest first."""
    from mtp_eval.harness.errors import InputError
    from mtp_eval.results.listing import find_runs, keep, runs_table
    from mtp_eval.results.tables.render import FORMATS, render

    if format not in FORMATS:
        raise InputError(f"--format {format}: expected one of {', '.join(FORMATS)}")
    if state not in (None, "complete", "incomplete", "unfinished"):
        raise InputError(f"--state {state}: expected complete, incomplete or unfinished")
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}; runs are written below runs/ unless --out says otherwise")
    found = [run for run in find_runs(folder) if keep(run, model, task, since, state)]
    print(render(runs_table(found, folder), format), end="")

"""`mtp-eval table`: the figures of one or more runs in a form for people, papers and spreadsheets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def table(
    run: Annotated[list[Path], typer.Argument(help="Run folders.")],
    format: Annotated[str, typer.Option(help="markdown, csv, latex or html.")] = "markdown",
    k: Annotated[str | None, typer.Option(help="Values of k, comma-separated. [default: the runs' own]")] = None,
) -> None:
    """Print the scores of runs with their intervals and everything that the numbers depend on."""
    from mtp_eval.harness.finished_runs import read_runs, wanted_ks
    from mtp_eval.results.render import render
    from mtp_eval.results.tables import results_table

    runs = read_runs(run)
    print(render(results_table(runs, wanted_ks(runs, k)), format), end="")

"""`mtp-eval table`: the figures of one or more runs in a form for people, papers and spreadsheets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def table(
    run: Annotated[list[Path], typer.Argument(help="Run folders.")],
    format: Annotated[str, typer.Option(help="markdown, csv, latex or html.")] = "markdown",
    style: Annotated[
        str, typer.Option(help="standard, by-n, by-size, speed, overhead or temperature; see docs/results.md.")
    ] = "standard",
    k: Annotated[str | None, typer.Option(help="Values of k, comma-separated. [default: the runs' own]")] = None,
    baseline: Annotated[
        str | None, typer.Option(help="Run folder, or FOLDER::MODEL: add the paired difference from it.")
    ] = None,
    pool_seeds: Annotated[
        bool, typer.Option(help="One row per recipe: models whose labels differ by their seed only.")
    ] = False,
    level: Annotated[float, typer.Option(help="Level of the intervals: 0.95 or 0.9.")] = 0.95,
    out: Annotated[Path | None, typer.Option(help="Write to this file instead of printing.")] = None,
) -> None:
    """Print the scores of runs with their intervals and everything that the numbers depend on."""
    from mtp_eval.harness.tabling import table_text

    text = table_text(run, format, style, k, baseline, pool_seeds, level)
    if out is None:
        print(text, end="")
    else:
        from mtp_eval.results.files import write_atomically

        out.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(out, text)

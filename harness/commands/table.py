"""`mtp-eval table`: the figures of one or more runs in a form for people, papers and spreadsheets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mtp_eval.harness.commands.options import command
from mtp_eval.results.choices import TableFormat, TableStyle


@command(
    "mtp-eval table runs/mine runs/other --format latex",
    "mtp-eval table runs/n1 runs/n4 --baseline runs/n1",
)
def table(
    run: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders.")],
    format: Annotated[TableFormat, typer.Option(help="Form of the output.")] = "markdown",
    style: Annotated[TableStyle, typer.Option(help="What the rows and columns are; see docs/results.md.")] = "standard",
    k: Annotated[str | None, typer.Option(metavar="K,K,...", help="Values of k.", show_default="the runs' own")] = None,
    baseline: Annotated[
        str | None,
        typer.Option(metavar="RUN", help="Run folder, or FOLDER::MODEL: add the paired difference from it."),
    ] = None,
    pool_seeds: Annotated[
        bool, typer.Option(help="One row per recipe: models whose labels differ by their seed only.")
    ] = False,
    level: Annotated[
        float, typer.Option(metavar="X", min=0.5, help="Level of the intervals, such as 0.95 or 0.9.")
    ] = 0.95,
    out: Annotated[Path | None, typer.Option(metavar="PATH", help="Write to this file instead of printing.")] = None,
) -> None:
    """Print the scores of runs with their intervals and everything that the numbers depend on."""
    from mtp_eval.harness.outputs import try_file

    try_file(out, "--out")
    text = table_text(run, format, style, k, baseline, pool_seeds, level)
    if out is None:
        print(text, end="")
    else:
        from mtp_eval.results.files import write_atomically

        out.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(out, text)


def table_text(
    folders: list[Path],
    format: TableFormat,
    style: TableStyle,
    k: str | None,
    baseline: str | None,
    pool_seeds: bool,
    level: float,
) -> str:
    """The table as text.

    Raises:
        InputError: options that exclude each other.
        ResultsError: an unusable folder, k or baseline.
    """
    from mtp_eval.harness.errors import InputError
    from mtp_eval.results.compare.baseline import with_differences
    from mtp_eval.results.compare.folders import split_model
    from mtp_eval.results.compare.seeds import pooled_table
    from mtp_eval.results.run import read_run, read_runs, wanted_ks
    from mtp_eval.results.tables.render import render
    from mtp_eval.results.tables.standard import results_table
    from mtp_eval.results.tables.styles import styled_table

    if level >= 1.0:
        raise InputError(f"--level {level}: expected a share from 0.5 to below 1, such as 0.95")
    if style != "standard" and (baseline or pool_seeds):
        raise InputError("--baseline and --pool-seeds go with --style standard")
    if baseline and pool_seeds:
        raise InputError("--baseline and --pool-seeds cannot be given together; `compare --pool-seeds` does both")
    runs = read_runs(folders)
    ks = wanted_ks(runs, k)
    if pool_seeds:
        return render(pooled_table(runs, ks, level), format)
    if baseline:
        folder, model = split_model(baseline)
        return render(with_differences(runs, read_run(folder), model, ks, level), format)
    return render(results_table(runs, ks, level) if style == "standard" else styled_table(style, runs, ks), format)

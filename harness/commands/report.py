"""`mtp-eval report`: one self-contained HTML page for a set of runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mtp_eval.harness.commands.options import DataDir, command


@command(
    "mtp-eval report runs/mine --out report.html",
    "mtp-eval report runs/n1 runs/n4 --baseline n1 --plots plots",
)
def report(
    run: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders.")],
    out: Annotated[Path, typer.Option(metavar="PATH", help="The page to write.")] = Path("report.html"),
    k: Annotated[str | None, typer.Option(metavar="K,K,...", help="Values of k.", show_default="the runs' own")] = None,
    baseline: Annotated[
        str | None,
        typer.Option(metavar="LABEL", help="Label of the model to compare with.", show_default="the first"),
    ] = None,
    plots: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Also write every plot as PNG and SVG into this folder.")
    ] = None,
    data_dir: DataDir = None,
    most_completions: Annotated[int, typer.Option(metavar="N", min=1, help="Completions the page may hold.")] = 200_000,
    title: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Title of the page.", show_default="the runs' names")
    ] = None,
) -> None:
    """Write summary, plots, paired comparison, verdicts and all completions into one page that needs no network."""
    from functools import partial

    from mtp_eval.harness.evaluation.prompts import find_problems
    from mtp_eval.harness.outputs import try_file, try_folder
    from mtp_eval.harness.progress import say
    from mtp_eval.results.report.write import write_report

    try_file(out, "--out")
    try_folder(plots, "--plots")
    find = partial(find_problems, data_dir=data_dir)
    for remark in write_report(run, out, k, baseline, plots, find_problems=find, most=most_completions, title=title):
        say(remark)
    print(out)

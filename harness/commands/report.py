"""`mtp-eval report`: one self-contained HTML page for a set of runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    run: Annotated[list[Path], typer.Argument(help="Run folders.")],
    out: Annotated[Path, typer.Option(help="The page to write.")] = Path("report.html"),
    k: Annotated[str | None, typer.Option(help="Values of k, comma-separated. [default: the runs' own]")] = None,
    baseline: Annotated[
        str | None, typer.Option(help="Label of the model to compare with. [default: the first]")
    ] = None,
    plots: Annotated[Path | None, typer.Option(help="Also write every plot as PNG and SVG into this folder.")] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Benchmark files, to show prompts. [default: $MTP_EVAL_DATA]")
    ] = None,
    most_completions: Annotated[int, typer.Option(help="Completions the page may hold.")] = 200_000,
    title: Annotated[str | None, typer.Option(help="Title of the page.")] = None,
) -> None:
    """Write summary, plots, paired comparison, verdicts and all completions into one page that needs no network."""
    from functools import partial

    from mtp_eval.harness.evaluation.prompts import find_prompts
    from mtp_eval.harness.progress import say
    from mtp_eval.results.report.write import write_report

    find = partial(find_prompts, data_dir=data_dir)
    for remark in write_report(run, out, k, baseline, plots, find, most_completions, title):
        say(remark)
    print(out)

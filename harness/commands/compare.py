"""`mtp-eval compare`: two models on the same problems, paired, with exit code 3 on a significant regression."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from mtp_eval.harness.commands.options import command


@command(
    "mtp-eval compare runs/last-week runs/today --fail-on-regression",
    "mtp-eval compare runs/mine::n1 runs/mine::n4 --k 1,10",
)
def compare(
    baseline: Annotated[
        str | None, typer.Argument(metavar="RUN", help="Run folder, or FOLDER::MODEL for one of its models.")
    ] = None,
    candidate: Annotated[
        str | None,
        typer.Argument(metavar="RUN", help="The same. Left out: the baseline's other models against its first."),
    ] = None,
    k: Annotated[
        str | None, typer.Option(metavar="K,K,...", help="Values of k.", show_default="those of both runs")
    ] = None,
    alpha: Annotated[
        float, typer.Option(metavar="X", help="Chance of any false alarm over all comparisons together.")
    ] = 0.05,
    tolerance: Annotated[
        float, typer.Option(metavar="X", min=0.0, help="Points a score may drop before it is a regression.")
    ] = 0.0,
    margin: Annotated[
        float,
        typer.Option(
            metavar="X",
            min=0.0,
            max=100.0,
            help="Test that the candidate is not worse by so many points or more.",
            show_default="no test",
        ),
    ] = 0.0,
    fail_on_regression: Annotated[
        bool, typer.Option(help="Exit with 3 when the candidate is worse, or not shown to be within the margin.")
    ] = False,
    on_common_problems: Annotated[bool, typer.Option(help="Compare where the problem sets differ.")] = False,
    format: Annotated[
        Literal["markdown", "csv", "latex", "html", "json"], typer.Option(help="Form of the output.")
    ] = "markdown",
    flips: Annotated[int, typer.Option(metavar="N", min=0, help="Problems to list per direction.")] = 20,
    pool_seeds: Annotated[
        bool, typer.Option(help="Models that differ by their seed only are one recipe; join run folders with commas.")
    ] = False,
    power: Annotated[
        bool,
        typer.Option(
            help="Smallest difference that such runs can detect, before a run.", rich_help_panel="Before a run"
        ),
    ] = False,
    problems: Annotated[
        int,
        typer.Option(
            metavar="N", min=1, help="--power without a run: number of problems.", rich_help_panel="Before a run"
        ),
    ] = 500,
    score: Annotated[
        float,
        typer.Option(
            metavar="X",
            min=0.0,
            max=1.0,
            help="--power without a run: baseline's pass@1 as a share.",
            rich_help_panel="Before a run",
        ),
    ] = 0.3,
    agreement: Annotated[
        float | None,
        typer.Option(
            metavar="X",
            min=0.0,
            max=1.0,
            help="--power: correlation of two models' chances per problem.",
            show_default="0.8",
            rich_help_panel="Before a run",
        ),
    ] = None,
) -> None:
    """Compare two runs problem by problem: difference with interval, exact test, problems won and lost."""
    from mtp_eval.harness.errors import InputError
    from mtp_eval.results.compare.folders import compare_folders, compare_pooled, power_report, regression_gate

    if power:
        print(power_report(baseline, candidate, problems, score, agreement), end="")
        return
    if margin and pool_seeds:
        raise InputError("--margin and --pool-seeds cannot be given together")
    pooled = compare_pooled(baseline, candidate, k) if pool_seeds else None
    result = pooled or compare_folders(baseline, candidate, k, alpha, on_common_problems, margin / 100.0)
    print(result.text(format, alpha, flips), end="")
    if fail_on_regression:
        regression_gate(result.comparisons, alpha, tolerance / 100.0)

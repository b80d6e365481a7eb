"""`mtp-eval nightly`: tonight's checkpoints against an earlier night, for cron and CI."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mtp_eval.harness.commands.options import command


@command("mtp-eval nightly nightly.toml --dry-run", "mtp-eval nightly nightly.toml --accept")
def nightly(
    config: Annotated[Path, typer.Argument(metavar="CONFIG.toml", help="See docs/nightly.md.")],
    night: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Name of the night.", show_default="the time, or that of an unfinished night"
        ),
    ] = None,
    accept: Annotated[
        bool, typer.Option("--accept", help="Take tonight's scores as the good level, whatever the comparison says.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be evaluated, and stop.")] = False,
) -> None:
    """Train or take checkpoints, run, compare, report. Exit code 3 on a significant regression."""
    from mtp_eval.harness.nightly.config import newest, read_nightly
    from mtp_eval.harness.nightly.night import check_baseline, evaluate_night
    from mtp_eval.harness.nightly.output import decide, summary, write_outputs
    from mtp_eval.harness.outputs import try_folder

    settings = read_nightly(config)
    try_folder(settings.out, "out")
    if dry_run:
        check_baseline(settings)
        for step in settings.train:
            print(f"train {step.preset} into {step.out}")
        for series, spec in settings.models.items():
            print(f"evaluate {series} = {newest(spec)} on {', '.join(settings.task)}")
        return
    found = evaluate_night(settings, night, accept)
    write_outputs(settings, found)
    print(summary(settings, found), end="")
    decide(settings, found, accept)

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
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, print what would be evaluated, and stop.")
    ] = False,
    notify: Annotated[
        str | None,
        typer.Option(
            metavar="COMMAND", help="Run this command with the summary on its standard input, whatever the result is."
        ),
    ] = None,
) -> None:
    """Evaluate tonight's checkpoints and compare them with earlier nights; exit code 3 on a significant regression."""
    from mtp_eval.harness.nightly.call import dry_run as show
    from mtp_eval.harness.nightly.call import nightly_call

    if dry_run:
        show(config)
    else:
        nightly_call(config, night, accept, notify)

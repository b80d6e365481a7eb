"""`mtp-eval run`: generate completions, execute them, score them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mtp_eval.harness.commands.options import Given, command

if TYPE_CHECKING:
    from mtp_eval.harness.evaluation.config import RunConfig


def config_class() -> type[RunConfig]:
    """The class of the options."""
    from mtp_eval.harness.evaluation.config import RunConfig

    return RunConfig


@command(
    "mtp-eval run --model ckpt --task mbpp",
    "mtp-eval run --model ckpt --model hf:gpt2 --task humaneval,mbpp --n-samples 20 --k 1,10 --temperature 0.2",
    config=config_class,
)
def run(
    given: Given,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH", help="TOML file with the same keys; options given here win.", rich_help_panel="Files"
        ),
    ] = None,
    repeat: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="RUN",
            help="Run folder or run.json to repeat; options given here win.",
            rich_help_panel="Files",
        ),
    ] = None,
) -> None:
    """Generate completions, execute them, score them; print the table and write a run folder.

    The same command continues a run that was interrupted, and prints the table again when it is complete.
    """
    from mtp_eval.harness.evaluation.evaluate import remarks
    from mtp_eval.harness.evaluation.repeat import folder_of, options_of_run
    from mtp_eval.harness.evaluation.run import run as run_all
    from mtp_eval.harness.progress import say
    from mtp_eval.results.header import differences, read_header

    again = options_of_run(repeat) if repeat else {}
    settings = config_class().given(again | given, config)
    result = run_all(settings)
    if repeat:
        for line in differences(read_header(folder_of(repeat)), read_header(result.folder)):
            say(f"not as in {repeat}: {line}")
    say(remarks(result))
    print(result.table(settings.k))

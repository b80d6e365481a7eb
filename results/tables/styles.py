"""Named table styles: the standard table and the layouts of the multi-token-prediction paper (arXiv 2404.19737).

    standard     a row per model, task, group and temperature (results.tables.standard)
    by-n         Table 1: a row per model, sorted by n; columns task x k (results.tables.by_model)
    by-size      Table S7: rows by parameters and n
    speed        Tables S2 and S3: a row per number of heads used; speed-up and tokens per forward by task (results.tables.costs)
    overhead     Table S5: training time relative to n = 1
    temperature  oracle, fixed and cross-validated choice of the temperature side by side (results.tables.temperatures)

Not covered: numbers of the paper itself; they are in no table of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from mtp_eval.results.errors import OptionError
from mtp_eval.results.scores.scored import ScoredRun
from mtp_eval.results.tables.by_model import by_n, by_size
from mtp_eval.results.tables.costs import overhead_table, speed_table
from mtp_eval.results.tables.layout import Layout
from mtp_eval.results.tables.render import Table
from mtp_eval.results.tables.standard import standard_table
from mtp_eval.results.tables.temperatures import temperature_table

Style = Callable[[Sequence[ScoredRun], Sequence[int], Layout], Table]
STYLES: Mapping[str, tuple[Style, str]] = {
    "standard": (standard_table, "the runs hold no records"),
    "by-n": (by_n, "the runs hold no records"),
    "by-size": (by_size, "the runs hold no records"),
    "speed": (speed_table, "no run counted forward passes"),
    "overhead": (overhead_table, "no model says how long its training took (training.json beside the weights)"),
    "temperature": (temperature_table, "no score is defined at a known temperature"),
}
"""Each style's function, and why there may be nothing to show."""


def checked_style(style: str) -> str:
    """The style, if it is one of `STYLES`.

    Raises:
        OptionError: it is not.
    """
    if style not in STYLES:
        raise OptionError(f"--style {style}: expected one of {', '.join(STYLES)}")
    return style


def styled_table(style: str, runs: Sequence[ScoredRun], ks: Sequence[int], layout: Layout | None = None) -> Table:
    """The table in one of `STYLES`.

    Raises:
        OptionError: an unknown style, or runs that have nothing for it.
    """
    make, reason = STYLES[checked_style(style)]
    table = make(runs, ks, layout or Layout())
    if not table.rows:
        raise OptionError(f"--style {style} has nothing to show: {reason}")
    return table


def without_empty(table: Table) -> Table:
    """The table without the rows and columns in which no figure stands."""
    numeric = [i for i, column in enumerate(table.columns) if column.parts]
    rows = [row for row in table.rows if any(row[i].has_value for i in numeric) or not numeric]
    kept = [i for i in range(len(table.columns)) if i not in numeric or any(row[i].has_value for row in rows)]
    spread = [name for name, width in table.groups for _ in range(width)]
    groups: list[tuple[str, int]] = []
    for i in kept if spread else ():
        if groups and groups[-1][0] == spread[i]:
            groups[-1] = (spread[i], groups[-1][1] + 1)
        else:
            groups.append((spread[i], 1))
    columns = tuple(table.columns[i] for i in kept)
    return replace(
        table, columns=columns, rows=tuple(tuple(row[i] for i in kept) for row in rows), groups=tuple(groups)
    )

"""Table and plot of a speed measurement."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from mtp_eval.harness.evaluation.speed_store import SpeedRow
from mtp_eval.results.files import write_atomically
from mtp_eval.results.report.figure import Looks, Plot, finish, legend, make_panels, shortened
from mtp_eval.results.tables.render import Column, Entry, Table, render, text_entry

FILES = {"markdown": "speed.md", "csv": "speed.csv", "latex": "speed.tex"}
LEGEND = (
    "Speed-up: over plain decoding of the same model on the same prompts, in turns; in CPU time in its own column. Tokens/s: of all "
    "completions together, and of each (a user's); the time in which prompts are run is part of both. Accepted: share of the drafts of "
    "head 2, 3, ... that were kept."
)


def speed_table(rows: Sequence[SpeedRow], machine: str) -> Table:
    """A row a measurement."""
    columns = (
        Column("model"),
        Column("text", setting=True),
        Column("prompt tokens", numeric=True, setting=True),
        Column("batch", numeric=True, setting=True),
        Column("T", numeric=True, setting=True),
        Column("heads", numeric=True),
        Column("tokens/forward", numeric=True),
        Column("accepted"),
        Column("speed-up", numeric=True),
        Column("speed-up, CPU", numeric=True),
        Column("tokens/s", numeric=True),
        Column("tokens/s a user", numeric=True),
    )
    return Table(columns, tuple(map(_cells, rows)), f"`mtp-eval speed` on {machine}.", legend=LEGEND)


def _cells(row: SpeedRow) -> tuple[Entry, ...]:
    return (
        text_entry(row.model),
        text_entry(row.domain),
        _number(row.mean_prompt_tokens, "{:.0f}"),
        _number(row.batch_size, "{}"),
        _number(row.temperature, "{:g}"),
        _number(row.heads, "{}"),
        _number(row.tokens_per_forward, "{:.2f}"),
        text_entry(" ".join(f"{share:.2f}" for share in row.acceptance)),
        _number(row.speed_up, "{:.2f}"),
        _number(row.speed_up_cpu, "{:.2f}"),
        _number(row.tokens_per_second, "{:,.0f}"),
        _number(row.tokens_per_second_per_user, "{:,.0f}"),
    )


def _number(value: float, form: str) -> Entry:
    return Entry(form.format(value), values=(float(value),))


def speed_plot(rows: Sequence[SpeedRow]) -> Plot:
    """Rate of all completions against that of one, a line for each number of heads through the batches, as servers are compared.

    Drawn at the first temperature and, for each text, the first length of prompts.
    """
    rows = [row for row in rows if row.temperature == rows[0].temperature]
    kinds = list(dict.fromkeys((row.model, row.domain) for row in rows))
    figure, axes = make_panels(len(kinds))
    looks = Looks()
    for ax, (model, domain) in zip(axes, kinds, strict=True):
        here = [row for row in rows if (row.model, row.domain) == (model, domain)]
        here = [row for row in here if row.prompt_tokens == here[0].prompt_tokens]
        for heads in sorted({row.heads for row in here}):
            line = sorted((row for row in here if row.heads == heads), key=lambda row: row.batch_size)
            label = "plain decoding" if heads == 1 else f"{heads} heads"
            xs, ys = [row.tokens_per_second_per_user for row in line], [row.tokens_per_second for row in line]
            ax.plot(xs, ys, label=label, **looks(label))
            for x, y, row in zip(xs, ys, line, strict=True):
                ax.annotate(str(row.batch_size), (x, y), textcoords="offset points", xytext=(5, 5), fontsize=7)
        ax.set_xlim(left=0)
        ax.set_ylim(bottom=0)
        length = f"{fmean(row.mean_prompt_tokens for row in here):.0f}"
        finish(ax, f"{shortened(model)}, {domain}, {length} tokens", "tokens/s a user", "tokens/s")
    legend(figure)
    caption = f"Rate of all completions against that of one at T={rows[0].temperature:g}; small figures are batches."
    return Plot("speed", caption, figure)


def write_pages(rows: Sequence[SpeedRow], machine: str, folder: Path) -> str:
    """Write table and plot into the folder; returns the table as Markdown."""
    table = speed_table(rows, machine)
    for form, name in FILES.items():
        write_atomically(folder / name, render(table, form))
    speed_plot(rows).save(folder)
    return render(table, "markdown")

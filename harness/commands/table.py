"""`mtp-eval table`: the figures of one or more runs in a form for people, papers and spreadsheets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from mtp_eval.harness.commands.options import command
from mtp_eval.results.choices import TableExport, TableGains, TableStyle


@command(
    "mtp-eval table runs/mine runs/other --format latex",
    "mtp-eval table runs/n1 runs/n4 --baseline runs/n1",
    "mtp-eval table runs/* --style by-n --format latex --names names.toml --caption 'Table 1' --label tab:main",
)
def table(
    run: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders.")],
    format: Annotated[TableExport, typer.Option(help="Form of the output.")] = "markdown",
    style: Annotated[TableStyle, typer.Option(help="What the rows and columns are; see docs/results.md.")] = "standard",
    k: Annotated[str | None, typer.Option(metavar="K,K,...", help="Values of k.", show_default="the runs' own")] = None,
    baseline: Annotated[
        str | None,
        typer.Option(metavar="RUN", help="Run folder, or FOLDER::MODEL: add the paired difference from it."),
    ] = None,
    pool_seeds: Annotated[
        bool, typer.Option(help="One row per recipe: models whose labels differ by their seed only.")
    ] = False,
    level: Annotated[
        float, typer.Option(metavar="X", min=0.5, help="Level of the intervals, such as 0.95 or 0.9.")
    ] = 0.95,
    names: Annotated[
        Path | None,
        typer.Option(metavar="NAMES.toml", help='Display names, lines of "label" = "name"; rows follow their order.'),
    ] = None,
    digits: Annotated[int, typer.Option(metavar="N", min=0, max=6, help="Decimals of scores in percent.")] = 1,
    gains: Annotated[
        TableGains, typer.Option(help="by-n, by-size: the gain over the first row, in brackets.")
    ] = "none",
    drop_empty: Annotated[
        bool, typer.Option("--drop-empty", help="Leave out rows and columns without a figure.")
    ] = False,
    caption: Annotated[str, typer.Option(metavar="TEXT", help="LaTeX: the caption.", show_default="the settings")] = "",
    label: Annotated[str, typer.Option(metavar="KEY", help="LaTeX: the label, such as tab:main.")] = "",
    out: Annotated[Path | None, typer.Option(metavar="PATH", help="Write to this file instead of printing.")] = None,
) -> None:
    """Print the scores of runs with their intervals and everything that the numbers depend on."""
    from mtp_eval.harness.errors import InputError
    from mtp_eval.harness.outputs import try_file
    from mtp_eval.harness.progress import say
    from mtp_eval.results.compare.layouts import paper_table
    from mtp_eval.results.run import read_ks, read_runs, wanted_ks
    from mtp_eval.results.tables.exports import EXPORTS, export
    from mtp_eval.results.tables.layout import Layout, named, read_names
    from mtp_eval.results.tables.render import render
    from mtp_eval.results.tables.standard import unfinished
    from mtp_eval.results.tables.styles import without_empty

    try_file(out, "--out")
    refuse_mixture(style, baseline, pool_seeds, level)
    if (label and not label.isprintable()) or set(label) & set("{}\\%#~^"):
        raise InputError(f"--label {label}: expected letters, digits, : and -, as in tab:main")
    shown = read_names(names) if names else {}
    runs = named(read_runs(run), shown)
    ks = wanted_ks(runs, read_ks(k))
    if format in EXPORTS:
        for note in unfinished(runs):
            say(note)
        text = export(format, runs, ks)
    else:
        layout = Layout(level, digits, gains, tuple(shown.values()))
        made = paper_table(runs, ks, style, layout, baseline, pool_seeds)
        made = without_empty(made) if drop_empty else made
        text = render(replace(made, caption=caption, label=label), format)
    if out is None:
        print(text, end="")
    else:
        from mtp_eval.results.files import write_atomically

        out.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(out, text)


def refuse_mixture(style: str, baseline: str | None, pool_seeds: bool, level: float) -> None:
    """Find options that exclude each other.

    Raises:
        InputError: they do.
    """
    from mtp_eval.harness.errors import InputError

    if level >= 1.0:
        raise InputError(f"--level {level}: expected a share from 0.5 to below 1, such as 0.95")
    if style != "standard" and (baseline or pool_seeds):
        raise InputError("--baseline and --pool-seeds go with --style standard")
    if baseline and pool_seeds:
        raise InputError("--baseline and --pool-seeds cannot be given together; `compare --pool-seeds` does both")

"""`table` behind its options: which layout, against which baseline, seeds pooled or not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mtp_eval.harness.errors import InputError
from mtp_eval.results.compare.baseline import with_differences
from mtp_eval.results.compare.folders import split_model
from mtp_eval.results.compare.seeds import pooled_table
from mtp_eval.results.run import read_run, read_runs, wanted_ks
from mtp_eval.results.tables.render import FORMATS, render
from mtp_eval.results.tables.standard import results_table
from mtp_eval.results.tables.styles import STYLES, styled_table


def table_text(
    folders: Sequence[Path],
    format: str,
    style: str,
    k: str | None,
    baseline: str | None,
    pool_seeds: bool,
    level: float,
) -> str:
    """The table as text.

    Raises:
        InputError: an unknown format, style or folder, options that exclude each other, or an incomparable baseline.
    """
    if format not in FORMATS:
        raise InputError(f"--format {format}: expected one of {', '.join(FORMATS)}")
    if style not in STYLES:
        raise InputError(f"--style {style}: expected one of {', '.join(STYLES)}")
    if not 0.5 <= level < 1.0:
        raise InputError(f"--level {level}: expected a share from 0.5 to below 1, such as 0.95")
    if style != "standard" and (baseline or pool_seeds):
        raise InputError("--baseline and --pool-seeds go with --style standard")
    if baseline and pool_seeds:
        raise InputError("--baseline and --pool-seeds cannot be given together; `compare --pool-seeds` does both")
    runs = read_runs(folders)
    ks = wanted_ks(runs, k)
    if pool_seeds:
        table = pooled_table(runs, ks, level)
    elif baseline:
        folder, model = split_model(baseline)
        table = with_differences(runs, read_run(folder), model, ks, level)
    elif style == "standard":
        table = results_table(runs, ks, level)
    else:
        table = styled_table(style, runs, ks)
    return render(table, format)

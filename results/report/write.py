"""`report` behind its options: reads runs once, finds the prompts, writes the page and the plots."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mtp_eval.results.compare.comparison import Comparison, compare_runs, corrected
from mtp_eval.results.errors import NotComparable, OptionError, RunError
from mtp_eval.results.files import write_atomically
from mtp_eval.results.record import Record
from mtp_eval.results.report.data import MOST
from mtp_eval.results.report.figure import Plot
from mtp_eval.results.report.page import ReportInput, report_html, report_plots
from mtp_eval.results.report.plots import loss_plot
from mtp_eval.results.run import wanted_ks
from mtp_eval.results.scores.cells import Cell, count_cells, with_distinct_labels
from mtp_eval.results.store import RunStore
from mtp_eval.results.tables.standard import Run

FindPrompts = Callable[[Sequence[Run], Sequence[Record]], tuple[dict[tuple[str, str], str], list[str]]]


def write_report(
    folders: Sequence[Path],
    out: Path,
    k: str | None = None,
    baseline: str | None = None,
    plots_folder: Path | None = None,
    find_prompts: FindPrompts | None = None,
    most: int = MOST,
    title: str | None = None,
) -> list[str]:
    """Write the page (and plots); returns remarks for the user.

    `find_prompts` gives prompts by task and problem, and the tasks whose prompts could not be found.

    Raises:
        RunError: a folder that holds no run, a baseline that is not among the models.
    """
    runs, records = read_all(folders)
    ks = wanted_ks(runs, k)
    comparisons, remarks = against_baseline(runs, ks, baseline)
    prompts, missing = find_prompts(runs, records) if find_prompts else ({}, [])
    if missing:
        remarks.append(
            f"Prompts not shown for {', '.join(missing)}: the benchmark's files are not at hand (--data-dir)."
        )
    given = ReportInput(title or _title(folders), runs, records, ks, comparisons, remarks)
    plots = report_plots(given)
    losses = loss_plot(training_folders(runs))
    plots += [losses] if losses else []
    out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(out, report_html(given, prompts, plots, most))
    if plots_folder is not None:
        save_plots(plots, plots_folder)
    return remarks


def read_all(folders: Sequence[Path]) -> tuple[list[Run], list[Record]]:
    """Runs and all of their records, under labels that differ.

    Raises:
        RunError: a folder that holds no run, or none that can be read.
    """
    plain: list[tuple[Mapping[str, Any], list[Cell]]] = []
    journals: list[list[Record]] = []
    for folder in folders:
        store = RunStore.read(folder)
        journal = list(store.records())
        if not journal:
            raise RunError(f"{folder} holds no records yet")
        journals.append(journal)
        plain.append((store.header, count_cells(store.header, journal)))
    runs = with_distinct_labels([folder.resolve().name for folder in folders], plain)
    records = []
    for (_, old), (_, new), journal in zip(plain, runs, journals, strict=True):
        label = {a.model: b.model for a, b in zip(old, new, strict=True)}
        records += [r if label[r.model] == r.model else replace(r, model=label[r.model]) for r in journal]
    return list(runs), records


def against_baseline(
    runs: Sequence[Run], ks: Sequence[int], baseline: str | None
) -> tuple[list[Comparison], list[str]]:
    """Every other model against the baseline (by default the first), wherever they can be compared.

    Raises:
        OptionError: the named baseline is not there.
    """
    labels = list(dict.fromkeys(cell.model for _, cells in runs for cell in cells))
    reference = baseline or labels[0]
    if reference not in labels:
        raise OptionError(f"--baseline {reference}: no such model; there are {', '.join(labels)}")
    remarks: list[str] = []
    comparisons: list[Comparison] = []
    holders = [run for run in runs if any(cell.model == reference for cell in run[1])]
    for run in runs:
        for label in dict.fromkeys(cell.model for cell in run[1]):
            if label == reference:
                continue
            for holder in holders:
                shared = {(c.task, c.group) for c in holder[1] if c.model == reference}
                if not shared & {(c.task, c.group) for c in run[1] if c.model == label}:
                    continue
                try:
                    comparisons += compare_runs(holder, run, ks, reference, label)
                except NotComparable as error:
                    remarks.append(f"{label} is not compared with {reference}: {error}")
    return corrected(comparisons), remarks


def training_folders(runs: Sequence[Run]) -> dict[str, Path]:
    """Where the models' training curves would lie: their checkpoint folders."""
    folders = {}
    for header, _ in runs:
        for label, facts in header.get("models", {}).items():
            path = Path(str(facts.get("spec", "")))
            if path.is_dir():
                folders[label] = path
    return folders


def save_plots(plots: Sequence[Plot], folder: Path) -> None:
    """PNG and SVG of each."""
    for plot in plots:
        plot.save(folder)


def _title(folders: Sequence[Path]) -> str:
    return "mtp-eval: " + ", ".join(folder.resolve().name for folder in folders)

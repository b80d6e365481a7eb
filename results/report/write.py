"""Write a report: read the runs once, find the prompts, write the page and the plots."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mtp_eval.results.columns import ROWS_PER_GROUP
from mtp_eval.results.compare.comparison import Comparison, compare_runs, corrected
from mtp_eval.results.errors import NotComparable, OptionError
from mtp_eval.results.files import write_in_pieces
from mtp_eval.results.report.data import MOST, Problems
from mtp_eval.results.report.figure import Plot
from mtp_eval.results.report.page import ReportInput, report_html, report_plots
from mtp_eval.results.report.plots import loss_plot
from mtp_eval.results.report.survey import ProblemKey, survey
from mtp_eval.results.run import Run, read_runs, wanted_ks

FindProblems = Callable[[Sequence[Run], Mapping[ProblemKey, str]], tuple[Problems, list[str]]]
"""From runs and the hash of each problem's prompt to what is known of the problems, and the tasks whose files are not at hand."""


def write_report(
    folders: Sequence[Path],
    out: Path,
    ks: Sequence[int] | None = None,
    baseline: str | None = None,
    plots_folder: Path | None = None,
    find_problems: FindProblems | None = None,
    most: int = MOST,
    title: str | None = None,
) -> list[str]:
    """Write the page (and plots); returns remarks for the user.

    `find_problems` gives prompts, tests and references by task and problem, and the tasks whose files could not be found.

    Raises:
        RunError: a folder that holds no run, a baseline that is not among the models.
    """
    runs = read_runs(folders)

    def tables(columns: Sequence[str], rows: int = ROWS_PER_GROUP) -> Iterator[Any]:
        return (table for run in runs for table in run.tables(columns, rows))

    found = survey(tables, most)
    ks = wanted_ks(runs, ks)
    comparisons, remarks = against_baseline(runs, ks, baseline)
    prompts = {(fact.task, fact.problem_id): fact.prompt_sha256 for fact in found.problems}
    texts, missing = find_problems(runs, prompts) if find_problems else ({}, [])
    if missing:
        remarks.append(
            f"Prompts, tests and references of {', '.join(missing)} are not shown: the benchmark's files are "
            "not at hand, or hold other prompts than these runs had (--data-dir)."
        )
    given = ReportInput(title or _title(folders), runs, tables, found, ks, comparisons=comparisons, remarks=remarks)
    plots = report_plots(given)
    losses = loss_plot(training_folders(runs))
    plots += [losses] if losses else []
    if not plots:
        remarks.append("There is no plot: no score of these runs is defined (too few samples for the smallest k).")
    out.parent.mkdir(parents=True, exist_ok=True)
    write_in_pieces(out, report_html(given, texts, plots))
    if plots_folder is not None:
        save_plots(plots, plots_folder)
    return remarks


def against_baseline(
    runs: Sequence[Run], ks: Sequence[int], baseline: str | None
) -> tuple[list[Comparison], list[str]]:
    """Every other model against the baseline (by default the first), wherever they can be compared.

    Raises:
        OptionError: the named baseline is not there.
    """
    labels = list(dict.fromkeys(label for run in runs for label in run.models))
    reference = baseline or labels[0]
    if reference not in labels:
        raise OptionError(f"--baseline {reference}: no such model; there are {', '.join(labels)}")
    remarks: list[str] = []
    comparisons: list[Comparison] = []
    holders = [run for run in runs if reference in run.models]
    for run in runs:
        for label in run.models:
            if label == reference:
                continue
            for holder in holders:
                shared = {(c.task, c.group) for c in holder.cells_of(reference)}
                if not shared & {(c.task, c.group) for c in run.cells_of(label)}:
                    continue
                try:
                    comparisons += compare_runs(holder, run, ks, reference, label)
                except NotComparable as error:
                    remarks.append(f"{label} is not compared with {reference}: {error}")
    return corrected(comparisons), remarks


def training_folders(runs: Sequence[Run]) -> dict[str, Path]:
    """The folders in which the models' training curves would be: their checkpoint folders."""
    folders = {}
    for header, label in ((run.header, label) for run in runs for label in run.header.models):
        path = Path(str(header.model(label).get("spec", "")))
        if path.is_dir():
            folders[label] = path
    return folders


def save_plots(plots: Sequence[Plot], folder: Path) -> None:
    """Write each plot as PNG and SVG."""
    for plot in plots:
        plot.save(folder)


def _title(folders: Sequence[Path]) -> str:
    return "mtp-eval: " + ", ".join(folder.resolve().name for folder in folders)

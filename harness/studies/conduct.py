"""Conduct a study: plan it from measured costs, make its cells side by side, judge its claims, write it all down.

OUT/study.json     the plan, the claims and their tests, written before anything is trained, and never changed
OUT/models, runs   one folder each a cell: what `train` and `run` leave, or `speed` its speed.json
OUT/results.json   measures of every cell, and verdicts; report.md, report.html, table.csv and the plot say the same
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mtp_eval.harness.errors import InputError
from mtp_eval.harness.evaluation.execution import ExecutionOptions
from mtp_eval.harness.progress import progress, say
from mtp_eval.harness.studies.cell_result import CellResult
from mtp_eval.harness.studies.cells import Cell
from mtp_eval.harness.studies.config import StudyConfig
from mtp_eval.harness.studies.definition import Results, Study
from mtp_eval.harness.studies.page import numbers, report_html, report_markdown, study_table, whole_page
from mtp_eval.harness.studies.planned import make_plan, narrowed, planned_cells, steps_of, stored_plan
from mtp_eval.harness.studies.verdict import Verdict, summary, verdicts
from mtp_eval.harness.studies.workers import LocalWorkers, Workers, usable_cores, visible_gpus
from mtp_eval.results.files import dump_json, write_atomically
from mtp_eval.results.lock import only_one
from mtp_eval.results.tables.render import Table, render
from mtp_eval.tasks.registry import load_task


@dataclass(frozen=True)
class Finished:
    """A study that is done."""

    folder: Path
    table: Table
    verdicts: tuple[Verdict, ...]
    body: str
    means: str
    """What the outcome means, and what it does not."""

    def __str__(self) -> str:
        return f"{self.table}\n\n{summary(self.verdicts)}"


def conduct(study: Study, config: StudyConfig, out: Path) -> Finished:
    """Do what of a study is not done yet.

    Raises:
        InputError: the budget is too small, or the folder holds a study that was planned otherwise or is being worked on.
        TaskError: a task's data are missing.
        IsolationUnavailable: the sandbox cannot give the isolation that runs ask for.
        MtpEvalError: a training or a run failed.
    """
    started = time.monotonic()
    study = narrowed(study, config.part, on_gpu=config.device == "cuda")
    check_parts(study)
    if config.cluster is not None:
        out = out.absolute()
    with this_study(out), open_workers(config, out) as workers:
        plan = stored_plan(study, config, out)
        if plan is None:
            plan = make_plan(study, config, out, workers, started)
        cells = planned_cells(study, plan, config, out)
        make_cells(study, cells, plan, workers)
    return write_up(study, plan, cells, out, minutes=(time.monotonic() - started) / 60)


def open_workers(config: StudyConfig, out: Path) -> Workers:
    """Workers on this machine, or on every node of a cluster.

    Raises:
        InputError: there is no such cluster, or a node cannot be used.
        MtpEvalError: the cluster has no node for it.
    """
    if config.cluster is None:
        n_workers = config.jobs or (max(1, len(visible_gpus())) if config.device == "cuda" else usable_cores())
        return LocalWorkers(n_workers, out / "logs", config.device)
    from mtp_eval.harness.cluster.ray_cluster import Cluster
    from mtp_eval.harness.studies.cluster_workers import ClusterWorkers

    return ClusterWorkers(Cluster(config.cluster), out, config.device, config.jobs)


def check_parts(study: Study) -> None:
    """Check before anything is trained that the sandbox works, and that tasks, presets and packages are there.

    Raises:
        InputError: a package is not installed.
    """
    with ExecutionOptions(workers=1).open():
        pass
    for part in study.parts:
        if part.package is not None and find_spec(part.package[0]) is None:
            name, extra = part.package
            raise InputError(
                f"study {study.name}, part {part.name}, needs the package {name}: pip install 'mtp-eval[{extra}]', or leave the part out "
                "with --part"
            )
        for task in {name for one in (part.task, *(r.task for r in part.recipes)) for name in one.split(",") if name}:
            load_task(task)
        steps_of(part)


def this_study(out: Path) -> AbstractContextManager[None]:
    """Keep the folder to this process.

    Raises:
        InputError: another process is working on it.
    """
    return only_one(
        out,
        lambda holder: InputError(
            f"another process{holder} is working on the study in {out}; wait for it, or give another --out"
        ),
    )


def make_cells(study: Study, cells: Sequence[Cell], plan: Mapping[str, Any], workers: Workers) -> None:
    """Train and test what is missing: parts with the longest cells first, each of them seed by seed.

    A machine that becomes busier meets all recipes of a seed alike then; recipe by recipe, it would change what they are said to cost.
    """
    longest = {name: max(part["seconds"].values()) for name, part in plan["parts"].items()}
    missing = [cell for cell in cells if not cell.is_done]
    missing.sort(key=lambda cell: -longest[cell.part])
    with progress(f"study {study.name}: models", len(cells), len(cells) - len(missing)) as bar:
        for stage in sorted({cell.stage for cell in missing}):
            for cell, _ in workers.do("cell", [cell for cell in missing if cell.stage == stage]):
                bar.advance(1, f"{cell.recipe}, seed {cell.seed}")


def write_up(study: Study, plan: Mapping[str, Any], cells: Sequence[Cell], out: Path, *, minutes: float) -> Finished:
    """Judge the claims, and write table, plot and report."""
    results = Results(study, tuple(CellResult(cell) for cell in cells))
    found = verdicts(results, in_full=all(part["share"] == 1 for part in plan["parts"].values()))
    plot, table = study.figure(results), study_table(results)
    plot.save(out)
    body = report_html(results, found, plan, plot)
    files = {
        "results.json": dump_json(numbers(results, found)),
        "table.csv": render(table, "csv"),
        "report.md": report_markdown(results, found, plan, plot),
        "report.html": whole_page(f"mtp-eval study {study.name}", [body]),
    }
    for name, text in files.items():
        write_atomically(out / name, text)
    say(f"{minutes:.1f} minutes in this call; report: {out / 'report.html'}")
    return Finished(out, table, tuple(found), body, study.means)

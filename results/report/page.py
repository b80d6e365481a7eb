"""One self-contained HTML page for a set of runs: summary, plots, paired comparison, verdicts, completions.

The page needs no network and forbids itself any (its Content-Security-Policy). Everything a model wrote travels as packed
data (`results.report.data`) and is shown as text, never as markup.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from mtp_eval.results.columns import Tables
from mtp_eval.results.compare.comparison import Comparison
from mtp_eval.results.compare.text import comparison_table, sentence
from mtp_eval.results.header import RunHeader
from mtp_eval.results.report.data import Problems, pack
from mtp_eval.results.report.figure import Plot
from mtp_eval.results.report.plots import heads_plot, m_plot, pass_at_k_plot, score_plot, size_plot
from mtp_eval.results.report.survey import ProblemFacts, Survey
from mtp_eval.results.scores.cells import Cell
from mtp_eval.results.scores.columns import count_columns, tagged
from mtp_eval.results.scores.scored import ScoredRun, cells_of
from mtp_eval.results.tables.render import render
from mtp_eval.results.tables.standard import results_table
from mtp_eval.sandbox.outcome import Verdict

SHOWN_PROBLEMS = 15


@dataclass(frozen=True)
class ReportInput:
    """A set of runs, counted up. `tables` reads all their records, models under the labels that `runs` uses."""

    title: str
    runs: Sequence[ScoredRun]
    tables: Tables
    survey: Survey
    ks: Sequence[int]
    comparisons: Sequence[Comparison] = ()
    remarks: Sequence[str] = ()


def report_plots(given: ReportInput) -> list[Plot]:
    """Every plot that these runs have data for."""
    by_m, domains = _cells_by_m(given)
    found = [
        score_plot(given.runs, min(given.ks)),
        pass_at_k_plot(given.runs),
        size_plot(given.runs, min(given.ks)),
        heads_plot(given.runs),
        m_plot(by_m, domains, min(given.ks)),
    ]
    return [plot for plot in found if plot is not None]


def report_html(given: ReportInput, texts: Problems, plots: Sequence[Plot]) -> Iterator[str]:
    """The page, piece by piece."""
    from jinja2 import Environment, StrictUndefined

    folder = files("mtp_eval.results.report") / "templates"
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string((folder / "report.html.j2").read_text("utf-8"))
    facts = given.survey.problems
    return template.generate(
        title=given.title,
        style=(folder / "report.css").read_text("utf-8"),
        script=(folder / "report.js").read_text("utf-8"),
        summary=render(results_table(given.runs, given.ks), "html"),
        remarks=list(given.remarks),
        plots=[{"caption": plot.caption, "svg": plot.inline_svg()} for plot in plots],
        sentences=[sentence(c) for c in given.comparisons],
        comparison=render(comparison_table(given.comparisons, given.runs), "html") if given.comparisons else "",
        flips=[_flips(c) for c in given.comparisons if c.wins or c.losses],
        verdicts=_verdict_rows(given.runs),
        verdict_names=_verdict_names(given.runs),
        slowest=_slowest(facts),
        flaky=_flaky(facts),
        runs=[_run_facts(run.header) for run in given.runs],
        packed=pack(given.tables, given.survey, texts),
        n_problems=len(facts),
    )


def _cells_by_m(given: ReportInput) -> tuple[list[Cell], dict[str, str]]:
    """Cells by the tag m, for the records that have one, and which m are in the trained domain."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if "m" not in given.survey.tag_names:
        return [], {}
    models: dict[str, Any] = {}
    tasks: dict[str, Any] = {}
    for run in given.runs:
        models |= run.header.data.get("models", {})
        tasks |= run.header.data.get("tasks", {})
    domains: dict[str, str] = {}
    for table in given.tables(["tags"]):
        tags = table.filter(tagged(table["tags"], "m"))["tags"]
        m, domain = (pc.map_lookup(tags, pa.scalar(name), "first") for name in ("m", "domain"))
        for row in pa.table({"m": m, "domain": domain}).group_by(["m", "domain"]).aggregate([]).to_pylist():
            domains[row["m"]] = row["domain"] or ""
    return count_columns(RunHeader({"models": models, "tasks": tasks}), given.tables, by="m"), domains


def _verdict_names(runs: Sequence[ScoredRun]) -> list[str]:
    found = {verdict for _, cell in cells_of(runs) for verdict in cell.verdicts}
    return [verdict.value for verdict in Verdict if verdict in found]


def _verdict_rows(runs: Sequence[ScoredRun]) -> list[dict[str, Any]]:
    names = _verdict_names(runs)
    rows = []
    for _, cell in cells_of(runs):
        total = max(1, cell.n_completions)
        counts = [cell.verdicts.get(name, 0) for name in names]
        heat = "" if cell.temperature is None else f"T={cell.temperature:g}"
        rows.append(
            {
                "model": cell.model,
                "task": " ".join(filter(None, (cell.where, heat))),
                "counts": counts,
                "shares": [(name, 100 * count / total) for name, count in zip(names, counts, strict=True) if count],
            }
        )
    return rows


def _slowest(facts: Sequence[ProblemFacts]) -> list[ProblemFacts]:
    return sorted(facts, key=lambda f: (-f.slowest_seconds, f.problem_id))[:SHOWN_PROBLEMS]


def _flaky(facts: Sequence[ProblemFacts]) -> list[ProblemFacts]:
    found = [fact for fact in facts if fact.signs]
    return sorted(found, key=lambda f: (-len(f.signs), f.problem_id))[:SHOWN_PROBLEMS]


def _flips(c: Comparison) -> dict[str, Any]:
    return {
        "title": f"{c.candidate_model} against {c.baseline_model} on {c.where}, pass@{c.k}",
        "task": c.task,
        "lost": c.losses,
        "won": c.wins,
    }


def _run_facts(header: RunHeader) -> dict[str, str]:
    shown = {
        "config hash": header.config_sha256,
        "created": header.created,
        "models": ", ".join(header.models),
        "tasks": "; ".join(
            f"{task.name}: {task.protocol}, data {task.data_sha256}" for task in map(header.task, header.tasks)
        ),
        "options": ", ".join(f"{key}={value}" for key, value in header.config.items() if key not in ("model", "task")),
        "isolation": header.isolation,
        "versions": ", ".join(f"{key} {value}" for key, value in header.versions.items()),
        "device": ", ".join(f"{key}: {value}" for key, value in header.device.items()),
        "git": str(header.git.get("commit", "")),
    }
    return {key: str(value) for key, value in shown.items() if value}

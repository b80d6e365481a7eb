"""The report of a study: a table over seeds, the verdicts, and a page with the plot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from mtp_eval.harness.studies.definition import Measure, Recipe, Results
from mtp_eval.harness.studies.verdict import Verdict, summary
from mtp_eval.results.report.figure import Plot
from mtp_eval.results.tables.render import Column, Entry, Table, text_entry

STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}"
    "table{border-collapse:collapse;display:block;overflow-x:auto}td,th{padding:.2rem .6rem;border-bottom:1px solid #ddd}"
    "td{white-space:nowrap}svg{max-width:100%;height:auto}"
)
ENDS = ("", "_low95", "_high95")
"""Of a measure's columns in the CSV, as in the tables of runs."""


def study_table(results: Results) -> Table:
    """A row a recipe: mean over seeds with a 95 % t interval, and each seed's own value of the first measure."""
    measures = results.study.measures
    columns = [Column("part"), Column("model"), Column("seeds", numeric=True), Column("steps", numeric=True)]
    columns += [Column(one.name, numeric=True, parts=tuple(one.name + end for end in ENDS)) for one in measures]
    columns.append(Column(f"each seed: {measures[0].name}"))
    rows = [_row(results, part.name, recipe) for part in results.parts() for recipe in part.recipes]
    left_out = [part.name for part in results.study.parts if part not in results.parts()]
    notes = [f"Left out, since the budget did not reach them: {', '.join(left_out)}."] if left_out else []
    n_models = len(results.cells)
    provenance = (
        f"{n_models} models, trained and tested by `mtp-eval study {results.study.name}`; 95 % t intervals over seeds."
    )
    return Table(tuple(columns), tuple(rows), provenance, tuple(notes))


def _row(results: Results, part: str, recipe: Recipe) -> tuple[Entry, ...]:
    cells = results.of(recipe.name)
    steps = next(iter(cells.values())).cell.steps
    first = results.values(recipe.name, results.study.measures[0])
    return (
        text_entry(part),
        text_entry(recipe.label),
        text_entry(len(cells)),
        Entry(f"{steps:,}", values=(steps,)),
        *(_entry(results, recipe.name, measure) for measure in results.study.measures),
        text_entry(", ".join(results.study.measures[0].text(value) for value in first.values())),
    )


def _entry(results: Results, recipe: str, measure: Measure) -> Entry:
    spread = results.spread(recipe, measure)
    if spread is None:
        return text_entry(None)
    low, high = measure.interval(spread)
    shown = measure.text(spread.difference) + (f" [{measure.text(low)}, {measure.text(high)}]" if low == low else "")
    return Entry(shown, values=(spread.difference, low, high))


def report_markdown(results: Results, found: Sequence[Verdict], plan: Mapping[str, Any], plot: Plot) -> str:
    """The page as Markdown, with the plot as a file beside it."""
    study, image = results.study, f"![{plot.caption}]({plot.name}.svg)"
    return "\n\n".join((_head(results, plan), _verdict_text(found), image, str(study_table(results)), study.means, ""))


def report_html(results: Results, found: Sequence[Verdict], plan: Mapping[str, Any], plot: Plot) -> str:
    """The page's body as HTML, with the plot in it."""
    study = results.study
    above = markdown_to_html(f"{_head(results, plan)}\n\n{_verdict_text(found)}")
    below = markdown_to_html(f"{study_table(results)}\n\n{study.means}")
    return f"{above}\n<figure>{plot.inline_svg()}<figcaption>{escape(plot.caption)}</figcaption></figure>\n{below}"


def _head(results: Results, plan: Mapping[str, Any]) -> str:
    study = results.study
    planned = f"Planned before anything was trained: {plan['said']}. Plan and tests: study.json; numbers: results.json."
    return f"# {study.name}: {study.asks}\n\n**What the paper says.** {study.paper}\n\n{planned}"


def _verdict_text(found: Sequence[Verdict]) -> str:
    return f"## Verdicts\n\n{summary(found)}"


def markdown_to_html(text: str) -> str:
    """Markdown with tables as HTML; markup in it is shown as it is."""
    from markdown_it import MarkdownIt

    return str(MarkdownIt("commonmark", {"html": False}).enable("table").render(text))


def whole_page(title: str, bodies: Sequence[str]) -> str:
    """One self-contained page."""
    text = "\n<hr>\n".join(bodies)
    return (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>\n'
        f'<meta name="viewport" content="width=device-width">\n<style>{STYLE}</style>\n{text}\n</html>\n'
    )


def numbers(results: Results, found: Sequence[Verdict]) -> dict[str, Any]:
    """The contents of results.json: every cell's measures, and the verdicts."""
    cells = [
        {
            "part": result.cell.part,
            "recipe": result.cell.recipe,
            "seed": result.cell.seed,
            "steps": result.cell.steps,
            "measures": {measure.name: measure.of(result) for measure in results.study.measures},
        }
        for result in sorted(results.cells, key=lambda result: (result.cell.part, result.cell.recipe, result.cell.seed))
    ]
    return {"study": results.study.name, "cells": cells, "verdicts": [_verdict_numbers(verdict) for verdict in found]}


def _verdict_numbers(verdict: Verdict) -> dict[str, Any]:
    about: dict[str, Any] = {"claim": verdict.claim.text, "source": verdict.claim.source, "outcome": verdict.outcome}
    if verdict.pairs is None:
        return about | {"reason": verdict.reason}
    return about | {
        "reason": verdict.reason,
        "measure": verdict.claim.measure.name,
        "baseline": verdict.means[0],
        "candidate": verdict.means[1],
        "difference": verdict.pairs.difference,
        "interval": list(verdict.pairs.interval()),
        "seeds": verdict.pairs.n_seeds,
        "p": verdict.claim.p_value(verdict.pairs),
        "p_holm": verdict.p_holm,
        "smallest_visible": verdict.smallest_visible,
    }

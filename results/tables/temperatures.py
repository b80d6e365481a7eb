"""The choice of a temperature in three ways side by side: oracle, fixed and cross-validated (results.scores.temperature)."""

from __future__ import annotations

from collections.abc import Sequence

from mtp_eval.results.errors import OptionError
from mtp_eval.results.scores.cells import where
from mtp_eval.results.scores.scored import ScoredRun
from mtp_eval.results.scores.temperature import by_temperature, read_temperatures
from mtp_eval.results.tables.layout import Layout
from mtp_eval.results.tables.render import Column, Table, text_entry
from mtp_eval.results.tables.standard import conditions, percent, provenance, score_entry, warnings


def temperature_table(runs: Sequence[ScoredRun], ks: Sequence[int], layout: Layout) -> Table:
    """A row per model, task and k; the score at every temperature, and as it is read in each way."""
    readings, notes = [], []
    tag = round(layout.level * 100)
    for run in runs:
        for group in by_temperature(run.cells):
            for k in ks:
                try:
                    readings.append(read_temperatures(group, k, level=layout.level))
                except OptionError as error:
                    notes.append(f"pass@{k} is left out: {error}.")
    columns = [Column("model"), Column("task", setting=True), Column("k", True, setting=True)]
    columns += [Column("problems", True, setting=True)]
    columns += [Column("every T (%)")]
    for name in ("oracle", "fixed", "cross-validated"):
        slug = name.replace("-", "_")
        columns += [Column(f"{name} (%)", True, (slug, f"{slug}_low{tag}", f"{slug}_high{tag}")), Column(f"T {name}")]
    body = []
    for r in readings:
        every = ", ".join(f"{t:g}: {percent(v, layout.digits)}" for t, v in r.by_temperature.items())
        row = [text_entry(v) for v in (r.model, where(r.task, r.group), r.k, r.n_problems, every)]
        for read in (r.oracle, r.fixed, r.cross_validated):
            row.append(score_entry(read.mean, read.interval, digits=layout.digits))
            shares = ", ".join(f"{t:g} ({100 * s:.0f} %)" for t, s in sorted(read.share.items(), key=lambda x: -x[1]))
            row.append(text_entry(f"{read.temperature:g}" if len(read.share) == 1 else shares))
        body.append(tuple(row))
    legend = (
        "Oracle: the best temperature on the very problems that are scored (the paper's protocol); too high on average. "
        "Fixed: named before looking, 0.1 for pass@1 and 0.8 above, or the nearest that was run. "
        "Cross-validated: half of the problems choose, the other half is scored, averaged over 200 halvings."
    )
    return Table(
        tuple(columns),
        tuple(body),
        provenance(runs, layout.level),
        (*warnings(runs), *dict.fromkeys(map(conditions, runs)), *dict.fromkeys(notes)),
        legend=legend,
    )

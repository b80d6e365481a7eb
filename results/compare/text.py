"""Text of a comparison: the sentence for a paper, the table, the problems that changed, and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mtp_eval.results.compare.comparison import Comparison, Flip
from mtp_eval.results.scores.scored import ScoredRun
from mtp_eval.results.tables.render import Column, Entry, Table, text_entry
from mtp_eval.results.tables.standard import percent, provenance, unfinished


def sentence(c: Comparison, alpha: float = 0.05) -> str:
    """The sentence for a paper: "n4 beats n1 on mbpp by 3.8 points [1.2, 6.4] at pass@1, paired over 500 problems (p = 0.004)"."""
    if np.isnan(c.p_value):
        return (
            f"{c.candidate_model} and {c.baseline_model} cannot be compared on {c.where} at pass@{c.k}: {c.notes[-1]}."
        )
    paired = f"paired over {c.n_problems:,} problems"
    if c.difference == 0:
        span = f"[{100 * c.interval.low:.1f}, {100 * c.interval.high:.1f}]"
        pair = f"{c.candidate_model} and {c.baseline_model} score the same on {c.where} at pass@{c.k}"
        return f"{pair}: a difference of 0.0 points {span}, {paired}."
    points = f"{abs(100 * c.difference):.1f} points"
    # The interval is of candidate - baseline; in "trails by" both are turned round.
    ends = (100 * c.interval.low, 100 * c.interval.high)
    ends = ends if c.difference >= 0 else (-ends[1], -ends[0])
    brackets = f"[{ends[0]:.1f}, {ends[1]:.1f}]"
    where = f"on {c.where} by {points} {brackets} at pass@{c.k}, {paired}"
    if c.p_holm <= alpha:
        verb = "beats" if c.difference > 0 else "is worse than"
        return f"{c.candidate_model} {verb} {c.baseline_model} {where} (p = {c.p_holm:.2g})."
    side = "is ahead of" if c.difference > 0 else "trails"
    return f"{c.candidate_model} {side} {c.baseline_model} {where}: not significant (p = {c.p_holm:.2g})."


def margin_sentence(c: Comparison, alpha: float = 0.05) -> str:
    """The sentence on a test of non-inferiority; empty where none was asked for."""
    if not c.margin or np.isnan(c.p_margin):
        return ""
    shown = "is not worse than" if c.is_noninferior(alpha) else "is not shown to be no worse than"
    pair = f"{c.candidate_model} {shown} {c.baseline_model} by {100 * c.margin:g} points or more"
    return f"{pair} on {c.where} at pass@{c.k} (one-sided p = {c.p_margin:.2g})."


def comparison_table(comparisons: Sequence[Comparison], runs: Sequence[ScoredRun], alpha: float = 0.05) -> Table:
    """A row per comparison; a difference is bold only where the corrected test finds it."""
    numeric = ("problems", "win / tie / loss", "p", "p (Holm)")
    names = ["task", "baseline", "candidate", "k", "problems"]
    settings = ("task", "baseline", "k", "problems")
    columns = [Column(name, name in numeric or name == "k", setting=name in settings) for name in names]
    columns += [Column("baseline (%)", True, ("baseline_score",)), Column("candidate (%)", True, ("candidate_score",))]
    columns += [Column("difference (points)", True, ("difference", "difference_low95", "difference_high95"))]
    columns += [Column("win / tie / loss", True), Column("p", True, ("p",)), Column("p (Holm)", True, ("p_holm",))]
    columns += [Column("test", setting=True)]
    rows = []
    for c in comparisons:
        i = c.interval
        text = f"{100 * c.difference:+.1f} [{100 * i.low:+.1f}, {100 * i.high:+.1f}]" if c.n_problems else "–"
        rows.append(
            (
                *(text_entry(v) for v in (c.where, c.baseline_model, c.candidate_model, c.k, c.n_problems)),
                Entry(percent(c.baseline), values=(c.baseline,)),
                Entry(percent(c.candidate), values=(c.candidate,)),
                Entry(text, c.p_holm <= alpha, (c.difference, i.low, i.high)),
                Entry(f"{len(c.wins)} / {c.n_ties} / {len(c.losses)}"),
                Entry(p_text(c.p_value), values=(c.p_value,)),
                Entry(p_text(c.p_holm), values=(c.p_holm,)),
                text_entry(c.test),
            )
        )
    notes = [*unfinished(runs), *dict.fromkeys(f"{c.where}: {note}." for c in comparisons for note in c.notes)]
    methods = dict.fromkeys(c.interval.method for c in comparisons if c.n_problems)
    method = " and ".join(name.partition(" with")[0] for name in methods) or "none"
    n_tested = sum(not np.isnan(c.p_value) for c in comparisons)
    legend = (
        f"Bold: significant at {alpha:g} after Holm's correction over {n_tested} comparison"
        f"{'s' if n_tested != 1 else ''}; differences are paired by problem, candidate minus baseline."
    )
    return Table(tuple(columns), tuple(rows), provenance(runs, method=method), tuple(notes), legend=legend)


def flips_text(c: Comparison, most: int = 20) -> str:
    """The problems that changed, worst and best first: passed/judged samples before and after."""
    lines = []
    for name, flips in (("lost", c.losses), ("won", c.wins)):
        shown = [f"{f.problem_id} {f.baseline[0]}/{f.baseline[1]} → {f.candidate[0]}/{f.candidate[1]}" for f in flips]
        rest = f" and {len(shown) - most:,} more" if len(shown) > most else ""
        if shown:
            lines.append(f"{c.where}, pass@{c.k}, {name} {len(shown)}: {'; '.join(shown[:most])}{rest}")
    return "\n".join(lines)


def losses_text(c: Comparison, most: int = 10) -> str:
    """The problems lost in one sentence, the first few by name; empty where none was."""
    if not c.losses:
        return ""
    names = ", ".join(flip.problem_id for flip in c.losses[:most])
    rest = f" and {len(c.losses) - most:,} more" if len(c.losses) > most else ""
    return f"Problems lost: {names}{rest}."


def regressions_text(worse: Sequence[Comparison], alpha: float, most: int = 5) -> str:
    """Sentences on what has got worse, for one message: of many comparisons the greatest losses, and how many more there are."""
    named = sorted(worse, key=lambda c: c.difference)[:most] if len(worse) > most else worse
    parts = [f"{sentence(c, alpha)} {losses_text(c)}".rstrip() for c in named]
    rest = f" {len(worse) - most:,} more comparisons are significantly worse." if len(worse) > most else ""
    return f"{' '.join(parts)}{rest}"


def as_json(c: Comparison) -> dict[str, Any]:
    """Everything about a comparison, for a file."""

    def flips(items: Sequence[Flip]) -> list[dict[str, Any]]:
        return [
            {"problem_id": f.problem_id, "baseline": list(f.baseline), "candidate": list(f.candidate)} for f in items
        ]

    return {
        "task": c.task,
        "group": c.group,
        "at": c.at,
        "k": c.k,
        "baseline_model": c.baseline_model,
        "candidate_model": c.candidate_model,
        "n_problems": c.n_problems,
        "baseline": c.baseline,
        "candidate": c.candidate,
        "difference": c.difference,
        "interval": [c.interval.low, c.interval.high],
        "level": c.interval.level,
        "interval_method": c.interval.method,
        "p": c.p_value,
        "p_holm": c.p_holm,
        "test": c.test,
        "margin": c.margin,
        "p_margin": c.p_margin,
        "wins": flips(c.wins),
        "losses": flips(c.losses),
        "n_ties": c.n_ties,
        "notes": list(c.notes),
    }


def p_text(p_value: float) -> str:
    """A p-value with two significant digits, never "0"."""
    if np.isnan(p_value):
        return "–"
    return "<0.0001" if p_value < 0.0001 else f"{p_value:.2g}"

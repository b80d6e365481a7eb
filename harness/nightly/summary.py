"""A night in Markdown, for a pull request or a job summary: the verdict first."""

from __future__ import annotations

from mtp_eval.harness.nightly.comparisons import Night
from mtp_eval.harness.nightly.config import NightlyConfig
from mtp_eval.harness.nightly.ledger import known_history
from mtp_eval.harness.nightly.output import drift_sentence
from mtp_eval.results.compare.text import comparison_table, losses_text, sentence
from mtp_eval.results.history import trend_table
from mtp_eval.results.run import wanted_ks
from mtp_eval.results.tables.standard import results_table


def headline(config: NightlyConfig, night: Night, accept: bool) -> str:
    """The result of the night in one line."""
    n_worse, n_broken = len(night.regressions(config)) + len(night.drifts), len(night.problems)
    if n_worse and not accept:
        return f"❌ {n_worse} significant regression{'s' if n_worse > 1 else ''}"
    if n_broken:
        return f"⚠️ {n_broken} evaluation{'s' if n_broken > 1 else ''} could not be finished"
    if night.faults and not accept:
        return f"❌ {len(night.faults)} thing{'s' if len(night.faults) > 1 else ''} could not be compared"
    if accept:
        return "✅ accepted as the level for later nights"
    if night.compared:
        return f"✅ no significant regression in {len(night.compared)} comparisons"
    return "✅ evaluated; nothing to compare with yet"


def summary(config: NightlyConfig, night: Night, accept: bool = False) -> str:
    """The whole text."""
    lines = [f"## {headline(config, night, accept)}", ""]
    lines += [f"Night {night.name}, baseline{'s' * (len(config.baseline) > 1)}: {', '.join(config.baseline)}.", ""]
    lines += [f"- **Regression.** {sentence(c, config.alpha)} {losses_text(c)}" for _, c in night.regressions(config)]
    lines += [f"- **Drift.** {drift_sentence(e.series, e.task, drift)}" for e, drift in night.drifts]
    lines += [f"- Gain. {sentence(c, config.alpha)}" for c in night.comparisons if c.is_gain(config.alpha)]
    lines += [f"- **{e.series} on {e.task}**: {e.problem}" for e in night.problems]
    lines += [f"- **{fault.name}** could not be done: {fault.why}" for fault in night.faults]
    lines += [f"- {e.series} on {e.task} is not compared with {why}." for e, why in night.nothing_yet]
    runs = [e.run for e in night.evaluations if e.run is not None]
    if night.compared:
        lines += ["", "### Paired comparison", "", str(comparison_table(night.comparisons, runs, config.alpha))]
    if runs:
        lines += ["", "### Scores", "", str(results_table(runs, wanted_ks(runs, None)))]
    history = known_history(config.out)
    if len(set(history["night"])) > 1:
        lines += ["", "### Trend", "", str(trend_table(history, config.nights_shown))]
    return "\n".join(lines).rstrip() + "\n"

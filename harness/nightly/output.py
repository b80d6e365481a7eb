"""What a night leaves behind: summary.md, junit.xml, report.html, trends, comparison.json; in its folder and, latest, above.

The files in the `out` folder itself are always those of the last night, so that a CI can name them.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from mtp_eval.harness.errors import MtpEvalError
from mtp_eval.harness.nightly.config import NightlyConfig
from mtp_eval.harness.nightly.night import HISTORY, Night
from mtp_eval.results.compare.comparison import Comparison
from mtp_eval.results.compare.text import as_json, comparison_table, flips_text, sentence
from mtp_eval.results.errors import RegressionFound
from mtp_eval.results.files import dump_json, write_atomically
from mtp_eval.results.history import read_history, trend_plot, trend_table
from mtp_eval.results.junit import Case, junit_xml
from mtp_eval.results.run import wanted_ks
from mtp_eval.results.tables.render import render
from mtp_eval.results.tables.standard import results_table

FILES = ("summary.md", "junit.xml", "report.html", "comparison.json", "trends.svg", "trends.png")


def write_outputs(config: NightlyConfig, night: Night) -> None:
    """Write every file of the night, then copy them to the place of the latest."""
    folder = night.folder
    write_atomically(folder / "summary.md", summary(config, night))
    write_atomically(folder / "junit.xml", junit_xml(cases(config, night)))
    write_atomically(folder / "comparison.json", dump_json([as_json(c) for c in night.comparisons]))
    history = read_history(config.out / HISTORY)
    plot = trend_plot(history) if len(history) else None
    if plot is not None:
        plot.save(folder)
    runs = [e.folder for e in night.evaluations if e.run is not None]
    if config.report and runs:
        from mtp_eval.harness.evaluation.prompts import find_prompts
        from mtp_eval.results.report.write import write_report

        write_report(runs, folder / "report.html", find_prompts=find_prompts, title=f"Night {night.name}")
    for name in FILES:
        (config.out / name).unlink(missing_ok=True)
        if (folder / name).exists():
            shutil.copyfile(folder / name, config.out / name)


def decide(config: NightlyConfig, night: Night, accept: bool = False) -> None:
    """Nothing when all is well.

    Raises:
        RegressionFound: a score dropped significantly; the message names it and the problems lost.
        MtpEvalError: something could not be evaluated.
    """
    worse = [] if accept else night.regressions(config.alpha, config.tolerance)
    if worse:
        parts = [f"{sentence(c, config.alpha)} {lost(c)}" for c in worse]
        raise RegressionFound(
            f"night {night.name}: significant regression. {' '.join(parts)} See {night.folder}/summary.md"
        )
    broken = [f"{e.series} on {e.task}: {e.problem}" for e in night.evaluations if e.problem]
    if broken:
        raise MtpEvalError(f"night {night.name} is not complete. {'; '.join(broken)}. The same command continues it")


def summary(config: NightlyConfig, night: Night) -> str:
    """Markdown for a pull request or a job summary: the verdict first."""
    worse = night.regressions(config.alpha, config.tolerance)
    better = [c for c in night.comparisons if c.is_gain(config.alpha)]
    broken = [e for e in night.evaluations if e.problem]
    if worse:
        head = f"❌ {len(worse)} significant regression{'s' if len(worse) > 1 else ''}"
    elif broken:
        head = f"⚠️ {len(broken)} evaluation{'s' if len(broken) > 1 else ''} could not be finished"
    elif night.comparisons:
        head = f"✅ no significant regression in {len(night.comparisons)} comparisons"
    else:
        head = "✅ evaluated; nothing to compare with yet"
    lines = [f"## {head}", "", f"Night {night.name}, baseline: {config.baseline}.", ""]
    lines += [f"- **Regression.** {sentence(c, config.alpha)} {lost(c)}" for c in worse]
    lines += [f"- Gain. {sentence(c, config.alpha)}" for c in better]
    lines += [f"- **{e.series} on {e.task}**: {e.problem}" for e in broken]
    lines += [f"- {e.series} on {e.task} is not compared: {why}." for e, why in night.uncompared]
    runs = [e.run for e in night.evaluations if e.run is not None]
    if night.comparisons:
        lines += [
            "",
            "### Paired comparison",
            "",
            render(comparison_table(night.comparisons, runs, config.alpha), "markdown"),
        ]
    if runs:
        ks = wanted_ks(runs, None)
        lines += ["", "### Scores", "", render(results_table(runs, ks), "markdown")]
    history = read_history(config.out / HISTORY)
    if len(set(history["night"])) > 1:
        lines += ["", "### Trend", "", render(trend_table(history, config.nights_shown), "markdown")]
    return "\n".join(lines).rstrip() + "\n"


def cases(config: NightlyConfig, night: Night) -> list[Case]:
    """A case per evaluation, and one per comparison."""
    made = []
    for e in night.evaluations:
        status = "error" if e.problem else "passed"
        made.append(Case(e.task, f"{e.series} evaluated", status, e.problem, seconds=e.seconds))  # type: ignore[arg-type]
    made += [Case(e.task, f"{e.series} against {config.baseline}", "skipped", why) for e, why in night.uncompared]
    for c in night.comparisons:
        name = f"{c.candidate_model} against {c.baseline_model}, {c.where} pass@{c.k}"
        if c.is_regression(config.alpha, config.tolerance / 100.0):
            made.append(Case(c.task, name, "failure", sentence(c, config.alpha), flips_text(c, most=200)))
        else:
            made.append(Case(c.task, name))
    return made


def lost(c: Comparison, most: int = 10) -> str:
    """The problems lost, the first few by name."""
    if not c.losses:
        return ""
    names = ", ".join(flip.problem_id for flip in c.losses[:most])
    rest = f" and {len(c.losses) - most:,} more" if len(c.losses) > most else ""
    return f"Problems lost: {names}{rest}."


def latest(config: NightlyConfig) -> Path:
    """Where the summary of the last night is."""
    return config.out / "summary.md"

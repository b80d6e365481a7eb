"""Outputs of a night: summary.md, junit.xml, report.html, trends, comparison.json; in its folder and, latest, above.

The files in the `out` folder itself are always those of the last call, so that a CI can name them: from the first moment on
they say that the night is not finished, and whatever ends it replaces them by what went wrong.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from mtp_eval.harness.errors import MtpEvalError
from mtp_eval.harness.nightly.comparisons import Night
from mtp_eval.harness.nightly.config import NightlyConfig
from mtp_eval.harness.nightly.latest import FILES
from mtp_eval.harness.nightly.ledger import known_history
from mtp_eval.harness.progress import say
from mtp_eval.results.compare.drift import Drift
from mtp_eval.results.compare.text import as_json, flips_text, regressions_text, sentence
from mtp_eval.results.errors import RegressionFound
from mtp_eval.results.files import dump_json, write_atomically
from mtp_eval.results.history import trend_plot
from mtp_eval.results.junit import Case, junit_xml


def write_outputs(config: NightlyConfig, night: Night, text: str) -> None:
    """Write every file of the night, then put each in the place of the latest."""
    folder = night.folder
    write_atomically(folder / "comparison.json", dump_json([as_json(c) for c in night.comparisons]))
    history = known_history(config.out)
    plot = trend_plot(history) if len(history) else None
    if plot is not None:
        plot.save(folder)
    runs = [e.folder for e in night.evaluations if e.run is not None]
    if config.report and runs:
        write_page(runs, folder / "report.html", night.name)
    write_atomically(folder / "junit.xml", junit_xml(cases(config, night)))
    write_atomically(folder / "summary.md", text)
    for name in FILES:
        if (folder / name).exists():
            write_atomically(config.out / name, (folder / name).read_bytes())
        else:
            (config.out / name).unlink(missing_ok=True)


def write_page(runs: list[Path], path: Path, name: str) -> None:
    """The report; a night whose report cannot be made is still judged."""
    from mtp_eval.harness.evaluation.prompts import find_problems
    from mtp_eval.results.report.write import write_report

    try:
        write_report(runs, path, find_problems=find_problems, title=f"Night {name}")
    except (ValueError, OSError, MemoryError) as error:
        say(f"the report could not be written: {error}")


def decide(config: NightlyConfig, night: Night, accept: bool = False) -> None:
    """Return when all is well.

    Raises:
        RegressionFound: a score dropped significantly or drifted down; the message names it and the problems lost.
        MtpEvalError: something could not be evaluated, or not be compared.
    """
    if not accept:
        worse = [c for _, c in night.regressions(config)]
        parts = [regressions_text(worse, config.alpha)] if worse else []
        parts += [drift_sentence(e.series, e.task, drift) for e, drift in night.drifts]
        if parts:
            raise RegressionFound(
                f"night {night.name}: significant regression. {' '.join(parts)} See {night.folder}/summary.md"
            )
    broken = [f"{e.series} on {e.task}: {e.problem}" for e in night.problems]
    if not accept:
        broken += [f"{fault.name}: {fault.why}" for fault in night.faults]
    if broken:
        raise MtpEvalError(f"night {night.name} is not complete. {'; '.join(broken)}. The same command continues it")


def cases(config: NightlyConfig, night: Night) -> list[Case]:
    """A case per evaluation, per comparison, per loss over the history, and per thing that could not be compared."""
    made = []
    for e in night.evaluations:
        status: Literal["error", "passed"] = "error" if e.problem else "passed"
        made.append(Case(e.task, f"{e.series} evaluated", status, e.problem, seconds=e.seconds))
    made += [
        Case(e.task, f"{e.series} against {why.partition(':')[0]}", "skipped", why) for e, why in night.nothing_yet
    ]
    made += [Case("compared", fault.name, "error", fault.why) for fault in night.faults]
    worse = {id(c) for _, c in night.regressions(config)}
    for e, c in night.compared:
        name = f"{c.candidate_model} against {c.baseline_model}, {c.where} pass@{c.k}"
        if id(c) in worse:
            made.append(Case(e.task, name, "failure", sentence(c, config.alpha), flips_text(c, most=200)))
        else:
            made.append(Case(e.task, name))
    for e, drift in night.drifts:
        made.append(Case(e.task, f"{e.series} over the history", "failure", drift_sentence(e.series, e.task, drift)))
    return made


def drift_sentence(series: str, task: str, drift: Drift) -> str:
    """The loss over the history in one sentence."""
    nights = "on the last night" if drift.n_after == 1 else f"over the last {drift.n_after} nights"
    return (
        f"{series} has lost {100 * drift.loss:.1f} points on {task}: {100 * drift.after:.1f} % {nights}, "
        f"{100 * drift.before:.1f} % over the {drift.n_before} before them (z = {drift.z:.1f})."
    )

"""`mtp-eval report`: one self-contained HTML page for a set of runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mtp_eval.harness.commands.options import Given, command

if TYPE_CHECKING:
    from mtp_eval.harness.evaluation.report import ReportConfig


def config_class() -> type[ReportConfig]:
    """The class of the options."""
    from mtp_eval.harness.evaluation.report import ReportConfig

    return ReportConfig


@command(
    "mtp-eval report runs/mine --out report.html",
    "mtp-eval report runs/n1 runs/n4 --baseline n1 --plots plots",
    config=config_class,
    arguments=("runs",),
)
def report(given: Given) -> None:
    """Write summary, plots, paired comparison, verdicts and all completions into one page that needs no network."""
    from mtp_eval.harness.evaluation.report import report as write

    print(write(config_class().given(given)))

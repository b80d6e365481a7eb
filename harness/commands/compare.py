"""`mtp-eval compare`: two models on the same problems, paired, with exit code 3 on a significant regression."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mtp_eval.harness.commands.options import Given, command

if TYPE_CHECKING:
    from mtp_eval.harness.evaluation.compare import CompareConfig


def config_class() -> type[CompareConfig]:
    """The class of the options."""
    from mtp_eval.harness.evaluation.compare import CompareConfig

    return CompareConfig


@command(
    "mtp-eval compare runs/last-week runs/today --fail-on-regression",
    "mtp-eval compare runs/mine::n1 runs/mine::n4 --k 1,10",
    config=config_class,
    arguments=("baseline", "candidate"),
)
def compare(given: Given) -> None:
    """Compare two runs problem by problem: difference with interval, exact test, problems won and lost."""
    from mtp_eval.harness.evaluation.compare import compare as compare_runs
    from mtp_eval.results.compare.folders import power_report, regression_gate

    config = config_class().given(given)
    if config.power:
        report = power_report(config.baseline, config.candidate, config.problems, config.score, config.agreement)
        print(report, end="")
        return
    result = compare_runs(config)
    print(result.text(config.format, config.alpha, config.flips), end="")
    if config.fail_on_regression:
        regression_gate(result.comparisons, config.alpha, config.tolerance / 100.0)

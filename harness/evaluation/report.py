"""One page for a set of finished runs, from the command line or a notebook: the options, and what they ask for."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from pydantic import Field

from mtp_eval.harness.config import Config, Counts, Folder, Paths, given_config
from mtp_eval.harness.evaluation.prompts import find_problems
from mtp_eval.harness.outputs import try_file, try_folder
from mtp_eval.harness.progress import say
from mtp_eval.results.report.data import MOST
from mtp_eval.results.report.write import write_report


class ReportConfig(Config):
    """The options of `mtp-eval report`."""

    runs: Paths = Field(min_length=1, description="Run folders.", json_schema_extra={"metavar": "RUN..."})
    out: Path = Field(default=Path("report.html"), description="The page to write.")
    k: Counts | None = Field(
        default=None,
        min_length=1,
        description="The k of pass@k.",
        json_schema_extra={"metavar": "K,K,...", "default": "the runs' own"},
    )
    baseline: str | None = Field(
        default=None,
        description="Label of the model to compare with.",
        json_schema_extra={"metavar": "LABEL", "default": "the first"},
    )
    plots: Path | None = Field(default=None, description="Also write every plot as PNG and SVG into this folder.")
    data_dir: Folder | None = Field(
        default=None, description="Folder of benchmark files.", json_schema_extra={"default": "$MTP_EVAL_DATA"}
    )
    most_completions: int = Field(default=MOST, ge=1, description="Completions the page may hold.")
    title: str | None = Field(
        default=None, description="Title of the page.", json_schema_extra={"default": "the runs' names"}
    )


def report(config: ReportConfig | None = None, **options: Any) -> Path:
    """Write the page and give its path: `report(runs=["runs/n1", "runs/n4"], out="report.html")`; remarks go to stderr.

    Raises:
        InputError: a wrong option, or a place that cannot be written.
        RunError: no such run.
        OptionError: a baseline that is not among the models.
    """
    config = given_config(ReportConfig, config, options)
    try_file(config.out, "--out")
    try_folder(config.plots, "--plots")
    remarks = write_report(
        config.runs,
        config.out,
        ks=config.k,
        baseline=config.baseline,
        plots_folder=config.plots,
        find_problems=partial(find_problems, data_dir=config.data_dir),
        most=config.most_completions,
        title=config.title,
    )
    for remark in remarks:
        say(remark)
    return config.out

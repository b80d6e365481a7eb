"""`run --from`: the options of an earlier run, read from its run.json."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mtp_eval.harness.errors import InputError
from mtp_eval.harness.evaluation.config import RunConfig
from mtp_eval.results.header import RUN_FILE, read_header


def options_of_run(path: Path) -> dict[str, Any]:
    """The options that an earlier run was made with; those that do not change results are not among them.

    Raises:
        InputError: there is no run, or it was made by `mtp-eval score`.
        RunError: its run.json cannot be read.
    """
    folder = folder_of(path)
    if not (folder / RUN_FILE).is_file():
        raise InputError(f"--from {path}: there is no {RUN_FILE}; give a run folder or the {RUN_FILE} in it")
    config = read_header(folder).config
    if "model" not in config:
        raise InputError(
            f"--from {path}: this run was made by `mtp-eval score`, which has no --from: give the samples file"
        )
    return {name: value for name, value in config.items() if name in RunConfig.model_fields}


def folder_of(path: Path) -> Path:
    """The run folder, from itself or from the run.json in it."""
    return path.parent if path.name == RUN_FILE else path

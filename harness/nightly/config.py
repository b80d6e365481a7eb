"""The nightly config file: which checkpoints, which tasks, against what, within which time."""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from mtp_eval.harness.config import Config, Names, checked, read_toml, validation_message
from mtp_eval.harness.errors import InputError
from mtp_eval.harness.evaluation.config import RunConfig
from mtp_eval.results.scores.cells import natural_key

PREFIXES = ("samples:", "meta:", "hf:")
NOT_IN_RUN = ("model", "task", "out", "shard")


class TrainStep(Config):
    """A checkpoint to train before the evaluation, unless it is there and finished."""

    preset: str = Field(description="a preset's name, or a TOML file as for `mtp-eval train`")
    out: Path
    set: Mapping[str, Any] = Field(default_factory=dict, description='changed keys, such as {"optimizer.steps" = 100}')


class NightlyConfig(Config):
    """The keys of nightly.toml; docs/nightly.md has them with examples."""

    models: Mapping[str, str] = Field(
        min_length=1, description="series name -> model spec, or a glob of which the newest counts"
    )
    task: Names = Field(min_length=1)
    out: Path = Path("nightly")
    baseline: Names = Field(
        default=("last-good",),
        min_length=1,
        description="last-good, previous, first, mean-7, the name of a series, or FOLDER[::MODEL]; one or several",
    )
    alpha: float = Field(default=0.01, gt=0.0, lt=1.0, description="chance that noise alone fails a night, at most")
    tolerance: float = Field(default=0.0, ge=0.0, lt=100.0, description="points a score may drop")
    budget_minutes: float | None = Field(default=None, gt=0.0)
    drift: bool = Field(default=True, description="look for a slow loss over the history as well")
    notify: str | None = Field(default=None, description="command that gets the summary on standard input")
    nights_shown: int = Field(default=14, ge=1, description="nights in the table of trends")
    report: bool = Field(default=True, description="write report.html")
    run: Mapping[str, Any] = Field(default_factory=dict, description="any option of `mtp-eval run`")
    train: tuple[TrainStep, ...] = ()

    def run_config(self, spec: str, task: str, out: Path) -> RunConfig:
        """The options of one evaluation.

        Raises:
            InputError: an unknown key or a value outside its range under [run].
        """
        wrong = sorted(set(self.run) & set(NOT_IN_RUN))
        if wrong:
            raise InputError(
                f"[run] {', '.join(wrong)}: models, tasks and out are keys of their own, above [run], and a night is never a shard"
            )
        try:
            return RunConfig.model_validate({**self.run, "model": (spec,), "task": (task,), "out": out})
        except ValidationError as error:
            raise InputError(f"[run]: {validation_message(error, RunConfig)}") from None


def read_nightly(path: Path) -> NightlyConfig:
    """The config; relative paths in it are relative to the current folder.

    Raises:
        InputError: no such file, not TOML, an unknown key or a wrong value.
    """
    values = read_toml(path, NightlyConfig)
    if isinstance(values.get("run"), dict):
        values["run"] = {key.replace("-", "_"): value for key, value in values["run"].items()}
    config = checked(NightlyConfig, values, path)
    for task in config.task:
        config.run_config("checked", task, config.out)
    return config


def newest(spec: str) -> str:
    """The spec, with a glob in its path replaced by the newest match (by name in number order among equally old).

    Raises:
        InputError: the glob matches nothing.
    """
    prefix = next((prefix for prefix in PREFIXES if spec.startswith(prefix)), "")
    pattern = spec.removeprefix(prefix)
    if not glob.has_magic(pattern):
        return spec
    matches = [match for match in glob.glob(pattern) if not os.path.basename(match).startswith(".")]
    if not matches:
        raise InputError(
            f"models: {spec} matches nothing; is the checkpoint folder right, and has training written one?"
        )
    return prefix + max(matches, key=lambda match: (_changed(match), natural_key(match)))


def _changed(path: str) -> float:
    """When a checkpoint was finished: its manifest is written last."""
    manifest = os.path.join(path, "training.json")
    return os.path.getmtime(manifest if os.path.exists(manifest) else path)


def overrides(values: Mapping[str, Any]) -> Sequence[str]:
    """The values as --set options of `mtp-eval train`."""
    return [f"{key}={value}" for key, value in values.items()]

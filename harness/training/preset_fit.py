"""Fit of a task's problems into the presets that are trained on it."""

from __future__ import annotations

from collections.abc import Iterator

from mtp_eval.harness.training.config_files import make_config
from mtp_eval.harness.training.data import TASK, resolve_tokenizer
from mtp_eval.harness.training.fit import Fit, fit
from mtp_eval.harness.training.presets import PRESETS
from mtp_eval.tasks.registry import load_task


def preset_fits(task_name: str) -> Iterator[tuple[str, str, Fit]]:
    """Every preset that is trained on this task, under which protocol, and how that protocol's problems fit.

    Args:
        task_name: without a protocol.
    """
    for preset, values in PRESETS.items():
        named = [source.removeprefix(TASK) for source in values["data"]["sources"] if source.startswith(TASK)]
        for source in (source for source in named if source.partition("@")[0] == task_name):
            config, task = make_config(values, origin=f"preset {preset}"), load_task(source)
            yield preset, task.protocol, fit(task.problems(), resolve_tokenizer(config), config.model.context_length)

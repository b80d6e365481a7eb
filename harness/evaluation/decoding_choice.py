"""Decides `--decode auto` once for a model, task and temperature, by timing, and keeps the decision in the run's folder.

What was measured for it is kept beside. Completions are the same whichever number of heads is used, but tokens per
forward are not: a resumed run must go on with what it began with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from mtp_eval.harness.backends.base import Backend, DecodingSettings
from mtp_eval.harness.evaluation.config import RunConfig
from mtp_eval.harness.evaluation.plan import LoadedTask
from mtp_eval.harness.evaluation.shards import requests_of
from mtp_eval.results.store import RunStore


class Resolution:
    """The choices of one run, in its decoding.json."""

    def __init__(self, store: RunStore):
        self.kept = store.sidecar("decoding")
        self.choices: dict[str, dict[str, Any]] = self.kept.read(default={})

    def of_model(
        self, model: str, backend: Backend, tasks: Sequence[LoadedTask], config: RunConfig
    ) -> dict[tuple[str, float], DecodingSettings]:
        """A model's settings by task and temperature; what has to be measured is measured now, while it does nothing else."""
        return {
            (task.name, temperature): self._settings(model, backend, task, config, temperature)
            for task in tasks
            for temperature in config.temperature
        }

    def _settings(
        self, model: str, backend: Backend, task: LoadedTask, config: RunConfig, temperature: float
    ) -> DecodingSettings:
        """Chosen now, or as they were chosen when the run began."""
        wanted = settings_of(config, temperature)
        if wanted.decode != "auto" or task.task.needs == "likelihood":
            return wanted
        key = _key(model, task.name, temperature)
        if key not in self.choices:
            chosen = backend.choose_decoding(requests_of(task, config, temperature), wanted)
            if chosen == wanted:
                return wanted  # a backend without a choice
            self.choices[key] = {**asdict(chosen), "measured": backend.decoding_facts().get("plans", [])}
            self.kept.write(self.choices)
        return _settings(self.choices[key])

    def made(self, model: str, task: str, config: RunConfig, temperature: float) -> DecodingSettings:
        """The settings that a finished run was made with."""
        choice = self.choices.get(_key(model, task, temperature))
        return settings_of(config, temperature) if choice is None else _settings(choice)


def _key(model: str, task: str, temperature: float) -> str:
    return f"{model} on {task} at {temperature:g}"


def _settings(choice: Mapping[str, Any]) -> DecodingSettings:
    return DecodingSettings(**{name: value for name, value in choice.items() if name != "measured"})


def settings_of(config: RunConfig, temperature: float) -> DecodingSettings:
    """The decoding settings that the config asks for at one of its temperatures."""
    return DecodingSettings(
        temperature=temperature,
        top_p=config.top_p,
        top_k=config.top_k,
        decode=config.decode,
        draft_heads=config.draft_heads,
        batch_size=config.batch_size,
        acceptance=config.acceptance,
    )

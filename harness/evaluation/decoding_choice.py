"""Decides `--decode auto` once for a model, task and temperature, by timing, and keeps the decision in the run's folder.

What was measured for it is kept beside. Completions are the same whichever number of heads is used, but tokens per
forward are not: a resumed run must go on with what it began with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from mtp_eval.harness.backends.base import Backend
from mtp_eval.harness.decoding.settings import DecodingSettings
from mtp_eval.harness.evaluation.config import RunConfig
from mtp_eval.harness.evaluation.shards import Shard, requests_of
from mtp_eval.results.store import RunStore


class Resolution:
    """The choices of one run, in its decoding.json."""

    def __init__(self, store: RunStore):
        self.kept = store.sidecar("decoding")
        self.choices: dict[str, dict[str, Any]] = self.kept.read(default={})

    def settings(self, shard: Shard, backend: Backend, config: RunConfig) -> DecodingSettings:
        """The run's settings for this shard: chosen now, or as they were chosen when the run began."""
        wanted = settings_of(config, shard.temperature)
        if wanted.decode != "auto":
            return wanted
        key = _key(shard.model, shard.task.name, shard.temperature)
        if key not in self.choices:
            chosen = backend.choose_decoding(requests_of(shard.task, config, shard.temperature), wanted)
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
    """What the config asks for at one of its temperatures."""
    return DecodingSettings(
        temperature=temperature,
        top_p=config.top_p,
        top_k=config.top_k,
        decode=config.decode,
        draft_heads=config.draft_heads,
        batch_size=config.batch_size,
        acceptance=config.acceptance,
    )

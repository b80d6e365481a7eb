"""`--decode auto` is decided once for a model, task and temperature, by timing, and the decision is kept in the run's folder.

Completions are the same whichever number of heads is used, but tokens per forward are not: a resumed run must go on with what it
began with.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Protocol, runtime_checkable

from mtp_eval.harness.config import RunConfig
from mtp_eval.harness.models.backend import Backend, DecodingSettings
from mtp_eval.harness.plan import Shard, requests_of
from mtp_eval.results.files import write_atomically
from mtp_eval.tasks.problem import Request

FILE = "decoding.json"


@runtime_checkable
class ResolvingBackend(Protocol):
    """A backend that can choose how to decode."""

    def resolve(self, requests: Sequence[Request], settings: DecodingSettings) -> DecodingSettings:
        """The settings with every "auto" replaced by a choice."""
        ...


class Resolution:
    """The choices of one run, in its decoding.json."""

    def __init__(self, folder: Path):
        self.path = folder / FILE
        self.choices: dict[str, dict[str, object]] = {}
        if self.path.exists():
            self.choices = json.loads(self.path.read_text("utf-8"))

    def settings(self, shard: Shard, backend: Backend, config: RunConfig) -> DecodingSettings:
        """The run's settings for this shard: chosen now, or as they were chosen when the run began."""
        wanted = settings_of(config, shard.temperature)
        if wanted.decode != "auto" or not isinstance(backend, ResolvingBackend):
            return wanted
        key = f"{shard.model} on {shard.task.name} at {shard.temperature:g}"
        if key not in self.choices:
            chosen = backend.resolve(requests_of(shard.task, config, shard.temperature), wanted)
            self.choices[key] = asdict(chosen)
            write_atomically(self.path, json.dumps(self.choices, indent=2) + "\n")
        return DecodingSettings(**self.choices[key])  # type: ignore[arg-type]


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

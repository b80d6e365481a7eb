"""A training run of seconds, for tests in this process and in others they start."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from mtp_eval.harness.training.config import TrainConfig
from mtp_eval.harness.training.config_files import make_config
from mtp_eval.harness.training.documents import Document


def tiny(**changes: Any) -> TrainConfig:
    values: dict[str, Any] = {
        "model": {"d_model": 32, "n_layers": 4, "n_heads": 2, "context_length": 48, "n_future": 2},
        "data": {"sources": ["stdlib"]},
        "optimizer": {"learning_rate": 5e-3, "warmup_steps": 5},
        "steps": 30,
        "batch_size": 4,
        "validate_every": 10,
        "checkpoint_every": 10,
        "log_every": 5,
        "device": "cpu",
    }
    return make_config(values, [f"{key.replace('__', '.')}={value}" for key, value in changes.items()])


def documents(seed: int = 0) -> Iterator[Document]:
    """Endless lines that a small model learns quickly."""
    rng = random.Random(seed)
    number = 0
    while True:
        number += 1
        a = rng.randrange(100)
        yield Document(f"line-{number}", f"x = {a}\ny = {a}\nprint(x + y)\n")


def to_be_killed() -> TrainConfig:
    return tiny(steps=40, checkpoint_every=7, threads=1)


def distributed(mode: str, text: str, cache: str = "two") -> TrainConfig:
    # epsilon so large that Adam does not divide rounding by rounding
    return tiny(
        steps=6,
        threads=1,
        parallel=mode,
        optimizer__epsilon=1e-3,
        micro_batch_size=2,
        data__sources=[text],
        data__tokenizer="bpe:300",
        data__cache=f"{text}.{cache}",
    )

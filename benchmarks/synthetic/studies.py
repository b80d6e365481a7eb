"""What the trained pairs are: task, model, budget. Small enough for about a minute of one CPU core a training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Study:
    """One task on which a next-token model and a multi-token model of equal size are trained.

    Args:
        task: for training and test.
        options: of the task.
        n_future: the second of the pair; the first is always 1.
        model, optimizer: sections of the training config.
        group: the tag by which accuracies are given; empty for one figure.
        limit: test problems of each group.
    """

    task: str
    n_future: int
    model: dict[str, Any]
    optimizer: dict[str, Any]
    steps: int
    batch_size: int
    group: str = ""
    limit: int = 100

    def config(self, n_future: int, seed: int, factor: float, batch_factor: int = 1) -> dict[str, Any]:
        """The training config's values."""
        return {
            "model": {**self.model, "n_future": n_future},
            "data": {"sources": [f"task:{self.task}"], "holdout": 0.01, "align_documents": True},
            "optimizer": self.optimizer,
            "steps": max(20, round(self.steps * factor)),
            "batch_size": self.batch_size * batch_factor,
            "seed": seed,
            "validate_every": 0,
            "checkpoint_every": 0,
            "validation_windows": 8,
            "threads": 1,  # of a CPU: several studies can share a machine
        }


STUDIES = {
    "poly": Study(
        task="poly@f3x2",
        n_future=2,
        model={"d_model": 64, "n_layers": 4, "n_heads": 4, "context_length": 96},
        optimizer={"learning_rate": 3e-3, "warmup_steps": 50},
        steps=800,
        batch_size=12,
        group="m",
        limit=200,
    ),
    "induction": Study(
        task="induction",
        n_future=2,
        model={"d_model": 64, "n_layers": 4, "n_heads": 4, "context_length": 256},
        optimizer={"learning_rate": 3e-3, "warmup_steps": 50},
        steps=400,
        batch_size=8,
        limit=1000,
    ),
    "stargraph": Study(
        task="stargraph@d2l4",
        n_future=4,
        model={"d_model": 64, "n_layers": 6, "n_heads": 4, "context_length": 64},
        optimizer={"learning_rate": 2e-3, "warmup_steps": 100},
        steps=1000,
        batch_size=16,
        limit=500,
    ),
    "listops": Study(
        task="listops",
        n_future=4,
        model={"d_model": 96, "n_layers": 6, "n_heads": 4, "context_length": 192},
        optimizer={"learning_rate": 3e-3, "warmup_steps": 50},
        steps=500,
        batch_size=8,
        group="m",
        limit=65,
    ),
}

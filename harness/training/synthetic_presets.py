"""Presets for the synthetic tasks: pairs of a next-token and a multi-token model, a minute or two of one CPU core each.

They are the ones of `python -m benchmarks.synthetic.trained_pairs`; on a GPU multiply `steps` and `batch_size`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Values = Mapping[str, Any]
SHAPES: Mapping[str, tuple[str, int, int, int, int, int, float]] = {
    # name: task, n of the second model, layers, context, steps, batch, learning rate
    "poly": ("poly@f3x2", 2, 4, 96, 800, 12, 3e-3),
    "induction": ("induction", 2, 4, 384, 400, 6, 3e-3),
    "stargraph": ("stargraph@d2l4", 4, 6, 64, 1000, 16, 2e-3),
}


def synthetic_presets() -> Iterator[tuple[str, Values]]:
    """All of them by name."""
    for name, (task, second, layers, context, steps, batch, rate) in SHAPES.items():
        for n_future in (1, second):
            yield (
                f"{name}-n{n_future}",
                {
                    "model": {
                        "d_model": 64,
                        "n_layers": layers,
                        "n_heads": 4,
                        "context_length": context,
                        "n_future": n_future,
                    },
                    "data": {"sources": [f"task:{task}"], "holdout": 0.01, "align_documents": True},
                    "optimizer": {"learning_rate": rate, "warmup_steps": 50},
                    "steps": steps,
                    "batch_size": batch,
                    "validate_every": 0,
                    "checkpoint_every": 0,
                    "validation_windows": 8,
                },
            )

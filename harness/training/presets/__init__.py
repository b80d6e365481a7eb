"""Training runs by name: plain data, in the form of a TOML config. `mtp-eval presets` lists them.

`-n1` and `-n4` of one name have equal parameters and differ in nothing but n_future.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mtp_eval.harness.errors import InputError
from mtp_eval.harness.training.presets.paper import paper_presets
from mtp_eval.harness.training.presets.synthetic import SYNTHETIC_REACHES, synthetic_presets
from mtp_eval.tasks.errors import did_you_mean

Values = Mapping[str, Any]


def _listops(n_future: int) -> Values:
    """Two and a half minutes on one core; learns to write compositions of one to three list operations."""
    return {
        "model": {"d_model": 96, "n_layers": 6, "n_heads": 4, "context_length": 240, "n_future": n_future},
        # windows begin with a document, as prompts do: without it a model of this size hardly learns the task
        "data": {"sources": ["task:listops"], "align_documents": True},
        "optimizer": {"learning_rate": 2e-3, "warmup_steps": 50},
        "steps": 800,
        "batch_size": 8,
        "validate_every": 400,
        "checkpoint_every": 400,
    }


def _code_tiny(n_future: int) -> Values:
    """A byte model of the Python standard library: for trying commands out, not for scores above zero."""
    return {
        "model": {"d_model": 128, "n_layers": 6, "n_heads": 4, "context_length": 256, "n_future": n_future},
        "data": {"sources": ["stdlib"]},
        "optimizer": {"learning_rate": 2e-3, "warmup_steps": 30},
        "steps": 500,
        "batch_size": 8,
        "validate_every": 250,
        "checkpoint_every": 250,
    }


def _code_small(n_future: int) -> Values:
    """A subword model of the standard library, deep enough for self-speculative decoding to pay: half an hour."""
    return {
        "model": {"d_model": 128, "n_layers": 10, "n_heads": 4, "context_length": 256, "n_future": n_future},
        "data": {"sources": ["stdlib"], "tokenizer": "bpe:2048"},
        "optimizer": {"learning_rate": 3e-3, "warmup_steps": 60},
        "steps": 1200,
        "batch_size": 8,
        "validate_every": 200,
        "checkpoint_every": 100,
    }


def _bytes(n_future: int) -> Values:
    """A byte model of the standard library with many heads, as in the paper's byte-level study: a quarter of an hour (estimated)."""
    return {
        "model": {"d_model": 128, "n_layers": 14, "n_heads": 4, "context_length": 256, "n_future": n_future},
        "data": {"sources": ["stdlib"]},
        "optimizer": {"learning_rate": 2e-3, "warmup_steps": 60},
        "steps": 1000,
        "batch_size": 4,
        "validate_every": 250,
        "checkpoint_every": 100,
    }


PRESETS: Mapping[str, Values] = {
    "listops-n1": _listops(1),
    "listops-n4": _listops(4),
    "code-tiny-n1": _code_tiny(1),
    "code-tiny-n4": _code_tiny(4),
    "code-small-n1": _code_small(1),
    "code-small-n4": _code_small(4),
    "bytes-n1": _bytes(1),
    "bytes-n8": _bytes(8),
    **dict(synthetic_presets()),
    **dict(paper_presets()),
}


REACHES: Mapping[str, str] = {
    "listops": "2.5 minutes of a core: programs of 1 to 3 operations, all of them with some seeds, few with others; none longer",
    "code-tiny": "minutes, to try commands out: no benchmark problem is solved",
    "code-small": "half an hour on two cores (estimated): 1.5 bits per byte of held-out code with n=1, 1.7 with n=4",
    "bytes": "a quarter of an hour on two cores (estimated): 2.5 bits per byte of held-out code with n=8",
    **SYNTHETIC_REACHES,
    "paper": "shapes and budgets of arXiv 2404.19737, for GPUs; not trained here",
}
"""By family, measured unless it says otherwise: docs/benchmarks/synthetic.md and docs/benchmarks/training.md."""


def preset_values(name: str) -> Values:
    """The plain data of a preset.

    Raises:
        InputError: there is no preset of this name.
    """
    if name not in PRESETS:
        hint = did_you_mean(name, PRESETS, "`mtp-eval presets` lists them")
        raise InputError(f"there is no preset {name!r} (and no file of that name ending in .toml): {hint}")
    return PRESETS[name]

"""Presets for the synthetic tasks: pairs of a next-token and a multi-token model, one to three minutes of one CPU core each.

They are the ones of `python -m benchmarks.synthetic.trained_pairs`; on a GPU multiply `steps` and `batch_size`. What they
were seen to need: few different symbols to match (8 to 10 letters rather than 26), windows of about one document, and a
learning rate of 3e-3. What they reach is in docs/benchmarks/synthetic.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Pair:
    """A task and the budget of its models; `others` are the n of the multi-token ones.

    With `words` every word is one token and only answers are learnt, as the planning tasks need it.
    """

    task: str
    others: tuple[int, ...]
    layers: int
    context: int
    steps: int
    batch: int
    rope_theta: float = 10_000.0
    learning_rate: float = 3e-3
    words: int | None = None

    def values(self, n_future: int) -> Values:
        return {
            "model": {
                "d_model": 64,
                "n_layers": self.layers,
                "n_heads": 4,
                "context_length": self.context,
                "n_future": n_future,
                "rope_theta": self.rope_theta,
            },
            "data": {
                "sources": [f"task:{self.task}"],
                "holdout": 0.01,
                "align_documents": True,
                "tokenizer": f"words:{self.words}" if self.words else "bytes",
                "mask_prompts": self.words is not None,
            },
            "optimizer": {"learning_rate": self.learning_rate, "warmup_steps": 50},
            "steps": self.steps,
            "batch_size": self.batch,
            "validate_every": 0,
            "checkpoint_every": 0,
            "validation_windows": 8,
        }


PAIRS: Mapping[str, _Pair] = {
    "poly": _Pair("poly@f2x3-m3", (2,), layers=4, context=56, steps=2400, batch=24),
    "induction": _Pair("induction@meetings-2", (2,), layers=3, context=232, steps=2250, batch=8, rope_theta=1000.0),
    "stargraph": _Pair("stargraph@d2l3", (2,), layers=4, context=24, steps=2000, batch=32),
    "chain": _Pair("chain@n8h2", (2,), layers=4, context=16, steps=700, batch=64, learning_rate=2e-3, words=512),
    "route": _Pair("route@n10h3", (2, 3, 4), layers=5, context=18, steps=1200, batch=64, learning_rate=2e-3, words=512),
    "countdown": _Pair("countdown@n3", (2, 4), layers=5, context=40, steps=2400, batch=32),
    "reach": _Pair("reach@n100", (2, 4), layers=5, context=24, steps=2400, batch=32, words=512),
}

SYNTHETIC_REACHES: Mapping[str, str] = {
    "poly": "2 minutes of a core: m = 1 to 3 of a small ring, well above guessing and far from all; m = 4 to 6 stay at guessing",
    "induction": "2.5 minutes of a core: repeated names in domain, all of them with some seeds, few with others",
    "stargraph": "1 minute of a core: nodes copied always; the right path of two with most seeds, one in two with the others",
    "chain": "10 seeds: n=1 37 % right (30 to 45), n=2 96 % (86 to 100)",
    "route": "10 seeds: n=1 24 % of the programs right (22 to 25), n=2 88 % (76 to 97)",
    "countdown": "2 minutes of a core; not measured yet",
    "reach": "2 minutes of a core; not measured yet",
}
"""Over five seeds where nothing else is said; the figures are in docs/benchmarks/synthetic.md."""


def synthetic_presets() -> Iterator[tuple[str, Values]]:
    """Yield all presets by name."""
    for name, pair in PAIRS.items():
        for n_future in (1, *pair.others):
            yield f"{name}-n{n_future}", pair.values(n_future)

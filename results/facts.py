"""Facts about a model from a run's header: n, size, seed, training time.

Backends describe themselves freely; a fact is looked for under its known names, at the top level first and then inside
`training` and `config`. A fact that is not there is None, never a guess.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mtp_eval.results.store import flat

NAMES: Mapping[str, tuple[str, ...]] = {
    "n_future": ("n_future",),
    "parameters": ("parameters", "n_parameters"),
    "seed": ("training.seed", "seed"),
    "train_seconds": ("training.seconds", "seconds"),
    "train_tokens": ("training.tokens", "tokens"),
    "data": ("training.data.fingerprint", "training.data.name", "data.fingerprint"),
}
SEED_SUFFIX = re.compile(r"[-_./]?(?:seed|s)[-_=]?\d+(?=$|[-_./])", re.IGNORECASE)


def model_fact(header: Mapping[str, Any], label: str, fact: str) -> Any:
    """A fact of `NAMES` about one model of a run, or None."""
    facts = flat(header.get("models", {}).get(label, {}))
    for name in NAMES[fact]:
        if name in facts:
            return facts[name]
        nested = sorted((key for key in facts if key.endswith(f".{name}")), key=lambda key: (key.count("."), key))
        if nested:
            return facts[nested[0]]
    return None


def recipe(label: str) -> str:
    """The label without its seed: "listops-n4-seed2" and "listops-n4-seed0" are one recipe.

    >>> recipe("listops-n4-seed2"), recipe("runs/s1/n4"), recipe("gpt2-small")
    ('listops-n4', 'runs/n4', 'gpt2-small')
    """
    return SEED_SUFFIX.sub("", label) or label


def size_name(parameters: float | None) -> str:
    """ "6.7B", "303M", "812k".

    >>> size_name(6.74e9), size_name(3.03e8), size_name(812_345), size_name(None)
    ('6.7B', '303M', '812k', '–')
    """
    if parameters is None:
        return "–"
    for unit, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if parameters >= unit:
            value = parameters / unit
            return f"{value:.1f}".removesuffix(".0") + letter if value < 9.95 else f"{value:.0f}{letter}"
    return str(int(parameters))

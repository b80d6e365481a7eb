"""A slow or sudden loss in a series of nights, which no comparison of two nights shows.

    x[0], x[1], ... x[t]   the score of each night, oldest first; s[i] its sampling noise (one standard deviation)

Every split of the nights into earlier ones and a last window of w = 1 to 60 nights is tried: the window's mean is compared
with the mean of the nights before it,

    z = (mean before - mean of the window) / (noise * sqrt(1/before + 1/w))

and the largest z over all w counts. A loss is said where z exceeds 5.2. A gain of the same size begins a new level, so that a
loss after it is measured from there. The noise is the sampling noise, or more where successive nights differ by more
than it explains (their squared differences, outliers cut): other checkpoints differ in truth, not only by sampling.

At z = 5.2 one series gives less than one false alarm in 200 years of nights; `python -m benchmarks.results.drift` measures
that rate and how many nights a loss of 1, 2 and 5 points takes to be found. Not covered: fewer than 6 nights; weekly or
other periodic patterns.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mtp_eval.results.scores.estimators import FloatArray

THRESHOLD = 5.2
LONGEST_WINDOW = 60
LONGEST_LEVEL = 365
FEWEST_BEFORE = 5
CHI2_50, CHI2_99 = 0.4549, 6.635


@dataclass(frozen=True, slots=True)
class Drift:
    """A lower level: the mean of the last `n_after` nights against the `n_before` nights before them (shares)."""

    before: float
    after: float
    n_before: int
    n_after: int
    z: float

    @property
    def loss(self) -> float:
        """The drop to the new level, as a share."""
        return self.before - self.after


def find_drift(scores: Sequence[float], sds: Sequence[float], threshold: float = THRESHOLD) -> Drift | None:
    """The loss that the last night confirms, or None; `scores` are shares, oldest first.

    Args:
        scores: one score a night.
        sds: the sampling noise of each, as a share; it must be above 0.
    """
    return deque(each_night(scores, sds, threshold), maxlen=1).pop() if len(scores) else None


def each_night(scores: Sequence[float], sds: Sequence[float], threshold: float = THRESHOLD) -> Iterator[Drift | None]:
    """Yield what `find_drift` says after each night, in one pass."""
    x, s = np.asarray(scores, np.float64), np.asarray(sds, np.float64)
    start = 0
    for stop in range(1, x.size + 1):
        start = max(start, stop - LONGEST_LEVEL)
        gain = _largest(-x[start:stop], s[start:stop])
        if gain is not None and gain.z > threshold:
            start = stop - gain.n_after
        loss = _largest(x[start:stop], s[start:stop])
        yield loss if loss is not None and loss.z > threshold else None


def _largest(x: FloatArray, s: FloatArray) -> Drift | None:
    """The split of the nights with the largest drop between its two parts."""
    n = x.size
    longest = min(LONGEST_WINDOW, n - FEWEST_BEFORE)
    if longest < 1:
        return None
    w = np.arange(1, longest + 1)
    after = np.cumsum(x[::-1])[:longest] / w
    before = (x.sum() - after * w) / (n - w)
    variance_after = np.cumsum((s**2)[::-1])[:longest]
    spread = np.sqrt(variance_after / w**2 + ((s**2).sum() - variance_after) / (n - w) ** 2)
    z = (before - after) / (spread * math.sqrt(_excess(x, s)))
    best = int(np.argmax(z))
    return Drift(float(before[best]), float(after[best]), n - best - 1, best + 1, float(z[best]))


def _excess(x: FloatArray, s: FloatArray) -> float:
    """How many times the sampling variance the nights really vary by, at least 1; a jump counts no more than chance would."""
    squares = np.diff(x) ** 2 / (s[1:] ** 2 + s[:-1] ** 2)
    most = CHI2_99 * max(1.0, float(np.median(squares)) / CHI2_50)
    return max(1.0, float(np.minimum(squares, most).mean()))

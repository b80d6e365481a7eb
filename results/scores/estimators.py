"""Point estimates of a problem's score from its samples: pass@k, the whole curve over k, and the majority vote.

Everything takes and gives NumPy arrays, one entry per problem. Averages over problems and intervals are in
`results.scores.intervals`. Not covered: weighting of problems; a benchmark's score is the plain mean over its problems.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def _counts(n: ArrayLike, c: ArrayLike) -> tuple[IntArray, IntArray]:
    """`n` and `c` broadcast to one shape, checked to be whole numbers with 0 <= c <= n."""
    samples, correct = np.broadcast_arrays(np.asarray(n), np.asarray(c))
    if not (np.all(np.equal(np.mod(samples, 1), 0)) and np.all(np.equal(np.mod(correct, 1), 0))):
        raise ValueError("expected whole numbers of samples and of correct samples")
    if np.any(correct < 0) or np.any(correct > samples):
        raise ValueError("expected 0 <= c <= n for every problem: c samples of n are correct")
    return samples.astype(np.int64), correct.astype(np.int64)


def pass_at_k(n: ArrayLike, c: ArrayLike, k: int) -> FloatArray:
    """The unbiased estimate of the chance that at least one of k samples is right (Chen et al. 2021, equation 1).

    1 - C(n-c, k) / C(n, k), for a problem with n samples of which c are right. It is the average over all subsets of k
    samples of "one of them is right". NaN where n < k: k samples cannot be drawn from fewer, and no guess is made. ValueError where k < 1.

    >>> pass_at_k([10, 10, 1], [3, 0, 1], 5)
    array([0.91666667, 0.        ,        nan])
    """
    if k < 1:
        raise ValueError(f"expected k >= 1, got {k}")
    samples, correct = _counts(n, c)
    wrong = samples - correct
    miss = np.ones(samples.shape, dtype=np.float64)
    defined = samples >= k
    # C(n-c, k) / C(n, k) as a product of k factors below 1: no overflow, and a relative error of about k * 1e-16.
    for drawn in range(k):
        miss *= np.clip(wrong - drawn, 0, None) / np.where(defined, samples - drawn, 1)
    return np.where(defined, 1.0 - miss, np.nan)


def sampling_noise(n: ArrayLike, c: ArrayLike, k: int) -> float:
    """One standard deviation of the mean pass@k over these very problems, from drawing other samples (a share).

    Unbiased p(1-p) per problem for k = 1; for larger k times the square of the slope k (1-p)^(k-1) of the curve. NaN where a
    problem has a single sample.
    """
    samples, correct = _counts(n, c)
    if samples.size == 0 or samples.min() < 2:
        return float("nan")
    share = correct / samples
    slope = k * (1.0 - share) ** (k - 1)
    return float(np.sqrt((slope**2 * share * (1.0 - share) / (samples - 1)).sum()) / samples.size)


def pass_at_k_curve(n: ArrayLike, c: ArrayLike, k_max: int) -> FloatArray:
    """pass@k for every k from 1 to `k_max` in one pass; the last axis is k - 1.

    Raises:
        ValueError: k_max is below 1.
    """
    if k_max < 1:
        raise ValueError(f"expected k_max >= 1, got {k_max}")
    samples, correct = _counts(n, c)
    wrong = samples - correct
    curve = np.full((*samples.shape, k_max), np.nan)
    miss = np.ones(samples.shape, dtype=np.float64)
    for drawn in range(k_max):
        defined = samples > drawn
        miss = miss * np.clip(wrong - drawn, 0, None) / np.where(defined, samples - drawn, 1)
        curve[..., drawn] = np.where(defined, 1.0 - miss, np.nan)
    return curve


def majority(answers: Sequence[str], correct: Sequence[bool]) -> float:
    """Whether the most frequent answer of one problem is right; a tie counts with the share of right ones in it.

    For tasks whose program is a final answer that can be compared as text; for programs it says little.
    NaN without answers.

    Raises:
        ValueError: there are not as many verdicts as answers.
    """
    if len(answers) != len(correct):
        raise ValueError(f"expected one verdict per answer, got {len(answers)} answers and {len(correct)} verdicts")
    if not answers:
        return float("nan")
    votes: dict[str, int] = {}
    right: dict[str, bool] = {}
    for answer, ok in zip(answers, correct, strict=True):
        votes[answer] = votes.get(answer, 0) + 1
        right[answer] = ok
    most = max(votes.values())
    winners = [answer for answer, count in votes.items() if count == most]
    return sum(right[answer] for answer in winners) / len(winners)

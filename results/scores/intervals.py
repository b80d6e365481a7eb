"""Confidence intervals of a benchmark's score: bootstrap over problems, nested over training seeds.

    legend: P problems, K values of k, S training seeds, B resamples; scores_PK holds one score in [0, 1] per problem

Resampling whole problems covers both sources of noise at once: which problems the benchmark happens to hold, and which
samples the model happened to write (a problem's score carries its own sampling noise). Fixed seeds: the same scores
always give the same interval.

Three corrections make the interval honest where the plain percentile bootstrap is not:
- few problems: the tails are widened to Student's t (`percentiles`), by 0.9 % at 164 problems.
- few problems solved (or few unsolved): with 0 of 164 solved every resample gives 0 and the interval would be [0, 0].
  Where the sum of scores (or of 1 - score) is below 10, the binomial interval of Clopper and Pearson at that sum is
  used, which is exact for one sample a problem and conservative for more: a score within [0, 1] varies no more than a
  0-or-1 score of the same mean.
- few training seeds: drawing S of S seeds understates their spread by (S-1)/S, so S-1 are drawn, and Student's t has the
  effective degrees of freedom.

Not covered: differences between two runs, which are paired and live in `results.scores.significance`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from mtp_eval.results.scores.estimators import FloatArray

RESAMPLES = 10_000
SEED = 0
RARE_SUM = 10.0
CHUNK = 1_000


@dataclass(frozen=True, slots=True)
class Interval:
    """A two-sided interval. `method` is "bootstrap", "beta" (few solved or few unsolved) or "none" (undefined)."""

    low: float
    high: float
    method: str
    level: float = 0.95


def resampled_means(scores_PK: FloatArray, resamples: int = RESAMPLES, seed: int = SEED) -> FloatArray:
    """Means over `resamples` draws of P problems with replacement: shape (B, K), or (B,) for one column."""
    n_problems = scores_PK.shape[0]
    rng = np.random.default_rng(seed)
    shares = np.full(n_problems, 1.0 / n_problems)
    means = np.empty((resamples, *scores_PK.shape[1:]))
    for start in range(0, resamples, CHUNK):
        stop = min(start + CHUNK, resamples)
        times_drawn = rng.multinomial(n_problems, shares, size=stop - start).astype(np.float64)
        means[start:stop] = times_drawn @ scores_PK / n_problems
    return means


def mean_interval(
    scores_P: FloatArray,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = SEED,
    means_B: FloatArray | None = None,
) -> Interval:
    """The interval of the mean score over problems; `means_B` saves drawing the same resamples twice."""
    if scores_P.size == 0 or np.isnan(scores_P).any():
        return Interval(math.nan, math.nan, "none", level)
    if min(scores_P.sum(), scores_P.size - scores_P.sum()) < RARE_SUM:
        return _beta_interval(float(scores_P.sum()), scores_P.size, level)
    means = (
        _remembered_means(np.asarray(scores_P, np.float64).tobytes(), resamples, seed) if means_B is None else means_B
    )
    return percentiles(means, level, scores_P.size)


def nested_interval(
    scores_SP: FloatArray, level: float = 0.95, resamples: int = RESAMPLES, seed: int = SEED
) -> Interval:
    """The interval of the mean over training seeds and problems, where S models were trained alike but for the seed.

    All seeds are scored on the same problems, so seeds and problems are drawn independently of each other. It speaks
    about the recipe (another seed, other problems); with S = 1 it is `mean_interval`.
    """
    n_seeds, n_problems = scores_SP.shape
    if n_seeds == 1:
        return mean_interval(scores_SP[0], level, resamples, seed)
    if n_problems == 0 or np.isnan(scores_SP).any():
        return Interval(math.nan, math.nan, "none", level)
    scores_P = scores_SP.mean(axis=0)
    if min(scores_P.sum(), n_problems - scores_P.sum()) < RARE_SUM:
        return _beta_interval(float(scores_P.sum()), n_problems, level)
    rng = np.random.default_rng(seed)
    shares = np.full(n_problems, 1.0 / n_problems)
    means = np.empty(resamples)
    for start in range(0, resamples, CHUNK):
        stop = min(start + CHUNK, resamples)
        times_drawn = rng.multinomial(n_problems, shares, size=stop - start).astype(np.float64)
        by_seed_BS = times_drawn @ scores_SP.T / n_problems
        drawn_BS = rng.integers(n_seeds, size=(stop - start, n_seeds - 1))
        means[start:stop] = np.take_along_axis(by_seed_BS, drawn_BS, axis=1).mean(axis=1)
    return percentiles(means, level, n_problems, _freedom(scores_SP))


@lru_cache(maxsize=256)
def _remembered_means(scores: bytes, resamples: int, seed: int) -> FloatArray:
    """The same score is asked for by metrics, tables and reports, at several levels: draw once (80 kB each)."""
    return resampled_means(np.frombuffer(scores, dtype=np.float64), resamples, seed)


def percentiles(means_B: FloatArray, level: float, n_problems: int, freedom: float | None = None) -> Interval:
    """The percentile interval, its tails as far out as Student's t demands (Hesterberg 2015).

    Resampling P problems gives a spread that is too small by sqrt((P-1)/P), and percentiles that know nothing of the
    uncertainty of the spread itself; `freedom` is that of the t, P - 1 unless given.
    """
    from scipy.special import ndtr, stdtrit

    reach = stdtrit(freedom or n_problems - 1, 0.5 + level / 2.0) * math.sqrt(n_problems / (n_problems - 1))
    tail = float(ndtr(-reach))
    low, high = np.quantile(means_B, [tail, 1.0 - tail])
    return Interval(float(low), float(high), "bootstrap", level)


def _beta_interval(total: float, n_problems: int, level: float) -> Interval:
    from scipy.special import betaincinv

    tail = (1.0 - level) / 2.0
    low = 0.0 if total <= 0 else float(betaincinv(total, n_problems - total + 1, tail))
    high = 1.0 if total >= n_problems else float(betaincinv(total + 1, n_problems - total, 1.0 - tail))
    return Interval(low, high, "beta", level)


def _freedom(scores_SP: FloatArray) -> float:
    """Effective degrees of freedom of the spread over seeds and problems (Welch and Satterthwaite)."""
    n_seeds, n_problems = scores_SP.shape
    between_seeds = scores_SP.mean(axis=1).var(ddof=1) / n_seeds
    between_problems = scores_SP.mean(axis=0).var(ddof=1) / n_problems
    total = between_seeds + between_problems
    if total == 0.0:
        return float(n_problems - 1)
    return float(total**2 / (between_seeds**2 / (n_seeds - 1) + between_problems**2 / (n_problems - 1)))

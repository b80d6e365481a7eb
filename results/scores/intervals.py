"""Confidence intervals of a benchmark's score: Clopper and Pearson's, with the effective number of problems.

    legend: P problems, K values of k, S training seeds; scores_P holds one score in [0, 1] per problem

One method for every score, without a jump anywhere (Korn and Graubard 1998, Survey Methodology 24): the mean's variance is
that of a proportion among P / deff problems, where the design effect

    deff = variance of the scores / (mean (1 - mean))

is 1 for scores of 0 and 1 and smaller for scores between, since a problem with many samples says more than one with a
single sample; the interval is then the exact binomial one of that number of problems and successes. With one sample a
problem it is exactly Clopper and Pearson's. It covers both sources of noise: which problems the benchmark happens to hold,
and which samples the model happened to write.

- few problems solved (or unsolved): the variance of the scores is then hardly known, and deff is drawn towards 1, the safe
  side, as if `PRIOR` problems' worth of solutions had been seen with a deff of 1.
- few problems: deff is widened by Student's t over the normal quantile.
- several training seeds: what the seed adds to the variance (`seed_variance`) is widened by Student's t of the few seeds
  before it is added to that of the problems. Degrees of freedom of Satterthwaite for the sum would be fewer points wide,
  but with two or three seeds that are alike by luck they miss up to every seventh true score.

Not covered: differences between two runs, which are paired and live in `results.scores.significance`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from mtp_eval.results.scores.estimators import FloatArray

PRIOR = 5.0
METHOD = "Clopper-Pearson with the effective number of problems"


@dataclass(frozen=True, slots=True)
class Interval:
    """A two-sided interval. `method` names how it was made; "none" where it is undefined."""

    low: float
    high: float
    method: str
    level: float = 0.95


def mean_interval(scores_P: FloatArray, level: float = 0.95) -> Interval:
    """The interval of the mean score over problems."""
    if scores_P.size == 0 or math.isnan(float(scores_P.sum())):
        return Interval(math.nan, math.nan, "none", level)
    return effective_interval(float(scores_P.mean()), scores_P.size / design_effect(scores_P, level), level)


def design_effect(scores_P: FloatArray, level: float = 0.95) -> float:
    """The variance of the scores over that of 0-or-1 scores of the same mean, at most 1, drawn towards 1 where little is known."""
    mean, n_problems = float(scores_P.mean()), scores_P.size
    if n_problems < 2 or not 0.0 < mean < 1.0:
        return 1.0
    ratio = float(scores_P.var(ddof=1)) / (mean * (1.0 - mean)) * widening(n_problems - 1, level)
    return shrunk(ratio, n_problems * min(mean, 1.0 - mean))


def shrunk(ratio: float, seen: float, prior: float = PRIOR) -> float:
    """A ratio of variances of which `seen` problems' worth has been seen, drawn towards 1 and at most 1."""
    return min(1.0, (seen * ratio + prior) / (seen + prior))


def effective_interval(mean: float, n_effective: float, level: float) -> Interval:
    """Clopper and Pearson's interval for mean * n_effective successes among n_effective, which need not be whole numbers."""
    from scipy.special import betaincinv

    tail, right = (1.0 - level) / 2.0, mean * n_effective
    wrong = n_effective - right
    low = 0.0 if right <= 0.0 else float(betaincinv(right, wrong + 1.0, tail))
    high = 1.0 if wrong <= 0.0 else float(betaincinv(right + 1.0, wrong, 1.0 - tail))
    return Interval(low, high, METHOD, level)


def nested_interval(scores_SP: FloatArray, level: float = 0.95) -> Interval:
    """The interval of the mean over training seeds and problems, where S models were trained alike but for the seed.

    All seeds are scored on the same problems. It speaks about the recipe (another seed, other problems); with S = 1 it is
    `mean_interval`.
    """
    n_seeds, n_problems = scores_SP.shape
    if n_seeds == 1 or n_problems < 2 or math.isnan(float(scores_SP.sum())):
        return mean_interval(scores_SP.reshape(-1) if n_problems < 2 else scores_SP[0], level)
    scores_P = scores_SP.mean(axis=0)
    mean = float(scores_P.mean())
    proportion = mean * (1.0 - mean)
    over_seeds = seed_variance(scores_SP) * widening(n_seeds - 1, level)
    if proportion == 0.0 or over_seeds == 0.0:
        return mean_interval(scores_P, level)
    over_problems = proportion * design_effect(scores_P, level) / n_problems
    return effective_interval(mean, proportion / (over_problems + over_seeds), level)


def seed_variance(scores_SP: FloatArray) -> float:
    """The variance that the training seed adds to the mean over S seeds and P problems.

    In the two-way layout with random seeds and problems: (mean square of seeds - residual mean square) / (S P), not below 0.
    The residual (other samples, and which problems a seed happens to suit) is in the spread of the problems already.
    """
    n_seeds, n_problems = scores_SP.shape
    if n_seeds < 2 or n_problems < 2:
        return 0.0
    by_seed_S1 = scores_SP.mean(axis=1, keepdims=True)
    residual_SP = scores_SP - by_seed_S1 - scores_SP.mean(axis=0) + scores_SP.mean()
    residual = float((residual_SP**2).sum()) / ((n_seeds - 1) * (n_problems - 1))
    return max(float(by_seed_S1.var(ddof=1)) / n_seeds - residual / (n_seeds * n_problems), 0.0)


def widening(freedom: float, level: float) -> float:
    """The square of Student's quantile over the normal one."""
    from scipy.special import ndtri, stdtrit

    return float((stdtrit(freedom, 0.5 + level / 2.0) / ndtri(0.5 + level / 2.0)) ** 2)

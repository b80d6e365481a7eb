"""Two models on the same problems: the difference with its interval, and whether chance alone explains it.

    legend: P problems, S training seeds; d = candidate's score - baseline's score, problem by problem

A benchmark's problems differ in difficulty far more than models do. Comparing problem by problem takes that spread out,
so a paired comparison sees differences that two separate intervals hide.

- interval: Tango's (1998) score interval for paired proportions, with the effective number of problems.
- p-value: under "no difference", each d could as well have had the other sign. With one sample a problem that is the
  exact test of McNemar; with more it is its generalisation, the sign-flip test: over random flips where chance explains
  the difference well, else by the exact distribution of the flipped sum, so that p can be as small as Holm needs it.
- several comparisons at once: Holm's correction keeps the chance of any false alarm at the level asked for.

Not covered: tests on other statistics than the mean over problems.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mtp_eval.results.scores.estimators import FloatArray
from mtp_eval.results.scores.intervals import Interval, seed_variance, shrunk

FLIPS = 20_000
SEED = 0
ENUMERATE_UP_TO = 14
ENOUGH_HITS = 1_000
TIE = 1e-9
GRID = 65_536
PRIOR = 1.0
"""How many problems that differ the safe ratio of variances weighs as much as."""
MOST_DENOMINATOR = 1_000


def difference_interval(d_P: FloatArray, level: float = 0.95) -> Interval:
    """The interval of the mean difference over problems: Tango's, with the effective number of problems.

    Differences between -1 and 1 vary less than differences of -1, 0 and 1 with the same gains and losses; as many problems
    of the latter kind are taken as give the same variance (see `results.scores.intervals`).
    """
    if d_P.size == 0 or np.isnan(d_P).any():
        return Interval(math.nan, math.nan, "none", level)
    return tango_interval(*_effective(d_P), level)


def tango_interval(gains: float, losses: float, n_problems: float, level: float = 0.95) -> Interval:
    """The score interval of (gains - losses) / n for paired proportions (Tango 1998, Statistics in Medicine 17).

    All differences that the score test does not reject; found by bisection between the observed one and +-1.
    """
    from scipy.optimize import brentq
    from scipy.special import ndtri

    z = float(ndtri(0.5 + level / 2.0))
    observed = (gains - losses) / n_problems

    def score(delta: float) -> float:
        return tango_z(gains, losses, n_problems, delta)

    def bound(edge: float, target: float) -> float:
        # Near the observed difference the score is about 0; beyond the root it is past the target, if there is a root.
        def excess(delta: float) -> float:
            return max(min(score(delta), 1e6), -1e6) - target

        if abs(edge - observed) < 1e-8 or excess(edge) * target < 0:
            return edge
        return float(brentq(excess, min(edge, observed), max(edge, observed), xtol=1e-10))

    return Interval(bound(-1.0 + 1e-9, z), bound(1.0 - 1e-9, -z), "Tango with the effective number of problems", level)


def tango_z(gains: float, losses: float, n_problems: float, delta: float) -> float:
    """Tango's score statistic of "the true difference is delta": normal with deviation 1 if it is."""
    # The probability of a loss, estimated under the constraint that the difference is delta.
    a = 2.0 * n_problems
    b = -gains - losses + (2.0 * n_problems - gains + losses) * delta
    c = -losses * delta * (1.0 - delta)
    loss = (math.sqrt(max(b * b - 4.0 * a * c, 0.0)) - b) / (2.0 * a)
    variance = n_problems * (2.0 * loss + delta * (1.0 - delta))
    excess = gains - losses - n_problems * delta
    return math.copysign(math.inf, excess) if variance <= 0.0 and excess else excess / math.sqrt(max(variance, 1e-300))


def noninferiority_p(d_P: FloatArray, margin: float) -> float:
    """The one-sided p-value of "the candidate is worse by `margin` (a share) or more": small where it is not.

    It is Tango's score test at a difference of -margin, with the effective number of problems: p is at most alpha exactly
    where the interval of level 1 - 2 alpha lies above -margin.
    """
    from scipy.special import ndtr

    if d_P.size == 0:
        return math.nan
    return float(ndtr(-tango_z(*_effective(d_P), -margin)))


def _effective(d_P: FloatArray) -> tuple[float, float, float]:
    """Gains, losses and problems of -1, 0 and 1 that have the mean and about the variance of these differences."""
    gains, losses = float(d_P[d_P > 0].sum()), float(-d_P[d_P < 0].sum())
    moved = gains + losses
    full = moved / d_P.size - float(d_P.mean()) ** 2
    ratio = shrunk(float(d_P.var()) / full, int(np.count_nonzero(d_P)), PRIOR) if full > 0.0 else 1.0
    return gains / ratio, losses / ratio, d_P.size / ratio


def mcnemar_p(gains: int, losses: int) -> float:
    """The exact two-sided p-value for problems that only one of two models solved, one sample each."""
    from scipy.special import bdtr

    discordant = gains + losses
    return min(1.0, 2.0 * float(bdtr(min(gains, losses), discordant, 0.5)))


def sign_flip_p(d_P: FloatArray, flips: int = FLIPS, seed: int = SEED) -> float:
    """The two-sided p-value of the mean difference when every problem's difference may change its sign.

    Exact by enumeration for up to 14 problems that differ. Otherwise flips are drawn until 1,000 were as extreme as the
    data (Besag and Clifford 1991: p = hits / flips so far); where `flips` of them do not bring so many, p is small and is
    computed exactly (`flipped_sum_tail`), however small it is.
    """
    moved_P = d_P[np.abs(d_P) > TIE]
    if moved_P.size == 0:
        return 1.0
    observed = abs(float(moved_P.sum())) - TIE
    if moved_P.size <= ENUMERATE_UP_TO:
        codes = np.arange(2**moved_P.size)[:, None] >> np.arange(moved_P.size) & 1
        return float((np.abs((2 * codes - 1) @ moved_P) >= observed).mean())
    rng = np.random.default_rng(seed)
    hits = done = 0
    while done < flips:
        batch = min(1_000, flips - done)
        signs = 2.0 * rng.integers(2, size=(batch, moved_P.size), dtype=np.int8) - 1.0
        extreme = np.abs(signs @ moved_P) >= observed
        if hits + int(extreme.sum()) >= ENOUGH_HITS:
            last = int(np.flatnonzero(extreme)[ENOUGH_HITS - hits - 1])
            return ENOUGH_HITS / (done + last + 1)
        hits += int(extreme.sum())
        done += batch
    return flipped_sum_tail(np.abs(moved_P), observed)


def flipped_sum_tail(sizes_P: FloatArray, observed: float) -> float:
    """The chance that the sizes, each with a random sign, add up to at least `observed` or at most minus that.

    The distribution of the sum is built size by size on a grid. Sizes that are whole multiples of 1/m for an m up to 1,000
    (pass@1 with equal numbers of samples) lie on it, and the chance is exact. Others are rounded to a grid of 65,536 steps,
    and `observed` is lowered by all that the rounding could add up to: the chance is then never too small.
    """
    scale = _common_denominator(sizes_P) or GRID / float(sizes_P.sum())
    steps_P = np.rint(sizes_P * scale).astype(np.int64)
    error = float(np.abs(sizes_P * scale - steps_P).sum())
    least = math.ceil(observed * scale - error - TIE)
    total = int(steps_P.sum())
    chances = np.zeros(total + 1)  # of the sum of the sizes whose sign is plus
    chances[0] = 1.0
    reached = 0
    for step in steps_P:
        chances[step : reached + step + 1] += chances[: reached + 1].copy()
        chances[: reached + step + 1] *= 0.5
        reached += int(step)
    if least <= 0:
        return 1.0
    first = (total + least + 1) // 2  # plus - minus >= least, where plus + minus = total
    return min(1.0, 2.0 * float(chances[first:].sum()))


def _common_denominator(sizes_P: FloatArray) -> int | None:
    """The smallest m up to 1,000 of which every size is a whole multiple of 1/m."""
    distinct = np.unique(np.round(sizes_P, 12))
    for m in range(1, MOST_DENOMINATOR + 1):
        if np.abs(distinct * m - np.rint(distinct * m)).max() < 1e-7:
            return m
    return None


def paired_p(d_P: FloatArray, flips: int = FLIPS) -> tuple[float, str]:
    """The p-value and the name of the test: McNemar's where every difference is -1, 0 or 1, else the sign flip."""
    if np.isin(d_P, (-1.0, 0.0, 1.0)).all():
        return mcnemar_p(int((d_P > 0).sum()), int((d_P < 0).sum())), "McNemar"
    return sign_flip_p(d_P, flips), "sign flip"


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's (1979) adjusted p-values: reject where they are at most alpha, and any false alarm has chance alpha.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    if any(math.isnan(p) for p in p_values):
        return [math.nan] * len(p_values)
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted = [0.0] * len(p_values)
    worst = 0.0
    for rank, i in enumerate(order):
        worst = max(worst, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = worst
    return adjusted


def nested_difference(baseline_SP: FloatArray, candidate_SP: FloatArray, level: float = 0.95) -> tuple[Interval, float]:
    """Interval and two-sided p-value for the difference of two recipes, each trained with several seeds.

    Problems are paired, seeds are not. The variance is that over problems and what the seeds add (`seed_variance`); Student's t
    has the degrees of freedom of Satterthwaite, for which the mean squares of the seeds count in full.
    """
    from scipy.special import stdtr, stdtrit

    d_P = candidate_SP.mean(axis=0) - baseline_SP.mean(axis=0)
    mean = float(d_P.mean())
    over_problems = float(d_P.var(ddof=1)) / d_P.size
    squares = [(over_problems, d_P.size - 1)]
    for scores_SP in (baseline_SP, candidate_SP):
        if scores_SP.shape[0] > 1:
            squares.append((float(scores_SP.mean(axis=1).var(ddof=1)) / scores_SP.shape[0], scores_SP.shape[0] - 1))
    variance = over_problems + seed_variance(baseline_SP) + seed_variance(candidate_SP)
    if variance == 0.0:
        return Interval(mean, mean, "none", level), 1.0
    freedom = variance**2 / sum(square**2 / degrees for square, degrees in squares)
    p_value = float(2.0 * stdtr(freedom, -abs(mean) / math.sqrt(variance)))
    reach = float(stdtrit(freedom, 0.5 + level / 2.0)) * math.sqrt(variance)
    return Interval(max(-1.0, mean - reach), min(1.0, mean + reach), "t over problems and seeds", level), p_value

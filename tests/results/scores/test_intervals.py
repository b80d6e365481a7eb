"""Intervals against formulas, and their coverage by simulation (small here; the full study is benchmarks.results)."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binomtest

from mtp_eval.results.scores.estimators import pass_at_k
from mtp_eval.results.scores.intervals import mean_interval, nested_interval, resampled_means


@pytest.mark.slow
def test_bootstrap_of_the_mean_is_normal_for_many_problems() -> None:
    scores = np.random.default_rng(1).random(3_000)
    interval = mean_interval(scores)
    half = 1.96 * scores.std() / math.sqrt(3_000)
    assert interval.low == pytest.approx(scores.mean() - half, abs=0.03 * half)
    assert interval.high == pytest.approx(scores.mean() + half, abs=0.03 * half)


def test_resampling_is_drawing_problems_with_replacement() -> None:
    """Mean and variance of the resampled means, known in closed form, within 5 standard errors."""
    scores = np.array([0.0, 0.0, 1.0, 0.5])
    means = resampled_means(scores, 40_000)
    assert means.mean() == pytest.approx(scores.mean(), abs=5 * means.std() / 200)
    assert means.var() == pytest.approx(scores.var() / 4, rel=5 * math.sqrt(2 / 40_000))


def test_same_scores_same_interval_whatever_the_number_of_columns() -> None:
    scores = np.random.default_rng(2).random((50, 2))
    np.testing.assert_allclose(resampled_means(scores, 2_500)[:, 1], resampled_means(scores[:, 1], 2_500), rtol=1e-12)


@pytest.mark.parametrize("solved", [0, 1, 5, 160, 164])
def test_few_solved_or_unsolved_give_the_exact_binomial_interval(solved: int) -> None:
    scores = np.repeat([1.0, 0.0], [solved, 164 - solved])
    interval = mean_interval(scores)
    exact = binomtest(solved, 164).proportion_ci(0.95, "exact")
    assert (interval.low, interval.high) == pytest.approx((exact.low, exact.high))
    assert interval.method == "beta"


@pytest.mark.slow
@pytest.mark.parametrize("k", [1, 10])
def test_coverage(k: int) -> None:
    """500 data sets of 164 problems of 20 samples: the standard error of a 95 % rate is 1 point, 3 of them allowed."""
    rng = np.random.default_rng(k)
    a, b = 0.3, 0.9
    # E[1 - (1-p)^k] for a Beta(a, b) difficulty.
    truth = 1.0 - math.exp(sum(math.log((b + i) / (a + b + i)) for i in range(k)))
    covered = 0
    for _ in range(500):
        scores = pass_at_k(20, rng.binomial(20, rng.beta(a, b, 164)), k)
        interval = mean_interval(scores, resamples=1_000)
        covered += interval.low <= truth <= interval.high
    assert 0.92 <= covered / 500 <= 0.98


def test_one_seed_is_the_plain_interval_and_equal_seeds_add_nothing() -> None:
    scores = np.random.default_rng(4).random(300)
    plain = mean_interval(scores)
    assert nested_interval(scores[None]) == plain
    equal = nested_interval(np.stack([scores] * 3))
    assert equal.high - equal.low == pytest.approx(plain.high - plain.low, rel=0.05)


def test_undefined_stays_undefined() -> None:
    assert math.isnan(mean_interval(np.array([])).low)
    assert mean_interval(np.array([0.5, np.nan])).method == "none"

"""The paired test over seeds: scipy is the oracle for its figures, a simulation for what they promise."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from mtp_eval.results.scores.seed_pairs import paired_over_seeds


def test_it_is_the_paired_t_test() -> None:
    rng = np.random.default_rng(0)
    for n in (2, 3, 5, 10):
        a, b = rng.normal(size=n), rng.normal(1.0, 2.0, size=n)
        pairs = paired_over_seeds(list(a), list(b))
        oracle = stats.ttest_rel(b, a)
        interval = oracle.confidence_interval(0.95)
        assert pairs.p_value == pytest.approx(oracle.pvalue, rel=1e-12)
        assert pairs.interval() == pytest.approx((interval.low, interval.high), rel=1e-12)
        assert pairs.difference == pytest.approx(np.mean(b - a))


def test_seeds_that_agree_prove_no_more_than_their_problems() -> None:
    """Three seeds, 0 and 100 % right of 20 problems each: the spread over seeds is 0, that of the problems is not."""
    assert paired_over_seeds([0, 0, 0], [1, 1, 1]).p_value == 0.0
    guarded = paired_over_seeds([0, 0, 0], [1, 1, 1], least_variance=0.01)
    assert guarded.standard_error == pytest.approx(math.sqrt(0.01 / 3))
    assert 0.001 < guarded.p_value < 0.01
    assert paired_over_seeds([0.5] * 3, [0.5] * 3).p_value == 1.0


def test_too_few_seeds_have_no_interval() -> None:
    assert math.isnan(paired_over_seeds([1.0], [2.0]).p_value)
    assert math.isnan(paired_over_seeds([1.0], [2.0]).interval()[0])
    assert paired_over_seeds([], []).n_seeds == 0


@pytest.mark.parametrize("n", [3, 5, 10])
def test_the_smallest_visible_difference_is_found_four_times_in_five(n: int) -> None:
    """Power of the t-test by scipy's noncentral t at the difference that we name, within what the usual formula gives."""
    rng = np.random.default_rng(1)
    pairs = paired_over_seeds([0.0] * n, list(rng.normal(size=n)))
    shift = pairs.smallest_visible() / pairs.standard_error
    critical = stats.t.ppf(0.975, n - 1)
    power = stats.nct.sf(critical, n - 1, shift) + stats.nct.cdf(-critical, n - 1, shift)
    assert 0.7 < power < 0.9

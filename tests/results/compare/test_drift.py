"""The drift test finds losses that no comparison of two nights shows, and hardly ever one that is not there."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.results.drift import first_alarm, nights
from mtp_eval.results.compare.drift import find_drift


def test_a_slow_loss_is_found_within_25_nights() -> None:
    """46.0 to 38.7 points over 56 nights, 500 problems of 10 samples; each of 10 series."""
    rng = np.random.default_rng(11)
    for _ in range(10):
        found = first_alarm(*nights(rng, np.linspace(0.0, 7.3, 56)))
        assert found is not None
        assert found <= 25


def test_a_loss_at_once_is_told_with_both_levels() -> None:
    scores, sds = nights(np.random.default_rng(2), np.repeat([0.0, 5.0], [20, 1]))
    drift = find_drift(scores, sds)
    assert drift is not None
    assert (drift.n_before, drift.n_after) == (20, 1)
    assert drift.loss == pytest.approx(0.05, abs=0.03)


@pytest.mark.slow
@pytest.mark.parametrize("wander", [0.0, 0.5])
def test_nights_without_a_loss_are_silent(wander: float) -> None:
    """20 years of nights; in 200 years the benchmark found none."""
    rng = np.random.default_rng(3)
    assert all(first_alarm(*nights(rng, np.zeros(365), wander)) is None for _ in range(20))


def test_a_gain_is_a_new_level() -> None:
    scores, sds = nights(np.random.default_rng(4), np.repeat([4.0, 0.0, 3.0], [20, 20, 8]))
    drift = find_drift(scores, sds)
    assert drift is not None, "back to nearly where it began is a loss from the better level"
    assert drift.n_before <= 22


def test_few_nights_say_nothing() -> None:
    assert find_drift([], []) is None
    assert find_drift([0.5, 0.1], [0.01, 0.01]) is None

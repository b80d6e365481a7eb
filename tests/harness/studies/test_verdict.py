"""Verdicts on made-up scores: what is there is found, what is not is not claimed, and what cannot be known is said to be so."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mtp_eval.harness.studies.claims import NOT_REPRODUCED, REPRODUCED, UNDECIDED, Comparison
from mtp_eval.harness.studies.definition import Recipe
from mtp_eval.harness.studies.verdict import summary, verdicts
from tests.harness.studies.made_results import Share, made
from tests.harness.studies.tiny_study import STUDY


def scores(low: float, high: float, noise: float = 0.02) -> Share:
    """n=1 around `low`, n=2 around `high`, apart by the seed."""
    rng = np.random.default_rng(0)
    jitter = rng.normal(0, noise, size=100)
    return lambda recipe, seed: float(np.clip((high if recipe.name.endswith("n2") else low) + jitter[seed], 0, 1))


@pytest.mark.parametrize(
    ("low", "high", "n_seeds", "in_full", "outcome"),
    [
        (0.2, 0.8, 3, True, REPRODUCED),
        (0.8, 0.2, 5, True, NOT_REPRODUCED),
        (0.8, 0.8, 2, True, UNDECIDED),
        (0.2, 0.2, 10, True, UNDECIDED),  # neither has learnt the task
    ],
)
def test_what_is_there_is_found_and_little_is_not_taken_for_nothing(
    low: float, high: float, n_seeds: int, in_full: bool, outcome: str
) -> None:
    first, _ = verdicts(made(STUDY, n_seeds, scores(low, high)), in_full=in_full)
    assert first.outcome == outcome, first.reason
    assert first.sentence() in summary([first])


def test_no_difference_is_a_result_only_if_a_difference_that_matters_is_ruled_out() -> None:
    """Differences of exactly 0 in 10 seeds of 50 problems leave room for what 50 problems cannot see."""
    found, _ = verdicts(made(STUDY, 10, lambda recipe, seed: 0.96), in_full=True)
    low, high = found.pairs.interval()
    assert low < 0 < high
    assert found.outcome == (NOT_REPRODUCED if found.pairs.interval(0.975)[1] < 5.0 else UNDECIDED)
    shortened, _ = verdicts(made(STUDY, 10, lambda recipe, seed: 0.96), in_full=False)
    assert shortened.outcome == UNDECIDED


@pytest.mark.parametrize(("share", "outcome"), [(0.1, NOT_REPRODUCED), (0.001, UNDECIDED)])
def test_what_matters_may_be_a_share_of_the_baseline(share: float, outcome: str) -> None:
    """Bits per byte are 1.5 here on average, and differ by 0.02 without a direction."""
    claim = STUDY.claims[1]
    assert isinstance(claim, Comparison)
    study = replace(STUDY, claims=[replace(claim, matters=share, relative=True)])
    rng = np.random.default_rng(3)
    (found,) = verdicts(made(study, 10, lambda recipe, seed: 0.5 + rng.normal(0, 0.02)), in_full=True)
    assert found.outcome == outcome
    assert outcome == UNDECIDED or f"a difference of {0.1 * found.means[0]:g} or more is ruled out" in found.reason


@pytest.mark.slow
def test_a_study_without_an_effect_is_rarely_reproduced() -> None:
    """Of 200 studies of two claims without an effect at most 22 say "reproduced": chance of more below 0.1 % at 5 % each."""
    rng, alarms = np.random.default_rng(1), 0
    for _ in range(200):
        values: dict[tuple[str, int], float] = {}

        def share(recipe: Recipe, seed: int, values: dict[tuple[str, int], float] = values) -> float:
            return values.setdefault((recipe.name, seed), float(np.clip(rng.normal(0.5, 0.1), 0, 1)))

        alarms += any(v.outcome == REPRODUCED for v in verdicts(made(STUDY, 4, share), in_full=True))
    assert alarms <= 22

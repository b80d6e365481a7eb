"""Agreement with a formula: shown where it is, not where it is not, and by the t-tests of scipy; the page of all claims beside it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import ttest_1samp

from mtp_eval.harness.studies.catalogue import NAMES, load_study
from mtp_eval.harness.studies.claims import NOT_REPRODUCED, REPRODUCED, UNDECIDED, Agreement, NoGain
from mtp_eval.harness.studies.claims_page import NOT_YET, claims_page
from mtp_eval.harness.studies.definition import Measure
from mtp_eval.harness.studies.page import numbers
from mtp_eval.harness.studies.untested import UNTESTED
from mtp_eval.harness.studies.verdict import Verdict, verdicts
from mtp_eval.results.scores.seed_pairs import paired_over_seeds
from tests.harness.studies.made_results import made
from tests.harness.studies.tiny_study import STUDY

BITS = Measure("bits per byte", lambda cell: cell.training["validation"]["bits_per_byte"][0], digits=3)


def judged(off: float, noise: float, *, n_seeds: int = 5, in_full: bool = True) -> Verdict:
    """A claim that a value is 1.5 to within 0.1, of a recipe that is off by so much."""
    claim = Agreement(text="it is 1.5", source="nowhere", measure=BITS, matters=0.1, recipe="tiny-n2", expected=1.5)
    rng = np.random.default_rng(5)
    jitter = rng.normal(size=n_seeds)
    jitter = noise * (jitter - jitter.mean()) / jitter.std(ddof=1)
    results = made(replace(STUDY, claims=[claim]), n_seeds, lambda recipe, seed: 0.5 - off - float(jitter[seed]))
    (found,) = verdicts(results, in_full=in_full)
    return found


@pytest.mark.parametrize(
    ("off", "noise", "in_full", "outcome"),
    [
        (0.02, 0.01, True, REPRODUCED),
        (0.02, 0.01, False, REPRODUCED),
        (-0.3, 0.02, True, NOT_REPRODUCED),
        (0.3, 0.02, False, UNDECIDED),
        (0.02, 0.5, True, UNDECIDED),
        (0.1, 0.01, True, UNDECIDED),
    ],
)
def test_agreement_is_shown_where_it_is(off: float, noise: float, in_full: bool, outcome: str) -> None:
    found = judged(off, noise, in_full=in_full)
    assert found.outcome == outcome, found.reason
    assert found.means == pytest.approx((1.5, 1.5 + off))
    assert "1.500 by the formula" in found.sentence()


def test_the_p_value_is_the_larger_of_two_one_sided_t_tests() -> None:
    rng = np.random.default_rng(2)
    for mean in (-0.2, 0.0, 0.05, 0.4):
        values = rng.normal(1.5 + mean, 0.1, size=6)
        ours = paired_over_seeds([1.5] * 6, values.tolist()).p_value_within(0.2)
        above = ttest_1samp(values, 1.3, alternative="greater").pvalue
        below = ttest_1samp(values, 1.7, alternative="less").pvalue
        assert ours == pytest.approx(max(above, below))
    assert paired_over_seeds([1.0] * 3, [1.1] * 3).p_value_within(0.2) < 1e-9


def test_two_seeds_are_no_verdict() -> None:
    assert judged(0.0, 0.01, n_seeds=2).pairs is None


@pytest.mark.slow
def test_what_is_just_outside_is_rarely_called_within() -> None:
    """Off by exactly the margin: of 400 at most 36 at 5 % each, more by chance below 0.1 %."""
    rng = np.random.default_rng(3)
    alarms = sum(
        paired_over_seeds([0.0] * 5, rng.normal(0.1, 0.05, size=5).tolist()).p_value_within(0.1) <= 0.05
        for _ in range(400)
    )
    assert alarms <= 36


def test_the_page_has_every_claim_once_and_says_what_was_not_conducted() -> None:
    study = load_study("information")
    results = made(study, 3, lambda recipe, seed: 0.9)
    page = claims_page({"information": numbers(results, verdicts(results, in_full=True))})
    rows = [line for line in page.splitlines() if line.startswith("| ") and not line.startswith(("| claim", "| ---"))]
    claims = [claim for name in NAMES for claim in load_study(name).claims]
    assert len(rows) == len(claims) + len(UNTESTED)
    assert sum(NOT_YET in row for row in rows) == len(claims) - len(study.claims)
    for claim, found in zip(study.claims, verdicts(results, in_full=True), strict=True):
        assert sum(row.endswith(f"| {claim.measure.text(found.smallest_visible)} |") for row in rows) >= 1
    texts = [claim.text for claim in claims] + [one.text for one in UNTESTED]
    assert len(set(texts)) == len(texts), "each claim stands in one place"
    for text in texts:
        shown = text.replace("|", "\\|")
        assert sum(row.startswith(f"| {shown} |") for row in rows) == 1


def no_gain(off: float, noise: float, *, learnt: float = 50.0) -> Verdict:
    """The claim that n=2 gains no five points on n=1, which gets 60 % right; it gains `off` points."""
    claim = NoGain(
        text="no gain", source="nowhere", measure=STUDY.measures[0], matters=5.0, learnt=learnt,
        candidate="tiny-n2", baseline="tiny-n1",
    )  # fmt: skip
    measure = Measure("made", lambda cell: cell.share * 100)  # type: ignore[attr-defined]
    jitter = np.resize([1.0, -1.0], 6) * noise / 100
    results = made(
        replace(STUDY, claims=[replace(claim, measure=measure)]),
        6,
        lambda recipe, seed: 0.6 + (off / 100 + float(jitter[seed]) if recipe.name == "tiny-n2" else 0.0),
    )
    (found,) = verdicts(results, in_full=True)
    return found


@pytest.mark.parametrize(
    ("off", "noise", "learnt", "outcome"),
    [
        (0.5, 1.0, 50.0, REPRODUCED),
        (-8.0, 1.0, 50.0, REPRODUCED),
        (0.5, 1.0, 90.0, UNDECIDED),
        (3.0, 12.0, 50.0, UNDECIDED),
        (9.0, 1.0, 50.0, NOT_REPRODUCED),
        (3.0, 1.0, 50.0, NOT_REPRODUCED),
    ],
)
def test_no_gain_is_shown_only_where_one_that_matters_is_ruled_out(
    off: float, noise: float, learnt: float, outcome: str
) -> None:
    assert no_gain(off, noise, learnt=learnt).outcome == outcome


def test_the_p_value_of_no_gain_is_that_of_a_one_sided_t_test() -> None:
    values = np.random.default_rng(4).normal(1.0, 2.0, size=7)
    ours = paired_over_seeds([0.0] * 7, values.tolist()).p_value_below(2.5)
    assert ours == pytest.approx(ttest_1samp(values, 2.5, alternative="less").pvalue)

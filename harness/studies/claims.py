"""The kinds of claims: a recipe is ahead of another one, or is not; a measure is what a formula says.

reproduced      the test over seeds, corrected over the study's claims (Holm), has p <= 0.05, in the claimed direction
not reproduced  it shows the contrary, or leaves no room for a difference that would matter
undecided       everything else; the smallest difference that the test would have found is given
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from mtp_eval.harness.studies.definition import LEAST_SEEDS, Claim, Results
from mtp_eval.results.scores.seed_pairs import SeedPairs, paired_over_seeds

ALPHA = 0.05
REPRODUCED, NOT_REPRODUCED, UNDECIDED = "reproduced", "not reproduced", "undecided at this size"


@dataclass(frozen=True, kw_only=True)
class Comparison(Claim):
    """The candidate's measure is above the baseline's, by a paired t-test over seeds, two-sided.

    It is not reproduced where the test finds the other direction; or where the interval (Bonferroni over the claims) leaves no room
    for a difference that matters, in models of which at least one has learnt something, trained in full.

    Args:
        candidate, baseline: recipes.
        rises: whether the candidate's measure should be above the baseline's; else below.
        learnt: a mean that one of the two must reach, for their being alike to say anything: well above guessing.
        relative: `matters` is a share of the baseline's mean.
        candidate_from, baseline_from: recipes from which the change to each of the two is taken, so that two changes are compared:
            an interaction. "": their values themselves are.
    """

    candidate: str
    baseline: str
    rises: bool = True
    learnt: float = 0.0
    relative: bool = False
    candidate_from: str = ""
    baseline_from: str = ""

    @property
    def recipes(self) -> tuple[str, ...]:
        """Both, and those that they are changes from."""
        return self.baseline, self.candidate, *filter(None, (self.baseline_from, self.candidate_from))

    @property
    def _sides(self) -> tuple[tuple[str, str], tuple[str, str]]:
        return (self.baseline, self.baseline_from), (self.candidate, self.candidate_from)

    def _values(self, results: Results, name: str, origin: str) -> dict[int, float]:
        """The measure of a recipe by seed, or its change from another one."""
        values = results.values(name, self.measure)
        if not origin:
            return values
        before = results.values(origin, self.measure)
        return {seed: values[seed] - before[seed] for seed in values if seed in before}

    def means(self, results: Results) -> tuple[float, float]:
        """The means over all seeds of each; NaN of changes without a seed that both have."""
        base, cand = (self._values(results, *side).values() for side in self._sides)
        return fmean(base or [math.nan]), fmean(cand or [math.nan])

    def pairs(self, results: Results) -> SeedPairs | None:
        """The differences of the seeds that both have."""
        base, cand = (self._values(results, *side) for side in self._sides)
        seeds = sorted(base.keys() & cand.keys())
        if len(seeds) < LEAST_SEEDS:
            return None
        cells = [results.of(name) for name in self.recipes]
        least = fmean(sum(self.measure.variance(by_seed[seed]) for by_seed in cells) for seed in seeds)
        return paired_over_seeds([base[s] for s in seeds], [cand[s] for s in seeds], least)

    def outcome(
        self, pairs: SeedPairs, means: tuple[float, float], p_holm: float, n_claims: int, *, in_full: bool
    ) -> tuple[str, str]:
        """By the rule above."""
        matters = self.matters * abs(means[0]) if self.relative else self.matters
        visible = (
            f"a difference of {self.measure.text(self.smallest_visible(pairs, ALPHA / n_claims))} would have been found "
            "four times in five"
        )
        if p_holm <= ALPHA:
            if (pairs.difference > 0) is self.rises:
                return REPRODUCED, visible
            return NOT_REPRODUCED, "the difference is the other way round"
        low, high = pairs.interval(1.0 - ALPHA / n_claims)
        if (high if self.rises else -low) >= matters:
            return UNDECIDED, visible
        if not in_full:
            return UNDECIDED, f"training was shortened, so that no difference says nothing; {visible}"
        if max(means) < self.learnt:
            return UNDECIDED, f"neither has learnt the task, so that no difference says nothing; {visible}"
        return NOT_REPRODUCED, f"a difference of {matters:g} or more is ruled out"

    def compared(self, means: tuple[float, float]) -> str:
        """Both means."""
        return " to ".join(map(self.measure.text, means))

    def definition(self) -> dict[str, Any]:
        """All but the paper's figure."""
        origins = {"candidate_from": self.candidate_from, "baseline_from": self.baseline_from}
        return _sorted(
            {
                **{key: origin for key, origin in origins.items() if origin},
                "text": self.text,
                "source": self.source,
                "measure": self.measure.name,
                "candidate": self.candidate,
                "baseline": self.baseline,
                "matters": self.matters,
                "rises": self.rises,
                "learnt": self.learnt,
                "relative": self.relative,
            }
        )


@dataclass(frozen=True, kw_only=True)
class NoGain(Comparison):
    """The candidate's measure is not above the baseline's by `matters` or more, by a one-sided paired t-test over seeds (non-superiority).

    It is not reproduced where the interval (Bonferroni over the claims) lies above 0 as a whole. Models that have learnt nothing, or
    were not trained in full, say nothing.
    """

    def p_value(self, pairs: SeedPairs) -> float:
        """Of "a gain of `matters` or more"."""
        return pairs.p_value_below(self.matters)

    def outcome(
        self, pairs: SeedPairs, means: tuple[float, float], p_holm: float, n_claims: int, *, in_full: bool
    ) -> tuple[str, str]:
        """By the rule above."""
        smallest = self.measure.text(self.smallest_visible(pairs, ALPHA / n_claims))
        visible = f"a gain of {smallest} would have been found four times in five"
        if pairs.interval(1.0 - ALPHA / n_claims)[0] > 0:
            return NOT_REPRODUCED, "there is a gain"
        if p_holm > ALPHA:
            return UNDECIDED, visible
        if not in_full:
            return UNDECIDED, f"training was shortened, so that no gain says nothing; {visible}"
        if max(means) < self.learnt:
            return UNDECIDED, f"neither has learnt the task, so that no gain says nothing; {visible}"
        return REPRODUCED, f"a gain of {self.matters:g} or more is ruled out; {visible}"

    def definition(self) -> dict[str, Any]:
        """As of a comparison, with the test."""
        return _sorted({**super().definition(), "test": "one-sided paired t-test of a gain of `matters` or more"})


@dataclass(frozen=True, kw_only=True)
class Agreement(Claim):
    """A recipe's measure is what a formula says, to within `matters`, by two one-sided t-tests over seeds (equivalence).

    It is not reproduced where the whole interval (Bonferroni over the claims) lies further off, in models that were trained in full.

    Args:
        recipe: that is measured.
        expected: the formula's value.
    """

    recipe: str
    expected: float

    @property
    def recipes(self) -> tuple[str, ...]:
        """The one."""
        return (self.recipe,)

    def means(self, results: Results) -> tuple[float, float]:
        """The formula's value, and the mean over seeds."""
        return self.expected, fmean(results.values(self.recipe, self.measure).values())

    def pairs(self, results: Results) -> SeedPairs | None:
        """Each seed's distance from the formula."""
        values, cells = results.values(self.recipe, self.measure), results.of(self.recipe)
        if len(values) < LEAST_SEEDS:
            return None
        least = fmean(self.measure.variance(cells[seed]) for seed in values)
        return paired_over_seeds([self.expected] * len(values), list(values.values()), least)

    def p_value(self, pairs: SeedPairs) -> float:
        """Of "further off than `matters`"."""
        return pairs.p_value_within(self.matters)

    def smallest_visible(self, pairs: SeedPairs, alpha: float) -> float:
        """The true distance from the formula that is found to be more than `matters` four times in five."""
        return self.matters + pairs.smallest_visible(alpha)

    def outcome(
        self, pairs: SeedPairs, means: tuple[float, float], p_holm: float, n_claims: int, *, in_full: bool
    ) -> tuple[str, str]:
        """By the rule above."""
        smallest = self.measure.text(self.smallest_visible(pairs, ALPHA / n_claims))
        visible = f"{smallest} off the formula would have been found four times in five"
        if p_holm <= ALPHA:
            return REPRODUCED, f"within {self.matters:.3g}; {visible}"
        low, high = pairs.interval(1.0 - ALPHA / n_claims)
        if -self.matters <= high and low <= self.matters:
            return UNDECIDED, visible
        if not in_full:
            return UNDECIDED, "training was shortened, so that being off says nothing"
        return NOT_REPRODUCED, f"more than {self.matters:.3g} off the formula"

    def compared(self, means: tuple[float, float]) -> str:
        """The formula's value and ours."""
        expected, found = map(self.measure.text, means)
        return f"{expected} by the formula, {found} measured"

    def definition(self) -> dict[str, Any]:
        """All but the paper's figure."""
        return _sorted(
            {
                "text": self.text,
                "source": self.source,
                "measure": self.measure.name,
                "recipe": self.recipe,
                "expected": self.expected,
                "matters": self.matters,
                "test": "two one-sided t-tests over seeds",
            }
        )


def _sorted(about: Mapping[str, Any]) -> dict[str, Any]:
    return {key: about[key] for key in sorted(about)}

"""Claims on a choice: what it leads to is no more than one standard error behind the best of everything that it chose from."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from typing import Any

from mtp_eval.harness.studies.claims import ALPHA, NOT_REPRODUCED, REPRODUCED, UNDECIDED
from mtp_eval.harness.studies.definition import LEAST_SEEDS, Claim, Results
from mtp_eval.results.scores.seed_pairs import SeedPairs, paired_over_seeds

RULE = "the mean over seeds is no more than one standard error behind that of the grid's best recipe"


@dataclass(frozen=True, kw_only=True)
class NearBest(Claim):
    """The candidate's mean over seeds is within one standard error of the best mean in a grid (the one-standard-error rule).

    The bar is the best recipe's value less the standard error of its mean, seed by seed; which recipe is best is seen afterwards, so
    that the bar is, by chance, rather too high than too low. Reproduced where the mean difference from the bar is not negative, not
    reproduced where its whole interval (Bonferroni over the claims) is; models that have learnt nothing, or were not trained in
    full, say nothing. The p-value of "no difference from the bar" is given, and does not decide.

    Args:
        candidate: the recipe that chose.
        grid: the recipes with everything that there was to choose from.
        rises: whether more of the measure is better; else less.
        learnt: a mean that the bar or the candidate must reach.
    """

    candidate: str
    grid: tuple[str, ...]
    rises: bool = True
    learnt: float = 0.0

    @property
    def recipes(self) -> tuple[str, ...]:
        """The grid's and the candidate."""
        return (*self.grid, self.candidate)

    def best(self, results: Results) -> str:
        """The recipe of the grid with the best mean."""
        sign = 1.0 if self.rises else -1.0
        return max(self.grid, key=lambda name: sign * fmean(results.values(name, self.measure).values()))

    def bar(self, results: Results) -> dict[int, float]:
        """The best recipe's value less one standard error of its mean, by seed."""
        name = self.best(results)
        spread = results.spread(name, self.measure)
        assert spread is not None
        off = spread.standard_error if self.rises else -spread.standard_error
        return {seed: value - off for seed, value in results.values(name, self.measure).items()}

    def means(self, results: Results) -> tuple[float, float]:
        """The bar, and the candidate's mean."""
        return fmean(self.bar(results).values()), fmean(results.values(self.candidate, self.measure).values())

    def pairs(self, results: Results) -> SeedPairs | None:
        """What the candidate is above the bar, seed by seed."""
        if any(len(results.values(name, self.measure)) < LEAST_SEEDS for name in self.recipes):
            return None
        bar, found = self.bar(results), results.values(self.candidate, self.measure)
        seeds = sorted(bar.keys() & found.keys())
        if len(seeds) < LEAST_SEEDS:
            return None
        cells = results.of(self.candidate)
        least = fmean(self.measure.variance(cells[seed]) for seed in seeds)
        return paired_over_seeds([bar[s] for s in seeds], [found[s] for s in seeds], least)

    def outcome(
        self, pairs: SeedPairs, means: tuple[float, float], p_holm: float, n_claims: int, *, in_full: bool
    ) -> tuple[str, str]:
        """By the rule above."""
        smallest = self.measure.text(self.smallest_visible(pairs, ALPHA / n_claims))
        visible = f"{smallest} behind the bar would have been found four times in five"
        if not in_full:
            return UNDECIDED, f"training was shortened, and the choice with it; {visible}"
        if self.rises and max(means) < self.learnt:
            return UNDECIDED, f"nothing has learnt the task, so that every choice is as good; {visible}"
        ahead = pairs.difference if self.rises else -pairs.difference
        if ahead >= 0:
            return REPRODUCED, f"within one standard error; {visible}"
        low, high = pairs.interval(1.0 - ALPHA / n_claims)
        if (high if self.rises else -low) < 0:
            return NOT_REPRODUCED, "further behind"
        return UNDECIDED, visible

    def compared(self, means: tuple[float, float]) -> str:
        """The bar and the candidate's mean."""
        bar, found = map(self.measure.text, means)
        return f"the grid's best less one standard error {bar}, chosen {found}"

    def definition(self) -> dict[str, Any]:
        """All but the paper's figure."""
        return {
            "candidate": self.candidate,
            "grid": list(self.grid),
            "learnt": self.learnt,
            "matters": self.matters,
            "measure": self.measure.name,
            "rises": self.rises,
            "source": self.source,
            "test": RULE,
            "text": self.text,
        }

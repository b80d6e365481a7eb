"""Two recipes trained with the same seeds: the mean difference over seeds, paired, and what it could have shown.

Student's t on the differences of one seed's two trainings, which share their data, its order and the first weights of what
they have in common. The spread is taken to be no smaller than what the test problems alone would give, so that three seeds that
agree to the last digit prove no more than their problems can.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

POWER = 0.8


@dataclass(frozen=True)
class SeedPairs:
    """The difference of two recipes over S seeds, in the unit of the values.

    Args:
        difference: the mean over seeds of candidate - baseline.
        standard_error: of that mean.
        p_value: two-sided, of "no difference".
    """

    n_seeds: int
    difference: float
    standard_error: float
    p_value: float

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """The t interval of the difference; NaN with fewer than two seeds."""
        reach = self._quantile(0.5 + level / 2.0) * self.standard_error
        return self.difference - reach, self.difference + reach

    def smallest_visible(self, alpha: float = 0.05) -> float:
        """The true difference that this test at this `alpha` finds four times in five, with the spread that was seen."""
        return (self._quantile(1.0 - alpha / 2.0) + self._quantile(POWER)) * self.standard_error

    def p_value_within(self, margin: float) -> float:
        """Of "the true difference is at least `margin`, either way": two one-sided t-tests (Schuirmann 1987), the larger p of both."""
        return self._p_value_of_room(margin - abs(self.difference))

    def p_value_below(self, margin: float) -> float:
        """Of "the true difference is at least `margin`", one-sided."""
        return self._p_value_of_room(margin - self.difference)

    def _p_value_of_room(self, room: float) -> float:
        from scipy.special import stdtr

        if not self.standard_error:
            return 0.0 if room > 0 else 1.0
        return float(stdtr(self.n_seeds - 1, -room / self.standard_error)) if self.n_seeds > 1 else math.nan

    def _quantile(self, share: float) -> float:
        from scipy.special import stdtrit

        return float(stdtrit(self.n_seeds - 1, share)) if self.n_seeds > 1 else math.nan


def paired_over_seeds(
    baseline_S: Sequence[float], candidate_S: Sequence[float], least_variance: float = 0.0
) -> SeedPairs:
    """Compare seed by seed.

    Args:
        baseline_S, candidate_S: one value a seed, in the same order.
        least_variance: of one seed's difference, whatever the seeds show: the part that finitely many problems give.
    """
    from scipy.special import stdtr

    d_S = np.asarray(candidate_S, dtype=np.float64) - np.asarray(baseline_S, dtype=np.float64)
    n, mean = d_S.size, float(d_S.mean()) if d_S.size else math.nan
    if n < 2:
        return SeedPairs(n, mean, math.nan, math.nan)
    error = math.sqrt(max(float(d_S.var(ddof=1)), least_variance) / n)
    if error == 0.0:
        return SeedPairs(n, mean, 0.0, 1.0 if mean == 0.0 else 0.0)
    return SeedPairs(n, mean, error, float(2.0 * stdtr(n - 1, -abs(mean) / error)))

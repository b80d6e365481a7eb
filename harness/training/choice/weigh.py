"""Weights of the heads from their gradients at the trunk, in one trial with all weights 1.

`balance`     each head sends a gradient of the same length: Défossez et al., arXiv 2210.13438, section 3.4, whose balancer does so in
              every step; here once, so that the run's weights are constant
`agreement`   each head weighs as much as its gradient agrees with head 1's: the cosine where it is positive (arXiv 1812.02224)
"""

from __future__ import annotations

from abc import abstractmethod

import numpy as np

from mtp_eval.harness.training.choice.rule import LEAST_STEPS, Bench, Choice, Rule, over_groups, steps_within
from mtp_eval.harness.training.choice.trial import Trial
from mtp_eval.harness.training.choice.trunk import agreement, lengths, look_steps


class Weigh(Rule):
    """The frame of both."""

    by: str
    """What the weights follow, in words."""

    @abstractmethod
    def weights(self, trial: Trial) -> list[float]:
        """A weight for each head; the first one's is 1."""

    def choose(self, bench: Bench) -> Choice:
        """The weights after the trial."""
        (n,) = bench.n_futures
        trial = bench.trial(n)
        n_steps = steps_within(trial, bench.flops_left, n_looks=look_steps(trial))
        if n_steps < LEAST_STEPS:
            why = f"the share allows {n_steps} steps, too few to see anything"
            return Choice(n, None, False, f"all weights 1, the default: {why}", {"steps": n_steps})
        trial.train_to(n_steps)
        weights = tuple(round(float(weight), 4) for weight in self.weights(trial))
        return Choice(n, weights, True, f"by {self.by} after {n_steps} steps", {"steps": n_steps, "weights": weights})


class BalanceWeights(Weigh):
    """Weights by the lengths of gradients."""

    by = "the length of each head's gradient at the trunk"

    def weights(self, trial: Trial) -> list[float]:
        """Head 1's length over each head's."""
        lengths_N = over_groups(lengths(trial))
        found_N = lengths_N[0] / np.maximum(lengths_N, 1e-12)
        found: list[float] = np.where(
            np.isnan(found_N), 1.0, found_N
        ).tolist()  # a head without targets weighs nothing anyway
        return found


class AgreementWeights(Weigh):
    """Weights by the direction of gradients."""

    by = "the cosine between each head's gradient at the trunk and head 1's"

    def weights(self, trial: Trial) -> list[float]:
        """The mean cosine, at least 0."""
        cosines_N = over_groups(agreement(trial))
        return [1.0, *np.maximum(np.nan_to_num(cosines_N[1:]), 0.0).tolist()]

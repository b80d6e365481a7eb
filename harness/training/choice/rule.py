"""The seam of a choice: a rule looks at short trials and decides on n or on the weights of the heads.

rule.choose(bench) -> Choice        one class a rule, each in its own file; `choose` knows them by name
bench.trial(n, weights) -> Trial    the first steps of the run with that n
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import stats

from mtp_eval.harness.errors import InputError
from mtp_eval.harness.models.size import model_size
from mtp_eval.harness.progress import Progress
from mtp_eval.harness.training.choice.trial import Material, Trial, with_heads
from mtp_eval.harness.training.config import TrainConfig
from mtp_eval.harness.training.corpus import Array
from mtp_eval.harness.training.matching import matched

LEAST_STEPS = 5
"""Of a trial: after fewer, a model is still what it was drawn as."""
ALPHA = 0.05
"""Of the test whether two candidates are told apart; it knows the chance of the held-out text, not that of the seed."""


@dataclass(frozen=True)
class Choice:
    """What was chosen, and why.

    Args:
        n_future: the n.
        head_weights: None: all 1.
        told_apart: whether the evidence decided; else the stated default was taken.
        reason: in a sentence.
        evidence: all that was measured, as JSON.
    """

    n_future: int
    head_weights: tuple[float, ...] | None
    told_apart: bool
    reason: str
    evidence: Mapping[str, Any] = field(default_factory=dict)


class Rule(ABC):
    """A way to choose."""

    @abstractmethod
    def choose(self, bench: Bench) -> Choice:
        """Choose for the run on the bench, within the FLOPs that it has left."""


class Bench:
    """Where a run's trials are made and paid.

    Args:
        config: of the run.
        n_futures: the values of n that are looked at; one where weights are to be chosen.
        flops: that may be used.
        bar: counts the per cent of them that are used.
    """

    def __init__(self, config: TrainConfig, material: Material, n_futures: Sequence[int], flops: float, bar: Progress):
        self.config, self.material, self.n_futures, self.flops = config, material, tuple(n_futures), flops
        self.trials: list[Trial] = []
        self._bar, self._shown = bar, 0

    def _show(self) -> None:
        percent = int(100 * (1 - self.flops_left / self.flops))
        self._bar.advance(percent - self._shown)
        self._shown = percent

    def trial(self, n_future: int, head_weights: Sequence[float] | None = None) -> Trial:
        """A new trial, before its first step.

        Raises:
            InputError: nothing is held out, by which it could be judged.
        """
        found = Trial(with_heads(self.config, n_future, head_weights), self.material, self._show)
        if not found.held_out:
            raise InputError(f"a choice is made by held-out text, and {self.material.data.say_held_out()}")
        self.trials.append(found)
        return found

    @property
    def flops_left(self) -> float:
        """What trials may still use."""
        return self.flops - sum(trial.flops for trial in self.trials)

    def spent_share(self) -> float:
        """Of the FLOPs of a whole training with n = 1, what all trials have used."""
        return sum(trial.flops for trial in self.trials) / run_flops(self.config, self.material.vocab_size)


def run_flops(config: TrainConfig, vocab_size: int) -> float:
    """FLOPs of a whole training with n = 1: the least that any n takes."""
    one = model_size(matched(config.model.model_copy(update={"n_future": 1}), vocab_size))
    return float(one.train_flops_per_token) * config.tokens_per_step * config.total_steps


def fitting(config: TrainConfig, vocab_size: int) -> list[int]:
    """The candidates that the layers have room for, in ascending order.

    Raises:
        InputError: there is none, or the default is not among them.
    """
    found = []
    for n in sorted(config.choice.candidates):
        try:
            matched(config.model.model_copy(update={"n_future": n}), vocab_size)
            found.append(n)
        except InputError as error:
            reason = error
    if not found:
        raise InputError(f"choice.candidates: none of {list(config.choice.candidates)} can be trained: {reason}")
    if config.choice.otherwise not in found:
        raise InputError(
            f"choice.otherwise = {config.choice.otherwise} is taken where nothing can be told, and has no room: {reason}"
        )
    return found


def steps_within(trial: Trial, flops: float, n_looks: float = 1) -> int:
    """The steps that a trial can take for so many FLOPs, and be looked at so many times; a look costs what a step does."""
    return max(0, int(flops / trial.step_flops - n_looks))


def roomy(config: TrainConfig, n_futures: Sequence[int], vocab_size: int) -> int:
    """The largest of these n that leaves the trunk at least half of the layers that the next-token model has; else the smallest n."""
    found = min(n_futures)
    for n in sorted(n_futures):
        model = matched(config.model.model_copy(update={"n_future": n}), vocab_size)
        if 2 * model.n_trunk_layers >= config.model.n_layers:
            found = n
    return found


def over_groups(values_KN: Array) -> Array:
    """The mean over groups of each head `(N,)`; NaN where no group has a value."""
    there_KN = ~np.isnan(values_KN)
    found: Array = np.where(there_KN, values_KN, 0.0).sum(axis=0) / np.where(
        there_KN.any(axis=0), there_KN.sum(axis=0), np.nan
    )
    return found


def in_json(values_N: Array) -> list[float | None]:
    """Values for the record, which has no NaN."""
    return [None if np.isnan(value) else round(float(value), 6) for value in values_N]


def is_lower(a_K: Array, b_K: Array) -> bool:
    """Whether the values of a are below those of b by a one-sided paired t-test over the groups of held-out text."""
    difference_K = a_K - b_K
    difference_K = difference_K[~np.isnan(difference_K)]
    if len(difference_K) < 2:
        return False
    if not difference_K.std():
        return bool(difference_K[0] < 0)
    return bool(stats.ttest_1samp(difference_K, 0.0, alternative="less").pvalue <= ALPHA)


def told(a_K: Array, b_K: Array) -> bool | None:
    """Whether the values of a are below those of b; None where the test tells neither that nor the contrary."""
    if is_lower(a_K, b_K):
        return True
    return False if is_lower(b_K, a_K) else None

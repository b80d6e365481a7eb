"""Successive halving: a small population trained side by side, of which the better half by held-out loss of head 1 goes on.

Jamieson and Talwalkar, arXiv 1502.07943. Each round has the same compute, shared equally among those that are left. The default goes
through all rounds, so that the winner is compared with it at the end, after as much training.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mtp_eval.harness.training.choice.rule import LEAST_STEPS, Bench, Choice, Rule, is_lower, steps_within
from mtp_eval.harness.training.choice.trial import Trial

AUXILIARY = (0.0, 0.1, 0.3, 1.0)
"""Weights of the heads after the first that the population for weights has; 1 is the paper's, and the default."""


@dataclass(frozen=True)
class Member:
    """One of the population: its name in the evidence, its n and weights, its trial."""

    name: str
    n_future: int
    head_weights: tuple[float, ...] | None
    trial: Trial


class HalvingN(Rule):
    """n by successive halving."""

    def choose(self, bench: Bench) -> Choice:
        """The n whose head 1 is best, or the default if it is not told from that."""
        default = bench.config.choice.otherwise
        population = [Member(f"n={n}", n, None, bench.trial(n)) for n in bench.n_futures]
        return halve(bench, population, f"n={default}")


class HalvingWeights(Rule):
    """One weight for all heads after the first, by successive halving."""

    def choose(self, bench: Bench) -> Choice:
        """The weight with which head 1 is best, or 1 if it is not told from that."""
        (n,) = bench.n_futures
        all_weights = [(1.0, *[share] * (n - 1)) for share in AUXILIARY]
        population = [Member(f"weight {weights[-1]:g}", n, weights, bench.trial(n, weights)) for weights in all_weights]
        return halve(bench, population, "weight 1")


def halve(bench: Bench, population: Sequence[Member], default: str) -> Choice:
    """Train and drop until one is left beside the default, and compare the two."""
    rounds: list[dict[str, Any]] = []
    alive, n_rounds = list(population), max(1, math.ceil(math.log2(len(population))))
    kept = next(member for member in population if member.name == default)
    longest = max(member.trial.step_flops for member in population)
    n_steps = int(bench.flops_left / n_rounds / len(population) / longest - 1)  # the look costs a step
    if n_steps < LEAST_STEPS:
        why = f"the share allows each trial {max(n_steps, 0)} steps in the first round, too few to see anything"
        return Choice(kept.n_future, None, False, f"{default}, the default: {why}", {"rounds": rounds})
    for number in range(n_rounds):
        share = bench.flops_left / (n_rounds - number) / len(alive)
        for member in alive:
            member.trial.train_to(member.trial.step + steps_within(member.trial, share))
        nats = {member.name: member.trial.held_out_nats()[:, 0] for member in alive}
        means = {name: float(np.nanmean(of_groups)) for name, of_groups in nats.items()}
        rounds.append({member.name: {"step": member.trial.step, "nats": means[member.name]} for member in alive})
        ranked = sorted(alive, key=lambda member: means[member.name])
        best = ranked[0]
        alive = ranked[: max(1, math.ceil(len(population) / 2 ** (number + 1)))]
        if kept not in alive:
            alive.append(kept)
    told = best is not kept and is_lower(nats[best.name], nats[kept.name])
    found = best if told else kept
    return Choice(
        found.n_future,
        found.head_weights,
        told,
        reason(best.name, default, told, means),
        {"rounds": rounds},
    )


def reason(best: str, default: str, told: bool, means: Mapping[str, float]) -> str:
    """The outcome in a sentence."""
    if best == default:
        return f"{default}, the default, has the lowest held-out loss of head 1 ({means[default]:.3f} nats)"
    compared = f"held-out loss of head 1 {means[best]:.3f} nats, with {default} {means[default]:.3f}"
    if told:
        return f"{best} is the best of the trials: {compared}"
    return f"the trials do not tell {best} from {default}, the default: {compared}"

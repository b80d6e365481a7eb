"""Curves over a run, as pure functions of the step (from 0) and the number of steps in all."""

from __future__ import annotations

import math

from mtp_eval.harness.training.config import LossConfig, OptimizerConfig


def learning_rate(config: OptimizerConfig, step: int, total_steps: int) -> float:
    """Linear warm-up, then cosine from the peak to `final_ratio` of it at the last step, or the peak throughout.

    A warm-up as long as the run is cut for a cosine; a constant rate does not know how long the run is.
    """
    warmup = config.warmup_steps if config.decay == "constant" else min(config.warmup_steps, total_steps - 1)
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    if config.decay == "constant":
        return config.learning_rate
    progress = (step - warmup) / max(1, total_steps - 1 - warmup)
    cosine = 0.5 * (1 + math.cos(math.pi * progress))
    return config.learning_rate * (config.final_ratio + (1 - config.final_ratio) * cosine)


def head_weights(config: LossConfig, n_future: int, step: int, total_steps: int) -> list[float]:
    """The weight of each head's loss at a step; a head of weight 0 is not computed."""
    weights = list(config.head_weights or [1.0] * n_future)
    if config.average_heads:
        weights = [weight / n_future for weight in weights]
    if config.auxiliary_decay < 1:
        share = 1 - (1 - config.auxiliary_decay) * step / max(1, total_steps - 1)
        weights[1:] = [weight * share for weight in weights[1:]]
    if config.curriculum != "none":
        stage = step * n_future // total_steps
        horizon = stage + 1 if config.curriculum == "forward" else n_future - stage
        weights[horizon:] = [0.0] * (n_future - horizon)
    return weights

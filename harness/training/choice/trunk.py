"""What heads send into the trunk: the direction of each head's gradient beside head 1's, and its length.

Shapes: N heads, K groups of rows, P parameters of the trunk, B rows, T positions, D width.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from mtp_eval.harness.training.choice.trial import GROUPS, Trial
from mtp_eval.harness.training.corpus import Array, Window
from mtp_eval.harness.training.loss import head_nats
from mtp_eval.harness.training.targets import IGNORED


def look_rows(trial: Trial) -> int:
    """Rows of a batch that are looked at: each costs a trunk's backward pass a head."""
    batch_size = trial.config.batch_size
    return max(batch_size // trial.n_future, min(batch_size, GROUPS))


def look_steps(trial: Trial) -> float:
    """What the look costs, at most, in training steps."""
    return look_rows(trial) * trial.n_future / trial.config.batch_size


def agreement(trial: Trial) -> Array:
    """The cosine between each head's gradient and head 1's, over all weights of the trunk, on each group of rows `(K, N)`.

    NaN where a head has no target, or sends nothing.
    """
    found = []
    for losses_N, _ in _losses(trial):
        gradients_NP = [_flat(loss, list(trial.stepper.model.trunk.parameters())) for loss in losses_N]
        lengths_N = [float(gradient_P.norm()) for gradient_P in gradients_NP]
        found.append(
            [
                float(gradient_P @ gradients_NP[0]) / (length * lengths_N[0]) if length and lengths_N[0] else np.nan
                for gradient_P, length in zip(gradients_NP, lengths_N, strict=True)
            ]
        )
    return np.array(found)


def lengths(trial: Trial) -> Array:
    """The length of the gradient that each head sends into the trunk's output, on each group of rows `(K, N)`; NaN without a target."""
    found = []
    for losses_N, trunk_BTD in _losses(trial):
        of_heads = [float(torch.autograd.grad(loss, trunk_BTD, retain_graph=True)[0].norm()) for loss in losses_N]
        found.append([length or np.nan for length in of_heads])
    return np.array(found)


def _losses(trial: Trial) -> Iterator[tuple[list[Tensor], Tensor]]:
    """Yield each head's mean loss, and the trunk's output `(B, T, D)`, on groups of rows that no step of the trial has seen."""
    batch = trial.batches.batch(trial.step)
    rows = look_rows(trial)
    n_groups = min(GROUPS, rows)
    trial.flops += trial.step_flops * look_steps(trial)
    size = rows // n_groups
    for k in range(n_groups):
        yield _of_rows(trial, batch.rows(slice(k * size, (k + 1) * size)))


def _of_rows(trial: Trial, rows: Window) -> tuple[list[Tensor], Tensor]:
    model, runtime = trial.stepper.model, trial.stepper.runtime
    tokens_BS, targets_NBT = trial.stepper.tensors(rows)
    rotary = model.rotary(torch.arange(targets_NBT.shape[2], device=tokens_BS.device)[None])
    n_targets = max(int((targets_NBT[0] != IGNORED).sum()), 1)
    losses_N = []
    with runtime.autocast():
        trunk_BTD = model.trunk_forward(tokens_BS[:, : targets_NBT.shape[2]], rotary)
        for i in range(trial.n_future):
            hidden_BTD = trunk_BTD
            for k in model.config.head_path(i + 1):
                hidden_BTD = model.head_forward(k, hidden_BTD, rotary, tokens_BS)
            norm, matrix = model.head_norm(i + 1), model.unembedding(i + 1)
            losses_N.append(head_nats(norm, matrix, hidden_BTD.flatten(0, 1), targets_NBT[i].flatten()) / n_targets)
    return losses_N, trunk_BTD


def _flat(loss: Tensor, parameters: list[Tensor]) -> Tensor:
    return torch.cat([part.flatten() for part in torch.autograd.grad(loss, parameters, retain_graph=True)])

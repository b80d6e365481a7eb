"""MuToR, multi-token prediction with registers (arXiv 2505.10518): a learnt token behind every token predicts a later one.

    tokens      x_1  r    x_2  r    ...  x_T    r
    positions   1    d    2    d+1  ...  T      T+d-1
    predicts    x_2  x_1+d  x_3  x_2+d   x_T+1  x_T+d

The distance d is drawn for each sequence from 1 to the farthest one; a register learns it from its position alone, which is the one
that predicts its target in ordinary text. All registers are one learnt vector. A register sees the tokens up to its own and itself
(`models.layers`), tokens see no register, so that the next-token path is that of a model without them, and decoding leaves them out.

Shapes: B rows, T positions, S columns of tokens (S >= T + the farthest distance).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mtp_eval.harness.training.corpus import Array
from mtp_eval.harness.training.targets import IGNORED

STREAM = 2505_10518
"""Tells these random numbers from the others that a run draws from its seed."""


def draw_distances(seed: int, step: int, farthest: int, batch_size: int) -> Array:
    """The distance of each sequence of a step's global batch: the same for any number of processes and micro-batches."""
    return np.random.Generator(np.random.PCG64([seed, step, STREAM])).integers(1, farthest + 1, size=batch_size)


def register_targets(
    tokens_BS: Tensor, documents_BS: Tensor, distances_B: Tensor, length: int, learnt_BS: Tensor | None = None
) -> Tensor:
    """The targets `(B, T)`: the token d places on where that is of the same document and is learnt, else IGNORED."""
    places_BT = torch.arange(length, device=tokens_BS.device) + distances_B[:, None]
    own_BT = documents_BS[:, :length]
    is_target_BT = (documents_BS.gather(1, places_BT) == own_BT) & (own_BT >= 0)
    if learnt_BS is not None:
        is_target_BT &= learnt_BS.gather(1, places_BT)
    return tokens_BS.gather(1, places_BT).masked_fill(~is_target_BT, IGNORED)


@dataclass(frozen=True, slots=True)
class RegisterLoss:
    """What `loss.sequential_backward` adds to head 1's loss: each sequence's distance, targets, and the weight of their sum."""

    distances_B: Tensor
    targets_BT: Tensor
    weight: float

    @property
    def positions(self) -> Tensor:
        """Where the registers stand, counted as the tokens' positions are."""
        length = self.targets_BT.shape[1]
        return torch.arange(length, device=self.targets_BT.device) + self.distances_B[:, None] - 1

"""Which token each position is to predict: never one of another document, nor one of a prompt.

Shapes: N heads, B batch rows, T positions, S columns of tokens (S >= T).
"""

from __future__ import annotations

import torch
from torch import Tensor

IGNORED = -100
"""The target of a position whose future token lies in another document, or nowhere."""


def future_targets(
    tokens_BS: Tensor, documents_BS: Tensor, n_future: int, length: int, learnt_BS: Tensor | None = None
) -> Tensor:
    """The targets `(N, B, T)`: target i at t is token t + i where that is of t's own document and is learnt, else IGNORED.

    `tokens_BS` and `documents_BS` (the number of each token's document, -1 for padding) have S = length + n_future
    columns, and so has `learnt_BS`, which is false for the tokens of prompts; None: all are learnt.
    """
    own_BT = documents_BS[:, :length]
    rows = []
    for i in range(1, n_future + 1):
        is_target_BT = (documents_BS[:, i : i + length] == own_BT) & (own_BT >= 0)
        if learnt_BS is not None:
            is_target_BT &= learnt_BS[:, i : i + length]
        rows.append(tokens_BS[:, i : i + length].masked_fill(~is_target_BT, IGNORED))
    return torch.stack(rows)

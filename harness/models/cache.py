"""Keys and values of the tokens seen so far, with a position per row so that rows advance by different amounts.

Shapes: B batch rows, T new tokens, S slots of the cache, K key-value heads, E head size.
"""

from __future__ import annotations

import torch
from torch import Tensor


class LayerCache:
    """Keys and values of one layer, `(B, K, S, E)` each, allocated once.

    A slot's index is its token's position, so that a rejected draft needs no removal: the next write at that position
    replaces it, and until then the mask hides it.
    """

    def __init__(
        self, batch: int, kv_heads: int, slots: int, head_size: int, *, dtype: torch.dtype, device: torch.device
    ):
        self.k_BKSE = torch.zeros(batch, kv_heads, slots, head_size, dtype=dtype, device=device)
        self.v_BKSE = torch.zeros(batch, kv_heads, slots, head_size, dtype=dtype, device=device)

    def write(self, k_BKTE: Tensor, v_BKTE: Tensor, positions_BT: Tensor) -> tuple[Tensor, Tensor]:
        """Store new keys and values at their positions; returns all slots."""
        rows_B1 = torch.arange(positions_BT.shape[0], device=positions_BT.device)[:, None]
        self.k_BKSE[rows_B1, :, positions_BT] = k_BKTE.transpose(1, 2)
        self.v_BKSE[rows_B1, :, positions_BT] = v_BKTE.transpose(1, 2)
        return self.k_BKSE, self.v_BKSE


def causal_mask(positions_BT: Tensor, slots: int) -> Tensor:
    """`(B, 1, T, S)`, true where the token at a position may attend to a slot: slot <= position."""
    slots_S = torch.arange(slots, device=positions_BT.device)
    return (slots_S[None, None, :] <= positions_BT[:, :, None])[:, None]

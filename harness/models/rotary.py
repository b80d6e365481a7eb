"""The rotary position embedding (arXiv 2104.09864), plain or stretched to a longer context.

Shapes: B rows, T tokens, H heads, E head size; `e` is E / 2.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mtp_eval.harness.models.config import ModelConfig, RopeScaling


def frequencies(config: ModelConfig, dtype: torch.dtype, device: torch.device | str) -> Tensor:
    """Radians per position `(E / 2,)` of every pair of coordinates."""
    exponents_e = torch.arange(0, config.head_size, 2, device=device, dtype=dtype) / config.head_size
    plain_e = config.rope_theta**-exponents_e
    return plain_e if config.rope_scaling is None else _scaled(plain_e, config.rope_scaling)


def _scaled(plain_e: Tensor, scaling: RopeScaling) -> Tensor:
    slow_e = plain_e / scaling.factor
    if scaling.kind == "linear":
        return slow_e
    turns_e = scaling.original_context_length * plain_e / (2 * math.pi)  # waves that the original context holds
    span = scaling.high_freq_factor - scaling.low_freq_factor
    share_e = ((turns_e - scaling.low_freq_factor) / span).clamp(0, 1)  # 0: long waves, 1: short ones
    return (1 - share_e) * slow_e + share_e * plain_e


def rotary_table(config: ModelConfig, positions_BT: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Cosines and sines `(B, 1, T, E)`, in Llama's half-split layout."""
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    angles_BTe = positions_BT[..., None].to(wide) * frequencies(config, wide, positions_BT.device)
    angles_B1TE = torch.cat([angles_BTe, angles_BTe], dim=-1)[:, None]
    return angles_B1TE.cos().to(dtype), angles_B1TE.sin().to(dtype)


def rotate(x_BHTE: Tensor, table: tuple[Tensor, Tensor]) -> Tensor:
    """Apply the rotary embedding, in the table's precision; the result has the input's."""
    cos, sin = table
    first, second = x_BHTE.chunk(2, dim=-1)
    return (x_BHTE * cos + torch.cat([-second, first], dim=-1) * sin).to(x_BHTE.dtype)

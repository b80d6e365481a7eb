"""Random numbers that depend on a row's seed and on the token's place in the completion, and on nothing else.

A counter-based generator (SplitMix64, doi 10.1145/2660193.2660195): no state travels from step to step, so a batch of
any size and order draws the same numbers, and a token that is looked at twice (drafted, then verified) meets the same
noise.

Shapes: B batch rows, T tokens, V vocabulary.
"""

from __future__ import annotations

import torch
from torch import Tensor

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15
_MIX_1, _MIX_2 = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB

TARGET, DRAFT, ACCEPT = 1, 2, 3
"""What a number is drawn for; different purposes are independent."""


def _signed(value: int) -> int:
    value &= _MASK
    return value - (1 << 64) if value >> 63 else value


def _shift_right(x: Tensor, bits: int) -> Tensor:
    return (x >> bits) & ((1 << (64 - bits)) - 1)  # `>>` of int64 copies the sign bit; the mask clears it


def mix(x: Tensor) -> Tensor:
    """SplitMix64's output function on int64 tensors, whose arithmetic wraps."""
    x = (x ^ _shift_right(x, 30)) * _signed(_MIX_1)
    x = (x ^ _shift_right(x, 27)) * _signed(_MIX_2)
    return x ^ _shift_right(x, 31)


def row_key(seed: int) -> int:
    """A request's seed, any non-negative integer, as a well-spread signed 64-bit key."""
    key = 0
    while True:
        x = (key ^ (seed & _MASK)) + _GOLDEN
        x = ((x ^ ((x & _MASK) >> 30)) * _MIX_1) & _MASK
        x = ((x ^ (x >> 27)) * _MIX_2) & _MASK
        key = x ^ (x >> 31)
        seed >>= 64
        if seed <= 0:
            return _signed(key)


def streams(keys_B: Tensor, indices_BT: Tensor, purpose: int) -> Tensor:
    """One stream `(B, T)` for each token index of each row."""
    return mix(keys_B[:, None] + mix(indices_BT * 4 + purpose))


def uniform(stream_BT: Tensor, dtype: torch.dtype) -> Tensor:
    """One number in [0, 1) per stream."""
    return _shift_right(mix(stream_BT), 11).to(torch.float64).mul_(2.0**-53).to(dtype)


def exponential(stream_BT: Tensor, width: int, dtype: torch.dtype) -> Tensor:
    """`(B, T, V)` independent draws of the exponential distribution with rate 1, all above 0.

    The first of V racing exponentials with rates p is token v with probability p[v]: the noise of an exact sampler.
    """
    counter_V = (torch.arange(1, width + 1, device=stream_BT.device) * _signed(_GOLDEN))[None, None]
    bits_BTV = _shift_right(mix(stream_BT[..., None] + counter_V), 1)
    # Small draws decide the race, so the uniform is taken near 0, where floating point is fine-grained.
    uniform_BTV = bits_BTV.to(dtype).mul_(2.0**-63).add_(2.0**-64)
    below_one = 1 - torch.finfo(dtype).eps / 2  # rounding up to 1 would make an infinite draw
    return uniform_BTV.clamp_(max=below_one).neg_().log1p_().neg_()


def race(log_weights_BTV: Tensor, keys_B: Tensor, indices_BT: Tensor, purpose: int) -> Tensor:
    """Tokens `(B, T)` drawn in proportion to exp(log_weights)."""
    draws_BTV = exponential(streams(keys_B, indices_BT, purpose), log_weights_BTV.shape[-1], log_weights_BTV.dtype)
    return (log_weights_BTV - draws_BTV.log_()).argmax(dim=-1)

"""Random numbers that depend on a row's seed and on the token's place in the completion, and on nothing else.

A counter-based generator (SplitMix64, doi 10.1145/2660193.2660195): no state travels from step to step, so a batch of
any size and order draws the same numbers, and a token that is looked at twice (drafted, then verified) meets the same
noise.

Shapes: B batch rows, T tokens, N = B·T, V vocabulary, C candidates.
"""

from __future__ import annotations

import torch
from torch import Tensor

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15
_MIX_1, _MIX_2 = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB

_AT_ONCE = 1 << 17  # numbers

TARGET, DRAFT, ACCEPT = 1, 2, 3
"""What a number is drawn for; different purposes are independent."""


def _signed(value: int) -> int:
    value &= _MASK
    return value - (1 << 64) if value >> 63 else value


def _shift_right(x: Tensor, bits: int) -> Tensor:
    return (x >> bits).bitwise_and_((1 << (64 - bits)) - 1)  # `>>` of int64 copies the sign bit; the mask clears it


def mix(x: Tensor) -> Tensor:
    """SplitMix64's output function on int64 tensors, whose arithmetic wraps."""
    return _mix_in_place(x.clone())


def _mix_in_place(x: Tensor) -> Tensor:
    for bits, factor in ((30, _MIX_1), (27, _MIX_2), (31, 1)):
        x.bitwise_xor_(_shift_right(x, bits))
        if factor != 1:
            x.mul_(_signed(factor))
    return x


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


def exponential(stream: Tensor, ids: Tensor, dtype: torch.dtype) -> Tensor:
    """Draws of the exponential distribution with rate 1, all above 0: one for each token id of each stream.

    The first of V racing exponentials with rates p is token v with probability p[v]: the noise of an exact sampler. A draw
    depends on its stream and its id only, so that the few that matter can be had without the others.

    Args:
        stream: `(…)`.
        ids: `(…, C)`, or `(C,)` for the same ids everywhere.
    """
    counters = (ids + 1) * _signed(_GOLDEN)
    bits = _shift_right(_mix_in_place(stream[..., None] + counters), 1)
    # Small draws decide the race, so the uniform is taken near 0, where floating point is fine-grained.
    uniform = bits.to(dtype).mul_(2.0**-63).add_(2.0**-64)
    below_one = 1 - torch.finfo(dtype).eps / 2  # rounding up to 1 would make an infinite draw
    return uniform.clamp_(max=below_one).neg_().log1p_().neg_()


def race(log_weights_NV: Tensor, stream_N: Tensor) -> Tensor:
    """Tokens `(N,)` drawn in proportion to exp(log_weights), one for each stream."""
    N, V = log_weights_NV.shape
    ids_V = torch.arange(V, device=stream_N.device)
    # On a CPU a few rows at a time, so that what is computed for them stays in its cache.
    step = max(1, _AT_ONCE // V) if stream_N.device.type == "cpu" else max(N, 1)
    parts = [
        (weights - exponential(stream, ids_V, weights.dtype).log_()).argmax(dim=-1)
        for weights, stream in zip(torch.split(log_weights_NV, step), torch.split(stream_N, step), strict=True)
    ]
    return torch.cat(parts) if parts else stream_N


def race_of_few(log_weights_NC: Tensor, ids_NC: Tensor, stream_N: Tensor) -> Tensor:
    """As `race`, where all other tokens have no weight."""
    winner_N = (log_weights_NC - exponential(stream_N, ids_NC, log_weights_NC.dtype).log_()).argmax(dim=-1)
    return ids_NC.gather(1, winner_N[:, None])[:, 0]

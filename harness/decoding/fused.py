"""A transformer layer rearranged for decoding: the same function as `models.transformer.Block`, in fewer and larger steps.

Query, key and value projections are one matrix, gate and up another; a norm's weight is folded into the matrix after it;
keys and values of a step are written with one call; the rotary embedding is a roll and a multiply-add. On a CPU, float32
matrices from a certain size on are kept in oneDNN's blocked layout, which halves the cost of blocks of a few tokens.
Results differ from `Block` by rounding only.

Shapes: N tokens (B rows times T), D model width, H attention heads, K key-value heads, E head size, F feed-forward
width, S cache slots.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mtp_eval.harness.models.config import ModelConfig
from mtp_eval.harness.models.transformer import Block

_BLOCKED_FROM = 150_000  # elements; below, oneDNN's call overhead of some 10 µs costs more than its kernel gains
_ONLY_BLOCKED_FROM = 800_000  # elements; from here on it is no slower for a single token either


class Linear:
    """A matrix `(out, in)` applied to `(N, in)`, with the fastest kernel for its size. Deterministic for a given N."""

    def __init__(self, weight: Tensor):
        self.weight: Tensor | None = weight
        self._blocked: Tensor | None = None
        if _can_block(weight):
            self._blocked = torch.ops.mkldnn._reorder_linear_weight(weight, 4)
            if weight.numel() >= _ONLY_BLOCKED_FROM:
                self.weight = None

    def __call__(self, x: Tensor) -> Tensor:
        """`(N, in)` to `(N, out)`."""
        if self._blocked is not None and (self.weight is None or x.shape[0] > 1):
            return torch.ops.mkldnn._linear_pointwise(x, self._blocked, None, "none", [], "")
        assert self.weight is not None
        return F.linear(x, self.weight)

    def added_to(self, residual: Tensor, x: Tensor) -> Tensor:
        """The residual plus this matrix applied to x."""
        if self._blocked is not None and (self.weight is None or x.shape[0] > 1):
            return self(x).add_(residual)
        assert self.weight is not None
        return torch.addmm(residual, x, self.weight.t())


def _can_block(weight: Tensor) -> bool:
    return (
        weight.device.type == "cpu"
        and weight.dtype == torch.float32
        and weight.numel() >= _BLOCKED_FROM
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and hasattr(torch.ops.mkldnn, "_reorder_linear_weight")
    )


@dataclass(frozen=True, slots=True)
class Norm:
    """Root-mean-square norm. With `weight` None its weight has been folded into the matrix that follows, times √D."""

    weight: Tensor | None
    eps: float
    floor: Tensor  # √(D·eps)

    @classmethod
    def of(cls, weight: Tensor, eps: float) -> Norm:
        """The norm with this weight."""
        floor = torch.tensor(math.sqrt(weight.numel() * eps), dtype=weight.dtype, device=weight.device)
        return cls(None if _folds(weight) else weight, eps, floor)

    def __call__(self, x: Tensor) -> Tensor:
        """Same shape."""
        if self.weight is not None:
            return F.rms_norm(x, (x.shape[-1],), self.weight, self.eps)
        length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        return x / torch.hypot(length, self.floor)


def folded(norm_weight: Tensor, matrix: Tensor) -> Tensor:
    """The matrix that follows a norm, with the norm's weight in it where the dtype is wide enough for that."""
    return matrix * (norm_weight * math.sqrt(norm_weight.numel())) if _folds(norm_weight) else matrix


def _folds(weight: Tensor) -> bool:
    """On a CPU torch's norm is six calls; a GPU has one kernel for it, and narrow dtypes would lose precision."""
    return weight.device.type == "cpu" and weight.dtype in (torch.float32, torch.float64)


class Rotary:
    """Cosines and signed sines by position, for all layers of a model."""

    def __init__(self, config: ModelConfig, positions: int, dtype: torch.dtype, device: torch.device):
        wide = torch.float64 if dtype == torch.float64 else torch.float32
        exponents = torch.arange(0, config.head_size, 2, device=device, dtype=wide) / config.head_size
        angles = torch.arange(positions, device=device, dtype=wide)[:, None] * config.rope_theta**-exponents
        cos, sin = angles.cos().to(dtype), angles.sin().to(dtype)
        self.table = torch.stack([torch.cat([cos, cos], dim=1), torch.cat([-sin, sin], dim=1)], dim=1)

    def at(self, positions_N: Tensor) -> tuple[Tensor, Tensor]:
        """Two tensors `(N, 1, E)`."""
        both = self.table[positions_N]
        return both[:, :1], both[:, 1:]


def rotate(x_NHE: Tensor, cos_sin: tuple[Tensor, Tensor]) -> Tensor:
    """Apply the rotary embedding, in Llama's half-split layout."""
    return torch.addcmul(x_NHE * cos_sin[0], x_NHE.roll(x_NHE.shape[-1] // 2, dims=-1), cos_sin[1])


@dataclass(slots=True)
class Place:
    """Where the tokens of a forward stand.

    Args:
        rows, block: B and T, with N = B·T tokens in row-major order.
        positions_N, rotary: their positions, and the rotary embedding of these.
        writes: `(N·2K,)` where their keys and values go in one layer's `(B·2K·S, E)`.
        slots: attention sees the first `slots` slots.
        mask: `(B, 1, T, slots)`, added to the scores; None for prompts from position 0, which are causal as they stand.
    """

    rows: int
    block: int
    positions_N: Tensor
    rotary: tuple[Tensor, Tensor]
    writes: Tensor
    slots: int
    mask: Tensor | None


def attend(q_BHTE: Tensor, kv_B2KSE: Tensor, slots: int, mask: Tensor | None) -> Tensor:
    """Attention over cached keys and values."""
    k, v = kv_B2KSE[:, :, :slots].chunk(2, dim=1)
    grouped = k.shape[1] != q_BHTE.shape[1]
    return F.scaled_dot_product_attention(q_BHTE, k, v, attn_mask=mask, is_causal=mask is None, enable_gqa=grouped)


class FusedLayer:
    """One `Block` as a few large steps."""

    def __init__(self, block: Block, config: ModelConfig):
        attention, mlp = block.self_attn, block.mlp
        self.H, self.K, self.E, self.F = config.n_heads, config.kv_heads, config.head_size, config.d_ff
        norm_1, norm_2 = block.input_layernorm.weight.detach(), block.post_attention_layernorm.weight.detach()
        self.norm_1, self.norm_2 = Norm.of(norm_1, config.norm_eps), Norm.of(norm_2, config.norm_eps)
        self.qkv = Linear(folded(norm_1, fuse(attention.q_proj, attention.k_proj, attention.v_proj)))
        self.out = Linear(attention.o_proj.weight.detach())
        self.gate_up = Linear(folded(norm_2, fuse(mlp.gate_proj, mlp.up_proj)))
        self.down = Linear(mlp.down_proj.weight.detach())

    def __call__(self, x_ND: Tensor, place: Place, kv_B2KSE: Tensor) -> Tensor:
        """`(N, D)` to `(N, D)`; stores the tokens' keys and values."""
        H, K, E = self.H, self.K, self.E
        qkv_NHE = self.qkv(self.norm_1(x_ND)).view(-1, H + 2 * K, E)
        turned_NHE = rotate(qkv_NHE[:, : H + K], place.rotary)
        new_kv = torch.cat([turned_NHE[:, H:], qkv_NHE[:, H + K :]], dim=1)
        kv_B2KSE.view(-1, E).index_copy_(0, place.writes, new_kv.view(-1, E))
        q_BHTE = turned_NHE[:, :H].view(place.rows, place.block, H, E).transpose(1, 2)
        seen_BHTE = attend(q_BHTE, kv_B2KSE, place.slots, place.mask)
        x_ND = self.out.added_to(x_ND, seen_BHTE.transpose(1, 2).reshape(-1, H * E))
        gate_up = self.gate_up(self.norm_2(x_ND))
        return self.down.added_to(x_ND, F.silu(gate_up[:, : self.F]).mul_(gate_up[:, self.F :]))


def fuse(*projections: torch.nn.Linear) -> Tensor:
    """Several matrices of one input as one. In narrow dtypes the originals become views of it, so nothing is held twice."""
    matrix = torch.cat([projection.weight.detach() for projection in projections])
    if not _folds(matrix):
        sizes = [projection.weight.shape[0] for projection in projections]
        for projection, part in zip(projections, torch.split(matrix, sizes), strict=True):
            projection.weight.data = part
    return matrix

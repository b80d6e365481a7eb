"""A transformer layer rearranged for decoding: the same function as `models.transformer.Block`, in fewer and larger steps.

Query, key and value projections are one matrix, gate and up another; a norm's weight is folded into the matrix after it;
keys and values of a step are written with one call; the rotary embedding is one complex product in place. On a CPU matrices
are kept in the layouts that read fastest there: transposed for a single token, oneDNN's blocks for several. Results differ
from `Block` by rounding only.

Shapes: N tokens (B rows times T), D model width, H attention heads, K key-value heads, E head size, F feed-forward
width, S cache slots.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mtp_eval.harness.decoding.kernels.processor import limits
from mtp_eval.harness.models.config import ModelConfig
from mtp_eval.harness.models.layers import Attention, Block
from mtp_eval.harness.models.rotary import frequencies

_BLOCKED_FOR = 8  # rows that oneDNN chooses the layout for


class Linear:
    """A matrix `(out, in)` applied to `(N, in)`, with the fastest kernel for its size. Deterministic for a given N."""

    def __init__(self, weight: Tensor, bias: Tensor | None = None):
        # Products of few rows are bound by reading the matrix, and a CPU reads it faster by input than by output feature.
        on_cpu = weight.device.type == "cpu" and weight.dtype in (torch.float32, torch.float64)
        self.weight_t: Tensor | None = weight.t().contiguous() if on_cpu else weight.t()
        self.bias = bias
        self._blocked: Tensor | None = None
        if _can_block(weight):
            self._blocked = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), _BLOCKED_FOR)
            if weight.numel() >= limits().only_blocked_from:
                self.weight_t = None

    def __call__(self, x: Tensor) -> Tensor:
        """`(N, in)` to `(N, out)`."""
        if self._blocked is not None and (self.weight_t is None or x.shape[0] > 1):
            return torch.ops.mkldnn._linear_pointwise(x, self._blocked, self.bias, "none", [], "")
        assert self.weight_t is not None
        return x @ self.weight_t if self.bias is None else torch.addmm(self.bias, x, self.weight_t)

    def added_to(self, residual: Tensor, x: Tensor) -> Tensor:
        """The residual plus this matrix applied to x."""
        if self._blocked is not None and (self.weight_t is None or x.shape[0] > 1):
            return torch.ops.mkldnn._linear_pointwise.binary(x, residual, self._blocked, self.bias, "add")
        assert self.weight_t is not None
        return torch.addmm(residual if self.bias is None else residual + self.bias, x, self.weight_t)


def _can_block(weight: Tensor) -> bool:
    return (
        weight.device.type == "cpu"
        and weight.dtype == torch.float32
        and weight.numel() >= limits().blocked_from
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


RotaryAt = Tensor | tuple[Tensor, Tensor]
"""The rotary embedding at N positions: complex `(N, 1, E/2)`, or cosines and signed sines `(N, 1, E)` in narrow dtypes."""


class Rotary:
    """The rotary embedding by position, for all layers of a model.

    In wide dtypes a pair of coordinates that turns together stands side by side, as the real and imaginary part of one
    number; `paired` puts a projection's rows into that order. Keys and queries share it, so their products are the same.
    """

    def __init__(self, config: ModelConfig, positions: int, dtype: torch.dtype, device: torch.device):
        wide = torch.float64 if dtype == torch.float64 else torch.float32
        angles = torch.arange(positions, device=device, dtype=wide)[:, None] * frequencies(config, wide, device)
        cos, sin = angles.cos(), angles.sin()
        if _is_wide(dtype):
            self.table = torch.complex(cos, sin)
        else:
            cos, sin = cos.to(dtype), sin.to(dtype)
            self.table = torch.stack([torch.cat([cos, cos], dim=1), torch.cat([-sin, sin], dim=1)], dim=1)

    def at(self, positions_N: Tensor) -> RotaryAt:
        """Look up the embedding at these positions."""
        found = self.table[positions_N]
        return found[:, None] if found.is_complex() else (found[:, :1], found[:, 1:])


def rotary_of(turn: RotaryAt, rows: Tensor) -> RotaryAt:
    """Select the rotary embedding of some of the N tokens."""
    return turn[rows] if isinstance(turn, Tensor) else (turn[0][rows], turn[1][rows])


def unsqueezed(turn: RotaryAt) -> RotaryAt:
    """Add a dimension after N, for tensors `(N, J, H, E)`."""
    return turn[:, None] if isinstance(turn, Tensor) else (turn[0][:, None], turn[1][:, None])


def paired(projection: Tensor, head_size: int) -> Tensor:
    """The rows of a query or key projection `(heads·E, …)` in the order that `rotate` expects: of its matrix, bias or norm."""
    if not _is_wide(projection.dtype):
        return projection
    return projection.view(-1, 2, head_size // 2, *projection.shape[1:]).transpose(1, 2).reshape(projection.shape)


def _is_wide(dtype: torch.dtype) -> bool:
    return dtype in (torch.float32, torch.float64)


def rotate(x_NHE: Tensor, turn: RotaryAt) -> Tensor:
    """Apply the rotary embedding: in place where a pair is one complex number, else in Llama's half-split layout."""
    if isinstance(turn, Tensor):
        torch.view_as_complex(x_NHE.view(*x_NHE.shape[:-1], -1, 2)).mul_(turn)
        return x_NHE
    return torch.addcmul(x_NHE * turn[0], x_NHE.roll(x_NHE.shape[-1] // 2, dims=-1), turn[1])


def rotated_keys(kv: Tensor, K: int, turn: RotaryAt) -> Tensor:
    """Keys and values `(…, 2K, E)` of new tokens, side by side, with their keys rotated."""
    keys = rotate(kv[..., :K, :], turn)
    return kv if isinstance(turn, Tensor) else torch.cat([keys, kv[..., K:, :]], dim=-2)


@dataclass(slots=True)
class Place:
    """Positions, cache slots and mask of the tokens of a forward.

    Args:
        rows, block: B and T, with N = B·T tokens in row-major order.
        positions_N, rotary: their positions, and the rotary embedding of these.
        writes: `(N·2K,)` where their keys and values go in one layer's `(B·2K·S, E)`.
        slots: attention sees the first `slots` slots.
        mask: `(B, 1, T, slots)`, added to the scores; None for prompts from position 0, which are causal as they stand.
        window_mask: the same for layers with a sliding window; None where all is within it, or there are none.
    """

    rows: int
    block: int
    positions_N: Tensor
    rotary: RotaryAt
    writes: Tensor
    slots: int
    mask: Tensor | None
    window_mask: Tensor | None = None

    def mask_of(self, is_windowed: bool) -> Tensor | None:
        """Look up a layer's mask."""
        return self.mask if not is_windowed or self.window_mask is None else self.window_mask


def attend(q_BHTE: Tensor, kv_B2KSE: Tensor, slots: int, mask: Tensor | None) -> Tensor:
    """Attention over cached keys and values."""
    k, v = kv_B2KSE[:, :, :slots].chunk(2, dim=1)
    grouped = k.shape[1] != q_BHTE.shape[1]
    if mask is not None and q_BHTE.shape[2] == 1 and not grouped and _streams(k):
        return _attend_streaming(q_BHTE, k, v, mask)
    return F.scaled_dot_product_attention(q_BHTE, k, v, attn_mask=mask, is_causal=mask is None, enable_gqa=grouped)


def _streams(k: Tensor) -> bool:
    """Whether one query per row against these keys is better done as element-wise products."""
    least, most = limits().streamed
    return k.device.type == "cpu" and k.dtype == torch.float32 and least <= k.numel() <= most


def _attend_streaming(q_BH1E: Tensor, k_BHSE: Tensor, v_BHSE: Tensor, mask_B11S: Tensor) -> Tensor:
    """The same for one query a row: every cache line is read once, in order, instead of by many tiny matrix products."""
    scores_BHS = (k_BHSE * (q_BH1E * q_BH1E.shape[-1] ** -0.5)).sum(dim=-1)
    weights_BHS = scores_BHS.add_(mask_B11S[:, :, 0]).softmax(dim=-1)
    return (v_BHSE * weights_BHS[..., None]).sum(dim=2, keepdim=True)


class FusedLayer:
    """One `Block` as a few large operations."""

    def __init__(self, block: Block, config: ModelConfig):
        attention, mlp = block.self_attn, block.mlp
        self.H, self.K, self.E, self.F = config.n_heads, config.kv_heads, config.head_size, config.d_ff
        self.is_windowed = attention.window is not None
        norm_1, norm_2 = block.input_layernorm.weight.detach(), block.post_attention_layernorm.weight.detach()
        self.norm_1, self.norm_2 = Norm.of(norm_1, config.norm_eps), Norm.of(norm_2, config.norm_eps)
        projections = attention.q_proj, attention.k_proj, attention.v_proj
        self.qkv = Linear(folded(norm_1, self._turnable(fuse(*projections))), self._turnable_bias(*projections))
        self.qk_norms_HE = qk_norm_weights(attention, config) if config.qk_norm else None
        self.out = Linear(attention.o_proj.weight.detach(), biases(attention.o_proj))
        gate_up = fuse(mlp.gate_proj, mlp.up_proj)
        self.gate_up = Linear(folded(norm_2, gate_up), biases(mlp.gate_proj, mlp.up_proj))
        self.down = Linear(mlp.down_proj.weight.detach(), biases(mlp.down_proj))

    def _turnable(self, fused: Tensor) -> Tensor:
        """Rows of queries and keys as `rotate` wants them, those of values as they are."""
        n_turned = (self.H + self.K) * self.E
        if not _is_wide(fused.dtype):
            return fused
        return torch.cat([paired(fused[:n_turned], self.E), fused[n_turned:]])

    def _turnable_bias(self, *projections: torch.nn.Linear) -> Tensor | None:
        bias = biases(*projections)
        return None if bias is None else self._turnable(bias)

    def __call__(self, x_ND: Tensor, place: Place, kv_B2KSE: Tensor) -> Tensor:
        """`(N, D)` to `(N, D)`; stores the tokens' keys and values."""
        H, K, E = self.H, self.K, self.E
        qkv_NHE = self.qkv(self.norm_1(x_ND)).view(-1, H + 2 * K, E)
        if self.qk_norms_HE is not None:
            normalize(qkv_NHE[:, : H + K], self.qk_norms_HE, self.norm_1.eps)
        turned_NHE = rotate(qkv_NHE[:, : H + K], place.rotary)
        in_place = isinstance(place.rotary, Tensor)
        new_kv = qkv_NHE[:, H:] if in_place else torch.cat([turned_NHE[:, H:], qkv_NHE[:, H + K :]], dim=1)
        kv_B2KSE.view(-1, E).index_copy_(0, place.writes, new_kv.reshape(-1, E))
        q_BHTE = turned_NHE[:, :H].view(place.rows, place.block, H, E).transpose(1, 2)
        seen_BHTE = attend(q_BHTE, kv_B2KSE, place.slots, place.mask_of(self.is_windowed))
        x_ND = self.out.added_to(x_ND, seen_BHTE.transpose(1, 2).reshape(-1, H * E))
        gate_up = self.gate_up(self.norm_2(x_ND))
        return self.down.added_to(x_ND, F.silu(gate_up[:, : self.F]).mul_(gate_up[:, self.F :]))


def qk_norm_weights(attention: Attention, config: ModelConfig) -> Tensor:
    """The weights `(H + K, E)` of the norms over each query and key head (Qwen3), queries first."""
    norms = attention.q_norm.get_parameter("weight"), attention.k_norm.get_parameter("weight")
    q_E, k_E = (paired(weight.detach(), config.head_size) for weight in norms)
    return torch.cat([q_E.expand(config.n_heads, -1), k_E.expand(config.kv_heads, -1)]).contiguous()


def normalize(heads: Tensor, weights: Tensor, eps: float) -> None:
    """Norm each head `(…, E)` in place."""
    heads.copy_(F.rms_norm(heads, heads.shape[-1:], None, eps) * weights)


def biases(*projections: torch.nn.Linear) -> Tensor | None:
    """The biases of several projections of one input, one after another; None where they have none."""
    found = [projection.bias.detach() for projection in projections if projection.bias is not None]
    return torch.cat(found) if found else None


def fuse(*projections: torch.nn.Linear) -> Tensor:
    """Concatenate the matrices of one input. In narrow dtypes the originals become views of it, so nothing is held twice."""
    matrix = torch.cat([projection.weight.detach() for projection in projections])
    if not _folds(matrix):
        sizes = [projection.weight.shape[0] for projection in projections]
        for projection, part in zip(projections, torch.split(matrix, sizes), strict=True):
            projection.weight.data = part
    return matrix

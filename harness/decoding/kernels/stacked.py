"""Heads 2..k of the parallel kind as one batched product, run at the last accepted token only.

Every head needs keys and values of every accepted token, but drafts only from the last one. So a block goes through one
matrix that gives the keys and values of all heads, and the rest of the heads runs for one token a row, as batched matrix
products over the heads.

Shapes: N tokens of a block, B rows, J heads 2.., D, H, K, E, F, S as in `fused`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from mtp_eval.harness.decoding.kernels.fused import (
    Linear,
    Norm,
    RotaryAt,
    attend,
    biases,
    normalize,
    paired,
    qk_norm_weights,
    rotate,
    rotated_keys,
    unsqueezed,
)
from mtp_eval.harness.models.config import ModelConfig
from mtp_eval.harness.models.layers import Block


class StackedHeads:
    """Heads 2..n of the parallel kind; a call runs the first J of them."""

    def __init__(self, heads: Sequence[Block], config: ModelConfig):
        self.config, self.eps = config, config.norm_eps
        D, H, K, E = config.d_model, config.n_heads, config.kv_heads, config.head_size
        # A folded norm weight leaves a norm that all heads share. Narrow dtypes fold here too: rounding in a draft costs at
        # most its acceptance, because head 1 decides.
        scale, like = D**0.5, heads[0].self_attn.q_proj.weight
        self.norm = Norm(None, self.eps, torch.tensor((D * self.eps) ** 0.5, dtype=like.dtype, device=like.device))
        q, kv, out, gate_up, down = [], [], [], [], []
        for head in heads:
            attention, mlp = head.self_attn, head.mlp
            scale_1 = head.input_layernorm.weight.detach() * scale
            scale_2 = head.post_attention_layernorm.weight.detach() * scale
            q.append(paired(attention.q_proj.weight.detach(), E) * scale_1)
            keys = paired(attention.k_proj.weight.detach(), E)
            kv.append(torch.cat([keys, attention.v_proj.weight.detach()]) * scale_1)
            out.append(attention.o_proj.weight.detach().t())
            gate_up.append((torch.cat([mlp.gate_proj.weight.detach(), mlp.up_proj.weight.detach()]) * scale_2).t())
            down.append(mlp.down_proj.weight.detach().t())
        self._take_biases(heads)
        self.qk_norms_JHE = _qk_norms(heads, config) if config.qk_norm else None
        self.q = torch.cat(q)  # (J·H·E, D)
        self.kv = torch.cat(kv)  # (J·2K·E, D)
        self.out_JID, self.gate_up_JDG = torch.stack(out).contiguous(), torch.stack(gate_up).contiguous()
        self.down_JFD = torch.stack(down).contiguous()
        self._kv_of: dict[int, Linear] = {}
        self._q_of: dict[int, Linear] = {}
        self.H, self.K, self.E, self.F = H, K, E, config.d_ff

    def _take_biases(self, heads: Sequence[Block]) -> None:
        E = self.config.head_size
        blocks = [(head.self_attn, head.mlp) for head in heads]
        q = [biases(attention.q_proj) for attention, _ in blocks]
        self.q_bias = _cat([None if bias is None else paired(bias, E) for bias in q])
        keys = [biases(attention.k_proj) for attention, _ in blocks]
        values = [biases(attention.v_proj) for attention, _ in blocks]
        pairs = zip(keys, values, strict=True)
        self.kv_bias = _cat([None if k is None or v is None else torch.cat([paired(k, E), v]) for k, v in pairs])
        self.out_bias_J1D = _stack([biases(attention.o_proj) for attention, _ in blocks])
        self.gate_up_bias_J1G = _stack([biases(mlp.gate_proj, mlp.up_proj) for _, mlp in blocks])
        self.down_bias_J1D = _stack([biases(mlp.down_proj) for _, mlp in blocks])

    def write_kv(self, z_ND: Tensor, J: int, rotary: RotaryAt, writes: Tensor, kv_all: Tensor) -> Tensor:
        """Store keys and values of the block for J heads; returns the normed block for `hidden`.

        `writes` is `(N·J·2K,)`, into `kv_all`, the J layers' caches as `(…, E)`.
        """
        if J not in self._kv_of:
            n_kv, n_q = J * 2 * self.K * self.E, J * self.H * self.E
            self._kv_of[J] = Linear(self.kv[:n_kv], None if self.kv_bias is None else self.kv_bias[:n_kv])
            self._q_of[J] = Linear(self.q[:n_q], None if self.q_bias is None else self.q_bias[:n_q])
        normed_ND = self.norm(z_ND)
        kv = self._kv_of[J](normed_ND).view(-1, J, 2 * self.K, self.E)
        if self.qk_norms_JHE is not None:
            normalize(kv[:, :, : self.K], self.qk_norms_JHE[:J, self.H :], self.eps)
        new = rotated_keys(kv, self.K, unsqueezed(rotary))
        kv_all.view(-1, self.E).index_copy_(0, writes, new.view(-1, self.E))
        return normed_ND

    def hidden(
        self,
        z_BD: Tensor,
        normed_BD: Tensor,
        J: int,
        rotary: RotaryAt,
        kv_JB2KSE: Tensor,
        slots: int,
        mask_B11S: Tensor,
    ) -> Tensor:
        """The J heads' outputs `(J, B, D)` at one token a row."""
        B, H, E = z_BD.shape[0], self.H, self.E
        q_BJHE = self._q_of[J](normed_BD).view(B, J, H, E)
        if self.qk_norms_JHE is not None:
            normalize(q_BJHE, self.qk_norms_JHE[:J, :H], self.eps)
        q_BJHE = rotate(q_BJHE, unsqueezed(rotary))
        q_JBH1E = q_BJHE.transpose(0, 1).reshape(J * B, H, 1, E)
        seen = attend(q_JBH1E, kv_JB2KSE.flatten(0, 1), slots, mask_B11S.repeat(J, 1, 1, 1))
        x_JBD = torch.bmm(seen.view(J, B, H * E), self.out_JID[:J]).add_(z_BD)
        if self.out_bias_J1D is not None:
            x_JBD += self.out_bias_J1D[:J]
        gate_up = torch.bmm(self.norm(x_JBD), self.gate_up_JDG[:J])
        if self.gate_up_bias_J1G is not None:
            gate_up += self.gate_up_bias_J1G[:J]
        if self.down_bias_J1D is not None:
            x_JBD = x_JBD + self.down_bias_J1D[:J]
        return torch.baddbmm(x_JBD, F.silu(gate_up[..., : self.F]).mul_(gate_up[..., self.F :]), self.down_JFD[:J])


def _cat(parts: Sequence[Tensor | None]) -> Tensor | None:
    found = [part for part in parts if part is not None]
    return torch.cat(found) if found else None


def _stack(parts: Sequence[Tensor | None]) -> Tensor | None:
    found = [part for part in parts if part is not None]
    return torch.stack(found)[:, None] if found else None


def _qk_norms(heads: Sequence[Block], config: ModelConfig) -> Tensor:
    """`(J, H + K, E)`."""
    return torch.stack([qk_norm_weights(head.self_attn, config) for head in heads])

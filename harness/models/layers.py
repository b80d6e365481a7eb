"""The transformer layer that trunk and heads are made of.

A layer also carries the registers of MuToR (arXiv 2505.10518; `training.registers`) beside the tokens, one behind each. A register sees
the tokens that its token sees, and itself; no token sees a register, so that tokens are computed as if there were none, by the same
operations on the same shapes.

Shapes: B batch rows, T tokens, D model width, H attention heads, K key-value heads, E head size, F feed-forward width. Names
follow Llama's so that weights convert by renaming.
"""

from __future__ import annotations

from typing import overload

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtp_eval.harness.models.config import ModelConfig
from mtp_eval.harness.models.rotary import rotate

Rotary = tuple[Tensor, Tensor]
"""Cosines and sines of positions, as `rotary_table` makes them."""
Registers = tuple[Tensor, Rotary]
"""States `(B, T, D)` of the registers, each behind its token, and the rotary table of their own positions."""


class RMSNorm(nn.Module):
    """Root-mean-square norm (arXiv 1910.07467), computed in float32 or wider."""

    def __init__(self, width: int, eps: float):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x_BTD: Tensor) -> Tensor:
        """Same shape and dtype as the input."""
        return F.rms_norm(x_BTD, (x_BTD.shape[-1],), self.weight.to(x_BTD.dtype), self.eps)


class Attention(nn.Module):
    """Causal grouped-query attention over whole texts; decoding with a cache is `harness.decoding.kernels.fused`.

    Args:
        window: tokens that are seen, the own one included; None: all before it.
    """

    def __init__(self, config: ModelConfig, window: int | None):
        super().__init__()
        self.n_heads, self.kv_heads, self.head_size = config.n_heads, config.kv_heads, config.head_size
        self.window = window
        wide, narrow = self.n_heads * self.head_size, self.kv_heads * self.head_size
        self.q_proj = nn.Linear(config.d_model, wide, bias=config.qkv_bias)
        self.k_proj = nn.Linear(config.d_model, narrow, bias=config.qkv_bias)
        self.v_proj = nn.Linear(config.d_model, narrow, bias=config.qkv_bias)
        self.o_proj = nn.Linear(wide, config.d_model, bias=config.output_bias)
        norms = [RMSNorm(self.head_size, config.norm_eps) if config.qk_norm else nn.Identity() for _ in "qk"]
        self.q_norm, self.k_norm = norms

    def forward(self, x_BTD: Tensor, rotary: Rotary) -> Tensor:
        """`(B, T, D)` to `(B, T, D)`."""
        return self._causal(*self._project(x_BTD, rotary))

    def with_registers(self, x_BTD: Tensor, rotary: Rotary, registers: Registers) -> tuple[Tensor, Tensor]:
        """Tokens as by `forward`, and their registers: `(B, T, D)` each."""
        q, k, v = self._project(x_BTD, rotary)
        own_q, own_k, own_v = self._project(*registers)
        itself_TT = torch.eye(x_BTD.shape[1], dtype=torch.bool, device=x_BTD.device)
        seen_TS = torch.cat(
            [self._seen(itself_TT), itself_TT], dim=1
        )  # S = 2T keys: of the tokens, then of the registers
        keys, values = torch.cat([k, own_k], dim=2), torch.cat([v, own_v], dim=2)
        out = F.scaled_dot_product_attention(own_q, keys, values, attn_mask=seen_TS, enable_gqa=self.is_grouped)
        return self._causal(q, k, v), self._join(out)

    @property
    def is_grouped(self) -> bool:
        """Whether several heads share keys and values."""
        return self.kv_heads != self.n_heads

    def _project(self, x_BTD: Tensor, rotary: Rotary) -> tuple[Tensor, Tensor, Tensor]:
        B, T, _ = x_BTD.shape
        q = rotate(self.q_norm(self.q_proj(x_BTD).view(B, T, self.n_heads, self.head_size)).transpose(1, 2), rotary)
        k = rotate(self.k_norm(self.k_proj(x_BTD).view(B, T, self.kv_heads, self.head_size)).transpose(1, 2), rotary)
        return q, k, self.v_proj(x_BTD).view(B, T, self.kv_heads, self.head_size).transpose(1, 2)

    def _causal(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        T = q.shape[2]
        if self.window is None or self.window >= T:
            return self._join(F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=self.is_grouped))
        seen_TT = self._seen(torch.ones(T, T, dtype=torch.bool, device=q.device))
        return self._join(F.scaled_dot_product_attention(q, k, v, attn_mask=seen_TT, enable_gqa=self.is_grouped))

    def _seen(self, like_TT: Tensor) -> Tensor:
        """Which tokens each token sees."""
        seen_TT = torch.ones_like(like_TT).tril()
        return seen_TT if self.window is None else seen_TT.triu(1 - self.window)

    def _join(self, out_BHTE: Tensor) -> Tensor:
        return self.o_proj(out_BHTE.transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    """SwiGLU (arXiv 2002.05202)."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.gate_proj = nn.Linear(config.d_model, config.d_ff, bias=config.mlp_bias)
        self.up_proj = nn.Linear(config.d_model, config.d_ff, bias=config.mlp_bias)
        self.down_proj = nn.Linear(config.d_ff, config.d_model, bias=config.mlp_bias)

    def forward(self, x_BTD: Tensor) -> Tensor:
        """`(B, T, D)` to `(B, T, D)`."""
        return self.down_proj(F.silu(self.gate_proj(x_BTD)) * self.up_proj(x_BTD))


class Block(nn.Module):
    """One pre-norm transformer layer: a trunk layer, or a head.

    Args:
        layer: which one, as `ModelConfig.window_of` counts.
    """

    def __init__(self, config: ModelConfig, layer: int):
        super().__init__()
        self.input_layernorm = RMSNorm(config.d_model, config.norm_eps)
        self.self_attn = Attention(config, config.window_of(layer))
        self.post_attention_layernorm = RMSNorm(config.d_model, config.norm_eps)
        self.mlp = FeedForward(config)

    @overload
    def forward(self, x_BTD: Tensor, rotary: Rotary) -> Tensor: ...
    @overload
    def forward(self, x_BTD: Tensor, rotary: Rotary, registers: Registers) -> tuple[Tensor, Tensor]: ...
    def forward(
        self, x_BTD: Tensor, rotary: Rotary, registers: Registers | None = None
    ) -> Tensor | tuple[Tensor, Tensor]:
        """`(B, T, D)` to `(B, T, D)`; with registers also theirs, behind it."""
        if registers is None:
            return self._feed_forward(x_BTD + self.self_attn(self.input_layernorm(x_BTD), rotary))
        states_BTD, table = registers
        inputs = self.input_layernorm(x_BTD), rotary, (self.input_layernorm(states_BTD), table)
        seen_BTD, seen_by_registers_BTD = self.self_attn.with_registers(*inputs)
        return self._feed_forward(x_BTD + seen_BTD), self._feed_forward(states_BTD + seen_by_registers_BTD)

    def _feed_forward(self, x_BTD: Tensor) -> Tensor:
        return x_BTD + self.mlp(self.post_attention_layernorm(x_BTD))

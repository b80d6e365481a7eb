"""The transformer layer that trunk and heads are made of.

Shapes: B batch rows, T tokens, D model width, H attention heads, K key-value heads, E head size, F feed-forward width. Names
follow Llama's so that weights convert by renaming.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtp_eval.harness.models.config import ModelConfig
from mtp_eval.harness.models.rotary import rotate


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

    def forward(self, x_BTD: Tensor, rotary: tuple[Tensor, Tensor]) -> Tensor:
        """`(B, T, D)` to `(B, T, D)`."""
        B, T, _ = x_BTD.shape
        q = rotate(self.q_norm(self.q_proj(x_BTD).view(B, T, self.n_heads, self.head_size)).transpose(1, 2), rotary)
        k = rotate(self.k_norm(self.k_proj(x_BTD).view(B, T, self.kv_heads, self.head_size)).transpose(1, 2), rotary)
        v = self.v_proj(x_BTD).view(B, T, self.kv_heads, self.head_size).transpose(1, 2)
        grouped = self.kv_heads != self.n_heads
        if self.window is None or self.window >= T:
            out = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=grouped)
        else:
            seen_TT = torch.ones(T, T, dtype=torch.bool, device=x_BTD.device).tril().triu(1 - self.window)
            out = F.scaled_dot_product_attention(q, k, v, attn_mask=seen_TT, enable_gqa=grouped)
        return self.o_proj(out.transpose(1, 2).reshape(B, T, -1))


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

    def forward(self, x_BTD: Tensor, rotary: tuple[Tensor, Tensor]) -> Tensor:
        """`(B, T, D)` to `(B, T, D)`."""
        x_BTD = x_BTD + self.self_attn(self.input_layernorm(x_BTD), rotary)
        return x_BTD + self.mlp(self.post_attention_layernorm(x_BTD))

"""A Llama-style trunk, the heads on it, and the shared unembedding (arXiv 2404.19737, section 2).

    tokens_BT -> embed -> trunk -> z_BTD -> head i -> norm -> unembed -> logits_BTV for x_{t+i}

Shapes: B batch rows, T tokens, D model width, V vocabulary, H attention heads, K key-value heads, E head size, F
feed-forward width. Module names follow Llama's so that weights convert by renaming.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtp_eval.harness.models.config import ModelConfig


class RMSNorm(nn.Module):
    """Root-mean-square norm (arXiv 1910.07467), computed in float32 or wider."""

    def __init__(self, width: int, eps: float):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x_BTD: Tensor) -> Tensor:
        """Same shape and dtype as the input."""
        return F.rms_norm(x_BTD, (x_BTD.shape[-1],), self.weight.to(x_BTD.dtype), self.eps)


def rotary_table(positions_BT: Tensor, head_size: int, theta: float, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Cosines and sines `(B, 1, T, E)` of the rotary embedding (arXiv 2104.09864), in Llama's half-split layout."""
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    exponents = torch.arange(0, head_size, 2, device=positions_BT.device, dtype=wide) / head_size
    angles_BTe = positions_BT[..., None].to(wide) * theta**-exponents
    angles_B1TE = torch.cat([angles_BTe, angles_BTe], dim=-1)[:, None]
    return angles_B1TE.cos().to(dtype), angles_B1TE.sin().to(dtype)


def rotate(x_BHTE: Tensor, table: tuple[Tensor, Tensor]) -> Tensor:
    """Apply the rotary embedding, in the table's precision; the result has the input's."""
    cos, sin = table
    first, second = x_BHTE.chunk(2, dim=-1)
    return (x_BHTE * cos + torch.cat([-second, first], dim=-1) * sin).to(x_BHTE.dtype)


class Attention(nn.Module):
    """Causal grouped-query attention over whole texts; decoding with a cache is `harness.decoding.kernels.fused`."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.n_heads, self.kv_heads, self.head_size = config.n_heads, config.kv_heads, config.head_size
        self.q_proj = nn.Linear(config.d_model, self.n_heads * self.head_size, bias=False)
        self.k_proj = nn.Linear(config.d_model, self.kv_heads * self.head_size, bias=False)
        self.v_proj = nn.Linear(config.d_model, self.kv_heads * self.head_size, bias=False)
        self.o_proj = nn.Linear(self.n_heads * self.head_size, config.d_model, bias=False)

    def forward(self, x_BTD: Tensor, rotary: tuple[Tensor, Tensor]) -> Tensor:
        """`(B, T, D)` to `(B, T, D)`."""
        B, T, _ = x_BTD.shape
        q = rotate(self.q_proj(x_BTD).view(B, T, self.n_heads, self.head_size).transpose(1, 2), rotary)
        k = rotate(self.k_proj(x_BTD).view(B, T, self.kv_heads, self.head_size).transpose(1, 2), rotary)
        v = self.v_proj(x_BTD).view(B, T, self.kv_heads, self.head_size).transpose(1, 2)
        grouped = self.kv_heads != self.n_heads
        out = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=grouped)
        return self.o_proj(out.transpose(1, 2).reshape(B, T, -1))


class FeedForward(nn.Module):
    """SwiGLU (arXiv 2002.05202)."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.gate_proj = nn.Linear(config.d_model, config.d_ff, bias=False)
        self.up_proj = nn.Linear(config.d_model, config.d_ff, bias=False)
        self.down_proj = nn.Linear(config.d_ff, config.d_model, bias=False)

    def forward(self, x_BTD: Tensor) -> Tensor:
        """`(B, T, D)` to `(B, T, D)`."""
        return self.down_proj(F.silu(self.gate_proj(x_BTD)) * self.up_proj(x_BTD))


class Block(nn.Module):
    """One pre-norm transformer layer: a trunk layer, or a head."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.input_layernorm = RMSNorm(config.d_model, config.norm_eps)
        self.self_attn = Attention(config)
        self.post_attention_layernorm = RMSNorm(config.d_model, config.norm_eps)
        self.mlp = FeedForward(config)

    def forward(self, x_BTD: Tensor, rotary: tuple[Tensor, Tensor]) -> Tensor:
        """`(B, T, D)` to `(B, T, D)`."""
        x_BTD = x_BTD + self.self_attn(self.input_layernorm(x_BTD), rotary)
        return x_BTD + self.mlp(self.post_attention_layernorm(x_BTD))


class LinearHead(nn.Module):
    """One matrix, no residual and no nonlinearity (the paper's linear heads); called like a Block."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.proj = nn.Linear(config.d_model, config.d_model, bias=False)

    def forward(self, x_BTD: Tensor, rotary: tuple[Tensor, Tensor]) -> Tensor:
        """`(B, T, D)` to `(B, T, D)`; looks at no other position, so it needs no positions."""
        return self.proj(x_BTD)


class MTPModel(nn.Module):
    """Trunk, heads, one norm, and one unembedding (or one per head for replicated unembeddings).

    `config.head_path(i)` says which members of `heads` lead to the prediction of x_{t+i}: for the default parallel
    heads that is `heads[i - 1]` alone, and heads[0] is the next-token head.
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.embed_tokens = nn.Embedding(config.vocab_size, config.d_model)
        self.trunk = nn.ModuleList(Block(config) for _ in range(config.n_trunk_layers))
        n_heads = 1 if config.head_kind == "replicated" else config.n_future
        make_head = LinearHead if config.head_kind == "linear" else Block
        self.heads = nn.ModuleList(make_head(config) for _ in range(n_heads))
        self.norm = RMSNorm(config.d_model, config.norm_eps)
        self.lm_head = nn.Linear(config.d_model, config.vocab_size, bias=False)
        self.extra_lm_heads = nn.ModuleList(
            nn.Linear(config.d_model, config.vocab_size, bias=False) for _ in range(config.n_unembeddings - 1)
        )
        if config.tie_embeddings:
            self.lm_head.weight = self.embed_tokens.weight

    def rotary(self, positions_BT: Tensor) -> tuple[Tensor, Tensor]:
        """The rotary table of these positions in the model's dtype."""
        return rotary_table(positions_BT, self.config.head_size, self.config.rope_theta, self.embed_tokens.weight.dtype)

    def trunk_forward(self, tokens_BT: Tensor, rotary: tuple[Tensor, Tensor]) -> Tensor:
        """The trunk's output z `(B, T, D)`, which every head reads."""
        x_BTD = self.embed_tokens(tokens_BT)
        for block in self.trunk:
            x_BTD = block(x_BTD, rotary)
        return x_BTD

    def unembedding(self, head: int = 1) -> nn.Module:
        """The matrix that turns normed hidden states into head `head`'s logits; one for all unless replicated."""
        return self.lm_head if head == 1 or not self.extra_lm_heads else self.extra_lm_heads[head - 2]

    def unembed(self, hidden_BTD: Tensor, head: int = 1) -> Tensor:
        """The norm and unembedding: logits `(B, T, V)`. `head` matters for replicated unembeddings only."""
        return self.unembedding(head)(self.norm(hidden_BTD))

    def forward(self, tokens_BT: Tensor) -> list[Tensor]:
        """Logits `(B, T, V)` of every head, without a cache: the plain form that everything else is tested against."""
        positions_1T = torch.arange(tokens_BT.shape[1], device=tokens_BT.device)[None]
        rotary = self.rotary(positions_1T)
        z_BTD = self.trunk_forward(tokens_BT, rotary)
        outputs: dict[tuple[int, ...], Tensor] = {(): z_BTD}
        for i in sorted(range(1, self.config.n_future + 1), key=lambda i: len(self.config.head_path(i))):
            path = self.config.head_path(i)
            if path not in outputs:
                outputs[path] = self.heads[path[-1]](outputs[path[:-1]], rotary)
        paths = [self.config.head_path(i) for i in range(1, self.config.n_future + 1)]
        return [self.unembed(outputs[path], i) for i, path in enumerate(paths, start=1)]

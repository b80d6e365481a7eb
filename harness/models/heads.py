"""Heads other than a transformer layer: one matrix, or a sequential module.

Shapes: B batch rows, T tokens, D model width.
"""

from __future__ import annotations

from typing import overload

import torch
from torch import Tensor, nn

from mtp_eval.harness.models.config import ModelConfig
from mtp_eval.harness.models.layers import Block, Registers, RMSNorm, Rotary


class LinearHead(nn.Module):
    """One matrix, no residual and no nonlinearity (the paper's linear heads); called like a Block."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.proj = nn.Linear(config.d_model, config.d_model, bias=False)

    @overload
    def forward(self, x_BTD: Tensor, rotary: Rotary) -> Tensor: ...
    @overload
    def forward(self, x_BTD: Tensor, rotary: Rotary, registers: Registers) -> tuple[Tensor, Tensor]: ...
    def forward(
        self, x_BTD: Tensor, rotary: Rotary, registers: Registers | None = None
    ) -> Tensor | tuple[Tensor, Tensor]:
        """`(B, T, D)` to `(B, T, D)`, with registers also theirs; looks at no other position, so it needs no positions."""
        return self.proj(x_BTD) if registers is None else (self.proj(x_BTD), self.proj(registers[0]))


class Sequential(nn.Module):
    """A module of DeepSeek-V3's kind (arXiv 2412.19437, section 2.2), the k-th after head 1; it is head k + 1.

    At position t it reads the state s_{k-1}, which is the normed output of head k, and the embedding e of the token x_{t+k}:

        h_k = block(proj([norm_e(e), norm_s(s_{k-1})])),   s_k = norm(h_k),   logits for x_{t+k+1} = unembedding(s_k)

    Embedding and unembedding are the model's; the last norm is the module's own, and lies in `MTPModel.extra_norms`. That the
    next module reads the normed state is as in transformers' MtpModel; published models have one module, whose state is head
    1's after the model's last norm.
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.embedding_norm = RMSNorm(config.d_model, config.norm_eps)
        self.state_norm = RMSNorm(config.d_model, config.norm_eps)
        self.input_proj = nn.Linear(2 * config.d_model, config.d_model, bias=False)
        self.block = Block(config, config.n_trunk_layers)

    def forward(self, state_BTD: Tensor, rotary: Rotary, embedded_BTD: Tensor) -> Tensor:
        """Return h_k `(B, T, D)`, before its norm, from s_{k-1} and the embeddings of the tokens k places on."""
        both = torch.cat([self.embedding_norm(embedded_BTD), self.state_norm(state_BTD)], dim=-1)
        return self.block(self.input_proj(both), rotary)


def make_heads(config: ModelConfig) -> nn.ModuleList:
    """Make the members of `MTPModel.heads`; `ModelConfig.head_path` says how they are connected."""
    layer = config.n_trunk_layers
    if config.head_kind == "linear":
        return nn.ModuleList(LinearHead(config) for _ in range(config.n_future))
    if config.head_kind == "replicated":
        return nn.ModuleList([Block(config, layer)])
    if config.head_kind == "sequential":
        return nn.ModuleList([Block(config, layer), *(Sequential(config) for _ in range(config.n_future - 1))])
    return nn.ModuleList(Block(config, layer) for _ in range(config.n_future))

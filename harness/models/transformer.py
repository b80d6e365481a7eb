"""A Llama-style trunk, the heads on it, and the shared unembedding (arXiv 2404.19737, section 2).

    tokens_BT -> embed -> trunk -> z_BTD -> head i -> norm -> unembed -> logits_BTV for x_{t+i}

Shapes: B batch rows, T tokens, D model width, V vocabulary; S columns of tokens where some lie beyond the T positions.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mtp_eval.harness.models.config import ModelConfig
from mtp_eval.harness.models.heads import make_heads
from mtp_eval.harness.models.layers import Block, RMSNorm, Rotary
from mtp_eval.harness.models.rotary import rotary_table


def embedding(vocab_size: int, d_model: int) -> nn.Embedding:
    """`nn.Embedding`, but without first values on the device "meta": torch imports its compiler for them, which takes 1.5 s."""
    weight_VD = torch.empty(vocab_size, d_model)
    if not weight_VD.is_meta:
        nn.init.normal_(weight_VD)
    made: nn.Embedding = nn.Embedding.from_pretrained(weight_VD, freeze=False)  # type: ignore[no-untyped-call]
    return made


class MTPModel(nn.Module):
    """Trunk, heads, one norm, and one unembedding (or one per head for replicated unembeddings).

    `order_lm_heads` holds the unembedding of token order prediction, and `register_tokens` the register of MuToR, where they are
    trained; no prediction uses them.

    `config.head_path(i)` says which members of `heads` lead to the prediction of x_{t+i}: for the default parallel
    heads that is `heads[i - 1]` alone, and heads[0] is the next-token head.
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.embed_tokens = embedding(config.vocab_size, config.d_model)
        self.trunk = nn.ModuleList(Block(config, layer) for layer in range(config.n_trunk_layers))
        self.heads = make_heads(config)
        self.norm = RMSNorm(config.d_model, config.norm_eps)
        self.extra_norms = nn.ModuleList(RMSNorm(config.d_model, config.norm_eps) for _ in range(config.n_norms - 1))
        self.lm_head = nn.Linear(config.d_model, config.vocab_size, bias=False)
        self.extra_lm_heads = nn.ModuleList(
            nn.Linear(config.d_model, config.vocab_size, bias=False) for _ in range(config.n_unembeddings - 1)
        )
        self.order_lm_heads = nn.ModuleList(
            nn.Linear(config.d_model, config.vocab_size, bias=False) for _ in range(config.order_unembedding)
        )
        self.register_tokens = nn.ModuleList(nn.Embedding(1, config.d_model) for _ in range(config.register_token))
        self.tie()

    def tie(self) -> None:
        """Make embedding and unembedding one weight, if the config says so; to be called after they get new storage."""
        if self.config.tie_embeddings:
            self.lm_head.weight = self.embed_tokens.weight

    def rotary(self, positions_BT: Tensor) -> Rotary:
        """The rotary table of these positions in the model's dtype."""
        return rotary_table(self.config, positions_BT, self.embed_tokens.weight.dtype)

    def trunk_forward(self, tokens_BT: Tensor, rotary: Rotary) -> Tensor:
        """The trunk's output z `(B, T, D)`, which every head reads."""
        x_BTD = self.embed_tokens(tokens_BT)
        for block in self.trunk:
            x_BTD = block(x_BTD, rotary)
        return x_BTD

    def trunk_with_registers(self, tokens_BT: Tensor, rotary: Rotary, register_rotary: Rotary) -> tuple[Tensor, Tensor]:
        """As `trunk_forward`, and the output `(B, T, D)` of a register behind every token, at the positions of its own table."""
        (register,) = self.register_tokens
        x_BTD, states_BTD = self.embed_tokens(tokens_BT), register(torch.zeros_like(tokens_BT))
        for block in self.trunk:
            x_BTD, states_BTD = block(x_BTD, rotary, (states_BTD, register_rotary))
        return x_BTD, states_BTD

    def head_forward(self, index: int, before_BTD: Tensor, rotary: Rotary, tokens_BS: Tensor) -> Tensor:
        """The output `(B, T, D)` of `heads[index]` on that of its predecessor on the path.

        `tokens_BS` begins with the T positions' tokens; those beyond are read by sequential modules. Where one is missing, token 0
        stands in, and the prediction there means nothing.
        """
        offset, length = self.config.token_offset(index), before_BTD.shape[1]
        if not offset:
            return self.heads[index](before_BTD, rotary)
        ahead_BT = tokens_BS[:, offset : offset + length]
        ahead_BT = F.pad(ahead_BT, (0, length - ahead_BT.shape[1]))
        return self.heads[index](self.head_norm(index)(before_BTD), rotary, self.embed_tokens(ahead_BT))

    def head_norm(self, head: int) -> nn.Module:
        """The norm between head `head`'s output (1 is next-token) and the unembedding; one for all unless sequential."""
        return self.norm if head == 1 or not self.extra_norms else self.extra_norms[head - 2]

    def unembedding(self, head: int = 1) -> nn.Module:
        """The matrix that turns normed hidden states into head `head`'s logits; one for all unless replicated."""
        return self.lm_head if head == 1 or not self.extra_lm_heads else self.extra_lm_heads[head - 2]

    def unembed(self, hidden_BTD: Tensor, head: int = 1) -> Tensor:
        """Logits `(B, T, V)` of head `head` from its output: norm and unembedding."""
        return self.unembedding(head)(self.head_norm(head)(hidden_BTD))

    def forward(self, tokens_BS: Tensor, length: int | None = None) -> list[Tensor]:
        """Logits `(B, T, V)` of every head, without a cache: the plain form that everything else is tested against.

        Args:
            tokens_BS: the tokens, and where sequential modules shall read on, those that follow.
            length: T, how many of them are positions; None: all.
        """
        length = length or tokens_BS.shape[1]
        rotary = self.rotary(torch.arange(length, device=tokens_BS.device)[None])
        outputs: dict[tuple[int, ...], Tensor] = {(): self.trunk_forward(tokens_BS[:, :length], rotary)}
        paths = [self.config.head_path(i) for i in range(1, self.config.n_future + 1)]
        for path in sorted(paths, key=len):
            if path not in outputs:
                outputs[path] = self.head_forward(path[-1], outputs[path[:-1]], rotary, tokens_BS)
        return [self.unembed(outputs[path], i) for i, path in enumerate(paths, start=1)]

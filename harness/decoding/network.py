"""What the decoder asks of a model: run a prompt, verify a block of tokens, draft the next ones.

Shapes: B batch rows, T tokens, D model width, V vocabulary, J drafts (J = draft_heads - 1), S cache slots.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mtp_eval.harness.models.cache import LayerCache, causal_mask
from mtp_eval.harness.models.transformer import Memory, MTPModel


@dataclass(slots=True)
class Prefix:
    """A prompt that has been run, to be copied into as many rows as want it.

    Args:
        layers: keys and values `(K, S, E)` of every layer.
        draft_logits: what heads 2.. say follows; drafts for the first step.
        length: tokens run.
    """

    layers: list[tuple[Tensor, Tensor]]
    draft_logits: Tensor
    length: int


class Network:
    """A model with caches for a batch of rows, of which the first `draft_heads` heads are used."""

    def __init__(self, model: MTPModel, draft_heads: int):
        self.model = model
        self.draft_heads = draft_heads
        self.device = model.embed_tokens.weight.device
        self.caches: list[LayerCache] = []

    def allocate(self, batch: int, slots: int) -> None:
        """Make room; what was cached is forgotten."""
        self.caches = self._new_caches(batch, slots)

    def _new_caches(self, batch: int, slots: int) -> list[LayerCache]:
        config = self.model.config
        n_layers = config.n_trunk_layers + self.draft_heads
        dtype = self.model.embed_tokens.weight.dtype
        return [
            LayerCache(batch, config.kv_heads, slots, config.head_size, dtype=dtype, device=self.device)
            for _ in range(n_layers)
        ]

    def prefill(self, prompts: list[list[int]]) -> list[Prefix]:
        """Run whole prompts, padded on the right to the longest."""
        J, V = self.draft_heads - 1, self.model.config.vocab_size
        longest = max(len(prompt) for prompt in prompts)
        if longest == 0:
            return [Prefix([], torch.zeros(J, V, device=self.device), 0) for _ in prompts]
        tokens_BT = torch.tensor([p + [0] * (longest - len(p)) for p in prompts], device=self.device)
        positions_BT = torch.arange(longest, device=self.device).expand(len(prompts), longest)
        caches = self._new_caches(len(prompts), longest)
        _, heads_z = self._forward(tokens_BT, positions_BT, caches, longest)
        last_B = torch.tensor([max(len(p) - 1, 0) for p in prompts], device=self.device)
        drafts_BJV = self._draft(heads_z, last_B)
        return [
            Prefix([(c.k_BKSE[b, :, :n].clone(), c.v_BKSE[b, :, :n].clone()) for c in caches], drafts_BJV[b], n)
            for b, n in enumerate(map(len, prompts))
        ]

    def admit(self, row: int, prefix: Prefix) -> None:
        """Copy a prompt's keys and values into a row."""
        for cache, (k_KSE, v_KSE) in zip(self.caches, prefix.layers, strict=False):
            cache.k_BKSE[row, :, : prefix.length] = k_KSE
            cache.v_BKSE[row, :, : prefix.length] = v_KSE

    def keep(self, rows_B: Tensor) -> None:
        """Go on with these rows only, in this order."""
        for cache in self.caches:
            cache.k_BKSE, cache.v_BKSE = cache.k_BKSE[rows_B], cache.v_BKSE[rows_B]

    def verify(self, tokens_BT: Tensor, positions_BT: Tensor, slots: int) -> tuple[Tensor, list[Tensor]]:
        """Head 1's logits `(B, T, V)` after each token, and what `draft` goes on from. No token is beyond `slots`."""
        head_1_BTD, heads = self._forward(tokens_BT, positions_BT, self.caches, slots)
        return self.model.unembed(head_1_BTD), heads

    def draft(self, heads: list[Tensor], last_B: Tensor) -> Tensor:
        """Logits `(B, J, V)` of heads 2.. at each row's last accepted token, an index into the block."""
        return self._draft(heads, last_B)

    def _forward(
        self, tokens_BT: Tensor, positions_BT: Tensor, caches: list[LayerCache], slots: int
    ) -> tuple[Tensor, list[Tensor]]:
        mask = causal_mask(positions_BT, slots)
        memories = [Memory(cache, positions_BT, mask) for cache in caches]
        rotary = self.model.rotary(positions_BT)
        z_BTD = self.model.trunk_forward(tokens_BT, rotary, memories)
        n_trunk = len(self.model.trunk)
        out = [self.model.heads[i](z_BTD, rotary, memories[n_trunk + i]) for i in range(self.draft_heads)]
        return out[0], out[1:]

    def _draft(self, heads: list[Tensor], last_B: Tensor) -> Tensor:
        rows_B = torch.arange(last_B.shape[0], device=last_B.device)
        if not heads:
            return torch.zeros(last_B.shape[0], 0, self.model.config.vocab_size, device=self.device)
        return self.model.unembed(torch.stack([head_BTD[rows_B, last_B] for head_BTD in heads], dim=1))

"""Sequential modules (DeepSeek-V3's kind) with caches: a chain of drafts, each read by the next module.

Module k at position t reads the state s_{k-1} there and the token k places on, t + k. Of the tokens that a step has run, the last
has one known successor; module 1 reads that one, and module k >= 2 reads tokens that modules before it have drafted. What module k
wrote into its cache for them is void as soon as a draft is refused, so each call begins J - 1 positions before the block and
writes these again. The states that it needs there are kept in the cache too, as further layers of it.

Shapes: B rows, W positions of a row (J - 1 before the block, then the block), N = B·W, D model width; J modules are used.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mtp_eval.harness.decoding.kernels.fused import FusedLayer, Linear, Place
from mtp_eval.harness.models.heads import Sequential
from mtp_eval.harness.models.transformer import MTPModel


@dataclass(slots=True)
class Norm:
    """A norm with its weight, for what is normed but not followed by one matrix alone."""

    weight: Tensor
    eps: float

    def __call__(self, x_ND: Tensor) -> Tensor:
        """Same shape."""
        return F.rms_norm(x_ND, (x_ND.shape[-1],), self.weight, self.eps)


class PackedModule:
    """One module: from a state and an embedding to the next state."""

    def __init__(self, module: Sequential, last_norm: Tensor, model: MTPModel):
        eps = model.config.norm_eps
        self.embedding_norm = Norm(module.embedding_norm.weight.detach(), eps)
        self.state_norm = Norm(module.state_norm.weight.detach(), eps)
        self.input_proj = Linear(module.input_proj.weight.detach())
        self.layer = FusedLayer(module.block, model.config)
        self.last_norm = Norm(last_norm, eps)

    def __call__(self, state_ND: Tensor, embedded_ND: Tensor, place: Place, kv_B2KSE: Tensor) -> Tensor:
        """The normed output `(N, D)`; stores keys and values."""
        both = torch.cat([self.embedding_norm(embedded_ND), self.state_norm(state_ND)], dim=1)
        return self.last_norm(self.layer(self.input_proj(both), place, kv_B2KSE))


class SequentialModules:
    """Modules 1.. of a model, with the unembedding that they share."""

    def __init__(self, model: MTPModel):
        self.config = config = model.config
        norms = [norm.weight.detach() for norm in model.extra_norms if isinstance(norm.weight, Tensor)]
        modules = [module for module in model.heads if isinstance(module, Sequential)]
        self.modules = [PackedModule(module, norm, model) for module, norm in zip(modules, norms, strict=True)]
        self.first_norm = Norm(model.norm.weight.detach(), config.norm_eps)
        self.embedding = model.embed_tokens.weight.detach()
        self.unembedding = Linear(model.lm_head.weight.detach())
        slot_width = 2 * config.kv_heads * config.head_size
        self.n_state_layers = -(-config.d_model // slot_width) if config.n_future > 2 else 0

    def keep_states(self, states_ND: Tensor, place: Place, kv_SB2KSE: Tensor) -> None:
        """Store head 1's states of a block in the layers kept for them."""
        n, _, lanes, _, E = kv_SB2KSE.shape
        padded = F.pad(states_ND, (0, n * lanes * E - states_ND.shape[1])).view(-1, n, lanes, E)
        for layer in range(n):
            kv_SB2KSE[layer].view(-1, E).index_copy_(0, place.writes, padded[:, layer].reshape(-1, E))

    def states_at(self, positions_BW: Tensor, kv_SB2KSE: Tensor) -> Tensor:
        """The stored states `(B, W, D)` at these positions."""
        n, B, lanes, _, E = kv_SB2KSE.shape
        index = positions_BW[None, :, None, :, None].expand(n, B, lanes, -1, E)
        found = kv_SB2KSE.gather(3, index)  # (n, B, 2K, W, E)
        return found.permute(1, 3, 0, 2, 4).reshape(B, positions_BW.shape[1], -1)[..., : self.config.d_model]

    def unembed(self, states_BD: Tensor) -> Tensor:
        """Logits `(B, V)`."""
        return self.unembedding(states_BD)

    def embed(self, tokens_N: Tensor) -> Tensor:
        """Embeddings `(N, D)`."""
        return F.embedding(tokens_N, self.embedding)

"""A model's weights rearranged for decoding, packed once and shared by decoders that use different numbers of heads."""

from __future__ import annotations

import torch
from torch import Tensor

from mtp_eval.harness.decoding.kernels.fused import FusedLayer, Linear, Norm, Rotary, folded
from mtp_eval.harness.decoding.kernels.sequential import SequentialModules
from mtp_eval.harness.decoding.kernels.stacked import StackedHeads
from mtp_eval.harness.models.config import ModelConfig
from mtp_eval.harness.models.heads import LinearHead
from mtp_eval.harness.models.layers import Block
from mtp_eval.harness.models.transformer import MTPModel

_BEYOND = 512  # positions past the context that the last block's drafts, or steps that run ahead, may touch


class PackedModel:
    """The packed weights that `Network` runs: every layer fused, heads 2.. of the parallel kind stacked, sequential modules apart."""

    def __init__(self, model: MTPModel):
        self.model = model
        self.config = config = model.config
        self.embedding = model.embed_tokens.weight.detach()
        self.device, self.dtype = self.embedding.device, self.embedding.dtype
        self.rotary = Rotary(config, config.context_length + _BEYOND, self.dtype, self.device)
        self.trunk = [FusedLayer(block, config) for block in model.trunk if isinstance(block, Block)]
        parallel, sequential = config.head_kind == "parallel", config.head_kind == "sequential"
        with_drafts_apart = parallel or sequential
        self.heads = [
            _packed_head(head, config) for head in (list(model.heads)[:1] if with_drafts_apart else model.heads)
        ]
        others = [head for head in list(model.heads)[1:] if isinstance(head, Block)]
        self.stacked = StackedHeads(others, config) if parallel and others else None
        self.sequential = SequentialModules(model) if sequential and config.n_future > 1 else None
        norm = model.norm.weight.detach()
        self.norm = Norm.of(norm, config.norm_eps)
        matrices = [model.lm_head, *(m for m in model.extra_lm_heads if isinstance(m, torch.nn.Linear))]
        self.unembeddings = [Linear(folded(norm, matrix.weight.detach())) for matrix in matrices]

    def unembed(self, hidden_ND: Tensor, head: int = 1) -> Tensor:
        """Logits `(N, V)` of head `head`."""
        return self.unembeddings[min(head, len(self.unembeddings)) - 1](self.norm(hidden_ND))

    def embed(self, tokens: Tensor) -> Tensor:
        """Embeddings `(…, D)`."""
        return torch.nn.functional.embedding(tokens, self.embedding)


def _packed_head(head: torch.nn.Module, config: ModelConfig) -> FusedLayer | Linear:
    if isinstance(head, Block):
        return FusedLayer(head, config)
    assert isinstance(head, LinearHead), f"a head is a Block or a LinearHead, got {type(head).__name__}"
    return Linear(head.proj.weight.detach())

"""Forwards of a transformers model: what a batch has read so far stays in the model's own cache.

Everything that is asked of the weights goes through this class, so that several processes can share a model (`hf_group`) by doing
the same forwards in the same order.

Shapes: B rows, T new tokens, S tokens so far, N places, V vocabulary.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mtp_eval.harness.backends.hf_load import weights_sha256


class Forwards:
    """A model, and the caches of the batches that are under way.

    Args:
        model: what `AutoModelForCausalLM.from_pretrained` gave.
    """

    def __init__(self, model: Any):
        self._model = model
        self._caches: dict[int, Any] = {}
        self._names = frozenset(inspect.signature(model.forward).parameters)

    @property
    def device(self) -> torch.device:
        """The device that inputs go to."""
        device: torch.device = self._model.get_input_embeddings().weight.device
        return device

    def sha256(self) -> str:
        """The sha256 of all weights, by name."""
        return weights_sha256(self._model)

    @torch.inference_mode()
    def finds_cache(self) -> bool:
        """Whether the model hands out a cache whose rows can be batched, which is tried with one token.

        Mamba and RWKV keep a state under names of their own, RecurrentGemma keeps it in its layers.
        """
        if "past_key_values" not in self._names:
            return False
        out = self._model(input_ids=torch.zeros((1, 1), dtype=torch.long, device=self.device), use_cache=True)
        return out.get("past_key_values") is not None

    @torch.inference_mode()
    def step(self, batch: int, tokens_BT: Tensor, mask_BS: Tensor) -> Tensor:
        """The logits after the last new token of each row, `(B, V)`; a batch begins with its first step.

        Args:
            batch: the caller's name of the batch.
            tokens_BT: the new tokens; the first ones padded on the left.
            mask_BS: 1 for every token of the batch so far, 0 for padding.
        """
        tokens_BT, mask_BS = tokens_BT.to(self.device), mask_BS.to(self.device)
        positions_BT = (mask_BS.cumsum(dim=1) - 1).clamp(min=0)[:, -tokens_BT.shape[1] :]
        out = self._model(
            input_ids=tokens_BT,
            attention_mask=mask_BS,
            position_ids=positions_BT,
            past_key_values=self._caches.get(batch),
            use_cache=True,
            logits_to_keep=1,
        )
        self._caches[batch] = out.past_key_values
        logits_BV: Tensor = out.logits[:, -1]
        return logits_BV

    def keep(self, batch: int, rows: Sequence[int]) -> None:
        """Go on with these rows of a batch alone."""
        # reorder_cache, since layers with a recurrent state have no batch_select_indices; it moves indices to each layer's device
        self._caches[batch].reorder_cache(torch.tensor(rows, device=self.device))

    def end(self, batch: int) -> None:
        """Forget a batch."""
        self._caches.pop(batch, None)

    @torch.inference_mode()
    def at(self, tokens_BT: Tensor, mask_BT: Tensor, where_N2: Tensor) -> Tensor:
        """The logits at (row, position) pairs of whole texts, `(N, V)`."""
        logits_BTV = self._model(
            input_ids=tokens_BT.to(self.device), attention_mask=mask_BT.to(self.device), use_cache=False
        ).logits
        row_N, position_N = where_N2.to(logits_BTV.device).unbind(dim=1)
        logits_NV: Tensor = logits_BTV[row_N, position_N]
        return logits_NV

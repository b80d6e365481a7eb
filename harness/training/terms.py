"""A trained model's loss term by term: nats of every head at every position of given texts, and the gradients that they send back.

Shapes: N heads, B texts, S columns of tokens, T positions (S = T + N), D width, V vocabulary. Position t has read t tokens after the begin
mark, so that term (i, b, t), heads counted from 0, is of token t + i of the text (counted from 0); past the text there are none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mtp_eval.harness.models.checkpoint import load_checkpoint
from mtp_eval.harness.models.layers import Rotary
from mtp_eval.harness.models.tokenizers import Tokenizer, prompt_ids
from mtp_eval.harness.models.transformer import MTPModel
from mtp_eval.harness.training.corpus import Array
from mtp_eval.harness.training.targets import IGNORED, future_targets


@dataclass(frozen=True)
class Terms:
    """The loss terms of some texts.

    Args:
        nats_NBT: of each term, float64; NaN where there is no target.
        gradients_NBT: L2 norm of the gradient that the term sends into its head's output; 0 where there is no target.
    """

    nats_NBT: Array
    gradients_NBT: Array


def loss_terms(folder: Path, texts: Sequence[str]) -> Terms:
    """All terms of the checkpoint in `folder` on texts, each read from its begin mark; the end mark is no target.

    Raises:
        InputError: there is no such checkpoint.
    """
    pass_ = _Pass(folder, texts)
    nats, gradients = [], []
    for hidden_BTD, nats_BT in pass_.heads():
        (gradient_BTD,) = torch.autograd.grad(nats_BT.sum(), hidden_BTD, retain_graph=True)
        nats.append(nats_BT.detach())
        gradients.append(gradient_BTD.norm(dim=-1))
    nats_NBT = torch.stack(nats).double().masked_fill(pass_.targets_NBT == IGNORED, torch.nan)
    return Terms(nats_NBT.numpy(), torch.stack(gradients).double().numpy())


def trunk_gradients(folder: Path, texts: Sequence[str], kinds: Sequence[Array]) -> list[float]:
    """The squared norm of the gradient at the trunk's output, for each kind of terms by itself.

    Args:
        kinds: which terms `(N, B, T)` are of each kind, as booleans.

    Raises:
        InputError: there is no such checkpoint.
    """
    pass_ = _Pass(folder, texts)
    terms_NBT = torch.stack([nats_BT for _, nats_BT in pass_.heads()])
    found = []
    for kind in kinds:
        loss = terms_NBT[torch.from_numpy(kind)].sum()
        (gradient_BTD,) = torch.autograd.grad(loss, pass_.trunk_BTD, retain_graph=True)
        found.append(float(gradient_BTD.double().square().sum()))
    return found


class _Pass:
    """One forward pass of a checkpoint over texts, with gradients from the trunk's output on."""

    trunk_BTD: Tensor

    def __init__(self, folder: Path, texts: Sequence[str]):
        checkpoint = load_checkpoint(folder)
        self.model: MTPModel = checkpoint.model
        for parameter in self.model.parameters():
            parameter.requires_grad_(False)
        self.tokens_BS, documents_BS, length = padded(texts, checkpoint.tokenizer, self.model.config.n_future)
        self.targets_NBT = future_targets(self.tokens_BS, documents_BS, self.model.config.n_future, length)
        self.rotary: Rotary = self.model.rotary(torch.arange(length)[None])

    def heads(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield each head's output `(B, T, D)` and its terms `(B, T)`, 0 where there is no target."""
        config, length = self.model.config, self.targets_NBT.shape[2]
        trunk_BTD = self.model.trunk_forward(self.tokens_BS[:, :length], self.rotary)
        self.trunk_BTD = trunk_BTD.requires_grad_()
        outputs: dict[tuple[int, ...], Tensor] = {(): self.trunk_BTD}
        for i in range(config.n_future):
            path = config.head_path(i + 1)
            for k in range(1, len(path) + 1):
                if path[:k] not in outputs:
                    before_BTD = outputs[path[: k - 1]]
                    outputs[path[:k]] = self.model.head_forward(path[k - 1], before_BTD, self.rotary, self.tokens_BS)
            logits_BTV = self.model.unembed(outputs[path], i + 1)
            nats = F.cross_entropy(
                logits_BTV.flatten(0, 1), self.targets_NBT[i].flatten(), ignore_index=IGNORED, reduction="none"
            )
            yield outputs[path], nats.view(logits_BTV.shape[:2])


def padded(texts: Sequence[str], tokenizer: Tokenizer, n_future: int) -> tuple[Tensor, Tensor, int]:
    """Begin mark and tokens of each text `(B, S)`, the number of each token's text, -1 for padding, and T."""
    rows = [prompt_ids(tokenizer, text) for text in texts]
    length = max(map(len, rows)) - 1
    tokens = np.zeros((len(rows), length + max(n_future, 1)), dtype=np.int64)
    documents = np.full_like(tokens, -1)
    for number, row in enumerate(rows):
        tokens[number, : len(row)], documents[number, : len(row)] = row, number
    return torch.from_numpy(tokens), torch.from_numpy(documents), length

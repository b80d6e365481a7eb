"""The n-future loss, head by head: memory for one head's logits, whatever n is (arXiv 2404.19737, section 2).

    trunk forward -> z, detached -> for each head: forward, loss, backward into z's gradient, free -> trunk backward
    once

Heads that build on each other (causal, anticausal, sequential) run forward in a chain first, without logits; then, from the head
furthest from the trunk inwards, each adds its own loss to the gradient that came from its successors.

The gradients are those of the plain sum of losses: `naive_backward` is that sum in one graph, kept as the oracle.

Shapes: N heads, B batch rows, T positions, S columns of tokens (S >= T), D width, V vocabulary, C positions of a chunk.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import backward

from mtp_eval.harness.models.transformer import MTPModel
from mtp_eval.harness.training.token_order import OrderLoss, order_nats

IGNORED = -100
"""The target of a position whose future token lies in another document, or nowhere."""

Autocast = Callable[[], AbstractContextManager[object]]


@dataclass(frozen=True, slots=True)
class HeadSums:
    """Sums over a batch, `(N,)` each, on the device: nats, hits of the likeliest token (validation only), targets.

    A head that was not computed, because its loss has no weight, has no targets. `order` has the nats and the positions of token
    order prediction, zeros without it.
    """

    nats: Tensor
    hits: Tensor
    targets: Tensor
    order: Tensor = field(default_factory=lambda: torch.zeros(2, dtype=torch.float64))


def future_targets(
    tokens_BS: Tensor, documents_BS: Tensor, n_future: int, length: int, learnt_BS: Tensor | None = None
) -> Tensor:
    """The targets `(N, B, T)`: target i at t is token t + i where that is of t's own document and is learnt, else IGNORED.

    `tokens_BS` and `documents_BS` (the number of each token's document, -1 for padding) have S = length + n_future
    columns, and so has `learnt_BS`, which is false for the tokens of prompts; None: all are learnt.
    """
    own_BT = documents_BS[:, :length]
    rows = []
    for i in range(1, n_future + 1):
        is_target_BT = (documents_BS[:, i : i + length] == own_BT) & (own_BT >= 0)
        if learnt_BS is not None:
            is_target_BT &= learnt_BS[:, i : i + length]
        rows.append(tokens_BS[:, i : i + length].masked_fill(~is_target_BT, IGNORED))
    return torch.stack(rows)


def head_nats(norm: nn.Module, matrix: nn.Module, hidden_CD: Tensor, targets_C: Tensor) -> Tensor:
    """Summed cross-entropy of one chunk: the only place where logits exist; compiled where compilation is on."""
    logits_CV = matrix(norm(hidden_CD))
    return F.cross_entropy(logits_CV, targets_C, ignore_index=IGNORED, reduction="sum")


HeadNats = Callable[[nn.Module, nn.Module, Tensor, Tensor], Tensor]


def sequential_backward(
    model: MTPModel,
    tokens_BS: Tensor,
    targets_NBT: Tensor,
    weights: Sequence[float],
    scale: float,
    *,
    chunk_tokens: int = 0,
    autocast: Autocast = nullcontext,
    train_trunk: bool = True,
    head_nats: HeadNats = head_nats,
    heads_done: Callable[[], None] = lambda: None,
    order: OrderLoss | None = None,
) -> HeadSums:
    """Add the gradient of `scale * sum_i weights[i] * (summed cross-entropy of head i)` to the parameters.

    `tokens_BS` may go on after the T positions: sequential modules read the tokens that follow. `order` adds token order
    prediction, whose weight is its own, to head 1's loss.
    """
    rotary = model.rotary(torch.arange(targets_NBT.shape[2], device=tokens_BS.device)[None])
    with autocast(), torch.set_grad_enabled(train_trunk):
        z_BTD = model.trunk_forward(tokens_BS[:, : targets_NBT.shape[2]], rotary)
    source_BTD = z_BTD.detach().requires_grad_()
    weights_N = [scale * weight for weight in weights]
    heads = _Heads(
        model,
        rotary,
        (tokens_BS, targets_NBT),
        weights_N,
        chunk_tokens,
        autocast=autocast,
        head_nats=head_nats,
        order=order,
    )
    run = {"causal": heads.chain, "anticausal": heads.chain, "sequential": heads.chain, "replicated": heads.shared}.get(
        model.config.head_kind, heads.one_by_one
    )
    run(source_BTD)
    heads_done()
    if train_trunk and source_BTD.grad is not None:
        backward(z_BTD, source_BTD.grad)
    return heads.sums()


class _Heads:
    """One batch's pass through the heads."""

    def __init__(
        self,
        model: MTPModel,
        rotary: tuple[Tensor, Tensor],
        batch: tuple[Tensor, Tensor],
        weights_N: list[float],
        chunk_tokens: int,
        autocast: Autocast,
        head_nats: HeadNats,
        order: OrderLoss | None,
    ):
        self.order = order
        self.model, self.rotary, self.autocast, self.head_nats = model, rotary, autocast, head_nats
        self.tokens_BS, self.targets_NBT = batch
        self.weights_N, self.chunk_tokens = weights_N, chunk_tokens
        self.nats_N = torch.zeros(len(weights_N), device=self.targets_NBT.device, dtype=torch.float64)
        self.order_sums = torch.zeros(2, device=self.targets_NBT.device, dtype=torch.float64)

    def sums(self) -> HeadSums:
        counts_N = (self.targets_NBT != IGNORED).sum(dim=(1, 2))
        has_weight_N = torch.tensor([weight > 0 for weight in self.weights_N], device=counts_N.device)
        return HeadSums(self.nats_N, torch.zeros_like(counts_N), counts_N * has_weight_N, self.order_sums)

    def active(self) -> list[int]:
        """Heads of weight above zero, numbered from 0; the others cost nothing."""
        return [i for i, weight in enumerate(self.weights_N) if weight > 0]

    def head(self, i: int, x_BTD: Tensor) -> Tensor:
        with self.autocast():
            return self.model.head_forward(i, x_BTD, self.rotary, self.tokens_BS)

    def one_by_one(self, source_BTD: Tensor) -> None:
        """Parallel and linear heads."""
        for i in self.active():
            hidden_BTD = self.head(i, source_BTD)
            leaf_BTD = hidden_BTD.detach().requires_grad_()
            self.add_loss(i, leaf_BTD)
            backward(hidden_BTD, leaf_BTD.grad)

    def shared(self, source_BTD: Tensor) -> None:
        """Replicated unembeddings: one last layer, n unembeddings."""
        hidden_BTD = self.head(0, source_BTD)
        leaf_BTD = hidden_BTD.detach().requires_grad_()
        for i in self.active():
            self.add_loss(i, leaf_BTD)
        backward(hidden_BTD, leaf_BTD.grad)

    def chain(self, source_BTD: Tensor) -> None:
        """Causal and anticausal heads, sequential modules."""
        path = self.model.config.head_path(self.model.config.n_future)
        if self.model.config.head_kind == "anticausal":
            path = self.model.config.head_path(1)
        active = self.active()
        path = path[: 1 + max(position for position, i in enumerate(path) if i in active)]
        leaves, hiddens = [source_BTD], []
        for i in path:
            hiddens.append(self.head(i, leaves[-1]))
            leaves.append(hiddens[-1].detach().requires_grad_())
        for i, hidden_BTD, leaf_BTD in reversed(list(zip(path, hiddens, leaves[1:], strict=True))):
            if i in active:
                self.add_loss(i, leaf_BTD)
            backward(hidden_BTD, leaf_BTD.grad)

    def add_loss(self, i: int, leaf_BTD: Tensor) -> None:
        """Head i's loss: its gradient goes to the norm, the unembedding and `leaf_BTD.grad`."""
        width = leaf_BTD.shape[-1]
        flat_CD, targets_C = leaf_BTD.reshape(-1, width), self.targets_NBT[i].reshape(-1)
        size = self.chunk_tokens or flat_CD.shape[0]
        chunks = zip(torch.split(flat_CD, size), torch.split(targets_C, size), strict=True)
        norm, matrix = self.model.head_norm(i + 1), self.model.unembedding(i + 1)
        for chunk_CD, chunk_targets_C in chunks:
            with self.autocast():
                nats = self.head_nats(norm, matrix, chunk_CD, chunk_targets_C)
            backward(self.weights_N[i] * nats)
            self.nats_N[i] += nats.detach()
        if i == 0 and self.order is not None:
            self.add_order_loss(self.order, leaf_BTD)

    def add_order_loss(self, order: OrderLoss, leaf_BTD: Tensor) -> None:
        """Token order prediction from head 1's output."""
        (matrix,) = self.model.order_lm_heads

        def run(*inputs: Any) -> Tensor:
            with self.autocast():
                return order_nats(*inputs)

        nats = order.backward(self.model.head_norm(1), matrix, leaf_BTD, self.chunk_tokens, run)
        self.order_sums += torch.stack([nats, order.targets.count.double()])


def naive_backward(
    model: MTPModel, tokens_BS: Tensor, targets_NBT: Tensor, weights: Sequence[float], scale: float
) -> HeadSums:
    """Add the same gradients from one graph that holds every head's logits: the oracle, and the memory comparison."""
    nats = [
        F.cross_entropy(logits_BTV.flatten(0, 1), targets_BT.flatten(), ignore_index=IGNORED, reduction="sum")
        for logits_BTV, targets_BT in zip(model(tokens_BS, targets_NBT.shape[2]), targets_NBT, strict=True)
    ]
    loss: Tensor = sum((scale * w * part for w, part in zip(weights, nats, strict=True)), start=nats[0].new_zeros(()))
    backward(loss)
    counts_N = (targets_NBT != IGNORED).sum(dim=(1, 2))
    return HeadSums(torch.stack([part.detach().double() for part in nats]), torch.zeros_like(counts_N), counts_N)


@torch.no_grad()
def evaluate(
    model: MTPModel, tokens_BS: Tensor, targets_NBT: Tensor, *, chunk_tokens: int = 0, autocast: Autocast = nullcontext
) -> HeadSums:
    """Sums for validation, one head's logits at a time."""
    config = model.config
    rotary = model.rotary(torch.arange(targets_NBT.shape[2], device=tokens_BS.device)[None])
    nats_N = torch.zeros(config.n_future, device=tokens_BS.device, dtype=torch.float64)
    hits_N = torch.zeros(config.n_future, device=tokens_BS.device, dtype=torch.int64)
    with autocast():
        outputs: dict[tuple[int, ...], Tensor] = {(): model.trunk_forward(tokens_BS[:, : targets_NBT.shape[2]], rotary)}
        for i in sorted(range(config.n_future), key=lambda i: len(config.head_path(i + 1))):
            path = config.head_path(i + 1)
            if path not in outputs:
                outputs[path] = model.head_forward(path[-1], outputs[path[:-1]], rotary, tokens_BS)
            flat_CD, targets_C = outputs[path].flatten(0, 1), targets_NBT[i].flatten()
            size = chunk_tokens or flat_CD.shape[0]
            for chunk_CD, chunk_targets_C in zip(torch.split(flat_CD, size), torch.split(targets_C, size), strict=True):
                logits_CV = model.unembed(chunk_CD, i + 1)
                nats_N[i] += F.cross_entropy(logits_CV, chunk_targets_C, ignore_index=IGNORED, reduction="sum")
                hits_N[i] += (logits_CV.argmax(dim=-1) == chunk_targets_C).sum()
    return HeadSums(nats_N, hits_N, (targets_NBT != IGNORED).sum(dim=(1, 2)))

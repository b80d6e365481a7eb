"""The n-future loss, head by head: memory for one head's logits, whatever n is (arXiv 2404.19737, section 2).

    trunk forward -> z, detached -> for each head: forward, loss, backward into z's gradient, free -> trunk backward
    once

Heads that build on each other (causal, anticausal, sequential) run forward in a chain first, without logits; then, from the head
furthest from the trunk inwards, each adds its own loss to the gradient that came from its successors.

The gradients are those of the plain sum of losses: `naive_backward` is that sum in one graph, kept as the oracle.

Shapes: N heads, B batch rows, T positions, S columns of tokens (S >= T), D width, V vocabulary, C positions of a chunk.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import backward

from mtp_eval.harness.models.layers import Rotary
from mtp_eval.harness.models.transformer import MTPModel
from mtp_eval.harness.training.registers import RegisterLoss
from mtp_eval.harness.training.targets import IGNORED
from mtp_eval.harness.training.token_order import OrderLoss, order_nats

Autocast = Callable[[], AbstractContextManager[object]]


@dataclass(frozen=True, slots=True)
class HeadSums:
    """Sums over a batch, `(N,)` each, on the device: nats, hits of the likeliest token (validation only), targets.

    A head that was not computed, because its loss has no weight, has no targets. `beside` has the nats and the positions `(2,)` of
    the losses beside the heads', by name: "order" and "registers", where they are trained.
    """

    nats: Tensor
    hits: Tensor
    targets: Tensor
    beside: Mapping[str, Tensor] = field(default_factory=dict)


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
    registers: RegisterLoss | None = None,
) -> HeadSums:
    """Add the gradient of `scale * sum_i weights[i] * (summed cross-entropy of head i)` to the parameters.

    `tokens_BS` may go on after the T positions: sequential modules read the tokens that follow. `order` adds token order
    prediction, whose weight is its own, to head 1's loss; so do `registers`, to a model without further heads.
    """
    rotary = model.rotary(torch.arange(targets_NBT.shape[2], device=tokens_BS.device)[None])
    with autocast(), torch.set_grad_enabled(train_trunk):
        outputs = _trunk_outputs(model, tokens_BS[:, : targets_NBT.shape[2]], rotary, registers)
    sources = [output_BTD.detach().requires_grad_() for output_BTD in outputs]
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
        registers=registers,
    )
    heads.run(*sources)
    heads_done()
    if train_trunk and sources[0].grad is not None:
        backward(outputs, [source_BTD.grad for source_BTD in sources])
    return heads.sums()


def _trunk_outputs(
    model: MTPModel, tokens_BT: Tensor, rotary: Rotary, registers: RegisterLoss | None
) -> tuple[Tensor, ...]:
    """z, and with registers the trunk's output for these: `(B, T, D)` each."""
    if registers is None:
        return (model.trunk_forward(tokens_BT, rotary),)
    return model.trunk_with_registers(tokens_BT, rotary, model.rotary(registers.positions))


class _Heads:
    """One batch's pass through the heads."""

    def __init__(
        self,
        model: MTPModel,
        rotary: Rotary,
        batch: tuple[Tensor, Tensor],
        weights_N: list[float],
        chunk_tokens: int,
        autocast: Autocast,
        head_nats: HeadNats,
        order: OrderLoss | None,
        registers: RegisterLoss | None,
    ):
        self.order, self.registers = order, registers
        self.model, self.rotary, self.autocast, self.head_nats = model, rotary, autocast, head_nats
        self.tokens_BS, self.targets_NBT = batch
        self.weights_N, self.chunk_tokens = weights_N, chunk_tokens
        self.nats_N = torch.zeros(len(weights_N), device=self.targets_NBT.device, dtype=torch.float64)
        self.beside: dict[str, Tensor] = {}

    def run(self, source_BTD: Tensor, *states_BTD: Tensor) -> None:
        """All heads of weight above zero on the trunk's output, and on that for registers where there are any."""
        kind = self.model.config.head_kind
        if self.registers is not None:
            self.with_registers(self.registers, source_BTD, *states_BTD)
        elif kind in ("causal", "anticausal", "sequential"):
            self.chain(source_BTD)
        elif kind == "replicated":
            self.shared(source_BTD)
        else:
            self.one_by_one(source_BTD)

    def sums(self) -> HeadSums:
        counts_N = (self.targets_NBT != IGNORED).sum(dim=(1, 2))
        has_weight_N = torch.tensor([weight > 0 for weight in self.weights_N], device=counts_N.device)
        return HeadSums(self.nats_N, torch.zeros_like(counts_N), counts_N * has_weight_N, self.beside)

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

    def with_registers(self, registers: RegisterLoss, *sources: Tensor) -> None:
        """The only head, with a register behind every token."""
        source_BTD, states_BTD = sources
        with self.autocast():
            table = self.model.rotary(registers.positions)
            hiddens = self.model.heads[0](source_BTD, self.rotary, (states_BTD, table))
        leaves = [hidden_BTD.detach().requires_grad_() for hidden_BTD in hiddens]
        self.add_loss(0, leaves[0])
        nats = self.cross_entropy(0, leaves[1], registers.targets_BT, registers.weight)
        self.beside["registers"] = torch.stack([nats, (registers.targets_BT != IGNORED).sum().double()])
        backward(hiddens, [leaf_BTD.grad for leaf_BTD in leaves])

    def add_loss(self, i: int, leaf_BTD: Tensor) -> None:
        """Head i's loss, and with head 1's the loss of token order."""
        self.nats_N[i] = self.cross_entropy(i, leaf_BTD, self.targets_NBT[i], self.weights_N[i])
        if i == 0 and self.order is not None:
            self.add_order_loss(self.order, leaf_BTD)

    def cross_entropy(self, i: int, leaf_BTD: Tensor, targets_BT: Tensor, weight: float) -> Tensor:
        """Nats of head i's logits, float64; their gradient goes to the norm, the unembedding and `leaf_BTD.grad`."""
        flat_CD, targets_C = leaf_BTD.flatten(0, 1), targets_BT.flatten()
        size = self.chunk_tokens or flat_CD.shape[0]
        chunks = zip(torch.split(flat_CD, size), torch.split(targets_C, size), strict=True)
        norm, matrix = self.model.head_norm(i + 1), self.model.unembedding(i + 1)
        total = torch.zeros((), device=flat_CD.device, dtype=torch.float64)
        for chunk_CD, chunk_targets_C in chunks:
            with self.autocast():
                nats = self.head_nats(norm, matrix, chunk_CD, chunk_targets_C)
            backward(weight * nats)
            total += nats.detach()
        return total

    def add_order_loss(self, order: OrderLoss, leaf_BTD: Tensor) -> None:
        """Token order prediction from head 1's output."""
        (matrix,) = self.model.order_lm_heads

        def run(*inputs: Any) -> Tensor:
            with self.autocast():
                return order_nats(*inputs)

        nats = order.backward(self.model.head_norm(1), matrix, leaf_BTD, self.chunk_tokens, run)
        self.beside["order"] = torch.stack([nats, order.targets.count.double()])


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

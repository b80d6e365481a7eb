"""TOP, token order prediction (arXiv 2508.19228): an extra unembedding ranks the tokens that come next by how soon they do.

At position t a token that next occurs d places on (1 <= d <= W) has the score W - d, every other token minus infinity. The loss is
ListNet's (cross-entropy between the softmax of these scores and that of the extra logits u), so that with p_d proportional to
exp(-d) over the first occurrences,

    loss_t = logsumexp(u_t) - sum_d p_d u_t[x_{t+d}]

of which only the W scores that are not minus infinity have to be stored. The extra unembedding reads what head 1's reads; it has a
part in training only, and drafts nothing.

Shapes: B rows, T positions, S columns of tokens (S >= T + W), C positions of a chunk, D width, V vocabulary, W window.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class OrderTargets:
    """Targets by distance `(B, T, W)`: the tokens that come, and their shares; a position without any has shares of 0."""

    tokens: Tensor
    shares: Tensor

    def chunks(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield tokens and shares `(C, W)` in the order of the positions."""
        flat = self.tokens.flatten(0, 1), self.shares.flatten(0, 1)
        yield from zip(*(torch.split(part, size) for part in flat), strict=True)

    @property
    def count(self) -> Tensor:
        """Positions that have a target."""
        return (self.shares.sum(dim=-1) > 0).sum()


def order_targets(
    tokens_BS: Tensor, documents_BS: Tensor, window: int, length: int, learnt_BS: Tensor | None = None
) -> OrderTargets:
    """The targets of `length` positions, from tokens of the position's own document that are learnt; see `future_targets`."""
    own_BT = documents_BS[:, :length]
    tokens_BTW = torch.stack([tokens_BS[:, d : d + length] for d in range(1, window + 1)], dim=-1)
    there_BTW = torch.stack(
        [(documents_BS[:, d : d + length] == own_BT) & (own_BT >= 0) for d in range(1, window + 1)], dim=-1
    )
    if learnt_BS is not None:
        there_BTW &= torch.stack([learnt_BS[:, d : d + length] for d in range(1, window + 1)], dim=-1)
    for d in range(1, window):  # a token that came before, and counted, is no first occurrence
        again_BTD = (tokens_BTW[..., :d] == tokens_BTW[..., d : d + 1]) & there_BTW[..., :d]
        there_BTW[..., d] &= ~again_BTD.any(dim=-1)
    scores_W = -torch.arange(window, dtype=torch.float64, device=tokens_BS.device)
    shares_BTW = torch.softmax(scores_W.where(there_BTW, -torch.inf), dim=-1).nan_to_num(0.0)
    return OrderTargets(tokens_BTW, shares_BTW)


def order_nats(norm: nn.Module, matrix: nn.Module, hidden_CD: Tensor, tokens_CW: Tensor, shares_CW: Tensor) -> Tensor:
    """Summed loss of one chunk: the only place where the extra logits exist."""
    logits_CV = matrix(norm(hidden_CD))
    logits_CV, shares_CW = logits_CV.to(hidden_CD.dtype), shares_CW.to(hidden_CD.dtype)  # also where products are bf16
    named_C = (shares_CW * logits_CV.gather(1, tokens_CW)).sum(dim=1)
    return (shares_CW.sum(dim=1) * logits_CV.logsumexp(dim=1) - named_C).sum()


@dataclass(frozen=True, slots=True)
class OrderLoss:
    """The loss that `loss.sequential_backward` adds to head 1's: targets of a batch, and the weight of their sum."""

    targets: OrderTargets
    weight: float

    def backward(
        self, norm: nn.Module, matrix: nn.Module, hidden_BTD: Tensor, chunk_tokens: int, run: Callable[..., Tensor]
    ) -> Tensor:
        """Add the gradient to norm, matrix and `hidden_BTD.grad`; returns the summed nats, float64.

        Args:
            chunk_tokens: positions whose logits exist at once; 0: all.
            run: calls `order_nats` under the run's precision.
        """
        flat_CD = hidden_BTD.flatten(0, 1)
        size = chunk_tokens or flat_CD.shape[0]
        total = torch.zeros((), device=flat_CD.device, dtype=torch.float64)
        for chunk_CD, (tokens_CW, shares_CW) in zip(torch.split(flat_CD, size), self.targets.chunks(size), strict=True):
            nats = run(norm, matrix, chunk_CD, tokens_CW, shares_CW)
            torch.autograd.backward(self.weight * nats)
            total += nats.detach()
        return total

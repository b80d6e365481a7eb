"""Sample from a distribution over a large vocabulary at the cost of the few tokens that have weight.

On a CPU each row is tried with the few largest scores, then with more; a row whose nucleus is wider than all of them is sorted
as a whole, which costs twenty times as much and is counted in `COUNTS`. On a GPU every row is treated as a whole: a choice by
row would have to wait for the device, and cannot be recorded.

Shapes: N positions, M some of them, V vocabulary, C candidates.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mtp_eval.harness.decoding import noise

LEVELS = (64, 256, 2048)
"""How many of the largest scores are tried, as long as they are a quarter of the vocabulary at most."""
SMALLEST_VOCABULARY = 1024
"""Below, calls cost more than the candidates save."""

COUNTS: Counter[str] = Counter()
"""Positions of this process that were sampled: "few" from candidates, "whole" where these were not enough."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Token ids and log-weights `(N, C)`, and for which rows `(N,)` no other token has weight."""

    ids_NC: Tensor
    log_weights_NC: Tensor
    is_whole_N: Tensor


@dataclass(frozen=True, slots=True)
class Group:
    """Some rows `(M,)` of a distribution; `ids_MC` None means all tokens in order."""

    rows_M: Tensor
    ids_MC: Tensor | None
    log_weights_MC: Tensor


Select = Callable[[Tensor, int], Candidates]


class Distribution:
    """Distributions over V tokens at N positions, as groups of rows with equally many candidates."""

    def __init__(self, groups: Sequence[Group], n_rows: int, vocab_size: int):
        self.groups, self.n_rows, self.vocab_size = groups, n_rows, vocab_size

    @classmethod
    def of_all(cls, log_weights_NV: Tensor) -> Distribution:
        """A distribution in which every token is looked at."""
        N, V = log_weights_NV.shape
        return cls([Group(torch.arange(N, device=log_weights_NV.device), None, log_weights_NV)], N, V)

    @classmethod
    def of_few(cls, scores_NV: Tensor, select: Select, cut: Callable[[Tensor], Tensor]) -> Distribution:
        """The candidates that `select` finds; `cut` gives the log-weights of all tokens where these are too many."""
        N, V = scores_NV.shape
        levels = [n for n in LEVELS if 4 * n <= V >= SMALLEST_VOCABULARY]
        if scores_NV.device.type != "cpu" or not levels:
            return cls.of_all(cut(scores_NV))
        groups: list[Group] = []
        rows_M, scores_MV = torch.arange(N), scores_NV
        for n in levels:
            found = select(scores_MV, n)
            whole = found.is_whole_N
            if bool(whole.all()):
                groups.append(Group(rows_M, found.ids_NC, found.log_weights_NC))
                rows_M = rows_M[:0]
                break
            groups.append(Group(rows_M[whole], found.ids_NC[whole], found.log_weights_NC[whole]))
            rows_M, scores_MV = rows_M[~whole], scores_MV[~whole]
        if len(rows_M):
            groups.append(Group(rows_M, None, cut(scores_MV)))
        COUNTS.update(few=N - len(rows_M), whole=len(rows_M))
        return cls(groups, N, V)

    @classmethod
    def of_weights(cls, log_weights_NV: Tensor) -> Distribution:
        """These weights, most of which are expected to be nothing (minus infinity)."""

        def select(scores_NV: Tensor, n: int) -> Candidates:
            values_NC, ids_NC = scores_NV.topk(n, dim=-1)
            return Candidates(ids_NC, values_NC, values_NC[:, -1] == -torch.inf)

        return cls.of_few(log_weights_NV, select, lambda weights: weights)

    def draw(self, stream_N: Tensor) -> Tensor:
        """One token `(N,)` for each stream of random numbers."""
        if len(self.groups) == 1:
            return _draw(self.groups[0], stream_N)
        tokens_N = torch.empty_like(stream_N)
        for group in self.groups:
            tokens_N[group.rows_M] = _draw(group, stream_N[group.rows_M])
        return tokens_N

    def probabilities(self) -> Tensor:
        """The probabilities of all tokens `(N, V)`."""
        first = self.groups[0]
        if len(self.groups) == 1 and first.ids_MC is None:
            return first.log_weights_MC.softmax(dim=-1)
        p_NV = first.log_weights_MC.new_zeros(self.n_rows, self.vocab_size)
        for group in self.groups:
            p_MC = group.log_weights_MC.softmax(dim=-1)
            if group.ids_MC is None:
                p_NV[group.rows_M] = p_MC
            else:
                p_NV[group.rows_M[:, None], group.ids_MC] = p_MC
        return p_NV


def _draw(group: Group, stream_M: Tensor) -> Tensor:
    if group.ids_MC is None:
        return noise.race(group.log_weights_MC, stream_M)
    return noise.race_of_few(group.log_weights_MC, group.ids_MC, stream_M)

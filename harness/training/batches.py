"""Windows of tokenised text: the batches of any step, and the held-out windows that are scored.

With several corpora each row of a batch is of one of them, in the proportion of their weights: of every `PERIOD` rows the
shares are exact, and which row is of which corpus is drawn from (seed, period). Each corpus goes through its own epochs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mtp_eval.harness.errors import InputError
from mtp_eval.harness.training.corpus import Array, Split, Window

PERIOD = 1000


class Windows:
    """The training windows of one corpus, in an order that is drawn anew for every epoch.

    Raises:
        InputError: the text is shorter than one window.
    """

    def __init__(self, split: Split, *, length: int, n_future: int, seed: int, align_documents: bool = False):
        self.split, self.length, self.n_future, self.seed = split, length, n_future, seed
        self.align_documents = align_documents
        if split.n_tokens < length + 1:
            raise InputError(
                f"the training text has {split.n_tokens} tokens, fewer than one context of {length + 1}: add text or "
                "lower model.context_length"
            )
        self.per_epoch = max(1, (split.n_tokens - 1) // length - 1)
        self._epoch: tuple[int, Array, int] | None = None

    def _order(self, epoch: int) -> tuple[Array, int]:
        """The epoch's permutation of windows, and by how much they are shifted."""
        if self._epoch is None or self._epoch[0] != epoch:
            generator = np.random.Generator(np.random.PCG64([self.seed, epoch]))
            slack = self.split.n_tokens - 1 - self.per_epoch * self.length
            shift = int(generator.integers(0, max(1, min(self.length, slack + 1))))
            self._epoch = (epoch, generator.permutation(self.per_epoch), shift)
        return self._epoch[1], self._epoch[2]

    def window(self, number: int) -> Window:
        """Window `number`, counted from 0 over all epochs: `length + n_future` tokens."""
        epoch, place = divmod(number, self.per_epoch)
        order, shift = self._order(epoch)
        start = int(order[place]) * self.length + shift
        if self.align_documents:
            start = self.split.document_start(start)
        return self.split.read(start, self.length + self.n_future)


class Batches:
    """Batches of windows `(B, T + n)` for any step, in any order."""

    def __init__(self, windows: Sequence[Windows], weights: Sequence[float], *, batch_size: int, seed: int):
        self.windows, self.batch_size, self.seed = windows, batch_size, seed
        self.counts = exact_shares(weights, PERIOD)
        self._period: tuple[int, Array, Array] | None = None

    def batch(self, step: int, rows: slice = slice(None)) -> Window:
        """The batch of a step, counted from 0; `rows` picks this process's part."""
        numbers = [step * self.batch_size + row for row in range(*rows.indices(self.batch_size))]
        return Window.stack([self._row(number) for number in numbers])

    def _row(self, number: int) -> Window:
        if len(self.windows) == 1:
            return self.windows[0].window(number)
        period, place = divmod(number, PERIOD)
        corpora, ranks = self._pattern(period)
        corpus = int(corpora[place])
        return self.windows[corpus].window(period * int(self.counts[corpus]) + int(ranks[place]))

    def _pattern(self, period: int) -> tuple[Array, Array]:
        """Of each row of a period: its corpus, and how many rows of that corpus come before it in the period."""
        if self._period is None or self._period[0] != period:
            generator = np.random.Generator(np.random.PCG64([self.seed, period, PERIOD]))
            corpora = generator.permutation(np.repeat(np.arange(len(self.counts)), self.counts))
            ranks = np.zeros(PERIOD, dtype=np.int64)
            for corpus in range(len(self.counts)):
                own = corpora == corpus
                ranks[own] = np.arange(own.sum())
            self._period = (period, corpora, ranks)
        return self._period[1], self._period[2]


def exact_shares(weights: Sequence[float], total: int) -> Array:
    """Whole numbers in the proportion of the weights that add up to `total`, by largest remainders, at least 1 each."""
    ideal = np.asarray(weights, dtype=np.float64) / sum(weights) * total
    counts = np.maximum(np.floor(ideal).astype(np.int64), 1)
    for corpus in np.argsort(counts - ideal, kind="stable")[: max(total - int(counts.sum()), 0)]:
        counts[corpus] += 1
    while counts.sum() > total:  # what the smallest were given beyond their share
        counts[np.argmax(counts)] -= 1
    return counts


def validation_windows(split: Split, *, length: int, n_future: int, windows: int) -> list[Window]:
    """Evenly spaced windows of the held-out text, the same ones for every model of this length."""
    available = max(1, split.n_tokens // length)
    if split.n_tokens < 2:
        return []
    chosen = np.unique(np.linspace(0, available - 1, num=min(windows, available)).astype(int))
    return [split.read(int(window) * length, length + n_future) for window in chosen]

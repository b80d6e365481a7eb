"""Random processes whose entropies are known in closed form: Markov chains, noisy copies, permutations, choices and what follows them.

C is everything before a symbol, X the symbol, Y the one after it. For every law there is the probability of the next symbol, from
which documents are drawn, and H(X|C), H(Y|C) and H(Y|C,X), averaged over the places at which they are followed. Nats throughout.
"""

from __future__ import annotations

import math
import random
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean

Probabilities = Sequence[float]


def entropy(probabilities: Probabilities) -> float:
    """Entropy of a distribution in nats."""
    return -sum(p * math.log(p) for p in probabilities if p > 0)


@dataclass(frozen=True)
class Entropies:
    """Entropies of the next symbol X and the one after it, Y, given all symbols C before them, in nats.

    Args:
        next: H(X|C), what the loss of head 1 cannot fall below.
        second: H(Y|C), the same of head 2.
        second_given_next: H(Y|C,X), the loss of head 1 one place further on.
    """

    next: float
    second: float
    second_given_next: float

    @property
    def shared(self) -> float:
        """I(X;Y|C) = H(Y|C) - H(Y|C,X)."""
        return self.second - self.second_given_next

    @property
    def next_given_second(self) -> float:
        """H(X|C,Y) = H(X|C) - I(X;Y|C)."""
        return self.next - self.shared


class Law(ABC):
    """A law by which documents of `length` symbols are drawn; a symbol is a number below `n_symbols`."""

    n_symbols: int
    length: int

    @property
    @abstractmethod
    def pasts(self) -> range:
        """The numbers of symbols in C for which X and Y are followed; both lie within the document."""

    @abstractmethod
    def next_law(self, past: Sequence[int]) -> Probabilities:
        """The probability of every symbol after these."""

    @abstractmethod
    def closed_forms(self) -> Entropies:
        """The entropies, averaged over `pasts`."""

    def second_law(self, past: Sequence[int]) -> Probabilities:
        """The probability of every symbol one place later, whatever comes first."""
        law = [0.0] * self.n_symbols
        for symbol, p in enumerate(self.next_law(past)):
            if p:
                law = [a + p * b for a, b in zip(law, self.next_law([*past, symbol]), strict=True)]
        return law

    def draw(self, rng: random.Random) -> list[int]:
        """One document."""
        found: list[int] = []
        while len(found) < self.length:
            (symbol,) = rng.choices(range(self.n_symbols), self.next_law(found))
            found.append(symbol)
        return found


@dataclass(frozen=True)
class Markov(Law):
    """Each symbol depends on the one before it; the first is drawn from the stationary distribution.

    Args:
        rows: the probability of each symbol after each.
    """

    rows: tuple[tuple[float, ...], ...]
    length: int = 16

    @property
    def n_symbols(self) -> int:  # type: ignore[override]
        """As many as there are rows."""
        return len(self.rows)

    @property
    def pasts(self) -> range:
        """From the second symbol on."""
        return range(1, self.length - 1)

    @cached_property
    def stationary(self) -> tuple[float, ...]:
        """The distribution that a step leaves as it is, by repeated steps."""
        now = (1.0 / self.n_symbols,) * self.n_symbols
        for _ in range(1_000):
            now = tuple(sum(p * row[b] for p, row in zip(now, self.rows, strict=True)) for b in range(self.n_symbols))
        return now

    def next_law(self, past: Sequence[int]) -> Probabilities:
        """The row of the last symbol."""
        return self.rows[past[-1]] if past else self.stationary

    def closed_forms(self) -> Entropies:
        """Entropies of one step and of two, averaged over the stationary distribution."""
        twice = [
            [sum(row[k] * self.rows[k][b] for k in range(self.n_symbols)) for b in range(self.n_symbols)]
            for row in self.rows
        ]
        one, two = (
            sum(p * entropy(row) for p, row in zip(self.stationary, rows, strict=True)) for rows in (self.rows, twice)
        )
        return Entropies(one, two, one)


@dataclass(frozen=True)
class Copy(Law):
    """Each symbol repeats the one `distance` places before it, or with probability `noise` is any, all alike.

    X and Y are copied from different symbols of C, so that they share nothing: I(X;Y|C) = 0.
    """

    n_symbols: int
    distance: int = 4
    noise: float = 0.2
    length: int = 16

    @property
    def pasts(self) -> range:
        """From where there is something to copy."""
        return range(self.distance, self.length - 1)

    def next_law(self, past: Sequence[int]) -> Probabilities:
        """Even, and a peak at the symbol to be repeated."""
        if len(past) < self.distance:
            return [1.0 / self.n_symbols] * self.n_symbols
        law = [self.noise / self.n_symbols] * self.n_symbols
        law[past[-self.distance]] += 1.0 - self.noise
        return law

    def closed_forms(self) -> Entropies:
        """The entropy of one noisy copy, for X as for Y; `distance` is at least 2."""
        rest = self.noise / self.n_symbols
        once = entropy([1.0 - self.noise + rest, *[rest] * (self.n_symbols - 1)])
        return Entropies(once, once, once)


@dataclass(frozen=True)
class Permutation(Law):
    """Every symbol once, in random order: what comes next takes a possibility from what comes after it."""

    n_symbols: int

    @property
    def length(self) -> int:  # type: ignore[override]
        """As many as there are symbols."""
        return self.n_symbols

    @property
    def pasts(self) -> range:
        """All but the last symbol's."""
        return range(self.length - 1)

    def next_law(self, past: Sequence[int]) -> Probabilities:
        """All that have not been there, alike."""
        left = self.n_symbols - len(past)
        return [0.0 if symbol in past else 1.0 / left for symbol in range(self.n_symbols)]

    def closed_forms(self) -> Entropies:
        """Of k symbols that are left, X and Y are each any of k, and Y is one of k - 1 once X is known."""
        left = [self.n_symbols - n for n in self.pasts]
        one, rest = fmean(math.log(k) for k in left), fmean(math.log(k - 1) for k in left)
        return Entropies(one, one, rest)


@dataclass(frozen=True)
class Choices(Law):
    """Periods of nine symbols: a choice among `options`, four symbols that follow from it, three that never change, among them a free one.

        b   b1 b2 b3 b4   :   f   : :

    The choice decides on four symbols after it; the free symbol, among as many, on nothing (section 5.1 of arXiv 2404.19737: choice
    points and inconsequential transitions). Everything else follows from the symbol before it.
    """

    options: int = 4
    periods: int = 3
    period = 9
    free_place = 6
    tied_places = 4
    """Symbols after a choice that follow from it."""

    @property
    def length(self) -> int:  # type: ignore[override]
        """All periods."""
        return self.period * self.periods

    @property
    def n_symbols(self) -> int:  # type: ignore[override]
        """Choices, four that follow from each, free ones, and three that never change."""
        return self.options * (self.tied_places + 2) + 3

    @property
    def pasts(self) -> range:
        """Whole periods, without the first and the last."""
        return range(self.period, self.length - self.period)

    def next_law(self, past: Sequence[int]) -> Probabilities:
        """Even among the options at a choice and at the free place, else certain."""
        place, law = len(past) % self.period, [0.0] * self.n_symbols
        first_free = self.options * (self.tied_places + 1)
        if place in (0, self.free_place):
            for option in range(self.options):
                law[option + (first_free if place else 0)] = 1.0 / self.options
        elif place <= self.tied_places:
            law[self.options * place + past[-1] % self.options] = 1.0
        else:
            law[first_free + self.options + (self.tied_places + 1, 7, 8).index(place)] = 1.0
        return law

    def is_choice(self, place: int, head: int) -> bool:
        """Whether the symbol at this place of its period hangs on a choice that a prediction `head` symbols ahead has not seen."""
        return place <= min(head - 1, self.tied_places)

    def is_free(self, place: int) -> bool:
        """Whether the symbol at this place is the free one, which no head can foresee."""
        return place == self.free_place

    def closed_forms(self) -> Entropies:
        """Of nine places head 1 cannot foresee two, head 2 three."""
        each = math.log(self.options) / self.period
        return Entropies(2 * each, 3 * each, 2 * each)


LAWS: Mapping[str, Law] = {
    "markov": Markov(
        (
            (0.70, 0.20, 0.10, 0.00),
            (0.05, 0.10, 0.25, 0.60),
            (0.15, 0.50, 0.05, 0.30),
            (0.40, 0.05, 0.45, 0.10),
        )
    ),
    "copy": Copy(8),
    "permutation": Permutation(6),
    "choices": Choices(),
}
"""Those of the task `process`, by protocol."""

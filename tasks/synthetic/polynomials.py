"""Arithmetic in F_p[X]/(X^d), and random expressions over it.

A polynomial is a tuple of its d coefficients modulo p, the constant first. Composition f(g) is taken on the
representatives of degree below d and then cut at X^d: where g has a constant term this is not a homomorphism of the
quotient ring, but it is the operation that arXiv 2404.19737 describes, and it is well defined on representatives.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from mtp_eval.tasks.errors import TaskOptionError

Polynomial = tuple[int, ...]
OPERATIONS = ("negation", "addition", "multiplication", "composition")
SYMBOLS = {"negation": "-", "addition": "+", "multiplication": "*", "composition": "@"}


@dataclass(frozen=True, slots=True)
class Ring:
    """F_p[X]/(X^d)."""

    p: int
    d: int

    def __post_init__(self) -> None:
        if not 2 <= self.p <= 9 or any(self.p % q == 0 for q in range(2, self.p)):
            raise TaskOptionError(f"a ring needs a prime p of one digit (2, 3, 5 or 7), got {self.p}")
        if self.d < 1:
            raise TaskOptionError(f"a ring needs a degree bound d of at least 1, got {self.d}")

    def negate(self, f: Polynomial) -> Polynomial:
        """Negate f."""
        return tuple(-a % self.p for a in f)

    def add(self, f: Polynomial, g: Polynomial) -> Polynomial:
        """Add f and g."""
        return tuple((a + b) % self.p for a, b in zip(f, g, strict=True))

    def multiply(self, f: Polynomial, g: Polynomial) -> Polynomial:
        """Multiply f and g modulo X^d."""
        return tuple(sum(f[i] * g[k - i] for i in range(k + 1)) % self.p for k in range(self.d))

    def compose(self, f: Polynomial, g: Polynomial) -> Polynomial:
        """Compose f(g(X)) modulo X^d, by Horner's rule."""
        result = (0,) * self.d
        for coefficient in reversed(f):
            result = self.multiply(result, g)
            result = ((result[0] + coefficient) % self.p, *result[1:])
        return result

    def draw(self, rng: random.Random) -> Polynomial:
        """Draw a polynomial, uniform over the ring."""
        return tuple(rng.randrange(self.p) for _ in range(self.d))


@dataclass(frozen=True, slots=True)
class Expression:
    """A tree: a leaf has a value and no operation."""

    operation: str = ""
    operands: tuple[Expression, ...] = ()
    value: Polynomial = ()

    def evaluate(self, ring: Ring) -> Polynomial:
        """The value of the expression."""
        if not self.operation:
            return self.value
        values = [operand.evaluate(ring) for operand in self.operands]
        if self.operation == "negation":
            return ring.negate(values[0])
        act = {"addition": ring.add, "multiplication": ring.multiply, "composition": ring.compose}[self.operation]
        return act(values[0], values[1])

    def text(self) -> str:
        """Fully bracketed: (-F), (F+G), (F*G), (F@G) for f(g); a leaf is its digits, the constant first."""
        if not self.operation:
            return digits(self.value)
        symbol, inner = SYMBOLS[self.operation], [operand.text() for operand in self.operands]
        return f"({symbol}{inner[0]})" if len(inner) == 1 else f"({inner[0]}{symbol}{inner[1]})"

    def meaning(self) -> str:
        """The text with the operands of sums and products in a fixed order: expressions that are equal by commutation share it."""
        if not self.operation:
            return digits(self.value)
        symbol, inner = SYMBOLS[self.operation], [operand.meaning() for operand in self.operands]
        if len(inner) == 1:
            return f"({symbol}{inner[0]})"
        if self.operation in ("addition", "multiplication"):
            inner.sort()
        return f"({inner[0]}{symbol}{inner[1]})"


def digits(f: Polynomial) -> str:
    """Coefficients as one digit each, the constant first."""
    return "".join(map(str, f))


def draw_expression(rng: random.Random, ring: Ring, m: int, operations: Sequence[str] = OPERATIONS) -> Expression:
    """Draw m operations, each uniform over `operations`; a binary one splits the rest uniformly between its operands."""
    if m == 0:
        return Expression(value=ring.draw(rng))
    operation = rng.choice(list(operations))
    if operation == "negation":
        return Expression(operation, (draw_expression(rng, ring, m - 1, operations),))
    left = rng.randint(0, m - 1)
    first = draw_expression(rng, ring, left, operations)
    return Expression(operation, (first, draw_expression(rng, ring, m - 1 - left, operations)))

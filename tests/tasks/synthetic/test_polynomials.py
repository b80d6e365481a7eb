"""Polynomial arithmetic against brute force on integers, and against the ring's laws."""

from __future__ import annotations

import itertools
import random
import re
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from mtp_eval.tasks.registry import load_task
from mtp_eval.tasks.synthetic.polynomials import Ring, draw_expression

P, D = 7, 5


class BruteForce:
    """Reads an expression's text and computes with unreduced integer polynomials, cutting only at the very end.

    Composition is the exception: it acts on representatives, so its operands are reduced before.
    """

    def __init__(self, p: int, d: int):
        self.p, self.d = p, d

    def reduce(self, f: list[int]) -> list[int]:
        return [a % self.p for a in (f + [0] * self.d)[: self.d]]

    def product(self, f: list[int], g: list[int]) -> list[int]:
        out = [0] * (len(f) + len(g) - 1)
        for (i, a), (j, b) in itertools.product(enumerate(f), enumerate(g)):
            out[i + j] += a * b
        return out

    def plus(self, f: list[int], g: list[int]) -> list[int]:
        return [a + b for a, b in itertools.zip_longest(f, g, fillvalue=0)]

    def substitute(self, f: list[int], g: list[int]) -> list[int]:
        """Sum of a_i g^i with the powers written out in full."""
        total, power = [0], [1]
        for a in self.reduce(f):
            total = self.plus(total, [a * b for b in power])
            power = self.product(power, self.reduce(g))
        return total

    def value(self, text: str) -> str:
        tokens = re.findall(r"\d+|[()+*@-]", text)
        value, rest = self.read(tokens)
        assert not rest
        return "".join(map(str, self.reduce(value)))

    def read(self, tokens: list[str]) -> tuple[list[int], list[str]]:
        head, *rest = tokens
        if head != "(":
            return [int(c) for c in head], rest
        if rest[0] == "-":
            inner, rest = self.read(rest[1:])
            return [-a for a in inner], rest[1:]
        left, rest = self.read(rest)
        symbol, *rest = rest
        right, rest = self.read(rest)
        act = {"+": self.plus, "*": self.product, "@": self.substitute}[symbol]
        return act(left, right), rest[1:]


@pytest.mark.slow
@pytest.mark.parametrize(("p", "d", "count"), [(7, 5, 10_000), (3, 2, 2000), (2, 3, 2000), (5, 4, 2000)])
def test_brute_force_agrees_on_random_expressions(p, d, count):
    """10,000 expressions of the paper's ring, and more of small ones; m up to 6 keeps the unreduced integers small."""
    ring, oracle, rng = Ring(p, d), BruteForce(p, d), random.Random(1)
    for _ in range(count):
        expression = draw_expression(rng, ring, rng.randint(1, 6))
        assert "".join(map(str, expression.evaluate(ring))) == oracle.value(expression.text())


elements = st.tuples(*[st.integers(0, P - 1)] * D)
RING = Ring(P, D)
ONE, ZERO, X = (1, 0, 0, 0, 0), (0,) * 5, (0, 1, 0, 0, 0)


@given(elements, elements, elements)
@settings(max_examples=200, deadline=None)
def test_the_rings_laws_hold(f, g, h):
    add, mul = RING.add, RING.multiply
    assert add(f, g) == add(g, f)
    assert mul(f, g) == mul(g, f)
    assert add(add(f, g), h) == add(f, add(g, h))
    assert mul(mul(f, g), h) == mul(f, mul(g, h))
    assert mul(f, add(g, h)) == add(mul(f, g), mul(f, h))
    assert add(f, RING.negate(f)) == ZERO
    assert mul(f, ONE) == f
    assert RING.compose(f, X) == f
    assert RING.compose(X, f) == f
    assert RING.compose(add(f, g), h) == add(RING.compose(f, h), RING.compose(g, h))


@given(elements, elements, elements)
@settings(max_examples=200, deadline=None)
def test_composition_respects_products_where_the_constant_term_is_zero(f, g, h):
    h = (0, *h[1:])
    product = RING.multiply(f, g)
    assert RING.compose(product, h) == RING.multiply(RING.compose(f, h), RING.compose(g, h))


def test_a_ring_that_is_no_ring_is_refused():
    with pytest.raises(ValueError, match="prime"):
        Ring(6, 2)


def test_poly_problems_are_right_by_brute_force_and_disjoint_from_training():
    task: Any = load_task("poly", per_m=100)
    oracle = BruteForce(P, D)
    for problem in task.problems():
        if int(problem.tags["m"]) <= 6:
            assert task.answer(problem, problem.reference) == oracle.value(problem.prompt.rstrip("="))
    questions = {problem.prompt for problem in task.problems()}
    documents = list(itertools.islice(task.training_documents(0), 5000))
    assert not questions & {document.partition("=")[0] + "=" for document in documents}
    operations = [sum(document.count(symbol) for symbol in "+*@-") for document in documents]
    assert set(operations) == {1, 2, 3, 4, 5}


@pytest.mark.slow
def test_a_small_ring_leaves_questions_to_train_on():
    task = load_task("poly@f3x2", per_m=2000)
    of_one = sum(problem.tags["m"] == "01" for problem in task.problems())
    assert of_one == (9 + 3 * 81) // 5
    assert any(sum(d.count(s) for s in "+*@-") == 1 for d in itertools.islice(task.training_documents(0), 200))


def test_pause_tokens_stand_before_the_equality_sign():
    with_pause = load_task("poly@f7x5-pause10", per_m=3).problems()
    without = load_task("poly", per_m=3).problems()
    for paused, plain in zip(with_pause, without, strict=True):
        assert paused.prompt == plain.prompt.replace("=", "..........=")
        assert paused.reference == plain.reference


@pytest.mark.parametrize(
    ("completion", "passed"), [("{}", True), ("{}\n", True), ("{} ", True), ("x{}", False), ("{}0", False), ("", False)]
)
def test_answers_are_exactly_the_coefficients(completion, passed):
    task = load_task("poly", per_m=1)
    problem = task.problems()[0]
    assert task.judge(problem, completion.format(problem.reference.strip())).passed is passed

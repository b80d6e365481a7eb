"""Closed forms of the laws against sums over every document there is, and the drawn text against the laws."""

from __future__ import annotations

import itertools
import math
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from statistics import fmean

import pytest

from mtp_eval.tasks.registry import load_task
from mtp_eval.tasks.synthetic.laws import LAWS, Choices, Copy, Law, Markov, Permutation
from mtp_eval.tasks.synthetic.process import letters

Document = tuple[int, ...]
SMALL: dict[str, Law] = {
    "markov": Markov(((0.7, 0.2, 0.1), (0.0, 0.4, 0.6), (0.5, 0.25, 0.25)), length=7),
    "copy": Copy(3, distance=2, noise=0.3, length=7),
    "copy of the last but two": Copy(2, distance=3, noise=0.9, length=8),
    "permutation": Permutation(6),
    "choices": Choices(options=2, periods=3),
}


def documents(law: Law) -> Iterator[tuple[Document, float]]:
    """Every possible document with its probability, by the chain rule."""

    def go_on(past: Document, probability: float) -> Iterator[tuple[Document, float]]:
        if len(past) == law.length:
            yield past, probability
            return
        for symbol, p in enumerate(law.next_law(past)):
            if p:
                yield from go_on((*past, symbol), probability * p)

    return go_on((), 1.0)


def conditional_entropy(found: Sequence[tuple[Document, float]], known: Sequence[int], asked: int) -> float:
    """H(symbol at `asked` | symbols at `known`), from the joint distribution of whole documents."""
    joint, marginal = defaultdict[Document, float](float), defaultdict[Document, float](float)
    for document, p in found:
        past = tuple(document[k] for k in known)
        joint[*past, document[asked]] += p
        marginal[past] += p
    return -sum(p * math.log(p / marginal[key[:-1]]) for key, p in joint.items())


def two_steps(law: Law, past: Document) -> list[float]:
    """Of the second symbol from here, by every pair."""
    pairs = itertools.product(range(law.n_symbols), repeat=2)
    found = [0.0] * law.n_symbols
    for first, second in pairs:
        if p := law.next_law(past)[first]:
            found[second] += p * law.next_law((*past, first))[second]
    return found


@pytest.mark.parametrize("name", SMALL)
def test_closed_forms_are_sums_over_all_documents(name: str) -> None:
    law = SMALL[name]
    found = list(documents(law))
    assert sum(p for _, p in found) == pytest.approx(1.0)
    closed = law.closed_forms()
    for form, ahead, seen in ((closed.next, 0, 0), (closed.second, 1, 0), (closed.second_given_next, 1, 1)):
        brute = fmean(conditional_entropy(found, range(t + seen), t + ahead) for t in law.pasts)
        assert form == pytest.approx(brute, abs=1e-9)
    for t in law.pasts:
        assert law.second_law(found[0][0][:t]) == pytest.approx(two_steps(law, found[0][0][:t]))
    given_second = fmean(conditional_entropy(found, (*range(t), t + 1), t) for t in law.pasts)
    assert closed.next_given_second == pytest.approx(given_second, abs=1e-9)


def test_choices_hang_on_what_the_class_says() -> None:
    """A target is certain exactly where it is neither a free symbol nor hangs on a choice that was not seen; they are n(n+1)/2."""
    law = Choices(options=2, periods=3)
    found = list(documents(law))
    for head in range(1, 5):
        for target in range(law.period, law.length):
            hard = law.is_choice(target % law.period, head) or law.is_free(target % law.period)
            entropy = conditional_entropy(found, range(target - head + 1), target)
            assert entropy == pytest.approx(math.log(2) if hard else 0.0, abs=1e-9)
    for n in range(1, 6):
        counted = sum(law.is_choice(place, head) for place in range(law.period) for head in range(1, n + 1))
        assert counted == n * (n + 1) // 2


@pytest.mark.parametrize("name", LAWS)
def test_text_is_drawn_by_its_law(name: str) -> None:
    """Of 20,000 symbols each follows its past as often as the law says: below 1e-6 by chance, by Pearson's statistic."""
    from scipy.stats import chi2

    law, rng = LAWS[name], random.Random(7)
    expected, seen = defaultdict[tuple[int, ...], float](float), defaultdict[tuple[int, ...], float](float)
    for _ in range(20_000 // law.length):
        document = law.draw(rng)
        assert len(document) == law.length
        for t in range(law.length):
            key = (t % 3, document[t - 1] if t else -1)
            for symbol, p in enumerate(law.next_law(document[:t])):
                expected[*key, symbol] += p
            seen[*key, document[t]] += 1
    enough = [key for key in expected if expected[key] >= 10]
    statistic = sum((seen[key] - expected[key]) ** 2 / expected[key] for key in enough)
    assert all(expected[key] > 0 for key in seen)
    assert statistic < chi2.ppf(1 - 1e-6, len(enough))


@pytest.mark.parametrize("name", LAWS)
def test_the_reference_is_the_one_likeliest_symbol(name: str) -> None:
    task = load_task(f"process@{name}")
    for problem in task.problems():
        past = ["ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz".index(letter) for letter in problem.prompt]
        probabilities = dict(enumerate(LAWS[name].next_law(past)))
        best = max(probabilities, key=probabilities.__getitem__)
        assert problem.reference == letters([best])
        assert sum(p == probabilities[best] for p in probabilities.values()) == 1
        assert task.judge(problem, problem.reference).passed
        assert not task.judge(problem, letters([(best + 1) % len(probabilities)])).passed


def test_laws_cover_what_they_name() -> None:
    assert LAWS["copy"].closed_forms().shared == 0.0
    assert all(LAWS[name].closed_forms().shared > 0.1 for name in LAWS if name != "copy")
    assert all(law.n_symbols <= 52 for law in LAWS.values()), "a letter each"

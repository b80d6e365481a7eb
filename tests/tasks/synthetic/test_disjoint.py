"""Training text holds no test problem, in whatever wording: 100,000 documents a task, read by this file's own parsers."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Callable, Hashable
from typing import Any

import pytest

from mtp_eval.tasks.registry import load_task

N_DOCUMENTS = 100_000


def edges_and_question(text: str) -> Hashable:
    edges, _, question = text.partition("|")
    return frozenset(edges.split()), question.split("=")[0]


def chain_meaning(text: str) -> Hashable:
    *edges, goal = text.split("\n")[0].split()
    return frozenset(edges), goal


def route_meaning(text: str) -> Hashable:
    question, _, goal = text.partition("to(")
    return frozenset(question.split()), goal.split(")")[0]


def countdown_meaning(text: str) -> Hashable:
    numbers, _, target = text.split("\n")[0].partition("=")
    return tuple(sorted(map(int, numbers.split()))), int(target)


def by_commutation(text: str) -> Hashable:
    """The expression as a tree in which sums and products have no order."""
    question = text.partition("=")[0].rstrip(".")
    tree, rest = expression(question)
    assert not rest
    return tree


def expression(text: str) -> tuple[Any, str]:
    if text[0] != "(":
        found = re.match(r"\d+", text)
        assert found is not None
        return found.group(), text[found.end() :]
    if text[1] == "-":
        inner, rest = expression(text[2:])
        return ("-", inner), rest[1:]
    left, rest = expression(text[1:])
    right, behind = expression(rest[1:])
    operands = (left, right) if rest[0] == "@" else frozenset([left, right]) if left != right else (left,)
    return (rest[0], operands), behind[1:]


INPUTS: dict[str, list[Any]] = {
    "listops": [[], [7], [5, -3, 12, 8, 8, 0, 21, -19], list(range(-6, 6)), [40, 2, 2, 39, -1, 60, 17, 16, 15, 3], [1, -2, 9, 9, 30, 4]],
    "stringops": ["", "a", "abcdABCD", "hHgGaBcDeF", "ccbbAAddhh", "fedcbaDCBA", "Da", "BcDaAbH", "Cg"],
}  # fmt: skip


def returned(text: str, values: list[Any]) -> tuple[str, ...]:
    """What a document's program returns, by running it."""
    namespace: dict[str, Any] = {}
    exec(text, namespace)
    return tuple(repr(namespace["solve"](value)) for value in values)


def random_inputs(name: str) -> list[Any]:
    rng = random.Random(7)
    if name == "listops":
        return [[rng.randint(-30, 70) for _ in range(rng.randint(0, 14))] for _ in range(300)]
    return ["".join(rng.choice("abcdefghABCDEFGH") for _ in range(rng.randint(0, 16))) for _ in range(300)]


MEANINGS: dict[str, tuple[Callable[[str], Hashable], int]] = {
    "stargraph@d2l3": (edges_and_question, N_DOCUMENTS),
    "stargraph@d2l4": (edges_and_question, N_DOCUMENTS),
    "chain@n8h2": (chain_meaning, N_DOCUMENTS),
    "route": (route_meaning, N_DOCUMENTS),
    "countdown@n3": (countdown_meaning, N_DOCUMENTS),
    "reach": (lambda text: text.partition(">")[0], N_DOCUMENTS),
    "poly@f2x3-m3": (by_commutation, N_DOCUMENTS),
    "induction@meetings-2": (lambda text: text.strip(), 20_000),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", list(MEANINGS))
def test_no_training_document_means_what_a_test_problem_means(name: str):
    meaning, n_documents = MEANINGS[name]
    task = load_task(name)
    if name.startswith("induction"):  # a problem is a beginning of a story: the longest of each story stands for it
        tests = {problem.tags["story"]: problem.prompt for problem in task.problems()}
        documents = list(itertools.islice(task.training_documents(0), n_documents))
        assert not any(document.startswith(prompt) for prompt in tests.values() for document in documents)
        return
    tests_of = {meaning(problem.prompt + problem.reference) for problem in task.problems()}
    assert len(tests_of) > 100
    texts = set(itertools.islice(task.training_documents(0), n_documents))
    met = {meaning(document) for document in texts}
    assert not met & tests_of, len(met & tests_of)
    assert len(texts) > 1000, "training is more than a few texts"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["listops", "stringops"])
def test_no_training_program_does_what_a_test_problems_does(name: str):
    """Programs that agree on a few inputs are compared on 300 random ones."""
    task = load_task(name)
    known: dict[tuple[str, ...], list[str]] = {}
    for problem in task.problems():
        text = problem.prompt + problem.reference
        known.setdefault(returned(text, INPUTS[name]), []).append(text)
    others = random_inputs(name)
    same = []
    for document in set(itertools.islice(task.training_documents(0), N_DOCUMENTS)):
        for text in known.get(returned(document, INPUTS[name]), ()):
            if returned(document, others) == returned(text, others):
                same.append((document, text))
    assert not same, (len(same), same[:3])

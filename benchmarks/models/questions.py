"""Questions in ARC's form, made from tables of facts: the same ones for the same seed, with choices of different lengths."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

KINDS: Mapping[str, tuple[str, ...]] = {
    "an animal": ("dog", "horse", "elephant", "cat", "golden eagle", "polar bear", "ant"),
    "a colour": ("red", "blue", "dark green", "yellow", "black", "pale violet"),
    "a fruit": ("apple", "banana", "sour cherry", "orange", "grape", "passion fruit"),
    "a tool": ("hammer", "screwdriver", "saw", "pair of pliers", "drill", "adjustable spanner"),
    "a metal": ("iron", "copper", "silver", "lead", "stainless steel", "aluminium"),
    "a planet": ("Mars", "Jupiter", "Venus", "Saturn", "Neptune"),
    "a musical instrument": ("piano", "violin", "trumpet", "bass drum", "electric guitar", "flute"),
    "a piece of clothing": ("shirt", "sock", "woollen hat", "glove", "pair of trousers"),
}
CAPITALS: Mapping[str, str] = {
    "France": "Paris", "Italy": "Rome", "Spain": "Madrid", "Japan": "Tokyo", "Egypt": "Cairo", "Russia": "Moscow", "Greece": "Athens",
    "China": "Beijing", "Germany": "Berlin", "Argentina": "Buenos Aires", "India": "New Delhi", "Canada": "Ottawa", "Norway": "Oslo",
    "Mexico": "Mexico City", "Poland": "Warsaw", "Portugal": "Lisbon",
}  # fmt: skip
OPPOSITES: Mapping[str, str] = {
    "hot": "cold", "big": "small", "fast": "slow", "light": "dark", "old": "young", "open": "closed", "full": "empty", "wet": "dry",
    "early": "late", "hard": "soft", "rich": "poor", "strong": "weak", "happy": "sad", "near": "far away", "loud": "very quiet",
}  # fmt: skip
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
LANGUAGE: Mapping[str, str] = {
    "defines a function": "def", "raises an exception": "raise", "begins a loop over a list": "for", "imports a module": "import",
    "defines a class": "class", "leaves a function with a value": "return", "ends a loop early": "break",
    "handles an exception": "except", "goes on with the next turn of a loop": "continue", "makes a function without a name": "lambda",
}  # fmt: skip
Question = tuple[str, str, list[str]]
"""The question, its answer, and what could be mistaken for it."""


def kind(draw: random.Random) -> Question:
    name = draw.choice(list(KINDS))
    others = [item for other, items in KINDS.items() if other != name for item in items]
    return f"Which of these is {name}?", draw.choice(KINDS[name]), others


def capital(draw: random.Random) -> Question:
    country = draw.choice(list(CAPITALS))
    return f"What is the capital of {country}?", CAPITALS[country], list(CAPITALS.values())


def opposite(draw: random.Random) -> Question:
    word = draw.choice(list(OPPOSITES))
    return f"What is the opposite of {word}?", OPPOSITES[word], [*OPPOSITES.values()]


def total(draw: random.Random) -> Question:
    a, b = draw.randint(2, 60), draw.randint(2, 60)
    near = [a + b + d for d in (-11, -10, -2, -1, 1, 2, 9, 10)]
    return f"What is {a} plus {b}?", str(a + b), [str(n) for n in near if n > 0]


def day(draw: random.Random) -> Question:
    at = draw.randrange(7)
    return f"Which day comes after {DAYS[at]}?", DAYS[(at + 1) % 7], list(DAYS)


def keyword(draw: random.Random) -> Question:
    purpose = draw.choice(list(LANGUAGE))
    return f"Which keyword of Python {purpose}?", LANGUAGE[purpose], list(LANGUAGE.values())


MAKERS: tuple[Callable[[random.Random], Question], ...] = (kind, capital, opposite, total, day, keyword)


def arc_rows(n: int, seed: int = 0) -> list[dict[str, Any]]:
    """`n` different questions as rows of allenai/ai2_arc, four choices each."""
    draw = random.Random(seed)
    rows: list[dict[str, Any]] = []
    seen: set[tuple[str, ...]] = set()
    while len(rows) < n:
        question, answer, others = MAKERS[len(rows) % len(MAKERS)](draw)
        wrong = draw.sample(sorted(set(others) - {answer}), 3)
        key = (question, answer, *sorted(wrong))
        if key in seen:
            continue
        seen.add(key)
        texts = draw.sample([answer, *wrong], 4)
        rows.append(
            {
                "id": f"made_{len(rows)}",
                "question": question,
                "choices": {"text": texts, "label": list("ABCD")},
                "answerKey": "ABCD"[texts.index(answer)],
            }
        )
    return rows

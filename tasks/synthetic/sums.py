"""sums: word problems of one to three steps in the form of GSM8K's solutions, small enough for models of a laptop.

    Q: Ben has 14 apples. Ben finds 8 apples. Ben gives away 5 apples. How many apples are left?
    A: 14 + 8 = 22. 22 - 5 = 17. The answer is 17.

The last number counts, as in `gsm8k`. Sentences come from this project's own words. No test problem's text occurs in training.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from mtp_eval.tasks.base import choose_protocol
from mtp_eval.tasks.gsm8k import NumberTask
from mtp_eval.tasks.problem import Problem

TEST_SEED = 20240419
PROTOCOLS = {"0shot-cot": 3}
"""The most steps of a problem."""
NAMES = ("Ann", "Ben", "Eva", "Max", "Sue", "Tom")
THINGS = ("apples", "books", "coins", "eggs", "keys", "pens")
MORE = ("finds", "buys", "gets")
LESS = ("gives away", "loses", "sells")
LARGEST = 50


def draw(rng: random.Random, most_steps: int) -> tuple[str, str, int]:
    """A question, its worked answer, and its number of steps."""
    name, things, n_steps = rng.choice(NAMES), rng.choice(THINGS), rng.randint(1, most_steps)
    value = rng.randint(2, LARGEST)
    asked, worked = [f"{name} has {value} {things}."], []
    for _ in range(n_steps):
        goes = value > 3 and rng.random() < 0.5
        change = rng.randint(2, min(value - 2, LARGEST) if goes else LARGEST)
        after = value - change if goes else value + change
        asked.append(f"{name} {rng.choice(LESS if goes else MORE)} {change} {things}.")
        worked.append(f"{value} {'-' if goes else '+'} {change} = {after}.")
        value = after
    question = f"Q: {' '.join(asked)} How many {things} are left?\nA:"
    return question, f" {' '.join(worked)} The answer is {value}.\n", n_steps


class SumsTask(NumberTask):
    """Word problems with their training generator.

    Args:
        name: as registered.
        protocol: a key of `PROTOCOLS`.
        seed: of the test problems.
        size: how many test problems.
    """

    default_rule = "stops"
    report_by = None

    def __init__(
        self,
        name: str,
        protocol: str | None = None,
        *,
        seed: int = TEST_SEED,
        size: int = 300,
        data_dir: Path | None = None,
        extract: str | None = None,
    ):
        chosen = choose_protocol(name, protocol, tuple(PROTOCOLS))
        self._most_steps = PROTOCOLS[chosen]
        rng, drawn = random.Random(f"{name} test {seed} {chosen}"), dict[str, tuple[str, int]]()
        while len(drawn) < size:
            question, answer, n_steps = draw(rng, self._most_steps)
            drawn.setdefault(question, (answer, n_steps))
        self._asked = frozenset(drawn)
        problems = [
            Problem(f"{name}/{number}", question, answer, stop=("\n",), max_new_tokens=64, tags={"m": f"{n_steps:02d}"})
            for number, (question, (answer, n_steps)) in enumerate(drawn.items())
        ]
        super().__init__(name, chosen, problems, extract=extract)

    def training_pairs(self, seed: int) -> Iterator[tuple[str, str]]:
        """An endless stream of problems that are not tested."""
        rng = random.Random(f"{self.name} training {seed} {self.protocol}")
        while True:
            question, answer, _ = draw(rng, self._most_steps)
            if question not in self._asked:
                yield question, answer

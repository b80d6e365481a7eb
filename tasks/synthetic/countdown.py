"""countdown: reach a target with given numbers, one operation a step (a planning task on which arXiv 2604.11912 compares objectives).

    3 25 7 2=68     answer: 25*3=75,75-7=68

Each step takes two numbers that are there, once each, and leaves its result; the last result is the target. Numbers may be left
over. Division must come out even, results are not negative. Every right answer counts, not only the one that the problem was made from.
No target of a test problem can be had in fewer steps than its protocol says; in training text some can. Adding up all numbers, whatever the
target, is right for a fifth of n3's problems.
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from mtp_eval.tasks.base import choose_protocol
from mtp_eval.tasks.errors import TaskOptionError
from mtp_eval.tasks.problem import Judgement, Problem, Task

TEST_SEED = 20240419
PROTOCOLS = {"n3": (3, 2, 20), "n4": (4, 3, 40), "n4s2": (4, 2, 20)}
"""How many numbers are given, in how many steps and no fewer the target can be reached, and the largest number given."""
LARGEST = 999
"""No result is larger, so that digits stay few."""
STEP = re.compile(r"(\d{1,6})([+*/-])(\d{1,6})=(\d{1,6})")
Meaning = tuple[tuple[int, ...], int]
"""The numbers in order of size, and the target."""


def result_of(a: int, operation: str, b: int) -> int | None:
    """The result of an operation; None where it is not allowed."""
    if operation == "/":
        return a // b if b and a % b == 0 else None
    value = {"+": a + b, "-": a - b, "*": a * b}[operation]
    return value if 0 <= value <= LARGEST else None


def one_step(there: Sequence[int]) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Yield every result of one step, and the numbers that are there after it, in order of size."""
    for i, j in itertools.permutations(range(len(there)), 2):
        for operation in "+-*/":
            value = result_of(there[i], operation, there[j])
            if value is not None:
                rest = (number for place, number in enumerate(there) if place not in (i, j))
                yield value, tuple(sorted((*rest, value)))


def is_nearer(numbers: Sequence[int], target: int, steps: int) -> bool:
    """Whether fewer steps than these reach the target."""
    states: set[tuple[int, ...]] = {tuple(sorted(numbers))}
    for _ in range(steps - 1):
        reached = {found for there in states for found in one_step(there)}
        if any(value == target for value, _ in reached):
            return True
        states = {there for _, there in reached}
    return False


class CountdownTask(Task):
    """Countdown with its training generator.

    Args:
        name: as registered.
        protocol: a key of `PROTOCOLS`.
        seed: of the test problems.
        size: how many test problems.
    """

    votes = True

    def __init__(
        self,
        name: str,
        protocol: str | None = None,
        *,
        seed: int = TEST_SEED,
        size: int = 1000,
        data_dir: Path | None = None,
        extract: str | None = None,
    ):
        chosen = choose_protocol(name, protocol, tuple(PROTOCOLS))
        self._n, self._steps, self._largest = PROTOCOLS[chosen]
        rng = random.Random(f"{name} test {seed} {chosen}")
        drawn: dict[Meaning, tuple[str, str]] = {}
        for _ in range(50 * size):
            meaning, question, answer = self._draw(rng)
            if not is_nearer(*meaning, self._steps):
                drawn.setdefault(meaning, (question, answer))
            if len(drawn) == size:
                break
        else:
            raise TaskOptionError(f"{name}@{chosen} has fewer than {size} different problems; ask for fewer")
        self._meanings = frozenset(drawn)
        problems = [
            Problem(f"{name}/{number}", question, answer, stop=("\n",), max_new_tokens=len(answer) + 16)
            for number, (question, answer) in enumerate(drawn.values())
        ]
        super().__init__(name, chosen, problems, extract=extract)

    def _draw(self, rng: random.Random) -> tuple[Meaning, str, str]:
        """Numbers, and steps that were possible; the last result is the target, unless it is one of the numbers."""
        while True:
            given = [rng.randint(1, self._largest) for _ in range(self._n)]
            there, steps = list(given), list[str]()
            while len(steps) < self._steps:
                a, b = rng.sample(there, 2)
                operation = rng.choice("+-*/")
                value = result_of(a, operation, b)
                if value is None:
                    continue
                there.remove(a)
                there.remove(b)
                if steps and steps[-1].rpartition("=")[2] not in (str(a), str(b)):
                    break  # a step beside the others: not needed for the target
                there.append(value)
                steps.append(f"{a}{operation}{b}={value}")
            target = int(steps[-1].rpartition("=")[2]) if steps else 0
            if len(steps) == self._steps and target not in given:
                meaning = tuple(sorted(given)), target
                return meaning, f"{' '.join(map(str, given))}={target}\n", ",".join(steps) + "\n"

    def judge_program(self, problem: Problem, source: str) -> Judgement:
        """Walk the steps of the first line: every one possible and right, the last result the target."""
        numbers, _, target = problem.prompt.strip().partition("=")
        there, line = [int(number) for number in numbers.split()], source.strip().partition("\n")[0].replace(" ", "")
        value = None
        for step in line.split(",") if line else ():
            found = STEP.fullmatch(step)
            if found is None:
                return Judgement(False, line, f"{step[:30]!r} is no step such as 3*4=12")
            a, operation, b, value = int(found[1]), found[2], int(found[3]), int(found[4])
            for number in (a, b):
                if number not in there:
                    return Judgement(False, line, f"{step}: {number} is not there")
                there.remove(number)
            if result_of(a, operation, b) != value:
                return Judgement(False, line, f"{step} is wrong or not allowed")
            there.append(value)
        right = value is not None and value == int(target)
        return Judgement(right, line, "" if right else f"ends at {value}, the target is {target}")

    def training_pairs(self, seed: int) -> Iterator[tuple[str, str]]:
        """Question and answer, never with the numbers and target of a test problem, in whatever order."""
        rng = random.Random(f"{self.name} training {seed}")
        while True:
            meaning, question, answer = self._draw(rng)
            if meaning not in self._meanings:
                yield question, answer

"""poly: polynomial arithmetic, the algorithmic-reasoning task of arXiv 2404.19737 (section 4.2).

One line a problem; the answer is its coefficients, constant first, one digit each, and a line break:

    (30142+(-51000))=60142

The paper gives no format beyond "question, equality sign, coefficients". This one is fully bracketed infix: (-F),
(F+G), (F*G), and (F@G) for the composition f(g). Pause tokens, where a protocol has them, are that many dots before the
equality sign. Training draws m, the number of operations, uniformly from 1 to 5; the test has m = 1 to 10 (where a
protocol's name does not say otherwise).
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mtp_eval.tasks.base import choose_protocol
from mtp_eval.tasks.errors import TaskOptionError
from mtp_eval.tasks.exact_match import ExactMatchTask
from mtp_eval.tasks.problem import Problem
from mtp_eval.tasks.synthetic.polynomials import OPERATIONS, Expression, Ring, digits, draw_expression

TEST_SEED = 20240419


@dataclass(frozen=True, slots=True)
class Setting:
    """The settings of a protocol: the ring F_p[X]/(X^d), pause tokens, and how many operations training and test have."""

    p: int
    d: int
    pause: int = 0
    operations: tuple[str, ...] = OPERATIONS
    train_m: tuple[int, int] = (1, 5)
    test_m: tuple[int, int] = (1, 10)


PROTOCOLS: dict[str, Setting] = {
    "f7x5": Setting(7, 5),
    "f7x5-pause5": Setting(7, 5, pause=5),
    "f7x5-pause10": Setting(7, 5, pause=10),
    "f3x2": Setting(3, 2),
    "f2x3": Setting(2, 3),
    "f2x3-m3": Setting(2, 3, train_m=(1, 3), test_m=(1, 6)),
}
"""The paper's ring is f7x5; `f2x3-m3`, with at most three operations in training, is learnt in minutes on a CPU."""


class PolyTask(ExactMatchTask):
    """Polynomial arithmetic with its training generator.

    Args:
        name: as registered.
        protocol: a key of `PROTOCOLS`.
        p, d, operations, pause, train_m, test_m: instead of the protocol's; the last two are ranges of the number of
            operations.
        seed: of the test problems.
        per_m: test problems for each m, the paper's 2,000 by default; never more than a fifth of the different
            questions of m = 1, so that a small ring leaves some for training.
    """

    report_by = "m"

    def __init__(
        self,
        name: str,
        protocol: str | None = None,
        *,
        p: int | None = None,
        d: int | None = None,
        operations: Sequence[str] | None = None,
        pause: int | None = None,
        seed: int = TEST_SEED,
        train_m: tuple[int, int] | None = None,
        test_m: tuple[int, int] | None = None,
        per_m: int = 2000,
        report_by: str = "m",
        data_dir: Path | None = None,
        extract: str | None = None,
    ):
        chosen = choose_protocol(name, protocol, tuple(PROTOCOLS))
        of_protocol = PROTOCOLS[chosen]
        self.ring = Ring(p or of_protocol.p, d or of_protocol.d)
        self._operations = tuple(operations or of_protocol.operations)
        if unknown := set(self._operations) - set(OPERATIONS):
            raise TaskOptionError(f"poly has no operation {', '.join(sorted(unknown))}; expected some of {OPERATIONS}")
        self._pause = of_protocol.pause if pause is None else pause
        self._train_m, test_m = train_m or of_protocol.train_m, test_m or of_protocol.test_m
        self.report_by = report_by
        rng = random.Random(f"poly test {seed} {self.ring.p} {self.ring.d}")
        self._questions: set[str] = set()
        self._meanings: set[str] = set()
        problems = [
            self._problem(rng, m, index)
            for index in range(per_m)  # m by turns, so that the first problems are a fair sample
            for m in range(test_m[0], test_m[1] + 1)
            if m > 1 or index < self._n_questions() // 5
        ]
        used = Setting(self.ring.p, self.ring.d, self._pause, self._operations, self._train_m, test_m)
        changed = replace(used, test_m=of_protocol.test_m) != of_protocol
        sha256 = hashlib.sha256("".join(p.prompt + p.reference for p in problems).encode()).hexdigest()
        super().__init__(
            name, f"{chosen}+changed" if changed else chosen, problems, data_sha256=sha256, extract=extract
        )

    def _n_questions(self) -> int:
        """Different questions of one operation."""
        size = self.ring.p**self.ring.d
        return sum(size if operation == "negation" else size * size for operation in self._operations)

    def _draw(self, rng: random.Random, m: int) -> tuple[Expression, str, str]:
        """An expression, its question and its answer."""
        expression = draw_expression(rng, self.ring, m, self._operations)
        answer = digits(expression.evaluate(self.ring)) + "\n"
        return expression, f"{expression.text()}{'.' * self._pause}=", answer

    def _problem(self, rng: random.Random, m: int, index: int) -> Problem:
        """A test problem that is not among the ones before; where a small ring has no more, a repeated one."""
        for _ in range(50):
            expression, question, answer = self._draw(rng, m)
            if question not in self._questions:
                break
        self._questions.add(question)
        self._meanings.add(expression.meaning())
        return Problem(
            problem_id=f"poly/m{m}/{index}",
            prompt=question,
            reference=answer,
            stop=("\n",),
            max_new_tokens=self.ring.d + 1,
            tags={"m": f"{m:02d}", "domain": "in" if m <= self._train_m[1] else "out"},
        )

    def answer(self, problem: Problem, text: str) -> str:
        """The digits before the first line break, if there are as many as coefficients."""
        found = re.match(rf"\s*(\d{{{self.ring.d}}})\s*(?:\n|$)", text)
        return found.group(1) if found else ""

    def training_pairs(self, seed: int) -> Iterator[tuple[str, str]]:
        """Question and answer, m uniform over the training range, never a test question, nor one with operands exchanged."""
        rng = random.Random(f"poly training {seed}")
        while True:
            expression, question, answer = self._draw(rng, rng.randint(*self._train_m))
            if expression.meaning() not in self._meanings:
                yield question, answer

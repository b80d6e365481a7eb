"""process: continue a text of known entropy by its likeliest symbol, for studies of what losses can reach.

    markov, copy, permutation, choices      the laws of `laws.py`, each symbol a letter

Test problems are beginnings whose next symbol has one likeliest value, which is the reference; a model that knows the law gets all of
them right. Training text is drawn by the same law and is not cleared of test problems, which would change its entropies: there is
nothing to be remembered but the law.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

from mtp_eval.tasks.base import choose_protocol
from mtp_eval.tasks.exact_match import ExactMatchTask
from mtp_eval.tasks.problem import Problem
from mtp_eval.tasks.synthetic.laws import LAWS, Law

TEST_SEED = 20240419
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def letters(symbols: Sequence[int]) -> str:
    """Symbols as text, one character each."""
    return "".join(ALPHABET[symbol] for symbol in symbols)


class ProcessTask(ExactMatchTask):
    """A process with its test problems and its text.

    Args:
        name: as registered.
        protocol: a key of `LAWS`.
        seed: of the test problems.
        size: how many test problems.
    """

    def __init__(
        self,
        name: str,
        protocol: str | None = None,
        *,
        seed: int = TEST_SEED,
        size: int = 200,
        data_dir: Path | None = None,
        extract: str | None = None,
    ):
        chosen = choose_protocol(name, protocol, tuple(LAWS))
        self.law: Law = LAWS[chosen]
        rng = random.Random(f"{name} test {seed} {chosen}")
        problems: list[Problem] = []
        while len(problems) < size:
            document = self.law.draw(rng)
            past = document[: rng.choice(self.law.pasts) + 1]
            probabilities = self.law.next_law(past)
            if sorted(probabilities)[-2] < max(probabilities):
                best = max(range(self.law.n_symbols), key=probabilities.__getitem__)
                problem_id = f"{name}/{len(problems)}"
                problems.append(Problem(problem_id, letters(past), letters([best]), max_new_tokens=1))
        super().__init__(name, chosen, problems, extract=extract)

    def drawn(self, seed: str) -> Iterator[list[int]]:
        """An endless stream of documents as symbols, with a seed that can be any text."""
        rng = random.Random(f"{self.name} {seed}")
        while True:
            yield self.law.draw(rng)

    def training_documents(self, seed: int) -> Iterator[str]:
        """An endless stream of documents."""
        return map(letters, self.drawn(f"training {seed}"))

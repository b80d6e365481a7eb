"""sentences: which of four continuations a sentence had, by likelihood; text of the running Python's documentation.

The form of HellaSwag (the beginning of a text, four endings) with text that is on every machine. Three endings are those of other
sentences of nearly the same length, so that a model has to know which words go together; guessing has one in four right.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

from mtp_eval.tasks.base import choose_protocol
from mtp_eval.tasks.multiple_choice import PROTOCOLS, ChoiceTask
from mtp_eval.tasks.problem import Problem
from mtp_eval.tasks.python_docs import is_test, paragraphs

TEST_SEED = 20240419
LONGEST = 200
"""Characters of a sentence that is asked for: byte models of a context of 256 read it whole."""
N_CHOICES = 4


class SentencesTask(ChoiceTask):
    """Sentences cut in the middle, and four endings of each.

    Args:
        name: as registered.
        protocol: one of `multiple_choice.PROTOCOLS`.
        seed: of the cuts and the wrong endings.
        size: how many problems; as many as there are at most.
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
        chosen = choose_protocol(name, protocol, PROTOCOLS)
        rng = random.Random(f"{name} test {seed}")
        halves = [cut(sentence) for sentence in sentences(test=True)]
        problems = [question(rng, f"{name}/{number}", halves, number) for number in range(min(size, len(halves)))]
        super().__init__(name, chosen, problems, extract=extract)

    def training_documents(self, seed: int) -> Iterator[str]:
        """All paragraphs that are not tested and hold no sentence that is, again and again in another order."""
        asked = [problem.prompt + problem.reference for problem in self.problems()]
        pool = [text for text in paragraphs() if not is_test(text) and not any(one in text for one in asked)]
        for epoch in itertools.count():
            random.Random(f"{self.name} training {seed} {epoch}").shuffle(pool)
            yield from pool


def sentences(*, test: bool) -> list[str]:
    """First sentences of paragraphs, of the test's or of the others, of six words or more, each once."""
    first = [text.partition(". ")[0].rstrip(".") + "." for text in paragraphs() if is_test(text) is test]
    return list(dict.fromkeys(one for one in first if len(one) <= LONGEST and one.count(" ") >= 5))


def cut(sentence: str) -> tuple[str, str]:
    """A sentence in two parts at the space nearest to its middle; the second begins with that space."""
    spaces = [place for place, letter in enumerate(sentence) if letter == " "]
    middle = min(spaces, key=lambda place: abs(2 * place - len(sentence)))
    return sentence[:middle], sentence[middle:]


def question(rng: random.Random, problem_id: str, halves: Sequence[tuple[str, str]], number: int) -> Problem:
    """One sentence with its own ending among those of the sentences whose endings are most nearly as long."""
    start, right = halves[number]
    others = {end for _, end in halves} - {right}
    near = sorted(others, key=lambda end: (abs(len(end) - len(right)), end))[: 4 * N_CHOICES]
    choices = [right, *rng.sample(near, N_CHOICES - 1)]
    rng.shuffle(choices)
    return Problem(problem_id, start, right, choices=tuple(choices), tags={"answer": str(choices.index(right))})

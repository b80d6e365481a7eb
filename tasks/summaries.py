"""summaries: the line that says what a thing does, from its description; docstrings of the running Python's standard library.

The form of the paper's summarisation tasks (a text, then its summary) with text that is on every machine. A completion is right when it is
the published line; ROUGE, which such tasks are scored by, is computed by who wants it (`mtp-eval study natural-language`).
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from pathlib import Path

from mtp_eval.tasks.base import choose_protocol
from mtp_eval.tasks.exact_match import ExactMatchTask
from mtp_eval.tasks.problem import Problem
from mtp_eval.tasks.python_docs import Docstring, docstrings, is_test

PROTOCOLS = ("docstrings",)
MOST_CHARACTERS = 320
"""Of a description: longer ones are cut at a word, so that byte models of a short context can read them."""


class SummariesTask(ExactMatchTask):
    """Descriptions and their summary lines.

    Args:
        name: as registered.
        protocol: one of `PROTOCOLS`.
        size: how many problems; as many as there are at most.
    """

    votes = False

    def __init__(
        self,
        name: str,
        protocol: str | None = None,
        *,
        size: int = 200,
        data_dir: Path | None = None,
        extract: str | None = None,
    ):
        chosen = choose_protocol(name, protocol, PROTOCOLS)
        kept = [one for one in docstrings() if is_test(one.body)][:size]
        problems = [
            Problem(f"{name}/{number}", prompt_of(one), one.summary + "\n", stop=("\n",), max_new_tokens=90)
            for number, one in enumerate(kept)
        ]
        super().__init__(name, chosen, problems, extract=extract)

    def training_pairs(self, seed: int) -> Iterator[tuple[str, str]]:
        """All descriptions that are not tested, again and again in another order."""
        known = {text for problem in self.problems() for text in (problem.prompt, problem.reference)}
        pool = [one for one in docstrings() if not (is_test(one.body) or known & {prompt_of(one), one.summary + "\n"})]
        for epoch in itertools.count():
            random.Random(f"{self.name} training {seed} {epoch}").shuffle(pool)
            for one in pool:
                yield prompt_of(one), one.summary + "\n"


def prompt_of(one: Docstring) -> str:
    """The description on one line, and what is asked."""
    line = " ".join(one.body.split())
    if len(line) > MOST_CHARACTERS:
        line = line[:MOST_CHARACTERS].rpartition(" ")[0]
    return f"{line}\nTL;DR: "

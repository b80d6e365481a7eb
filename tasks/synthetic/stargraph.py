"""stargraph: find the way from the centre of a star of paths to a given leaf (arXiv 2403.06963), a copy-lookahead task.

    gb ae bk ec ag|ak=agbk

d paths of l nodes start at one node. The prompt lists the edges in random order, then centre and goal; the answer is
the path, the centre first. The first step is the only hard one: all later nodes can be copied along the edges. Next-token
training learns the copying, gives up on the choice, and ends at one in d. Nodes are random letters, so that nothing can
be memorised. Accuracy is of the whole path; chance after learning to copy is 1/d.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import random
from collections.abc import Iterator
from pathlib import Path

from mtp_eval.tasks.base import choose_protocol
from mtp_eval.tasks.errors import TaskOptionError
from mtp_eval.tasks.exact_match import ExactMatchTask
from mtp_eval.tasks.problem import Problem

TEST_SEED = 20240419
PROTOCOLS = {"d2l4": (2, 4, 26), "d2l5": (2, 5, 26), "d3l4": (3, 4, 26), "d5l5": (5, 5, 26), "d2l3": (2, 3, 10)}
"""Paths, nodes on each (the centre counted), and how many letters nodes are drawn from."""
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

Meaning = tuple[frozenset[str], str]
"""The edges, in no order, and the question."""


def meaning_of(prompt: str) -> Meaning:
    """The meaning of a prompt, whatever the order of its edges."""
    edges, _, question = prompt.partition("|")
    return frozenset(edges.split(" ")), question


class StarGraphTask(ExactMatchTask):
    """The path-star task with its training generator.

    Args:
        name: as registered.
        protocol: a key of `PROTOCOLS`.
        seed: of the test problems.
        size: how many test problems, all of different meaning.
        letters: instead of the protocol's; fewer are easier to learn.
    """

    def __init__(
        self,
        name: str,
        protocol: str | None = None,
        *,
        seed: int = TEST_SEED,
        size: int = 1000,
        letters: int | None = None,
        data_dir: Path | None = None,
        extract: str | None = None,
    ):
        chosen = choose_protocol(name, protocol, tuple(PROTOCOLS))
        self._d, self._l, usual = PROTOCOLS[chosen]
        letters = letters or usual
        needed = 1 + self._d * (self._l - 1)
        if not needed <= letters <= len(LETTERS):
            raise TaskOptionError(f"stargraph@{chosen} needs {needed} to {len(LETTERS)} letters, got {letters}")
        if 2 * size > math.perm(letters, needed) // math.factorial(self._d - 1):
            raise TaskOptionError(
                f"stargraph@{chosen}: {letters} letters have too few graphs for {size} test problems; ask for fewer"
            )
        self._letters = LETTERS[:letters]
        rng = random.Random(f"stargraph test {seed} {chosen} {letters}")
        drawn = dict[Meaning, tuple[str, str]]()
        while len(drawn) < size:
            prompt, answer = self._draw(rng)
            drawn.setdefault(meaning_of(prompt), (prompt, answer))
        self._meanings = frozenset(drawn)
        problems = [
            Problem(
                problem_id=f"stargraph/{index}",
                prompt=prompt,
                reference=answer,
                stop=("\n",),
                max_new_tokens=self._l + 1,
                tags={"paths": str(self._d), "nodes": str(self._l)},
            )
            for index, (prompt, answer) in enumerate(drawn.values())
        ]
        sha256 = hashlib.sha256("".join(p.prompt + p.reference for p in problems).encode()).hexdigest()
        own_name = chosen if letters == usual else f"{chosen}+{letters}letters"
        super().__init__(name, own_name, problems, data_sha256=sha256, extract=extract)

    def _draw(self, rng: random.Random) -> tuple[str, str]:
        """A prompt and its answer."""
        centre, *others = rng.sample(self._letters, 1 + self._d * (self._l - 1))
        length = self._l - 1
        paths = [[centre, *others[i * length : (i + 1) * length]] for i in range(self._d)]
        edges = [a + b for path in paths for a, b in itertools.pairwise(path)]
        rng.shuffle(edges)
        return f"{' '.join(edges)}|{centre}{paths[0][-1]}=", "".join(paths[0]) + "\n"

    def training_pairs(self, seed: int) -> Iterator[tuple[str, str]]:
        """Prompt and answer, never with the edges and the goal of a test problem, in whatever order."""
        rng = random.Random(f"stargraph training {seed}")
        while True:
            prompt, answer = self._draw(rng)
            if meaning_of(prompt) not in self._meanings:
                yield prompt, answer

"""reach: write a path between two nodes of one fixed graph, after arXiv 2509.23186 (transitive reachability).

    3 17 >
    3 9 12 17

The graph is random, directed and without circles, and the same in training and test: it has to be learnt, as it is in no prompt.
Training shows every edge as a path of one step, and longer paths; the test asks for a fifth of the pairs that are further apart. No
path of the training text leads from the first of a test pair to the second, not even as a part of a longer one, so that what
reaches what has to be put together from several paths (unobserved reachability). Any path of the graph is right. A walk along
random edges, which takes the one to the goal where there is one, finds the way for 19 % of the problems of n100.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

from mtp_eval.tasks.base import choose_protocol
from mtp_eval.tasks.problem import Judgement, Problem, Task

GRAPH_SEED = 20250927
PROTOCOLS = {"n100": (100, 0.06), "n50": (50, 0.12), "n200": (200, 0.03)}
"""Nodes, and the share of possible edges that there are."""
Pair = tuple[int, int]


def path_text(path: Sequence[int]) -> str:
    """The nodes in order, on one line."""
    return " ".join(map(str, path)) + "\n"


def question(start: int, end: int) -> str:
    """Both nodes and a mark; with the tokenizer `words:SIZE` each is one token."""
    return f"{start} {end} >\n"


class ReachTask(Task):
    """Paths in one random graph with their training generator.

    Args:
        name: as registered.
        protocol: a key of `PROTOCOLS`.
        seed: of the graph and of the split into training and test pairs.
        size: test problems at most.
    """

    report_by = "steps"

    def __init__(
        self,
        name: str,
        protocol: str | None = None,
        *,
        seed: int = GRAPH_SEED,
        size: int = 1000,
        data_dir: Path | None = None,
        extract: str | None = None,
    ):
        chosen = choose_protocol(name, protocol, tuple(PROTOCOLS))
        self.nodes, share = PROTOCOLS[chosen]
        rng = random.Random(f"{name} graph {seed} {chosen}")
        order = rng.sample(range(self.nodes), self.nodes)
        self.edges = frozenset(
            (order[i], order[j]) for i in range(self.nodes) for j in range(i + 1, self.nodes) if rng.random() < share
        )
        far = sorted(set(self._distances) - self.edges)
        test = rng.sample(far, min(size, len(far) // 5))
        self.test_pairs = frozenset(test)
        problems = [
            Problem(
                problem_id=f"{name}/{start}-{end}",
                prompt=question(start, end),
                reference=path_text(self._path(rng, start, end)),
                stop=("\n",),
                max_new_tokens=4 * self.nodes,
                tags={"steps": f"{self._distances[start, end]:02d}"},
            )
            for start, end in test
        ]
        super().__init__(name, chosen, problems, extract=extract)

    @cached_property
    def _next(self) -> dict[int, list[int]]:
        return {node: sorted(end for start, end in self.edges if start == node) for node in range(self.nodes)}

    @cached_property
    def _distances(self) -> dict[Pair, int]:
        """The fewest steps between every pair of which the second can be reached."""
        found: dict[Pair, int] = {}
        for start in range(self.nodes):
            edge, steps = {start}, 0
            while edge:
                steps += 1
                edge = {end for node in edge for end in self._next[node]} - {end for s, end in found if s == start}
                found |= {(start, end): steps for end in edge}
        return found

    def _path(self, rng: random.Random, start: int, end: int) -> list[int]:
        """A random path, drawn step by step among the nodes from which the end can be reached."""
        path = [start]
        while path[-1] != end:
            ways = [node for node in self._next[path[-1]] if node == end or (node, end) in self._distances]
            path.append(rng.choice(ways))
        return path

    def judge_program(self, problem: Problem, source: str) -> Judgement:
        """Walk the first line's nodes along the graph's edges."""
        start, end, _ = problem.prompt.split()
        line = source.strip().partition("\n")[0].strip()
        nodes = line.split()
        if not nodes or not all(node.isascii() and node.isdigit() and len(node) < 5 for node in nodes):
            return Judgement(False, line, "no path found: expected numbers of nodes")
        if (nodes[0], nodes[-1]) != (start, end):
            return Judgement(
                False, line, f"expected a path from {start} to {end}, got one from {nodes[0]} to {nodes[-1]}"
            )
        missing = [(a, b) for a, b in itertools.pairwise(nodes) if (int(a), int(b)) not in self.edges]
        return Judgement(not missing, line, f"there is no edge {' '.join(missing[0])}" if missing else "")

    def training_pairs(self, seed: int) -> Iterator[tuple[str, str]]:
        """Question and path, never one on which the end of a test pair comes after its start."""
        rng = random.Random(f"{self.name} training {seed}")
        pairs = sorted(set(self._distances) - self.test_pairs)
        while True:
            start, end = rng.choice(pairs)
            path = self._path(rng, start, end)
            if self.test_pairs.isdisjoint(itertools.combinations(path, 2)):
                yield question(start, end), path_text(path)

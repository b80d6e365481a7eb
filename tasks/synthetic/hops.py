"""chain and route: follow a random permutation backwards from a goal, but write the far end first.

Every node has one successor; the edges stand in random order, then the goal. The answer is the last steps to the goal, in the
order in which they are walked, so that its first token is the one that takes most hops to find: a model has to look ahead.
A model trained on the next token alone learns the later tokens, which can be copied from the edges, and stays near guessing at the first.

    chain@n8h2    3>7 0>5 ... ?5          the nodes of the last hops: "1 0"
    route@n10h3   go(3,7) go(0,5) ...     the calls that walk them, a program: "go(8,1)", "go(1,0)", "go(0,5)", one a line

Each edge is one word, which the tokenizer `words:SIZE` makes one token of, and a completion has as many tokens as hops and one more. For
other tokenizers, with which an edge is several tokens and the task much harder, `-text` behind the protocol gives room for every character.

What can be had without looking ahead: a permutation falls into circles, so that the far end often is the goal itself (chain 2 in 8, route 2
in 10). A model that looks up the nodes right before and right after the goal, and no further, knows circles of one and two nodes, takes a
third length for granted, and is right for 3 in the number of nodes: 37.5 % of chain@n8h2, 30 % of route@n10h3, 18.75 % of n16h4.
"""

from __future__ import annotations

import itertools
import math
import random
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from mtp_eval.tasks.base import choose_protocol
from mtp_eval.tasks.errors import TaskOptionError
from mtp_eval.tasks.exact_match import ExactMatchTask
from mtp_eval.tasks.problem import Problem, Program, Task

TEST_SEED = 20240419
AS_TEXT = "-text"
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
Graph = tuple[tuple[int, ...], int]
"""The successor of every node, and the goal: what a problem means, whatever the order of its edges."""


class HopsTask(Task):
    """The base of chain and route: the graphs, the test problems, and training text without them.

    Args:
        name: as registered.
        protocol: a key of the class's `protocols`.
        nodes, hops: instead of the protocol's.
        alphabet: the letters that nodes are named by, at least as many as nodes.
        seed: of the test problems.
        size: how many test problems.
    """

    protocols: ClassVar[Mapping[str, tuple[int, int]]] = {}
    """Nodes and hops."""

    def __init__(
        self,
        name: str,
        protocol: str | None = None,
        *,
        nodes: int | None = None,
        hops: int | None = None,
        alphabet: str = ALPHABET,
        seed: int = TEST_SEED,
        size: int = 1000,
        data_dir: Path | None = None,
        extract: str | None = None,
    ):
        chosen = choose_protocol(name, protocol, (*self.protocols, *(p + AS_TEXT for p in self.protocols)))
        usual = self.protocols[chosen.removesuffix(AS_TEXT)]
        self._as_text = chosen.endswith(AS_TEXT)
        self.nodes, self.hops = nodes or usual[0], hops or usual[1]
        if not 2 <= self.nodes <= len(set(alphabet)) or not 1 <= self.hops < self.nodes:
            raise TaskOptionError(
                f"{name}: expected 2 to {len(set(alphabet))} nodes (letters of the alphabet) and fewer hops than nodes, got "
                f"{self.nodes} nodes and {self.hops} hops"
            )
        self._letters = list(dict.fromkeys(alphabet))[: self.nodes]
        if 2 * size > math.factorial(self.nodes) * self.nodes:
            raise TaskOptionError(
                f"{name}: {self.nodes} nodes have too few graphs for {size} test problems; ask for fewer"
            )
        rng, drawn = random.Random(f"{name} test {seed} {self.nodes} {self.hops}"), dict[Graph, None]()
        while len(drawn) < size:
            drawn[self._draw(rng)] = None
        self._graphs = frozenset(drawn)
        problems = [self._problem(f"{name}/{number}", *self._text(rng, graph)) for number, graph in enumerate(drawn)]
        changed = (self.nodes, self.hops) != usual or alphabet != ALPHABET
        super().__init__(name, f"{chosen}+changed" if changed else chosen, problems, extract=extract)

    def _draw(self, rng: random.Random) -> Graph:
        successors = list(range(self.nodes))
        rng.shuffle(successors)
        return tuple(successors), rng.randrange(self.nodes)

    def path(self, graph: Graph) -> list[int]:
        """The nodes from which the goal is reached in `hops` steps, in walking order, the goal last."""
        successors, goal = graph
        before = {successor: node for node, successor in enumerate(successors)}
        path = [goal]
        for _ in range(self.hops):
            path.insert(0, before[path[0]])
        return path

    @abstractmethod
    def edge(self, start: str, end: str) -> str:
        """How an edge is written."""

    @abstractmethod
    def question(self, edges: Sequence[str], goal: str) -> str:
        """How shuffled edges and the goal are written."""

    @abstractmethod
    def answer_text(self, nodes: Sequence[str]) -> str:
        """How a path is written."""

    def _text(self, rng: random.Random, graph: Graph) -> tuple[str, str]:
        """A question with its edges in random order, and its answer."""
        successors, goal = graph
        edges = [self.edge(self._letters[a], self._letters[b]) for a, b in enumerate(successors)]
        rng.shuffle(edges)
        named = [self._letters[node] for node in self.path(graph)]
        return self.question(edges, self._letters[goal]), self.answer_text(named)

    def _problem(self, problem_id: str, question: str, answer: str) -> Problem:
        return Problem(
            problem_id=problem_id,
            prompt=question,
            reference=answer,
            stop=("\n\n",),
            max_new_tokens=len(answer) + 1 if self._as_text else self.hops + 1,
            tags={"nodes": str(self.nodes), "hops": str(self.hops)},
        )

    def training_pairs(self, seed: int) -> Iterator[tuple[str, str]]:
        """Question and answer, never with the edges and the goal of a test problem."""
        rng = random.Random(f"{self.name} training {seed}")
        while True:
            graph = self._draw(rng)
            if graph not in self._graphs:
                yield self._text(rng, graph)


class ChainTask(HopsTask, ExactMatchTask):
    """The nodes of the last hops, compared as text."""

    protocols: ClassVar = {"n8h2": (8, 2), "n10h3": (10, 3), "n16h4": (16, 4)}

    def edge(self, start: str, end: str) -> str:
        """An edge as "3>7"."""
        return f"{start}>{end}"

    def question(self, edges: Sequence[str], goal: str) -> str:
        """All edges, then the goal, on one line."""
        return f"{' '.join(edges)} ?{goal}\n"

    def answer_text(self, nodes: Sequence[str]) -> str:
        """All nodes but the goal."""
        return " ".join(nodes[:-1]) + "\n"

    def answer(self, problem: Problem, text: str) -> str:
        """The first line, if it has as many nodes as the task has hops."""
        nodes = text.strip().partition("\n")[0].split()
        return " ".join(nodes) if len(nodes) == self.hops else ""


class RouteTask(HopsTask):
    """The calls that walk the last hops: a program, which the sandbox runs."""

    protocols: ClassVar = {"n10h3": (10, 3), "n8h2": (8, 2), "n16h4": (16, 4)}

    def edge(self, start: str, end: str) -> str:
        """A call, in quotes where a node is named by a letter."""
        return f"go({self._quoted(start)},{self._quoted(end)})"

    @staticmethod
    def _quoted(node: str) -> str:
        return node if node.isdigit() else repr(node)

    def question(self, edges: Sequence[str], goal: str) -> str:
        """Every call that could be made, one a line, then the goal."""
        return "".join(f"{edge}\n" for edge in edges) + f"to({self._quoted(goal)})\n"

    def answer_text(self, nodes: Sequence[str]) -> str:
        """The calls, one a line."""
        return "".join(f"{self.edge(a, b)}\n" for a, b in itertools.pairwise(nodes))

    def prefix(self, problem: Problem) -> str:
        """What the calls call: it prints each step."""
        return "def go(start, end):\n    print(start, end)\n\n\n"

    def judge_program(self, problem: Problem, source: str) -> Program:
        """Judge the steps that the program prints; the path to a goal is the only one."""
        steps = problem.reference.replace("go(", "").replace(",", " ").replace(")", "").replace("'", "")
        return Program(problem.problem_id, source, stdin_cases=(("", steps),))

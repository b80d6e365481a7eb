"""The trained pairs: a task, the two presets that are trained on it, and how the figures are grouped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Study:
    """One task on which a next-token model and multi-token models of equal size are trained.

    Args:
        task: for the test; the presets name it for training.
        others: the n that are compared with n = 1. The presets are NAME-n1 and NAME-nN.
        group: the tag by which accuracies are given; empty for one figure.
        limit: test problems of each group.
        guess: accuracy without the skill that is tested, by group; of groups that are not named, the commonest answer's share.
    """

    task: str
    others: tuple[int, ...]
    group: str = ""
    limit: int = 1000
    guess: Mapping[str, float] = field(default_factory=dict)

    def problems(self, task: Any) -> dict[str, list[Any]]:
        """The test problems by group, the first ones of each."""
        chosen: dict[str, list[Any]] = {}
        for problem in task.problems():
            of_group = chosen.setdefault(problem.tags.get(self.group, "all"), [])
            if len(of_group) < self.limit:
                of_group.append(problem)
        return chosen

    def guesses(self) -> dict[str, float]:
        """What a model without the skill reaches, by group."""
        from mtp_eval.tasks.registry import load_task

        chosen = self.problems(load_task(self.task))
        answers = {group: Counter(p.reference for p in problems).values() for group, problems in chosen.items()}
        return {group: self.guess.get(group, max(counts) / sum(counts)) for group, counts in answers.items()}

    def config(self, preset: dict[str, Any], seed: int, factor: float, batch_factor: int) -> dict[str, Any]:
        """The preset with the seed and, for a quick look or a GPU, another budget."""
        return {
            **preset,
            "steps": max(20, round(preset["steps"] * factor)),
            "batch_size": preset["batch_size"] * batch_factor,
            "seed": seed,
            "threads": 1,  # of a CPU, so that several studies can share a machine
            "compile": "off",  # compiling would take longer than the training
            "precision": "fp32",
            "validate_every": 0,
            "checkpoint_every": 0,
        }


STUDIES = {
    "listops": Study("listops", (4,), group="m", limit=65),
    # one of two paths, once nodes are copied
    "stargraph": Study("stargraph@d2l3", (2,), guess={"all": 0.5}),
    # with one operation: the last operand
    "poly": Study("poly@f2x3-m3", (2,), group="m", limit=200, guess={"01": 0.45}),
    # a name of the story other than the last one, which never is repeated: the more or the less frequent of them
    "induction": Study("induction@meetings-2", (2,), group="domain", guess={"in": 0.54, "out": 0.69}),
    # the nodes right before and right after the goal are looked up, and no others: circles of up to three nodes
    "chain": Study("chain@n8h2", (2,), guess={"all": 3 / 8}),
    "route": Study("route@n10h3", (2, 3, 4), guess={"all": 3 / 10}),
    # the sum of all numbers
    "countdown": Study("countdown@n3", (2, 4), guess={"all": 0.19}),
    # a walk along random edges, but to the goal where an edge leads there
    "reach": Study("reach@n100", (2, 4), guess={"all": 0.19}),
}
"""Next-token against multi-token training. What needs no look ahead is in `guess`; a test holds it against such answers."""

"""What the trained pairs are: a task, the two presets that are trained on it, and how the figures are grouped."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Study:
    """One task on which a next-token model and multi-token models of equal size are trained.

    Args:
        task: for the test; the presets name it for training.
        others: the n that are compared with n = 1. The presets are NAME-n1 and NAME-nN.
        group: the tag by which accuracies are given; empty for one figure.
        limit: test problems of each group.
        guess: accuracy without the skill that is tested; None is the share of the commonest answer in each group.
    """

    task: str
    others: tuple[int, ...]
    group: str = ""
    limit: int = 1000
    guess: float | None = None

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
        if self.guess is not None:
            return dict.fromkeys(chosen, self.guess)
        commonest = {g: Counter(p.reference for p in problems).most_common(1)[0][1] for g, problems in chosen.items()}
        return {group: commonest[group] / len(problems) for group, problems in chosen.items()}

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
    "listops": Study("listops", (4,), group="m", limit=65, guess=0.0),
    # one of two paths, once nodes are copied
    "stargraph": Study("stargraph@d2l3", (2,), guess=0.5),
    "poly": Study("poly@f2x3-m3", (2,), group="m", limit=200),
    # any of the story's three names
    "induction": Study("induction@meetings-2", (2,), group="domain", guess=1 / 3),
    # between one node in eight and one in four
    "chain": Study("chain@n8h2", (2,), guess=0.25),
    # one node in ten
    "route": Study("route@n10h3", (2, 3, 4), guess=0.1),
    "countdown": Study("countdown@n3", (2, 4), guess=0.0),
    "reach": Study("reach@n100", (2, 4), guess=0.0),
}

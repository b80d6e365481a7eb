"""Plan cells within a budget: which parts, how many seeds and steps, decided from measured costs before any result is seen.

    1. parts are taken in the study's order, each with its usual number of seeds (five at least where cells are quick), as long as they fit
    2. a first part that does not fit gets three seeds, and then fewer steps
    3. what is left goes to one more part, with three seeds where its cells are long, then to more seeds (at most ten) of the parts that
       are in

Nothing of this looks at a score, and a plan that was written down is never changed.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from mtp_eval.harness.errors import InputError
from mtp_eval.harness.studies.cells import Cost
from mtp_eval.harness.studies.definition import LEAST_SEEDS, MOST_SEEDS, Part

LEAST_SHARE = 0.02
"""Of a part's steps: with fewer a study would only show that it runs."""
NEARLY_ALL = 0.99
"""Of a part's steps: what is that close to the budget is trained in full."""
QUICK_SECONDS = 120.0
"""Cells that take less are worth five seeds."""
QUICK_SEEDS = 5
FILL = 0.95
"""Of the time that is left after the probes; the rest is for what a probe does not see."""


class BudgetError(InputError):
    """Not even the least that a study could do fits into the budget."""


@dataclass(frozen=True)
class PlannedPart:
    """A part that is in.

    Args:
        steps: of each recipe, by name.
        seconds: that a cell of each recipe should take.
        share: of the steps that the recipes ask for; 1 unless the budget was too small.
    """

    name: str
    n_seeds: int
    steps: Mapping[str, int]
    seconds: Mapping[str, float]
    share: float = 1.0

    @property
    def cell_seconds(self) -> list[float]:
        """Seconds of every cell of the part."""
        return [seconds for seconds in self.seconds.values() for _ in range(self.n_seeds)]


Costs = Callable[[Part], Mapping[str, Cost]]
"""Measures a part: what a cell of each recipe costs."""
Steps = Callable[[Part], Mapping[str, int]]
"""The steps that a part's recipes ask for."""
SecondsLeft = Callable[[], float]
"""Of the budget, now."""


def makespan(cell_seconds: Sequence[float], n_workers: int) -> float:
    """Seconds until the last of these cells is done, longest first, each taken by the first worker that is free."""
    free = [0.0] * n_workers
    for seconds in sorted(cell_seconds, reverse=True):
        heapq.heappush(free, heapq.heappop(free) + seconds)
    return max(free)


def fewest_seeds(seconds: Mapping[str, float]) -> int:
    """Seeds without which a part is not begun, by the seconds of its cells."""
    return QUICK_SEEDS if max(seconds.values()) < QUICK_SECONDS else LEAST_SEEDS


class Planner:
    """Fits parts into a budget.

    Args:
        n_workers: cells side by side.
        left: seconds of the budget that are left; probes use some of it.
    """

    def __init__(self, n_workers: int, left: SecondsLeft, steps: Steps, costs: Costs):
        self.n_workers, self.left, self.steps, self.costs = n_workers, left, steps, costs
        self.parts: list[PlannedPart] = []
        self._known: dict[str, Mapping[str, Cost]] = {}

    def plan(self, parts: Sequence[Part]) -> list[PlannedPart]:
        """The parts that are in, in the study's order.

        Raises:
            BudgetError: for anything.
        """
        for number, part in enumerate(parts):
            found = self._measured(part)
            if not self._take(found):
                if number == 0:
                    self.parts.append(self._shortened(found))
                elif found.n_seeds > (fewest := fewest_seeds(found.seconds)):
                    self._take(replace(found, n_seeds=fewest))
                break
        self._fill()
        return self.parts

    def _measured(self, part: Part) -> PlannedPart:
        costs, steps = self.costs(part), self.steps(part)
        self._known[part.name] = costs
        seconds = {name: costs[name].seconds(steps[name]) for name in steps}
        return PlannedPart(part.name, max(part.seeds, fewest_seeds(seconds)), steps, seconds)

    def _fits(self, parts: Sequence[PlannedPart]) -> bool:
        cells = [seconds for part in parts for seconds in part.cell_seconds]
        return makespan(cells, self.n_workers) <= FILL * self.left()

    def _take(self, part: PlannedPart) -> bool:
        if fits := self._fits([*self.parts, part]):
            self.parts.append(part)
        return fits

    def _shortened(self, part: PlannedPart) -> PlannedPart:
        """Three seeds and, if that is still too much, fewer steps, in the same proportion for every recipe."""
        fewest = replace(part, n_seeds=LEAST_SEEDS)
        if self._fits([fewest]):
            return fewest
        low, high = LEAST_SHARE, 1.0
        if not self._fits([self._with_share(fewest, low)]):
            needed = makespan(self._with_share(fewest, low).cell_seconds, self.n_workers)
            raise BudgetError(
                f"--budget: {LEAST_SEEDS} seeds of {part.name} with {LEAST_SHARE:.0%} of its steps take about "
                f"{needed / 60:.1f} minutes here, and {max(self.left(), 0) / 60:.1f} are left after measuring that; give a larger budget"
            )
        for _ in range(20):
            middle = (low + high) / 2
            low, high = (middle, high) if self._fits([self._with_share(fewest, middle)]) else (low, middle)
        return fewest if low >= NEARLY_ALL else self._with_share(fewest, low)

    def _with_share(self, part: PlannedPart, share: float) -> PlannedPart:
        costs = self._known[part.name]
        steps = {name: max(10, round(steps * share)) for name, steps in part.steps.items()}
        return replace(part, steps=steps, seconds={n: costs[n].seconds(s) for n, s in steps.items()}, share=share)

    def _fill(self) -> None:
        """More seeds, one at a time, for the part that has the fewest."""
        growing = True
        while growing:
            growing = False
            for part in sorted(self.parts, key=lambda part: part.n_seeds):
                if part.n_seeds < MOST_SEEDS and part.share == 1.0:
                    more = [replace(p, n_seeds=p.n_seeds + 1) if p is part else p for p in self.parts]
                    if self._fits(more):
                        self.parts, growing = more, True
                        break

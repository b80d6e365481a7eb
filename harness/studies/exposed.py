"""Accuracy of a model by position of the answer: on true prefixes, as in training, and on its own, as when it writes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
import numpy.typing as npt

from mtp_eval.harness.studies.cell_result import CellResult, Examination
from mtp_eval.harness.studies.definition import Measure
from mtp_eval.harness.training.forced import forced_answers
from mtp_eval.tasks.registry import load_task

MOST_POSITIONS = 64
Hits = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Accuracy:
    """Whether each token of each problem's reference was right, by position, for every problem.

    Args:
        forced: after the true tokens before it.
        free: at its place in what the model wrote; wrong where that is shorter.
    """

    forced: tuple[Hits, ...]
    free: tuple[Hits, ...]

    def by_position(self) -> tuple[list[float], list[float]]:
        """Shares of right tokens at each position, of the problems whose reference is that long: forced, free."""
        longest = max(map(len, self.forced), default=0)
        forced, free = (
            [fmean(float(hits[t]) for hits in of if len(hits) > t) for t in range(longest)]
            for of in (self.forced, self.free)
        )
        return forced, free


@dataclass(frozen=True)
class Exposure(Examination[Accuracy]):
    """Both accuracies on the problems of the cell's run, for the first `most` tokens of each reference; one sample a problem."""

    most: int = MOST_POSITIONS

    def of(self, result: CellResult) -> Accuracy:
        """One pass over the references, beside the run's completions."""
        problems = {problem.problem_id: problem for problem in load_task(result.cell.task).problems()}
        written = {r.problem_id: r.completion.text for r in result.tested.records() if r.completion.sample == 0}
        asked = [(problems[i].prompt, problems[i].reference, text) for i, text in sorted(written.items())]
        answers = list(forced_answers(result.model_folder, asked, self.most))
        padded = [(*one.written, *[-1] * (len(one.ids) - len(one.written))) for one in answers]
        return Accuracy(
            tuple(np.equal(one.guesses, one.ids) for one in answers if one.ids),
            tuple(np.equal(text, one.ids) for one, text in zip(answers, padded, strict=True) if one.ids),
        )


LOOK = Exposure()


def _percent(hits: Sequence[Hits]) -> npt.NDArray[np.float64]:
    """Share of the right tokens of each problem."""
    return 100.0 * np.array([one.mean() for one in hits])


def _of(name: str, value: Callable[[Accuracy], npt.NDArray[np.float64]], lowest: float) -> Measure:
    def variance(cell: CellResult) -> float:
        values = value(cell.examined(LOOK))
        return float(values.var(ddof=1)) / values.size

    return Measure(name, lambda cell: float(value(cell.examined(LOOK)).mean()), variance, bounds=(lowest, 100.0))


FORCED = _of("teacher-forced: tokens right (%)", lambda found: _percent(found.forced), 0.0)
FREE = _of("free-running: tokens right (%)", lambda found: _percent(found.free), 0.0)
GAP = _of("gap (points)", lambda found: _percent(found.forced) - _percent(found.free), -100.0)

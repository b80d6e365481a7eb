"""Several temperatures: the score at the best one in hindsight, at a fixed one, and at one chosen on other problems.

Three ways, side by side:
- oracle: for every k the temperature with the best score on the very problems that are scored, as the paper does
  (arXiv 2404.19737, Table 1). Always labelled: the best of several noisy scores is too high on average.
- fixed: a temperature named before looking; by default 0.1 for pass@1 and 0.8 for larger k, or what is nearest to it.
- cross-validated: half of the problems choose, the other half is scored, both ways round, averaged over many random
  halvings. Unbiased for "choose on as many problems, score on fresh ones".

Not covered: choosing anything else than the temperature.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mtp_eval.results.errors import OptionError
from mtp_eval.results.scores.cells import Cell
from mtp_eval.results.scores.estimators import FloatArray
from mtp_eval.results.scores.intervals import Interval, mean_interval

HALVINGS = 200
FIXED_AT_1, FIXED_ABOVE = 0.1, 0.8


@dataclass(frozen=True)
class Read:
    """A score read at a chosen temperature. `values` are per problem; `share` says how often each was chosen."""

    mean: float
    interval: Interval
    values: FloatArray
    share: Mapping[float, float]

    @property
    def temperature(self) -> float:
        """The one that was chosen, most often where there were several choices."""
        return max(self.share, key=lambda t: (self.share[t], -t))


@dataclass(frozen=True)
class Reading:
    """One model, task, group and k, read in the three ways; `by_temperature` has every score."""

    model: str
    task: str
    group: str
    k: int
    n_problems: int
    by_temperature: Mapping[float, float]
    oracle: Read
    fixed: Read
    cross_validated: Read


def read_temperatures(cells: Sequence[Cell], k: int, fixed: float | None = None, level: float = 0.95) -> Reading:
    """The three readings of the cells of one model, task and group, one cell per temperature.

    Raises:
        OptionError: no temperature known, a pass@k that is undefined, or problems that differ between temperatures.
    """
    scores = {}
    for cell in cells:
        score = cell.score(k)
        if cell.temperature is None or score.reason:
            raise OptionError(
                f"{cell.model} on {cell.task} at T={cell.temperature}: {score.reason or 'the temperature is not known'}"
            )
        scores[cell.temperature] = score
    if len({score.problem_ids for score in scores.values()}) != 1:
        raise OptionError(f"{cells[0].model} on {cells[0].task}: the temperatures have been run on different problems")
    heats = sorted(scores)
    values_TP = np.stack([scores[heat].values for heat in heats])
    means = values_TP.mean(axis=1)
    best = int(np.argmax(means))
    wanted = fixed if fixed is not None else (FIXED_AT_1 if k == 1 else FIXED_ABOVE)
    near = int(np.argmin([abs(heat - wanted) for heat in heats]))
    values, share = cross_validated(values_TP)
    return Reading(
        model=cells[0].model,
        task=cells[0].task,
        group=cells[0].group,
        k=k,
        n_problems=values_TP.shape[1],
        by_temperature=dict(zip(heats, means.tolist(), strict=True)),
        oracle=_read(values_TP[best], {heats[best]: 1.0}, level),
        fixed=_read(values_TP[near], {heats[near]: 1.0}, level),
        cross_validated=_read(values, {heat: part for heat, part in zip(heats, share, strict=True) if part}, level),
    )


def cross_validated(values_TP: FloatArray, halvings: int = HALVINGS, seed: int = 0) -> tuple[FloatArray, list[float]]:
    """The score of each problem at the temperature that other problems chose, and how often each was chosen.

    Raises:
        OptionError: there are fewer than 2 problems.
    """
    n_heats, n_problems = values_TP.shape
    if n_problems < 2:
        raise OptionError("cross-validation needs at least 2 problems")
    rng = np.random.default_rng(seed)
    total_P = np.zeros(n_problems)
    chosen: Counter[int] = Counter()
    for _ in range(halvings):
        order = rng.permutation(n_problems)
        halves = order[: n_problems // 2], order[n_problems // 2 :]
        for chooses, scored in (halves, halves[::-1]):
            best = int(np.argmax(values_TP[:, chooses].mean(axis=1)))
            total_P[scored] += values_TP[best, scored]
            chosen[best] += 1
    return total_P / halvings, [chosen[heat] / (2 * halvings) for heat in range(n_heats)]


def by_temperature(cells: Sequence[Cell]) -> list[list[Cell]]:
    """The cells grouped by model, task and group, in their order; those of one group differ in temperature only."""
    groups: dict[tuple[str, str, str], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((cell.model, cell.task, cell.group), []).append(cell)
    return list(groups.values())


def _read(values_P: FloatArray, share: Mapping[float, float], level: float) -> Read:
    return Read(float(values_P.mean()), mean_interval(values_P, level), values_P, share)

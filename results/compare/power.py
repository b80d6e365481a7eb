"""Before a run: the smallest difference that a paired comparison would detect, and what more samples would buy.

    minimum detectable difference = (z(1 - alpha/2) + z(power)) * sd(d) / sqrt(P)

sd(d), the spread over problems of the difference between two models, has two parts: models differ in which problems they
can do (more samples do not help), and each score carries sampling noise p(1-p)/n (more samples do). Both parts are
estimated from runs at hand, or assumed. Not covered: pass@k for k above 1; the figures are for pass@1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mtp_eval.results.errors import OptionError
from mtp_eval.results.scores.cells import Cell
from mtp_eval.results.scores.estimators import FloatArray
from mtp_eval.results.tables.render import Column, Entry, Table, text_entry

SAMPLES = (1, 10, 50, 200)
USUAL_AGREEMENT = 0.8
"""Correlation over problems of two models' chances, where no runs of both are at hand."""


@dataclass(frozen=True, slots=True)
class MeasuredSpread:
    """The two parts of a difference's variance, per problem.

    Args:
        n_problems: problems of the comparison.
        between: variance over problems of the difference of the two models' chances.
        sampling: p(1-p) of both models added up, averaged over problems; divided by n it is the sampling noise.
    """

    n_problems: int
    between: float
    sampling: float

    def sd(self, n_samples: int) -> float:
        """The standard deviation over problems of the difference with so many samples a problem."""
        return math.sqrt(self.between + self.sampling / n_samples)

    def detectable(self, n_samples: int, power: float = 0.8, alpha: float = 0.05) -> float:
        """The true difference (a share) that is found significant with probability `power`."""
        from scipy.special import ndtri

        reach = float(ndtri(1.0 - alpha / 2.0) + ndtri(power))
        return reach * self.sd(n_samples) / math.sqrt(self.n_problems)

    @classmethod
    def assumed(cls, n_problems: int, score: float, agreement: float) -> MeasuredSpread:
        """The spread of two assumed models of this pass@1, whose chances correlate over problems by `agreement`.

        The chances are taken as Beta-distributed with mean `score` and a + b = 1 (most problems nearly always or nearly
        never solved, as found with small code models).

        Raises:
            OptionError: a value out of its range.
        """
        if not (n_problems >= 2 and 0.0 < score < 1.0 and 0.0 <= agreement <= 1.0):
            raise OptionError(
                "expected at least 2 problems, a score between 0 and 1 and an agreement from 0 to 1; "
                f"got {n_problems}, {score} and {agreement}"
            )
        spread = score * (1.0 - score) / 2.0
        return cls(n_problems, 2.0 * spread * (1.0 - agreement), 2.0 * (score * (1.0 - score) - spread))


def estimate_parts(c: FloatArray, n: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Share of passed samples and unbiased p(1-p) per problem; the latter is p(1-p) itself where n is 1."""
    share = c / n
    return share, np.where(n > 1, share * (1.0 - share) * n / np.maximum(n - 1.0, 1.0), share * (1.0 - share))


def spread_of_pair(baseline: Sequence[Cell], candidate: Sequence[Cell]) -> list[tuple[str, MeasuredSpread]]:
    """The measured spread of a pair of finished runs, one entry per task that both have.

    Raises:
        OptionError: they share no task on which every problem was sampled.
    """
    rows = []
    for cell in baseline:
        for other in candidate:
            if (cell.task, cell.group, cell.problem_ids) != (other.task, other.group, other.problem_ids):
                continue
            if min(cell.n.min(), other.n.min()) < 1:
                continue
            p, noise_p = estimate_parts(cell.c.astype(float), cell.n.astype(float))
            q, noise_q = estimate_parts(other.c.astype(float), other.n.astype(float))
            measured = float((noise_p / cell.n + noise_q / other.n).mean())
            between = max(0.0, float((p - q).var(ddof=1)) - measured)
            if cell.n.max() == 1 or other.n.max() == 1:
                between = float((p - q).var(ddof=1))  # one sample cannot tell the two parts apart
                rows.append((f"{cell.where}: {cell.model}, {other.model}", MeasuredSpread(cell.n.size, between, 0.0)))
                continue
            sampling = float((noise_p + noise_q).mean())
            rows.append((f"{cell.where}: {cell.model}, {other.model}", MeasuredSpread(cell.n.size, between, sampling)))
    if not rows:
        raise OptionError("the two runs share no task with the same problems, all of them sampled")
    return rows


def spread_of_models(cells: Sequence[Cell], agreement: float) -> list[tuple[str, MeasuredSpread]]:
    """The spread measured on one run, with an assumed second model whose chances correlate with it by `agreement`.

    Raises:
        OptionError: there is no task of which every problem was sampled.
    """
    rows = []
    for cell in cells:
        if cell.n.min() < 1:
            continue
        p, noise = estimate_parts(cell.c.astype(float), cell.n.astype(float))
        if cell.n.max() == 1:
            assumed = MeasuredSpread.assumed(cell.n.size, min(max(float(p.mean()), 1e-3), 1 - 1e-3), agreement)
            rows.append((f"{cell.where}: {cell.model}", assumed))
            continue
        spread = max(0.0, float(p.var(ddof=1)) - float((noise / cell.n).mean()))
        rows.append(
            (
                f"{cell.where}: {cell.model}",
                MeasuredSpread(cell.n.size, 2 * spread * (1 - agreement), 2 * float(noise.mean())),
            )
        )
    if not rows:
        raise OptionError("the run has no task of which every problem was sampled")
    return rows


def detectable_table(rows: Sequence[tuple[str, MeasuredSpread]], power: float = 0.8, alpha: float = 0.05) -> Table:
    """Minimum detectable differences in points, a row per task, a column per number of samples."""
    columns = [Column("comparison"), Column("problems", True)]
    columns += [Column(f"n={n} (points)", True, (f"n={n}",)) for n in SAMPLES]
    lines = []
    for name, spread in rows:
        found = [spread.detectable(n, power, alpha) for n in SAMPLES]
        entries = [Entry(f"{100 * value:.1f}", values=(value,)) for value in found]
        if spread.sampling == 0.0:
            entries = [entries[0], *(Entry("–", values=(None,)) for _ in entries[1:])]
        lines.append((text_entry(name), text_entry(spread.n_problems), *entries))
    notes = (
        f"The true difference in pass@1 that a paired comparison finds with probability {power:g} at level {alpha:g}, "
        "by samples per problem. One test: several need more.",
    )
    return Table(tuple(columns), tuple(lines), "Normal approximation, paired over problems.", notes)

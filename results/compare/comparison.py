"""Comparing runs: which cells belong together, what differs, and the sentence one may print.

    two runs (or one of several models) -> pairs of cells -> one `Comparison` per pair and k

What may be compared is decided in `results.compare.pairs`, the statistics are in `results.scores.significance`, what is printed in
`results.compare.text`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mtp_eval.results.compare.pairs import pair_cells, refuse_unlike, stated_differences
from mtp_eval.results.scores.cells import Cell, Score
from mtp_eval.results.scores.estimators import FloatArray
from mtp_eval.results.scores.intervals import Interval
from mtp_eval.results.scores.scored import ScoredRun
from mtp_eval.results.scores.significance import TIE, difference_interval, holm, noninferiority_p, paired_p


@dataclass(frozen=True, slots=True)
class Flip:
    """One problem on which the two differ: passed and judged samples of each."""

    problem_id: str
    baseline: tuple[int, int]
    candidate: tuple[int, int]

    @property
    def change(self) -> float:
        """The change of the share of passed samples."""
        return self.candidate[0] / self.candidate[1] - self.baseline[0] / self.baseline[1]


@dataclass(frozen=True)
class Comparison:
    """One pair of cells at one k. Shares, not points; `p_holm` is adjusted over all comparisons made together."""

    baseline_model: str
    candidate_model: str
    task: str
    group: str
    k: int
    n_problems: int
    baseline: float
    candidate: float
    interval: Interval
    p_value: float
    test: str
    p_holm: float
    wins: tuple[Flip, ...]
    losses: tuple[Flip, ...]
    n_ties: int
    notes: tuple[str, ...] = ()
    margin: float = 0.0
    """How much worse (a share) the candidate may be in a test of non-inferiority; 0 for none."""
    p_margin: float = float("nan")
    """One-sided p-value of "worse by the margin or more", adjusted like `p_holm`."""
    least_p: float = 0.0
    """The smallest p-value that so many problems can give, were every one of them lost."""
    at: str = ""
    """The temperature, such as "T=0.8", where the runs are over several."""

    @property
    def difference(self) -> float:
        """Candidate minus baseline."""
        return self.candidate - self.baseline

    def is_regression(self, alpha: float = 0.05, tolerance: float = 0.0) -> bool:
        """Whether the candidate is significantly worse, and by more than `tolerance` (a share)."""
        return self.p_holm <= alpha and self.difference < -tolerance

    def is_noninferior(self, alpha: float = 0.05) -> bool:
        """Whether it is shown that the candidate is not worse by the margin or more."""
        return self.p_margin <= alpha

    def is_gain(self, alpha: float = 0.05) -> bool:
        """Whether the candidate is significantly better."""
        return self.p_holm <= alpha and self.difference > 0

    @property
    def where(self) -> str:
        """Task and group for a sentence."""
        name = f"{self.task} ({self.group})" if self.group else self.task
        return f"{name} at {self.at}" if self.at else name


def compare_runs(
    baseline: ScoredRun,
    candidate: ScoredRun,
    ks: Sequence[int],
    baseline_model: str | None = None,
    candidate_model: str | None = None,
    level: float = 0.95,
    on_common_problems: bool = False,
    names: tuple[str, str] = ("baseline", "candidate"),
    margin: float = 0.0,
) -> list[Comparison]:
    """Every pair of cells at every k, corrected for being several; `names` tell runs of one label apart.

    Raises:
        NotComparable: protocol, data or problems differ.
    """
    comparisons = []
    for of_baseline, of_candidate in pair_cells(baseline, candidate, baseline_model, candidate_model):
        refuse_unlike(baseline.header, candidate.header, of_baseline, of_candidate, on_common_problems)
        notes = stated_differences(baseline.header, candidate.header, of_baseline, of_candidate)
        if of_baseline.model == of_candidate.model:
            of_baseline = replace(of_baseline, model=f"{names[0]}/{of_baseline.model}")
            of_candidate = replace(of_candidate, model=f"{names[1]}/{of_candidate.model}")
        found = [compare_cells(of_baseline, of_candidate, k, level, notes, margin) for k in ks]
        several = len({cell.temperature for cell in candidate.cells if cell.task == of_candidate.task}) > 1
        at = f"T={of_candidate.temperature:g}" if several and of_candidate.temperature is not None else ""
        comparisons += [replace(c, at=at) for c in found]
    return corrected(comparisons)


def corrected(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """The comparisons with Holm's correction over all of them that have a p-value."""
    defined = [c for c in comparisons if not np.isnan(c.p_value)]
    adjusted = iter(holm([c.p_value for c in defined]))
    margins = iter(holm([c.p_margin for c in defined]))
    return [
        c if np.isnan(c.p_value) else replace(c, p_holm=next(adjusted), p_margin=next(margins)) for c in comparisons
    ]


def blind(comparisons: Sequence[Comparison], alpha: float) -> list[Comparison]:
    """The comparisons that could not be significant after correction whatever the candidate did: too few problems."""
    defined = [c for c in comparisons if not np.isnan(c.p_value)]
    return [c for c in defined if c.least_p * len(defined) > alpha]


def blind_sentence(c: Comparison, alpha: float, n_comparisons: int) -> str:
    """Why a comparison is no gate, and what to do."""
    return (
        f"{c.n_problems} problem{'s' if c.n_problems != 1 else ''} of {c.where} cannot show a loss: if every one were lost, p would be "
        f"{min(1.0, c.least_p * n_comparisons):.2g} over {n_comparisons} comparison{'s' if n_comparisons != 1 else ''}, above {alpha:g}; "
        "take more problems, fewer comparisons or a larger alpha"
    )


def compare_cells(
    baseline: Cell, candidate: Cell, k: int, level: float = 0.95, notes: Sequence[str] = (), margin: float = 0.0
) -> Comparison:
    """One comparison on the problems that both could score; `p_holm` is still the plain p-value."""
    scores = baseline.score(k), candidate.score(k)
    remarks = list(notes)
    shared, values = _on_shared_problems(*scores)
    for name, score in zip(("baseline", "candidate"), scores, strict=True):
        if score.reason:
            remarks.append(f"pass@{k} of the {name} is undefined: {score.reason}")
        elif score.n_left_out:
            remarks.append(f"{score.n_left_out} problems of the {name} are left out: infrastructure errors")
    d_P = values[1] - values[0]
    d_P[np.abs(d_P) < TIE] = 0.0  # 3 of 10 and 6 of 20 are the same score, whatever rounding says
    p_value, test = paired_p(d_P) if shared else (float("nan"), "none")
    wins, losses = _flips(baseline, candidate, shared, d_P)
    means = [float(value.mean()) if shared else float("nan") for value in values]
    return Comparison(
        baseline_model=baseline.model,
        candidate_model=candidate.model,
        task=baseline.task,
        group=baseline.group,
        k=k,
        n_problems=len(shared),
        baseline=means[0],
        candidate=means[1],
        interval=difference_interval(d_P, level),
        p_value=p_value,
        test=test,
        p_holm=p_value,
        wins=wins,
        losses=losses,
        n_ties=len(shared) - len(wins) - len(losses),
        notes=tuple(remarks),
        margin=margin,
        p_margin=noninferiority_p(d_P, margin) if margin and shared else float("nan"),
        least_p=min(1.0, 2.0 ** (1 - len(shared))),
    )


def _on_shared_problems(a: Score, b: Score) -> tuple[list[str], tuple[FloatArray, FloatArray]]:
    in_a, in_b = ({name: i for i, name in enumerate(score.problem_ids)} for score in (a, b))
    shared = [name for name in a.problem_ids if name in in_b]
    values_a = a.values[[in_a[name] for name in shared]] if shared else np.empty(0)
    values_b = b.values[[in_b[name] for name in shared]] if shared else np.empty(0)
    return shared, (values_a, values_b)


def _flips(
    baseline: Cell, candidate: Cell, shared: Sequence[str], d_P: FloatArray
) -> tuple[tuple[Flip, ...], tuple[Flip, ...]]:
    places = [{name: i for i, name in enumerate(cell.problem_ids)} for cell in (baseline, candidate)]
    wins: list[Flip] = []
    losses: list[Flip] = []
    for name, change in zip(shared, d_P, strict=True):
        if change == 0:
            continue
        counts = [
            (int(cell.c[place[name]]), int(cell.n[place[name]]))
            for cell, place in zip((baseline, candidate), places, strict=True)
        ]
        (wins if change > 0 else losses).append(Flip(name, counts[0], counts[1]))
    wins.sort(key=lambda flip: -flip.change)
    losses.sort(key=lambda flip: flip.change)
    return tuple(wins), tuple(losses)

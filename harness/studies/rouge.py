"""ROUGE of what models write against the references of their problems (Lin 2004), as the package rouge-score computes it.

The paper's figures are F1 of ROUGE-L on whole texts (Tables S8 to S10); words are stemmed, as is usual for summaries.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mtp_eval.harness.studies.cell_result import CellResult, Examination
from mtp_eval.harness.studies.definition import Measure
from mtp_eval.tasks.registry import load_task

PACKAGE = ("rouge_score", "rouge")
"""As it is imported, and the extra that brings it."""
PerProblem = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Rouge(Examination[PerProblem]):
    """F1 of each problem that was asked, in per cent, the mean over its samples; empty where the package is not installed.

    Args:
        kind: such as "rougeL".
    """

    kind: str = "rougeL"

    def of(self, result: CellResult) -> PerProblem:
        """One comparison a completion."""
        try:
            from rouge_score.rouge_scorer import RougeScorer
        except ImportError:  # a study that needs it does not begin without it; another one shows no figure
            return np.zeros(0)
        scorer = RougeScorer([self.kind], use_stemmer=True)
        references = {problem.problem_id: problem.reference for problem in load_task(result.cell.task).problems()}
        found: dict[str, list[float]] = {}
        for record in result.tested.records():
            score = scorer.score(references[record.problem_id], record.completion.text)[self.kind]
            found.setdefault(record.problem_id, []).append(100.0 * score.fmeasure)
        return np.array([np.mean(values) for _, values in sorted(found.items())])


def rouge(kind: str, title: str, task: str) -> Measure:
    """Mean F1 in per cent on a task; NaN in cells of other tasks."""
    look = Rouge(kind)

    def of_cell(cell: CellResult) -> PerProblem:
        return cell.examined(look) if cell.cell.task.partition("@")[0] == task else np.zeros(0)

    def mean(cell: CellResult) -> float:
        values = of_cell(cell)
        return float(values.mean()) if values.size else math.nan

    def variance(cell: CellResult) -> float:
        values = of_cell(cell)
        return float(values.var(ddof=1)) / values.size if values.size > 1 else math.nan

    return Measure(f"{title} F1 (%)", mean, variance, bounds=(0.0, 100.0))

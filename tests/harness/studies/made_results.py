"""Results of a study that nobody trained: cells with the scores that a test gives them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from mtp_eval.harness.studies.cell_result import CellResult, Examination, Found
from mtp_eval.harness.studies.cells import Cell
from mtp_eval.harness.studies.choice_terms import ByKind, ChoiceTerms, Terms
from mtp_eval.harness.studies.definition import Recipe, Results, Study
from mtp_eval.harness.studies.exposed import Accuracy, Exposure
from mtp_eval.harness.studies.head_losses import HeadLosses, Losses
from mtp_eval.harness.studies.rouge import Rouge
from mtp_eval.results.scores.cells import Cell as ScoredCell
from mtp_eval.tasks.synthetic.laws import Entropies

GROUPS = ("01", "02", "03", "04", "05", "06", "in", "out")
N_PROBLEMS = 50

Share = Callable[[Recipe, int], float]
"""Of right answers, by recipe and seed."""


def losses(share: float, n: int) -> Losses:
    return Losses(
        next=share + SPREAD,
        second=share + 0.2 + SPREAD if n > 1 else SPREAD * np.nan,
        second_given_next=share + 0.1 + SPREAD,
        closed=Entropies(1.0, 1.2, 0.9),
    )


def terms(share: float, n: int) -> Terms:
    sums = ByKind(share + SPREAD, share + SPREAD / 2, 0 * SPREAD)
    return Terms(sums, sums, (share, 1.0), np.full((n, 9), share), options=4)


def accuracy(share: float, n: int) -> Accuracy:
    right = tuple(np.arange(3) <= 3 * share * number / N_PROBLEMS for number in range(N_PROBLEMS))
    return Accuracy(forced=tuple(hits | (np.arange(3) > 0) for hits in right), free=right)


SPREAD = np.linspace(0.9, 1.1, N_PROBLEMS)
LOOKED: Mapping[type, Callable[[float, int], Any]] = {
    HeadLosses: losses,
    ChoiceTerms: terms,
    Exposure: accuracy,
    Rouge: lambda share, n: 50 * share * SPREAD,
}
"""The outcome of an examination, for a share and n."""


@dataclass(frozen=True)
class MadeResult(CellResult):
    share: float = 0.0
    folder: Path = field(default_factory=Path)

    def examined(self, examination: Examination[Found]) -> Found:
        found: Found = LOOKED[type(examination)](self.share, self.cell.changes["model.n_future"])
        return found

    @property
    def tested(self) -> Any:
        n = np.full(N_PROBLEMS, self.cell.options.get("n_samples", 1), dtype=np.int64)
        c = n * (np.arange(N_PROBLEMS) < round(self.share * N_PROBLEMS))
        names = tuple(str(i) for i in range(N_PROBLEMS))
        return SimpleNamespace(
            cells=[
                ScoredCell(self.cell.recipe, task, group, 0.0, names, n, c, 0 * n, {}, 10 + len(self.cell.recipe), 5)
                for task in self.cell.task.split(",")
                for group in GROUPS
            ]
        )

    @property
    def training(self) -> dict[str, Any]:
        n = self.cell.changes.get("model.n_future", 1)
        return {
            "validation": {"bits_per_byte": [2.0 - self.share]},
            "step_cpu_seconds": 0.1 + self.share / 10,
            "config": {"model": {"n_future": 1 if n == "auto" else n}},
        }

    @property
    def speed(self) -> Any:
        if not self.cell.speed:
            return None
        return SimpleNamespace(speed_up_cpu=1.0 + self.share, tokens_per_forward=(10 + len(self.cell.recipe)) / 5)

    @property
    def model_folder(self) -> Path:
        return self.folder


def write_curve(place: Path, share: float) -> None:
    place.mkdir(parents=True)
    rows = "".join(f"{10 * i},validation,{share * i / 20}\n" for i in range(1, 21))
    (place / "metrics.csv").write_text("step,split,answers_right\n" + rows)


def made(study: Study, n_seeds: int, share: Share, folder: Path | None = None) -> Results:
    """Every recipe with so many seeds; with a folder there are curves, which rise in a straight line to the share."""
    found = []
    for part in study.parts:
        for recipe in part.recipes:
            for seed in range(n_seeds):
                of, place = share(recipe, seed), Path("nowhere")
                if folder is not None:
                    place = folder / f"{recipe.name}-{seed}"
                    write_curve(place, of)
                cell = Cell(
                    part.name, recipe.name, recipe.preset, dict(recipe.changes), 200, seed, recipe.task or part.task, "", "",
                    watched=part.watch is not None,
                    options={**part.run, **recipe.run},
                    speed=dict(recipe.speed),
                )  # fmt: skip
                found.append(MadeResult(cell, share=of, folder=place))
    return Results(study, tuple(found))

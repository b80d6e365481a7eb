"""Loss terms that hang on a choice, on a free symbol, and on nothing: their shares in loss and gradient (section 5.1, Figure 9)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt

from mtp_eval.harness.studies.cell_result import CellResult, Examination
from mtp_eval.harness.studies.definition import Measure
from mtp_eval.harness.training.terms import loss_terms, trunk_gradients
from mtp_eval.tasks.registry import load_task
from mtp_eval.tasks.synthetic.laws import Choices
from mtp_eval.tasks.synthetic.process import ProcessTask, letters

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class ByKind:
    """A sum over terms of each kind, for each text."""

    choice: Floats
    free: Floats
    easy: Floats

    @property
    def all(self) -> Floats:
        """The sum over all terms."""
        return self.choice + self.free + self.easy


@dataclass(frozen=True)
class Terms:
    """What a model's terms add up to.

    Args:
        loss: nats.
        gradient: norms of the gradients that terms send into their head's output.
        trunk: squared norms of the gradients that all terms of the kind together send into the trunk; one number for all texts.
        loss_of_place: mean nats `(heads, places of a period)`.
        options: of each choice.
    """

    loss: ByKind
    gradient: ByKind
    trunk: tuple[float, float]
    loss_of_place: Floats
    options: int


@dataclass(frozen=True)
class ChoiceTerms(Examination[Terms]):
    """The terms of `n_texts` new texts of `process@choices`; every seed has texts of its own.

    Terms are counted by their target: those of all periods but the first, which is not looked forward to from everywhere.
    """

    n_texts: int = 200

    def of(self, result: CellResult) -> Terms:
        """One pass over the texts, and one for the trunk."""
        task = load_task(result.cell.task)
        assert isinstance(task, ProcessTask), f"{result.cell.task} has no choices"
        assert isinstance(task.law, Choices), f"{result.cell.task} has no choices"
        texts = [letters(drawn) for drawn in islice(task.drawn(f"measured {result.cell.seed}"), self.n_texts)]
        terms = loss_terms(result.model_folder, texts)
        place_NT = places(task.law, terms.nats_NBT.shape[0], terms.nats_NBT.shape[2])
        choice_NT, free_NT, easy_NT = kinds(task.law, place_NT)

        def by_kind(values_NBT: Floats) -> ByKind:
            return ByKind(
                *(np.where(kind[:, None], values_NBT, 0).sum(axis=(0, 2)) for kind in (choice_NT, free_NT, easy_NT))
            )

        whole = (np.repeat(kind[:, None], len(texts), axis=1) for kind in (choice_NT, free_NT))
        choice, free = trunk_gradients(result.model_folder, texts, list(whole))
        return Terms(
            by_kind(terms.nats_NBT),
            by_kind(terms.gradients_NBT),
            (choice, free),
            mean_by_place(terms.nats_NBT.mean(axis=1), place_NT, task.law.period),
            task.law.options,
        )


def places(law: Choices, n_heads: int, length: int) -> Integers:
    """The place `(N, T)` of each term's target in its period; -1 where the term is not counted."""
    target_NT = np.arange(n_heads)[:, None] + np.arange(length)[None]
    counted_NT = (target_NT >= law.period) & (target_NT < law.length)
    return np.where(counted_NT, target_NT % law.period, -1)


def kinds(law: Choices, place_NT: Integers) -> tuple[Booleans, Booleans, Booleans]:
    """Which terms `(N, T)` hang on a choice, are of a free symbol, are easy."""
    choice_NT, free_NT = np.zeros_like(place_NT, dtype=bool), np.zeros_like(place_NT, dtype=bool)
    for i in range(len(place_NT)):
        for place in range(law.period):
            choice_NT[i] |= (place_NT[i] == place) & law.is_choice(place, i + 1)
            free_NT[i] |= (place_NT[i] == place) & law.is_free(place)
    return choice_NT, free_NT, (place_NT >= 0) & ~choice_NT & ~free_NT


def mean_by_place(nats_NT: Floats, place_NT: Integers, n_places: int) -> Floats:
    """The mean over terms of each head whose target has this place."""
    return np.array([[row[at == p].mean() for p in range(n_places)] for row, at in zip(nats_NT, place_NT, strict=True)])


LOOK = ChoiceTerms()


def _share(name: str, of: Callable[[Terms], ByKind]) -> Measure:
    def mean(cell: CellResult) -> float:
        found = of(cell.examined(LOOK))
        return 100.0 * float(found.choice.sum() / found.all.sum())

    def variance(cell: CellResult) -> float:
        found = of(cell.examined(LOOK))
        residuals = (
            found.choice - found.choice.sum() / found.all.sum() * found.all
        )  # of a ratio of means (Cochran 1977, 6.4)
        return 1e4 * float(residuals.var(ddof=1)) / residuals.size / float(found.all.mean()) ** 2

    return Measure(name, mean, variance, bounds=(0.0, 100.0))


def loss_share() -> Measure:
    """Share of the whole loss, all heads added up, in terms that hang on a choice."""
    return _share("loss at choices (%)", lambda terms: terms.loss)


def gradient_share() -> Measure:
    """The same of the gradients, by their norms at the heads' outputs."""
    return _share("gradient at choices (%)", lambda terms: terms.gradient)


def trunk_share() -> Measure:
    """What terms that hang on a choice send into the trunk over that and what free symbols send, by squared norms.

    Terms that hang on the same choice point the same way and add up, so that no count of terms says what this is.
    """

    def of(cell: CellResult) -> float:
        choice, free = cell.examined(LOOK).trunk
        return 100.0 * choice / (choice + free)

    return Measure("gradient into the trunk from choices (%)", of, bounds=(0.0, 100.0))


def hard_terms() -> Measure:
    """Terms of each choice, free symbols left out, whose mean loss is more than half of what guessing costs."""

    def of(cell: CellResult) -> float:
        terms = cell.examined(LOOK)
        tied = np.delete(terms.loss_of_place, Choices.free_place, axis=1)
        return float((tied > math.log(terms.options) / 2).sum())

    return Measure("hard terms a choice", of)

"""Losses of the heads on text of known entropy, and what they say about entropies and shared information."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from statistics import fmean

import numpy as np
import numpy.typing as npt

from mtp_eval.harness.studies.cell_result import CellResult, Examination
from mtp_eval.harness.studies.definition import Measure
from mtp_eval.harness.training.terms import loss_terms
from mtp_eval.tasks.registry import load_task
from mtp_eval.tasks.synthetic.laws import Entropies, Law
from mtp_eval.tasks.synthetic.process import ProcessTask, letters

PerText = npt.NDArray[np.float64]
"""The mean over a text's places, for each text."""


@dataclass(frozen=True)
class Losses:
    """Mean losses of each text, in nats, over the places at which the law is followed, without the chance of which texts were drawn.

    That chance is taken out by a control variate: from a text's loss goes what the law itself says of it, -log p, and the mean of that,
    the entropy, which is known, comes back. What is left varies by what the model has not learnt alone.

    Args:
        next: of head 1, for X.
        second: of head 2, for Y; NaN in a model without one.
        second_given_next: of head 1 one place further on, for the same Y.
        closed: what the law says.
    """

    next: PerText
    second: PerText
    second_given_next: PerText
    closed: Entropies


@dataclass(frozen=True)
class HeadLosses(Examination[Losses]):
    """The losses on `n_texts` new texts of the cell's own process; every seed has texts of its own."""

    n_texts: int = 300

    def of(self, result: CellResult) -> Losses:
        """One pass over the texts."""
        task = load_task(result.cell.task)
        assert isinstance(task, ProcessTask), f"{result.cell.task} has no known entropy"
        documents = list(islice(task.drawn(f"measured {result.cell.seed}"), self.n_texts))
        nats_NBT = loss_terms(result.model_folder, [letters(document) for document in documents]).nats_NBT
        law, closed = task.law, task.law.closed_forms()
        pasts, after = np.array(law.pasts), np.array(law.pasts) + 1

        def corrected(nats_BT: PerText, at: npt.NDArray[np.int64], ahead: int, entropy: float) -> PerText:
            return nats_BT[:, at].mean(axis=1) - law_nats(law, documents, at.tolist(), ahead) + entropy

        has_second = len(nats_NBT) > 1
        return Losses(
            next=corrected(nats_NBT[0], pasts, 0, closed.next),
            second=corrected(nats_NBT[1], pasts, 1, closed.second) if has_second else np.full(len(documents), np.nan),
            second_given_next=corrected(nats_NBT[0], after, 0, closed.second_given_next),
            closed=closed,
        )


def law_nats(law: Law, documents: Sequence[Sequence[int]], pasts: Sequence[int], ahead: int) -> PerText:
    """Mean nats of each document by the law itself, over these pasts, of the next symbol (`ahead` = 0) or the one after it (1)."""
    said = law.second_law if ahead else law.next_law
    return np.array([-fmean(math.log(said(d[:t])[d[t + ahead]]) for t in pasts) for d in documents])


LOOK = HeadLosses()


def of_losses(name: str, value: Callable[[Losses], PerText], digits: int = 3) -> Measure:
    """A mean over texts, whose variance is that of finitely many texts."""

    def mean(cell: CellResult) -> float:
        return float(value(cell.examined(LOOK)).mean())

    def variance(cell: CellResult) -> float:
        found = value(cell.examined(LOOK))
        return float(found.var(ddof=1)) / found.size

    return Measure(name, mean, variance, digits=digits)


NEXT = of_losses("head 1: H(X|C) (nats)", lambda losses: losses.next)
SECOND = of_losses("head 2: H(Y|C) (nats)", lambda losses: losses.second)
SHARED = of_losses("I(X;Y|C) (nats)", lambda losses: losses.second - losses.second_given_next)


def shared_weight() -> Measure:
    """How often the loss at one place counts I(X;Y|C): what it has beyond H(X|C,Y), and with a second head beyond H(Y|C,X), over it.

    NaN where X and Y share nothing.
    """

    def of_text(losses: Losses) -> PerText:
        closed = losses.closed
        if math.isclose(closed.shared, 0.0, abs_tol=1e-9):
            return np.full(losses.next.shape, np.nan)
        if np.isnan(losses.second).all():
            return (losses.next - closed.next_given_second) / closed.shared
        alone = closed.next_given_second + closed.second_given_next
        return (losses.next + losses.second - alone) / closed.shared

    return of_losses("weight of I(X;Y|C)", of_text, digits=2)

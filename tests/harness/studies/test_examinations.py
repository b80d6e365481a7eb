"""What is measured on trained models beside their runs, on models whose answers are known beforehand."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mtp_eval.harness.studies import choice_terms, head_losses
from mtp_eval.harness.studies.cell_result import CellResult
from mtp_eval.harness.studies.cells import Cell
from mtp_eval.harness.studies.choice_terms import gradient_share, hard_terms, loss_share
from mtp_eval.harness.studies.head_losses import NEXT, SECOND, SHARED, shared_weight
from mtp_eval.tasks.registry import load_task
from mtp_eval.tasks.synthetic.laws import LAWS
from mtp_eval.tasks.synthetic.process import ALPHABET, ProcessTask

FEW = 40


def law_model(name: str, n: int, nats_off: float = 0.0) -> Any:
    """The terms of a model that knows the law, or is off it by so many nats in every term, in the place of a trained one's."""
    law = LAWS[name]

    def ahead(past: list[int], i: int) -> list[float]:
        if i == 0:
            return list(law.next_law(past))
        found = [0.0] * law.n_symbols
        for symbol, p in enumerate(law.next_law(past)):
            if p:
                found = [a + p * b for a, b in zip(found, ahead([*past, symbol], i - 1), strict=True)]
        return found

    def terms(folder: Path, texts: list[str]) -> Any:
        nats = np.full((n, len(texts), law.length), np.nan)
        for b, text in enumerate(texts):
            symbols = [ALPHABET.index(letter) for letter in text]
            for i in range(n):
                for t in range(law.length - i):
                    nats[i, b, t] = -math.log(ahead(symbols[:t], i)[symbols[t + i]]) + nats_off
        return SimpleNamespace(nats_NBT=nats, gradients_NBT=np.nan_to_num(nats))

    return terms


def result(name: str, n: int) -> CellResult:
    return CellResult(Cell("p", "r", "x", {"model.n_future": n}, 1, 0, f"process@{name}", "nowhere", "nowhere"))


@pytest.mark.parametrize("name", ["markov", "copy", "permutation"])
def test_a_model_that_knows_the_law_has_its_entropies_exactly(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The chance of the texts is taken out whole; and what a model is off is found to the last digit."""
    closed, look = LAWS[name].closed_forms(), head_losses.LOOK
    monkeypatch.setattr(head_losses, "LOOK", head_losses.HeadLosses(n_texts=FEW))
    for off in (0.0, 0.05):
        monkeypatch.setattr(head_losses, "loss_terms", law_model(name, 2, off))
        cell = result(name, 2)
        assert NEXT.of(cell) == pytest.approx(closed.next + off)
        assert SECOND.of(cell) == pytest.approx(closed.second + off)
        assert SHARED.of(cell) == pytest.approx(closed.shared, abs=1e-9)
        weight = shared_weight().of(cell)
        if name == "copy":
            assert math.isnan(weight)
        else:
            assert weight == pytest.approx(2 + 2 * off / closed.shared)
    monkeypatch.setattr(head_losses, "loss_terms", law_model(name, 1))
    alone = result(name, 1)
    assert math.isnan(SECOND.of(alone))
    assert name == "copy" or shared_weight().of(alone) == pytest.approx(1.0)
    assert look.n_texts > FEW


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_a_model_that_knows_the_choices_spends_what_the_count_of_terms_says(
    n: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice_terms, "LOOK", choice_terms.ChoiceTerms(n_texts=FEW))
    monkeypatch.setattr(choice_terms, "loss_terms", law_model("choices", n))
    monkeypatch.setattr(choice_terms, "trunk_gradients", lambda folder, texts, kinds: [1.0, 1.0])
    cell = result("choices", n)
    assert hard_terms().of(cell) == n * (n + 1) // 2
    for share in (loss_share(), gradient_share()):
        assert share.of(cell) == pytest.approx(100 * (n + 1) / (n + 3))
        assert share.variance(cell) == pytest.approx(0.0, abs=1e-9)


def test_every_seed_is_measured_on_texts_of_its_own() -> None:
    task = load_task("process@markov")
    assert isinstance(task, ProcessTask)
    first, again, other = (next(task.drawn(f"measured {seed}")) for seed in (0, 0, 1))
    assert first == again != other

"""Claims on a choice, on changes (interactions), and ROUGE, on made-up results."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mtp_eval.harness.errors import InputError
from mtp_eval.harness.studies.catalogue import load_study
from mtp_eval.harness.studies.cell_result import CellResult
from mtp_eval.harness.studies.cells import Cell
from mtp_eval.harness.studies.claims import NOT_REPRODUCED, REPRODUCED, UNDECIDED, Comparison, NoGain
from mtp_eval.harness.studies.conduct import check_parts
from mtp_eval.harness.studies.definition import Part, Recipe, Study
from mtp_eval.harness.studies.measures import bits_per_byte, pass_at_1
from mtp_eval.harness.studies.near_best import NearBest
from mtp_eval.harness.studies.planned import definition_of
from mtp_eval.harness.studies.rouge import PACKAGE, rouge
from mtp_eval.harness.studies.verdict import Verdict, verdicts
from mtp_eval.tasks.registry import load_task
from tests.extras import needs
from tests.harness.studies.made_results import made
from tests.harness.studies.tiny_study import STUDY

NAMES = ("a", "b", "c", "d")


def study_of(claim: Any) -> Study:
    recipes = tuple(Recipe(name, name, "chain-n1") for name in NAMES)
    return replace(STUDY, parts=(Part("one", "chain", recipes, minutes=1.0),), claims=(claim,))


def judged(
    claim: Any, levels: dict[str, float], *, noise: float = 0.01, n_seeds: int = 5, in_full: bool = True
) -> Verdict:
    """The verdict where each recipe's share is around its level."""
    rng = np.random.default_rng(4)
    off = {name: rng.normal(0, noise, n_seeds) for name in NAMES}
    for values in off.values():
        values -= values.mean()
    results = made(study_of(claim), n_seeds, lambda recipe, seed: levels[recipe.name] + float(off[recipe.name][seed]))
    (found,) = verdicts(results, in_full=in_full)
    return found


CHOSEN = NearBest(
    text="d is as good as the best of a, b and c", source="nowhere", measure=bits_per_byte(), matters=0.1, rises=False,
    candidate="d", grid=("a", "b", "c"),
)  # fmt: skip


@pytest.mark.parametrize(
    ("d", "in_full", "outcome"),
    [
        (0.8, True, REPRODUCED),
        (0.797, True, REPRODUCED),
        (0.6, True, NOT_REPRODUCED),
        (0.789, True, UNDECIDED),
        (0.8, False, UNDECIDED),
    ],
)
def test_a_choice_is_held_against_the_best_less_one_standard_error(d: float, in_full: bool, outcome: str) -> None:
    """Bits per byte are 2 less the share: b is best with 1.2, and the standard error of its mean is about 0.005."""
    found = judged(CHOSEN, {"a": 0.5, "b": 0.8, "c": 0.7, "d": d}, in_full=in_full)
    assert found.outcome == outcome, found.sentence()
    bar = found.means[0]
    assert 1.2 < bar < 1.21
    assert found.means[1] == pytest.approx(2 - d)
    assert "one standard error" in found.sentence() or outcome == UNDECIDED


def test_the_bar_is_the_best_mean_and_its_standard_error() -> None:
    claim = replace(CHOSEN, measure=pass_at_1(), rises=True, learnt=90.0)
    found = judged(claim, {"a": 0.5, "b": 0.8, "c": 0.7, "d": 0.8}, noise=0.1)
    rng = np.random.default_rng(4)
    offs = [rng.normal(0, 0.1, 5) for _ in NAMES]
    values = 100 * np.round(50 * (0.8 + offs[1] - offs[1].mean())) / 50
    assert found.means[0] == pytest.approx(values.mean() - values.std(ddof=1) / np.sqrt(5), abs=0.5)
    assert found.outcome == UNDECIDED, "nothing reached what counts as learnt"


@pytest.mark.parametrize(("d", "outcome"), [(0.9, REPRODUCED), (0.6, UNDECIDED)])
def test_two_changes_are_compared(d: float, outcome: str) -> None:
    """From c to d against from a to b: 0.2 more, or 0.1 less, in shares."""
    claim = Comparison(
        text="it gains more", source="nowhere", measure=bits_per_byte(), matters=0.5, rises=False,
        candidate="d", candidate_from="c", baseline="b", baseline_from="a",
    )  # fmt: skip
    found = judged(claim, {"a": 0.2, "b": 0.3, "c": 0.6, "d": d})
    assert found.outcome == (outcome if d > 0.7 else NOT_REPRODUCED)
    assert found.means == pytest.approx((-0.1, -(d - 0.6)))
    assert set(claim.recipes) == set(NAMES)
    assert claim.definition()["candidate_from"] == "c"


def test_claims_on_values_are_defined_as_before_changes_could_be_compared() -> None:
    for claim in load_study("planning").claims:
        assert not {"candidate_from", "baseline_from"} & set(claim.definition())
    (part, *_) = definition_of(STUDY)["parts"]
    assert all("task" not in recipe for recipe in part["recipes"])
    assert "task" in definition_of(load_study("whitespace"))["parts"][0]["recipes"][-1]


def test_a_change_that_is_no_more_than_another_one() -> None:
    claim = NoGain(
        text="it gains no more", source="nowhere", measure=bits_per_byte(), matters=0.3, learnt=-9.0,
        candidate="d", candidate_from="c", baseline="b", baseline_from="a",
    )  # fmt: skip
    assert judged(claim, {"a": 0.2, "b": 0.3, "c": 0.6, "d": 0.7}).outcome == REPRODUCED


def test_a_package_that_is_missing_is_said_before_anything_is_trained() -> None:
    (part,) = STUDY.parts
    with pytest.raises(InputError, match=r"pip install 'mtp-eval\[rouge\]'"):
        check_parts(replace(STUDY, parts=(replace(part, package=("no_such_package", "rouge")),)))
    assert [one.package for one in load_study("natural-language").parts] == [None, None, PACKAGE]


def test_rouge_l_is_the_longest_common_subsequence_of_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against the definition: F1 of LCS over both lengths (Lin 2004), on words without endings that the stemmer takes off."""
    needs("rouge_score", "rouge")
    problems = load_task("summaries").problems()[:3]
    texts = ["", problems[1].reference, " ".join(problems[2].reference.split()[::-1])]
    records = [
        SimpleNamespace(problem_id=problem.problem_id, completion=SimpleNamespace(text=text))
        for problem, text in zip(problems, texts, strict=True)
    ]
    cell = CellResult(Cell("p", "r", "x", {"model.n_future": 1}, 1, 0, "summaries", "", ""))
    monkeypatch.setattr(CellResult, "tested", SimpleNamespace(records=lambda: records))
    values = rouge("rougeL", "ROUGE-L", "summaries")
    of_each = [0.0, 100.0]
    low, high = sum(of_each) / 3, (sum(of_each) + 100.0) / 3
    assert low <= values.of(cell) < high
    other = CellResult(Cell("p", "r", "x", {}, 1, 0, "sentences", "", ""))
    assert np.isnan(values.of(other))

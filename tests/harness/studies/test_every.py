"""`study all`: each study gets its share of the budget, and the page of claims grows with every study that is done."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mtp_eval.harness.errors import InputError
from mtp_eval.harness.studies import conduct as check_module
from mtp_eval.harness.studies import every
from mtp_eval.harness.studies.catalogue import NAMES, load_study
from mtp_eval.harness.studies.claims_page import NOT_YET, PAGE_FILE, results_of
from mtp_eval.harness.studies.conduct import Finished
from mtp_eval.harness.studies.config import StudyConfig
from mtp_eval.harness.studies.definition import Study
from mtp_eval.harness.studies.plan import BudgetError
from mtp_eval.results.tables.render import Table


def test_the_page_of_claims_grows_with_every_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    budgets: dict[str, float] = {}
    not_yet: list[int] = []

    def conducted(study: Study, config: StudyConfig, out: Path) -> Finished:
        page = tmp_path / PAGE_FILE
        not_yet.append(page.read_text("utf-8").count(NOT_YET) if page.exists() else sum(counts))
        assert config.budget is not None
        budgets[study.name] = config.budget
        found = [{"claim": claim.text, "outcome": "undecided", "reason": "made up"} for claim in study.claims]
        out.mkdir()
        (out / "results.json").write_text(json.dumps({"study": study.name, "verdicts": found}))
        return Finished(out, Table((), (), "", ()), (), "", "")

    counts = [len(load_study(name).claims) for name in NAMES]
    monkeypatch.setattr(every, "conduct", conducted)
    monkeypatch.setattr(every, "check_parts", lambda study: None)
    every.conduct_all(StudyConfig(budget=100.0), tmp_path)
    assert not_yet == [sum(counts[i:]) for i in range(len(counts))]
    assert (tmp_path / PAGE_FILE).read_text("utf-8").count(NOT_YET) == 0
    assert sum(budgets.values()) == pytest.approx(100.0)


def test_a_study_that_does_not_fit_into_its_share_is_named_and_the_others_are_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ended the call, and could not be passed by any later one with the same budget."""

    def conducted(study: Study, config: StudyConfig, out: Path) -> Finished:
        if study.name == "bytes":
            raise BudgetError("--budget: 3 seeds take about 2.5 minutes here; give a larger budget")
        return Finished(out, Table((), (), "", ()), (), f"<h1>{study.name}</h1>", "")

    monkeypatch.setattr(every, "conduct", conducted)
    monkeypatch.setattr(every, "check_parts", lambda study: None)
    said = every.conduct_all(StudyConfig(budget=10.0), tmp_path)
    assert "## bytes\n\nnot conducted: --budget: 3 seeds take about 2.5 minutes here" in said
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "3 seeds take about 2.5 minutes here" in page
    assert all(f"<h1>{name}" in page for name in NAMES)


def test_what_the_last_study_needs_is_asked_for_before_the_first_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check_module, "find_spec", lambda name: None)
    monkeypatch.setattr(check_module, "load_task", lambda task: None)  # some are downloaded
    monkeypatch.setattr(every, "conduct", lambda *given: pytest.fail("hours of work before a refusal"))
    with pytest.raises(InputError, match=r"natural-language, part summaries, needs the package rouge_score"):
        every.conduct_all(StudyConfig(budget=100.0), tmp_path)


def test_results_that_are_damaged_are_named_and_missing_ones_are_none(tmp_path: Path) -> None:
    assert results_of(tmp_path) is None
    (tmp_path / "results.json").write_text("{")
    with pytest.raises(InputError, match=r"results\.json cannot be read"):
        results_of(tmp_path)


def test_parts_of_all_studies_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--part chooses parts of one study"):
        every.conduct_all(StudyConfig(part=("chain",)), tmp_path)

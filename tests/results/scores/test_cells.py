"""Counting: groups, temperatures, broken and missing samples."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtp_eval.results.files import dump_json
from mtp_eval.results.finish import finish
from mtp_eval.results.header import RunHeader
from mtp_eval.results.record import Record
from mtp_eval.results.run import read_run
from mtp_eval.results.scores.cells import count_cells
from mtp_eval.results.scores.metrics import run_metrics
from mtp_eval.results.scores.scored import ScoredRun
from mtp_eval.results.store import RunStore

NewHeader = Callable[..., dict[str, Any]]
NewRecord = Callable[..., Record]


def test_cells_split_by_model_task_group_and_temperature(new_header: NewHeader, new_record: NewRecord) -> None:
    header = new_header(["b", "a"], {"t": {"report_by": "m"}, "u": {}}, temperature=0.2)
    records = [
        new_record(model, "t", f"t/{m}", s, tags={"m": m}, temperature=heat)
        for model in ("a", "b")
        for m in ("10", "9")
        for s, heat in enumerate((None, 0.8))
    ] + [new_record("a", "u", "u/1", 0, tags={"m": "1"})]
    names = [cell.name for cell in count_cells(RunHeader(header), records)]
    assert names == [
        ("b", "t", "9", 0.2),
        ("b", "t", "9", 0.8),
        ("b", "t", "10", 0.2),
        ("b", "t", "10", 0.8),
        ("a", "t", "9", 0.2),
        ("a", "t", "9", 0.8),
        ("a", "t", "10", 0.2),
        ("a", "t", "10", 0.8),
        ("a", "u", "", 0.2),
    ]


def test_infrastructure_errors_are_no_wrong_answers(new_header: NewHeader, new_record: NewRecord) -> None:
    header = new_header(["a"], {"t": {"n_problems": 3}}, n_samples=2)
    verdicts = {
        "t/1": ["passed", "infrastructure_error"],
        "t/2": ["failed", "passed"],
        "t/3": ["infrastructure_error"] * 2,
    }
    records = [new_record("a", "t", p, s, v) for p, each in verdicts.items() for s, v in enumerate(each)]
    (cell,) = count_cells(RunHeader(header), records)
    at_1, at_2 = cell.score(1), cell.score(2)
    assert dict(zip(at_1.problem_ids, at_1.values, strict=True)) == {"t/1": 1.0, "t/2": 0.5}
    assert at_1.n_left_out == 1
    assert at_2.problem_ids == ("t/2",)
    assert at_2.mean == 1.0
    entry = run_metrics(ScoredRun(RunHeader(header), (cell,)), [1, 2])["cells"][0]
    assert entry["infrastructure_errors"] == 3
    assert entry["pass_at_k"]["1"]["problems_left_out"] == 1


def test_missing_samples_make_pass_at_k_undefined_with_a_reason(
    tmp_path: Path, new_header: NewHeader, new_record: NewRecord
) -> None:
    header = new_header(["a"], {"t": {"n_problems": 3}}, n_samples=2, k=[1, 2])
    with RunStore.open(tmp_path / "run", header) as store:
        store.append(
            [new_record("a", "t", "t/1", 0), new_record("a", "t", "t/1", 1), new_record("a", "t", "t/2", 0, "failed")]
        )
        markdown = str(finish(store, [1, 2], {}).table())
    assert np.isnan(read_run(tmp_path / "run").cells[0].score(2).mean)
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["complete"] is False
    entry = metrics["cells"][0]["pass_at_k"]
    assert entry["1"]["value"] == 0.5
    assert entry["2"]["value"] is None
    assert "1 of 2 problems have fewer than k=2 samples" in entry["2"]["reason"]
    assert "INCOMPLETE: a on t lacks 3 completions" in markdown


def test_texts_read_from_a_file_have_no_temperature(new_header: NewHeader, new_record: NewRecord) -> None:
    header = new_header(["a"], {"t": {"n_problems": 1}}, temperature=0.0)
    (cell,) = count_cells(RunHeader(header), [new_record("a", "t", "t/1", 0, stop_reason="given", temperature=0.0)])
    assert cell.temperature is None


def test_majority_of_exact_answers(new_header: NewHeader, new_record: NewRecord) -> None:
    header = new_header(["a"], {"t": {"n_problems": 3, "kind": "exact_match"}}, n_samples=5, temperature=0.7)
    answers = {"t/1": ["7", "7", "8", "9", "7"], "t/2": ["1", "2", "2", "", ""], "t/3": ["", "", "", "", "4"]}
    right = {"t/1": "7", "t/2": "1", "t/3": "5"}
    records = [
        new_record("a", "t", p, s, "passed" if answer == right[p] else "failed", program=answer)
        for p, each in answers.items()
        for s, answer in enumerate(each)
    ]
    (cell,) = count_cells(RunHeader(header), records)
    assert cell.majority is not None
    assert cell.majority.tolist() == [1.0, 0.0, 0.0]
    assert run_metrics(ScoredRun(RunHeader(header), (cell,)), [1])["cells"][0]["majority"]["value"] == pytest.approx(
        1 / 3
    )
    (plain,) = count_cells(RunHeader(new_header(["a"], {"t": {"n_problems": 3}}, n_samples=5)), records)
    assert plain.majority is None


def test_tokens_per_forward_and_acceptance(new_header: NewHeader, new_record: NewRecord) -> None:
    header = new_header(["a"], {"t": {"n_problems": 2}})
    records = [
        new_record("a", "t", "t/1", 0, n_tokens=30, n_forwards=10, n_drafted=(10, 10), n_accepted=(9, 5)),
        new_record("a", "t", "t/2", 0, n_tokens=10, n_forwards=10, n_drafted=(10, 10), n_accepted=(1, 0)),
    ]
    (cell,) = count_cells(RunHeader(header), records)
    assert cell.tokens_per_forward == pytest.approx(2.0)
    assert run_metrics(ScoredRun(RunHeader(header), (cell,)), [1])["cells"][0]["accepted_by_head"] == [0.5, 0.25]


def test_what_auto_chose_by_timing_is_not_in_the_metrics(new_header: NewHeader, new_record: NewRecord) -> None:
    header = new_header(["a"], {"t": {"n_problems": 1}})
    header["config"]["decode"] = "auto"
    drafted = [new_record("a", "t", "t/1", 0, n_tokens=6, n_forwards=2, n_drafted=(2,), n_accepted=(1,))]
    plain = [new_record("a", "t", "t/1", 0, n_tokens=6, n_forwards=6)]
    first, second = (run_metrics(ScoredRun.of_records(RunHeader(header), records), [1]) for records in (drafted, plain))
    assert dump_json(first) == dump_json(second)

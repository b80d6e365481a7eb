"""Runs as pandas frames, and the listing of past runs."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

from mtp_eval.harness.cli import app
from mtp_eval.results.finish import finish
from mtp_eval.results.frame import COMPLETION_COLUMNS, SCORE_COLUMNS, load_completions, load_scores
from mtp_eval.results.record import Record
from mtp_eval.results.store import RunStore

runner = CliRunner()


@pytest.fixture
def folders(tmp_path: Path, new_header: Callable[..., Any], new_record: Callable[..., Record]) -> list[Path]:
    made = []
    for number, model in enumerate(("n1", "n4")):
        header = new_header([model], {"ops": {"n_problems": 6, "report_by": "domain"}}, 2, k=[1, 2], temperature=0.3)
        header["models"][model] = {"n_future": 1 + 3 * number, "parameters": 1000, "training": {"seed": 7}}
        header["created"] = f"2026-01-0{number + 1}T00:00:00+00:00"
        folder = tmp_path / "runs" / model
        with RunStore.open(folder, header) as store:
            store.append(
                [
                    new_record(
                        model, "ops", f"ops/{p}", s, "infrastructure_error" if p == 5 else "passed" if (p + s) % 2 else "failed",
                        tags={"domain": "in" if p < 3 else "out", "m": str(p)},
                    )
                    for p in range(6) for s in range(2)
                ]
            )  # fmt: skip
            if number:
                finish(store, [1, 2], {})
        made.append(folder)
    return made


def test_completions_and_scores_agree(folders: list[Path]) -> None:
    completions = load_completions(folders, texts=True)
    assert list(completions.columns) == [*COMPLETION_COLUMNS, "completion", "program", "tag_domain", "tag_m"]
    assert len(completions) == 24
    assert set(completions["n_future"]) == {1.0, 4.0}
    assert set(completions["seed"]) == {7.0}
    scores = load_scores(folders)
    assert list(scores.columns) == list(SCORE_COLUMNS)
    judged = completions[completions["judged"]]
    by_hand = judged.groupby(["run", "tag_domain", "problem_id"])["passed"].mean().groupby(["run", "tag_domain"]).mean()
    at_1 = scores[scores["k"] == 1].set_index(["run", "group"])["score"].to_dict()
    for key, value in by_hand.items():
        assert at_1[key] == pytest.approx(value)
    assert set(scores[scores["k"] == 2]["score"]) == {1.0}
    assert len(load_completions(folders[0])) == 12


def test_runs_are_listed_and_filtered(folders: list[Path], tmp_path: Path) -> None:
    root = str(tmp_path / "runs")

    def listed(*options: str) -> list[str]:
        result = runner.invoke(app, ["runs", root, "--format", "csv", *options])
        assert result.exit_code == 0, result.output
        return list(pd.read_csv(io.StringIO(result.stdout))["run"])

    assert listed() == ["n1", "n4"]
    assert listed("--model", "n4*") == ["n4"]
    assert listed("--task", "mbpp*") == []
    assert listed("--since", "2026-01-02") == ["n4"]
    assert listed("--state", "complete") == ["n4"]
    assert listed("--state", "unfinished") == ["n1"]
    result = runner.invoke(app, ["runs", root])
    assert "n4 ops (in): @1 50.0, @2 100.0" in result.stdout
    assert runner.invoke(app, ["runs", str(tmp_path / "none")]).exit_code != 0

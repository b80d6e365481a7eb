"""`table(...)` and `report(...)` are the commands of the same names, as functions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mtp_eval.harness.cli import app
from mtp_eval.harness.errors import InputError
from mtp_eval.harness.evaluation.report import report
from mtp_eval.harness.evaluation.table import TableConfig, table
from mtp_eval.results.errors import OptionError
from tests.made_runs import MakeRun

HALF = {"toy/1": [True, False], "toy/2": [True, True]}


@pytest.fixture
def runs(make_run: MakeRun) -> list[Path]:
    return [make_run(name, {name: HALF}) for name in ("n1", "n4")]


def printed(*words: object) -> str:
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, f"{result.output} {result.exception!r}"
    return result.stdout


@pytest.mark.parametrize("form", ["markdown", "csv", "latex", "html", "evaluate"])
def test_the_function_says_what_the_command_prints(runs: list[Path], form: Any) -> None:
    made = table(runs=runs, k="1,2", style="standard")
    assert made.text(form) == printed("table", *runs, "--k", "1,2", "--format", form)
    assert str(table(runs=runs, k=[2, 1], format=form)) == made.text(form)


def test_out_is_written_and_the_table_is_given_back(runs: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "new" / "table.json"
    made = table(runs=runs[:1], format="lm-eval", out=out)
    assert json.loads(out.read_text("utf-8")) == json.loads(made.text())
    with pytest.raises(OptionError, match="one model"):
        table(runs=runs, format="lm-eval").text()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"style": "fancy"}, "--style"),
        ({"level": 1.0}, "--level"),
        ({"level": float("nan")}, "--level"),
        ({"k": []}, "at least one value"),
        ({"k": "0"}, "--k"),
        ({"label": "a{b"}, "--label"),
        ({"style": "by-n", "pool_seeds": True}, "--style standard"),
        ({"runs": []}, "--runs"),
        ({"format": "csv", "config": TableConfig(runs=(Path("x"),))}, "not both"),
    ],
)
def test_wrong_options_are_a_sentence(runs: list[Path], options: dict[str, Any], said: str) -> None:
    given: dict[str, Any] = options if "config" in options else {"runs": runs} | options
    with pytest.raises(InputError, match=said):
        table(**given)


def test_a_report_is_written_where_it_is_said(runs: list[Path], tmp_path: Path) -> None:
    page = report(runs=runs, out=tmp_path / "page.html", title="Two models", k=1, plots=tmp_path / "plots")
    assert page == tmp_path / "page.html"
    assert "Two models" in page.read_text("utf-8")
    assert list((tmp_path / "plots").glob("*.svg"))
    with pytest.raises(OptionError, match="nosuch"):
        report(runs=runs, out=page, baseline="nosuch")

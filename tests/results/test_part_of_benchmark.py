"""A score over a part of a benchmark says so wherever it is written."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mtp_eval.harness.cli import app
from mtp_eval.results.finish import finish
from mtp_eval.results.frame import load_scores
from mtp_eval.results.record import Record
from mtp_eval.results.store import RunStore


@pytest.mark.parametrize(("stated", "original"), [(164, 164), (None, 2)])
def test_two_of_164_in_every_form(
    stated: int | None, original: int, tmp_path: Path, new_header: Callable[..., Any], new_record: Callable[..., Record]
) -> None:
    facts = {"n_problems": 2, **({"n_in_benchmark": stated} if stated else {})}
    folder = tmp_path / "run"
    with RunStore.open(folder, new_header(["m"], {"humaneval": facts}, 1, k=[1])) as store:
        store.append([new_record("m", "humaneval", f"HumanEval/{p}", 0, "passed") for p in range(2)])
        finish(store, [1], {})
    (cell,) = json.loads((folder / "metrics.json").read_text())["cells"]
    assert (cell["n_problems"], cell["n_in_benchmark"]) == (2, stated)
    (row,) = load_scores(folder).to_dict("records")
    assert row["n_problems"] == 2
    assert row["n_in_benchmark"] == stated or (stated is None and math.isnan(row["n_in_benchmark"]))
    said = CliRunner().invoke(app, ["table", str(folder), "--format", "lm-eval"])
    assert said.exit_code == 0, said.output
    assert json.loads(said.stdout)["n-samples"] == {"humaneval": {"original": original, "effective": 2}}
    shown = CliRunner().invoke(app, ["table", str(folder)])
    assert ("2 of 164" in shown.stdout) == (stated == 164)

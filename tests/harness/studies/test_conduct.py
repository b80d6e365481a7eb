"""A whole study in small: what it leaves, killed and continued, what it refuses; verdicts and probes beside it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mtp_eval.harness.errors import InputError
from mtp_eval.harness.studies.cells import Cell
from mtp_eval.harness.studies.config import StudyConfig
from mtp_eval.harness.studies.planned import narrowed
from mtp_eval.harness.studies.workers import Workers
from mtp_eval.results.run import read_run
from tests.harness.studies.tiny_study import STUDY, tiny

ROOT = Path(__file__).resolve().parents[3]
CELLS = sorted(f"tiny-n{n}-seed{seed}" for n in (1, 2) for seed in range(3))
TABLES = ("results.json", "table.csv", "report.md", "tiny.svg")

slow = pytest.mark.slow


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("study") / "whole"
    tiny(out)
    return out


@slow
def test_a_study_leaves_ordinary_folders_and_its_numbers(whole: Path) -> None:
    assert sorted(path.name for path in (whole / "models").iterdir()) == CELLS
    numbers = json.loads((whole / "results.json").read_text())
    assert len(numbers["cells"]) == 6
    for cell in numbers["cells"]:
        run = read_run(whole / "runs" / f"{cell['recipe']}-seed{cell['seed']}")
        assert run.is_complete
        (scored,) = run.cells
        assert cell["measures"]["pass@1 (%)"] == pytest.approx(100 * scored.score(1).mean)
    plan = json.loads((whole / "study.json").read_text())
    assert plan["parts"]["chain"]["steps"] == {"tiny-n1": 20, "tiny-n2": 20}
    assert "paired t over seeds" in plan["definition"]["rule"]
    assert "<svg" in (whole / "report.html").read_text()


@slow
def test_a_study_of_which_everything_is_killed_continues_to_the_same_tables(whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "killed"
    command = [sys.executable, "-m", "tests.harness.studies.tiny_study", str(out)]
    done = out / "runs" / CELLS[0] / "metrics.json"
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 400
    while not done.exists():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    weights = (out / "models" / CELLS[0] / "model.safetensors").stat().st_mtime_ns
    tiny(out)
    assert (out / "models" / CELLS[0] / "model.safetensors").stat().st_mtime_ns == weights, "trained twice"
    for name in TABLES:
        assert (out / name).read_bytes() == (whole / name).read_bytes(), name


@slow
def test_another_plan_in_the_same_folder_is_refused(whole: Path) -> None:
    with pytest.raises(InputError, match="seeds 3 there, 4 now"):
        tiny(whole, seeds=4)


@slow
def test_a_budget_is_planned_by_a_probe_and_written_down(tmp_path: Path) -> None:
    """As much budget as no machine can be too busy for: every seed there is, by costs that were measured."""
    out = tmp_path / "budget"
    with pytest.raises(InputError, match="give a larger budget"):
        tiny(out, budget=0.001)
    assert not (out / "study.json").exists()


@slow
def test_a_cell_that_fails_ends_the_study_with_its_reason_and_does_not_hang(tmp_path: Path) -> None:
    cells = [
        Cell("p", f"r{i}", "no-such-preset", {}, 10, i, "chain", str(tmp_path / f"m{i}"), str(tmp_path / f"r{i}"))
        for i in range(6)
    ]
    with (
        Workers(2, tmp_path / "logs", "cpu") as workers,
        pytest.raises(InputError, match="there is no preset 'no-such-preset'"),
    ):
        list(workers.do("cell", cells))


def test_parts_are_chosen_by_name_and_claims_follow() -> None:
    assert narrowed(STUDY, ()) is STUDY
    assert len(narrowed(STUDY, ("chain",)).claims) == 2
    with pytest.raises(InputError, match="the study tiny has chain"):
        narrowed(STUDY, ("nothing",))


def test_budget_and_seeds_exclude_each_other() -> None:
    with pytest.raises(InputError, match="either --budget or --seeds"):
        StudyConfig.given({"budget": 3.0, "seeds": 3})
    with pytest.raises(InputError, match="--seeds"):
        StudyConfig.given({"seeds": 2})

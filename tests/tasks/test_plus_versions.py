"""MBPP+ 0.1.0 and 0.2.0: each loads from its file, and neither is taken for the other.

The published 0.1.0 is not at hand: its file is made of 0.2.0's rows and of 21 rows of the same schema written here.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from mtp_eval.harness.evaluation.score import score
from mtp_eval.tasks.errors import DataError, TaskOptionError
from mtp_eval.tasks.plus_versions import WITHDRAWN
from mtp_eval.tasks.registry import load_task

ASK = "mbpp-plus@evalplus+0.1.0"


def added(number: int) -> dict[str, Any]:
    """A row of a problem that only 0.1.0 has, with another function."""
    return {
        "task_id": f"Mbpp/{number}",
        "prompt": f'"""\nWrite a function to add {number}.\nassert add_{number}(1) == {number + 1}\n"""\n',
        "entry_point": f"add_{number}",
        "canonical_solution": f"\ndef add_{number}(x):\n    return x + {number}\n",
        "base_input": [[1], [2]],
        "plus_input": [[0], [-number], [10**6]],
        "atol": 0,
        "contract": "",
        "assertion": f"\nassert add_{number}(1) == {number + 1}\n",
    }


@pytest.fixture(scope="module")
def latest(shared_data: Path) -> list[dict[str, Any]]:
    with gzip.open(shared_data / "tasks" / "MbppPlus.jsonl.gz", "rt") as file:
        return [json.loads(line) for line in file]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTP_EVAL_CACHE", str(tmp_path / "cache"))


def written(path: Path, rows: Sequence[Any]) -> Path:
    text = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path.parent


def old_rows(latest: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted([*latest, *map(added, WITHDRAWN)], key=lambda row: int(row["task_id"].removeprefix("Mbpp/")))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["MbppPlus-v0.1.0.jsonl.gz", "MbppPlus-v0.1.0.jsonl", "MbppPlus.jsonl.gz"])
def test_the_old_version_is_read_under_each_name(
    name: str, latest: list[dict[str, Any]], shared_data: Path, tmp_path: Path
) -> None:
    folder = written(tmp_path / "data" / name, old_rows(latest))
    task = load_task(ASK, data_dir=folder)
    assert (task.protocol, len(task.problems())) == ("mbpp-plus@evalplus+0.1.0", 399)
    assert task.data_sha256 != load_task("mbpp-plus", data_dir=shared_data / "tasks").data_sha256


def test_an_old_file_is_never_taken_for_the_latest(
    latest: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MTP_EVAL_DATA", raising=False)
    folder = written(tmp_path / "data" / "MbppPlus.jsonl.gz", old_rows(latest))
    with pytest.raises(
        DataError, match=r"is MBPP\+ 0.1.0, with 399 problems: ask for it with --task mbpp-plus@evalplus\+0"
    ):
        load_task("mbpp-plus", data_dir=folder)


@pytest.mark.slow
def test_what_is_no_old_file_is_refused(
    latest: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MTP_EVAL_DATA", raising=False)
    old = old_rows(latest)
    cases = {
        "got 378 rows": latest,
        "got 399 rows with 398 names": [*old[:-1], old[0]],
        "it lacks Mbpp/783, which 0.2.0 lacks too": [
            {**row, "task_id": row["task_id"].replace("783", "1")} for row in old
        ],
        "row 2 has no base_input of the right kind": [old[0], {**old[1], "base_input": None}, *old[2:]],
    }
    for sentence, rows in cases.items():
        folder = written(tmp_path / "data" / "MbppPlus-v0.1.0.jsonl", rows)
        with pytest.raises(DataError, match=rf"is not MBPP\+ 0.1.0: .*{sentence}"):
            load_task(ASK, data_dir=folder)
    (tmp_path / "nothing").mkdir()
    with pytest.raises(DataError, match=r"MbppPlus-v0.1.0.jsonl.gz not found"):
        load_task(ASK, data_dir=tmp_path / "nothing")


@pytest.mark.parametrize("ask", ["mbpp-plus@evalplus+0.3.0", "humaneval-plus@evalplus+0.1.0"])
def test_unknown_versions_are_named(ask: str, benchmark_data: object) -> None:
    with pytest.raises(TaskOptionError, match="has no version"):
        load_task(ask)


@pytest.mark.slow
def test_a_samples_file_of_the_old_version_is_scored(latest: list[dict[str, Any]], tmp_path: Path) -> None:
    folder = written(tmp_path / "data" / "MbppPlus-v0.1.0.jsonl.gz", old_rows(latest))
    right, wrong = added(83)["canonical_solution"], "def add_783(x):\n    return x + 783 if x > 0 else 0\n"
    samples = tmp_path / "s.jsonl"
    rows = [{"task_id": "Mbpp/83", "solution": right}, {"task_id": "Mbpp/783", "solution": wrong},
            {"task_id": "Mbpp/2", "solution": latest[0]["canonical_solution"]}]  # fmt: skip
    samples.write_text("".join(json.dumps(row) + "\n" for row in rows))
    run = score(samples=samples, task=ASK, k=1, allow_missing=True, data_dir=folder, out=tmp_path / "run")
    assert {r.problem_id: str(r.verdict) for r in run.records()} == {
        "Mbpp/83": "passed",
        "Mbpp/783": "failed",
        "Mbpp/2": "passed",
    }
    assert "| mbpp-plus@evalplus+0.1.0 | 3 of 399 |" in str(run.table())
    again = score(samples=run.folder, extract="fence", k=1, data_dir=folder, out=tmp_path / "again")
    assert {r.problem_id: r.passed for r in again.records()} == {r.problem_id: r.passed for r in run.records()}

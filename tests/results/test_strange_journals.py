"""Journals whose values no run writes: the line is set aside and named, whatever reads the run, and made again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mtp_eval.harness.cli import app
from mtp_eval.results import load_completions, load_scores, read_run
from mtp_eval.results.finish import finish
from mtp_eval.results.store import RunStore
from tests.made_runs import MakeRun

NAN, INFINITE = float("nan"), float("inf")
STRANGE: dict[str, dict[str, Any]] = {
    "no time": {"wall_seconds": NAN},
    "an infinite time": {"generation_wall_seconds": INFINITE},
    "a time before all": {"cpu_seconds": -INFINITE},
    "a time in words": {"generation_cpu_seconds": "1.0"},
    "no temperature": {"temperature": NAN},
    "more tokens than 64 bits": {"n_tokens": 10**30},
    "a peak of 64 bits": {"peak_bytes": 1 << 63},
    "a line of 100 digits": {"failed_line": 10**100},
    "drafts in words": {"n_drafted": ["a"], "n_accepted": ["b"]},
    "drafts without a number": {"n_drafted": [NAN], "n_accepted": [0]},
    "more drafts than 32 bits": {"n_drafted": [1 << 40], "n_accepted": [0]},
    "a flag in numbers": {"same_interpreter": 1},
}


def spoil(folder: Path, number: int, change: dict[str, Any]) -> None:
    """Change a line of the journal as somebody would who also takes its checksum away."""
    lines = (folder / "records.jsonl").read_text().splitlines()
    row = json.loads(lines[number]) | change
    del row["crc32"]
    lines[number] = json.dumps(row)
    (folder / "records.jsonl").write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("name", STRANGE)
def test_a_strange_value_is_named_and_never_counted(name: str, make_run: MakeRun, tmp_path: Path) -> None:
    folder = make_run("run", {"m": {"toy/1": [True, True], "toy/2": [False, True]}})
    spoil(folder, 2, STRANGE[name])
    page = tmp_path / "page.html"
    for words in (["table", str(folder)], ["report", str(folder), "--out", str(page)], ["runs", str(folder.parent)]):
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0, f"{words}: {result.exception!r}"
    assert "line 3 is not a record" in CliRunner().invoke(app, ["table", str(folder)]).stdout
    assert "line 3 is not a record" in page.read_text("utf-8")
    assert len(load_completions(folder, texts=True)) == 3
    assert list(load_scores(folder)["missing"]) == [1]
    header = json.loads((folder / "run.json").read_text())
    with RunStore.open(folder, header) as store:
        assert store.n_set_aside == 1
        finish(store, [1], {})
    assert len(list(read_run(folder).records())) == 3


def test_times_as_whole_numbers_are_numbers(make_run: MakeRun) -> None:
    folder = make_run("run", {"m": {"toy/1": [True]}})
    spoil(folder, 0, {"wall_seconds": 1, "temperature": 0})
    assert not read_run(folder).damage

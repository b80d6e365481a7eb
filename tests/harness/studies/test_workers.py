"""Workers of a study on this machine: a cell that fails, and the GPUs that they take."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mtp_eval.harness.errors import InputError
from mtp_eval.harness.studies.cells import Cell
from mtp_eval.harness.studies.workers import LocalWorkers, visible_gpus

slow = pytest.mark.slow


@slow
def test_a_cell_that_fails_ends_the_study_with_its_reason_and_does_not_hang(tmp_path: Path) -> None:
    cells = [
        Cell("p", f"r{i}", "no-such-preset", {}, 10, i, "chain", str(tmp_path / f"m{i}"), str(tmp_path / f"r{i}"))
        for i in range(6)
    ]
    with (
        LocalWorkers(2, tmp_path / "logs", "cpu") as workers,
        pytest.raises(InputError, match="there is no preset 'no-such-preset'"),
    ):
        list(workers.do("cell", cells))


@pytest.mark.parametrize(
    ("chosen", "seen", "found"),
    [
        (None, 2, ["0", "1"]),
        ("2,3", 2, ["2", "3"]),
        ("GPU-5a, GPU-7c", 2, ["GPU-5a", "GPU-7c"]),
        ("", 0, []),
        ("1", 0, []),
    ],
)
def test_workers_keep_to_the_gpus_that_the_study_was_given(
    chosen: str | None, seen: int, found: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They took the first ones of the machine, which on a shared machine are somebody else's."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: seen)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if chosen is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", chosen)
    assert visible_gpus() == found

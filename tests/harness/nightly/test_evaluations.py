"""Folders of a series' runs: which they are, and that no two share one."""

from __future__ import annotations

from itertools import product
from pathlib import Path

from mtp_eval.harness.nightly.evaluations import folder_of

NAMES = ("n4", "x/y", "x_y", "x%2Fy", "..", ".", "...", "../../n4", "a b", "hf:gpt2", "tasks/my.toml")


def test_every_series_and_task_has_a_folder_of_its_own_inside_the_night() -> None:
    night = Path("/nights/1")
    folders = [folder_of(night, series, task) for series, task in product(NAMES, NAMES)]
    assert len(set(folders)) == len(folders)
    assert all(
        folder.parent.parent == night and ".." not in folder.parts and "." not in folder.parts for folder in folders
    )

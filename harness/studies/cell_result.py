"""A finished cell, and what is read from its two folders."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mtp_eval.harness.studies.cells import Cell
from mtp_eval.results.run import Run, read_run
from mtp_eval.results.store import RunStore


@dataclass(frozen=True)
class CellResult:
    """One trained and tested model."""

    cell: Cell

    @cached_property
    def tested(self) -> Run:
        """The run in which the model was tested."""
        return read_run(self.cell.run)

    @cached_property
    def verification(self) -> list[dict[str, Any]]:
        """The results of `--verify-decoding`, an entry a task; empty where nothing was verified."""
        found: list[dict[str, Any]] = RunStore.read(Path(self.cell.run)).sidecar("verification").read(default=[])
        return found

    @cached_property
    def training(self) -> dict[str, Any]:
        """The training's record."""
        record: dict[str, Any] = json.loads((Path(self.cell.model) / "training.json").read_text("utf-8"))["training"]
        return record

    @property
    def model_folder(self) -> Path:
        """The model's folder, in which the training's curves are."""
        return Path(self.cell.model)

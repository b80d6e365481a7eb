"""A finished cell, and what is read from its two folders."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar

from mtp_eval.harness.evaluation.speed_store import SpeedRow
from mtp_eval.harness.studies.cells import Cell
from mtp_eval.harness.studies.decoding_rate import measured_row
from mtp_eval.results.run import Run, read_run

Found = TypeVar("Found")


class Examination(ABC, Generic[Found]):
    """A look at a cell's trained model beside its run, such as at the loss of every head at every position.

    Measures share one: a subclass is a frozen dataclass, and what is equal is done once a cell. It has to be short, as it is done
    anew whenever the study is written up, and has to have the same outcome each time.
    """

    @abstractmethod
    def of(self, result: CellResult) -> Found:
        """Do it."""


@dataclass(frozen=True)
class CellResult:
    """One trained and tested model."""

    cell: Cell
    _found: dict[Examination[Any], Any] = field(default_factory=dict, repr=False, compare=False)

    def examined(self, examination: Examination[Found]) -> Found:
        """The outcome of an examination, which is done once."""
        if examination not in self._found:
            self._found[examination] = examination.of(self)
        found: Found = self._found[examination]
        return found

    @cached_property
    def tested(self) -> Run:
        """The run in which the model was tested."""
        return read_run(self.cell.run)

    @cached_property
    def speed(self) -> SpeedRow | None:
        """What `mtp-eval speed` measured with the number of heads that was asked for; None where the model was run."""
        return measured_row(Path(self.cell.run)) if self.cell.speed else None

    @cached_property
    def training(self) -> dict[str, Any]:
        """The training's record."""
        record: dict[str, Any] = json.loads((Path(self.cell.model) / "training.json").read_text("utf-8"))["training"]
        return record

    @property
    def model_folder(self) -> Path:
        """The model's folder, in which the training's curves are."""
        return Path(self.cell.model)

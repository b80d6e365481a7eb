"""A training's metrics.csv: its rows, and the step at which a share was first reached."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

CURVES_FILE = "metrics.csv"


def read_curve(folder: Path, column: str, split: str = "validation") -> Iterator[tuple[int, float]]:
    """Yield step and value of a column wherever it has one, in the order of the steps; nothing where there is no such file."""
    path = folder / CURVES_FILE
    if not path.is_file():
        return
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["split"] == split and row.get(column):
                yield int(row["step"]), float(row[column])


def steps_to(folder: Path, share: float, column: str = "answers_right") -> int | None:
    """The first validated step at which `column` was at least `share`; None where the training ended before (censored).

    The step is known to the distance of two validations only.
    """
    return next((step for step, value in read_curve(folder, column) if value >= share), None)

"""A run's curves: metrics.csv always, TensorBoard event files on request."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mtp_eval.harness.errors import InputError

FILE = "metrics.csv"


class MetricsWriter:
    """Appends rows of numbers; on resume, rows beyond the checkpoint are dropped so that no step is there twice."""

    def __init__(self, out: Path, n_future: int, *, from_step: int, tensorboard: bool, more_losses: Sequence[str] = ()):
        heads = [f"loss_head_{i}" for i in range(1, n_future + 1)]
        accuracies = [f"accuracy_head_{i}" for i in range(1, n_future + 1)]
        bits = [f"bits_per_byte_head_{i}" for i in range(1, n_future + 1)]
        rates = ["learning_rate", "gradient_norm", "tokens_per_second", "flops_per_second"]
        self.columns = [
            "step",
            "tokens",
            "split",
            "loss",
            *heads,
            *more_losses,
            *accuracies,
            *bits,
            "answers_right",
            *rates,
        ]
        self.path = out / FILE
        self._start(from_step)
        self.events = _tensorboard(out) if tensorboard else None

    def _start(self, from_step: int) -> None:
        kept: list[dict[str, str]] = []
        if from_step and self.path.exists():
            with self.path.open(newline="", encoding="utf-8") as file:
                kept = [
                    row
                    for row in csv.DictReader(file)
                    if (row["step"] or "").isdigit() and int(row["step"]) <= from_step
                ]
        text = io.StringIO()
        writer = csv.DictWriter(text, self.columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(kept)
        temporary = self.path.with_suffix(".new")
        temporary.write_text(text.getvalue(), encoding="utf-8", newline="")
        temporary.replace(self.path)

    def write(self, split: str, step: int, values: Mapping[str, Any]) -> None:
        """One row; columns without a value, or whose value is NaN, stay empty."""
        values = {key: value for key, value in values.items() if value == value}
        with self.path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, self.columns).writerow({"split": split, "step": step, **values})
        if self.events is not None:
            for key, value in values.items():
                if isinstance(value, float):
                    self.events.add_scalar(f"{split}/{key}", value, step)

    def close(self) -> None:
        """Flush TensorBoard's file."""
        if self.events is not None:
            self.events.close()


def _tensorboard(out: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise InputError(
            "tensorboard = true needs the tensorboard package: pip install tensorboard (metrics.csv needs nothing)"
        ) from None
    return SummaryWriter(str(out / "tensorboard"))

"""How fast a cell's model decodes: measured and stored as `mtp-eval speed` does it, at one place and with one number of heads.

The folder has an ordinary speed.json, which that command shows as a table or adds to.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mtp_eval.harness.evaluation.speed import measure_speed
from mtp_eval.harness.evaluation.speed_config import SpeedConfig
from mtp_eval.harness.evaluation.speed_prompts import domains_of
from mtp_eval.harness.evaluation.speed_store import SPEED_FILE, SpeedRow, speed_rows
from mtp_eval.harness.progress import say
from mtp_eval.harness.training import domains


def time_decoding(model: Path, options: Mapping[str, Any], device: str, out: Path) -> None:
    """Measure a checkpoint folder; what `out` holds already is not measured again.

    Args:
        options: of `mtp-eval speed`, beside the model and the folder.

    Raises:
        InputError: the model cannot be measured so.
    """
    config = SpeedConfig.given({**options, "model": [str(model)], "device": device, "out": out})
    measure_speed(config, domains_of(domains.TEXTS, domains.PROMPTS), say)


def is_timed(out: Path) -> bool:
    """Whether the measurement is there: its rows, plain decoding's among them, are written at once."""
    return (out / SPEED_FILE).exists()


def measured_row(out: Path) -> SpeedRow:
    """The row of the number of heads that was asked for, beside which plain decoding was measured."""
    return max(speed_rows(out / SPEED_FILE), key=lambda row: row.heads)

"""Scores as TensorBoard scalars, beside the losses of the trainings that they come from.

folder/n4/events.out.tfevents...     a run a model, without its training step: "n4-step900" and "n4-step1800" are "n4"
mbpp/pass@1                          a tag a task and k, as a share; mbpp/pass@1_low95 and _high95 are its interval
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mtp_eval.results.errors import OptionError
from mtp_eval.results.files import file_name
from mtp_eval.results.scores.cells import Cell
from mtp_eval.results.scores.intervals import mean_interval
from mtp_eval.results.scores.scored import ScoredRun, cells_of

STEP = re.compile(r"[-_./]?step[-_=]?(\d+)(?=$|[-_./])", re.IGNORECASE)


def write_events(folder: Path, runs: Sequence[ScoredRun], ks: Sequence[int]) -> int:
    """Write every defined score; the step is the model's training step, or the one in its label, or 0. Returns how many.

    Raises:
        OptionError: the tensorboard package is not installed, or the folder holds events already.
    """
    if any(folder.glob("**/events.out.tfevents.*")):
        raise OptionError(f"--tensorboard {folder} holds events already, which would be shown twice; name a new folder")
    writers: dict[str, Any] = {}
    several = {cell.temperature for _, cell in cells_of(runs)}
    n_scores = 0
    for header, cell in cells_of(runs):
        found = STEP.search(cell.model)
        step = int(header.fact(cell.model, "step") or (found and found[1]) or 0)
        name = STEP.sub("", cell.model) or cell.model
        heat = f" T={cell.temperature:g}" if len(several) > 1 and cell.temperature is not None else ""
        if name not in writers:
            writers[name] = _writer(folder / file_name(name))
        for tag, value in _scalars(cell, ks):
            writers[name].add_scalar(f"{cell.where}{heat}/{tag}", value, step)
            n_scores += "_" not in tag
    for writer in writers.values():
        writer.close()
    return n_scores


def _scalars(cell: Cell, ks: Sequence[int]) -> list[tuple[str, float]]:
    made = []
    for k in ks:
        score = cell.score(k)
        if not math.isnan(score.mean):
            around = mean_interval(score.values)
            ends = (("", score.mean), ("_low95", around.low), ("_high95", around.high))
            made += [(f"pass@{k}{end}", value) for end, value in ends]
    return made


def _writer(folder: Path) -> Any:
    try:
        from tensorboard.summary import Writer
    except ImportError:
        raise OptionError("--tensorboard needs the tensorboard package: pip install 'mtp-eval[tensorboard]'") from None
    return Writer(str(folder))

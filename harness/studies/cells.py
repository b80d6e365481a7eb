"""Cells: one recipe with one seed, trained and tested in folders of its own; and probes, which measure what cells cost.

Everything here runs in a worker process (`worker`), and passes its border as JSON.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

from mtp_eval.harness.evaluation.run import run
from mtp_eval.harness.studies.decoding_rate import is_timed, time_decoding
from mtp_eval.harness.training.command import as_toml, train
from mtp_eval.harness.training.config import TrainConfig
from mtp_eval.harness.training.config_files import preset
from mtp_eval.harness.training.state import last_step
from mtp_eval.results.curves import read_curve

CURVE_POINTS = 20
"""Validations of a cell whose curve is watched."""
ANSWERS = 256
"""Held-out answers that each of them looks at."""
SHORT_PROBE, LONG_PROBE = 10, (60, 200)
"""Steps of the two trainings of a probe; of the second at least and at most."""
PROBE_SECONDS = 4.0
"""That the second should last: rates of shorter ones scatter by more than a budget allows for."""
CONTINUED_SEEDS = 1_000
"""Added to the seed of a training that goes on with another one's model, so that it meets other text."""
PROBE_SEED = 10_007
"""No cell has it: a probe sees no data and no weights of the study."""


@dataclass(frozen=True)
class Cell:
    """One training and its test, in the form that a worker gets.

    Args:
        part, recipe: names of the study's.
        steps: of the training.
        watched: whether the curve of right answers is wanted.
        model, run: folders.
        options: of the run beside model, task and folder.
        speed: options of the measurement that is made in the place of a run; empty: a run.
        again: whether another cell trains the model.
        starts_from: folder of the model that the training begins with, which another cell trains; "": fresh weights.
    """

    part: str
    recipe: str
    preset: str
    changes: dict[str, Any]
    steps: int
    seed: int
    task: str
    model: str
    run: str
    device: str = "cpu"
    watched: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    speed: dict[str, Any] = field(default_factory=dict)
    again: bool = False
    starts_from: str = ""

    @property
    def stage(self) -> int:
        """Cells of a stage need what those of earlier ones have trained."""
        return 2 if self.again else 1 if self.starts_from else 0

    def training(self) -> TrainConfig:
        """The config of the training.

        Raises:
            InputError: the preset or a change is none.
        """
        config = recipe_config(self.preset, self.changes)
        warmup = min(config.optimizer.warmup_steps, max(1, self.steps // 10))
        return config.model_copy(
            update={
                "steps": self.steps,
                "tokens": None,
                "seed": self.seed + (CONTINUED_SEEDS if self.starts_from else 0),
                "device": self.device,
                "threads": 1,
                "compile": "off",
                "optimizer": config.optimizer.model_copy(update={"warmup_steps": warmup}),
                "validate_every": max(1, self.steps // CURVE_POINTS) if self.watched else 0,
                "validation_windows": ANSWERS if self.watched else config.validation_windows,
                "checkpoint_every": max(1, self.steps // 4),
            }
            | self._start(config)
        )

    def _start(self, config: TrainConfig) -> dict[str, Any]:
        """What is other where the training begins with another cell's model."""
        if not self.starts_from:
            return {}
        return {"init": self.starts_from, "data": config.data.model_copy(update={"tokenizer": "init"})}

    @property
    def is_done(self) -> bool:
        """Whether both folders are complete."""
        from mtp_eval.results.errors import ResultsError
        from mtp_eval.results.run import read_run

        if last_step(Path(self.model)) < self.steps:
            return False
        if self.speed:
            return is_timed(Path(self.run))
        try:
            return read_run(self.run).is_complete
        except ResultsError:
            return False

    def as_dict(self) -> dict[str, Any]:
        """The cell as JSON, for a worker."""
        return asdict(self)


def recipe_config(name: str, changes: Mapping[str, Any]) -> TrainConfig:
    """A preset with a recipe's changes.

    Raises:
        InputError: there is no such preset, or a change is none.
    """
    return preset(name, [f"{key}={as_toml(value)}" for key, value in changes.items()])


def make_cell(cell: Cell) -> None:
    """Train and test what of the cell is not there yet."""
    model = Path(cell.model)
    trained = last_step(model)
    if trained < cell.steps:
        train(cell.training(), model, resume=trained > 0)
    test(cell, model, Path(cell.run))


def test(cell: Cell, model: Path, out: Path) -> None:
    """Run the model in a folder on the cell's task, or measure how fast it decodes."""
    if cell.speed:
        time_decoding(model, cell.speed, cell.device, out)
    else:
        run(model=str(model), task=cell.task, out=out, device=cell.device, workers=1, **cell.options)


@dataclass(frozen=True)
class Cost:
    """Seconds of a cell on a machine as busy as it was during the probe: fixed ones, and those of each step."""

    fixed_seconds: float
    step_seconds: float

    def seconds(self, steps: int) -> float:
        """Seconds of a whole cell of so many steps."""
        return self.fixed_seconds + steps * self.step_seconds


def probe(cell: Cell) -> Cost:
    """Train a little, with a seed that no cell of a study has, test that, and time it; the model is left for probes that start from it.

    Steps are timed by the trainer's own rate (the median of its logs), everything else by what is left.
    """
    trained = Cost(0.0, 0.0) if cell.again else _probe_training(cell)
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        test(cell, Path(cell.model), Path(folder) / "run")
        return replace(trained, fixed_seconds=trained.fixed_seconds + time.perf_counter() - started)


def _probe_training(cell: Cell) -> Cost:
    """Seconds of the training: twice, so that what grows with the steps is told from what does not."""
    with tempfile.TemporaryDirectory() as folder:
        short_seconds, step_seconds = _timed_training(cell, SHORT_PROBE, Path(folder))
    n_steps = min(max(round(PROBE_SECONDS / step_seconds), LONG_PROBE[0]), LONG_PROBE[1])
    long_seconds, step_seconds = _timed_training(cell, n_steps, Path(cell.model))
    data_seconds = max(0.0, (long_seconds - short_seconds) / (n_steps - SHORT_PROBE) - step_seconds)
    return Cost(max(0.0, long_seconds - n_steps * (step_seconds + data_seconds)), step_seconds + data_seconds)


def _timed_training(cell: Cell, steps: int, out: Path) -> tuple[float, float]:
    """Wall seconds of the whole, and of each step."""
    config = cell.training().model_copy(
        update={"steps": steps, "log_every": 5, "validate_every": 0, "checkpoint_every": 0}
    )
    started = time.perf_counter()
    train(config, out)
    whole = time.perf_counter() - started
    rates = [rate for _, rate in read_curve(out, "tokens_per_second", "train")][1:]
    return whole, config.tokens_per_step / median(rates)

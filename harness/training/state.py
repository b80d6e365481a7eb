"""Files that a training run keeps on disk: periodic checkpoints to resume from, and the finished checkpoint at the top of its folder.

    out/                       the checkpoint for users: config.json, model.safetensors, tokenizer, training.json
    out/metrics.csv            a line per log_every steps and per validation
    out/steps/step-00000500/   the same files plus trainer.json and optimizer.safetensors, or optimizer/ with each process's
                               part where the run is sharded; appears whole by one rename
    out/best/                  with early_stop: the best validation so far

The files at the top are links to the newest step's, renamed into place with the manifest last.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open

from mtp_eval.harness.errors import InputError
from mtp_eval.harness.models.checkpoint import MANIFEST, WEIGHTS, apply_umask, save_with
from mtp_eval.harness.models.config import ModelConfig
from mtp_eval.harness.models.tokenizers import Tokenizer
from mtp_eval.harness.models.transformer import MTPModel
from mtp_eval.harness.training.config import TrainConfig
from mtp_eval.harness.training.mixture import Mixture
from mtp_eval.harness.training.moments import OPTIMIZER, SHARDS
from mtp_eval.harness.training.parallel import Parallel

TRAINER = "trainer.json"
WATCHING_KEYS = {
    "threads",
    "validate_every",
    "checkpoint_every",
    "keep_checkpoints",
    "log_every",
    "tensorboard",
    "device",
}
"""Keys that a resumed run may change: they do not decide the weights."""


@dataclass
class TrainerState:
    """Step, best validation and time of a run.

    Args:
        step_cpu_seconds: CPU time of this process in `timed_steps` steps; next to nothing of it is reading the batch after.
    """

    step: int = 0
    best_loss: float | None = None
    best_step: int = 0
    validations_without_gain: int = 0
    seconds: float = 0.0
    step_cpu_seconds: float = 0.0
    timed_steps: int = 0

    def note_step(self, step: int, cpu_seconds: float) -> None:
        """A step is done that took so long."""
        self.step = step
        self.step_cpu_seconds += cpu_seconds
        self.timed_steps += 1


@dataclass(frozen=True, slots=True)
class StepWriter:
    """Writes the periodic checkpoints of one run, by all its processes together; the main one publishes them."""

    out: Path
    config: ModelConfig
    tokenizer: Tokenizer
    parallel: Parallel
    keep: int

    def write(
        self, model: MTPModel, optimizer: torch.optim.Optimizer, trainer: TrainerState, training: Mapping[str, Any]
    ) -> Path:
        """Write one and drop those beyond the last `keep`.

        Raises:
            InputError: it cannot be written; earlier ones are whole.
        """
        final = self.out / "steps" / f"step-{trainer.step:08d}"
        staging = self.out / "steps" / f".writing-{trainer.step:08d}"
        processes = self.parallel.processes
        try:
            if processes.is_main:
                shutil.rmtree(staging, ignore_errors=True)
                staging.mkdir(parents=True)
            processes.barrier()
            self._write_into(staging, model, optimizer, trainer, training)
            processes.barrier()
            if processes.is_main:
                shutil.rmtree(final, ignore_errors=True)
                staging.rename(final)
        except (OSError, SafetensorError) as error:
            raise InputError(
                f"cannot write the checkpoint {final}: {error}. Free space and continue with --resume; earlier "
                "checkpoints are whole"
            ) from error
        if processes.is_main:
            for old in step_folders(self.out)[: -self.keep]:
                shutil.rmtree(old)
        return final

    def _write_into(
        self,
        staging: Path,
        model: MTPModel,
        optimizer: torch.optim.Optimizer,
        trainer: TrainerState,
        training: Mapping[str, Any],
    ) -> None:
        if self.parallel.processes.is_main:
            write_weights = partial(self.parallel.write_weights, model=model)
            save_with(staging, self.config, write_weights, self.tokenizer, training)
        else:
            self.parallel.write_weights(None, model)
        files = self.parallel.save_optimizer(staging, model, optimizer)
        if self.parallel.processes.is_main:
            (staging / TRAINER).write_text(json.dumps(asdict(trainer), indent=1) + "\n", encoding="utf-8")
            files = [*files, staging / TRAINER]
        for path in files:
            apply_umask(path)
            with path.open("rb") as file:
                os.fsync(file.fileno())


def step_folders(out: Path) -> list[Path]:
    """Periodic checkpoints, oldest first."""
    return sorted((out / "steps").glob("step-*"))


def last_step(out: Path) -> int:
    """The step that a resumed run would go on from; 0 when there is nothing to resume."""
    folders = step_folders(out)
    return int(folders[-1].name.removeprefix("step-")) if folders else 0


def check_free(out: Path, *, resume: bool) -> None:
    """Refuse to start a new run over another one, and to continue where there is none.

    Raises:
        InputError: the folder holds a run and `resume` is False, or it holds none and `resume` is True.
    """
    if resume and not step_folders(out):
        raise InputError(f"--resume: {out} holds no training run; leave --resume out to start one")
    if not resume and ((out / MANIFEST).exists() or step_folders(out)):
        raise InputError(
            f"{out} holds a training run already: --resume continues it, another --out starts a new one, or remove the "
            "folder"
        )


def publish(source: Path, out: Path) -> None:
    """Make the checkpoint at `source` the one at the top of `out`."""
    names = [path.name for path in source.iterdir() if path.name not in (OPTIMIZER, SHARDS, TRAINER)]
    for name in sorted(names, key=lambda name: (name == MANIFEST, name)):
        temporary = out / f".{name}.new"
        temporary.unlink(missing_ok=True)
        try:
            temporary.hardlink_to(source / name)
        except OSError:  # a file system without links
            shutil.copyfile(source / name, temporary)
        temporary.replace(out / name)


def keep_best(source: Path, out: Path) -> None:
    """Copy a step's files to `out/best`."""
    best, staging = out / "best", out / ".best-new"
    shutil.rmtree(staging, ignore_errors=True)
    shutil.copytree(source, staging)
    shutil.rmtree(best, ignore_errors=True)
    staging.rename(best)


def read_step(folder: Path, model: MTPModel, optimizer: torch.optim.Optimizer, parallel: Parallel) -> TrainerState:
    """Load weights and optimizer state in place, one whole tensor at a time.

    Raises:
        InputError: the step's files are damaged.
    """
    try:
        with safe_open(folder / WEIGHTS, "pt") as file:
            parallel.fill(model, file.get_tensor)
        parallel.load_optimizer(folder, model, optimizer)
        return TrainerState(**json.loads((folder / TRAINER).read_text(encoding="utf-8")))
    except Exception as error:
        raise InputError(
            f"{folder} is damaged ({error}): remove it and resume from the step before, or start again"
        ) from None


def stored_record(folder: Path) -> dict[str, Any]:
    """The training record of a step's folder."""
    record: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["training"]
    return record


def check_same_run(folder: Path, training: TrainConfig, corpus: Mixture) -> dict[str, Any]:
    """The stored training record, after checking that `training` would continue the same run on the same data.

    A larger budget extends the run: then the data may be longer too, if it begins with what was stored.

    Raises:
        InputError: anything else that decides the weights differs.
    """
    stored, config = stored_record(folder), training.model_dump(mode="json")
    before = _with_defaults(stored["config"])
    extends = training.total_steps > stored["total_steps"]
    ignored = WATCHING_KEYS | ({"steps", "tokens"} if training.total_steps >= stored["total_steps"] else set())
    changed = [
        f"{key}: {before.get(key)!r} -> {config.get(key)!r}"
        for key in sorted(set(config) | set(before))
        if key not in ignored and _plain(before.get(key), key) != _plain(config.get(key), key)
    ]
    if changed:
        raise InputError(
            f"--resume continues the run in {folder.parent.parent} with its own config, but this differs: "
            f"{'; '.join(changed)}. Give the same preset and --set options (only steps or tokens may grow), or train into another --out"
        )
    if stored["data"]["fingerprint"] != corpus.fingerprint and not (extends and corpus.begins_with(stored["data"])):
        raise InputError(
            f"the training text is not what the run in {folder.parent.parent} was started with (a source changed): "
            "restore it, or train into another --out"
        )
    return stored


def extensions(stored: Mapping[str, Any], total_steps: int) -> list[dict[str, int]]:
    """The extensions of a run's budget: the step that each extension began at, and the budgets before and after it."""
    before: list[dict[str, int]] = list(stored.get("extended", []))
    if total_steps > stored["total_steps"]:
        before.append({"at_step": stored["step"], "from_steps": stored["total_steps"], "to_steps": total_steps})
    return before


def _with_defaults(stored: dict[str, Any]) -> dict[str, Any]:
    """A stored config with the defaults of keys that came after it, which is what its run was trained with."""
    try:
        return TrainConfig.model_validate(stored).model_dump(mode="json")
    except ValidationError:  # it has keys that this version does not know; they are named as they are
        return stored


def _plain(value: Any, key: str) -> Any:
    if key == "data" and isinstance(value, Mapping):
        value = {k: v for k, v in value.items() if k != "cache"}
    return json.loads(json.dumps(value))

"""What a run keeps on disk: periodic checkpoints to resume from, and the finished checkpoint at the top of its folder.

    out/                       the checkpoint for users: config.json, model.safetensors, tokenizer, training.json
    out/metrics.csv            a line per log_every steps and per validation
    out/steps/step-00000500/   the same files plus optimizer.safetensors and trainer.json; appears whole by one rename
    out/best/                  with early_stop: the best validation so far

The files at the top are links to the newest step's, renamed into place with the manifest last.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from mtp_eval.harness.errors import InputError
from mtp_eval.harness.models.checkpoint import MANIFEST, WEIGHTS, apply_umask, save_state
from mtp_eval.harness.models.config import ModelConfig
from mtp_eval.harness.models.tokenizers import Tokenizer
from mtp_eval.harness.training.config import TrainConfig
from mtp_eval.harness.training.mixture import Mixture

OPTIMIZER, TRAINER = "optimizer.safetensors", "trainer.json"
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
    """Step, best validation and time of a run."""

    step: int = 0
    best_loss: float | None = None
    best_step: int = 0
    validations_without_gain: int = 0
    seconds: float = 0.0


def write_step(
    out: Path,
    trainer: TrainerState,
    config: ModelConfig,
    weights: dict[str, Tensor],
    optimizer: dict[str, Tensor],
    tokenizer: Tokenizer,
    training: Mapping[str, Any],
    *,
    keep: int,
) -> Path:
    """Write one periodic checkpoint and drop those beyond the last `keep`."""
    final = out / "steps" / f"step-{trainer.step:08d}"
    staging = out / "steps" / f".writing-{trainer.step:08d}"
    shutil.rmtree(staging, ignore_errors=True)
    try:
        save_state(staging, config, weights, tokenizer, training)
        save_file(optimizer, staging / OPTIMIZER)
        (staging / TRAINER).write_text(json.dumps(asdict(trainer), indent=1) + "\n", encoding="utf-8")
        for name in (OPTIMIZER, TRAINER):
            apply_umask(staging / name)
            with (staging / name).open("rb") as file:
                os.fsync(file.fileno())
        shutil.rmtree(final, ignore_errors=True)
        staging.rename(final)
    except (OSError, SafetensorError) as error:
        raise InputError(
            f"cannot write the checkpoint {final}: {error}. Free space and continue with --resume; earlier "
            "checkpoints are whole"
        ) from error
    for old in step_folders(out)[:-keep]:
        shutil.rmtree(old)
    return final


def step_folders(out: Path) -> list[Path]:
    """Periodic checkpoints, oldest first."""
    return sorted((out / "steps").glob("step-*"))


def last_step(out: Path) -> int:
    """The step that a resumed run would go on from; 0 when there is nothing to resume."""
    folders = step_folders(out)
    return int(folders[-1].name.removeprefix("step-")) if folders else 0


def check_free(out: Path, *, resume: bool) -> None:
    """Refuse to start a new run over another one, and to continue where there is none."""
    if resume and not step_folders(out):
        raise InputError(f"--resume: {out} holds no training run; leave --resume out to start one")
    if not resume and ((out / MANIFEST).exists() or step_folders(out)):
        raise InputError(
            f"{out} holds a training run already: --resume continues it, another --out starts a new one, or remove the "
            "folder"
        )


def publish(source: Path, out: Path) -> None:
    """Make the checkpoint at `source` the one at the top of `out`."""
    names = [path.name for path in source.iterdir() if path.name not in (OPTIMIZER, TRAINER)]
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


def read_step(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> TrainerState:
    """Load weights and optimizer state in place."""
    try:
        weights = load_file(folder / WEIGHTS)
        moments = load_file(folder / OPTIMIZER)
        trainer = TrainerState(**json.loads((folder / TRAINER).read_text(encoding="utf-8")))
    except Exception as error:
        raise InputError(
            f"{folder} is damaged ({error}): remove it and resume from the step before, or start again"
        ) from None
    load_weights(model, weights)
    load_moments(model, optimizer, moments)
    return trainer


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
    extends = training.total_steps > stored["total_steps"]
    ignored = WATCHING_KEYS | ({"steps", "tokens"} if training.total_steps >= stored["total_steps"] else set())
    changed = [
        f"{key}: {stored['config'].get(key)!r} -> {config.get(key)!r}"
        for key in sorted(set(config) | set(stored["config"]))
        if key not in ignored and _plain(stored["config"].get(key), key) != _plain(config.get(key), key)
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
    """How the run's budget grew: the step that each extension began at, and the budgets before and after it."""
    before: list[dict[str, int]] = list(stored.get("extended", []))
    if total_steps > stored["total_steps"]:
        before.append({"at_step": stored["step"], "from_steps": stored["total_steps"], "to_steps": total_steps})
    return before


def _plain(value: Any, key: str) -> Any:
    if key == "data" and isinstance(value, Mapping):
        value = {k: v for k, v in value.items() if k != "cache"}
    return json.loads(json.dumps(value))


def gather_weights(model: nn.Module) -> dict[str, Tensor]:
    """Whole weights on the CPU; every process must call it."""
    return {name: _whole(tensor) for name, tensor in model.state_dict().items()}


def gather_moments(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """AdamW's state by parameter name, whole and on the CPU; every process must call it."""
    moments = {}
    for name, parameter in model.named_parameters():
        for key, value in optimizer.state.get(parameter, {}).items():
            moments[f"{name}:{key}"] = _whole(value)
    return moments


def load_weights(model: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Copy whole weights into the model's own (perhaps sharded) tensors."""
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if name in weights:
                _copy_into(tensor, weights[name])


def load_moments(model: nn.Module, optimizer: torch.optim.Optimizer, moments: Mapping[str, Tensor]) -> None:
    """Put AdamW's state back."""
    for name, parameter in model.named_parameters():
        found = {key.rsplit(":", 1)[1]: value for key, value in moments.items() if key.rsplit(":", 1)[0] == name}
        for key, value in found.items():
            if value.dim() == 0:
                optimizer.state[parameter][key] = value.to(parameter.device)
            else:
                target = torch.zeros_like(parameter)
                _copy_into(target, value)
                optimizer.state[parameter][key] = target


def _whole(tensor: Tensor) -> Tensor:
    if hasattr(tensor, "full_tensor"):
        tensor = tensor.full_tensor()
    return tensor.detach().cpu().clone().contiguous()


def _copy_into(target: Tensor, source: Tensor) -> None:
    if hasattr(target, "device_mesh"):
        from torch.distributed.tensor import DTensor, distribute_tensor

        assert isinstance(target, DTensor)
        placed = distribute_tensor(source.to(target.device), target.device_mesh, target.placements)
        target.to_local().copy_(placed.to_local())
    else:
        with torch.no_grad():
            target.copy_(source)

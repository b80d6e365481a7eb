"""Checkpoint folders: `config.json`, `model.safetensors`, the tokenizer's files, and `training.json`, the manifest.

Every file is written under a temporary name, synced and renamed, the manifest last; it holds the sha256 of the weights,
so that a folder caught between two states is reported and never loaded as if it were whole.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from mtp_eval.harness.errors import InputError
from mtp_eval.harness.models.config import ModelConfig
from mtp_eval.harness.models.tokenizers import Tokenizer, load_tokenizer

if TYPE_CHECKING:
    import torch

    from mtp_eval.harness.models.transformer import MTPModel

CONFIG, WEIGHTS, MANIFEST = "config.json", "model.safetensors", "training.json"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class CheckpointInfo:
    """Facts of a checkpoint, known without reading its weights."""

    path: Path
    config: ModelConfig
    training: Mapping[str, Any]
    sha256: str


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A model ready to run. `sha256` is of the weights' file; `training` says how they came about."""

    model: MTPModel
    tokenizer: Tokenizer
    config: ModelConfig
    training: Mapping[str, Any]
    sha256: str
    path: Path


def save_checkpoint(folder: str | Path, model: MTPModel, tokenizer: Tokenizer, training: Mapping[str, Any]) -> str:
    """Write a checkpoint and return the sha256 of its weights.

    Raises:
        InputError: the files cannot be written.
    """
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    return save_state(folder, model.config, state, tokenizer, training)


def save_state(
    folder: str | Path,
    config: ModelConfig,
    state: dict[str, torch.Tensor],
    tokenizer: Tokenizer,
    training: Mapping[str, Any],
) -> str:
    """Write a checkpoint from gathered weights, as `save_checkpoint` does."""
    from safetensors.torch import save_file

    if config.tie_embeddings:
        state = {name: tensor for name, tensor in state.items() if name != "lm_head.weight"}
    return save_with(folder, config, lambda path: save_file(state, path), tokenizer, training)


def save_with(
    folder: str | Path,
    config: ModelConfig,
    write_weights: Callable[[Path], None],
    tokenizer: Tokenizer,
    training: Mapping[str, Any],
) -> str:
    """Write a checkpoint as `save_checkpoint` does, with weights that `write_weights` writes to the path that it is given.

    Raises:
        InputError: the files cannot be written.
    """
    from safetensors import SafetensorError

    folder = Path(folder)
    staging: Path | None = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=".writing-", dir=folder))
        (staging / CONFIG).write_text(config.model_dump_json(indent=1) + "\n", encoding="utf-8")
        write_weights(staging / WEIGHTS)
        tokenizer.save(staging)
        digest = file_sha256(staging / WEIGHTS)
        manifest = {"format": FORMAT, "weights_sha256": digest, "training": dict(training)}
        (staging / MANIFEST).write_text(json.dumps(manifest, indent=1, default=str) + "\n", encoding="utf-8")
        move_into(staging, folder, last=MANIFEST)
    except (OSError, SafetensorError) as error:
        raise InputError(
            f"cannot write the checkpoint {folder}: {error}. Free space or choose another --out"
        ) from error
    finally:
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)
    return digest


def move_into(staging: Path, folder: Path, last: str) -> None:
    """Sync every file of `staging` and rename it into `folder`, the file named `last` after all others."""
    for path in sorted(staging.iterdir(), key=lambda path: (path.name == last, path.name)):
        apply_umask(path)
        with path.open("rb") as file:
            os.fsync(file.fileno())
        path.replace(folder / path.name)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def apply_umask(path: Path) -> None:
    """Set a file's or folder's mode to what the user's umask gives; temporary ones are private."""
    mask = os.umask(0)
    os.umask(mask)
    path.chmod((0o777 if path.is_dir() else 0o666) & ~mask)


def file_sha256(path: Path) -> str:
    """The sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def checkpoint_info(folder: str | Path) -> CheckpointInfo:
    """Config and manifest of a checkpoint, without torch and without reading the weights.

    Raises:
        InputError: there is no such folder, a file is missing or damaged, or the format is another version's.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(
            f"there is no checkpoint folder {folder}: train one (`mtp-eval train code-tiny-n4 --out {folder}`), or "
            "convert one (`mtp-eval convert`); `mtp-eval presets` lists what can be trained"
        )
    missing = [name for name in (CONFIG, WEIGHTS, MANIFEST) if not (folder / name).is_file()]
    if missing:
        raise InputError(
            f"{folder} is not a whole checkpoint: {', '.join(missing)} missing. If its training was cut off, "
            f"`mtp-eval train ... --out {folder} --resume` finishes it; a Hugging Face folder is named hf:{folder} or "
            "converted first"
        )
    try:
        config = ModelConfig.model_validate_json((folder / CONFIG).read_text(encoding="utf-8"))
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if manifest["format"] != FORMAT:
            raise InputError(f"{folder} has checkpoint format {manifest['format']}, this version reads {FORMAT}")
        return CheckpointInfo(folder, config, manifest["training"], manifest["weights_sha256"])
    except (ValidationError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder} is damaged or of another program ({error}): copy it again or retrain it") from None


def load_checkpoint(
    folder: str | Path, device: str | torch.device = "cpu", dtype: torch.dtype | None = None
) -> Checkpoint:
    """Read a checkpoint for evaluation; `dtype` None keeps the stored one.

    Raises:
        InputError: there is no such checkpoint, it is damaged, or its weights do not have the sha256 of the manifest.
    """
    info = checkpoint_info(folder)
    model = read_weights(info)
    return Checkpoint(
        model=model.to(device=device, dtype=dtype).eval(),
        tokenizer=load_tokenizer(info.path),
        config=info.config,
        training=info.training,
        sha256=info.sha256,
        path=info.path,
    )


def read_weights(info: CheckpointInfo) -> MTPModel:
    """The model on the CPU with the stored weights, after checking them against the manifest.

    Raises:
        InputError: the weights are damaged, do not have the sha256 of the manifest, or do not fit the config.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from mtp_eval.harness.models.transformer import MTPModel

    path = info.path / WEIGHTS
    if file_sha256(path) != info.sha256:
        raise InputError(
            f"{path} does not have the sha256 that {MANIFEST} gives: it is damaged, or its writing was cut off. Copy "
            "it again, or resume the training that wrote it with --resume"
        )
    try:
        state = load_file(path)
    except SafetensorError as error:
        raise InputError(f"{path} is no safetensors file ({error}): copy it again or retrain it") from None
    with torch.device("meta"):
        model = MTPModel(info.config)
    if info.config.tie_embeddings and "lm_head.weight" not in state:
        state["lm_head.weight"] = state["embed_tokens.weight"]
    try:
        model.load_state_dict(state, assign=True)
    except RuntimeError as error:
        raise InputError(f"{path} does not fit {CONFIG} beside it: {error}") from None
    if info.config.tie_embeddings:
        model.lm_head.weight = model.embed_tokens.weight
    return model

"""Weights in other people's layouts, to and from ours.

| layout | read | written | files |
|---|---|---|---|
| ours | yes | yes | config.json, model.safetensors, tokenizer_meta.json, training.json |
| hf | yes | yes | a Hugging Face Llama-family folder; further heads beside it in mtp_heads.safetensors,
mtp_config.json |
| meta | yes | no | Meta's multi-token-prediction release: consolidated.pth, params.json, tokenizer.model beside or
above them |

The next-token path of a model is an ordinary Llama: trunk layers, then head 1 as the last layer. Anything about a
foreign model that our architecture does not have (biases, scaled rotary embedding, sliding windows, experts) is
refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mtp_eval.harness.errors import InputError
from mtp_eval.harness.models.checkpoint import MANIFEST, WEIGHTS, checkpoint_info, read_weights, save_state
from mtp_eval.harness.models.config import ModelConfig
from mtp_eval.harness.models.convert import huggingface, meta
from mtp_eval.harness.models.tokenizers import Tokenizer, load_tokenizer
from mtp_eval.harness.models.transformer import MTPModel


@dataclass(frozen=True, slots=True)
class Weights:
    """A model in our layout, wherever it came from."""

    config: ModelConfig
    state: dict[str, Tensor]
    tokenizer: Tokenizer
    training: Mapping[str, Any] = field(default_factory=dict)

    def check(self, source: Path) -> Weights:
        """These weights, after their names and shapes were compared with the config's.

        Raises:
            InputError: a tensor is missing, of another shape, or unknown.
        """
        with torch.device("meta"):
            wanted = {name: tuple(tensor.shape) for name, tensor in MTPModel(self.config).state_dict().items()}
        found = {name: tuple(tensor.shape) for name, tensor in self.state.items()}
        wrong = [f"{name}: expected {wanted.get(name)}, got {found.get(name)}" for name in sorted({*wanted, *found})
                 if wanted.get(name) != found.get(name)]  # fmt: skip
        if wrong:
            more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
            raise InputError(
                f"the weights in {source} do not fit its config: {'; '.join(wrong[:3])}{more}; copy it again"
            )
        return self


def layout_of(folder: Path) -> str:
    """The layout of a folder: ours, hf or meta.

    Raises:
        InputError: it has none of them.
    """
    if (folder / MANIFEST).is_file() and (folder / WEIGHTS).is_file():
        return "ours"
    if (folder / "params.json").is_file():
        return "meta"
    if (folder / "config.json").is_file():
        return "hf"
    raise InputError(
        f"{folder} holds no model that this program knows: expected a checkpoint of ours (training.json), a Hugging "
        "Face folder (config.json) or one of Meta's (params.json, consolidated.pth)"
    )


def read_any(folder: Path) -> Weights:
    """Read a model of any layout.

    Raises:
        InputError: the folder holds no model that can be read.
    """
    match layout_of(folder):
        case "ours":
            info = checkpoint_info(folder)
            return Weights(info.config, read_weights(info).state_dict(), load_tokenizer(folder), info.training)
        case "meta":
            return Weights(*meta.read(folder), {"converted_from": "meta", "source": folder.name}).check(folder)
        case _:
            return Weights(*huggingface.read(folder), {"converted_from": "hf", "source": folder.name}).check(folder)


def convert(source: Path, target: Path, *, to: str | None = None, n_future: int | None = None) -> ModelConfig:
    """Write `source` as `target` in the layout `to` (None: hf for ours, ours for everything else).

    Raises:
        InputError: the source cannot be read or written in this layout, or the target is not empty.
    """
    weights = read_any(source)
    if target.exists() and any(target.iterdir()):
        raise InputError(f"{target} is not empty: name a new folder")
    if n_future is not None:
        config, state = add_heads(weights.config, weights.state, n_future)
        added = {**weights.training, "heads_added": n_future - weights.config.n_future}
        weights = Weights(config, state, weights.tokenizer, added)
    to = to or ("hf" if layout_of(source) == "ours" and n_future is None else "ours")
    if to == "ours":
        save_state(target, weights.config, weights.state, weights.tokenizer, weights.training)
    elif to == "hf":
        huggingface.write(target, weights.config, weights.state, weights.tokenizer)
    else:
        raise InputError(f"--to {to!r}: models are written as ours or hf")
    return weights.config


def add_heads(config: ModelConfig, state: Mapping[str, Tensor], n_future: int) -> tuple[ModelConfig, dict[str, Tensor]]:
    """Give a next-token model heads 2..n, each a copy of its last layer; its next-token path stays as it was.

    Raises:
        InputError: the model has several heads already, or fewer than 2 are asked for.
    """
    if config.n_future != 1 or config.head_kind != "parallel":
        raise InputError(
            f"heads are added to next-token models; this one has n_future={config.n_future}, "
            f"head_kind={config.head_kind}"
        )
    if n_future < 2:
        raise InputError(f"--n-future {n_future}: adding heads needs 2 or more")
    extra = n_future - 1
    if config.n_layers > n_future:
        change = {"n_future": n_future, "extra_layers": config.extra_layers + extra}
    else:
        change = {"n_future": n_future, "n_layers": config.n_layers + extra}
    grown = dict(state)
    for name, tensor in state.items():
        if name.startswith("heads.0."):
            for i in range(1, n_future):
                grown[name.replace("heads.0.", f"heads.{i}.", 1)] = tensor.clone()
    return ModelConfig.model_validate(config.model_dump() | change), grown

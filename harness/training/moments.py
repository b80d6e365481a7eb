"""AdamW's state by parameter name, `NAME:KEY`: how it lies in a checkpoint, and how it comes back.

A checkpoint has it in one file, or in shards where several processes wrote their parts (torch.distributed.checkpoint);
either can be resumed by any number of processes, with the weights whole or sharded.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor, nn

OPTIMIZER, SHARDS = "optimizer.safetensors", "optimizer"
PartOf = Callable[[Tensor, Tensor], Tensor]
"""This process's part of a whole tensor, for a parameter that it belongs to."""


def moments_of(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimizer's state as this process holds it: whole tensors or its shards."""
    return {
        f"{name}:{key}": value
        for name, parameter in model.named_parameters()
        for key, value in optimizer.state.get(parameter, {}).items()
    }


def load_moments(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, part: PartOf) -> None:
    """Put back the state that a checkpoint's folder holds; no more than one whole tensor is in memory at a time."""
    if (folder / SHARDS).is_dir():
        _load_shards(folder / SHARDS, model, optimizer)
        return
    with safe_open(folder / OPTIMIZER, "pt") as file:
        stored = set(file.keys())
        for name, parameter in model.named_parameters():
            for key in _keys(stored, name):
                whole = file.get_tensor(f"{name}:{key}")
                optimizer.state[parameter][key] = part(whole, parameter) if whole.dim() else whole


def save_shards(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Write this process's part into `folder/optimizer`; all processes must call it."""
    from torch.distributed.checkpoint.filesystem import FileSystemWriter
    from torch.distributed.checkpoint.state_dict_saver import save

    save(dict(moments_of(model, optimizer)), storage_writer=FileSystemWriter(folder / SHARDS))


def _load_shards(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    from torch.distributed.checkpoint.filesystem import FileSystemReader
    from torch.distributed.checkpoint.state_dict_loader import load

    reader = FileSystemReader(folder)
    stored = set(reader.read_metadata().state_dict_metadata)
    wanted = {}
    for name, parameter in model.named_parameters():
        for key in _keys(stored, name):
            value = torch.zeros(()) if key == "step" else torch.zeros_like(parameter, requires_grad=False)
            wanted[f"{name}:{key}"] = optimizer.state[parameter][key] = value
    with warnings.catch_warnings(action="ignore"):  # that one process alone reads is meant
        load(wanted, storage_reader=reader)


def _keys(stored: Iterable[str], name: str) -> list[str]:
    return sorted(key.rpartition(":")[2] for key in stored if key.rpartition(":")[0] == name)

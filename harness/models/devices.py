"""Devices and dtypes by the names that users give: the one choice for decoding and training."""

from __future__ import annotations

import torch

from mtp_eval.harness.errors import InputError

_DTYPES = {"float64": torch.float64, "float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


ALL_DEVICES = "all"
"""A model's layers are put on one device after the other until they fit."""


def choose_device(name: str, *, local_rank: int | None = None) -> torch.device:
    """The device a user names; "auto" prefers a GPU.

    Args:
        local_rank: under torchrun, the number of the GPU that this process takes where the name gives none.

    Raises:
        InputError: no such device, or no GPU here.
    """
    if name == ALL_DEVICES:
        raise InputError(
            f"--device {ALL_DEVICES} is for hf: models; a model of ours runs on one device: give auto, cpu or cuda:N"
        )
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError(f"no such device {name!r}: give auto, cpu, cuda or cuda:N ({error})") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise InputError(f"device {name!r} was asked for, but torch finds no GPU here: give --device cpu or auto")
    if device.type == "cuda" and device.index is None and local_rank is not None:
        device = torch.device("cuda", local_rank)
    return device


def choose_dtype(name: str) -> torch.dtype:
    """The dtype a user names; "auto" is float32.

    Raises:
        InputError: no such dtype.
    """
    if name == "auto":
        return torch.float32
    if name not in _DTYPES:
        raise InputError(f"no such dtype {name!r}: give auto, {', '.join(_DTYPES)}")
    return _DTYPES[name]

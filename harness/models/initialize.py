"""Initial weights: normal with deviation 1 / sqrt(inputs), smaller on the matrices that write into the residual stream.

Big models use a fixed 0.02, which is about 1 / sqrt(d) at their widths; at d = 64 it is six times too small, and
attention stays near uniform for so long that a small model does not learn to copy (measured on `stargraph`: no copying
after 800 steps with 0.02, nearly all of it after 400 with this).

The deviation of `o_proj` and `down_proj` is divided by sqrt(2 * n_layers), as GPT-2 does, so that a model's depth does
not change the scale of its activations. Linear heads start as the identity, so that every head begins with the trunk's
output. Each parameter is drawn from the seed and its own name, on the CPU: models that differ in `n_future` begin with
the same weights wherever they have a parameter in common, and the device changes nothing.
"""

from __future__ import annotations

import hashlib
import math

import torch
from torch import Tensor

from mtp_eval.harness.models.config import ModelConfig
from mtp_eval.harness.models.transformer import MTPModel


def new_model(config: ModelConfig, seed: int) -> MTPModel:
    """A float32 model on the CPU with fresh weights drawn from `seed`."""
    model = empty_model(config)
    shapes = {name: parameter.shape for name, parameter in model.named_parameters()}
    model.to_empty(device="cpu")
    model.tie()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(first_weight(config, seed, name, shapes[name]))
    return model


def empty_model(config: ModelConfig) -> MTPModel:
    """A model whose weights have shapes and no storage (device "meta")."""
    with torch.device("meta"):
        return MTPModel(config)


def first_weight(config: ModelConfig, seed: int, name: str, shape: torch.Size) -> Tensor:
    """The fresh value of one parameter, float32 on the CPU."""
    if len(shape) == 1:
        return torch.zeros(shape) if name.endswith(".bias") else torch.ones(shape)
    if config.head_kind == "linear" and name.startswith("heads."):
        return torch.eye(*shape)
    writes_residual = name.endswith(("o_proj.weight", "down_proj.weight"))
    deviation = shape[1] ** -0.5 / (math.sqrt(2 * config.n_layers) if writes_residual else 1.0)
    return torch.empty(shape).normal_(0.0, deviation, generator=generator_of(seed, name))


def generator_of(seed: int, name: str) -> torch.Generator:
    """Random numbers of one parameter of a run."""
    digest = hashlib.sha256(f"{seed}\0{name}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)

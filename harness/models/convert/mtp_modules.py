"""Sequential modules as DeepSeek-V3 and MiMo name them, under our names.

| ours | DeepSeek-V3: `model.layers.{L + k}.` | MiMo: `model.mtp_layers.{k}.` |
|---|---|---|
| `heads.{k + 1}.embedding_norm` | `enorm` | `token_layernorm` |
| `heads.{k + 1}.state_norm` | `hnorm` | `hidden_layernorm` |
| `heads.{k + 1}.input_proj`, reads [embedding, state] | `eh_proj` | `input_proj`, reads [state, embedding] |
| `heads.{k + 1}.block.…` | the layer's own names | the layer's own names |
| `extra_norms.{k}` | `shared_head.norm` | `final_layernorm` |
| (the model's own) | `embed_tokens`, `shared_head.head` | |

L is num_hidden_layers; k counts from 0. Names and orders are those that vLLM reads (deepseek_mtp.py, mimo_mtp.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

DEEPSEEK = {"enorm": "embedding_norm", "hnorm": "state_norm", "eh_proj": "input_proj"}
MIMO = {"token_layernorm": "embedding_norm", "hidden_layernorm": "state_norm", "input_proj": "input_proj"}
LAST_NORMS = ("shared_head.norm", "final_layernorm")
COPIES = ("embed_tokens", "shared_head.head")
"""Copies of the model's own, which every module shares."""
_DEEPSEEK_NAME = re.compile(r"layers\.(\d+)\.(.+)\.(weight|bias)")
_MIMO_NAME = re.compile(r"mtp_layers\.(\d+)\.(.+)\.(weight|bias)")


def taken_out(weights: Mapping[str, Tensor], n_layers: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Part a checkpoint's weights into those of its layers, as they are named, and those of its modules under our names."""
    layers: dict[str, Tensor] = {}
    modules: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        short = name.removeprefix("model.")
        deepseek, mimo = _DEEPSEEK_NAME.fullmatch(short), _MIMO_NAME.fullmatch(short)
        if mimo:
            modules |= _renamed(int(mimo[1]), mimo[2], mimo[3], tensor, is_mimo=True)
        elif deepseek and int(deepseek[1]) >= n_layers:
            modules |= _renamed(int(deepseek[1]) - n_layers, deepseek[2], deepseek[3], tensor, is_mimo=False)
        else:
            layers[name] = tensor
    return layers, modules


def _renamed(k: int, part: str, suffix: str, tensor: Tensor, *, is_mimo: bool) -> dict[str, Tensor]:
    if part in COPIES:
        return {}
    if part in LAST_NORMS:
        return {f"extra_norms.{k}.{suffix}": tensor}
    outer = (MIMO if is_mimo else DEEPSEEK).get(part)
    if outer is None:
        return {f"heads.{k + 1}.block.{part}.{suffix}": tensor}
    if is_mimo and outer == "input_proj":
        state, embedding = tensor.chunk(2, dim=1)
        tensor = torch.cat([embedding, state], dim=1)
    return {f"heads.{k + 1}.{outer}.{suffix}": tensor}

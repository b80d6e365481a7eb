"""Write a safetensors file one tensor at a time, for weights that no process could hold whole.

The bytes are those of `safetensors.torch.save_file` (test): an 8-byte length, a JSON header, then the tensors, wider types
first and by name among them (https://github.com/huggingface/safetensors, "Format").
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor

TYPE_NAMES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.bfloat16: "BF16",
    torch.float16: "F16",
}


def write_weights(path: Path | None, like: Mapping[str, Tensor], whole: Callable[[str], Tensor]) -> None:
    """Write tensors of the shapes and types of `like`, asking for each just before it is written.

    Args:
        path: None asks for all and writes nothing: for the processes that only help to gather.
        whole: gives a tensor by its name, on the CPU.
    """
    names = sorted(like, key=lambda name: (-like[name].element_size(), name))
    if path is None:
        for name in names:
            whole(name)
        return
    with path.open("wb") as file:
        file.write(_header({name: like[name] for name in names}))
        for name in names:
            file.write(whole(name).contiguous().view(-1).view(torch.uint8).numpy().data)


def _header(like: Mapping[str, Tensor]) -> bytes:
    entries, end = {}, 0
    for name, tensor in like.items():
        start, end = end, end + tensor.numel() * tensor.element_size()
        entries[name] = {"dtype": TYPE_NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [start, end]}
    text = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text

"""Limits of this machine: bytes per second from memory, and multiply-adds per second."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from typing import Any

import torch


def describe(device: torch.device) -> dict[str, Any]:
    """Names and versions for a table's caption."""
    on_gpu = device.type == "cuda"
    return {
        "torch": torch.__version__,
        "python": platform.python_version(),
        "device": torch.cuda.get_device_name(device)
        if on_gpu
        else f"{_processor()} ({torch.get_num_threads()} threads)",
        "load": None if on_gpu else round(os.getloadavg()[0], 1),
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.machine()


def best_seconds(call: Callable[[], object], device: torch.device, repeats: int = 7) -> float:
    """The fastest of a few runs."""
    times = []
    for _ in range(repeats):
        synchronize(device)
        start = time.perf_counter()
        call()
        synchronize(device)
        times.append(time.perf_counter() - start)
    return min(times[1:])


def synchronize(device: torch.device) -> None:
    """Wait for a GPU."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def limits(device: torch.device, dtype: torch.dtype) -> dict[str, float]:
    """Measured read bandwidth (matrix times vector, far larger than any cache) and matrix-product rate."""
    side = 16384 if device.type == "cuda" else 6144
    matrix = torch.ones(side, side, dtype=dtype, device=device)
    vector = torch.ones(side, dtype=dtype, device=device)
    read = best_seconds(lambda: matrix @ vector, device)
    square = matrix[:4096, :4096].contiguous() if device.type == "cuda" else matrix[:1024, :1024].contiguous()
    product = best_seconds(lambda: square @ square, device)
    return {
        "bytes_per_second": matrix.numel() * matrix.itemsize / read,
        "flops_per_second": 2 * square.shape[0] ** 3 / product,
    }

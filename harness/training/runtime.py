"""Choices for "auto" on this machine: device, precision, compilation, chunk size; and the machine's peak rate.

The choices follow from the hardware and the model's shape alone, never from a timing, so that the same command gives
the same weights again. They are resolved once, stored with the checkpoint, and kept by --resume.
"""

from __future__ import annotations

import platform
import resource
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from typing import Any

import torch

from mtp_eval.harness.errors import InputError
from mtp_eval.harness.models.devices import choose_device
from mtp_eval.harness.training.config import TrainConfig

BF16_PAYS_FROM_WIDTH = 192
"""On a CPU with bf16 instructions, autocast's casts cost more than they save below this width (docs/training.md)."""

CHUNK_BYTES = {"cpu": 128 << 20, "cuda": 1 << 30}
"""Float32 logits held at once when loss.chunk_tokens is left open."""

DENSE_BF16_FLOPS = {
    "H200": 989e12,
    "H100": 989e12,
    "H800": 989e12,
    "A100": 312e12,
    "L40S": 362e12,
    "4090": 165e12,
    "A10": 125e12,
}
"""Makers' dense bf16 peak by a part of the device's name; PCIe parts have less, so their MFU reads low."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """Resolved choices of one run."""

    device: str
    precision: str
    compile: bool
    chunk_tokens: int
    device_name: str

    def autocast(self) -> AbstractContextManager[object]:
        """The context for forward passes, with autocast where the precision asks for it."""
        if self.precision == "bf16":
            return torch.autocast(torch.device(self.device).type, dtype=torch.bfloat16)
        return nullcontext()

    def as_dict(self) -> dict[str, Any]:
        """The choices as JSON, for training.json."""
        return asdict(self)


def resolve_runtime(config: TrainConfig, vocab_size: int, *, local_rank: int = 0) -> Runtime:
    """Turn every "auto" into a choice."""
    device = choose_device(config.device, local_rank=local_rank)
    kind = device.type
    precision = config.precision
    if precision == "auto":
        if kind == "cuda":
            precision = "bf16" if torch.cuda.is_bf16_supported() else "fp32"
        else:
            precision = "bf16" if cpu_has_bf16() and config.model.d_model >= BF16_PAYS_FROM_WIDTH else "fp32"
    chunk = config.loss.chunk_tokens
    if chunk is None:
        chunk = 0 if vocab_size < 4096 else max(256, CHUNK_BYTES.get(kind, 128 << 20) // (4 * vocab_size) // 256 * 256)
    return Runtime(
        device=str(device),
        precision=precision,
        compile=config.compile == "on" or (config.compile == "auto" and kind == "cuda"),
        chunk_tokens=chunk,
        device_name=torch.cuda.get_device_name(device) if kind == "cuda" else f"{platform.machine()} CPU",
    )


def cpu_has_bf16() -> bool:
    """Whether this CPU multiplies bf16 matrices in hardware."""
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="ignore") as file:
            flags = next((line for line in file if line.startswith("flags")), "")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def peak_flops(runtime: Runtime) -> tuple[float, str]:
    """FLOP/s to compare with, and where the figure comes from; 0 when unknown."""
    if runtime.device.startswith("cuda"):
        for part, flops in DENSE_BF16_FLOPS.items():
            if part in runtime.device_name and runtime.precision == "bf16":
                return flops, f"{part} dense bf16"
        return 0.0, "unknown device"
    return measured_matmul_flops(
        torch.bfloat16 if runtime.precision == "bf16" else torch.float32
    ), "matmul 1024 measured"


def measured_matmul_flops(
    dtype: torch.dtype, size: int = 1024, repeats: int = 12, clock: Callable[[], float] = time.perf_counter
) -> float:
    """The best rate of a square matrix product on this CPU, which a training step cannot exceed."""
    a, b = torch.randn(size, size).to(dtype), torch.randn(size, size).to(dtype)
    a @ b
    best = float("inf")
    for _ in range(repeats):
        started = clock()
        a @ b
        best = min(best, clock() - started)
    return 2 * size**3 / best


def peak_memory_bytes(device: str) -> int:
    """The peak so far: of the GPU's allocator, or of this process's resident memory."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated(device)
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return kilobytes if platform.system() == "Darwin" else kilobytes * 1024


def explain_out_of_memory(run: Callable[[], None], config: TrainConfig) -> None:
    """Run, and turn an out-of-memory error into advice.

    Raises:
        InputError: memory ran out; the message names the keys to lower.
    """
    try:
        run()
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        text = str(error).lower()
        if not isinstance(error, torch.OutOfMemoryError | MemoryError) and not any(
            part in text for part in ("not enough memory", "can't allocate memory")
        ):
            raise
        micro = config.micro_batch_size or config.batch_size
        raise InputError(
            f"out of memory in training: lower micro_batch_size (now {micro}; gradients are accumulated, the result "
            "is the same up to rounding), then loss.chunk_tokens, then model.context_length. The last periodic "
            "checkpoint is whole: --resume goes on from it"
        ) from error

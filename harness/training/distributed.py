"""The processes of a run, as `torchrun` starts them, and the sum of gradients over them.

The batch is the same for any number of processes: each takes its rows of the global batch, and the loss is divided by
the global batch's size. Gradients are summed once per optimizer step in buckets of 25 MiB, which the head-by-head
backward pass allows and DistributedDataParallel's one-backward-per-step hooks do not.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from mtp_eval.harness.errors import InputError
from mtp_eval.harness.models.devices import choose_device

BUCKET_BYTES = 25 << 20


@dataclass(frozen=True, slots=True)
class Processes:
    """This process's place among those of the run."""

    rank: int = 0
    world_size: int = 1
    local_rank: int = 0

    @property
    def is_main(self) -> bool:
        """Whether this is rank 0, which alone prints and writes."""
        return self.rank == 0

    def rows(self, batch_size: int) -> slice:
        """This process's rows of a global batch."""
        share = batch_size // self.world_size
        return slice(self.rank * share, (self.rank + 1) * share)

    def sum(self, tensor: Tensor) -> Tensor:
        """Sum over all processes, in place."""
        if self.world_size > 1:
            dist.all_reduce(tensor)
        return tensor

    def barrier(self) -> None:
        """Wait for all."""
        if self.world_size > 1:
            dist.barrier()


def join_processes(device: str, batch_size: int) -> Processes:
    """Join the group that torchrun's environment variables describe, if any.

    Raises:
        InputError: the batch size is no multiple of the number of processes.
    """
    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    if world_size == 1:
        return Processes()
    if batch_size % world_size:
        raise InputError(f"batch_size={batch_size} cannot be shared by {world_size} processes: make it a multiple")
    local_rank = int(os.environ.get("LOCAL_RANK", "0"))
    on_gpu = choose_device(device).type == "cuda"
    if not dist.is_initialized():
        if on_gpu:
            torch.cuda.set_device(local_rank)
        dist.init_process_group("nccl" if on_gpu else "gloo")
    return Processes(dist.get_rank(), world_size, local_rank)


def sum_gradients(model: nn.Module, processes: Processes) -> None:
    """Sum the gradients of replicated weights over all processes, bucket by bucket."""
    if processes.world_size == 1:
        return
    bucket: list[Tensor] = []
    size = 0
    pending: list[tuple[Any, Tensor, list[Tensor]]] = []
    for parameter in model.parameters():
        if parameter.grad is None:
            continue
        bucket.append(parameter.grad)
        size += parameter.grad.numel() * parameter.grad.element_size()
        if size >= BUCKET_BYTES:
            pending.append(_launch(bucket))
            bucket, size = [], 0
    if bucket:
        pending.append(_launch(bucket))
    for work, flat, gradients in pending:
        work.wait()
        for gradient, part in zip(gradients, torch.split(flat, [g.numel() for g in gradients]), strict=True):
            gradient.copy_(part.view_as(gradient))


def _launch(gradients: list[Tensor]) -> tuple[Any, Tensor, list[Tensor]]:
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    return dist.all_reduce(flat, async_op=True), flat, gradients

"""FSDP2: every process keeps a part of each weight, its gradient and its optimizer state.

Norm and unembeddings are gathered once a step and stay whole while the heads run, chunk by chunk; a head's layer stays
whole from its forward pass to the backward pass that follows at once. Gradients are summed once a step, or, to hold no
whole ones, once a micro-batch (`gradient_sync`). With bf16 the gathered copies are bf16; parts, sums and updates stay
float32, and so does the residual stream.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, distribute_tensor

from mtp_eval.harness.errors import InputError
from mtp_eval.harness.models.transformer import MTPModel
from mtp_eval.harness.models.weights_file import write_weights
from mtp_eval.harness.training.distributed import Processes
from mtp_eval.harness.training.moments import SHARDS, save_shards
from mtp_eval.harness.training.parallel import Parallel, WholeWeights


class Sharded(Parallel):
    """Weights, gradients and optimizer state in parts, one a process."""

    scores_all_windows = True

    def __init__(self, processes: Processes, *, precision: str, gradient_sync: Literal["step", "micro_batch"]):
        super().__init__(processes)
        self.loss_factor = float(processes.world_size)  # FSDP averages
        self.precision, self.sums_each_micro_batch = precision, gradient_sync == "micro_batch"
        self.root: FSDPModule
        self.units: list[FSDPModule] = []
        self.whole: list[FSDPModule] = []
        self.sums_now = True

    def place(self, model: MTPModel, device: str, first: WholeWeights) -> None:
        """Shard before there is any storage, then fill in this process's parts, one weight at a time.

        Raises:
            InputError: embedding and unembedding are one weight, which cannot be two units.
        """
        if model.config.tie_embeddings:
            raise InputError(
                "parallel = 'fsdp' with model.tie_embeddings is not supported: untie them, or use parallel = 'ddp'"
            )
        mesh = init_device_mesh(torch.device(device).type, (self.processes.world_size,))

        def unit(module: nn.Module, *, output: torch.dtype | None = None, stays: bool = False) -> FSDPModule:
            policy = MixedPrecisionPolicy(cast_forward_inputs=False)
            if self.precision == "bf16":
                policy = MixedPrecisionPolicy(torch.bfloat16, torch.float32, output, cast_forward_inputs=False)
            return fully_shard(module, mesh=mesh, mp_policy=policy, reshard_after_forward=not stays)

        embeddings = [unit(part, output=torch.float32) for part in (model.embed_tokens, *model.register_tokens)]
        matrices = (model.lm_head, *model.extra_lm_heads, *model.order_lm_heads)
        self.whole = [unit(part, stays=True) for part in (model.norm, *model.extra_norms, *matrices)]
        heads = [unit(head, stays=True) for head in model.heads]
        self.units = [*embeddings, *map(unit, model.trunk), *heads, *self.whole]
        self.root = fully_shard(model, mesh=mesh)
        for method in ("trunk_forward", "trunk_with_registers"):
            register_fsdp_forward_method(model, method)
        for part in self.whole:
            part.set_reshard_after_backward(False)
        model.to_empty(device=device)
        self.fill(model, first)

    def fill(self, model: MTPModel, whole: WholeWeights) -> None:
        """Overwrite this process's parts."""
        for name, parameter in model.named_parameters():
            target, part = parameter.data, self.part(whole(name), parameter)
            assert isinstance(target, DTensor)
            assert isinstance(part, DTensor)
            target.to_local().copy_(part.to_local())

    def part(self, whole: Tensor, like: Tensor) -> Tensor:
        """This process's part, cut out of the whole that every process has; nothing is sent."""
        assert isinstance(like, DTensor)
        return distribute_tensor(whole.to(like.device), like.device_mesh, like.placements, src_data_rank=None)

    def begin(self, model: MTPModel, *, is_last: bool) -> None:
        """Hold back all sums until the heads are done, except each head's own gradients once a micro-batch.

        Every backward pass sums whatever its process holds for the units that may; a head's would sum the trunk's.
        """
        trunk_learns = model.embed_tokens.weight.requires_grad
        self.sums_now = is_last or self.sums_each_micro_batch
        self.root.set_requires_gradient_sync(self.sums_each_micro_batch or not trunk_learns)
        if trunk_learns:
            for part in self.whole:
                part.set_requires_gradient_sync(False)

    def heads_done(self, model: MTPModel) -> None:
        """Let the trunk's backward pass, which comes next, also sum what heads, norm and unembeddings have collected."""
        self.root.set_requires_gradient_sync(self.sums_now)

    def settle(self, model: MTPModel) -> None:
        """Leave only this process's parts in memory."""
        for part in self.units:
            part.reshard()

    def write_weights(self, path: Path | None, model: MTPModel) -> None:
        """Gather and write the weights one at a time."""
        state: dict[str, DTensor] = model.state_dict()
        write_weights(path, state, lambda name: state[name].full_tensor().detach().cpu())

    def save_optimizer(self, folder: Path, model: MTPModel, optimizer: torch.optim.Optimizer) -> list[Path]:
        """Write this process's part of the optimizer's state."""
        save_shards(folder, model, optimizer)
        return sorted((folder / SHARDS).iterdir()) if self.processes.is_main else []

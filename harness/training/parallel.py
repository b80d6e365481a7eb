"""Ways to spread one model over the processes of a run: the seam behind `parallel = "ddp"` and `"fsdp"`.

`Parallel` is the case of one process; `Replicated` keeps the whole model in each and sums gradients; `Sharded`
(sharded.py) keeps a part of every weight in each. The trainer calls the same methods for all three, in this order:

    place -> for each step: (begin -> heads_done) per micro-batch -> finish_gradients -> optimizer -> settle
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from mtp_eval.harness.models.transformer import MTPModel
from mtp_eval.harness.training.distributed import Processes, sum_gradients
from mtp_eval.harness.training.moments import OPTIMIZER, load_moments, moments_of

WholeWeights = Callable[[str], Tensor]
"""A parameter's value by its name, whole and on the CPU."""


class Parallel:
    """One process that has the whole model."""

    loss_factor = 1.0
    """What the loss is multiplied by, so that summed gradients are those of the global batch."""
    scores_all_windows = False
    """Whether every process must score all held-out windows, because the weights are gathered by all in step."""

    def __init__(self, processes: Processes):
        self.processes = processes

    def place(self, model: MTPModel, device: str, first: WholeWeights) -> None:
        """Give a model without storage (device "meta") its first weights, on the device."""
        model.to_empty(device=device)
        model.tie()
        self.fill(model, first)

    def fill(self, model: MTPModel, whole: WholeWeights) -> None:
        """Overwrite all weights."""
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter.copy_(whole(name))

    def part(self, whole: Tensor, like: Tensor) -> Tensor:
        """This process's part of a tensor that belongs to the parameter `like`, on its device."""
        return whole.to(like.device)

    def begin(self, model: MTPModel, *, is_last: bool) -> None:
        """Called when a micro-batch begins; `is_last`: it is the step's last one."""

    def heads_done(self, model: MTPModel) -> None:
        """Called when the micro-batch's heads are done; the trunk's backward pass comes next."""

    def finish_gradients(self, model: MTPModel) -> None:
        """Make the gradients those of the global batch."""

    def settle(self, model: MTPModel) -> None:
        """Bring the weights into the state in which they are updated and saved."""

    def write_weights(self, path: Path | None, model: MTPModel) -> None:
        """Write all weights to a safetensors file, by all processes together; only the main one has a path."""
        if path is not None:
            tied = {"lm_head.weight"} if model.config.tie_embeddings else set()
            state = {name: tensor.detach().cpu() for name, tensor in model.state_dict().items() if name not in tied}
            save_file({name: tensor.contiguous() for name, tensor in state.items()}, path)

    def save_optimizer(self, folder: Path, model: MTPModel, optimizer: torch.optim.Optimizer) -> list[Path]:
        """Write the optimizer's state into the folder, by all processes together; returns this process's files."""
        if not self.processes.is_main:
            return []
        save_file(moments_of(model, optimizer), folder / OPTIMIZER)
        return [folder / OPTIMIZER]

    def load_optimizer(self, folder: Path, model: MTPModel, optimizer: torch.optim.Optimizer) -> None:
        """Put back what `save_optimizer` wrote, in a run of any kind and number of processes."""
        load_moments(folder, model, optimizer, self.part)


class Replicated(Parallel):
    """The whole model in every process; gradients are summed once a step."""

    def finish_gradients(self, model: MTPModel) -> None:
        """Sum the gradients over all processes."""
        sum_gradients(model, self.processes)

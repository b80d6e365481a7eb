"""A trial: the first steps of a run with another n or other weights, in memory, and what is seen of its heads afterwards.

Shapes: N heads, K groups of held-out windows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from mtp_eval.harness.errors import MtpEvalError
from mtp_eval.harness.models.size import model_size
from mtp_eval.harness.training.assemble import new_stepper
from mtp_eval.harness.training.batches import Batches
from mtp_eval.harness.training.config import TrainConfig
from mtp_eval.harness.training.corpus import Array, Window
from mtp_eval.harness.training.distributed import Processes
from mtp_eval.harness.training.loss import HeadSums, evaluate
from mtp_eval.harness.training.mixture import Mixture
from mtp_eval.harness.training.runtime import Runtime
from mtp_eval.harness.training.targets import IGNORED

GROUPS = 16
"""Of the held-out windows, and of the rows of a step: as many independent looks at what is measured on them."""
FORWARD = 1 / 3
"""Of a training step's work, for each token that is only read."""


@dataclass(frozen=True)
class Material:
    """What all trials of a run have in common."""

    data: Mixture
    vocab_size: int
    runtime: Runtime


class Trial:
    """One model of the run with the run's own seed, batches and learning rates, from its first weights on.

    Args:
        config: of the run, with this trial's n and weights.
        on_step: called after every step.
    """

    def __init__(self, config: TrainConfig, material: Material, on_step: Callable[[], None] = lambda: None):
        self.config, self._material, self._on_step = config, material, on_step
        self.stepper = new_stepper(config, material.vocab_size, material.runtime, Processes())
        self.n_future = self.stepper.model.config.n_future
        self.flops_per_token = model_size(self.stepper.model.config).train_flops_per_token
        self.step = 0
        self.flops = 0.0

    @property
    def step_flops(self) -> float:
        """FLOPs of a training step."""
        return float(self.flops_per_token) * self.config.tokens_per_step

    @cached_property
    def batches(self) -> Batches:
        """Of the run."""
        return self._material.data.batches(self.config, self.config.lookahead)

    @cached_property
    def held_out(self) -> list[Window]:
        """Held-out text in at most `GROUPS` groups; none where nothing is held out.

        Whole documents with their prompts where answers alone are learnt, else windows; so many that a look costs a training step.
        """
        many = self.config.model_copy(update={"validation_windows": round(self.config.batch_size / FORWARD)})
        data = self._material.data
        windows = data.answers(many, self.n_future) or data.validation(many, self.n_future)
        parts = np.array_split(np.arange(len(windows)), min(GROUPS, len(windows))) if windows else []
        return [Window.stack([windows[i] for i in part]) for part in parts]

    def train_to(self, step: int) -> None:
        """Take the run's steps up to this one.

        Raises:
            MtpEvalError: a loss is not finite.
        """
        nats = torch.zeros(0)
        for number in range(self.step, step):
            sums, _ = self.stepper.step(number, self.batches.batch(number))
            nats = sums.nats
            self.flops += self.step_flops
            self.step = number + 1
            self._on_step()
        if not bool(torch.isfinite(nats).all()):
            raise MtpEvalError(
                f"the loss is not finite in the first {self.step} steps with n_future={self.n_future}: lower "
                "optimizer.learning_rate or raise optimizer.warmup_steps"
            )

    def held_out_nats(self) -> Array:
        """Mean nats of each head on each group of held-out windows `(K, N)`; NaN where a head has no target."""
        sums = [self._scored(window) for window in self.held_out]
        found = torch.stack([one.nats for one in sums]) / torch.stack([one.targets for one in sums])
        result: Array = found.double().cpu().numpy()
        return result

    def tensors(self, window: Window) -> tuple[Tensor, Tensor]:
        """Tokens `(B, S)` and targets `(N, B, T)`, of every head at the places where head 1 has one.

        A later head has targets before an answer begins, too, where a prompt is not read to its end and nothing can be known yet.
        """
        tokens_BS, targets_NBT = self.stepper.tensors(window)
        return tokens_BS, targets_NBT.masked_fill(targets_NBT[0] == IGNORED, IGNORED)

    def _scored(self, window: Window) -> HeadSums:
        tokens_BS, targets_NBT = self.tensors(window)
        self.flops += FORWARD * self.flops_per_token * targets_NBT[0].numel()
        runtime = self.stepper.runtime
        return evaluate(
            self.stepper.model, tokens_BS, targets_NBT, chunk_tokens=runtime.chunk_tokens, autocast=runtime.autocast
        )


def with_heads(config: TrainConfig, n_future: int, head_weights: Sequence[float] | None = None) -> TrainConfig:
    """The run's config with this n and these weights, and without anything left to choose."""
    weights = None if head_weights is None else tuple(head_weights)
    return config.model_copy(
        update={
            "choice": type(config.choice)(),
            "model": config.model.model_copy(update={"n_future": n_future}),
            "loss": config.loss.model_copy(update={"head_weights": weights}),
        }
    )

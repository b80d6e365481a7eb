"""One optimizer step on one model: micro-batches head by head, gradients summed over processes, clipped, AdamW."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mtp_eval.harness.models.transformer import MTPModel
from mtp_eval.harness.training.config import TrainConfig
from mtp_eval.harness.training.corpus import Array, Window
from mtp_eval.harness.training.loss import HeadSums, head_nats, sequential_backward
from mtp_eval.harness.training.optimizer import gradient_norm, make_optimizer
from mtp_eval.harness.training.parallel import Parallel
from mtp_eval.harness.training.registers import RegisterLoss, draw_distances, register_targets
from mtp_eval.harness.training.runtime import Runtime
from mtp_eval.harness.training.schedule import head_weights, learning_rate
from mtp_eval.harness.training.targets import IGNORED, future_targets
from mtp_eval.harness.training.token_order import OrderLoss, order_targets


class Stepper:
    """A model with its optimizer; knows the curves but not the data, the clock or the disk."""

    def __init__(self, model: MTPModel, config: TrainConfig, runtime: Runtime, parallel: Parallel):
        self.model, self.config, self.runtime, self.parallel = model, config, runtime, parallel
        self.processes = parallel.processes
        self.head_nats = head_nats
        if runtime.compile:
            for block in [*model.trunk, *model.heads]:  # one compilation serves all layers
                block.compile()
            self.head_nats = torch.compile(head_nats)
        self.optimizer = make_optimizer(model, config.optimizer)
        self.micro = min(config.micro_batch_size or config.batch_size, config.batch_size // self.processes.world_size)

    def step(self, step: int, batch: Window) -> tuple[HeadSums, Tensor]:
        """Update the weights on this process's rows of batch `step`; returns their sums and the gradient's norm."""
        config = self.config
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(config.optimizer, step, config.total_steps)
        weights = head_weights(config.loss, self.model.config.n_future, step, config.total_steps)
        scale = 1 / self.processes_targets(batch) if batch.learnt is not None else 1 / config.tokens_per_step
        scale *= self.parallel.loss_factor
        distances = self.distances(step)
        parts = []
        starts = range(0, len(batch.tokens), self.micro)
        for start in starts:
            self.parallel.begin(self.model, is_last=start == starts[-1])
            chosen = slice(start, start + self.micro)
            rows = batch.rows(chosen)
            tokens_BS, targets_NBT = self.tensors(rows)
            registers = None if distances is None else self.register_loss(rows, distances[chosen], scale)
            parts.append(self.backward(tokens_BS, targets_NBT, weights, scale, self.order_loss(rows, scale), registers))
        self.parallel.finish_gradients(self.model)
        self.parallel.settle(self.model)
        norm = self.update()
        return add_sums(parts), norm

    def backward(
        self,
        tokens_BS: Tensor,
        targets_NBT: Tensor,
        weights: Sequence[float],
        scale: float,
        order: OrderLoss | None = None,
        registers: RegisterLoss | None = None,
    ) -> HeadSums:
        """Accumulate gradients of one micro-batch."""
        return sequential_backward(
            self.model,
            tokens_BS,
            targets_NBT,
            weights,
            scale,
            chunk_tokens=self.runtime.chunk_tokens,
            autocast=self.runtime.autocast,
            train_trunk=self.config.freeze == "none",
            head_nats=self.head_nats,
            heads_done=lambda: self.parallel.heads_done(self.model),
            order=order,
            registers=registers,
        )

    def order_loss(self, rows: Window, scale: float) -> OrderLoss | None:
        """Token order prediction on these rows, where the config asks for it."""
        loss = self.config.loss
        if not loss.order_window:
            return None
        tokens_BS, documents_BS, learnt_BS = self._read(rows)
        length = self.config.model.context_length
        targets = order_targets(tokens_BS, documents_BS, loss.order_window, length, learnt_BS)
        return OrderLoss(targets, scale * loss.order_weight)

    def distances(self, step: int) -> Array | None:
        """How far the registers of each of this process's rows look ahead, where the config asks for registers."""
        config = self.config
        if not config.loss.register_distance:
            return None
        drawn = draw_distances(config.seed, step, config.loss.register_distance, config.batch_size)
        return drawn[self.processes.rows(config.batch_size)]

    def register_loss(self, rows: Window, distances: Array, scale: float) -> RegisterLoss:
        """What the registers behind these rows' tokens are to predict."""
        tokens_BS, documents_BS, learnt_BS = self._read(rows)
        distances_B, length = self._on_device(distances), self.config.model.context_length
        targets_BT = register_targets(tokens_BS, documents_BS, distances_B, length, learnt_BS)
        return RegisterLoss(distances_B, targets_BT, scale * self.config.loss.register_weight)

    def update(self) -> Tensor:
        """Clip, step, forget the gradients; returns their norm before clipping."""
        parameters = [p for p in self.model.parameters() if p.grad is not None]
        norm = gradient_norm(parameters)
        if self.config.optimizer.clip_norm:
            torch.nn.utils.clip_grads_with_norm_(parameters, self.config.optimizer.clip_norm, norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return norm

    def processes_targets(self, batch: Window) -> int:
        """Targets of head 1 in the batches of all processes: what a loss with prompts is divided by; at least 1."""
        length = self.config.model.context_length
        learnt_BS = None if batch.learnt is None else torch.from_numpy(batch.learnt)
        targets_1BT = future_targets(
            torch.from_numpy(batch.tokens), torch.from_numpy(batch.documents), 1, length, learnt_BS
        )
        count = (targets_1BT != IGNORED).sum().to(self.runtime.device)
        return max(int(self.processes.sum(count)), 1)

    def tensors(self, batch: Window) -> tuple[Tensor, Tensor]:
        """Tokens `(B, S)`, of which the first T are positions, and targets `(N, B, T)`, on the device."""
        length, n_future = self.config.model.context_length, self.model.config.n_future
        tokens_BS, documents_BS, learnt_BS = self._read(batch)
        return tokens_BS, future_targets(tokens_BS, documents_BS, n_future, length, learnt_BS)

    def _read(self, rows: Window) -> tuple[Tensor, Tensor, Tensor | None]:
        learnt_BS = None if rows.learnt is None else self._on_device(rows.learnt)
        return self._on_device(rows.tokens), self._on_device(rows.documents), learnt_BS

    def _on_device(self, array: Array) -> Tensor:
        tensor, device = torch.from_numpy(array), self.runtime.device
        return tensor.pin_memory().to(device, non_blocking=True) if device.startswith("cuda") else tensor


def add_sums(parts: Sequence[HeadSums]) -> HeadSums:
    """Add up the sums of several micro-batches or steps."""
    return HeadSums(
        torch.stack([part.nats for part in parts]).sum(0),
        torch.stack([part.hits for part in parts]).sum(0),
        torch.stack([part.targets for part in parts]).sum(0),
        {name: torch.stack([part.beside[name] for part in parts]).sum(0) for name in parts[0].beside},
    )

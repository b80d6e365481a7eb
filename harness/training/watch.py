"""Following a run: losses finite or not, logged every `log_every` steps, reported after every step."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from mtp_eval.harness.errors import MtpEvalError
from mtp_eval.harness.training import state
from mtp_eval.harness.training.config import TrainConfig
from mtp_eval.harness.training.curves import MetricsWriter
from mtp_eval.harness.training.distributed import Processes
from mtp_eval.harness.training.loss import HeadSums
from mtp_eval.harness.training.schedule import head_weights, learning_rate
from mtp_eval.harness.training.step import add_sums
from mtp_eval.harness.training.validation import Validation, ratios


@dataclass(frozen=True, slots=True)
class Report:
    """The report that `on_progress` gets after every step: losses are of the last logged steps, per head, in nats.

    The loss of a head that had no weight is NaN.
    """

    step: int
    total_steps: int
    losses: tuple[float, ...]
    tokens_per_second: float
    flops_per_second: float
    note: str = ""


OnProgress = Callable[[Report], None]


class NotFiniteError(MtpEvalError):
    """The loss, or its gradient, is infinite or NaN."""


class Watch:
    """Losses and speed of one run since the last logged step."""

    def __init__(
        self,
        config: TrainConfig,
        processes: Processes,
        out: Path,
        metrics: MetricsWriter | None,
        *,
        n_future: int,
        flops_per_token: int,
        peak: tuple[float, str],
        step: int,
    ):
        self.config, self.processes, self.out, self.metrics, self.n_future = config, processes, out, metrics, n_future
        self.flops_per_token, (self.peak, self.peak_source) = flops_per_token, peak
        self.pending: list[tuple[int, HeadSums, Tensor]] = []
        self.since, self.since_step = time.monotonic(), step
        self.last = Report(step, config.total_steps, (), 0.0, 0.0)

    def after_step(self, step: int, sums: HeadSums, norm: Tensor, on_progress: OnProgress) -> None:
        """Note one finished step (counted from 1)."""
        self.pending.append((step, sums, norm))
        if step % self.config.log_every == 0 or step in (1, self.config.total_steps):
            self.log(step)
        last = self.last
        on_progress(
            Report(step, last.total_steps, last.losses, last.tokens_per_second, last.flops_per_second, last.note)
        )

    def check_finite(self) -> None:
        """Stop at the first step whose loss or gradient is no number; nothing bad has been saved.

        Raises:
            NotFiniteError: naming the step, the losses and the last good checkpoint.
        """
        for step, sums, norm in self.pending:
            losses = [*sums.nats.tolist(), *(float(beside[0]) for beside in sums.beside.values())]
            if not all(map(math.isfinite, [*losses, float(norm)])):
                kept = state.step_folders(self.out)
                where = f"the last good checkpoint is {kept[-1]}" if kept else "no checkpoint had been written yet"
                raise NotFiniteError(
                    f"the loss or its gradient is not finite at step {step} (losses per head, summed: {losses}; "
                    f"gradient norm {float(norm)}); {where}. Lower optimizer.learning_rate or raise "
                    "optimizer.warmup_steps"
                )

    def log(self, step: int) -> None:
        """Mean losses, speed and the curves' values since the last log."""
        self.check_finite()
        config = self.config
        sums = add_sums([sums for _, sums, _ in self.pending])
        nats, targets = self.processes.sum(sums.nats.clone()), self.processes.sum(sums.targets.clone())
        losses = ratios(nats.tolist(), targets.tolist())
        beside = self._beside(sums)
        now = time.monotonic()
        rate = (step - self.since_step) * config.tokens_per_step / max(now - self.since, 1e-9)
        flops = rate * self.flops_per_token
        share = f" ({flops / self.peak:.0%} of {self.peak_source})" if self.peak else ""
        shown = " ".join("-" if math.isnan(loss) else f"{loss:.3f}" for loss in losses)
        shown += "".join(f" {name} {loss:.3f}" for name, loss in beside.items())
        note = f"loss {shown}, {rate:,.0f} tokens/s, {flops / 1e9:,.1f} GFLOP/s{share}"
        self.last = Report(step, config.total_steps, losses, rate, flops, note)
        if self.metrics is not None:
            weights = head_weights(config.loss, self.n_future, step - 1, config.total_steps)
            values = {
                "tokens": step * config.tokens_per_step,
                "loss": sum(w * loss for w, loss in zip(weights, losses, strict=True) if not math.isnan(loss)),
                **{f"loss_head_{i}": loss for i, loss in enumerate(losses, start=1)},
                **{f"loss_{name}": loss for name, loss in beside.items()},
                "learning_rate": learning_rate(config.optimizer, step - 1, config.total_steps),
                "gradient_norm": float(self.pending[-1][2]),
                "tokens_per_second": rate,
                "flops_per_second": flops,
            }
            self.metrics.write("train", step, values)
        self.pending.clear()
        self.since, self.since_step = time.monotonic(), step

    def _beside(self, sums: HeadSums) -> dict[str, float]:
        """Means of the losses beside the heads', by name; "loss" is that of the heads alone."""
        totals = {name: self.processes.sum(part.clone()).tolist() for name, part in sums.beside.items()}
        return {name: nats / positions for name, (nats, positions) in totals.items() if positions}

    def log_validation(self, step: int, validation: Validation, seconds: float) -> None:
        """A validation's row; its `seconds` are not training's."""
        self.since += seconds
        if self.metrics is None:
            return
        total = sum(loss for loss in validation.losses if not math.isnan(loss))
        values: dict[str, Any] = {
            "tokens": step * self.config.tokens_per_step,
            "loss": total,
            "answers_right": validation.answers_right,
        }
        for i in range(self.n_future):
            values[f"loss_head_{i + 1}"] = validation.losses[i]
            values[f"accuracy_head_{i + 1}"] = validation.accuracies[i]
            values[f"bits_per_byte_head_{i + 1}"] = validation.bits_per_byte[i]
        self.metrics.write("validation", step, values)

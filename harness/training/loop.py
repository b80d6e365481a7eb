"""The training loop: batches in, steps, validation, checkpoints; nothing else.

A step: learning rate and head weights from their curves; every micro-batch head by head (loss.py); gradients summed
over processes; clipped; AdamW. The loss is divided by the positions of the global batch, so that micro-batches and
processes change nothing but rounding.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mtp_eval.harness.errors import InputError, MtpEvalError
from mtp_eval.harness.models.checkpoint import MANIFEST, checkpoint_info, read_weights
from mtp_eval.harness.models.config import ModelConfig
from mtp_eval.harness.models.initialize import new_model
from mtp_eval.harness.models.size import model_size
from mtp_eval.harness.models.tokenizers import ByteTokenizer, Tokenizer
from mtp_eval.harness.models.transformer import MTPModel
from mtp_eval.harness.training import state
from mtp_eval.harness.training.config import TrainConfig
from mtp_eval.harness.training.corpus import Batches, Corpus, build_corpus, validation_batches
from mtp_eval.harness.training.distributed import Processes, join_processes, shard, sum_gradients
from mtp_eval.harness.training.documents import Document
from mtp_eval.harness.training.loss import HeadSums, evaluate, future_targets, sequential_backward
from mtp_eval.harness.training.matching import baseline, matched
from mtp_eval.harness.training.metrics import MetricsWriter
from mtp_eval.harness.training.optimizer import freeze_trunk, gradient_norm, make_optimizer
from mtp_eval.harness.training.runtime import (
    Runtime,
    explain_out_of_memory,
    peak_flops,
    peak_memory_bytes,
    resolve_runtime,
)
from mtp_eval.harness.training.schedule import head_weights, learning_rate


@dataclass(frozen=True, slots=True)
class Report:
    """What `on_progress` gets after every step: losses are of the last logged steps, per head, in nats."""

    step: int
    total_steps: int
    losses: tuple[float, ...]
    tokens_per_second: float
    flops_per_second: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class Validation:
    """Per head, on held-out text: nats per target, bits per byte, share of targets that were the most likely token."""

    losses: tuple[float, ...]
    bits_per_byte: tuple[float, ...]
    accuracies: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class TrainResult:
    """A finished run."""

    out: Path
    steps: int
    validation: Validation | None
    seconds: float
    sha256: str
    peak_memory_bytes: int
    stopped_early: bool = False
    training: Mapping[str, Any] = field(default_factory=dict)


OnProgress = Callable[[Report], None]


class NotFiniteError(MtpEvalError):
    """The loss is no number any more."""


def train(
    config: TrainConfig,
    data: Corpus | Iterable[Document | str],
    out: str | Path,
    *,
    tokenizer: Tokenizer | None = None,
    resume: bool = False,
    on_progress: OnProgress | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> TrainResult:
    """Train one model into the folder `out`, or continue a run that was cut off there.

    Args:
        data: tokenised text, or documents, of which as many are read as the budget needs.
        tokenizer: the one that `data` was or is to be tokenised with; None is bytes.
        provenance: stored in training.json: versions, git commit, command.
    """
    out = Path(out)
    tokenizer = tokenizer or ByteTokenizer()
    processes = join_processes(config.device, config.batch_size)
    _check_folder(out, resume)
    if config.threads:
        torch.set_num_threads(config.threads)
    if not isinstance(data, Corpus):
        needed = config.total_steps * config.tokens_per_step + 2 * config.model.context_length
        data = build_corpus(data, tokenizer, out / "data", holdout=config.data.holdout, max_train_tokens=needed)
    run = _Run(config, data, out, tokenizer, processes, resume=resume, provenance=provenance or {})
    explain_out_of_memory(lambda: run.run(on_progress or (lambda report: None)), config)
    return run.result()


def _check_folder(out: Path, resume: bool) -> None:
    if not resume and ((out / MANIFEST).exists() or state.step_folders(out)):
        raise InputError(
            f"{out} holds a training run already: --resume continues it, another --out starts a new one, or remove "
            "the folder"
        )


class _Run:
    """One training run from its first or next step to its last."""

    def __init__(
        self,
        config: TrainConfig,
        corpus: Corpus,
        out: Path,
        tokenizer: Tokenizer,
        processes: Processes,
        *,
        resume: bool,
        provenance: Mapping[str, Any],
    ):
        self.config, self.corpus, self.out, self.tokenizer, self.processes = config, corpus, out, tokenizer, processes
        self.model_config = matched(config.model, tokenizer.vocab_size)
        self.size = model_size(self.model_config)
        self.total_steps = config.total_steps
        self.trainer = state.TrainerState()
        self.stopped_early = False
        steps = state.step_folders(out) if resume else []
        stored = state.check_same_run(steps[-1], config.model_dump(mode="json"), corpus.fingerprint) if steps else None
        self.runtime = self._runtime(stored)
        self.model = self._initial_model()
        if config.freeze == "trunk":
            freeze_trunk(self.model)
        self.model.to(self.runtime.device)
        if processes.world_size > 1 and config.parallel == "fsdp":
            shard(self.model, processes)
        if self.runtime.compile:
            self._compile()
        self.optimizer = make_optimizer(self.model, config.optimizer)
        if steps:
            self.trainer = state.read_step(steps[-1], self.model, self.optimizer)
        self.provenance = dict(stored["provenance"]) if stored else dict(provenance)
        length, n_future = config.model.context_length, self.model_config.n_future
        self.batches = Batches(
            corpus.train,
            length=length,
            n_future=n_future,
            batch_size=config.batch_size,
            seed=config.seed,
            align_documents=config.data.align_documents,
        )
        self.micro = min(config.micro_batch_size or config.batch_size, config.batch_size // processes.world_size)
        self.validation_set = validation_batches(
            corpus.validation,
            length=length,
            n_future=n_future,
            windows=config.validation_windows,
            batch_size=self.micro,
        )
        self.token_bytes = np.array([tokenizer.n_bytes([i]) for i in range(tokenizer.vocab_size)], dtype=np.int64)
        self.peak, self.peak_source = peak_flops(self.runtime)
        self.validation: Validation | None = None
        if processes.is_main:
            out.mkdir(parents=True, exist_ok=True)
            self.metrics = MetricsWriter(out, n_future, from_step=self.trainer.step, tensorboard=config.tensorboard)

    def _runtime(self, stored: Mapping[str, Any] | None) -> Runtime:
        runtime = resolve_runtime(self.config, self.tokenizer.vocab_size, local_rank=self.processes.local_rank)
        if stored:  # the weights depend on it
            kept = stored["runtime"]
            runtime = Runtime(
                runtime.device, kept["precision"], runtime.compile, kept["chunk_tokens"], runtime.device_name
            )
        return runtime

    def _initial_model(self) -> MTPModel:
        if self.config.init is None:
            return new_model(self.model_config, self.config.seed)
        return start_from(self.config.init, self.model_config, self.config.seed)

    def _compile(self) -> None:
        """Layer by layer, so that one compilation serves them all."""
        for block in [*self.model.trunk, *self.model.heads]:
            block.compile()

    def run(self, on_progress: OnProgress) -> None:
        """All remaining steps."""
        self.started = time.monotonic() - self.trainer.seconds
        watch = _Watch(self)
        try:
            while self.trainer.step < self.total_steps and not self.stopped_early:
                step = self.trainer.step
                sums, norm = self.step(step)
                self.trainer.step += 1
                watch.after_step(sums, norm, on_progress)
                self._periodic(watch)
        except KeyboardInterrupt:
            if self.processes.world_size == 1 and self.trainer.step:
                self.save()
            raise
        finally:
            if self.processes.is_main:
                self.metrics.close()
        if self.validation is None:
            self.validate()

    def step(self, step: int) -> tuple[HeadSums, Tensor]:
        """One optimizer step; returns this process's sums and the gradient's norm."""
        config, device = self.config, self.runtime.device
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(config.optimizer, step, self.total_steps)
        weights = head_weights(config.loss, self.model_config.n_future, step, self.total_steps)
        tokens, documents = self.batches.batch(step, self.processes.rows(config.batch_size))
        scale = 1 / config.tokens_per_step
        if self.processes.world_size > 1 and config.parallel == "fsdp":
            scale *= self.processes.world_size  # FSDP averages
        parts = []
        for start in range(0, len(tokens), self.micro):
            rows = slice(start, start + self.micro)
            inputs_BT, targets_NBT = self.tensors(tokens[rows], documents[rows], device)
            parts.append(
                sequential_backward(
                    self.model,
                    inputs_BT,
                    targets_NBT,
                    weights,
                    scale,
                    chunk_tokens=self.runtime.chunk_tokens,
                    autocast=self.runtime.autocast,
                    train_trunk=config.freeze == "none",
                )
            )
        if config.parallel == "ddp":
            sum_gradients(self.model, self.processes)
        parameters = [p for p in self.model.parameters() if p.grad is not None]
        norm = gradient_norm(parameters)
        if config.optimizer.clip_norm:
            torch.nn.utils.clip_grads_with_norm_(parameters, config.optimizer.clip_norm, norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return _add(parts), norm

    def tensors(self, tokens: Any, documents: Any, device: str) -> tuple[Tensor, Tensor]:
        """Inputs `(B, T)` and targets `(N, B, T)` on the device."""
        length = self.config.model.context_length
        tokens_BS, documents_BS = torch.from_numpy(tokens), torch.from_numpy(documents)
        if device.startswith("cuda"):
            tokens_BS = tokens_BS.pin_memory().to(device, non_blocking=True)
            documents_BS = documents_BS.pin_memory().to(device, non_blocking=True)
        return tokens_BS[:, :length], future_targets(tokens_BS, documents_BS, self.model_config.n_future, length)

    def validate(self) -> Validation | None:
        """Score the held-out windows; every process scores its share of them."""
        if not self.validation_set:
            return None
        n = self.model_config.n_future
        totals = torch.zeros(4, n, dtype=torch.float64, device=self.runtime.device)
        bytes_V = torch.from_numpy(self.token_bytes).to(self.runtime.device)
        for number, (tokens, documents) in enumerate(self.validation_set):
            # FSDP gathers weights in step, so that all processes score all windows there
            if self.config.parallel == "ddp" and number % self.processes.world_size != self.processes.rank:
                continue
            inputs_BT, targets_NBT = self.tensors(tokens, documents, self.runtime.device)
            sums = evaluate(
                self.model,
                inputs_BT,
                targets_NBT,
                chunk_tokens=self.runtime.chunk_tokens,
                autocast=self.runtime.autocast,
            )
            spans_N = (bytes_V[targets_NBT.clamp(min=0)] * (targets_NBT >= 0)).sum(dim=(1, 2))
            totals += torch.stack([sums.nats, sums.hits, sums.targets, spans_N.double()])
        if self.config.parallel == "ddp":
            self.processes.sum(totals)
        nats, hits, targets, spans = (row.tolist() for row in totals)
        self.validation = Validation(
            losses=tuple(a / max(b, 1) for a, b in zip(nats, targets, strict=True)),
            bits_per_byte=tuple(a / math.log(2) / max(b, 1) for a, b in zip(nats, spans, strict=True)),
            accuracies=tuple(a / max(b, 1) for a, b in zip(hits, targets, strict=True)),
        )
        return self.validation

    def _periodic(self, watch: _Watch) -> None:
        config, step = self.config, self.trainer.step
        last = step == self.total_steps
        validating = last or (config.validate_every and step % config.validate_every == 0)
        if validating:
            watch.check_finite()
            gained = self._validated(watch)
        if last or self.stopped_early or (config.checkpoint_every and step % config.checkpoint_every == 0):
            watch.check_finite()
            self.save()
        if validating and gained and config.early_stop:
            self.save(best=True)
        if (
            (last or self.stopped_early)
            and self.processes.is_main
            and config.early_stop
            and (self.out / "best").is_dir()
        ):
            state.publish(self.out / "best", self.out)

    def _validated(self, watch: _Watch) -> bool:
        """Validate and note it; true when it is the best so far."""
        validation = self.validate()
        if validation is None:
            return False
        watch.log_validation(validation)
        loss, trainer = validation.losses[0], self.trainer
        gained = trainer.best_loss is None or loss < trainer.best_loss
        if gained:
            trainer.best_loss, trainer.best_step, trainer.validations_without_gain = loss, trainer.step, 0
        else:
            trainer.validations_without_gain += 1
        self.stopped_early = bool(self.config.early_stop and trainer.validations_without_gain >= self.config.early_stop)
        return gained

    def save(self, *, best: bool = False) -> None:
        """Write a periodic checkpoint and publish it at the top of the folder."""
        self.trainer.seconds = time.monotonic() - self.started
        weights = state.gather_weights(self.model)
        moments = state.gather_moments(self.model, self.optimizer)
        if self.processes.is_main:
            training = self.describe()
            folder = state.write_step(
                self.out,
                self.trainer,
                self.model_config,
                weights,
                moments,
                self.tokenizer,
                training,
                keep=self.config.keep_checkpoints,
            )
            if best:
                state.keep_best(folder, self.out)
            state.publish(folder, self.out)
        self.processes.barrier()

    def describe(self) -> dict[str, Any]:
        """training.json: everything that a reader of a table may ask about these weights."""
        return {
            "step": self.trainer.step,
            "total_steps": self.total_steps,
            "tokens": self.trainer.step * self.config.tokens_per_step,
            "seed": self.config.seed,
            "seconds": round(self.trainer.seconds, 3),
            "size": self.size.as_dict(),
            "baseline_size": model_size(baseline(self.config.model, self.tokenizer.vocab_size)).as_dict(),
            "validation": asdict(self.validation) if self.validation else None,
            "data": self.corpus.describe(),
            "runtime": self.runtime.as_dict(),
            "processes": self.processes.world_size,
            "config": self.config.model_dump(mode="json"),
            "provenance": self.provenance,
        }

    def result(self) -> TrainResult:
        """After `run`."""
        self.processes.barrier()
        return TrainResult(
            out=self.out,
            steps=self.trainer.step,
            validation=self.validation,
            seconds=self.trainer.seconds,
            sha256=checkpoint_info(self.out).sha256,
            peak_memory_bytes=peak_memory_bytes(self.runtime.device),
            stopped_early=self.stopped_early,
            training=self.describe(),
        )


class _Watch:
    """Follows the losses: finite or not, logged every `log_every` steps, reported after every step."""

    def __init__(self, run: _Run):
        self.run = run
        self.pending: list[tuple[int, HeadSums, Tensor]] = []
        self.since, self.since_step = time.monotonic(), run.trainer.step
        self.last = Report(run.trainer.step, run.total_steps, (), 0.0, 0.0)

    def after_step(self, sums: HeadSums, norm: Tensor, on_progress: OnProgress) -> None:
        step = self.run.trainer.step
        self.pending.append((step, sums, norm))
        if step % self.run.config.log_every == 0 or step == self.run.total_steps or len(self.pending) == 1 == step:
            self.log()
        last = self.last
        on_progress(
            Report(step, last.total_steps, last.losses, last.tokens_per_second, last.flops_per_second, last.note)
        )

    def check_finite(self) -> None:
        """Stop at the first step whose loss or gradient is no number; nothing bad has been saved."""
        for step, sums, norm in self.pending:
            losses = sums.nats.tolist()
            if not all(map(math.isfinite, [*losses, float(norm)])):
                kept = state.step_folders(self.run.out)
                where = f"the last good checkpoint is {kept[-1]}" if kept else "no checkpoint had been written yet"
                raise NotFiniteError(
                    f"the loss or its gradient is not finite at step {step} (losses per head, summed: {losses}; "
                    f"gradient norm {float(norm)}); {where}. Lower optimizer.learning_rate or raise "
                    "optimizer.warmup_steps"
                )

    def log(self) -> None:
        self.check_finite()
        run, step = self.run, self.run.trainer.step
        sums = _add([sums for _, sums, _ in self.pending])
        nats_N, targets_N = run.processes.sum(sums.nats.clone()), run.processes.sum(sums.targets.clone())
        losses = tuple(a / max(b, 1) for a, b in zip(nats_N.tolist(), targets_N.tolist(), strict=True))
        now = time.monotonic()
        rate = (step - self.since_step) * run.config.tokens_per_step / max(now - self.since, 1e-9)
        flops = rate * run.size.train_flops_per_token
        share = f" ({flops / run.peak:.0%} of {run.peak_source})" if run.peak else ""
        shown = " ".join(f"{loss:.3f}" for loss in losses)
        note = f"loss {shown}, {rate:,.0f} tokens/s, {flops / 1e9:,.1f} GFLOP/s{share}"
        self.last = Report(step, run.total_steps, losses, rate, flops, note)
        if run.processes.is_main:
            weights = head_weights(run.config.loss, run.model_config.n_future, step - 1, run.total_steps)
            run.metrics.write(
                "train",
                step,
                {
                    "tokens": step * run.config.tokens_per_step,
                    "loss": sum(w * loss for w, loss in zip(weights, losses, strict=True)),
                    **{f"loss_head_{i}": loss for i, loss in enumerate(losses, start=1)},
                    "learning_rate": learning_rate(run.config.optimizer, step - 1, run.total_steps),
                    "gradient_norm": float(self.pending[-1][2]),
                    "tokens_per_second": rate,
                    "flops_per_second": flops,
                },
            )
        self.pending.clear()
        self.since, self.since_step = time.monotonic(), step

    def log_validation(self, validation: Validation) -> None:
        run = self.run
        if run.processes.is_main:
            values: dict[str, Any] = {
                "tokens": run.trainer.step * run.config.tokens_per_step,
                "loss": sum(validation.losses),
            }
            for i in range(run.model_config.n_future):
                values[f"loss_head_{i + 1}"] = validation.losses[i]
                values[f"accuracy_head_{i + 1}"] = validation.accuracies[i]
                values[f"bits_per_byte_head_{i + 1}"] = validation.bits_per_byte[i]
            run.metrics.write("validation", run.trainer.step, values)
        self.since = time.monotonic()  # its time is not training's
        self.since_step = run.trainer.step if not self.pending else self.since_step


def _add(parts: list[HeadSums]) -> HeadSums:
    return HeadSums(
        torch.stack([part.nats for part in parts]).sum(0),
        torch.stack([part.hits for part in parts]).sum(0),
        torch.stack([part.targets for part in parts]).sum(0),
    )


def start_from(folder: str, config: ModelConfig, seed: int) -> MTPModel:
    """A model of `config` whose tensors come from the checkpoint in `folder` where that has them; the rest is fresh."""
    info = checkpoint_info(folder)
    source = read_weights(info).state_dict()
    model = new_model(config, seed)
    target = model.state_dict()
    for name, tensor in source.items():
        if name not in target or target[name].shape != tensor.shape:
            raise InputError(
                f"init = {folder!r} does not fit this model: its {name} of shape {tuple(tensor.shape)} has no place "
                "here. Give the same model section as the checkpoint has (its config.json), and use `mtp-eval convert "
                "--n-future` to add heads"
            )
    missing = sorted(set(target) - set(source))
    if missing:
        raise InputError(
            f"init = {folder!r} lacks {len(missing)} tensors of this model, such as {missing[0]}: add heads to it "
            f"first with `mtp-eval convert {folder} NEW --n-future {config.n_future}`"
        )
    model.load_state_dict({name: tensor.to(target[name].dtype) for name, tensor in source.items()})
    return model

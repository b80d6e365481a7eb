"""The training loop: batches in, steps, validation, checkpoints; nothing else.

A step is in step.py, its loss in loss.py, what is on disk in state.py, what is watched in watch.py. The loss is
divided by the positions of the global batch, so that micro-batches and processes change nothing but rounding.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from mtp_eval.harness.errors import InputError
from mtp_eval.harness.models.checkpoint import checkpoint_info
from mtp_eval.harness.models.size import model_size
from mtp_eval.harness.models.tokenizers import ByteTokenizer, Tokenizer
from mtp_eval.harness.training import state
from mtp_eval.harness.training.assemble import new_stepper
from mtp_eval.harness.training.config import TrainConfig
from mtp_eval.harness.training.corpus import Corpus, Window, open_corpus
from mtp_eval.harness.training.corpus_writer import build_corpus
from mtp_eval.harness.training.curves import MetricsWriter
from mtp_eval.harness.training.distributed import Processes, join_processes
from mtp_eval.harness.training.documents import Document
from mtp_eval.harness.training.interrupts import interrupts_wait
from mtp_eval.harness.training.matching import baseline
from mtp_eval.harness.training.mixture import Mixture
from mtp_eval.harness.training.runtime import (
    Runtime,
    explain_out_of_memory,
    peak_flops,
    peak_memory_bytes,
    resolve_runtime,
)
from mtp_eval.harness.training.validation import Validation, Validator
from mtp_eval.harness.training.watch import NotFiniteError, OnProgress, Report, Watch

__all__ = ["NotFiniteError", "OnProgress", "Report", "TrainResult", "Validation", "train"]


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


def train(
    config: TrainConfig,
    data: Mixture | Corpus | Iterable[Document | str],
    out: str | Path,
    *,
    tokenizer: Tokenizer | None = None,
    resume: bool = False,
    on_progress: OnProgress | None = None,
    provenance: Mapping[str, Any] | None = None,
    choice: Mapping[str, Any] | None = None,
) -> TrainResult:
    """Train one model into the folder `out`, or continue a run that was cut off there.

    Args:
        data: tokenised text, or documents, of which as many are read as the budget needs.
        tokenizer: the one that `data` was or is to be tokenised with; None is bytes.
        provenance: stored in training.json: versions, git commit, command.
        choice: stored there, too: how n or the weights of the heads were chosen (`choice.choose`), which the config has as numbers.

    Raises:
        InputError: a config, text or folder that cannot be used, or memory ran out.
        NotFiniteError: a loss or gradient is infinite or NaN.
        KeyboardInterrupt: Ctrl-C was pressed; the step under way has been saved.
    """
    out = Path(out)
    tokenizer = tokenizer or ByteTokenizer()
    processes = join_processes(config.device, config.batch_size)
    state.check_free(out, resume=resume)
    if config.threads:
        torch.set_num_threads(config.threads)
    if isinstance(data, Corpus):
        data = Mixture((data,))
    elif not isinstance(data, Mixture):
        data = Mixture((_tokenised(data, config, out, tokenizer, processes),))
    if config.choice.wanted:
        raise InputError(
            "this config leaves n or the weights of the heads to be chosen: mtp_eval.harness.train does that"
        )
    run = _Run(config, data, out, tokenizer, processes, resume=resume, provenance=provenance or {}, choice=choice)
    explain_out_of_memory(lambda: run.run(on_progress or (lambda report: None)), config)
    return run.result()


def _tokenised(
    documents: Iterable[Document | str], config: TrainConfig, out: Path, tokenizer: Tokenizer, processes: Processes
) -> Corpus:
    """As many documents as the budget needs, tokenised by the first process only."""
    if processes.is_main:
        needed = config.total_steps * config.tokens_per_step + 2 * config.model.context_length
        build_corpus(documents, tokenizer, out / "data", holdout=config.data.holdout, max_train_tokens=needed)
    processes.barrier()
    return open_corpus(out / "data")


class _Run:
    """One training run from its first or next step to its last."""

    def __init__(
        self,
        config: TrainConfig,
        corpus: Mixture,
        out: Path,
        tokenizer: Tokenizer,
        processes: Processes,
        *,
        resume: bool,
        provenance: Mapping[str, Any],
        choice: Mapping[str, Any] | None,
    ):
        self.choice = choice
        self.config, self.corpus, self.out, self.tokenizer, self.processes = config, corpus, out, tokenizer, processes
        self.trainer = state.TrainerState()
        self.stopped_early = False
        steps = state.step_folders(out) if resume else []
        stored = state.check_same_run(steps[-1], config, corpus) if steps else None
        self.extended = state.extensions(stored, config.total_steps) if stored else []
        self.provenance = dict(stored["provenance"]) if stored else dict(provenance)
        self.runtime = self._runtime(stored)
        self.stepper = new_stepper(config, tokenizer.vocab_size, self.runtime, processes)
        if steps:
            self.trainer = state.read_step(steps[-1], self.stepper.model, self.stepper.optimizer, self.stepper.parallel)
        self.model_config = self.stepper.model.config
        self.writer = state.StepWriter(
            out, self.model_config, tokenizer, self.stepper.parallel, config.keep_checkpoints
        )
        self.size = model_size(self.model_config)
        self.batches = corpus.batches(config, config.lookahead)
        n_future = self.model_config.n_future
        windows = corpus.validation(config, n_future)
        if config.early_stop and not windows:
            raise InputError(f"early_stop = {config.early_stop} needs held-out text, and {corpus.say_held_out()}")
        self.validator = Validator(windows, tokenizer, self.stepper, corpus.answers(config, n_future))
        self.validation: Validation | None = None
        self.metrics: MetricsWriter | None = None
        if processes.is_main:
            out.mkdir(parents=True, exist_ok=True)
            self.metrics = MetricsWriter(
                out,
                self.model_config.n_future,
                from_step=self.trainer.step,
                tensorboard=config.tensorboard,
                more_losses=[f"loss_{name}" for name in config.loss.beside],
            )
            if choice is not None and not self.trainer.step:
                self.metrics.write("choice", 0, {"tokens": choice["cost"]["tokens"]})

    def _runtime(self, stored: Mapping[str, Any] | None) -> Runtime:
        """What "auto" means here; a resumed run keeps what decides its weights."""
        now = resolve_runtime(self.config, self.tokenizer.vocab_size, local_rank=self.processes.local_rank)
        if stored is None:
            return now
        kept = stored["runtime"]
        return Runtime(now.device, kept["precision"], now.compile, kept["chunk_tokens"], now.device_name)

    def run(self, on_progress: OnProgress) -> None:
        """Run all remaining steps."""
        self.started = time.monotonic() - self.trainer.seconds
        self.watch = Watch(
            self.config,
            self.processes,
            self.out,
            self.metrics,
            n_future=self.model_config.n_future,
            flops_per_token=self.size.train_flops_per_token,
            peak=peak_flops(self.runtime),
            step=self.trainer.step,
        )
        try:
            with interrupts_wait() as interrupted:
                for step, batch in self._prefetched():
                    started = time.process_time()
                    sums, norm = self.stepper.step(step, batch)
                    self.trainer.note_step(step + 1, time.process_time() - started)
                    self.watch.after_step(step + 1, sums, norm, on_progress)
                    self._periodic()
                    if self.stopped_early:
                        break
                    if interrupted():
                        self.watch.check_finite()
                        self.save()
                        raise KeyboardInterrupt
        finally:
            if self.metrics is not None:
                self.metrics.close()
        if self.validation is None:
            self.validation = self.validator.scores()

    def _prefetched(self) -> Iterator[tuple[int, Window]]:
        """Remaining steps with their batches, each read while the step before it runs."""
        rows = self.processes.rows(self.config.batch_size)
        with ThreadPoolExecutor(max_workers=1) as pool:
            upcoming = pool.submit(self.batches.batch, self.trainer.step, rows)
            for step in range(self.trainer.step, self.config.total_steps):
                batch = upcoming.result()
                upcoming = pool.submit(self.batches.batch, step + 1, rows)
                yield step, batch

    def _periodic(self) -> None:
        """Do what is due after this step: validation, the best checkpoint, a periodic checkpoint."""
        config, step = self.config, self.trainer.step
        last = step == config.total_steps
        due = bool(config.checkpoint_every) and step % config.checkpoint_every == 0
        gained = False
        if last or (config.validate_every and step % config.validate_every == 0):
            self.watch.check_finite()
            gained = self._validate() and bool(config.early_stop)
        if last or due or gained or self.stopped_early:
            self.watch.check_finite()
            self.save(best=gained)
        if (last or self.stopped_early) and self.processes.is_main and (self.out / "best").is_dir():
            state.publish(self.out / "best", self.out)

    def _validate(self) -> bool:
        """Validate and note it; true when it is the best so far."""
        started = time.monotonic()
        self.validation = self.validator.scores()
        if self.validation is None:
            return False
        self.watch.log_validation(self.trainer.step, self.validation, time.monotonic() - started)
        loss, trainer = self.validation.losses[0], self.trainer
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
        folder = self.writer.write(self.stepper.model, self.stepper.optimizer, self.trainer, self.describe())
        if self.processes.is_main:
            if best:
                state.keep_best(folder, self.out)
            state.publish(folder, self.out)
        self.processes.barrier()

    def describe(self) -> dict[str, Any]:
        """The record in training.json: step, tokens, sizes, scores, data, config and provenance of these weights."""
        return {
            "step": self.trainer.step,
            "total_steps": self.config.total_steps,
            "extended": self.extended,
            "tokens": self.trainer.step * self.config.tokens_per_step,
            "seed": self.config.seed,
            "seconds": round(self.trainer.seconds, 3),
            "step_cpu_seconds": round(self.trainer.step_cpu_seconds / max(1, self.trainer.timed_steps), 6),
            "size": self.size.as_dict(),
            "baseline_size": model_size(baseline(self.config.model, self.tokenizer.vocab_size)).as_dict(),
            "validation": self.validation.as_dict() if self.validation else None,
            "data": self.corpus.describe(),
            "runtime": self.runtime.as_dict(),
            "processes": self.processes.world_size,
            "config": self.config.model_dump(mode="json"),
            "provenance": self.provenance,
            "choice": self.choice,
        }

    def result(self) -> TrainResult:
        """The finished run; call it after `run`."""
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

"""A training run of seconds, for tests in this process and in others they start."""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch.utils._python_dispatch import TorchDispatchMode

from mtp_eval.harness.models.config import ModelConfig
from mtp_eval.harness.models.tokenizers import ByteTokenizer
from mtp_eval.harness.training.assemble import new_stepper
from mtp_eval.harness.training.command import train_checkpoint
from mtp_eval.harness.training.config import TrainConfig
from mtp_eval.harness.training.config_files import make_config
from mtp_eval.harness.training.corpus import Corpus, Window
from mtp_eval.harness.training.corpus_writer import build_corpus
from mtp_eval.harness.training.distributed import join_processes
from mtp_eval.harness.training.documents import Document
from mtp_eval.harness.training.first_weights import run_config
from mtp_eval.harness.training.loop import Report, train
from mtp_eval.harness.training.runtime import resolve_runtime


def tiny(**changes: Any) -> TrainConfig:
    values: dict[str, Any] = {
        "model": {"d_model": 32, "n_layers": 4, "n_heads": 2, "context_length": 48, "n_future": 2},
        "data": {"sources": ["stdlib"]},
        "optimizer": {"learning_rate": 5e-3, "warmup_steps": 5},
        "steps": 30,
        "batch_size": 4,
        "validate_every": 10,
        "checkpoint_every": 10,
        "log_every": 5,
        "device": "cpu",
    }
    return make_config(values, [f"{key.replace('__', '.')}={value}" for key, value in changes.items()])


def documents(seed: int = 0) -> Iterator[Document]:
    """Endless lines that a small model learns quickly."""
    rng = random.Random(seed)
    number = 0
    while True:
        number += 1
        a = rng.randrange(100)
        yield Document(f"line-{number}", f"x = {a}\ny = {a}\nprint(x + y)\n")


def corpus_of(texts: Sequence[Document], folder: Path, held_out: Sequence[Document] = ()) -> Corpus:
    """These texts, tokenised; `held_out` replaces the share of them that is kept for validation."""
    corpus = build_corpus(texts, ByteTokenizer(), folder, holdout=0 if held_out else 0.05)
    if not held_out:
        return corpus
    other = build_corpus(held_out, ByteTokenizer(), folder.with_name("held-out"), holdout=0)
    return Corpus(folder, corpus.index, corpus.train, other.train)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def to_be_killed(registers: bool) -> TrainConfig:
    """Two heads, or one with a register behind every token."""
    losses = {"model__n_future": 1, "loss__register_distance": 3} if registers else {}
    return tiny(steps=40, checkpoint_every=7, threads=1, **losses)


def train_to_be_killed(out: Path, registers: bool) -> None:
    """Train, but never to the end: whoever kills it has all the time it needs for that."""

    def wait(report: Report) -> None:
        while report.step == 39:
            time.sleep(1.0)

    train(to_be_killed(registers), documents(), out, on_progress=wait)


def tiny_model() -> ModelConfig:
    return run_config(tiny(), vocab_size=264)


class Collectives(TorchDispatchMode):
    """Counts what goes to the other processes, by the operator's name."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.namespace == "c10d":
            self.calls[func.__name__] += 1
        return func(*args, **(kwargs or {}))


def one_step_of_many_chunks() -> dict[str, int]:
    """Collectives of one sharded step of two micro-batches with eight chunks each; in a process of several."""
    config = tiny(
        model__n_layers=12,
        model__n_future=4,
        model__d_model=16,
        micro_batch_size=1,
        loss__chunk_tokens=6,
        parallel="fsdp",
    )
    runtime = resolve_runtime(config, 264)
    stepper = new_stepper(config, 264, runtime, join_processes("cpu", config.batch_size))
    rng = np.random.default_rng(stepper.processes.rank)
    tokens = rng.integers(0, 256, (2, config.model.context_length + 4), dtype=np.int64)
    with Collectives() as counted:
        stepper.step(0, Window(tokens, np.zeros_like(tokens)))
    return {
        "micro_batches": 2,
        "chunks": config.model.context_length // 6,
        "all_gathers": sum(n for name, n in counted.calls.items() if "allgather" in name),
        "reduce_scatters": sum(n for name, n in counted.calls.items() if "reduce_scatter" in name),
    }


def distributed(mode: str, text: str, *, cache: str = "two", steps: int = 6, registers: bool = False) -> TrainConfig:
    """Two heads, or one with a register behind every token; token order with either."""
    # epsilon so large that Adam does not divide rounding by rounding; a curve that does not know how long the run is
    return tiny(
        steps=steps,
        optimizer__decay="constant",
        threads=1,
        parallel=mode,
        optimizer__epsilon=1e-3,
        micro_batch_size=2,
        data__sources=[text],
        data__tokenizer="bpe:300",
        data__cache=f"{text}.{cache}",
        loss__order_window=3,
        **({"model__n_future": 1, "loss__register_distance": 4} if registers else {}),
    )


def train_in_group(mode: str, text: str, out: Path, steps: int, resume: bool, registers: bool = False) -> None:
    train_checkpoint(distributed(mode, text, steps=steps, registers=registers), out, mode, resume=resume)
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def count_collectives() -> None:
    counts = one_step_of_many_chunks()
    if torch.distributed.get_rank() == 0:
        print(json.dumps(counts))
    torch.distributed.destroy_process_group()

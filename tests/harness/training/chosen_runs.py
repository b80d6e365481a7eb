"""Choices of n and of weights for tests: a tiny config, and what is chosen for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mtp_eval.harness.models.tokenizers import ByteTokenizer
from mtp_eval.harness.training.choice.choose import chosen_config
from mtp_eval.harness.training.choice.trial import Material
from mtp_eval.harness.training.config import TrainConfig
from mtp_eval.harness.training.distributed import Processes
from mtp_eval.harness.training.documents import Document
from mtp_eval.harness.training.mixture import Mixture
from mtp_eval.harness.training.runtime import resolve_runtime
from tests.harness.training.tiny_runs import corpus_of, documents

AUTO: dict[str, Any] = {
    "model__n_future": "auto",
    "choice__candidates": [1, 2, 3],
    "steps": 120,
    "threads": 1,
    "validate_every": 0,
}


def material(config: TrainConfig, folder: Path, texts: Iterator[Document] | None = None, many: int = 400) -> Material:
    texts = texts or documents()
    corpus = corpus_of([next(texts) for _ in range(many)], folder)
    return Material(Mixture((corpus,)), ByteTokenizer().vocab_size, resolve_runtime(config, ByteTokenizer().vocab_size))


def chosen(config: TrainConfig, folder: Path, texts: Iterator[Document] | None = None) -> dict[str, Any]:
    data = material(config, folder / "data", texts).data
    _, record = chosen_config(config, data, ByteTokenizer(), folder / "out", Processes())
    assert record is not None
    return record

"""From a training config's data section to tokenised text: the one place where training meets tasks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from mtp_eval.harness.errors import InputError
from mtp_eval.harness.models.tokenizers import ByteTokenizer, Tokenizer, fingerprint
from mtp_eval.harness.provenance import git_state, host, package_versions
from mtp_eval.harness.training.config import TrainConfig
from mtp_eval.harness.training.corpus import INDEX, Corpus, build_corpus, cache_folder, open_corpus
from mtp_eval.harness.training.documents import Document, read_source, source_files

TASK = "task:"


def resolve_data(config: TrainConfig, out: Path) -> tuple[Corpus, Tokenizer]:
    """The corpus and tokenizer that a config names; files are tokenised once and kept in the cache."""
    sources = config.data.sources
    tokenizer = ByteTokenizer()
    if any(source.startswith(TASK) for source in sources):
        needed = config.total_steps * config.tokens_per_step + 2 * config.model.context_length
        corpus = build_corpus(
            documents(config),
            tokenizer,
            out / "data",
            holdout=config.data.holdout,
            max_train_tokens=needed,
            source=", ".join(sources),
        )
        return corpus, tokenizer
    folder = cache_folder(config.data.cache) / "corpora" / _cache_key(config, tokenizer)
    if (folder / INDEX).is_file():
        return open_corpus(folder), tokenizer
    corpus = build_corpus(documents(config), tokenizer, folder, holdout=config.data.holdout, source=", ".join(sources))
    return corpus, tokenizer


def documents(config: TrainConfig) -> Iterator[Document]:
    """All documents of all sources; streams of tasks are endless and come in turn."""
    tasks = [source for source in config.data.sources if source.startswith(TASK)]
    for source in config.data.sources:
        if source not in tasks:
            yield from read_source(source, config.data.text_field)
    streams = [_task_documents(source.removeprefix(TASK), config.seed) for source in tasks]
    while streams:
        for stream in streams:
            yield from islice(stream, 1)


def _task_documents(name: str, seed: int) -> Iterator[Document]:
    from mtp_eval.tasks.problem import TrainableTask
    from mtp_eval.tasks.registry import load_task

    task = load_task(name)
    if not isinstance(task, TrainableTask):
        raise InputError(
            f"data source task:{name}: this task makes no training text; synthetic tasks such as listops do"
        )
    for text in task.training_documents(seed):
        yield Document(text, text)


def _cache_key(config: TrainConfig, tokenizer: Tokenizer) -> str:
    """Changes with any file's name, size or time, and with whatever decides the tokens."""
    files: list[Any] = []
    for source in config.data.sources:
        if source.startswith("datasets:"):
            files.append(source)
            continue
        for name, path in source_files(source):
            about = path.stat()
            files.append([name, str(path.resolve()), about.st_size, about.st_mtime_ns])
    decides = [files, fingerprint(tokenizer), config.data.text_field, config.data.holdout]
    return hashlib.sha256(json.dumps(decides).encode()).hexdigest()[:24]


def training_provenance() -> dict[str, Any]:
    """For training.json."""
    return {"versions": package_versions(), "git": git_state(), "device": host()}

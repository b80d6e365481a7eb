"""From a training config's data section to tokenised text: the one place where training meets tasks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import Any

from mtp_eval.harness.errors import InputError
from mtp_eval.harness.models.tokenizers import (
    META_FILE,
    ByteTokenizer,
    Tokenizer,
    fingerprint,
    load_tokenizer,
    read_tokenizer,
    trained_bpe,
    trained_words,
)
from mtp_eval.harness.outputs import try_folder
from mtp_eval.harness.progress import say
from mtp_eval.harness.training.config import TrainConfig
from mtp_eval.harness.training.corpus import FORMAT, INDEX, Corpus, cache_folder, open_corpus
from mtp_eval.harness.training.corpus_writer import build_corpus
from mtp_eval.harness.training.distributed import Processes
from mtp_eval.harness.training.documents import DATASETS, Document, read_source, source_files
from mtp_eval.harness.training.fit import check_fit
from mtp_eval.harness.training.mixture import Mixture
from mtp_eval.harness.training.overlap import DEFAULT_N, OverlapIndex
from mtp_eval.harness.training.sample import sample_texts
from mtp_eval.results.provenance import git_state, host, package_versions

TASK = "task:"
TRAINED: Mapping[str, Callable[[Iterable[str], int], Tokenizer]] = {"bpe": trained_bpe, "words": trained_words}
"""Tokenizers that are made from the sources, as data.tokenizer = "KIND:SIZE"."""
CACHE_OPTION = "the cache (data.cache or MTP_EVAL_CACHE)"
TASK_DOCUMENTS = 20_000
"""Documents of tasks, whose streams never end, that such a tokenizer is learnt from."""


def resolve_data_once(config: TrainConfig, out: Path, processes: Processes) -> tuple[Mixture, Tokenizer]:
    """Resolve the data as `resolve_data` does, where each machine's first process does the work and the others read what it left."""
    first = processes.local_rank == 0
    if not first:
        processes.barrier()
    found = resolve_data(config, out, reuse=not first)
    if first:
        processes.barrier()
    return found


def resolve_data(config: TrainConfig, out: Path, *, reuse: bool = False) -> tuple[Mixture, Tokenizer]:
    """The text and tokenizer that a config names; files are tokenised once and kept in the cache.

    Args:
        reuse: take a task's text that lies in `out` already, instead of generating it again.
    """
    from mtp_eval.tasks.registry import load_task

    tokenizer, weights = resolve_tokenizer(config), config.data.weights
    for name in (source for source in config.data.sources if source.startswith(TASK)):
        task = load_task(name.removeprefix(TASK))
        next(task.training_documents(config.seed))  # says so where the task makes none
        check_fit(task, tokenizer, config.model.context_length)
    if weights is None:
        return Mixture((_corpus(config, tokenizer, out / "data", share=1.0, reuse=reuse),)), tokenizer
    parts = tuple(
        _corpus(
            _with_source(config, source), tokenizer, out / "data" / str(k), share=weight / sum(weights), reuse=reuse
        )
        for k, (source, weight) in enumerate(zip(config.data.sources, weights, strict=True))
    )
    return Mixture(parts, weights), tokenizer


def _with_source(config: TrainConfig, source: str) -> TrainConfig:
    return config.model_copy(update={"data": config.data.model_copy(update={"sources": (source,), "weights": None})})


def _corpus(config: TrainConfig, tokenizer: Tokenizer, folder: Path, *, share: float, reuse: bool) -> Corpus:
    """The text of the config's sources: in `folder` where a task makes it, else in the cache."""
    source, needed = ", ".join(config.data.sources), None
    if any(name.startswith(TASK) for name in config.data.sources):
        needed = int(config.total_steps * config.tokens_per_step * share) + 2 * config.model.context_length
    else:
        folder, reuse = cache_folder(config.data.cache) / "corpora" / _cache_key(config, fingerprint(tokenizer)), True
    if reuse and (folder / INDEX).is_file():
        return open_corpus(folder)
    try_folder(folder, CACHE_OPTION)
    holdout = config.data.holdout
    return build_corpus(documents(config), tokenizer, folder, holdout=holdout, max_train_tokens=needed, source=source)


def resolve_tokenizer(config: TrainConfig) -> Tokenizer:
    """The tokenizer that `data.tokenizer` names; one that is trained here sees no held-out document, and is cached.

    Raises:
        InputError: the name is no tokenizer, or a trained one cannot be stored.
    """
    name = config.data.tokenizer
    if name == "bytes":
        return ByteTokenizer()
    if config.init is not None and name == "init":
        return load_tokenizer(config.init)
    kind, _, size = name.partition(":")
    if kind not in TRAINED:
        return read_tokenizer(name)
    if not size.isdigit():
        raise InputError(f"data.tokenizer = {name!r}: expected {kind}:SIZE, such as {kind}:8192")
    if any(source.startswith(TASK) for source in config.data.sources):  # made anew each time, so never cached
        return _made_tokenizer(config, kind, int(size))
    folder = cache_folder(config.data.cache) / "tokenizers" / _cache_key(config, name)
    if (folder / META_FILE).is_file():
        return load_tokenizer(folder)
    try_folder(folder, CACHE_OPTION)
    tokenizer = _made_tokenizer(config, kind, int(size))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tokenizer.save(folder)
    except OSError as error:
        raise InputError(f"cannot keep the tokenizer in {folder}: {error}. Free space or set data.cache") from None
    return tokenizer


def _made_tokenizer(config: TrainConfig, kind: str, size: int) -> Tokenizer:
    texts = (text for part, n_bytes in _sampled_parts(config) for text in sample_texts(_learnt(part), n_bytes))
    tasks = (document.prompt + document.text for document in _learnt(config, of_tasks=True))
    return TRAINED[kind](chain(texts, islice(tasks, TASK_DOCUMENTS)), size)


def _sampled_parts(config: TrainConfig) -> list[tuple[TrainConfig, int]]:
    """What a tokenizer's sample is drawn from: all files together, or each weighted source for itself, with its bytes."""
    n_bytes, weights = config.data.tokenizer_sample_bytes, config.data.weights
    if weights is None:
        return [(config, n_bytes)]
    pairs = zip(config.data.sources, weights, strict=True)
    return [(_with_source(config, source), max(1, int(n_bytes * weight / sum(weights)))) for source, weight in pairs]


def _learnt(config: TrainConfig, *, of_tasks: bool = False) -> Iterator[Document]:
    """The documents that are not held out: of files, or of tasks."""
    stream = _of_tasks(config) if of_tasks else _of_files(config)
    return (d for d in _without_overlap(config, stream) if not d.is_held_out(config.data.holdout))


def documents(config: TrainConfig) -> Iterator[Document]:
    """All documents of all sources, files first, without those that overlap the tasks in data.decontaminate."""
    return _without_overlap(config, chain(_of_files(config), _of_tasks(config)))


def _without_overlap(config: TrainConfig, stream: Iterator[Document]) -> Iterator[Document]:
    if not config.data.decontaminate:
        yield from stream
        return
    index, _ = overlap_index(list(config.data.decontaminate))
    dropped = 0
    for document in stream:
        if index.hits(document.name, document.prompt + document.text):
            dropped += 1
        else:
            yield document
    say(f"dropped {dropped:,} documents that overlap {', '.join(config.data.decontaminate)}")


def overlap_index(
    tasks: list[str], n: int = DEFAULT_N, data_dir: Path | None = None
) -> tuple[OverlapIndex, dict[str, int]]:
    """Runs of tokens in the problems of these tasks, and how many problems each has."""
    from mtp_eval.tasks.registry import load_task

    texts: dict[str, str] = {}
    counts = {}
    for name in tasks:
        problems = load_task(name, data_dir=data_dir).problems()
        counts[name] = len(problems)
        for problem in problems:
            texts[f"{name}/{problem.problem_id}"] = f"{problem.prompt}\n{problem.reference}"
    return OverlapIndex(texts, n), counts


def _of_files(config: TrainConfig) -> Iterator[Document]:
    for source in config.data.sources:
        if not source.startswith(TASK):
            yield from read_source(source, config.data.text_field, _prompt_field(config), config.data.documents)


def _of_tasks(config: TrainConfig) -> Iterator[Document]:
    """Documents of the tasks' endless streams, in turn."""
    tasks = [source for source in config.data.sources if source.startswith(TASK)]
    streams = [
        _task_documents(source.removeprefix(TASK), config.seed, mask_prompts=config.data.mask_prompts)
        for source in tasks
    ]
    while streams:
        for stream in streams:
            yield from islice(stream, 1)


def _prompt_field(config: TrainConfig) -> str | None:
    return config.data.prompt_field if config.data.mask_prompts else None


def _task_documents(name: str, seed: int, *, mask_prompts: bool) -> Iterator[Document]:
    from mtp_eval.tasks.registry import load_task

    task = load_task(name)
    if mask_prompts:
        for prompt, answer in task.training_pairs(seed):
            yield Document(prompt + answer, answer, prompt)
        return
    for text in task.training_documents(seed):
        yield Document(text, text)


def _cache_key(config: TrainConfig, tokenizer: str) -> str:
    """Changes with any file's name, size or time, and with whatever decides the tokens."""
    files: list[Any] = []
    for source in config.data.sources:
        if source.startswith(DATASETS):
            files.append(source)
            continue
        for name, path in source_files(source):
            facts = path.stat()
            files.append([name, str(path.resolve()), facts.st_size, facts.st_mtime_ns])
    about = config.data
    decides: list[Any] = [
        FORMAT,
        files,
        tokenizer,
        about.text_field,
        about.holdout,
        about.decontaminate,
        about.documents,
    ]
    if tokenizer.partition(":")[0] in TRAINED:
        decides.append([about.tokenizer_sample_bytes, about.weights])
    if config.data.mask_prompts:
        decides.append(["prompts", config.data.prompt_field])
    return hashlib.sha256(json.dumps(decides).encode()).hexdigest()[:24]


def training_provenance() -> dict[str, Any]:
    """Versions, git commit and device, for training.json."""
    return {"versions": package_versions(), "git": git_state(), "device": host()}

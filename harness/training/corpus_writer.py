"""Tokenise documents into shards on disk; `corpus` describes the steps and reads the result."""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
import tempfile
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np

from mtp_eval.harness.errors import InputError
from mtp_eval.harness.models.checkpoint import apply_umask
from mtp_eval.harness.models.tokenizers import Ids, Tokenizer
from mtp_eval.harness.training.corpus import ENDS, FORMAT, INDEX, TARGETS_FROM, Corpus, open_corpus
from mtp_eval.harness.training.documents import Document

SHARD_TOKENS = 1 << 28
BATCH_CHARACTERS, BATCH_DOCUMENTS = 1 << 19, 10_000
"""Text that is tokenised at once, in parallel."""


POSITIONS_AT_ONCE = 1 << 16


class Digest(Protocol):
    """A hash that is fed bytes, as those of `hashlib` are."""

    def update(self, data: bytes, /) -> None:
        """Add bytes."""
        ...


class _Positions:
    """A column of positions that grows on disk."""

    def __init__(self, path: Path):
        self.path, self.file, self.waiting = path, path.open("wb"), array("q")

    def add(self, position: int) -> None:
        self.waiting.append(position)
        if len(self.waiting) >= POSITIONS_AT_ONCE:
            self._write()

    def _write(self) -> None:
        self.file.write(np.asarray(self.waiting, dtype=np.int64).tobytes())
        self.waiting = array("q")

    def close(self) -> None:
        self.file.close()

    def finish(self, digest: Digest) -> None:
        """Close the file and add its bytes to a digest."""
        self._write()
        self.close()
        with self.path.open("rb") as file:
            while piece := file.read(1 << 20):
                digest.update(piece)


class _SplitWriter:
    """Appends documents of one split to shards."""

    def __init__(self, folder: Path, dtype: Any, shard_tokens: int):
        folder.mkdir(parents=True)
        self.folder, self.dtype, self.shard_tokens = folder, dtype, shard_tokens
        self.shards: list[dict[str, Any]] = []
        self.ends, self.targets_from = _Positions(folder / ENDS), _Positions(folder / TARGETS_FROM)
        self.has_prompts = False
        self.n_tokens = self.n_bytes = self.n_documents = 0
        self.digest = hashlib.sha256()
        self.file: BinaryIO | None = None

    def add(self, document: Encoded) -> None:
        """Append a document."""
        if self.file is None or self.shards[-1]["tokens"] >= self.shard_tokens:
            self._next_shard()
        assert self.file is not None
        data = document.ids.astype(self.dtype).tobytes()
        self.file.write(data)
        self.digest.update(data)
        self.shards[-1]["tokens"] += len(document.ids)
        self.targets_from.add(self.n_tokens + document.n_prompt)
        self.n_tokens += len(document.ids)
        self.ends.add(self.n_tokens)
        self.n_bytes += document.n_bytes
        self.n_documents += 1
        self.has_prompts |= document.has_prompt

    def _next_shard(self) -> None:
        if self.file is not None:
            self.file.close()
        name = f"tokens-{len(self.shards):05d}.bin"
        self.file = (self.folder / name).open("wb")
        self.shards.append({"file": name, "tokens": 0})

    def close(self) -> None:
        """Let go of all files, also of those that are not whole."""
        for file in (self.file, self.ends, self.targets_from):
            if file is not None:
                file.close()

    def finish(self) -> dict[str, Any]:
        if self.file is not None:
            self.file.close()
        self.ends.finish(self.digest)
        self.targets_from.finish(self.digest if self.has_prompts else hashlib.sha256())
        return {
            "shards": self.shards,
            "tokens": self.n_tokens,
            "documents": self.n_documents,
            "bytes": self.n_bytes,
            "sha256": self.digest.hexdigest(),
            "has_prompts": self.has_prompts,
        }


@dataclass(frozen=True, slots=True)
class Encoded:
    """A document's token ids, marks included, of which the first `n_prompt` are no targets."""

    document: Document
    ids: Ids
    n_prompt: int

    @property
    def has_prompt(self) -> bool:
        """Whether it has a prompt beside the begin mark."""
        return bool(self.document.prompt)

    @property
    def n_bytes(self) -> int:
        """UTF-8 bytes of prompt and text."""
        return len((self.document.prompt + self.document.text).encode("utf-8", "surrogateescape"))


def encoded(
    documents: Iterable[Document], tokenizer: Tokenizer, batch_characters: Callable[[], int]
) -> Iterator[Encoded]:
    """Tokenise documents, many at once, in their order.

    Args:
        batch_characters: how many characters to take next; asked before each batch.
    """
    stream = iter(documents)
    while batch := _batch(stream, batch_characters()):
        prompts = [document.prompt for document in batch if document.prompt]
        ids = iter(tokenizer.encode_many([*prompts, *(document.text for document in batch)]))
        of_prompts = iter(list(itertools.islice(ids, len(prompts))))
        for document, text_ids in zip(batch, ids, strict=True):
            before = [np.asarray(tokenizer.prefix_ids, dtype=np.uint32)]
            before += [next(of_prompts)] if document.prompt else []
            whole = np.concatenate([*before, text_ids, np.asarray([tokenizer.eos_id], dtype=np.uint32)])
            yield Encoded(document, whole, sum(map(len, before)))


def _batch(stream: Iterator[Document], n_characters: int) -> list[Document]:
    found, held = list[Document](), 0
    for document in stream:
        found.append(document)
        held += len(document.prompt) + len(document.text)
        if held >= n_characters or len(found) >= BATCH_DOCUMENTS:
            break
    return found


def build_corpus(
    documents: Iterable[Document | str],
    tokenizer: Tokenizer,
    folder: Path,
    *,
    holdout: float = 0.05,
    max_train_tokens: int | None = None,
    source: str = "documents",
    shard_tokens: int = SHARD_TOKENS,
) -> Corpus:
    """Tokenise documents into `folder` (which appears whole or not at all) and open it.

    Args:
        max_train_tokens: stop reading after so many training tokens; needed for endless streams.

    Raises:
        InputError: there is no text to train on, or the folder cannot be written.
    """
    dtype = np.uint16 if tokenizer.vocab_size <= 1 << 16 else np.uint32
    staging: Path | None = None
    splits: dict[str, _SplitWriter] = {}
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        for name in ("train", "validation"):
            splits[name] = _SplitWriter(staging / name, dtype, shard_tokens)

        def missing() -> int:
            return BATCH_CHARACTERS if max_train_tokens is None else max_train_tokens - splits["train"].n_tokens

        for one in encoded(_named(documents), tokenizer, lambda: min(BATCH_CHARACTERS, missing())):
            if missing() <= 0:
                break
            splits["validation" if one.document.is_held_out(holdout) else "train"].add(one)
        index: dict[str, Any] = {
            "format": FORMAT,
            "dtype": np.dtype(dtype).name,
            "tokenizer": tokenizer.name,
            "source": source,
            "splits": {name: writer.finish() for name, writer in splits.items()},
        }
        if not index["splits"]["train"]["tokens"]:
            raise InputError(f"the data source {source} has no text to train on: every document is empty or held out")
        (staging / INDEX).write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")
        if folder.exists():
            shutil.rmtree(folder)
        apply_umask(staging)
        staging.rename(folder)
    except OSError as error:
        raise InputError(f"cannot write tokenised data to {folder}: {error}. Free space or set data.cache") from error
    finally:
        for writer in splits.values():
            writer.close()
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)
    return open_corpus(folder)


def _named(documents: Iterable[Document | str]) -> Iterator[Document]:
    for document in documents:
        yield document if isinstance(document, Document) else Document(document, document)

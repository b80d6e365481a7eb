"""Tokenised text on disk, memory-mapped, and the windows that training reads from it.

    1. documents          -> Document(name, text), in the source's order (documents.py)
    2. split by name      -> train / validation
    3. tokenise           -> BOS ids EOS per document, appended to shards of token ids (uint16 or uint32)
    4. index              -> index.json: shard names, token and document counts, fingerprint
    5. pack               -> windows of T tokens from the concatenation, which may span documents
    6. shuffle            -> a permutation per epoch from (seed, epoch), windows shifted by a random offset per epoch,
                             and on to the next document's beginning with align_documents

A batch is a pure function of (seed, step), so resuming needs no state, and any number of processes sees the same
batches.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from mtp_eval.harness.errors import InputError
from mtp_eval.harness.models.checkpoint import apply_umask
from mtp_eval.harness.models.tokenizers import Tokenizer
from mtp_eval.harness.training.documents import Document, held_out

INDEX = "index.json"
SHARD_TOKENS = 1 << 28
Array = npt.NDArray[Any]


class _SplitWriter:
    """Appends documents of one split to shards."""

    def __init__(self, folder: Path, dtype: Any, shard_tokens: int):
        folder.mkdir(parents=True)
        self.folder, self.dtype, self.shard_tokens = folder, dtype, shard_tokens
        self.shards: list[dict[str, Any]] = []
        self.ends: list[int] = []
        self.n_tokens = self.n_bytes = 0
        self.digest = hashlib.sha256()
        self.file: BinaryIO | None = None

    def add(self, ids: list[int], n_bytes: int) -> None:
        if self.file is None or self.shards[-1]["tokens"] >= self.shard_tokens:
            self._next_shard()
        assert self.file is not None
        data = np.asarray(ids, dtype=self.dtype).tobytes()
        self.file.write(data)
        self.digest.update(data)
        self.shards[-1]["tokens"] += len(ids)
        self.n_tokens += len(ids)
        self.n_bytes += n_bytes
        self.ends.append(self.n_tokens)

    def _next_shard(self) -> None:
        if self.file is not None:
            self.file.close()
        name = f"tokens-{len(self.shards):05d}.bin"
        self.file = (self.folder / name).open("wb")
        self.shards.append({"file": name, "tokens": 0})

    def finish(self) -> dict[str, Any]:
        if self.file is not None:
            self.file.close()
        ends = np.asarray(self.ends, dtype=np.int64)
        np.save(self.folder / "ends.npy", ends)
        self.digest.update(ends.tobytes())
        return {
            "shards": self.shards,
            "tokens": self.n_tokens,
            "documents": len(self.ends),
            "bytes": self.n_bytes,
            "sha256": self.digest.hexdigest(),
        }


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
    """
    dtype = np.uint16 if tokenizer.vocab_size <= 1 << 16 else np.uint32
    staging: Path | None = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        splits = {name: _SplitWriter(staging / name, dtype, shard_tokens) for name in ("train", "validation")}
        for document in _named(documents):
            if max_train_tokens is not None and splits["train"].n_tokens >= max_train_tokens:
                break
            ids = tokenizer.encode(document.text)
            split = splits["validation" if held_out(document.name, holdout) else "train"]
            split.add([tokenizer.bos_id, *ids, tokenizer.eos_id], len(document.text.encode("utf-8", "surrogateescape")))
        index: dict[str, Any] = {
            "format": 1,
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
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)
    return open_corpus(folder)


def _named(documents: Iterable[Document | str]) -> Iterator[Document]:
    for document in documents:
        yield document if isinstance(document, Document) else Document(document, document)


def open_corpus(folder: Path) -> Corpus:
    """Open tokenised data; a folder that does not fit its own index is refused."""
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        splits = {name: Split.open(folder / name, about, index["dtype"]) for name, about in index["splits"].items()}
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"the tokenised data in {folder} is damaged ({error}): remove that folder and start again"
        ) from None
    return Corpus(folder, index, splits["train"], splits["validation"])


@dataclass(frozen=True)
class Split:
    """The tokens of one split as one long sequence."""

    shards: tuple[Array, ...]
    ends: Array
    """Position after each document's EOS."""
    n_tokens: int
    n_bytes: int
    sha256: str

    @staticmethod
    def open(folder: Path, about: dict[str, Any], dtype: str) -> Split:
        """Map the shards that the index lists."""
        shards = []
        for shard in about["shards"]:
            path = folder / shard["file"]
            expected = shard["tokens"] * np.dtype(dtype).itemsize
            if path.stat().st_size != expected:
                raise ValueError(f"{path.name} has {path.stat().st_size} bytes, expected {expected}")
            shards.append(np.memmap(path, dtype=dtype, mode="r"))
        ends = np.load(folder / "ends.npy", mmap_mode="r") if about["documents"] else np.zeros(0, dtype=np.int64)
        return Split(tuple(shards), ends, about["tokens"], about["bytes"], about["sha256"])

    @cached_property
    def starts(self) -> Array:
        """First position of each shard, and the end of the last."""
        return np.cumsum([0, *(len(shard) for shard in self.shards)])

    def document_start(self, position: int) -> int:
        """Where the first document that begins at or after `position` begins, going round at the end."""
        number = int(np.searchsorted(self.ends, position))
        return 0 if position == 0 or number >= len(self.ends) - 1 else int(self.ends[number])

    def begins_with(self, stored: dict[str, Any]) -> bool:
        """Whether the first documents are those of a split with this description."""
        n_tokens, n_documents = stored["tokens"], stored["documents"]
        if n_tokens > self.n_tokens or n_documents > len(self.ends):
            return False
        digest, left = hashlib.sha256(), n_tokens
        for shard in self.shards:
            digest.update(shard[:left].tobytes())
            left = max(left - len(shard), 0)
        digest.update(np.asarray(self.ends[:n_documents], dtype=np.int64).tobytes())
        return digest.hexdigest() == stored["sha256"]

    def read(self, start: int, length: int) -> tuple[Array, Array]:
        """Tokens and document numbers of `[start, start + length)`; beyond the end, token 0 of document -1."""
        tokens = np.zeros(length, dtype=np.int64)
        stop = min(start + length, self.n_tokens)
        shard = int(np.searchsorted(self.starts, start, side="right")) - 1
        position = start
        while position < stop:
            low, high = int(self.starts[shard]), int(self.starts[shard + 1])
            take = min(stop, high) - position
            tokens[position - start : position - start + take] = self.shards[shard][
                position - low : position - low + take
            ]
            position, shard = position + take, shard + 1
        documents = np.searchsorted(self.ends, np.arange(start, start + length), side="right")
        documents[max(stop - start, 0) :] = -1
        return tokens, documents


@dataclass(frozen=True)
class Corpus:
    """Tokenised train and validation text."""

    folder: Path
    index: dict[str, Any]
    train: Split
    validation: Split

    @property
    def fingerprint(self) -> str:
        """Changes when any token or document border does."""
        parts = f"{self.train.sha256} {self.validation.sha256} {self.index['tokenizer']}"
        return hashlib.sha256(parts.encode()).hexdigest()

    def begins_with(self, stored: dict[str, Any]) -> bool:
        """Whether these documents are those of a stored description, followed by more of them."""
        splits = {"train": self.train, "validation": self.validation}
        return all(split.begins_with(stored[name]) for name, split in splits.items())

    def describe(self) -> dict[str, Any]:
        """For training.json."""
        splits = {
            name: {key: about[key] for key in ("tokens", "documents", "bytes", "sha256")}
            for name, about in self.index["splits"].items()
        }
        return {"source": self.index["source"], "fingerprint": self.fingerprint, **splits}


class Batches:
    """Batches of packed windows: `(B, T + n)` tokens and document numbers for any step, in any order."""

    def __init__(
        self, split: Split, *, length: int, n_future: int, batch_size: int, seed: int, align_documents: bool = False
    ):
        self.split, self.length, self.n_future, self.batch_size, self.seed = split, length, n_future, batch_size, seed
        self.align_documents = align_documents
        if split.n_tokens < length + 1:
            raise InputError(
                f"the training text has {split.n_tokens} tokens, fewer than one context of {length + 1}: add text or "
                "lower model.context_length"
            )
        self.windows_per_epoch = max(1, (split.n_tokens - 1) // length - 1)
        self._epoch: tuple[int, Array, int] | None = None

    def _order(self, epoch: int) -> tuple[Array, int]:
        """The epoch's permutation of windows, and by how much they are shifted."""
        if self._epoch is None or self._epoch[0] != epoch:
            generator = np.random.Generator(np.random.PCG64([self.seed, epoch]))
            slack = self.split.n_tokens - 1 - self.windows_per_epoch * self.length
            shift = int(generator.integers(0, max(1, min(self.length, slack + 1))))
            self._epoch = (epoch, generator.permutation(self.windows_per_epoch), shift)
        return self._epoch[1], self._epoch[2]

    def batch(self, step: int, rows: slice = slice(None)) -> tuple[Array, Array]:
        """Step counts from 0; `rows` picks this process's part."""
        tokens, documents = [], []
        for row in range(*rows.indices(self.batch_size)):
            epoch, place = divmod(step * self.batch_size + row, self.windows_per_epoch)
            order, shift = self._order(epoch)
            start = int(order[place]) * self.length + shift
            if self.align_documents:
                start = self.split.document_start(start)
            row_tokens, row_documents = self.split.read(start, self.length + self.n_future)
            tokens.append(row_tokens)
            documents.append(row_documents)
        return np.stack(tokens), np.stack(documents)


def validation_batches(
    split: Split, *, length: int, n_future: int, windows: int, batch_size: int
) -> list[tuple[Array, Array]]:
    """Evenly spaced windows of the held-out text, the same ones for every model of this length."""
    available = max(1, split.n_tokens // length)
    if split.n_tokens < 2:
        return []
    chosen = np.unique(np.linspace(0, available - 1, num=min(windows, available)).astype(int))
    rows = [split.read(int(window) * length, length + n_future) for window in chosen]
    parts = [rows[i : i + batch_size] for i in range(0, len(rows), batch_size)]
    return [(np.stack([r[0] for r in part]), np.stack([r[1] for r in part])) for part in parts]


def cache_folder(configured: str | None) -> Path:
    """Where tokenised data is kept between runs."""
    chosen = configured or os.environ.get("MTP_EVAL_CACHE")
    return Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "mtp-eval"

"""Tokenised text on disk, memory-mapped; `corpus_writer` makes it, `batches` cuts it into windows.

    1. documents          -> Document(name, text, prompt), in the source's order (documents.py)
    2. split              -> train / validation, by a coin of the document's own
    3. tokenise           -> BOS prompt text EOS per document, appended to shards of token ids (uint16 or uint32)
    4. index              -> index.json: shard names, token and document counts, fingerprint
    5. pack               -> windows of T tokens from the concatenation, which may span documents
    6. shuffle            -> a permutation per epoch from (seed, epoch), windows shifted by a random offset per epoch,
                             and on to the next document's beginning with align_documents

A batch is a pure function of (seed, step), so resuming needs no state, and any number of processes sees the same
batches. A prompt's tokens are read by the model but are no targets of its loss.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mtp_eval.harness.errors import InputError

INDEX, ENDS, TARGETS_FROM = "index.json", "ends.bin", "targets_from.bin"
FORMAT = 2
"""Of the folder: int64 positions without a header beside the shards. Cached text of another format is made anew."""
Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of tokens `(S,)`, or several of one length `(B, S)`.

    Args:
        tokens: ids; 0 where there is no text.
        documents: the number of each token's document, -1 where there is no text.
        learnt: whether the token is a target; None: all are.
    """

    tokens: Array
    documents: Array
    learnt: Array | None = None

    @staticmethod
    def stack(windows: Sequence[Window]) -> Window:
        """Several windows of one length as one batch."""
        learnt = None
        if any(window.learnt is not None for window in windows):
            learnt = np.stack([np.ones(len(w.tokens), dtype=bool) if w.learnt is None else w.learnt for w in windows])
        return Window(np.stack([w.tokens for w in windows]), np.stack([w.documents for w in windows]), learnt)

    def rows(self, rows: slice) -> Window:
        """Some of the windows of a batch."""
        return Window(self.tokens[rows], self.documents[rows], None if self.learnt is None else self.learnt[rows])


def open_corpus(folder: Path) -> Corpus:
    """Open tokenised data; a folder that does not fit its own index is refused.

    Raises:
        InputError: the folder does not fit its index, or has another format.
    """
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        if index["format"] != FORMAT:
            raise ValueError(f"format {index['format']}, expected {FORMAT}")
        splits = {name: Split.open(folder / name, about, index["dtype"]) for name, about in index["splits"].items()}
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"the tokenised data in {folder} is damaged ({error}): remove that folder and start again"
        ) from None
    return Corpus(folder, index, splits["train"], splits["validation"])


def _positions(path: Path, n: int) -> Array:
    """A column of positions, memory-mapped."""
    return np.memmap(path, dtype=np.int64, mode="r", shape=(n,)) if n else np.zeros(0, dtype=np.int64)


@dataclass(frozen=True)
class Split:
    """The tokens of one split as one long sequence."""

    shards: tuple[Array, ...]
    ends: Array
    """Position after each document's EOS."""
    n_tokens: int
    n_bytes: int
    sha256: str
    targets_from: Array | None = None
    """Position of each document's first token that is a target; None: no document has a prompt."""

    @staticmethod
    def open(folder: Path, about: dict[str, Any], dtype: str) -> Split:
        """Map the shards that the index lists.

        Raises:
            ValueError: a shard has not the size that the index gives.
        """
        shards = []
        for shard in about["shards"]:
            path = folder / shard["file"]
            expected = shard["tokens"] * np.dtype(dtype).itemsize
            if path.stat().st_size != expected:
                raise ValueError(f"{path.name} has {path.stat().st_size} bytes, expected {expected}")
            shards.append(np.memmap(path, dtype=dtype, mode="r"))
        ends = _positions(folder / ENDS, about["documents"])
        targets_from = _positions(folder / TARGETS_FROM, about["documents"]) if about.get("has_prompts") else None
        return Split(tuple(shards), ends, about["tokens"], about["bytes"], about["sha256"], targets_from)

    @cached_property
    def starts(self) -> Array:
        """First position of each shard, and the end of the last."""
        return np.cumsum([0, *(len(shard) for shard in self.shards)])

    def document_start(self, position: int) -> int:
        """The beginning of the first document at or after `position`, going round at the end."""
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
        if self.targets_from is not None:
            digest.update(np.asarray(self.targets_from[:n_documents], dtype=np.int64).tobytes())
        return digest.hexdigest() == stored["sha256"]

    def read(self, start: int, length: int) -> Window:
        """The window `[start, start + length)`, which may reach beyond the end."""
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
        positions = np.arange(start, start + length)
        documents = np.searchsorted(self.ends, positions, side="right")
        learnt = None
        if self.targets_from is not None:
            learnt = positions >= self.targets_from[np.minimum(documents, len(self.ends) - 1)]
        documents[max(stop - start, 0) :] = -1
        return Window(tokens, documents, learnt)


@dataclass(frozen=True)
class Corpus:
    """Tokenised train and validation text."""

    folder: Path
    index: dict[str, Any]
    train: Split
    validation: Split

    @property
    def fingerprint(self) -> str:
        """A hash that changes when any token or document border does."""
        parts = f"{self.train.sha256} {self.validation.sha256} {self.index['tokenizer']}"
        return hashlib.sha256(parts.encode()).hexdigest()

    def begins_with(self, stored: dict[str, Any]) -> bool:
        """Whether these documents are those of a stored description, followed by more of them."""
        splits = {"train": self.train, "validation": self.validation}
        return all(split.begins_with(stored[name]) for name, split in splits.items())

    def describe(self) -> dict[str, Any]:
        """Counts and hashes of both splits, for training.json."""
        splits = {
            name: {key: about[key] for key in ("tokens", "documents", "bytes", "sha256")}
            for name, about in self.index["splits"].items()
        }
        return {"source": self.index["source"], "fingerprint": self.fingerprint, **splits}


def cache_folder(configured: str | None) -> Path:
    """The folder in which tokenised data is kept between runs."""
    chosen = configured or os.environ.get("MTP_EVAL_CACHE")
    return Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "mtp-eval"

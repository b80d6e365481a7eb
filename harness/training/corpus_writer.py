"""Tokenise documents into shards on disk; `corpus` describes the steps and reads the result."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from mtp_eval.harness.errors import InputError
from mtp_eval.harness.models.checkpoint import apply_umask
from mtp_eval.harness.models.tokenizers import Tokenizer
from mtp_eval.harness.training.corpus import INDEX, Corpus, open_corpus
from mtp_eval.harness.training.documents import Document, held_out

SHARD_TOKENS = 1 << 28


class _SplitWriter:
    """Appends documents of one split to shards."""

    def __init__(self, folder: Path, dtype: Any, shard_tokens: int):
        folder.mkdir(parents=True)
        self.folder, self.dtype, self.shard_tokens = folder, dtype, shard_tokens
        self.shards: list[dict[str, Any]] = []
        self.ends: list[int] = []
        self.targets_from: list[int] = []
        self.has_prompts = False
        self.n_tokens = self.n_bytes = 0
        self.digest = hashlib.sha256()
        self.file: BinaryIO | None = None

    def add(self, ids: list[int], n_bytes: int, n_prompt: int, *, has_prompt: bool) -> None:
        """Append a document, of whose ids the first `n_prompt` are no targets."""
        if self.file is None or self.shards[-1]["tokens"] >= self.shard_tokens:
            self._next_shard()
        assert self.file is not None
        data = np.asarray(ids, dtype=self.dtype).tobytes()
        self.file.write(data)
        self.digest.update(data)
        self.shards[-1]["tokens"] += len(ids)
        self.n_tokens += len(ids)
        self.n_bytes += n_bytes
        self.targets_from.append(self.n_tokens - len(ids) + n_prompt)
        self.has_prompts |= has_prompt
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
        if self.has_prompts:
            targets_from = np.asarray(self.targets_from, dtype=np.int64)
            np.save(self.folder / "targets_from.npy", targets_from)
            self.digest.update(targets_from.tobytes())
        return {
            "shards": self.shards,
            "tokens": self.n_tokens,
            "documents": len(self.ends),
            "bytes": self.n_bytes,
            "sha256": self.digest.hexdigest(),
            "has_prompts": self.has_prompts,
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
            prompt = [*tokenizer.prefix_ids, *(tokenizer.encode(document.prompt) if document.prompt else ())]
            ids = [*prompt, *tokenizer.encode(document.text), tokenizer.eos_id]
            n_bytes = len((document.prompt + document.text).encode("utf-8", "surrogateescape"))
            split = splits["validation" if held_out(document.name, holdout) else "train"]
            split.add(ids, n_bytes, len(prompt), has_prompt=bool(document.prompt))
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

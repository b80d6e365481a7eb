"""Text to token ids and back: bytes, or any vocabulary the `tokenizers` package or a SentencePiece file describes.

A tokenizer lies in its checkpoint's folder as `tokenizer.json` or `tokenizer.model` beside `tokenizer_meta.json`,
which says which kind it is, which ids begin and end a document, and what is put before every text: that is what the
tokenizer's own post-processor adds, which may be nothing. Encoding never adds those by itself: whoever builds a document
or a prompt does, with `begin`. A chat model's template lies there too (`chat_template`).
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from mtp_eval.harness.errors import InputError
from mtp_eval.harness.models import chat_template
from mtp_eval.harness.models.begin_marks import prefix_of
from mtp_eval.harness.models.chat_template import ChatTemplate
from mtp_eval.harness.models.vocabularies import (
    BOS_NAMES,
    EOS_NAMES,
    JsonVocabulary,
    SentencePieceVocabulary,
    find_vocabulary,
    printable,
    train_bpe,
    train_words,
)

META_FILE = "tokenizer_meta.json"
Ids = npt.NDArray[np.unsignedinteger[Any]]
"""Token ids of one text, `(T,)`."""


class Tokenizer(Protocol):
    """The interface of every tokenizer."""

    name: str
    """Short label for records, such as "bytes" or "bpe-8192"."""
    vocab_size: int
    """Rows of the embedding matrix; may be padded beyond the ids in use."""
    bos_id: int
    eos_id: int
    prefix_ids: tuple[int, ...]
    """What stands before every text, in training and in prompts: the begin mark, or nothing."""
    eos_ids: frozenset[int]
    """The ids that end a completion, `eos_id` among them."""
    chat: ChatTemplate | None
    """How turns of a chat are written; None where the model is no chat model."""

    def encode(self, text: str) -> list[int]:
        """Ids of `text`, without begin and end marks."""
        ...

    def encode_many(self, texts: Sequence[str]) -> list[Ids]:
        """Ids of each text, as `encode` gives them; on all cores where the vocabulary's library can."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """The text of `ids`; special tokens that have a text decode to it."""
        ...

    def n_bytes(self, ids: Sequence[int]) -> int:
        """UTF-8 bytes that `ids` stand for: what bits per byte divides by. Marks stand for none."""
        ...

    def save(self, folder: Path) -> None:
        """Write into a checkpoint's folder what `load_tokenizer` needs."""
        ...


def prompt_ids(tokenizer: Tokenizer, text: str) -> list[int]:
    """A prompt as the model is given it: at least one token, which is the begin mark where there is no other."""
    return [*tokenizer.prefix_ids, *tokenizer.encode(text)] or [tokenizer.bos_id]


class ByteTokenizer:
    """Every byte is a token, then begin, end and padding; ids up to 264 keep the matrices aligned.

    Decoding is lossless: bytes that are not UTF-8 become lone surrogates (Python's "surrogateescape"), and encoding
    turns them back into the same bytes. Such a text does not print; `text.encode("utf-8", "replace")` makes it
    printable.
    """

    name = "bytes"
    vocab_size = 264
    bos_id, eos_id, pad_id = 256, 257, 258
    prefix_ids: tuple[int, ...] = (256,)
    eos_ids = frozenset({257})
    chat: ChatTemplate | None = None

    def encode(self, text: str) -> list[int]:
        """The bytes of `text` in UTF-8."""
        return list(text.encode("utf-8", "surrogateescape"))

    def encode_many(self, texts: Sequence[str]) -> list[Ids]:
        """The bytes of each text."""
        return [np.frombuffer(text.encode("utf-8", "surrogateescape"), dtype=np.uint8) for text in texts]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of the ids below 256; others are dropped."""
        return bytes(i for i in ids if 0 <= i < 256).decode("utf-8", "surrogateescape")

    def n_bytes(self, ids: Sequence[int]) -> int:
        """How many ids are below 256, each of them one byte."""
        return sum(1 for i in ids if 0 <= i < 256)

    def save(self, folder: Path) -> None:
        """Write the tokenizer's name, which is all that is needed."""
        write_meta(folder, {"kind": "bytes"})


class PieceTokenizer:
    """A vocabulary from a `tokenizer.json` (BPE, Unigram) or a SentencePiece `tokenizer.model`.

    Decoding joins the bytes of the pieces and strips nothing, so that the text of a continuation does not depend on
    what came before it. A vocabulary that puts a space in front of every text (Llama 2's) therefore decodes to that
    space too. Encoding takes Unicode: bytes that are not UTF-8 become U+FFFD first. Train with "bytes" to keep them.
    """

    def __init__(
        self,
        name: str,
        source: bytes,
        kind: Literal["tokenizer.json", "tokenizer.model"],
        *,
        bos_id: int,
        eos_id: int,
        vocab_size: int | None = None,
        prefix_ids: Sequence[int] | None = None,
        eos_ids: Iterable[int] = (),
        chat: ChatTemplate | None = None,
    ):
        self.name, self.bos_id, self.eos_id, self.chat = name, bos_id, eos_id, chat
        self.prefix_ids = (bos_id,) if prefix_ids is None else tuple(prefix_ids)
        self.eos_ids = frozenset({eos_id, *eos_ids})
        self._source, self._kind = source, kind
        reader = JsonVocabulary(source) if kind == "tokenizer.json" else SentencePieceVocabulary(source)
        self._reader = reader
        self._bytes = reader.piece_bytes()
        self._marks = {bos_id, *self.eos_ids}
        self.vocab_size = max(vocab_size or 0, len(self._bytes))

    def encode(self, text: str) -> list[int]:
        """Ids of `text`, without begin and end marks."""
        return self._reader.encode(printable(text))

    def encode_many(self, texts: Sequence[str]) -> list[Ids]:
        """Ids of each text, without marks, in parallel."""
        return [np.asarray(ids, dtype=np.uint32) for ids in self._reader.encode_many([printable(t) for t in texts])]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of `ids`, special tokens included; ids beyond the vocabulary decode to nothing."""
        return b"".join(self._bytes[i] for i in ids if 0 <= i < len(self._bytes)).decode("utf-8", "surrogateescape")

    def n_bytes(self, ids: Sequence[int]) -> int:
        """Bytes of the pieces, marks left out."""
        return sum(len(self._bytes[i]) for i in ids if 0 <= i < len(self._bytes) and i not in self._marks)

    def save(self, folder: Path) -> None:
        """Write the vocabulary's own file, and which of its ids are marks."""
        (folder / self._kind).write_bytes(self._source)
        meta = {"kind": self._kind, "name": self.name, "bos_id": self.bos_id, "eos_id": self.eos_id}
        begins_and_ends = {"prefix_ids": list(self.prefix_ids), "eos_ids": sorted(self.eos_ids)}
        write_meta(folder, {**meta, **begins_and_ends, "vocab_size": self.vocab_size})
        if self.chat is not None:
            self.chat.save(folder)


def write_meta(folder: Path, meta: dict[str, Any]) -> None:
    """Write the description that `load_tokenizer` dispatches on."""
    (folder / META_FILE).write_text(json.dumps(meta, indent=1) + "\n", encoding="utf-8")


def load_tokenizer(folder: str | Path) -> Tokenizer:
    """The tokenizer that was saved in `folder`.

    Raises:
        InputError: a file is missing or damaged, or of a kind that this version does not know.
    """
    folder = Path(folder)
    try:
        meta = json.loads((folder / META_FILE).read_text(encoding="utf-8"))
        kind = meta["kind"]
        if kind == "bytes":
            return ByteTokenizer()
        if kind in ("tokenizer.json", "tokenizer.model"):
            source = (folder / kind).read_bytes()
            return PieceTokenizer(
                meta["name"],
                source,
                kind,
                bos_id=int(meta["bos_id"]),
                eos_id=int(meta["eos_id"]),
                vocab_size=int(meta["vocab_size"]),
                prefix_ids=meta.get("prefix_ids"),  # neither is in checkpoints of 0.1.0
                eos_ids=meta.get("eos_ids", ()),
                chat=chat_template.load(folder),
            )
    except FileNotFoundError as error:
        raise InputError(
            f"{folder} has no {Path(error.filename).name}, so its tokenizer is unknown: is it a checkpoint folder "
            "written by `mtp-eval train` or `mtp-eval convert`? A Hugging Face folder is named hf:PATH, or converted "
            "first"
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{folder / META_FILE} is damaged ({error}): copy the checkpoint again") from None
    raise InputError(
        f"{folder / META_FILE} names the tokenizer kind {kind!r}; this version knows bytes, tokenizer.json, "
        "tokenizer.model"
    )


def fingerprint(tokenizer: Tokenizer) -> str:
    """A sha256 that changes when the tokenizer would encode differently."""
    with tempfile.TemporaryDirectory() as name:
        tokenizer.save(Path(name))
        digest = hashlib.sha256()
        for path in sorted(Path(name).iterdir()):
            if path.name == chat_template.FILE:
                continue
            digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def read_tokenizer(path: str | Path, *, vocab_size: int | None = None, eos_ids: Iterable[int] = ()) -> Tokenizer:
    """Read a tokenizer: from a checkpoint folder of ours, a tokenizer.json, a tokenizer.model, or a folder with one.

    Args:
        vocab_size: rows of the model's embedding, where they are more than the vocabulary has ids.
        eos_ids: ids that end a completion besides the tokenizer's own, such as those of the model's config.

    Raises:
        InputError: there is no tokenizer, or its end-of-document piece is not known.
    """
    path = Path(path).expanduser()
    if (path / META_FILE).is_file():
        return load_tokenizer(path)
    file, config = find_vocabulary(path)
    source = file.read_bytes()
    if file.suffix == ".model":
        marks = SentencePieceVocabulary(source).processor
        bos, eos = marks.bos_id(), marks.eos_id()
        return PieceTokenizer(
            file.parent.name or "sentencepiece",
            source,
            "tokenizer.model",
            bos_id=bos,
            eos_id=eos,
            vocab_size=vocab_size,
            eos_ids=eos_ids,
        )
    vocabulary = JsonVocabulary(source)
    eos_id = vocabulary.id_of([*_named(config, "eos_token"), *EOS_NAMES])
    bos_id = vocabulary.id_of([*_named(config, "bos_token"), *BOS_NAMES])
    if eos_id is None:
        raise InputError(
            f"{file} has no end-of-document piece that this program knows ({', '.join(EOS_NAMES)}), and no "
            "tokenizer_config.json beside it names one in eos_token"
        )
    bos_id = eos_id if bos_id is None else bos_id
    return PieceTokenizer(
        file.parent.name or "bpe",
        source,
        "tokenizer.json",
        bos_id=bos_id,
        eos_id=eos_id,
        vocab_size=vocab_size,
        prefix_ids=prefix_of(vocabulary, file.parent, config, bos_id),
        eos_ids=eos_ids,
        chat=chat_template.of_hugging_face(file.parent, config),
    )


def _named(config: dict[str, Any], key: str) -> list[str]:
    value = config.get(key)
    if isinstance(value, dict):
        value = value.get("content")
    return [value] if isinstance(value, str) else []


def trained_bpe(texts: Iterable[str], size: int) -> Tokenizer:
    """A byte-level BPE of `size` ids learnt from `texts`."""
    return PieceTokenizer(f"bpe-{size}", train_bpe(texts, size), "tokenizer.json", bos_id=0, eos_id=1, vocab_size=size)


def trained_words(texts: Iterable[str], size: int) -> Tokenizer:
    """A vocabulary of at most `size` ids of whole words, each with the white space after it; see `train_words`."""
    source = train_words(texts, size)
    vocab_size = len(JsonVocabulary(source).piece_bytes())
    return PieceTokenizer(f"words-{vocab_size}", source, "tokenizer.json", bos_id=0, eos_id=1)

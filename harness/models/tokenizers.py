"""Text to token ids and back: bytes, or any vocabulary the `tokenizers` package or a SentencePiece file describes.

A tokenizer lies in its checkpoint's folder as `tokenizer.json` or `tokenizer.model` beside `tokenizer_meta.json`,
which says which kind it is and which ids begin and end a document. Encoding never adds those by itself: whoever builds
a document does.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from mtp_eval.harness.errors import InputError

META_FILE = "tokenizer_meta.json"


class Tokenizer(Protocol):
    """What the rest of the harness may ask of a tokenizer."""

    name: str
    """Short label for records, such as "bytes" or "bpe-8192"."""
    vocab_size: int
    """Rows of the embedding matrix; may be padded beyond the ids in use."""
    bos_id: int
    eos_id: int

    def encode(self, text: str) -> list[int]:
        """Ids of `text`, without begin and end marks."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """The text of `ids`; marks decode to nothing."""
        ...

    def n_bytes(self, ids: Sequence[int]) -> int:
        """UTF-8 bytes that `ids` stand for: what bits per byte divides by. Marks stand for none."""
        ...

    def save(self, folder: Path) -> None:
        """Write into a checkpoint's folder what `load_tokenizer` needs."""
        ...


class ByteTokenizer:
    """Every byte is a token, then begin, end and padding; ids up to 264 keep the matrices aligned.

    Decoding is lossless: bytes that are not UTF-8 become lone surrogates (Python's "surrogateescape"), and encoding
    turns them back into the same bytes. Such a text does not print; `text.encode("utf-8", "replace")` makes it
    printable.
    """

    name = "bytes"
    vocab_size = 264
    bos_id, eos_id, pad_id = 256, 257, 258

    def encode(self, text: str) -> list[int]:
        """The bytes of `text` in UTF-8."""
        return list(text.encode("utf-8", "surrogateescape"))

    def decode(self, ids: Sequence[int]) -> str:
        """The text of the ids below 256; others are dropped."""
        return bytes(i for i in ids if 0 <= i < 256).decode("utf-8", "surrogateescape")

    def n_bytes(self, ids: Sequence[int]) -> int:
        """Ids below 256."""
        return sum(1 for i in ids if 0 <= i < 256)

    def save(self, folder: Path) -> None:
        """Only the name needs keeping."""
        write_meta(folder, {"kind": "bytes"})


def write_meta(folder: Path, meta: dict[str, Any]) -> None:
    """Write the description that `load_tokenizer` dispatches on."""
    (folder / META_FILE).write_text(json.dumps(meta, indent=1) + "\n", encoding="utf-8")


def load_tokenizer(folder: str | Path) -> Tokenizer:
    """The tokenizer that was saved in `folder`."""
    folder = Path(folder)
    try:
        meta = json.loads((folder / META_FILE).read_text(encoding="utf-8"))
        kind = meta["kind"]
    except FileNotFoundError:
        raise InputError(
            f"{folder} has no {META_FILE}, so its tokenizer is unknown: is it a checkpoint folder written by "
            "`mtp-eval train` or `mtp-eval convert`? A Hugging Face folder is named hf:PATH, or converted first"
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{folder / META_FILE} is damaged ({error}): copy the checkpoint again or retrain it"
        ) from None
    if kind == "bytes":
        return ByteTokenizer()
    raise InputError(f"{folder / META_FILE} names the tokenizer kind {kind!r}; this version knows: bytes")


def fingerprint(tokenizer: Tokenizer) -> str:
    """A sha256 that changes when the tokenizer would encode differently."""
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        tokenizer.save(Path(name))
        digest = hashlib.sha256()
        for path in sorted(Path(name).iterdir()):
            digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()

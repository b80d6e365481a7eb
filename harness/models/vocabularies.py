"""Vocabulary files: what bytes each id stands for, how text is cut into pieces, and training one from text.

Two alphabets are understood: GPT-2's byte-level one (each character of a piece stands for a byte) and SentencePiece's
(U+2581 for a space, <0x41> for a byte that no piece holds). WordPiece vocabularies lose spaces and are refused.
"""

from __future__ import annotations

import json
import re
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from mtp_eval.harness.errors import InputError

BOS_NAMES = ("<s>", "<|begin_of_text|>", "<bos>", "[BOS]", "<|endoftext|>", "<|im_start|>")
EOS_NAMES = ("</s>", "<|end_of_text|>", "<eos>", "[EOS]", "<|endoftext|>", "<|im_end|>")


PART_CHARACTERS = 1 << 17
"""Of a long text that are encoded at once."""
BEFORE_SPACE = re.compile(r"(?<=\S)(?=[ \n])")


class JsonVocabulary:
    """A `tokenizer.json` of the `tokenizers` package."""

    def __init__(self, source: bytes):
        from tokenizers import Tokenizer

        try:
            self.about = json.loads(source)
            self.tokenizer = Tokenizer.from_str(source.decode("utf-8"))
        except Exception as error:  # the package raises bare Exceptions
            raise InputError(f"this tokenizer.json cannot be read ({error}): export it again") from None
        kind = self.about.get("model", {}).get("type")
        if kind not in ("BPE", "Unigram"):
            raise InputError(
                f"this tokenizer.json is of type {kind}, which does not keep spaces: use a BPE or Unigram one"
            )

    def encode(self, text: str) -> list[int]:
        """Ids, without marks; a text that spells a special token ("<|im_start|>") is turned into it."""
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def encode_many(self, texts: list[str]) -> Sequence[Sequence[int]]:
        """Ids of each text, on all cores unless TOKENIZERS_PARALLELISM says no.

        The package takes hundreds of bytes for each character while it works; a long text goes through it in parts where that
        gives the same ids.
        """
        if max(map(len, texts), default=0) <= PART_CHARACTERS or not _parts_are_alike(self.about):
            return self._encode_batch(texts)
        found = [array("I") for _ in texts]
        for ids, text in zip(found, texts, strict=True):
            for part in parts_at_words(text, PART_CHARACTERS):
                ids.extend(self._encode_batch([part])[0])
        return found

    def _encode_batch(self, texts: list[str]) -> list[list[int]]:
        return [found.ids for found in self.tokenizer.encode_batch_fast(texts, add_special_tokens=False)]

    def piece_bytes(self) -> list[bytes]:
        """The bytes that each id stands for, by id."""
        is_byte_level = "ByteLevel" in json.dumps([self.about.get("pre_tokenizer"), self.about.get("decoder")])
        added = {token["id"]: token for token in self.about.get("added_tokens", [])}
        found = {id: piece for piece, id in self.tokenizer.get_vocab(with_added_tokens=True).items()}
        to_bytes = byte_level_bytes if is_byte_level else sentencepiece_bytes
        table = []
        for id in range(max(found) + 1):
            if id in added:
                table.append(added[id]["content"].encode())
            else:
                table.append(to_bytes(found.get(id, "")))
        return table

    def prefix(self) -> tuple[int, ...]:
        """The ids that the post-processor puts before a text."""
        plain = self.tokenizer.encode("x", add_special_tokens=False).ids
        whole = self.tokenizer.encode("x", add_special_tokens=True).ids
        return before(plain, whole)

    def id_of(self, names: Iterable[str]) -> int | None:
        """The id of the first of these pieces that exists."""
        return next((id for name in names if (id := self.tokenizer.token_to_id(name)) is not None), None)


def before(text: Sequence[int], whole: Sequence[int]) -> tuple[int, ...]:
    """What stands in a tokenizer's ids before those of the text itself; nothing where they are not in it.

    >>> before([7, 8], [1, 7, 8, 2])
    (1,)
    """
    at = next((i for i in range(len(whole)) if whole[i : i + len(text)] == text), 0)
    return tuple(whole[:at])


def parts_at_words(text: str, size: int) -> Iterator[str]:
    """Parts of at least `size` characters, cut before white space that stands behind something else."""
    start = 0
    while found := BEFORE_SPACE.search(text, start + size):
        yield text[start : found.start()]
        start = found.start()
    yield text[start:]


def _parts_are_alike(about: Mapping[str, Any]) -> bool:
    """Whether parts that are cut so give the ids of the whole: words are GPT-2's, which end where white space begins, and
    nothing else looks across that border.
    """
    rule = about.get("pre_tokenizer") or {}
    steps = rule.get("pretokenizers", [rule])
    kinds = [step.get("type") for step in steps]
    if about.get("normalizer") or kinds[-1] != "ByteLevel" or not {"Digits", "ByteLevel"}.issuperset(kinds):
        return False
    marks = about.get("added_tokens", [])
    is_plain = not any(mark["lstrip"] or mark["rstrip"] or "\n" in mark["content"] for mark in marks)
    return is_plain and all(
        step.get("use_regex", True) and not step.get("add_prefix_space")
        for step in steps
        if step["type"] == "ByteLevel"
    )


class SentencePieceVocabulary:
    """A SentencePiece `tokenizer.model`, such as Llama 2's."""

    def __init__(self, source: bytes):
        try:
            from sentencepiece import SentencePieceProcessor  # type: ignore[import-not-found, unused-ignore]
        except ImportError:
            raise InputError("a tokenizer.model needs the sentencepiece package: pip install sentencepiece") from None
        try:
            self.processor = SentencePieceProcessor(model_proto=source)
        except RuntimeError as error:
            raise InputError(f"this tokenizer.model is no SentencePiece model ({error}): copy it again") from None

    def encode(self, text: str) -> list[int]:
        """Ids, without marks."""
        return list(self.processor.encode(text))

    def encode_many(self, texts: list[str]) -> Sequence[Sequence[int]]:
        """Ids of each text, on all cores."""
        return list(self.processor.encode(texts))

    def piece_bytes(self) -> list[bytes]:
        """The bytes that each id stands for, by id."""
        processor: Any = self.processor
        return [
            b""
            if processor.is_control(id) or processor.is_unknown(id)
            else sentencepiece_bytes(processor.id_to_piece(id))
            for id in range(processor.get_piece_size())
        ]


@cache
def byte_alphabet() -> dict[str, int]:
    """GPT-2's printable character for each byte: itself where it prints, else the next one from U+0100 on."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + i): byte for i, byte in enumerate(others)}


def byte_level_bytes(piece: str) -> bytes:
    """The bytes of a piece in the byte-level alphabet."""
    alphabet = byte_alphabet()
    if any(character not in alphabet for character in piece):
        return piece.encode()
    return bytes(alphabet[character] for character in piece)


def sentencepiece_bytes(piece: str) -> bytes:
    """The bytes of a piece in SentencePiece's alphabet."""
    if len(piece) == 6 and piece.startswith("<0x") and piece.endswith(">"):
        return bytes([int(piece[3:5], 16)])
    return piece.replace("\u2581", " ").encode()


def train_bpe(texts: Iterable[str], size: int) -> bytes:
    """A byte-level BPE of `size` ids as a tokenizer.json; ids 0 and 1 begin and end a document.

    Raises:
        InputError: the size is below 258.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    if size < 258:
        raise InputError(f"bpe:{size} is smaller than the 256 bytes and two marks: ask for 258 or more, or use bytes")
    tokenizer = Tokenizer(models.BPE())
    # digits one by one, and runs of spaces kept whole, as code needs
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=["<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(map(printable, texts), trainer)
    return tokenizer.to_str(pretty=True).encode()


def train_words(texts: Iterable[str], size: int) -> bytes:
    """A vocabulary of the most frequent words as a tokenizer.json; ids 0 and 1 begin and end a document.

    A word is a run of characters that are no white space, with the one white-space character after it: "a->b\\n" is one
    token, in every place alike. Other white space, and words beyond the vocabulary, are written as bytes, so that every
    text comes back as it was.

    Raises:
        InputError: the size is below 259.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

    if size < 259:
        raise InputError(f"words:{size} has no room for words beside 256 bytes and two marks: ask for 259 or more")
    split = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\S+\s?|\s"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    counts: Counter[str] = Counter()
    for text in map(printable, texts):
        counts.update(piece for piece, _ in split.pre_tokenize_str(text))
    alphabet = sorted(byte_alphabet())
    frequent = sorted((piece for piece in counts if len(piece) > 1), key=lambda piece: (-counts[piece], piece))
    pieces = ["<s>", "</s>", *alphabet, *sorted(frequent[: size - 258])]
    # a piece of the vocabulary is one id at once; without merges everything else falls apart into bytes
    tokenizer = Tokenizer(models.BPE(vocab={piece: i for i, piece in enumerate(pieces)}, merges=[], ignore_merges=True))
    tokenizer.pre_tokenizer = split
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<s>", "</s>"])
    return tokenizer.to_str(pretty=True).encode()


def printable(text: str) -> str:
    """The text with U+FFFD for bytes that are not UTF-8."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def find_vocabulary(path: Path) -> tuple[Path, dict[str, Any]]:
    """The vocabulary's file at `path` (a file, or a folder holding one), and the marks that files beside it name.

    Raises:
        InputError: there is none.
    """
    if path.is_dir():
        path = next((path / name for name in ("tokenizer.json", "tokenizer.model") if (path / name).is_file()), path)
    if not path.is_file():
        raise InputError(
            f"there is no tokenizer at {path}: expected 'bytes', 'bpe:SIZE', a tokenizer.json, a SentencePiece "
            "tokenizer.model, or a folder that holds one of them"
        )
    config = path.parent / "tokenizer_config.json"
    return path, read_json(config) if config.is_file() else {}


def read_json(path: Path) -> dict[str, Any]:
    """An object from a JSON file.

    Raises:
        InputError: it cannot be read, or holds something else.
    """
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path}: {error}; copy it again") from None
    if not isinstance(found, dict):
        raise InputError(f"cannot read {path}: expected a JSON object, got {type(found).__name__}")
    return found

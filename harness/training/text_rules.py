"""Rules that say what a document of a text file is: the whole file, a block between blank lines, or what stands between separators.

    files             the file as it is
    blocks            a run of lines that are not blank; blank lines belong to none
    separator:TEXT    what stands between two TEXTs; one line end behind a TEXT belongs to it

Files are read in pieces, so that memory depends on the longest document alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO

from mtp_eval.harness.errors import InputError

FILES, BLOCKS, SEPARATOR = "files", "blocks", "separator:"
RULES = (FILES, BLOCKS, f"{SEPARATOR}TEXT")
LONGEST_DOCUMENT_BYTES = 16 << 20
PIECE_BYTES = 1 << 20


class LongDocumentError(Exception):
    """A document is longer than `LONGEST_DOCUMENT_BYTES`."""


def is_rule(rule: str) -> bool:
    """Whether `data.documents` may have this value."""
    return rule in (FILES, BLOCKS) or (rule.startswith(SEPARATOR) and rule != SEPARATOR)


def split_text(rule: str, file: BinaryIO, where: str) -> Iterator[bytes]:
    """The documents of a text file, none of them empty.

    Args:
        rule: one of `RULES`.
        where: the file, as an error names it.

    Raises:
        InputError: a document is too long to be held in memory.
    """
    readers: dict[str, Callable[[BinaryIO], Iterator[bytes]]] = {FILES: _whole, BLOCKS: _blocks}
    separator = rule.removeprefix(SEPARATOR).encode()
    try:
        yield from readers[rule](file) if rule in readers else _separated(file, separator)
    except LongDocumentError:
        raise InputError(
            f"{where} has a document of more than {LONGEST_DOCUMENT_BYTES >> 20} MiB under data.documents = {rule!r}: "
            f"split it by another rule ({', '.join(RULES)}), or give JSONL or Parquet"
        ) from None


def _checked(data: bytes | bytearray) -> None:
    if len(data) > LONGEST_DOCUMENT_BYTES:
        raise LongDocumentError


def _whole(file: BinaryIO) -> Iterator[bytes]:
    data = file.read(LONGEST_DOCUMENT_BYTES + 1)
    _checked(data)
    if data:
        yield data


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    block = bytearray()
    while line := file.readline(LONGEST_DOCUMENT_BYTES + 1):
        if line.isspace():
            if block:
                yield bytes(block)
                block.clear()
            continue
        block += line
        _checked(block)
    if block:
        yield bytes(block)


def _separated(file: BinaryIO, separator: bytes) -> Iterator[bytes]:
    rest, is_first = b"", True
    while piece := file.read(PIECE_BYTES):
        *whole, rest = (rest + piece).split(separator)
        for part in whole:
            yield from _between(part, is_first)
            is_first = False
        _checked(rest)
    yield from _between(rest, is_first)


def _between(part: bytes, is_first: bool) -> Iterator[bytes]:
    _checked(part)
    if not is_first:
        part = part.removeprefix(b"\r\n") if part.startswith(b"\r\n") else part.removeprefix(b"\n")
    if part.strip():
        yield part

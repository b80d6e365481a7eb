"""Text and JSON of files that others wrote, with limits: what unpacks, nests or counts without end is refused in a sentence."""

from __future__ import annotations

import codecs
import json
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mtp_eval.tasks.errors import DataError

MAX_DEPTH = 100
"""Lists and objects within one another. Python's own limit depends on who calls."""
LEAST_CAP_BYTES, MOST_TIMES_PACKED = 256 << 20, 100
"""A .gz may unpack to the first, or to so many times its own size, whichever is more."""
_CHUNK_BYTES = 1 << 20
_GZIP = b"\x1f\x8b"
_OTHERS = {
    b"PAR1": "Parquet: write it as JSON lines, with pandas.read_parquet(...).to_json(..., orient='records', lines=True)",
    b"PK\x03\x04": "a zip archive: unpack it first (a log of inspect: write it as JSON with `inspect log dump`)",
    b"\x28\xb5\x2f\xfd": "Zstandard: unpack it with zstd -d first",
    b"\xfd7zXZ": "xz: unpack it with xz -d first",
    b"BZh": "bzip2: unpack it with bunzip2 first",
}
"""How files begin that are not read here, and what to do."""
_BEGINNING = re.compile("[^ \t\r\n\ufeff]")
"""Where a value begins: before it may stand white space, and the byte order mark of a file that was put behind another."""
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def read_text(path: Path, data: bytes | None = None) -> str:
    """The file's text, without a byte order mark; gzip is told by its first bytes, and so is UTF-16 from UTF-8.

    Args:
        data: the file's content, where it was read before.

    Raises:
        DataError: it cannot be read or unpacked, is not UTF-8, or unpacks to more than the limit.
    """
    packed = path.suffix == ".gz"
    try:
        data = path.read_bytes() if data is None else data
        other = next((what for start, what in _OTHERS.items() if data.startswith(start)), None)
        if other is not None:
            raise DataError(f"{path} is {other}")
        packed = packed or data.startswith(_GZIP)
        plain = _unpacked(path, data) if packed else data
        return plain.decode("utf-16" if plain.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig")
    except (OSError, zlib.error, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as {'gzipped ' if packed else ''}UTF-8 text: {error}") from None


def _unpacked(path: Path, data: bytes) -> bytes:
    cap = max(LEAST_CAP_BYTES, MOST_TIMES_PACKED * len(data))
    text, rest = bytearray(), data
    while rest:  # a gzip file may be several, one after another
        member = zlib.decompressobj(wbits=31)
        while not member.eof:
            chunk = member.decompress(rest, _CHUNK_BYTES)
            rest = member.unconsumed_tail or member.unused_data
            text += chunk
            if len(text) > cap:
                raise DataError(
                    f"{path}: {len(data):,} bytes unpack to more than {cap:,}; if that is right, unpack it with gunzip first"
                )
            if not chunk and not rest and not member.eof:
                raise DataError(f"{path} cannot be read as gzipped UTF-8 text: it ends in the middle")
        rest = rest.lstrip(b"\0")
    return bytes(text)


def parse_json(text: str, where: str, *, whole_characters: bool = False) -> Any:
    """The value that a JSON text stands for.

    Args:
        where: the file, and the line if there are several: what an error begins with.
        whole_characters: refuse half a surrogate pair, which no file and no terminal takes.

    Raises:
        DataError: it is not JSON, nests deeper than `MAX_DEPTH`, has an integer of more digits than Python reads
            (4,300), or half a surrogate pair where that is refused.
    """
    with _said_in_a_sentence(where, has_lines="\n" in text):
        value = json.loads(text)
    _check_depth(value, text, where)
    if whole_characters and _SURROGATE.search(text):
        _refuse_surrogates(value, where)
    return value


def parse_values(text: str, where: str) -> Iterator[tuple[int, Any]]:
    """The values of a text that holds several one after another, each over as many lines as it likes, as `jq .` writes them.

    Args:
        where: the file: what an error begins with, before the line on which the value begins.

    Yields:
        the line, from 1, and the value.

    Raises:
        DataError: as `parse_json`, at the first value that cannot be read.
    """
    decoder, line, end = json.JSONDecoder(), 1, 0
    while begun := _BEGINNING.search(text, end):
        start = begun.start()
        line += text.count("\n", end, start)
        here = f"{where}, line {line}"
        with _said_in_a_sentence(here, has_lines=True):
            value, end = decoder.raw_decode(text, start)
        _check_depth(value, text[start:end], here)
        yield line, value
        line += text.count("\n", start, end)


@contextmanager
def _said_in_a_sentence(where: str, *, has_lines: bool) -> Iterator[None]:
    try:
        yield
    except json.JSONDecodeError as error:
        line = f"line {error.lineno}, " if has_lines else ""
        raise DataError(f"{where}: not JSON ({error.msg} at {line}character {error.colno})") from None
    except RecursionError:
        raise DataError(f"{where}: lists or objects nest deeper than {MAX_DEPTH}") from None
    except ValueError:
        raise DataError(f"{where}: an integer of more than 4,300 digits") from None


def _check_depth(value: Any, text: str, where: str) -> None:
    if text.count("[") + text.count("{") > MAX_DEPTH and _depth(value) > MAX_DEPTH:
        raise DataError(f"{where}: lists or objects nest deeper than {MAX_DEPTH}")


def _refuse_surrogates(value: object, where: str) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"{where}: half a surrogate pair ({error.object[error.start]!a}), which is no character"
        ) from None


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level:
        depth += 1
        inner: list[Any] = []
        for item in level:
            inner += item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
        level = [item for item in inner if isinstance(item, (dict, list))]
    return depth

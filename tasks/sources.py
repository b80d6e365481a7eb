"""Find a benchmark's data on this machine, check them, and read them.

A file is looked for in the folder given by --data-dir, then in MTP_EVAL_DATA, then wherever the adapter knows (an
installed package), then through `datasets` where the catalogue names a data set. Contents are checked against the sha256
known there before a row is read, so that two runs with one task name have read the same problems.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtp_eval.tasks.catalogue import SOURCES, Source
from mtp_eval.tasks.errors import DataError, HubError
from mtp_eval.tasks.reading import parse_json, read_text

DATA_VARIABLE = "MTP_EVAL_DATA"


@dataclass(frozen=True, slots=True)
class Loaded:
    """The rows of a benchmark with the sha256 that identifies them."""

    rows: list[dict[str, Any]]
    sha256: str
    where: str


def data_folders(data_dir: Path | None) -> list[Path]:
    """The folders in which files are looked for: `data_dir`, then the one that MTP_EVAL_DATA names.

    Raises:
        DataError: one of them is not a folder.
    """
    variable = os.environ.get(DATA_VARIABLE)
    folders = []
    for said_by, folder in (("--data-dir", data_dir), (DATA_VARIABLE, Path(variable) if variable else None)):
        if folder is not None and not folder.is_dir():
            raise DataError(f"{said_by} names {folder}, which is not a folder; give one that holds the benchmark files")
        if folder is not None:
            folders.append(folder)
    return folders


def find_file(name: str, data_dir: Path | None) -> Path | None:
    """The file of this published name in the data folders, or None."""
    return next((folder / name for folder in data_folders(data_dir) if (folder / name).is_file()), None)


def load_file(name: str, data_dir: Path | None, *, installed: Sequence[Path] = ()) -> Loaded:
    """The rows behind a published file name: from a data folder, from an installed package, else from the hub.

    Args:
        name: a key of `catalogue.SOURCES`.
        data_dir: a folder to look in first.
        installed: where a package may have put the file.

    Raises:
        DataError: it is nowhere, is broken, or is another version than the published one.
    """
    path = find_file(name, data_dir) or next((place for place in installed if place.is_file()), None)
    if path is not None:
        return read_checked(path)
    source = SOURCES[name]
    if not source.hub:
        raise DataError(f"{name} not found. {how_to_get(name)}")
    return load_hub(name, source)


def load_hub(name: str, source: Source) -> Loaded:
    """The rows that the hub has of a data set, checked where the catalogue knows their hash.

    Raises:
        DataError: they cannot be had, or are another version.
    """
    from mtp_eval.tasks.hub import hub_rows

    try:
        rows = hub_rows(source)
    except HubError as error:
        raise DataError(f"no {name} in a data folder, and {error}. {how_to_get(name)}") from error
    found = rows_sha256(rows, source.fields)
    if source.rows_sha256 and found != source.rows_sha256:
        raise DataError(
            f"{source.hub} on the hub: expected the rows with hash {source.rows_sha256[:16]}…, got {len(rows)} rows with "
            f"{found[:16]}…: another version of the benchmark. {how_to_get(name)}"
        )
    return Loaded(rows, source.sha256 or found, source.hub)


def how_to_get(name: str) -> str:
    """The sentence an error ends with: the ways to get this file."""
    source = SOURCES[name]
    ways = [f"put {name} into a folder and pass --data-dir FOLDER", f"set {DATA_VARIABLE}=FOLDER"]
    if source.hub:
        ways.append(f"let the `datasets` package fetch {source.hub} on a machine with a network")
    where = f"The file is published at {source.url}." if source.url else f"The data come from {source.origin}."
    return f"Ways to get it: {'; or '.join(ways)}. {where}"


def read_checked(path: Path, *, expected: str | None = None) -> Loaded:
    """Read a JSON-lines file (or a JSON list; .gz is unpacked) whose sha256 is the known one.

    Raises:
        DataError: it cannot be read, the checksum is another than `expected` (by default that of the file's published
            name; "" is any), or a line is not a JSON object; the message names the file and the line.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error}") from None
    sha256 = hashlib.sha256(data).hexdigest()
    published = SOURCES[path.name].sha256 if path.name in SOURCES else ""
    wanted = published if expected is None else expected
    if wanted and sha256 != wanted:
        broken = _first_broken_line(path, data)
        raise DataError(
            f"{path}: expected the published file with sha256 {wanted[:16]}…, got {sha256[:16]}…"
            + (f"; {broken}" if broken else "; every line parses, so it is another version or was edited")
            + ". Download it again (a changed benchmark belongs in a task of its own, see docs/tasks.md)."
        )
    return Loaded(list(_rows(path, data)), sha256, str(path))


def _rows(path: Path, data: bytes) -> Iterator[dict[str, Any]]:
    """The objects of a JSON list or of JSON lines."""
    text = read_text(path, data)
    if path.name.removesuffix(".gz").endswith(".json"):
        yield from _list_rows(path, text)
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            where = f"{path}, line {number}"
            yield _object(parse_json(line, where, whole_characters=True), where)


def _list_rows(path: Path, text: str) -> Iterator[dict[str, Any]]:
    rows = parse_json(text, str(path), whole_characters=True)
    if not isinstance(rows, list):
        raise DataError(f"{path}: expected a JSON list of problems, got {type(rows).__name__}")
    for number, row in enumerate(rows, start=1):
        yield _object(row, f"{path}, problem {number}")


def _object(row: Any, where: str) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise DataError(f"{where}: expected a JSON object, got {type(row).__name__}")
    return row


def _first_broken_line(path: Path, data: bytes) -> str:
    """What is wrong with the first line that does not parse, for the checksum error; empty if all parse."""
    try:
        for _ in _rows(path, data):
            pass
    except DataError as error:
        return str(error).removeprefix(str(path)).lstrip(",: ")
    return ""


def rows_sha256(rows: list[dict[str, Any]], fields: Sequence[str] = ()) -> str:
    """A hash of rows (of these fields, or of all) that does not depend on key order or on how a file writes them."""
    digest = hashlib.sha256()
    for row in rows:
        said = {name: row.get(name) for name in fields} if fields else row
        digest.update(json.dumps(said, sort_keys=True, ensure_ascii=True, separators=(",", ":")).encode() + b"\n")
    return digest.hexdigest()

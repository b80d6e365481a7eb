"""A run's folder on disk: `run.json`, the journal `records.jsonl`, and what is computed from the two.

    run.json       what was asked for and where it ran; written once, never changed
    records.jsonl  one line per completion, append-only; each append is one write that is flushed to the disk
    metrics.json   a pure function of the two above: the same bytes whether or not the run was ever interrupted
    table.md, table.csv  the same figures for people and for spreadsheets
    timing.json    one entry per session that worked on the run: wall-clock figures, which are not reproducible

One process writes a run at a time (a lock that the system drops when the process ends, however it ends). Reading needs
no lock. Not covered: several machines writing one journal; each shard is a run of its own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mtp_eval.results.errors import RunError, RunMismatch
from mtp_eval.results.files import dump_json, sync_folder, write_atomically
from mtp_eval.results.journal import LOCK_FILE, repair_tail, take_lock, write_all
from mtp_eval.results.record import SCHEMA_VERSION, Record

RUN_FILE = "run.json"
JOURNAL_FILE = "records.jsonl"
METRICS_FILE = "metrics.json"
TIMING_FILE = "timing.json"


class RunStore:
    """One run folder. Make one with `open` (to write) or `read`."""

    def __init__(self, folder: Path, header: dict[str, Any], journal: int | None, lock: int | None) -> None:
        self.folder = folder
        self.header = header
        self._journal = journal
        self._lock = lock
        self._keys: set[tuple[str, str, str, int]] | None = None

    @classmethod
    def open(cls, folder: Path, header: Mapping[str, Any]) -> RunStore:
        """Create the run, or resume it when the stored configuration is the same.

        Raises:
            RunMismatch: the folder holds a run of another configuration.
            RunLocked: another process is writing it.
            RunError: the folder holds other files, or its run.json or journal cannot be read.
        """
        folder = Path(folder)
        if folder.exists() and not folder.is_dir():
            raise RunError(f"{folder} is a file; give --out a folder that does not exist yet")
        folder.mkdir(parents=True, exist_ok=True)
        lock = take_lock(folder)
        try:
            if (folder / RUN_FILE).exists():
                stored = _read_header(folder)
                _refuse_other_config(folder, stored, header)
            else:
                _refuse_foreign_folder(folder)
                stored = json.loads(dump_json(header))
                write_atomically(folder / RUN_FILE, dump_json(stored))
            repair_tail(folder / JOURNAL_FILE)
            journal = os.open(folder / JOURNAL_FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            sync_folder(folder)
        except BaseException:
            os.close(lock)
            raise
        return cls(folder, stored, journal, lock)

    @classmethod
    def read(cls, folder: Path) -> RunStore:
        """A run to look at; nothing on disk is touched, so a run that is being written can be read too.

        Raises:
            RunError: there is no run at `folder`.
            RunError: its run.json cannot be read.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise RunError(f"there is no run folder at {folder}; give the folder that `mtp-eval run --out` wrote")
        if not (folder / RUN_FILE).is_file():
            raise RunError(f"{folder} is not a run folder: it holds no {RUN_FILE}")
        return cls(folder, _read_header(folder), None, None)

    def append(self, records: Sequence[Record]) -> None:
        """Add records to the journal with one write, and return when the disk has them.

        Raises:
            OSError: the disk is full or failing; what was written before stays readable and the run can be resumed.
            RunError: a record of the same key is there already, or the run was opened with `read`.
        """
        if self._journal is None:
            raise RunError(f"{self.folder} was opened for reading")
        if not records:
            return
        fresh = [record.key for record in records]
        if len(set(fresh)) < len(fresh) or not self.keys().isdisjoint(fresh):
            twice = next(key for key in fresh if key in self.keys() or fresh.count(key) > 1)
            raise RunError(f"record {twice} (model, task, problem, sample) is in the journal already")
        data = "".join(record.to_json() + "\n" for record in records).encode("ascii")
        size_before = os.fstat(self._journal).st_size
        try:
            write_all(self._journal, data)
            os.fsync(self._journal)
        except OSError as error:
            os.ftruncate(self._journal, size_before)
            raise OSError(
                error.errno,
                f"{error.strerror}: {len(records)} records could not be added to the journal; what was there is kept. "
                "Make room and give the same command again to go on",
                str(self.folder / JOURNAL_FILE),
            ) from error
        self.keys().update(fresh)

    def records(self) -> Iterator[Record]:
        """Every record in the order of the journal; a last line that is still being written is left out.

        Raises:
            RunError: a line other than the last is not a record.
        """
        path = self.folder / JOURNAL_FILE
        if not path.exists():
            return
        with open(path, "rb") as file:
            for number, line in enumerate(file, start=1):
                try:
                    if not line.endswith(b"\n"):
                        return
                    record = Record.from_json(line.decode("ascii"))
                except ValueError as error:
                    if file.read(1) == b"":
                        return
                    raise RunError(f"{path}, line {number} is not a record ({error}); delete that line") from None
                yield record

    def keys(self) -> set[tuple[str, str, str, int]]:
        """The keys of all records in the journal."""
        if self._keys is None:
            self._keys = {record.key for record in self.records()}
        return self._keys

    def finish(self, ks: Sequence[int], timing: Mapping[str, Any]) -> str:
        """Write metrics.json, table.md, table.csv and this session's timing; returns the Markdown table."""
        from mtp_eval.results.scores.cells import read_cells
        from mtp_eval.results.scores.metrics import run_metrics
        from mtp_eval.results.tables.render import render
        from mtp_eval.results.tables.standard import results_table

        cells = read_cells(self)
        metrics = run_metrics(self.header, cells, ks)
        table = results_table([(self.header, cells)], ks)
        markdown = render(table, "markdown")
        write_atomically(self.folder / METRICS_FILE, dump_json(metrics))
        write_atomically(self.folder / "table.md", markdown)
        write_atomically(self.folder / "table.csv", render(table, "csv"))
        self._add_timing(timing)
        return markdown

    def timing(self) -> list[dict[str, Any]]:
        """One entry per session that finished."""
        path = self.folder / TIMING_FILE
        if not path.exists():
            return []
        sessions = json.loads(path.read_text("utf-8"))["sessions"]
        return list(sessions)

    def close(self) -> None:
        """Let another process write the run. The lock also goes when the process ends."""
        for descriptor in (self._journal, self._lock):
            if descriptor is not None:
                os.close(descriptor)
        self._journal = self._lock = None

    def __enter__(self) -> RunStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _add_timing(self, timing: Mapping[str, Any]) -> None:
        if timing:
            sessions = [*self.timing(), dict(timing)]
            write_atomically(self.folder / TIMING_FILE, dump_json({"sessions": sessions}))


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested keys joined by dots: {"a": {"b": 1}} becomes {"a.b": 1}."""
    result: dict[str, Any] = {}
    for key, value in config.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            result.update(flat(value, f"{name}."))
        else:
            result[name] = value
    return result


def _read_header(folder: Path) -> dict[str, Any]:
    path = folder / RUN_FILE
    try:
        header = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise RunError(
            f"{path} is damaged ({error}); the run cannot be used: start it again in another folder"
        ) from None
    if not isinstance(header, dict) or not {"schema_version", "config", "config_sha256"} <= header.keys():
        raise RunError(
            f"{path} is not the header of a run: schema_version, config and config_sha256 are expected in it"
        )
    if header["schema_version"] > SCHEMA_VERSION:
        raise RunError(
            f"{path} has schema version {header['schema_version']}, this mtp-eval reads up to {SCHEMA_VERSION}: "
            "upgrade mtp-eval"
        )
    return header


def _refuse_other_config(folder: Path, stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    if stored["config_sha256"] == wanted["config_sha256"]:
        return
    was, now = _identity(stored), _identity(json.loads(dump_json(wanted)))
    missing = object()
    lines = [
        f"{key}: {was.get(key, '(not set)')!r} there, {now.get(key, '(not set)')!r} now"
        for key in sorted(was.keys() | now.keys())
        if was.get(key, missing) != now.get(key, missing)
    ]
    differences = "; ".join(lines) or "the hash of its configuration differs"
    raise RunMismatch(
        f"{folder} holds a run of another configuration ({differences}). "
        "Give another --out, or the same options to continue that run"
    )


def _identity(header: Mapping[str, Any]) -> dict[str, Any]:
    """What tells one configuration from another: options, weights of each model, protocol and data of each task."""
    facts = flat(header["config"])
    for label, model in header.get("models", {}).items():
        facts[f"models.{label}.sha256"] = model.get("sha256")
    for name, task in header.get("tasks", {}).items():
        facts |= {f"tasks.{name}.{key}": task.get(key) for key in ("protocol", "data_sha256", "n_problems")}
    return facts


def _refuse_foreign_folder(folder: Path) -> None:
    """A folder with files but without run.json is somebody's own; only what a killed start leaves is fine."""
    foreign = [entry.name for entry in folder.iterdir() if entry.name != LOCK_FILE and not entry.name.endswith(".tmp")]
    if foreign:
        raise RunError(
            f"{folder} is not empty and holds no {RUN_FILE} (but {min(foreign)}); give --out a new or empty folder"
        )

"""A run's folder on disk: `run.json`, the journal `records.jsonl`, and what is kept beside the two.

    run.json       what was asked for and where it ran; written once, never changed
    records.jsonl  one line per completion, append-only; each append is one write that is flushed to the disk
    timing.json    one entry per session that worked on the run: wall-clock figures, which are not reproducible
    NAME.json      what a part of the harness keeps for a resumed run (`sidecar`)

What is computed from them (metrics.json, table.md, table.csv) is written by `results.finish`. One process writes a run at
a time (a lock that the system drops when the process ends, however it ends). Reading needs no lock. Not covered: several
machines writing one journal; each shard is a run of its own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock

from mtp_eval.results.errors import RunError, RunLocked
from mtp_eval.results.files import append_all, dump_json, sync_folder, write_atomically
from mtp_eval.results.header import RUN_FILE, RunHeader, read_header, refuse_other_config
from mtp_eval.results.journal import JOURNAL_FILE, Fault, Keys, line_of, mend, read_lines
from mtp_eval.results.lock import LOCK_FILE, take_lock
from mtp_eval.results.record import Record


class RunStore:
    """One run folder: a header that never changes and an append-only journal of records.

    Writing a run, new or interrupted; the header is the content of run.json:

        with RunStore.open(folder, header) as store:
            for record in judged:
                if record.key not in store.keys():
                    store.append([record])  # on the disk when this returns
            store.sidecar("decoding").write({"heads": 4})
            finish(store, ks=[1, 10], timing={"wall_seconds": 12.5})  # results.finish

    Reading one, also while it is written:

        store = RunStore.read(folder)
        for record in store.records():
            print(record.problem_id, record.verdict, record.completion.n_tokens)
    """

    def __init__(
        self, folder: Path, header: RunHeader, journal: int | None = None, lock: FileLock | None = None
    ) -> None:
        self.folder = folder
        self.header = header
        self._journal = journal
        self._lock = lock
        self._keys: Keys | None = None
        self.faults: list[Fault] = []
        self.n_set_aside = 0
        """Lines that `open` has moved out of the journal, since they could not be believed or say nothing."""

    @classmethod
    def open(cls, folder: Path, header: Mapping[str, Any]) -> RunStore:
        """Create the run, or resume it when the stored configuration is the same.

        A resumed journal is mended first: a torn last line is cut, and lines that cannot be believed, doubled ones and
        infrastructure errors are set aside, so that their keys are missing and are made again.

        Raises:
            RunMismatch: the folder holds a run of another configuration.
            RunLocked: another process is writing it.
            RunError: the folder holds other files, or its run.json or journal cannot be read.
        """
        folder = Path(folder)
        if folder.exists() and not folder.is_dir():
            raise RunError(f"{folder} is a file; give --out a folder that does not exist yet")
        folder.mkdir(parents=True, exist_ok=True)
        lock = take_lock(
            folder,
            lambda holder: RunLocked(
                f"another process{holder} is writing {folder}; wait for it, or give another --out"
            ),
        )
        try:
            stored = _header_for(folder, header)
            keys, n_aside = mend(folder / JOURNAL_FILE)
            journal = os.open(folder / JOURNAL_FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
            sync_folder(folder)
        except BaseException:
            lock.release()
            raise
        store = cls(folder, stored, journal, lock)
        store._keys, store.n_set_aside = keys, n_aside
        return store

    @classmethod
    def read(cls, folder: Path) -> RunStore:
        """A run to look at; nothing on disk is touched, so a run that is being written can be read too.

        Raises:
            RunError: there is no run at `folder`, or its run.json cannot be read.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise RunError(f"there is no run folder at {folder}; give the folder that `mtp-eval run --out` wrote")
        if not (folder / RUN_FILE).is_file():
            raise RunError(f"{folder} is not a run folder: it holds no {RUN_FILE}")
        return cls(folder, read_header(folder))

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
        keys, fresh = self.keys(), Keys()
        for record in records:
            if record.key in keys or not fresh.add(record.key):
                raise RunError(f"record {record.key} (model, task, problem, sample) is in the journal already")
        try:
            append_all(self._journal, b"".join(map(line_of, records)))
        except OSError as error:
            raise OSError(
                error.errno,
                f"{error.strerror}: {len(records)} records could not be added to the journal; what was there is kept. "
                "Make room and give the same command again to go on",
                str(self.folder / JOURNAL_FILE),
            ) from error
        for key in fresh:
            keys.add(key)

    def records(self) -> Iterator[Record]:
        """Every record in the order of the journal; what is wrong with lines that are passed over is in `faults` then.

        A last line that is still being written is left out.
        """
        self.faults = []
        path = self.folder / JOURNAL_FILE
        if path.exists():
            yield from (record for _, _, record in read_lines(path, self.faults))

    def keys(self) -> Keys:
        """The keys of all records in the journal."""
        if self._keys is None:
            self._keys = Keys(record.key for record in self.records())
        return self._keys

    def sidecar(self, name: str) -> Sidecar:
        """The file NAME.json beside the journal, such as "decoding" or "verification"; it need not be there yet."""
        return Sidecar(self.folder / f"{name}.json")

    def timing(self) -> list[dict[str, Any]]:
        """One entry per session that finished."""
        return list(self.sidecar("timing").read(default={"sessions": []})["sessions"])

    def add_timing(self, timing: Mapping[str, Any]) -> None:
        """Add this session's figures."""
        if timing:
            self.sidecar("timing").write({"sessions": [*self.timing(), dict(timing)]})

    def close(self) -> None:
        """Let another process write the run. The lock also goes when the process ends."""
        if self._journal is not None:
            os.close(self._journal)
        if self._lock is not None:
            self._lock.release()
        self._journal = self._lock = None

    def __enter__(self) -> RunStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Sidecar:
    """A JSON file beside a run's journal, replaced as a whole by each `write`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, default: Any) -> Any:
        """Its content, or `default` where there is no such file.

        Raises:
            RunError: it is not JSON.
        """
        if not self.path.exists():
            return default
        try:
            return json.loads(self.path.read_text("utf-8"))
        except ValueError as error:
            raise RunError(f"{self.path} is damaged ({error}): delete it") from None

    def write(self, value: Any) -> None:
        """Replace its content; NaN becomes null."""
        write_atomically(self.path, dump_json(value))


def _header_for(folder: Path, wanted: Mapping[str, Any]) -> RunHeader:
    """The stored header of the same configuration, or a new run.json."""
    if (folder / RUN_FILE).exists():
        stored = read_header(folder)
        refuse_other_config(folder, stored, wanted)
        return stored
    _refuse_foreign_folder(folder)
    data = json.loads(dump_json(wanted))
    write_atomically(folder / RUN_FILE, dump_json(data))
    return RunHeader(data)


def _refuse_foreign_folder(folder: Path) -> None:
    """A folder with files but without run.json is somebody's own; only what a killed start leaves is fine."""
    foreign = [entry.name for entry in folder.iterdir() if entry.name != LOCK_FILE and not entry.name.endswith(".tmp")]
    if foreign:
        raise RunError(
            f"{folder} is not empty and holds no {RUN_FILE} (but {min(foreign)}); give --out a new or empty folder"
        )

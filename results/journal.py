"""The journal's bytes: one writer at a time, whole writes, and a last line that a kill may have torn."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Any

from mtp_eval.results.errors import RunLocked
from mtp_eval.results.record import Record

LOCK_FILE = ".lock"
TAIL_BYTES = 1 << 20


def take_lock(folder: Path) -> int:
    """Become the writer of this run; the lock goes when the descriptor is closed or the process ends.

    Raises:
        RunLocked: another process is writing it.
    """
    lock = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.read(lock, 32).decode("ascii", "replace").strip()
        os.close(lock)
        raise RunLocked(
            f"another process{f' (pid {holder})' if holder else ''} is writing {folder}; "
            "wait for it, or give another --out"
        ) from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    return lock


def repair_tail(path: Path) -> None:
    """Cut the last line where a killed process left it torn; everything before it is kept, never more than one line."""
    if not path.exists():
        return
    with open(path, "r+b") as file:
        size = file.seek(0, os.SEEK_END)
        if size == 0:
            return
        start, line = _last_line(file, size)
        if line.endswith(b"\n") and _is_record(line):
            return
        file.truncate(start)
        file.flush()
        os.fsync(file.fileno())


def _last_line(file: Any, size: int) -> tuple[int, bytes]:
    """Where the last line of the first `size` bytes starts, and the line."""
    window = TAIL_BYTES
    while True:
        start = max(0, size - window)
        file.seek(start)
        tail = file.read(size - start)
        cut = tail.rfind(b"\n", 0, len(tail) - 1)
        if cut >= 0 or start == 0:
            return start + cut + 1, tail[cut + 1 :]
        window *= 8


def _is_record(line: bytes) -> bool:
    try:
        Record.from_json(line.decode("ascii"))
    except ValueError:
        return False
    return True


def write_all(descriptor: int, data: bytes) -> None:
    """Write every byte, however many calls the system needs."""
    view = memoryview(data)
    while view:
        written = os.write(descriptor, view)
        view = view[written:]

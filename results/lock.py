"""The lock of a folder: one process at a time writes there. The system drops it when the process ends, however it ends."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

LOCK_FILE = ".lock"


def take_lock(folder: Path, busy: Callable[[str], Exception]) -> FileLock:
    """Become the only writer of a folder.

    Args:
        busy: the error of a folder that is taken, from who has it: " (pid 12)", or "" where that is not known.

    Raises:
        Exception: the one of `busy`, where another process has the folder.
    """
    path = folder / LOCK_FILE
    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        holder = path.read_text("ascii", "replace").strip()
        raise busy(f" (pid {holder})" if holder else "") from None
    with suppress(OSError):  # a full disk: what is to be written says so, and this is only for the error above
        path.write_text(f"{os.getpid()}\n", "ascii")
    return lock


@contextmanager
def only_one(folder: Path, busy: Callable[[str], Exception]) -> Iterator[None]:
    """Make the folder, and keep it to this process; arguments as of `take_lock`."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = take_lock(folder, busy)
    try:
        yield
    finally:
        lock.release()

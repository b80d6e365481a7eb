"""What a session of work on a run opens: the run's folder, and a clock."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mtp_eval.harness.errors import InputError
from mtp_eval.harness.progress import say
from mtp_eval.results.store import RunStore


def open_store(folder: Path, header: Mapping[str, Any]) -> RunStore:
    """The run's folder, new or resumed.

    Raises:
        RunError: it holds another run, or another process writes it.
        InputError: it cannot be written.
    """
    try:
        store = RunStore.open(folder, header)
        if store.n_set_aside:
            say(
                f"{store.n_set_aside:,} lines of {folder}'s journal were set aside (damaged, doubled or infrastructure errors)"
            )
        return store
    except OSError as error:
        raise InputError(f"the run folder {folder} cannot be written: {error}; give another --out") from error


class Clock:
    """Wall and CPU seconds of this process since it was made."""

    def __init__(self) -> None:
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def elapsed(self) -> tuple[float, float]:
        """Wall seconds, CPU seconds."""
        return time.perf_counter() - self.wall, time.process_time() - self.cpu

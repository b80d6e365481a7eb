"""Progress of a long step, on stderr: a bar with rate and time left on a terminal, else a plain line every 30 s."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

PLAIN_LINE_SECONDS = 30.0


class Progress(Protocol):
    """The interface that a long step reports its progress to."""

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Note that `steps` more are done; `note` is shown beside the bar."""
        ...


class _PlainProgress:
    def __init__(self, label: str, total: int, done: int):
        self.label, self.total, self.done, self.note = label, total, done, ""
        self.done_at_start = done
        self.started = self.last_line = time.monotonic()

    def advance(self, steps: int = 1, note: str = "") -> None:
        self.done += steps
        self.note = note or self.note
        if time.monotonic() - self.last_line >= PLAIN_LINE_SECONDS:
            self.line()

    def line(self) -> None:
        self.last_line = time.monotonic()
        seconds = self.last_line - self.started
        rate = (self.done - self.done_at_start) / seconds if seconds else 0.0
        left = f", {(self.total - self.done) / rate:.0f} s left" if rate and self.done < self.total else ""
        note = f", {self.note}" if self.note else ""
        print(f"{self.label}: {self.done}/{self.total} in {seconds:.0f} s, {rate:.1f}/s{left}{note}", file=sys.stderr)


class _BarProgress:
    def __init__(self, label: str, total: int, done: int):
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
        )
        self.bar = RichProgress(*columns, console=Console(stderr=True), transient=True)
        self.task = self.bar.add_task(label, total=total, completed=done, note="", rate="")
        self.bar.start()

    def advance(self, steps: int = 1, note: str = "") -> None:
        speed = self.bar.tasks[0].speed
        self.bar.update(self.task, advance=steps, note=note, rate=f"{speed:.1f}/s" if speed else "")

    def line(self) -> None:
        self.bar.stop()


@contextmanager
def progress(label: str, total: int, done: int = 0) -> Iterator[Progress]:
    """Report on a step of `total` parts of which `done` are there already."""
    shown = _BarProgress(label, total, done) if sys.stderr.isatty() else _PlainProgress(label, total, done)
    try:
        yield shown
    finally:
        shown.line()


def say(message: str) -> None:
    """Print a remark on stderr; data goes to stdout."""
    print(message, file=sys.stderr)

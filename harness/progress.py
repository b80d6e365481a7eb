"""Progress of a long step, on stderr: a bar with rate and time left on a terminal, else a plain line every 30 s.

Where nothing gets done, a log says so too: after half a minute without news, then after one, two, four, up to ten.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

PLAIN_LINE_SECONDS = 30.0
LONGEST_SILENCE_SECONDS = 600.0


class Progress(Protocol):
    """The interface that a long step reports its progress to."""

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Note that `steps` more are done; `note` is shown beside the bar."""
        ...


class _PlainProgress:
    def __init__(self, label: str, total: int, done: int):
        self.label, self.total, self.done, self.note = label, total, done, ""
        self.done_at_start = done
        self.started = self.last_line = self.last_news = time.monotonic()
        self.ended = threading.Event()
        threading.Thread(target=self._break_silence, name="progress", daemon=True).start()

    def advance(self, steps: int = 1, note: str = "") -> None:
        self.done += steps
        self.note = note or self.note
        self.last_news = time.monotonic()
        if self.last_news - self.last_line >= PLAIN_LINE_SECONDS:
            self._line()

    def end(self) -> None:
        self.ended.set()
        self._line()

    def _line(self) -> None:
        self.last_line = time.monotonic()
        seconds, new = self.last_line - self.started, self.done - self.done_at_start
        left = f", {(self.total - self.done) * seconds / new:.0f} s left" if new and self.done < self.total else ""
        note = f", {self.note}" if self.note else ""
        self._say(f"{self.done}/{self.total} in {seconds:.0f} s{pace(new, seconds)}{left}{note}")

    def _break_silence(self) -> None:
        """Say so when nothing is done for long; in a thread of its own, as what hangs may be the step."""
        news, silence = self.last_news, PLAIN_LINE_SECONDS
        while not self.ended.wait(max(0.0, news + silence - time.monotonic())):
            if self.last_news > news:
                news, silence = self.last_news, PLAIN_LINE_SECONDS
                continue
            now = time.monotonic()
            self._say(f"{self.done}/{self.total} in {now - self.started:.0f} s, nothing new for {now - news:.0f} s")
            silence = min(2 * silence, silence + LONGEST_SILENCE_SECONDS)

    def _say(self, text: str) -> None:
        print(f"{self.label}: {text}", file=sys.stderr)


def pace(done: int, seconds: float) -> str:
    """How fast something goes, for a line: `, 12.3/s`, or `, 42 s each` where it is slower than one in ten seconds."""
    if not done or not seconds:
        return ""
    return f", {done / seconds:.1f}/s" if 10 * done >= seconds else f", {seconds / done:.0f} s each"


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

    def end(self) -> None:
        self.bar.stop()


@contextmanager
def progress(label: str, total: int, done: int = 0) -> Iterator[Progress]:
    """Report on a step of `total` parts of which `done` are there already."""
    shown = _BarProgress(label, total, done) if sys.stderr.isatty() else _PlainProgress(label, total, done)
    try:
        yield shown
    finally:
        shown.end()


def say(message: str) -> None:
    """Print a remark on stderr; data goes to stdout."""
    print(message, file=sys.stderr)

"""A lock with a signal for changes made under it, which Ctrl-C can interrupt at any step without leaving the lock taken.

    with changes.lock:      # taken and given back in C: no signal is handled in between
        ...
    changes.wait()          # without the lock; afterwards look at the state again

`threading.Condition` and `Event` take their locks in Python: an exception raised by a signal handler right after that
leaves them taken, and the thread on the other side waits for ever.
"""

from __future__ import annotations

import queue
import threading
from contextlib import suppress

LONGEST_WAIT_SECONDS = 0.2
"""Where several threads wait, one hears of a change at once and the others after this time."""


class Changes:
    """The lock and the signal by which two threads share state."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._news: queue.SimpleQueue[None] = queue.SimpleQueue()

    def tell(self) -> None:
        """Say that something changed; the caller holds the lock, so that the thread which is told sees the change."""
        if self._news.empty():
            self._news.put(None)

    def wait(self) -> None:
        """Wait for a change, or a moment; the caller does not hold the lock."""
        with suppress(queue.Empty):
            self._news.get(timeout=LONGEST_WAIT_SECONDS)

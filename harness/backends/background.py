"""An asynchronous iterator as an ordinary one, run in a thread of its own that ends when the caller stops listening."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from typing import TypeVar

Item = TypeVar("Item")
GRACE_SECONDS = 1.0
"""How long the thread may take to end before it is left behind."""


def results_of(start: Callable[[], AsyncIterator[Item]]) -> Iterator[Item]:
    """Yield what `start()` yields, and raise what it raises.

    Ctrl-C, or a caller that goes away, cancels what is under way at once, whatever it waits for.
    """
    found: queue.SimpleQueue[tuple[bool, Item | BaseException | None]] = queue.SimpleQueue()
    loop = asyncio.new_event_loop()

    async def collect() -> None:
        async for item in start():
            found.put((True, item))

    task = loop.create_task(collect())

    def work() -> None:
        try:
            loop.run_until_complete(task)
            found.put((False, None))
        except asyncio.CancelledError:
            found.put((False, None))
        except BaseException as error:
            found.put((False, error))
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

    thread = threading.Thread(target=work, name="requests", daemon=True)
    thread.start()
    try:
        while True:
            is_item, item = found.get()
            if is_item:
                yield item  # type: ignore[misc]
            elif isinstance(item, BaseException):
                raise item
            else:
                return
    finally:
        with suppress(RuntimeError):  # the loop has ended by itself
            loop.call_soon_threadsafe(task.cancel)
        thread.join(GRACE_SECONDS)

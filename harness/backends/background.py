"""Questions put to something asynchronous, in a thread of its own that ends when the caller stops listening."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any, Generic, TypeVar

Question = TypeVar("Question")
Answer = TypeVar("Answer")
Connect = Callable[[], AbstractAsyncContextManager[Callable[[Question], Awaitable[Answer]]]]
"""Opens a connection, which answers one question at a call and several calls at once."""
GRACE_SECONDS = 0.5
"""How long the thread may take to end before it is left behind."""
NO_MORE: Any = object()


def answers(
    questions: Iterable[Question], connect: Connect[Question, Answer], at_once: int
) -> Iterator[tuple[Question, Answer]]:
    """Yield each question with its answer, as soon as it comes; `at_once` of them are under way.

    Questions are taken in the caller's thread. As many again are at hand while the caller does something else, and no more, so that
    answers never pile up. Ctrl-C, or a caller that goes away, cancels what is under way at once, whatever it waits for.

    Raises:
        Exception: the first one of an answer; no further question is asked then, and what is under way is answered before.
    """
    left, n_open = iter(questions), 0
    error: BaseException | None = None
    thread = _Thread(connect, at_once)
    try:
        while True:
            for question in islice(left, 0 if error else 2 * at_once - n_open):
                thread.ask(question)
                n_open += 1
            if n_open == 0 or error:
                thread.finish()
            match thread.found.get():
                case _Answered(question, answer):
                    n_open -= 1
                    yield question, answer
                case _Failed(failure):
                    error = error or failure
                case _Ended(failure):
                    error = error or failure
                    if error is not None:
                        raise error
                    return
    finally:
        thread.close()


@dataclass(frozen=True, slots=True)
class _Answered:
    question: Any
    answer: Any


@dataclass(frozen=True, slots=True)
class _Failed:
    """A question could not be answered."""

    error: BaseException


@dataclass(frozen=True, slots=True)
class _Ended:
    """The thread has ended, and why, if it was not asked to."""

    error: BaseException | None


class _Thread(Generic[Question, Answer]):
    """An event loop in a thread, which answers questions and puts what comes of them into `found`."""

    def __init__(self, connect: Connect[Question, Answer], at_once: int) -> None:
        self.found: queue.SimpleQueue[_Answered | _Failed | _Ended] = queue.SimpleQueue()
        self._connect, self._at_once = connect, at_once
        self._waiting: asyncio.Queue[Question] = asyncio.Queue()
        self._is_finishing = self._failed = False
        self._loop = asyncio.new_event_loop()
        self._task = self._loop.create_task(self._work_together())
        self._thread = threading.Thread(target=self._run, name="requests", daemon=True)
        self._thread.start()

    def ask(self, question: Question) -> None:
        """Queue a question."""
        with suppress(RuntimeError):  # the thread has ended already, and says why in `found`
            self._loop.call_soon_threadsafe(self._waiting.put_nowait, question)

    def finish(self) -> None:
        """Let the thread end when what is under way has been answered."""
        if not self._is_finishing:
            self._is_finishing = True
            for _ in range(self._at_once):
                self.ask(NO_MORE)

    def close(self) -> None:
        """Cancel what is under way."""
        with suppress(RuntimeError):  # the loop has ended by itself
            self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(GRACE_SECONDS)

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            self._loop.run_until_complete(self._task)
        except asyncio.CancelledError:
            pass
        except BaseException as failure:
            error = failure
        self._loop.close()
        self.found.put(_Ended(error))

    async def _work_together(self) -> None:
        async with self._connect() as ask:
            await asyncio.gather(*(self._work(ask) for _ in range(self._at_once)))

    async def _work(self, ask: Callable[[Question], Awaitable[Answer]]) -> None:
        while (question := await self._waiting.get()) is not NO_MORE:
            if self._failed:
                continue
            try:
                self.found.put(_Answered(question, await ask(question)))
            except Exception as error:
                self._failed = True
                self.found.put(_Failed(error))

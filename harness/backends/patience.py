"""Patience with a server: when a request is sent again, how long all of them wait, and when they give up.

A failed request is repeated after growing waits with jitter. What a server says of its limits holds for all requests: nobody asks
before the time that it names. When a request has failed too often, a short trial question tells two things apart. If the server answers
that, the fault is this request's own, and the others go on without it. If not, the server is away: one that has answered before is
waited for, since it may be starting anew, and one that never did is given up.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from mtp_eval.harness.errors import MtpEvalError

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")
RETRIES = 6
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.5, 30.0
"""Of a back-off; each wait is twice the one before."""
TURNED_AWAY_SECONDS = 1800.0
"""How long one request is sent again that a server turns away while it answers others."""
AWAY_SECONDS = 300.0
"""How long a server that has answered before may be away."""
LONGEST_HOLD_SECONDS = 900.0
"""The longest pause that a server can ask for; where it asks for more, the run stops and says so."""
SAID_EVERY_SECONDS = 30.0


class FaultError(Exception):
    """A request that got no proper answer.

    Args:
        said: what is known of it.
        retries: how often such a request is sent again.
        is_busy: whether the server is well and has too much to do; tries count anew when it has answered others.
        hold_seconds: how long nobody should ask, by the server's word.
    """

    def __init__(self, said: str, *, retries: int = RETRIES, is_busy: bool = False, hold_seconds: float = 0.0) -> None:
        super().__init__(said)
        self.retries, self.is_busy, self.hold_seconds = retries, is_busy, hold_seconds


class RefusedError(Exception):
    """A request that the server refuses, with what it said."""


class HopelessError(MtpEvalError):
    """Nothing that is asked will be answered: a wrong key, a model that is not there, a server that is gone.

    Args:
        said: what is known of it.
        status: of the answer that says so; 0 where none came.
    """

    def __init__(self, said: str, status: int = 0) -> None:
        super().__init__(said)
        self.status = status


class Patience:
    """What the requests to one server have in common; used in one event loop.

    Args:
        retries: at most so many for any fault.
    """

    def __init__(self, retries: int = RETRIES) -> None:
        self._retries = retries
        self._answered_at = -math.inf
        self._not_before = self._said_at = self._tried_at = -math.inf
        self._one_trial = asyncio.Lock()
        self._is_gone = False

    async def answer(self, ask: Callable[[], Awaitable[Answer]], trial: Callable[[], Awaitable[object]]) -> Answer:
        """The answer to a request.

        Args:
            ask: sends it.
            trial: asks a short question in the same way.

        Raises:
            FaultError: this one is not answered, while others are.
            RefusedError: it is refused.
            HopelessError: none is answered.
        """
        n_tries = n_alone = n_others = 0
        sent_at, first_at = math.inf, time.monotonic()
        while True:
            await self._held()
            before, sent_at = sent_at, time.monotonic()
            try:
                found = await ask()
            except FaultError as fault:
                if fault.is_busy and self._answered_at > before:
                    n_alone = 0
                n_tries, n_alone = n_tries + 1, n_alone + 1
                if n_alone > min(fault.retries, self._retries):
                    n_others = n_others + 1 if await self._lives(trial, sent_at) else 0
                    self._give_up(fault, n_others, time.monotonic() - first_at)
                await self._wait(fault, n_tries)
            except RefusedError:
                self._answered_at = time.monotonic()
                raise
            else:
                self._answered_at = time.monotonic()
                return found

    def hold(self, seconds: float) -> None:
        """Send nothing for so long."""
        self._not_before = max(self._not_before, time.monotonic() + seconds)

    async def _held(self) -> None:
        while (seconds := self._not_before - time.monotonic()) > 0:
            await asyncio.sleep(seconds + random.uniform(0.0, min(1.0, seconds)))

    def _give_up(self, fault: FaultError, n_others: int, seconds: float) -> None:
        """Raise what follows from a request that failed too often; returns where it is worth another try.

        Args:
            n_others: how often in a row the server answered another one meanwhile.
            seconds: since it was first sent.
        """
        if n_others > 1 and (not fault.is_busy or seconds > TURNED_AWAY_SECONDS):
            raise fault
        if not n_others and time.monotonic() - self._answered_at > AWAY_SECONDS:
            self._is_gone = True
            raise HopelessError(str(fault))

    async def _lives(self, trial: Callable[[], Awaitable[object]], since: float) -> bool:
        """Whether the server has answered anything since then; if not, whether it answers a trial question."""
        async with self._one_trial:
            if max(self._answered_at, self._tried_at) < since and not self._is_gone:
                self._tried_at = time.monotonic()
                with suppress(FaultError):
                    with suppress(RefusedError):  # an answer, too
                        await trial()
                    self._answered_at = time.monotonic()
        return self._answered_at > since

    async def _wait(self, fault: FaultError, n_tries: int) -> None:
        if self._is_gone or fault.hold_seconds > LONGEST_HOLD_SECONDS:
            self._is_gone = True
            raise HopelessError(str(fault))
        self.hold(fault.hold_seconds)
        seconds = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2 ** min(n_tries - 1, 10)) * random.uniform(0.5, 1.0)
        if time.monotonic() - self._said_at > SAID_EVERY_SECONDS:
            self._said_at = time.monotonic()
            log.warning("%s; asked again in %.1f s", fault, max(seconds, fault.hold_seconds))
        if not fault.hold_seconds:
            await asyncio.sleep(seconds)

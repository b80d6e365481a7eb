"""How long requests wait and when they give up, in a time that passes at once."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Awaitable, Callable, Coroutine
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest

from mtp_eval.harness.backends import patience
from mtp_eval.harness.backends.patience import FaultError, HopelessError, Patience

Found = TypeVar("Found")


class Skipping(selectors.SelectSelector):
    """Waits for nothing and notes how long it would have waited."""

    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        self.now += max(timeout or 0.0, 0.0)
        return super().select(0)


class World:
    """An event loop whose clock goes on only while everybody in it waits."""

    def __init__(self) -> None:
        self._selector = Skipping()
        self._loop = asyncio.SelectorEventLoop(self._selector)
        self._loop.time = self.now  # type: ignore[method-assign]

    def now(self) -> float:
        return self._selector.now

    def run(self, doing: Coroutine[Any, Any, Found]) -> Found:
        try:
            return self._loop.run_until_complete(doing)
        finally:
            self._loop.close()


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    monkeypatch.setattr(patience, "time", SimpleNamespace(monotonic=made.now))
    return made


ANSWER_SECONDS = 0.01


async def fine() -> str:
    await asyncio.sleep(ANSWER_SECONDS)
    return "fine"


def failing(world: World, until: float, seen: list[float], **of_fault: Any) -> Callable[[], Awaitable[str]]:
    """A question without an answer before that time; `seen` gets the times at which it was asked."""

    async def ask() -> str:
        seen.append(world.now())
        await asyncio.sleep(ANSWER_SECONDS)
        if world.now() < until:
            raise FaultError("as told", **of_fault)
        return "fine"

    return ask


def gaps(seen: list[float]) -> list[float]:
    return [later - earlier for earlier, later in pairwise(seen)]


def test_waits_grow_up_to_half_a_minute_and_no_two_requests_wait_alike(world: World) -> None:
    """400 requests to a server that answered before and is away for 200 s.

    That no first wait is in the lowest tenth of its range, or none in the highest, has a probability of 2 * 0.9^400 = 1e-18.
    """
    asked: list[list[float]] = [[] for _ in range(400)]

    async def all_of_them() -> None:
        one = Patience()
        await one.answer(fine, fine)
        trial = failing(world, 200.0, [])
        await asyncio.gather(*(one.answer(failing(world, 200.0, seen), trial) for seen in asked))

    world.run(all_of_them())
    for seen in asked:
        for number, gap in enumerate(gaps(seen)):
            longest = min(0.5 * 2**number, 30.0)
            asking = ANSWER_SECONDS if number < 6 else 1.0  # later ones ask a trial question, or wait for another's
            assert longest / 2 <= gap <= longest + asking + 1e-6
    first = [gaps(seen)[0] - ANSWER_SECONDS for seen in asked]
    assert len(set(first)) > 390
    assert min(first) < 0.275
    assert max(first) > 0.475


@pytest.mark.parametrize("seconds", [0.2, 10.0, 600.0])
def test_nobody_asks_before_the_server_wants_it_and_then_not_all_at_once(world: World, seconds: float) -> None:
    """One of 200 is told to wait. That the others come within the middle 90 % of their range: 2 * 0.95^200 = 7e-5."""
    asked: list[list[float]] = [[] for _ in range(200)]

    async def told(one: Patience) -> str:
        return await one.answer(failing(world, 0.1, [], is_busy=True, hold_seconds=seconds), fine)

    async def all_of_them() -> None:
        one = Patience()
        first = asyncio.ensure_future(told(one))
        await asyncio.sleep(2 * ANSWER_SECONDS)
        await asyncio.gather(first, *(one.answer(failing(world, 0.0, seen), fine) for seen in asked))

    world.run(all_of_them())
    times = [seen[0] for seen in asked]
    spread = min(1.0, seconds)
    assert min(times) >= ANSWER_SECONDS + seconds
    assert max(times) <= ANSWER_SECONDS + seconds + spread + 1e-6
    assert max(times) - min(times) > 0.9 * spread
    assert len(set(times)) > 190


def test_a_pause_of_more_than_a_quarter_of_an_hour_ends_everything_at_once(world: World) -> None:
    one = Patience()
    with pytest.raises(HopelessError, match="as told"):
        world.run(one.answer(failing(world, 1e9, [], is_busy=True, hold_seconds=901.0), fine))
    assert world.now() <= 2 * ANSWER_SECONDS


@pytest.mark.parametrize(("away", "comes_back"), [(290.0, True), (1e9, False)])
def test_a_server_that_has_answered_is_waited_for_five_minutes(world: World, away: float, comes_back: bool) -> None:
    async def asking() -> str:
        one = Patience()
        await one.answer(fine, fine)
        return await one.answer(failing(world, away, []), failing(world, away, []))

    if comes_back:
        assert world.run(asking()) == "fine"
    else:
        with pytest.raises(HopelessError):
            world.run(asking())
        assert 300 <= world.now() <= 300 + 30 + 1


def test_a_server_that_never_answered_is_given_up_after_seven_tries(world: World) -> None:
    seen: list[float] = []
    with pytest.raises(HopelessError):
        world.run(Patience().answer(failing(world, 1e9, seen), failing(world, 1e9, [])))
    assert len(seen) == 7
    assert world.now() <= 0.5 + 1 + 2 + 4 + 8 + 16 + 1


def test_a_request_that_alone_is_turned_away_is_given_up_after_half_an_hour(world: World) -> None:
    with pytest.raises(FaultError, match="as told"):
        world.run(Patience().answer(failing(world, 1e9, [], is_busy=True), fine))
    assert 1800 <= world.now() <= 1800 + 10 * 30


def test_a_busy_server_that_answers_others_is_asked_for_longer(world: World) -> None:
    async def others(one: Patience) -> None:
        while True:
            await one.answer(fine, fine)
            await asyncio.sleep(5.0)

    async def asking() -> str:
        one = Patience()
        lucky = asyncio.ensure_future(others(one))
        try:
            return await one.answer(failing(world, 4000.0, [], is_busy=True), fine)
        finally:
            lucky.cancel()

    assert world.run(asking()) == "fine"
    assert world.now() >= 4000


def test_a_fault_of_one_request_costs_it_a_few_tries_and_no_other_any(world: World) -> None:
    seen: list[float] = []

    async def asking() -> None:
        one = Patience()
        await one.answer(fine, fine)
        with pytest.raises(FaultError):
            await one.answer(failing(world, 1e9, seen, retries=2), fine)

    world.run(asking())
    assert 3 <= len(seen) <= 5

"""Limits as servers state them: what their headers are worth in seconds, and that nobody asks before."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtp_eval.harness.backends.rate_limits import LONGEST_RESET_SECONDS, pause_asked_for, pause_until_refilled
from tests.harness.backends.asking import completed
from tests.harness.backends.server import Reply, echo


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "-5"}, 0.0),
        ({"retry-after": "nan"}, 0.0),
        ({"retry-after": "inf"}, 0.0),
        ({"retry-after": "1e9"}, 0.0),
        ({"retry-after": "9" * 400}, 0.0),
        ({"retry-after": "Fri, 31 Dec 1999 23:59:59 GMT"}, 0.0),
        ({"retry-after": "Fri, 99 Dec 99999 23:59:59 GMT"}, 0.0),
        ({"retry-after": "tomorrow", "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "3s"}, 3.0),
        ({}, 0.0),
    ],
)
def test_what_a_busy_server_asks_for(headers: dict[str, str], seconds: float) -> None:
    assert pause_asked_for(headers) == seconds


def test_a_date_is_the_seconds_until_then() -> None:
    then = datetime.now(UTC) + timedelta(seconds=100_000)
    assert 90_000 < pause_asked_for({"retry-after": format_datetime(then, usegmt=True)}) <= 100_000


@pytest.mark.parametrize(
    ("remaining", "reset", "seconds"),
    [
        ("0", "6ms", 0.006),
        ("0", "1s", 1.0),
        ("0", "2m59.56s", LONGEST_RESET_SECONDS),
        ("0", "1m0s", 60.0),
        ("0", "1h", LONGEST_RESET_SECONDS),
        ("0", "10", 10.0),
        (" 0 ", " 10 ", 10.0),
        ("0", "", 0.0),
        ("0", "2026-11-27T16:00:00Z", 0.0),
        ("0", "-3s", 0.0),
        ("0", "soon", 0.0),
        ("1", "10s", 0.0),
        ("-1", "10s", 0.0),
        ("none", "10s", 0.0),
    ],
)
@pytest.mark.parametrize("of", ["requests", "tokens"])
def test_a_limit_that_is_used_up_is_waited_for(of: str, remaining: str, reset: str, seconds: float) -> None:
    headers = {f"x-ratelimit-remaining-{of}": remaining, f"x-ratelimit-reset-{of}": reset}
    assert pause_until_refilled(headers) == pytest.approx(seconds)


def test_of_two_limits_that_are_used_up_the_longer_counts() -> None:
    limits = {"requests": "2s", "tokens": "5s"}
    headers = {f"x-ratelimit-remaining-{of}": "0" for of in limits} | {
        f"x-ratelimit-reset-{of}": value for of, value in limits.items()
    }
    assert pause_until_refilled(headers) == 5.0
    assert pause_until_refilled(headers | {"x-ratelimit-remaining-tokens": "9"}) == 2.0


NAMES = ["retry-after", "retry-after-ms"] + [
    f"x-ratelimit-{what}-{of}" for what in ("remaining", "reset") for of in ("requests", "tokens")
]


@given(st.dictionaries(st.sampled_from(NAMES), st.text(max_size=40) | st.sampled_from(["0", "5s", "1m"])))
def test_whatever_headers_say_is_a_number_of_seconds(headers: dict[str, str]) -> None:
    assert 0.0 <= pause_until_refilled(headers) <= LONGEST_RESET_SECONDS
    assert 0.0 <= pause_asked_for(headers) < 1e12


LIMITED = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "400ms"}


@pytest.mark.parametrize("status", [200, 429])
def test_no_request_comes_before_the_limit_is_full_again(status: int) -> None:
    """The third request meets the limit, with an answer or without: whatever comes later comes 0.4 s later."""
    lock, times, told = threading.Lock(), list[tuple[int, float]](), list[float]()

    def answer(body: dict[str, Any], number: int) -> Reply:
        with lock:
            times.append((number, time.monotonic()))
            if number == 2:
                told.append(time.monotonic())
                return status, LIMITED, echo(body)[2] if status == 200 else "{}"
        return echo(body)

    done, asked = completed(answer, n=8, concurrency=1)
    assert len(done) == 8
    assert len(asked) == 8 + (status == 429)
    assert min(at for number, at in times if number > 2) - told[0] >= 0.4

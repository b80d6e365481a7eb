"""Rate limits as servers state them in headers: the seconds for which nothing more should be asked."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

LONGEST_RESET_SECONDS = 60.0
"""A limit refills as time goes by: asking again before it is full is worth a try."""
UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "": 1.0}
PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|)")


def pause_asked_for(headers: Mapping[str, str]) -> float:
    """The seconds that an answer of a busy server asks for, by Retry-After or else by its limits; 0 where it says nothing."""
    for name, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name, "").strip()
        if re.fullmatch(r"\d{1,9}(\.\d+)?", value):
            return float(value) * scale
    try:
        until = parsedate_to_datetime(headers.get("retry-after", ""))
        return max(0.0, until.timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return pause_until_refilled(headers)


def pause_until_refilled(headers: Mapping[str, str]) -> float:
    """The seconds until a limit that is used up has room again (x-ratelimit-remaining-*, x-ratelimit-reset-*).

    >>> pause_until_refilled({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1m2.5s"})
    60.0
    >>> pause_until_refilled({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "120ms"})
    0.12
    >>> pause_until_refilled({"x-ratelimit-remaining-tokens": "17", "x-ratelimit-reset-tokens": "120ms"})
    0.0
    """
    used_up = [of for of in ("requests", "tokens") if headers.get(f"x-ratelimit-remaining-{of}", "").strip() == "0"]
    return max(
        (min(LONGEST_RESET_SECONDS, _seconds(headers.get(f"x-ratelimit-reset-{of}", ""))) for of in used_up),
        default=0.0,
    )


def _seconds(text: str) -> float:
    """A duration such as 6m0s, 120ms or 10; 0 for what is none."""
    text = text.strip()
    if not PART.match(text) or PART.sub("", text):
        return 0.0
    return sum(float(number) * UNITS[unit] for number, unit in PART.findall(text))

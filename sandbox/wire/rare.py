"""Numbers and dates of the standard library that can be sent too, kept out of a process until one turns up."""

from __future__ import annotations

from typing import Any

from mtp_eval.sandbox.wire.codec import READERS, WRITERS, exactly, write_items
from mtp_eval.sandbox.wire.frames import NotEncodable

RARE_MODULES = frozenset(("fractions", "decimal", "datetime"))
RARE_TAGS = frozenset(("Fraction", "Decimal", "timedelta", "datetime", "date", "time"))


def register_rare_types() -> None:
    """Teach both directions numbers and dates. In the jail only when one turns up: unused modules make a fork dearer."""
    from datetime import date, datetime, time, timedelta
    from decimal import Decimal
    from fractions import Fraction

    WRITERS.update(
        {
            Fraction: lambda v, keep, depth: write_items("Fraction", (v.numerator, v.denominator), keep, depth),
            Decimal: lambda v, keep, depth: ["Decimal", str(v)],
            timedelta: lambda v, keep, depth: ["timedelta", v.days, v.seconds, v.microseconds],
        }
    )
    # An aware datetime has a tzinfo object, which does not encode; a naive one has None.
    WRITERS[datetime] = lambda v, keep, depth: write_items("datetime", _fields(v, 7), keep, depth)
    WRITERS[date] = lambda v, keep, depth: ["date", v.year, v.month, v.day]
    WRITERS[time] = lambda v, keep, depth: write_items("time", _fields(v, 4), keep, depth)
    READERS.update(
        {
            "Fraction": lambda v: Fraction(*exactly(int, v, 2)),
            "Decimal": lambda v: Decimal(*exactly(str, v, 1)),
            "timedelta": lambda v: timedelta(*exactly(int, v, 3)),
            "datetime": lambda v: datetime(*exactly(int, v, 8)[:7], fold=v[7]),
            "date": lambda v: date(*exactly(int, v, 3)),
            "time": lambda v: time(*exactly(int, v, 5)[:4], fold=v[4]),
        }
    )


def _fields(moment: Any, n: int) -> tuple[Any, ...]:
    if moment.tzinfo is not None:
        raise NotEncodable("a time with a time zone")
    names = ("year", "month", "day", "hour", "minute", "second", "microsecond")[-n:]
    return (*(getattr(moment, name) for name in names), moment.fold)

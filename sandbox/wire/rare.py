"""Encodings of the standard library's numbers and dates, loaded in a process only when one turns up."""

from __future__ import annotations

from typing import Any

from mtp_eval.sandbox.wire.codec import READERS, WRITERS, Keep, exactly, write_items
from mtp_eval.sandbox.wire.frames import BadFrame

RARE_MODULES = frozenset(("fractions", "decimal", "datetime"))
RARE_TAGS = frozenset(("Fraction", "Decimal", "timedelta", "timezone", "datetime", "date", "time"))


def register_rare_types() -> None:
    """Teach both directions numbers and dates. In the jail only when one turns up: unused modules make a fork dearer."""
    from datetime import date, datetime, time, timedelta, timezone
    from decimal import Decimal
    from fractions import Fraction

    WRITERS.update(
        {
            Fraction: lambda v, keep, depth: write_items("Fraction", (v.numerator, v.denominator), keep, depth),
            Decimal: lambda v, keep, depth: ["Decimal", str(v)],
            timedelta: lambda v, keep, depth: ["timedelta", v.days, v.seconds, v.microseconds],
        }
    )
    WRITERS[timezone] = lambda v, keep, depth: write_items("timezone", _offset(v), keep, depth)
    WRITERS[datetime] = lambda v, keep, depth: _write_moment("datetime", v, 7, keep, depth)
    WRITERS[date] = lambda v, keep, depth: ["date", v.year, v.month, v.day]
    WRITERS[time] = lambda v, keep, depth: _write_moment("time", v, 4, keep, depth)

    def zone(value: Any) -> Any:
        if value is not None and type(value) is not timezone:
            raise BadFrame("a time with something that is no time zone")
        return value

    READERS.update(
        {
            "Fraction": lambda v: Fraction(*exactly(int, v, 2)),
            "Decimal": lambda v: Decimal(*exactly(str, v, 1)),
            "timedelta": lambda v: timedelta(*exactly(int, v, 3)),
            "timezone": lambda v: _named(timezone(timedelta(*exactly(int, v[:3], 3))), *exactly(str, v[3:], 1)),
            "datetime": lambda v: datetime(*exactly(int, v[:-1], 8)[:7]).replace(fold=v[7], tzinfo=zone(v[8])),
            "date": lambda v: date(*exactly(int, v, 3)),
            "time": lambda v: time(*exactly(int, v[:-1], 5)[:4]).replace(fold=v[4], tzinfo=zone(v[5])),
        }
    )


def _write_moment(tag: str, moment: Any, n_fields: int, keep: Keep, depth: int) -> Any:
    """A time with its fields, its fold and its zone; one in a zone that is more than an offset is for `keep`."""
    if moment.tzinfo is not None and type(moment.tzinfo) not in WRITERS:
        return keep(moment, depth)
    names = ("year", "month", "day", "hour", "minute", "second", "microsecond")[-n_fields:]
    return write_items(tag, (*(getattr(moment, name) for name in names), moment.fold, moment.tzinfo), keep, depth)


def _offset(zone: Any) -> tuple[Any, ...]:
    offset = zone.utcoffset(None)
    return offset.days, offset.seconds, offset.microseconds, zone.tzname(None)


def _named(zone: Any, name: str) -> Any:
    """A zone with its name, which is none of its own where it only says the offset."""
    return zone if zone.tzname(None) == name else type(zone)(zone.utcoffset(None), name)

"""Descriptions of values and exceptions that the jail does not send as they are."""

from __future__ import annotations

import errno
import types
from typing import Any

from mtp_eval.sandbox.wire.frames import TooLarge

MAX_MESSAGE_CHARS = 200
_FULL = (errno.EFBIG, errno.ENOSPC, errno.EDQUOT)


def as_base(base: type, value: Any) -> Any:
    """The plain builtin inside an instance of its subclass, read past whatever the subclass overrides."""
    if base is dict:
        return dict(dict.items(value))
    if base in (list, tuple, set, frozenset):
        return base(base.__iter__(value))
    if base is int:
        return int.__index__(value)
    if base is float:
        return float.__float__(value)
    if base is complex:
        return complex.__complex__(value)
    if base is str:
        return str.__str__(value)
    return base(memoryview(value))


def as_plain(value: Any) -> Any:
    """The builtin that an object compares equal to by its type's own rule, or the object itself where there is none.

    Mappings, sets and the wrappers of `collections` compare by content; bytes-like objects by their bytes, times with
    a zone by the moment.
    """
    kind = type(value)
    if kind is memoryview:
        return bytes(value)
    if kind.__name__ in ("UserDict", "UserList", "UserString") and kind.__module__ == "collections":
        return value.data
    if kind.__name__ == "ChainMap" and kind.__module__ == "collections":
        return dict(value)
    if kind.__name__ == "datetime" and kind.__module__ == "datetime" and value.tzinfo is not None:
        return _at_offset(value)
    return dict(value) if kind is types.MappingProxyType else value


def _at_offset(moment: Any) -> Any:
    """The same moment in a zone that is nothing but an offset from UTC."""
    from datetime import timezone

    offset = moment.utcoffset()
    return moment.replace(tzinfo=None if offset is None else timezone(offset, moment.tzname() or ""))


def kind_of(value: Any) -> str:
    """The kind of proxy that stands for a value on the other side."""
    if hasattr(type(value), "__next__"):
        return "iterator"
    return "callable" if callable(value) else "object"


def truth_of(value: Any) -> bool | None:
    """Truth of a value, or None where asking for it raises."""
    try:
        return bool(value)
    except Exception:
        return None


def raised(seq: int, error: BaseException) -> list[Any]:
    """The answer for an exception: its type, the names of all bases, its message, and the limit that it speaks of."""
    limit = ""
    if isinstance(error, MemoryError):
        limit = "memory"
    elif isinstance(error, TooLarge) or (isinstance(error, OSError) and error.errno in _FULL):
        limit = "output"
    names = [kind.__name__[:100] for kind in type(error).__mro__[1:20]]
    return ["raise", seq, type(error).__name__[:100], names, message_of(error), limit]


def line_in_tests(error: BaseException) -> int:
    """The line of the tests' text at which an exception came out of them; 0 where it was elsewhere."""
    line, trace = 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<tests>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def message_of(error: BaseException) -> str:
    """The last line of the exception's text, capped, whatever its `__str__` does."""
    try:
        lines = str(error).strip().splitlines()
        text = lines[-1] if lines else ""
        return text[:MAX_MESSAGE_CHARS].encode("utf-8", "backslashreplace").decode()
    except BaseException:
        return ""


def exit_code(error: SystemExit) -> int:
    """The exit status that the interpreter would give."""
    code = error.code
    if code is None:
        return 0
    return code & 0xFF if isinstance(code, int) else 1

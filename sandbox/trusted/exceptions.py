"""Exceptions of the program as the trusted tests see them: the builtin class of the same name, or a new one with its base."""

from __future__ import annotations

import builtins
from typing import Any

FROM_PROGRAM = "__raised_by_the_program__"
"""Attribute on exceptions that came out of the jail, so that the program's own `assert` is not taken for a test's."""
_NEVER_RAISED = (StopIteration, StopAsyncIteration, GeneratorExit, KeyboardInterrupt, SystemExit)
"""These steer the interpreter: a StopIteration out of a call would end the tests' own loops early, and pass."""


def exception_from(type_name: str, base_names: Any, message: str) -> BaseException:
    """The exception to raise in the trusted tests for one that the program raised."""
    own = _builtin_exception(type_name)
    if own is None:
        bases = [_builtin_exception(name) for name in base_names] if type(base_names) is list else []
        base = next((kind for kind in bases if kind is not None), Exception)
        own = type(type_name if type_name.isidentifier() else "ProgramError", (base,), {})
    if issubclass(own, UnicodeDecodeError):
        error: BaseException = own("utf-8", b"", 0, 1, message)
    elif issubclass(own, UnicodeEncodeError):
        error = own("utf-8", "", 0, 1, message)
    elif issubclass(own, (UnicodeTranslateError, BaseExceptionGroup)):
        error = Exception(message)
    else:
        error = own(message)
    setattr(error, FROM_PROGRAM, one_line(type_name, message))
    return error


def _builtin_exception(name: Any) -> type[BaseException] | None:
    found = getattr(builtins, name, None) if type(name) is str else None
    if not isinstance(found, type) or not issubclass(found, BaseException) or issubclass(found, _NEVER_RAISED):
        return None
    return None if found in (BaseException, BaseExceptionGroup) else found


def one_line(type_name: str, message: str) -> str:
    """An exception as a traceback's last line would have it, capped."""
    return f"{type_name}: {message}"[:300] if message else type_name[:300]

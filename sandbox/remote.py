"""The program as the trusted tests see it: proxies whose calls are answered from inside the jail.

A proxy compares equal to itself only, whatever the program's objects claim. Exceptions come back as the builtin class
of the same name, or as a fresh class with the same builtin bases.
"""

from __future__ import annotations

import builtins
from collections import deque
from dataclasses import dataclass
from typing import Any

from mtp_eval.sandbox.codec import BadFrame, NotEncodable, containers, decode, encode, replace_content, to_json
from mtp_eval.sandbox.outcome import Verdict
from mtp_eval.sandbox.session import Ended, Session

FROM_PROGRAM = "__raised_by_the_program__"
"""Attribute on exceptions that came out of the jail, so that the program's own `assert` is not taken for a test's."""
_FIRST_BATCH, _LARGEST_BATCH = 16, 1024
_NEVER_RAISED = (StopIteration, StopAsyncIteration, GeneratorExit, KeyboardInterrupt, SystemExit)
"""These steer the interpreter: a StopIteration out of a call would end the tests' own loops early, and pass."""


MAX_SCRIPT_CALLS, MAX_SCRIPT_CHARS = 200, 64 << 10


class Mispredicted(BaseException):
    """The tests made another call than the script had sent ahead; the program must be run again without it."""


@dataclass(frozen=True, slots=True)
class Script:
    """The calls that a problem's tests make, with their arguments, as a former program saw them.

    Most tests call with the same arguments whatever the answers are. Sent ahead, the program works through them while
    the tests check the first answers, and two switches between processes a call are saved. Every call that the
    tests then really make is compared, to the letter, with the one that was sent.
    """

    calls: tuple[str, ...]
    handles: dict[str, int]


def opening(source: str, wanted: tuple[str, ...], script: Script | None = None) -> bytes:
    """The frame that begins a program's run: its source, the names wanted from it, and calls to make ahead.

    The calls are made only if the names have turned out to be the handles of the script.
    """
    parts = [to_json(source), to_json(wanted)]
    if script is not None:
        parts += [to_json(script.handles), f"[{','.join(script.calls)}]"]
    body = f'["exec",1,{",".join(parts)}]'.encode("ascii")
    return len(body).to_bytes(4, "big") + body


class Link:
    """Encodes arguments for, and decodes answers of, one session."""

    def __init__(self, session: Session, script: Script | None = None) -> None:
        self.session = session
        self._script = script
        self._ahead: deque[str] = deque()
        self._calls: list[str] = []
        self._handles: dict[str, int] = {}
        self._can_be_script = True

    def script(self) -> Script | None:
        """The calls that the tests made, for the next program; None where they cannot be made ahead."""
        if not self._can_be_script or not 2 <= len(self._calls) <= MAX_SCRIPT_CALLS:
            return None
        if sum(map(len, self._calls)) > MAX_SCRIPT_CHARS:
            return None
        return Script(tuple(self._calls), dict(self._handles))

    def load(self, wanted: tuple[str, ...]) -> dict[str, Any]:
        """What the program, once executed, holds under the wanted names, as values or proxies.

        Raises:
            Ended: it does not compile, raised, exited or ran into a limit.
        """
        answer = self.session.answer()
        kind = answer[0]
        if kind == "syntax":
            raise self.session.end(Verdict.SYNTAX_ERROR, _text(answer[2]))
        if kind == "ready" and type(answer[2]) is dict:
            try:
                found = {name: self._name(answer[2][name], name) for name in wanted if name in answer[2]}
            except (BadFrame, TypeError, IndexError, ValueError) as error:
                raise self._nonsense(error) from None
            if self._script is not None and self._script.handles == self._handles:
                self._ahead.extend(self._script.calls)
            return {name: value for name, value in found.items() if value is not _ABSENT}
        raise self.session.end(*self.verdict(answer))

    def _name(self, described: Any, name: str) -> Any:
        kind, detail = described
        if kind == "call" and type(detail) is int:
            self._handles[name] = detail
            return RemoteCallable(self, detail, True, "function")
        if kind == "value":
            return decode(detail, self.resolve)
        if kind == "module":
            return _own_module(name, detail)
        if kind == "missing":
            return _ABSENT
        raise BadFrame("an unknown kind of name")

    def call(self, target: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call something in the jail; arguments that it changed in place are changed here too."""
        packed = [encode(arg, _encode_remote) for arg in args]
        packed_names = {name: encode(arg, _encode_remote) for name, arg in kwargs.items()}
        call = to_json([target, packed, packed_names])
        self._calls.append(call)
        if '["h",' in call or target not in self._handles.values():
            self._can_be_script = False
        if self._ahead:
            if self._ahead.popleft() != call:
                raise self._mispredicted()
            answer = self.session.answer()
        else:
            self._can_be_script = self._can_be_script and len(self._calls) <= MAX_SCRIPT_CALLS
            answer = self.session.request("call", target, packed, packed_names)
        if answer[-1] is not None and answer[0] in ("ok", "raise"):
            self._bring_back(args, answer[-1])
        return self._value(answer)

    def ask(self, name: str, *arguments: Any) -> Any:
        """Any other request whose answer is one value."""
        return self._value(self._request(name, *arguments))

    def next_items(self, target: int, n: int) -> tuple[list[Any], bool]:
        """Up to n further items of an iterator in the jail, and whether it is exhausted."""
        answer = self._request("next", target, n)
        if answer[0] != "ok":
            self._raise(answer)
        try:
            items, done = answer[2]
            return [decode(item, self.resolve) for item in items], done is True
        except (BadFrame, TypeError, ValueError) as error:
            raise self._nonsense(error) from None

    def _request(self, name: str, *arguments: Any) -> list[Any]:
        """A request that no script holds."""
        self._can_be_script = False
        if self._ahead:
            raise self._mispredicted()
        return self.session.request(name, *arguments)

    def _mispredicted(self) -> Mispredicted:
        self.mispredicted = True
        self.session.end(Verdict.INFRASTRUCTURE_ERROR, "the tests did not make the calls that were made ahead")
        return Mispredicted()

    mispredicted = False

    def resolve(self, data: list[Any]) -> Any:
        """Handles and numpy arrays."""
        if data[0] == "h" and len(data) == 5 and type(data[1]) is int:
            kind = {"callable": RemoteCallable, "iterator": RemoteIterator}.get(data[2], Remote)
            return kind(self, data[1], data[3] if type(data[3]) is bool else None, _text(data[4]))
        if data[0] == "n" and len(data) == 4:
            return _numpy_array(data[1], data[2], decode(data[3], self.resolve))
        raise BadFrame(f"an unknown tag {str(data[0])[:20]!r}")

    def _value(self, answer: list[Any]) -> Any:
        if answer[0] != "ok":
            self._raise(answer)
        data = answer[2]
        if type(data) is not list and type(data) is not dict:
            return data
        try:
            return decode(data, self.resolve)
        except BadFrame as error:
            raise self._nonsense(error) from None

    def _raise(self, answer: list[Any]) -> None:
        verdict, error = self.verdict(answer)
        if answer[0] != "raise" or verdict is not Verdict.ERROR:
            raise self.session.end(verdict, error)
        raise _exception(_text(answer[2]), answer[3], _text(answer[4]))

    def verdict(self, answer: list[Any]) -> tuple[Verdict, str]:
        """What an answer other than a value means when nothing handles it."""
        if answer[0] == "exit":
            return Verdict.EXITED_EARLY, f"SystemExit: {_text(answer[2])}"
        if answer[0] != "raise" or len(answer) < 6:
            return Verdict.ERROR, "ProtocolError: the program gave an answer of an unknown kind"
        error = one_line(_text(answer[2]), _text(answer[4]))
        limits = {"memory": Verdict.MEMORY_LIMIT, "output": Verdict.OUTPUT_LIMIT}
        return limits.get(_text(answer[5]), Verdict.ERROR), error

    def _nonsense(self, error: Exception) -> Ended:
        return self.session.end(Verdict.ERROR, f"ProtocolError: the program answered with {error}"[:300])

    def _bring_back(self, args: tuple[Any, ...], changed: Any) -> None:
        """Change the tests' own arguments in place, as the program changed its copies of them."""
        known = containers(args)

        def item(data: Any) -> Any:
            if type(data) is list and len(data) == 2 and data[0] == "@":
                return known[data[1]]
            return decode(data, self.resolve)

        try:
            contents = [[item(data) for data in items] for items in changed]
            for container, items in zip(known, contents, strict=True):
                replace_content(container, items)
        except (BadFrame, TypeError, ValueError, IndexError) as error:
            raise self._nonsense(error) from None


class Remote:
    """An object of the program's that has no encoding. Only the program can look inside."""

    __slots__ = ("_link", "_target", "_truth", "_type_name")

    def __init__(self, link: Link, target: int, truth: bool | None, type_name: str) -> None:
        for name, value in (("_link", link), ("_target", target), ("_truth", truth), ("_type_name", type_name)):
            object.__setattr__(self, name, value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Remote) and other._link is self._link and other._target == self._target

    def __hash__(self) -> int:
        return hash(self._target)

    def __bool__(self) -> bool:
        if self._truth is None:
            raise TypeError(f"the truth of a {self._type_name} cannot be told")
        return self._truth

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return self._link.ask("get", self._target, name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._link.ask("set", self._target, name, encode(value, _encode_remote))

    def __getitem__(self, key: Any) -> Any:
        return self._link.ask("item", self._target, encode(key, _encode_remote))

    def __len__(self) -> int:
        length = self._link.ask("len", self._target)
        return length if type(length) is int else 0

    def __str__(self) -> str:
        text = self._link.ask("str", self._target)
        return text if type(text) is str else ""

    def __repr__(self) -> str:
        return f"<{self._type_name} in the jail>"


class RemoteCallable(Remote):
    """A function or class of the program's."""

    __slots__ = ()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it in the jail."""
        return self._link.call(self._target, args, kwargs)


class RemoteIterator(Remote):
    """A generator or iterator of the program's; items are fetched in growing batches, ahead of need."""

    __slots__ = ("_batch", "_done", "_ready")

    def __init__(self, link: Link, target: int, truth: bool | None, type_name: str) -> None:
        super().__init__(link, target, truth, type_name)
        for name, value in (("_ready", deque()), ("_batch", _FIRST_BATCH), ("_done", False)):
            object.__setattr__(self, name, value)

    def __iter__(self) -> RemoteIterator:
        return self

    def __next__(self) -> Any:
        if not self._ready and not self._done:
            items, done = self._link.next_items(self._target, self._batch)
            self._ready.extend(items)
            object.__setattr__(self, "_done", done or not items)
            object.__setattr__(self, "_batch", min(2 * self._batch, _LARGEST_BATCH))
        if not self._ready:
            raise StopIteration
        return self._ready.popleft()


class _Absent:
    pass


_ABSENT = _Absent()


def one_line(type_name: str, message: str) -> str:
    """An exception as a traceback's last line would have it, capped."""
    return f"{type_name}: {message}"[:300] if message else type_name[:300]


def _text(value: Any) -> str:
    return value[:300] if type(value) is str else str(value)[:300]


def _encode_remote(value: Any, depth: int) -> Any:
    if isinstance(value, Remote):
        return ["h", value._target]
    bases: tuple[Any, ...] = (int, float, complex, str, bytes, tuple, list, dict, set, frozenset)
    for base in bases:
        if isinstance(value, base):
            return encode(base(value), _encode_remote, depth)
    if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
        return encode(value.tolist(), _encode_remote, depth)
    raise NotEncodable(f"the tests pass a value of type {type(value).__name__}, which cannot be sent to the program")


def _own_module(name: str, claimed: Any) -> Any:
    """The harness's own module, where the program imported one under its real name; an alias is left out."""
    import importlib
    import sys

    if claimed != name or name not in sys.stdlib_module_names:
        return _ABSENT
    return importlib.import_module(name)


def _numpy_array(dtype: Any, shape: Any, flat: Any) -> Any:
    try:
        import numpy
    except ImportError:
        raise BadFrame("a numpy array, and numpy is not installed here") from None
    if type(dtype) is not str or type(flat) is not list or len(shape) > 32:
        raise BadFrame("a numpy array that is none")
    if numpy.dtype(dtype).kind not in "biufcUS" or numpy.dtype(dtype).itemsize * len(flat) > 1 << 28:
        raise BadFrame("a numpy array of a type that is not carried")
    return numpy.array(flat, dtype=dtype).reshape([int(n) for n in shape])


def _exception(type_name: str, base_names: Any, message: str) -> BaseException:
    """The exception to raise here for one raised there."""
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

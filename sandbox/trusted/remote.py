"""The link between trusted tests and one program: loads it, makes calls in it, brings back what they changed.

What stands for the program's own objects is in `proxies`, what for its exceptions in `exceptions`.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

from mtp_eval.sandbox.outcome import Verdict
from mtp_eval.sandbox.trusted.exceptions import exception_from, one_line
from mtp_eval.sandbox.trusted.proxies import Remote, RemoteCallable, RemoteIterator, Unsendable, encode_remote
from mtp_eval.sandbox.trusted.session import Ended, Session
from mtp_eval.sandbox.wire.codec import containers, decode, encode, replace_content
from mtp_eval.sandbox.wire.frames import BadFrame, to_json

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
        packed = [self.pack(arg) for arg in args]
        packed_names = {name: self.pack(arg) for name, arg in kwargs.items()}
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

    def pack(self, value: Any) -> Any:
        """An argument of the tests', encoded.

        Raises:
            Unsendable: it is something that only exists on this side; the split is over.
        """
        try:
            return encode(value, encode_remote)
        except Unsendable as error:
            self.unsendable = True
            self.session.end(Verdict.INFRASTRUCTURE_ERROR, str(error))
            raise

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

    mispredicted = unsendable = False

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
        raise exception_from(_text(answer[2]), answer[3], _text(answer[4]))

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


class _Absent:
    pass


_ABSENT = _Absent()


def _text(value: Any) -> str:
    return value[:300] if type(value) is str else str(value)[:300]


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

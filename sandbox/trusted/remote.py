"""The link between trusted tests and one program: loads it, makes calls in it, brings back what they changed.

What stands for the program's own objects is in `proxies`, what for its exceptions in `exceptions`. Whatever an answer
holds, it can make the tests fail or fill them with plain values, and nothing else: an answer that cannot be read, is
too large to be read or breaks the reader is the program's error.
"""

from __future__ import annotations

import importlib
import sys
from collections import deque
from typing import Any, NoReturn

from mtp_eval.sandbox.outcome import Verdict
from mtp_eval.sandbox.trusted.exceptions import exception_from, one_line
from mtp_eval.sandbox.trusted.proxies import Remote, RemoteCallable, RemoteIterator, Unsendable, encode_argument
from mtp_eval.sandbox.trusted.session import Session
from mtp_eval.sandbox.wire.arrays import read_array
from mtp_eval.sandbox.wire.codec import decode, encode
from mtp_eval.sandbox.wire.containers import containers, mark_shared, replace_content
from mtp_eval.sandbox.wire.frames import BadFrame, NestedTooDeeply, NotEncodable, TooLarge, to_json

Calls = tuple[tuple[str, str], ...]
"""Names that are called, and the arguments as `ahead.arguments_text` has them."""
Imports = tuple[tuple[str, str, str | None], ...]
"""A name, the module behind it, and what of the module it is; None is all of it, an empty text its outermost package."""
_PROXIES: dict[Any, type[Remote]] = {"callable": RemoteCallable, "iterator": RemoteIterator}


class OutOfOrder(BaseException):
    """The tests asked for something else than what was sent ahead: the program is to be run again without."""


def opening(source: str, wanted: tuple[str, ...], ahead: Calls = (), imports: Imports = ()) -> bytes:
    """The frame that begins a program's run: its source, the names wanted from it, calls to make ahead, and imports of
    the tests' that it sees."""
    calls = ",".join(f"[{to_json(name)},{arguments[1:]}" for name, arguments in ahead)
    body = f'["exec",1,{to_json(source)},{to_json(wanted)},[{calls}],{to_json(imports)}]'.encode("ascii")
    return len(body).to_bytes(4, "big") + body


class Link:
    """Encodes arguments for, and decodes answers of, one session."""

    def __init__(self, session: Session, ahead: Calls = ()) -> None:
        self.session = session
        self._ahead = deque(ahead)
        self._handles: dict[str, int] = {}
        self.exact = True
        """Whether everything that came was a value of exactly the type that it is here."""
        self._holds_values = False

    def load(self, wanted: tuple[str, ...]) -> dict[str, Any]:
        """Execute the program; returns what it holds under the wanted names, as values or proxies.

        Raises:
            ProgramEnded: it does not compile, raised, exited or ran into a limit.
        """
        answer = self.session.answer()
        if answer[0] == "syntax":
            self.session.end(Verdict.SYNTAX_ERROR, _text(answer[2]))
        if answer[0] != "ready" or type(answer[2]) is not dict:
            self.session.end(*self.verdict(answer))
        names = answer[2]
        found = {name: self._guarded(self._name, names[name], name) for name in wanted if name in names}
        return {name: value for name, value in found.items() if value is not _ABSENT}

    def _name(self, described: Any, name: str) -> Any:
        kind, detail = described
        if kind == "call" and type(detail) is int:
            self._handles[name] = detail
            return RemoteCallable(self, detail, True, "function")
        if kind == "value":
            self._holds_values = True
            return decode(detail, self._resolve)
        if kind == "module":
            return _own_module(name, detail)
        if kind == "missing":
            return _ABSENT
        raise BadFrame("an unknown kind of name")

    @property
    def is_untouched(self) -> bool:
        """Whether nothing of the program's but functions came here, and nobody has called one."""
        return self.session.n_answers == 1 and not self._holds_values

    def call(self, target: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call something in the jail; arguments that it changed in place are changed here too."""
        arguments = (*args, *kwargs.values())
        packed = [self.pack(argument) for argument in mark_shared(arguments)]
        answer = self._answer_ahead(target, packed, list(kwargs)) if self._ahead else None
        if answer is None:
            answer = self.session.request("call", target, packed, list(kwargs))
        if answer[-1] is not None and (answer[0], len(answer)) in (("ok", 4), ("raise", 7)):
            self._guarded(self._bring_back, arguments, answer[-1])
        return self._value(answer)

    def _answer_ahead(self, target: int, packed: list[Any], names: list[str]) -> list[Any]:
        """The answer to a call that has been sent, which must be this one."""
        name, arguments = self._ahead[0]
        if self._handles.get(name) != target or to_json([packed, names]) != arguments:
            self._out_of_order()
        self._ahead.popleft()
        return self.session.answer()

    def _out_of_order(self) -> NoReturn:
        self.session.mark(Verdict.ERROR, "ProtocolError: the tests did something else than what was sent ahead")
        self.is_out_of_order = True
        raise OutOfOrder

    is_out_of_order = False

    def _request(self, name: str, *arguments: Any) -> list[Any]:
        """A request that is no call, and so was not sent ahead."""
        if self._ahead:
            self._out_of_order()
        return self.session.request(name, *arguments)

    def pack(self, value: Any) -> Any:
        """A value of the tests', encoded. What cannot be sent ends the program's run: it took the tests there.

        Raises:
            ProgramEnded: it only exists on this side, or is too large to be sent.
        """
        try:
            return encode(value, encode_argument)
        except Unsendable as error:
            self.session.end(Verdict.ERROR, f"{error}, which only the program's own interpreter could use")
        except (NestedTooDeeply, TooLarge, NotEncodable) as error:
            self.session.end(Verdict.ERROR, f"{type(error).__name__}: {error}")

    def ask(self, name: str, *arguments: Any) -> Any:
        """Any other request whose answer is one value."""
        return self._value(self._request(name, *arguments))

    def next_items(self, target: int, n: int) -> tuple[list[Any], bool]:
        """Up to n further items of an iterator in the jail, and whether it is exhausted."""
        answer = self._request("next", target, n)
        if answer[0] != "ok":
            self._raise(answer)
        items: list[Any] = self._guarded(self._items, answer[2])
        return items, answer[2][1] is True

    def _items(self, data: Any) -> list[Any]:
        items, _ = data
        return [decode(item, self._resolve) for item in items]

    def _resolve(self, data: list[Any]) -> Any:
        """Handles, numpy arrays, and what stands for a value of another type."""
        if data[0] == "~" and len(data) == 2:
            self.exact = False
            return decode(data[1], self._resolve)
        if data[0] == "h" and len(data) == 5 and type(data[1]) is int:
            self.exact = False
            kind = _PROXIES.get(data[2], Remote)
            return kind(self, data[1], data[3] if type(data[3]) is bool else None, _text(data[4]))
        if data[0] in ("n", "ns"):
            return read_array(data, lambda item: decode(item, self._resolve))
        raise BadFrame(f"an unknown tag {str(data[0])[:20]!r}")

    def _value(self, answer: list[Any]) -> Any:
        if answer[0] != "ok":
            self._raise(answer)
        data = answer[2]
        if type(data) is not list and type(data) is not dict:
            return data
        return self._guarded(decode, data, self._resolve)

    def _guarded(self, read: Any, *arguments: Any) -> Any:
        """`read(*arguments)`, where whatever goes wrong with data of the program's is the program's fault."""
        try:
            return read(*arguments)
        except MemoryError:
            self.session.end(Verdict.MEMORY_LIMIT, "MemoryError: an answer that takes more memory than the limit")
        except Exception as error:
            said = f"{type(error).__name__}: {error}" if not isinstance(error, BadFrame) else str(error)
            self.session.end(Verdict.ERROR, f"ProtocolError: the program answered with {said}"[:300])

    def _raise(self, answer: list[Any]) -> NoReturn:
        verdict, error = self.verdict(answer)
        if answer[0] != "raise" or verdict is not Verdict.ERROR or len(answer) < 6:
            self.session.end(verdict, error)
        raise self._guarded(exception_from, _text(answer[2]), answer[3], _text(answer[4]))

    def verdict(self, answer: list[Any]) -> tuple[Verdict, str]:
        """The verdict for an answer other than a value, when nothing handles it."""
        if answer[0] == "exit":
            return Verdict.EXITED_EARLY, f"SystemExit: {_text(answer[2])}"
        if answer[0] != "raise" or len(answer) < 6:
            return Verdict.ERROR, "ProtocolError: the program gave an answer of an unknown kind"
        error = one_line(_text(answer[2]), _text(answer[4]))
        limits = {"memory": Verdict.MEMORY_LIMIT, "output": Verdict.OUTPUT_LIMIT}
        return limits.get(_text(answer[5]), Verdict.ERROR), error

    def _bring_back(self, arguments: tuple[Any, ...], changed: Any) -> None:
        """Change the tests' own arguments in place, as the program changed its copies of them."""
        known = containers(arguments)

        def item(data: Any) -> Any:
            if type(data) is list and len(data) == 2 and data[0] == "@":
                return known[data[1]]
            return decode(data, self._resolve)

        contents = [[item(data) for data in items] for items in changed]
        for container, items in zip(known, contents, strict=True):
            replace_content(container, items)


class _Absent:
    pass


_ABSENT = _Absent()


def _text(value: Any) -> str:
    text = value if type(value) is str else str(value) if type(value) is int and abs(value) < 1 << 64 else ""
    return text[:300].encode("utf-8", "backslashreplace").decode()


def _own_module(name: str, claimed: Any) -> Any:
    """The harness's own module, where the program imported one under its real name; an alias is left out."""
    if claimed != name or name not in sys.stdlib_module_names:
        return _ABSENT
    return importlib.import_module(name)

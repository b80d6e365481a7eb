"""The program's own process: execute the source, then answer calls until killed.

Everything here shares an interpreter with hostile code and is trusted for nothing: the other side believes no more
than that some process sent these bytes. Functions are bound early only so that a program which patches a module by
accident does not break its own answers.

Requests:  exec (with calls to make ahead), call, next, iter, get, set, item, len, str: from outside
           tests (in this interpreter), main (standard input)
Answers:   ready, ok, raise, exit, syntax, done
"""

from __future__ import annotations

import builtins
import marshal
import os
import sys
import types
from binascii import a2b_base64
from collections.abc import Callable
from typing import Any

from mtp_eval.sandbox.jailed.describe import (
    as_base,
    as_plain,
    exit_code,
    kind_of,
    line_in_tests,
    message_of,
    raised,
    truth_of,
)
from mtp_eval.sandbox.jailed.script import ModulesBeside, import_for, main_module, names_in, run_script
from mtp_eval.sandbox.wire.arrays import is_array, read_array, write_array
from mtp_eval.sandbox.wire.codec import decode, encode
from mtp_eval.sandbox.wire.containers import containers, content
from mtp_eval.sandbox.wire.frames import BadFrame, NotEncodable, TooLarge, from_bytes, to_bytes
from mtp_eval.sandbox.wire.rare import RARE_MODULES, RARE_TAGS, register_rare_types

_read, _write, _exit = os.read, os.write, os._exit
_BASES = (int, float, complex, str, bytes, bytearray, tuple, list, dict, set, frozenset)


def serve(fd: int, answerer: Answerer, request: list[Any] | None) -> None:
    """Handle a first request, where it is at hand, and all that come on `fd` until the other side closes it.

    Never returns.
    """
    try:
        sys.meta_path.append(answerer.beside)
        if request is not None:
            handle(fd, answerer, request)
        while True:
            request = _receive(fd)
            if request is None:
                _exit(0)
            handle(fd, answerer, request)
    except BaseException:
        _exit(70)


def handle(fd: int, answerer: Answerer, request: list[Any]) -> None:
    """Answer one request. An `exec` may bring calls to make as long as the names that they call are there."""
    answer = answerer.answer([*request[:4], *request[5:]] if request[0] == "exec" else request)
    _send(fd, answer)
    if request[0] != "exec" or answer[0] != "ready":
        return
    number, names = request[1], answer[2]
    for name, packed, keywords in request[4]:
        if name not in names or names[name][0] != "call":
            return
        number += 1
        _send(fd, answerer.answer(["call", number, names[name][1], packed, keywords]))


def _receive(fd: int) -> list[Any] | None:
    """The next request, or None at the end. A request comes only after the last one was answered."""
    head = _read(fd, 4)  # in most runs nothing comes, and the child ends here: no more memory than that is touched
    while 0 < len(head) < 4:
        head += _read(fd, 4 - len(head))
    if not head:
        return None
    left, parts = int.from_bytes(head, "big"), bytearray()
    while left:
        chunk = _read(fd, min(left, 1 << 20))
        if not chunk:
            return None
        parts += chunk
        left -= len(chunk)
    return from_bytes(parts)


def _send(fd: int, frame: list[Any]) -> None:
    try:
        data = to_bytes(frame)
    except (TooLarge, MemoryError) as error:
        data = to_bytes([*raised(frame[1], error), None])
    while data:
        data = data[_write(fd, data) :]


class Answerer:
    """Holds the program's module and answers requests about it."""

    def __init__(self) -> None:
        self.module = main_module()
        self.beside = ModulesBeside(os.getcwd())
        self.knows_rare_types = False
        self.shared: dict[int, Any] = {}
        self.kept: list[Any] = []
        self.kept_ids: dict[int, int] = {}
        self.handlers: dict[str, Callable[..., list[Any]]] = {
            "exec": self._exec,
            "call": self._call,
            "next": self._next,
            "get": lambda seq, target, name: ["ok", seq, self._encode(getattr(self._target(target), name)), None],
            "set": self._set,
            "item": lambda seq, target, key: ["ok", seq, self._encode(self._target(target)[self._decode(key)]), None],
            "iter": lambda seq, target: ["ok", seq, self._encode(iter(self._target(target))), None],
            "len": lambda seq, target: ["ok", seq, len(self._target(target)), None],
            "str": lambda seq, target: ["ok", seq, self._encode(str(self._target(target))), None],
            "tests": self._tests,
            "main": run_script,
        }

    def answer(self, request: list[Any]) -> list[Any]:
        """The answer to one request; whatever the program raises becomes one, too."""
        seq = request[1]
        try:
            return self.handlers[request[0]](*request[1:])
        except SystemExit as error:
            return ["exit", seq, exit_code(error)]
        except BaseException as error:
            return raised(seq, error)

    # --- requests ---

    def _exec(self, seq: int, source: str, wanted: list[str], imports: list[list[str]]) -> list[Any]:
        try:
            code = compile(source, "<program>", "exec", dont_inherit=True)
        except (SyntaxError, ValueError) as error:  # ValueError: null bytes, lone surrogates
            return ["syntax", seq, message_of(error)]
        found = self.module.__dict__
        exec(code, found)
        if imports:
            import_for(found, imports, names_in(code))
        return ["ready", seq, {name: self._describe(found[name]) for name in wanted if name in found}]

    def _describe(self, value: Any) -> list[Any]:
        if isinstance(value, types.ModuleType):
            return ["module", value.__name__]
        if callable(value):
            return ["call", self._keep(value)]
        try:
            return ["value", self._encode(value)]
        except NotEncodable as error:
            return ["missing", str(error)]

    def _call(self, seq: int, target: int, packed: list[Any], names: list[str]) -> list[Any]:
        """Call a kept object; the last len(names) arguments are keyword arguments."""
        args, before = [], None
        self.shared.clear()
        for arg in packed:
            if type(arg) is list:
                arg, before = self._decode(arg), True
            args.append(arg)
        changeable = containers(args) if before else before
        n_positional = len(args) - len(names)
        kwargs = dict(zip(names, args[n_positional:], strict=True)) if names else {}
        try:
            value = self.kept[target](*args[:n_positional], **kwargs)
            answer = ["ok", seq, encode(value, self._encode_other), None]
        except SystemExit:
            raise
        except BaseException as error:
            answer = [*raised(seq, error), None]
        if changeable:
            answer[-1] = self._changed(packed, args, changeable)
        return answer

    def _changed(self, packed: list[Any], args: list[Any], before: list[Any]) -> list[Any] | None:
        """What each container among the arguments holds now, where any of it changed; ["@", n] is the n-th of them."""
        try:
            if [self._encode(arg) for arg in args] == packed:
                return None
        except NotEncodable:
            pass
        known = {id(container): number for number, container in enumerate(before)}

        def item(value: Any) -> Any:
            return ["@", known[id(value)]] if id(value) in known else self._encode(value)

        try:
            return [[self._encode(held)] if is_array(held) else content(held, item) for held in before]
        except (NotEncodable, MemoryError):
            return None

    def _next(self, seq: int, target: int, n: int) -> list[Any]:
        iterator, items = self.kept[target], []
        try:
            for _ in range(n):
                items.append(self._encode(next(iterator)))
        except StopIteration:
            return ["ok", seq, [items, True], None]
        except Exception:
            if not items:
                raise
            # What came before the error is delivered first; a finished generator would not raise it again.
            self.kept[target] = _Raiser(sys.exc_info()[1])
        return ["ok", seq, [items, False], None]

    def _set(self, seq: int, target: int, name: str, value: Any) -> list[Any]:
        setattr(self._target(target), name, self._decode(value))
        return ["ok", seq, None, None]

    def _tests(self, seq: int, packed: str, wanted: list[str] | None, token: str) -> list[Any]:
        """Run compiled tests in this interpreter: after the program in its own namespace, or in one of their own that
        holds the wanted names of the program's.
        """
        found = self.module.__dict__
        namespace = found
        if wanted is not None:
            namespace = {
                "__name__": "__main__",
                "__builtins__": builtins,
                **{name: found[name] for name in wanted if name in found},
            }
        try:
            for code in marshal.loads(a2b_base64(packed)):
                exec(code, namespace)
        except SystemExit:
            raise
        except BaseException as error:
            return [*raised(seq, error), line_in_tests(error)]
        return ["ok", seq, token, None]

    # --- values ---

    def _decode(self, data: Any) -> Any:
        return decode(data, self._resolve)

    def _resolve(self, data: list[Any]) -> Any:
        if data[0] == "h":
            return self.kept[data[1]]
        if data[0] in ("n", "ns"):
            return read_array(data, self._decode)
        if data[0] == "=":
            self.shared[data[1]] = value = self._decode(data[2])
            return value
        if data[0] == "@":
            return self.shared[data[1]]
        if data[0] in RARE_TAGS and not self.knows_rare_types:
            self._learn_rare_types()
            return self._decode(data)
        raise BadFrame(f"unknown tag {data[0]!r}")

    def _target(self, target: int) -> Any:
        return self.kept[target]

    def _encode(self, value: Any, depth: int = 0) -> Any:
        return encode(value, self._encode_other, depth)

    def _encode_other(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if kind.__module__ in RARE_MODULES and not self.knows_rare_types:
            self._learn_rare_types()
            return self._encode(value, depth)
        if kind.__module__ == "numpy" and hasattr(value, "dtype"):
            written = write_array(value, lambda item: self._encode(item, depth))
            if written is not None:
                return written
        for base in _BASES:
            if isinstance(value, base):
                return ["~", self._encode(as_base(base, value), depth)]
        plain = as_plain(value)
        if plain is not value:
            return ["~", self._encode(plain, depth)]
        return ["h", self._keep(value), kind_of(value), truth_of(value), kind.__name__[:100]]

    def _learn_rare_types(self) -> None:
        self.knows_rare_types = True
        register_rare_types()

    def _keep(self, value: Any) -> int:
        known = self.kept_ids.get(id(value))
        if known is None:
            known = self.kept_ids[id(value)] = len(self.kept)
            self.kept.append(value)
        return known


class _Raiser:
    def __init__(self, error: BaseException | None) -> None:
        self.error = error

    def __next__(self) -> Any:
        raise self.error or StopIteration

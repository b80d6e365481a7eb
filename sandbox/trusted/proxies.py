"""Proxies that stand for the program's own objects in the trusted tests; every use of one is a request to the program.

A proxy compares equal to itself only, whatever the program's objects claim: an operator that showed the program the
other side of a comparison would let it answer as the test wishes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from mtp_eval.sandbox.wire.arrays import write_array
from mtp_eval.sandbox.wire.codec import encode, encode_marked
from mtp_eval.sandbox.wire.containers import Marked
from mtp_eval.sandbox.wire.frames import NotEncodable

_N_SINGLE, _LARGEST_BATCH = 64, 1024
"""Items that are asked for one by one: the next of many a generator takes for ever. A longer one is fetched in batches."""


class Requests(Protocol):
    """The requests that a proxy makes of the link to its program."""

    def ask(self, name: str, *arguments: Any) -> Any:
        """A request whose answer is one value."""

    def call(self, target: int, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call something of the program's."""

    def pack(self, value: Any) -> Any:
        """A value of the tests', encoded."""

    def next_items(self, target: int, n: int) -> tuple[list[Any], bool]:
        """Further items of an iterator of the program's, and whether it is exhausted."""


class Remote:
    """An object of the program's that has no encoding. Only the program can look inside."""

    __slots__ = ("_link", "_target", "_truth", "_type_name")

    def __init__(self, link: Requests, target: int, truth: bool | None, type_name: str) -> None:
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
        self._link.ask("set", self._target, name, self._link.pack(value))

    def __getitem__(self, key: Any) -> Any:
        return self._link.ask("item", self._target, self._link.pack(key))

    def __iter__(self) -> Iterator[Any]:
        items: Iterable[Any] = self._link.ask("iter", self._target)
        return iter(items)

    def __len__(self) -> int:
        length = self._link.ask("len", self._target)
        if type(length) is not int or length < 0:
            raise TypeError(f"the length of a {self._type_name} is no number")
        return length

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
    """A generator or iterator of the program's; fetched one by one at first, then in growing batches, ahead of need."""

    __slots__ = ("_done", "_fetched", "_n_asked")

    def __init__(self, link: Requests, target: int, truth: bool | None, type_name: str) -> None:
        super().__init__(link, target, truth, type_name)
        for name, value in (("_fetched", deque()), ("_n_asked", 0), ("_done", False)):
            object.__setattr__(self, name, value)

    def __iter__(self) -> RemoteIterator:
        return self

    def __next__(self) -> Any:
        if not self._fetched and not self._done:
            n = 1 if self._n_asked < _N_SINGLE else min(self._n_asked, _LARGEST_BATCH)
            items, done = self._link.next_items(self._target, n)
            self._fetched.extend(items)
            object.__setattr__(self, "_done", done or not items)
            object.__setattr__(self, "_n_asked", self._n_asked + n)
        if not self._fetched:
            raise StopIteration
        return self._fetched.popleft()


_BASES: tuple[Any, ...] = (int, float, complex, str, bytes, tuple, list, dict, set, frozenset)


def encode_argument(value: Any, depth: int) -> Any:
    """The encoding of an argument that is no plain value: a proxy as its handle, a subclass as its builtin.

    Raises:
        Unsendable: it is a function or an object of the tests' own.
    """
    if isinstance(value, Remote):
        return ["h", value._target]
    if type(value) is Marked:
        return encode_marked(value, encode_argument, depth)
    if type(value).__module__ == "numpy" and hasattr(value, "dtype"):
        written = write_array(value, lambda item: encode(item, encode_argument, depth))
        if written is not None:
            return written
    for base in _BASES:
        if isinstance(value, base):
            return encode(base(value), encode_argument, depth)
    if isinstance(value, BaseException):
        raise NotEncodable(f"the tests pass a {type(value).__name__}, which cannot be sent to the program")
    raise Unsendable(f"the tests pass a value of type {type(value).__name__}")


class Unsendable(BaseException):
    """The tests pass something of their own (a function, an object) to the program; no value of the program's is one.

    No `except Exception` of the tests catches it.
    """

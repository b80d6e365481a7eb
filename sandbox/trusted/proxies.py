"""What stands in the trusted tests for the program's own objects: proxies whose every use is a request.

A proxy compares equal to itself only, whatever the program's objects claim.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from mtp_eval.sandbox.wire.codec import encode
from mtp_eval.sandbox.wire.frames import NotEncodable

if TYPE_CHECKING:
    from mtp_eval.sandbox.trusted.remote import Link

_FIRST_BATCH, _LARGEST_BATCH = 16, 1024


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
        self._link.ask("set", self._target, name, self._link.pack(value))

    def __getitem__(self, key: Any) -> Any:
        return self._link.ask("item", self._target, self._link.pack(key))

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


def encode_remote(value: Any, depth: int) -> Any:
    """How an argument that is no plain value goes to the program: a proxy as its handle, a subclass as its builtin."""
    if isinstance(value, Remote):
        return ["h", value._target]
    bases: tuple[Any, ...] = (int, float, complex, str, bytes, tuple, list, dict, set, frozenset)
    for base in bases:
        if isinstance(value, base):
            return encode(base(value), encode_remote, depth)
    if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
        return encode(value.tolist(), encode_remote, depth)
    if isinstance(value, BaseException):
        raise NotEncodable(f"the tests pass a {type(value).__name__}, which cannot be sent to the program")
    raise Unsendable(f"the tests pass a value of type {type(value).__name__}")


class Unsendable(BaseException):
    """The tests pass something of their own (a function, an object) to the program; no value of the program's is one.

    No `except Exception` of the tests catches it.
    """

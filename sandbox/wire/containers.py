"""The containers among a call's arguments: which can be changed in place, what they hold, which of them are one object.

Both sides go through arguments in the same order, so that a container can be named by its number. Sets are changed in
place but hold nothing that could be; objects of the program's own are not looked into.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from mtp_eval.sandbox.wire.arrays import is_array
from mtp_eval.sandbox.wire.frames import BadFrame

DICTS: set[type] = {dict}
SEQUENCES: set[type] = {list, tuple}
CHANGEABLE: set[type] = {list, dict, set, bytearray}
"""`codec.register_collections` adds those of `collections`."""


def containers(values: Iterable[Any]) -> list[Any]:
    """The containers inside `values` that can be changed in place, in an order that both sides share."""
    found: list[Any] = []
    for value in values:
        kind = type(value)
        if kind in CHANGEABLE or is_array(value):
            found.append(value)
        if kind in DICTS:
            found += containers(value.values())
        elif kind in SEQUENCES:
            found += containers(value)
    return found


def content(container: Any, encode_item: Callable[[Any], Any]) -> list[Any]:
    """The content of a container, flat, each item encoded by `encode_item`; an array is to be encoded whole."""
    if type(container) in DICTS:
        return [encode_item(item) for pair in dict.items(container) for item in pair]
    return [encode_item(item) for item in container]


def replace_content(container: Any, items: list[Any]) -> None:
    """Make a container hold what `content` said, in place.

    Raises:
        BadFrame: the items do not fit the container.
    """
    if is_array(container):
        (array,) = items
        if not is_array(array) or array.shape != container.shape or array.dtype != container.dtype:
            raise BadFrame("an array of another shape or type than the one that was sent")
        container[...] = array
    elif type(container) in DICTS:
        container.clear()
        dict.update(container, dict(zip(items[::2], items[1::2], strict=True)))
    elif type(container) is set:
        container.clear()
        container.update(items)
    elif type(container) is list:
        container[:] = items
    else:
        container.clear()
        container.extend(items)


class Marked:
    """A container that occurs more than once among the arguments of a call: the n-th such, with its content once."""

    __slots__ = ("number", "value")

    def __init__(self, number: int, value: Any) -> None:
        self.number, self.value = number, value


def mark_shared(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments of a call, with containers that occur twice among them marked; most calls have none."""
    try:
        found = containers(arguments)
    except RecursionError:  # a cycle, which encoding refuses
        return arguments
    ids = [id(container) for container in found]
    if len(set(ids)) == len(ids):
        return arguments
    shared = {key for key in ids if ids.count(key) > 1} if len(ids) < 1000 else set(ids)
    numbers: dict[int, int] = {}
    return tuple(_marked(argument, shared, numbers) for argument in arguments)


def _marked(value: Any, shared: set[int], numbers: dict[int, int]) -> Any:
    """A copy in which each shared container is a `Marked`; only lists, tuples and dicts are looked into."""
    kind, key = type(value), id(value)
    if key in numbers:
        return Marked(numbers[key], None)
    if key in shared:
        numbers[key] = len(numbers)
    number = numbers.get(key)
    if kind is list or kind is tuple:
        value = kind(_marked(item, shared, numbers) for item in value)
    elif kind is dict:
        value = {name: _marked(item, shared, numbers) for name, item in value.items()}
    return value if number is None else Marked(number, value)

"""Values as tagged JSON: how arguments and results pass between trusted tests and an untrusted program.

Both sides import this file. Nothing of the other side is executed on decoding: only exact builtin values, a few exact
standard-library types and opaque handles can come out, whatever the bytes are. The policy for values that are none of
these (subclasses, iterators, numpy, instances) is written in docs/sandbox.md.

    None, bool, float, small int, clean str    themselves
    everything else                            [tag, ...]; the tags are the keys of `READERS`

Object identity is kept between the arguments of one call (`mark_shared`) and nowhere else: two references to one list
in an answer arrive as two lists. Cycles are refused by the depth limit.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterable
from typing import Any

from mtp_eval.sandbox.wire.containers import CHANGEABLE, DICTS, SEQUENCES, Marked
from mtp_eval.sandbox.wire.frames import MAX_FRAME_BYTES, BadFrame, NestedTooDeeply, NotEncodable, TooLarge

MAX_DEPTH = 200
"""Nesting beyond this does not encode: the JSON reader and both recursions stay far from the interpreter's limit."""
_BIG = 1 << 63


Keep = Callable[[Any, int], Any]
"""What the encoder does with a value it does not know, at a depth: an encoding for it, or None to refuse it."""


def encode(value: Any, keep: Keep, depth: int = 0) -> Any:
    """A JSON-able form of `value`.

    Raises:
        NotEncodable: nested too deeply, or a type that neither this file nor `keep` knows.
    """
    kind = type(value)
    if kind is int:
        return value if -_BIG < value < _BIG else ["i", hex(value)]
    if kind is str:
        if len(value) > MAX_FRAME_BYTES:
            raise TooLarge(f"text of {len(value)} characters")
        return value if value.isascii() or _is_clean(value) else ["s", value.encode("utf-8", "surrogatepass").hex()]
    if kind is float or kind is bool or value is None:
        return value
    if depth > MAX_DEPTH:
        raise NestedTooDeeply(f"a value nested more than {MAX_DEPTH} levels deep")
    writer = WRITERS.get(kind)
    if writer is not None:
        return writer(value, keep, depth + 1)
    kept = keep(value, depth + 1)
    if kept is None:
        raise NotEncodable(f"a value of type {kind.__name__}")
    return kept


def _is_clean(text: str) -> bool:
    """No lone surrogates: JSON would join a pair of them into one character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def write_items(tag: str, values: Iterable[Any], keep: Keep, depth: int) -> list[Any]:
    """A tag and every value encoded.

    Raises:
        TooLarge: more items than a frame holds.
    """
    values = list(values)
    if 2 * len(values) > MAX_FRAME_BYTES:
        raise TooLarge(f"{len(values)} items")
    kinds = set(map(type, values))
    if kinds <= _SCALARS or (kinds == {int} and min(values) > -_BIG and max(values) < _BIG):
        return [tag, *values]
    return [tag, *[encode(value, keep, depth) for value in values]]


def _pairs(tag: str, value: dict[Any, Any], keep: Keep, depth: int) -> list[Any]:
    flat = [item for pair in dict.items(value) for item in pair]
    return write_items(tag, flat, keep, depth)


def _builtin(value: Any, keep: Keep, depth: int) -> Any:
    """The pure builtins (`int`, `len`) go by name; other classes and functions are objects like any other."""
    name = getattr(value, "__name__", "")
    if name in PURE_BUILTINS and getattr(builtins, name) is value:
        return ["builtin", name]
    kept = keep(value, depth)
    if kept is None:
        raise NotEncodable(f"a value of type {type(value).__name__}")
    return kept


def _read_builtin(items: list[Any]) -> Any:
    (name,) = exactly(str, items, 1)
    if name not in PURE_BUILTINS:
        raise BadFrame("a builtin that is not carried")
    return getattr(builtins, name)


PURE_BUILTINS = frozenset(
    {
        "bool", "int", "float", "complex", "str", "bytes", "bytearray", "list", "tuple", "dict", "set", "frozenset",
        "range", "object", "type", "abs", "all", "any", "bin", "chr", "divmod", "hash", "hex", "len", "max", "min",
        "oct", "ord", "pow", "repr", "round", "sorted", "sum",
    }
)  # fmt: skip
_SCALARS = {float, bool, type(None)}
WRITERS: dict[type, Callable[[Any, Keep, int], list[Any]]] = {
    list: lambda v, keep, depth: write_items("l", v, keep, depth),
    tuple: lambda v, keep, depth: write_items("t", v, keep, depth),
    set: lambda v, keep, depth: write_items("e", v, keep, depth),
    frozenset: lambda v, keep, depth: write_items("f", v, keep, depth),
    dict: lambda v, keep, depth: _pairs("d", v, keep, depth),
    bytes: lambda v, keep, depth: ["b", v.hex()],
    bytearray: lambda v, keep, depth: ["B", v.hex()],
    complex: lambda v, keep, depth: ["c", v.real, v.imag],
    range: lambda v, keep, depth: ["r", *[encode(n, keep, depth) for n in (v.start, v.stop, v.step)]],
    slice: lambda v, keep, depth: write_items("sl", (v.start, v.stop, v.step), keep, depth),
    type(Ellipsis): lambda v, keep, depth: ["..."],
    type: lambda v, keep, depth: _builtin(v, keep, depth),
    type(len): lambda v, keep, depth: _builtin(v, keep, depth),
    type({}.keys()): lambda v, keep, depth: write_items("dk", v, keep, depth),
    type({}.values()): lambda v, keep, depth: write_items("dv", v, keep, depth),
    type({}.items()): lambda v, keep, depth: write_items("di", [x for pair in v for x in pair], keep, depth),
}


def register_collections() -> None:
    """Teach both directions the containers of `collections`; called once a process, before any program runs."""
    from collections import Counter, OrderedDict, defaultdict, deque

    WRITERS.update(
        {
            Counter: lambda v, keep, depth: _pairs("Counter", v, keep, depth),
            OrderedDict: lambda v, keep, depth: _pairs("OrderedDict", v, keep, depth),
            defaultdict: lambda v, keep, depth: [
                "defaultdict",
                encode(v.default_factory, keep, depth),
                _pairs("d", v, keep, depth),
            ],
            deque: lambda v, keep, depth: ["deque", v.maxlen, *write_items("deque", v, keep, depth)[1:]],
        }
    )
    DICTS.update((Counter, OrderedDict, defaultdict))
    SEQUENCES.add(deque)
    CHANGEABLE.update((Counter, OrderedDict, defaultdict, deque))
    READERS.update(
        {
            "Counter": lambda v: Counter(_dict(v)),
            "OrderedDict": lambda v: OrderedDict(_dict(v)),
            "defaultdict": lambda v: defaultdict(v[0] if callable(v[0]) else None, *exactly(dict, v[1:], 1)),
            "deque": lambda v: deque(v[1:], v[0]),
        }
    )


Resolve = Callable[[list[Any]], Any]
"""What a decoder makes of the tags it does not know (handles): a value, or BadFrame."""


def decode(data: Any, resolve: Resolve) -> Any:
    """The value that parsed JSON stands for.

    Raises:
        BadFrame: no encoding that this file or `resolve` knows.
    """
    try:
        return _decode(data, resolve)
    except BadFrame:
        raise
    except MemoryError:
        raise
    except Exception as error:  # whatever the bytes do to a reader is the sender's fault
        raise BadFrame(f"{type(error).__name__}: {error}"[:200]) from None


def _decode(data: Any, resolve: Resolve) -> Any:
    if type(data) is not list:
        if type(data) is dict:
            raise BadFrame("a JSON object")
        return data
    tag = data[0]
    reader = READERS.get(tag)
    if reader is None:
        return resolve(data)
    items = data[1:]
    kinds = set(map(type, items))
    if list in kinds or dict in kinds:
        items = [_decode(item, resolve) for item in items]
    return reader(items)


def _in_order(items: list[Any], made: Any, copy: Callable[[Any], Any]) -> Any:
    """A set that iterates in the order of `items` where a table of another size does so.

    Items added one by one leave a larger table than a literal or a copy has, and with small integers that shows:
    `tuple({12, 13, 14, 15, 16})` begins with 16.
    """
    if list(made) == items:
        return made
    copied = copy(made)
    return copied if list(copied) == items else made


def exactly(kind: type, items: list[Any], n: int) -> list[Any]:
    """The items, where they are n of one exact type.

    Raises:
        BadFrame: they are not.
    """
    if len(items) != n or any(type(item) is not kind for item in items):
        raise BadFrame(f"expected {n} of {kind.__name__}")
    return items


def _dict(items: list[Any]) -> dict[Any, Any]:
    return dict(zip(items[::2], items[1::2], strict=True))


READERS: dict[Any, Callable[[list[Any]], Any]] = {
    "i": lambda v: int(exactly(str, v, 1)[0], 16),
    "s": lambda v: bytes.fromhex(exactly(str, v, 1)[0]).decode("utf-8", "surrogatepass"),
    "l": lambda v: v,
    "t": tuple,
    "e": lambda v: _in_order(v, set(v), set),
    "f": lambda v: _in_order(v, frozenset(v), lambda made: frozenset(set(made))),
    "d": _dict,
    "b": lambda v: bytes.fromhex(exactly(str, v, 1)[0]),
    "B": lambda v: bytearray.fromhex(exactly(str, v, 1)[0]),
    "c": lambda v: complex(*exactly(float, v, 2)),
    "r": lambda v: range(*exactly(int, v, 3)),
    "sl": lambda v: slice(*v),
    "...": lambda v: ...,
    "builtin": _read_builtin,
    "dk": lambda v: dict.fromkeys(v).keys(),
    "dv": lambda v: dict(enumerate(v)).values(),
    "di": lambda v: _dict(v).items(),
}


def encode_marked(marked: Marked, keep: Keep, depth: int) -> list[Any]:
    """["=", n, content] where a shared container comes first, ["@", n] where it comes again."""
    if marked.value is None:
        return ["@", marked.number]
    return ["=", marked.number, encode(marked.value, keep, depth)]

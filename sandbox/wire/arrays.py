"""numpy arrays and scalars on the wire, in both directions: exact types, numbers as their bytes.

    ["n", dtype, shape, base64 of the bytes]     an array of bool, int, float, complex, datetime64 or timedelta64
    ["n", dtype, shape, [items]]                 an array of str, bytes or object; items are encoded one by one
    ["ns", dtype, base64 of the bytes or text]   a scalar

Neither side imports numpy for this: what is to be encoded is there already, and only a program or tests that use
numpy are sent arrays. Not covered: structured types, subclasses of ndarray.
"""

from __future__ import annotations

import binascii
import importlib
import re
from collections.abc import Callable
from typing import Any

from mtp_eval.sandbox.wire.frames import MAX_FRAME_BYTES, BadFrame, TooLarge

_NUMBER = re.compile(r"[<|](b1|[iu][1248]|f(2|4|8|16)|c(8|16|32)|[mM]8(\[\w{1,8}\])?)")
_TEXT = re.compile(r"[<|]([SU]\d{1,9}|O)")
MAX_DIMENSIONS = 32


def is_array(value: Any) -> bool:
    """Whether a value is an array that can be sent and changed in place."""
    kind = type(value)
    return kind.__module__ == "numpy" and kind.__name__ == "ndarray"


def write_array(value: Any, encode_item: Callable[[Any], Any]) -> list[Any] | None:
    """An array or scalar as a JSON-able list; None where its type is not carried.

    Raises:
        TooLarge: more bytes than a frame holds.
    """
    dtype = value.dtype.newbyteorder("<") if value.dtype.byteorder == ">" else value.dtype
    name = dtype.str.replace("=", "<")
    if value.nbytes > MAX_FRAME_BYTES:
        raise TooLarge(f"an array of {value.nbytes} bytes")
    if not is_array(value):
        is_scalar = any(base.__name__ == "generic" for base in type(value).__mro__)
        return _write_scalar(value, name, encode_item) if is_scalar else None
    if _NUMBER.fullmatch(name):
        return ["n", name, list(value.shape), _base64(value.astype(dtype, order="C").tobytes())]
    if _TEXT.fullmatch(name):
        return ["n", name, list(value.shape), [encode_item(item) for item in value.ravel().tolist()]]
    return None


def _write_scalar(value: Any, name: str, encode_item: Callable[[Any], Any]) -> list[Any] | None:
    if _NUMBER.fullmatch(name):
        return ["ns", name, _base64(value.astype(name).tobytes())]
    return ["ns", name, encode_item(value.item())] if _TEXT.fullmatch(name) else None


def read_array(data: list[Any], decode_item: Callable[[Any], Any]) -> Any:
    """The array or scalar that a list stands for.

    Raises:
        BadFrame: it stands for none.
    """
    if len(data) != (4 if data[0] == "n" else 3) or type(data[1]) is not str:
        raise BadFrame("an array that is none")
    is_number = _NUMBER.fullmatch(data[1]) is not None
    if not is_number and not _TEXT.fullmatch(data[1]):
        raise BadFrame("an array of a type that is not carried")
    numpy = importlib.import_module("numpy")
    shape = _shape(data[2]) if data[0] == "n" else [1]
    flat = _numbers(numpy, data[1], data[-1]) if is_number else _texts(numpy, data, decode_item)
    array = flat.reshape(shape)
    return array if data[0] == "n" else array[0]


def _numbers(numpy: Any, name: str, packed: Any) -> Any:
    if type(packed) is not str:
        raise BadFrame("an array without bytes")
    raw = binascii.a2b_base64(packed.encode("ascii"))
    if name == "|b1":  # no byte but 0 and 1 is a bool
        return numpy.frombuffer(raw, dtype="|u1") != 0
    return numpy.frombuffer(raw, dtype=name).copy()


def _texts(numpy: Any, data: list[Any], decode_item: Callable[[Any], Any]) -> Any:
    items = [decode_item(item) for item in (data[3] if data[0] == "n" else [data[2]])]
    kind = data[1][1]
    if kind == "O":
        array = numpy.empty(len(items), dtype=object)
        for number, item in enumerate(items):
            array[number] = item
        return array
    wanted = str if kind == "U" else bytes
    width = int(data[1][2:]) * (4 if kind == "U" else 1)
    if any(type(item) is not wanted for item in items) or width * max(1, len(items)) > MAX_FRAME_BYTES:
        raise BadFrame("an array of texts that is none")
    return numpy.array(items, dtype=data[1])


def _shape(shape: Any) -> list[int]:
    if type(shape) is not list or len(shape) > MAX_DIMENSIONS or any(type(n) is not int or n < 0 for n in shape):
        raise BadFrame("an array with a shape that is none")
    return shape


def _base64(raw: bytes) -> str:
    return binascii.b2a_base64(raw, newline=False).decode("ascii")

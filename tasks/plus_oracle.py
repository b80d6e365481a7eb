"""The judge of HumanEval+ and MBPP+: runs a function on all inputs and compares with the expected values.

The text of this file is itself the beginning of each program's trusted tests, so it uses the standard library only and
nothing of ours. The rules are EvalPlus's: equality; where an expected value is a float, or a list or tuple of floats,
the same type and length within atol 1e-6 (or the problem's own) and rtol 1e-7. One difference: EvalPlus keeps the
raised tolerance for all later inputs of a sample, so that its verdict can depend on their order; here each input is
judged by itself.
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterator
from typing import Any


class Digest:
    """An expected value of megabytes, kept as the hash of its canonical text."""

    def __init__(self, sha256: str):
        self.sha256 = sha256

    def __repr__(self) -> str:
        return f"a value with digest {self.sha256[:16]}"


def canonical_parts(value: Any) -> Iterator[str]:
    """Text that two values share exactly if they are equal (1 == 1.0 == True as in Python) and not NaN."""
    if isinstance(value, list | tuple):
        yield f"{type(value).__name__}{len(value)}["
        for item in value:
            yield from canonical_parts(item)
        yield "]"
    elif isinstance(value, float) and not value.is_integer():
        yield f"{value!r},"
    elif isinstance(value, int | float):
        yield f"{int(value):x},"
    else:
        yield f"{value!r},"


def digest(value: Any) -> str:
    """SHA-256 of the canonical text."""
    sha256 = hashlib.sha256()
    for part in canonical_parts(value):
        sha256.update(part.encode("utf-8", "surrogatepass"))
    return sha256.hexdigest()


def decode(value: Any) -> Any:
    """The inverse of `plus.encode`: a one-key object says which type JSON could not express."""
    if isinstance(value, list):
        return [decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    ((tag, body),) = value.items()
    return DECODERS[tag](body)


DECODERS: dict[str, Callable[[Any], Any]] = {
    "tuple": lambda body: tuple(decode(item) for item in body),
    "set": lambda body: {decode(item) for item in body},
    "frozenset": lambda body: frozenset(decode(item) for item in body),
    "dict": lambda body: {decode(key): decode(item) for key, item in body},
    "complex": lambda body: complex(body[0], body[1]),
    "int": lambda body: int(body, 16),
    "bytes": bytes.fromhex,
    "digest": Digest,
}


def is_floats(value: Any) -> bool:
    """A float, or a list or tuple of nothing but floats and not empty."""
    if isinstance(value, list | tuple) and value:
        return all(isinstance(item, float) for item in value)
    return isinstance(value, float)


def close(out: Any, expected: Any, atol: float) -> bool:
    """numpy's allclose for numbers and nested sequences of them, with rtol 1e-7."""
    if isinstance(expected, list | tuple):
        same_form = isinstance(out, list | tuple) and len(out) == len(expected)
        return same_form and all(close(a, b, atol) for a, b in zip(out, expected, strict=True))
    if not isinstance(expected, int | float | complex) or not isinstance(out, int | float | complex):
        return False
    if out == expected:
        return True
    difference = abs(out - expected)
    return math.isfinite(difference) and difference <= atol + 1e-7 * abs(expected)


def agrees(out: Any, expected: Any, atol: float) -> bool:
    """The ordinary comparison."""
    if isinstance(expected, Digest):
        return digest(out) == expected.sha256
    if out == expected:
        return True
    if atol == 0 and is_floats(expected):
        atol = 1e-6
    return atol != 0 and type(out) is type(expected) and close(out, expected, atol)


def surface_area(base_edge: float, height: float) -> int:
    """Mbpp/581 reading `height` as the distance from the base to the apex."""
    slant = math.sqrt((base_edge / 2) ** 2 + height**2)
    return round(base_edge**2 + 2 * base_edge * slant)


def digit_distance(first: int, second: int) -> int:
    """Mbpp/558 with the shorter number padded with zeros."""
    one, two = str(first), str(second)
    width = max(len(one), len(two))
    return sum(abs(int(a) - int(b)) for a, b in zip(one.zfill(width), two.zfill(width), strict=True))


def right(oracle: str, out: Any, expected: Any, arguments: list[Any], atol: float) -> bool:
    """Whether an output is right under the problem's oracle; `oracle` is a name of plus.ORACLES or empty."""
    if oracle == "root":
        return abs(sum(c * math.pow(out, power) for power, c in enumerate(arguments[0]))) <= atol
    if oracle == "same set":
        return set(out) == set(expected)
    if oracle == "not none":
        return bool(out == expected if isinstance(out, bool) else expected == (out is not None))
    if oracle == "any" or agrees(out, expected, atol):
        return True
    if oracle == "or zero":
        return bool(out == 0)
    if oracle == "or perpendicular height":
        return bool(abs(out - surface_area(*arguments)) <= atol)
    return oracle == "or padded digits" and bool(out == digit_distance(*arguments))


def run_cases(function: Callable[..., Any], payload: str, oracle: str, atol: float) -> None:
    """Call the function on every input of every group ("base", then "plus"); the first wrong output fails.

    The message names group and number, so that a record tells a base failure from one on a plus input only.
    """
    for group, encoded_inputs, encoded_outputs in json.loads(payload):
        for number, (encoded, output) in enumerate(zip(encoded_inputs, encoded_outputs, strict=True)):
            arguments, expected = decode(encoded), decode(output)
            out = function(*decode(encoded))
            if not right(oracle, out, expected, arguments, atol):
                got, wanted = repr(out)[:80], repr(expected)[:80]
                raise AssertionError(f"{group} input {number}: expected {wanted}, got {got}")

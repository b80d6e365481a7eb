"""EvalPlus inputs: from JSON back to the Python types that the problems take.

JSON has no tuples, sets or complex numbers, so EvalPlus's files hold lists, and a table says which problem's
arguments become what. The table is data: problem numbers under the name of a conversion.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Arguments = list[Any]


def _tuples(value: Any) -> Any:
    """Every list in a value as a tuple, at any depth."""
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def _list_of_tuples(value: list[Any]) -> list[Any]:
    return [tuple(item) for item in value]


CONVERSIONS: dict[str, tuple[Callable[[Arguments], Arguments], tuple[int, ...]]] = {
    "every argument is a tuple": (
        lambda args: [tuple(a) for a in args],
        (2, 116, 132, 143, 222, 261, 273, 394, 399, 421, 424, 429, 470, 560, 579, 596, 616, 630, 726, 740, 744, 809),
    ),
    "every argument is a list of tuples": (
        lambda args: [_list_of_tuples(a) for a in args],
        (63, 64, 70, 94, 120, 237, 272, 299, 400, 409, 417, 438, 473, 614, 780),
    ),
    "the first of two is a list of tuples": (
        lambda args: [_list_of_tuples(args[0]), args[1]],
        (75, 413, 444, 753),
    ),
    "the second of two is a tuple": (lambda args: [args[0], tuple(args[1])], (106, 750)),
    "the first of two is a tuple": (
        lambda args: [tuple(args[0]), args[1]],
        (250, 405, 446, 617, 720, 763, 808),
    ),
    "the first of three is a tuple": (lambda args: [tuple(args[0]), args[1], args[2]], (307,)),
    "a list of sets, with {} for an empty one": (
        lambda args: [[set(item) if isinstance(item, list) and item else {} for item in args[0]]],
        (115,),
    ),
    "a float and a complex number": (lambda args: [float(args[0]), complex(args[1])], (124,)),
    "a complex number": (lambda args: [complex(args[0])], (252,)),
    "every argument is a tuple of tuples": (
        lambda args: [tuple(_list_of_tuples(a)) for a in args],
        (259, 401, 445),
    ),
    "a tuple whose lists are tuples": (
        lambda args: [tuple(tuple(item) if isinstance(item, list) else item for item in args[0])],
        (278,),
    ),
    "a dictionary of tuples, and the rest": (
        lambda args: [{key: tuple(value) for key, value in args[0].items()}, *args[1:]],
        (722,),
    ),
    "tuples at any depth": (lambda args: [_tuples(a) for a in args], (580, 615, 791)),
}
_BY_NUMBER = {number: convert for convert, numbers in CONVERSIONS.values() for number in numbers}


def arguments_of(task_id: str, inputs: list[Any]) -> list[Arguments]:
    """The argument lists of an EvalPlus problem ("HumanEval/3", "Mbpp/2") in their Python types."""
    family, _, number = task_id.partition("/")
    convert = _BY_NUMBER.get(int(number)) if family == "Mbpp" else None
    return [convert(args) if convert else list(args) for args in inputs]

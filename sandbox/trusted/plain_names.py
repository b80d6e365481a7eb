"""Names that an expression of trusted tests may use, by what they mean for a value that came from the program."""

from __future__ import annotations

import ast
import builtins

MODULES = frozenset((
    "cmath", "collections", "copy", "datetime", "decimal", "fractions", "itertools", "json", "math", "numpy", "random", "re",
    "statistics", "string", "typing",
))  # fmt: skip
"""Modules whose functions mean the same on either side."""
ITERATORS = frozenset(("enumerate", "filter", "map", "reversed", "zip", "iter"))
OF_ANSWERS = frozenset((
    "abs", "all", "any", "bool", "frozenset", "isinstance", "len", "max", "min", "round", "set", "sorted", "sum", "type",
))  # fmt: skip
"""Builtins that give the same for a value that came from the program; `list` does not: a set's order depends on its past."""
BUILTINS = OF_ANSWERS | ITERATORS | frozenset((
    "bytearray", "bytes", "chr", "complex", "dict", "divmod", "float", "int", "list", "ord", "pow", "print", "range", "repr",
    "slice", "str", "tuple",
))  # fmt: skip
CARRIED_TYPES = frozenset((
    "Counter", "Decimal", "Fraction", "OrderedDict", "bool", "bool_", "bytearray", "bytes", "complex", "date", "datetime",
    "defaultdict", "deque", "dict", "float", "float32", "float64", "frozenset", "int", "int32", "int64", "integer", "list",
    "ndarray", "range", "set", "str", "time", "timedelta", "tuple",
))  # fmt: skip
"""Types that an answer has on either side or on neither; what an abstract class takes for its own may be anything."""
IN_CONTEXT = frozenset(("abs", "max", "min", "pow", "round", "sum"))
"""Builtins that compute with decimal numbers, whose context is the program's to change."""
CHANGING = frozenset((
    "append", "add", "clear", "discard", "extend", "insert", "pop", "popitem", "remove", "reverse", "setdefault", "sort",
    "update", "appendleft", "popleft", "rotate",
))  # fmt: skip


def is_plain(module: str | None, name: str) -> bool:
    """Whether what a module's function gives is surely a value that can be sent; None is no module."""
    return module is None or (module in _PLAIN_MODULES) or (module == "numpy" and name in _PLAIN_OF_NUMPY)


_PLAIN_MODULES = frozenset(
    ("cmath", "collections", "copy", "datetime", "decimal", "fractions", "json", "math", "random", "statistics")
)
_PLAIN_OF_NUMPY = frozenset((
    "arange", "array", "bool_", "eye", "float32", "float64", "full", "int32", "int64", "linspace", "ones", "sqrt", "zeros",
))  # fmt: skip


def named(argument: ast.expr) -> set[str]:
    """The names whose very objects are handed over; what a call makes of one (`deepcopy`) is another object."""
    if isinstance(argument, ast.Name):
        return {argument.id}
    if isinstance(argument, ast.Call):
        return set()
    return {name for child in ast.iter_child_nodes(argument) if isinstance(child, ast.expr) for name in named(child)}


def called(node: ast.expr) -> str:
    """The name that an expression calls, if that is all it does."""
    return node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""


def is_exception(name: str) -> bool:
    """Whether a builtin of this name is an exception."""
    found = getattr(builtins, name, None)
    return isinstance(found, type) and issubclass(found, BaseException)

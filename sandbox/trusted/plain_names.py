"""Names that an expression of trusted tests may use, by what they mean for a value that came from the program."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Sequence

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
MAKES_ATOMS = frozenset(
    ("abs", "all", "any", "bool", "chr", "float", "int", "isinstance", "len", "ord", "repr", "str", "type")
)
"""Builtins whose result holds nothing of what they were given."""
CARRIED_TYPES = frozenset((
    "Counter", "Decimal", "Fraction", "OrderedDict", "bool", "bool_", "bytearray", "bytes", "complex", "date", "datetime",
    "defaultdict", "deque", "dict", "float", "float32", "float64", "frozenset", "int", "int32", "int64", "integer", "list",
    "ndarray", "range", "set", "str", "time", "timedelta", "tuple",
))  # fmt: skip
"""Types that an answer has on either side or on neither; what an abstract class takes for its own may be anything."""
IN_CONTEXT = frozenset(("abs", "max", "min", "pow", "round", "sum"))
"""Builtins that compute with decimal numbers, whose context is the program's to change."""
CHANGING = frozenset((
    "append", "add", "clear", "discard", "extend", "fill", "insert", "itemset", "partition", "pop", "popitem", "put", "remove",
    "resize", "reverse", "setdefault", "sort", "update", "appendleft", "extendleft", "popleft", "rotate", "subtract",
))  # fmt: skip
CHANGING_ARGUMENTS = frozenset(("copyto", "fill_diagonal", "place", "put", "putmask", "shuffle"))
"""Functions of modules that change what they are given."""
OF_ONE_SIDE = frozenset((
    "getcontext", "isfortran", "localcontext", "may_share_memory", "purge", "seed", "set_printoptions", "setbufsize", "setcontext",
    "seterr", "seterrcall", "setstate", "shares_memory",
))  # fmt: skip
"""Functions of modules that change or ask for something which the program's side has for itself."""

_PLAIN_OF = {
    "collections": frozenset(("Counter", "OrderedDict", "defaultdict", "deque")),
    "copy": frozenset(("copy", "deepcopy")),
    "datetime": frozenset((
        "combine", "date", "datetime", "fromisocalendar", "fromisoformat", "fromordinal", "fromtimestamp", "now", "strptime",
        "time", "timedelta", "timezone", "today",
    )),
    "decimal": frozenset(("Decimal",)),
    "fractions": frozenset(("Fraction",)),
    "json": frozenset(("dumps", "loads")),
    "re": frozenset(("escape", "findall", "split", "sub", "subn")),
    "string": frozenset(("capwords",)),
}  # fmt: skip
"""What surely gives a value that can be sent, where a module has much that does not."""
_NOT_PLAIN_OF = {
    "cmath": frozenset[str](),
    "math": frozenset[str](),
    "numpy": frozenset((
        "Generator", "MaskedArray", "RandomState", "asmatrix", "bmat", "broadcast", "default_rng", "dtype", "errstate", "finfo",
        "flatiter", "format_parser", "frompyfunc", "iinfo", "mat", "matrix", "memmap", "ndenumerate", "ndindex", "nditer",
        "poly1d", "recarray", "record", "require", "vectorize", "view", "void",
    )),
    "random": frozenset(("Random", "SystemRandom", "getstate")),
    "statistics": frozenset(("NormalDist",)),
}  # fmt: skip
_CONSTANTS = {
    "cmath": frozenset(("e", "inf", "infj", "pi", "tau")),
    "math": frozenset(("e", "inf", "pi", "tau")),
    "numpy": frozenset(("e", "inf", "newaxis", "pi")),
    "string": frozenset((
        "ascii_letters", "ascii_lowercase", "ascii_uppercase", "digits", "hexdigits", "octdigits", "printable", "punctuation",
        "whitespace",
    )),
}  # fmt: skip
"""Plain values that modules hold; a NaN is none, since containers know it by its identity."""
_ITEM_BY_ITEM = frozenset(("itertools",))
_KEEPS_ITEMS = frozenset(("groupby", "tee"))
_NUMPY_APART = frozenset(("char", "ma", "polynomial", "rec"))


def is_plain(module: str, path: Sequence[str]) -> bool:
    """Whether what a module's function gives is surely a value that can be sent; the path begins behind the module."""
    module, _, _ = module.partition(".")
    name = path[-1]
    if module in _NOT_PLAIN_OF:
        return name not in _NOT_PLAIN_OF[module] and not _NUMPY_APART & set(path)
    return name in _PLAIN_OF.get(module, ())


def is_iterator(module: str, name: str) -> bool:
    """Whether a module's function gives an iterator over what it was given."""
    return module in _ITEM_BY_ITEM and name not in _KEEPS_ITEMS


def is_constant(module: str, name: str) -> bool:
    """Whether a module holds a plain value under this name."""
    return name in _CONSTANTS.get(module, ())


def is_not_a_number(node: ast.Call) -> bool:
    """Whether a call makes a NaN out of its text."""
    texts = [given.value for given in node.args if isinstance(given, ast.Constant) and isinstance(given.value, str)]
    return any(text.strip().lower().lstrip("+-").startswith(("nan", "snan")) for text in texts)


def has_simple_type(node: ast.Call) -> bool:
    """Whether an array's type, where one is named, is one of numbers, texts or objects: records are not carried."""
    given = [keyword.value for keyword in node.keywords if keyword.arg == "dtype"]
    if any(not isinstance(kind, ast.Constant | ast.Attribute | ast.Name) for kind in given):
        return False
    names = [kind.id for kind in given if isinstance(kind, ast.Name)]
    kinds = [*given, *node.args[1:]]
    texts = [kind.value for kind in kinds if isinstance(kind, ast.Constant) and isinstance(kind.value, str)]
    lists = [kind for kind in node.args[1:] if isinstance(kind, ast.List) and any(map(_is_field, kind.elts))]
    return (
        not lists and all(name in BUILTINS or name == "object" for name in names) and not any("," in t for t in texts)
    )


def _is_field(node: ast.expr) -> bool:
    return isinstance(node, ast.Tuple) and bool(node.elts) and isinstance(getattr(node.elts[0], "value", None), str)


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


def dotted(node: ast.expr) -> list[str]:
    """The names of `a.b.c`; empty for anything else."""
    if isinstance(node, ast.Name):
        return [node.id]
    before = dotted(node.value) if isinstance(node, ast.Attribute) else []
    return [*before, node.attr] if before and isinstance(node, ast.Attribute) else []


def is_exception(name: str) -> bool:
    """Whether a builtin of this name is an exception."""
    found = getattr(builtins, name, None)
    return isinstance(found, type) and issubclass(found, BaseException)

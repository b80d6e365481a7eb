"""A problem's trusted tests, read and compiled once for all its programs.

They are compiled twice: as they are, for the program's own interpreter, and with every assert's two sides kept under
names that no source text can hold, so that a failure can say what was compared.
"""

from __future__ import annotations

import ast
import builtins
import dis
import marshal
from binascii import b2a_base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import CodeType

from mtp_eval.sandbox.errors import BadTests
from mtp_eval.sandbox.trusted.ahead import calls_ahead
from mtp_eval.sandbox.trusted.effects import may_stay
from mtp_eval.sandbox.trusted.mode import why_inside

LEFT, RIGHT = "@left", "@right"
MAX_EXPRESSION_CHARS = 160


@dataclass(frozen=True, slots=True)
class Assert:
    """An assert statement of the tests: its number in the order of the text, and how it reads."""

    index: int
    line: int
    text: str
    actual_is_right: bool
    expected_truth: bool | None


@dataclass(frozen=True, slots=True)
class Compiled:
    """Trusted code and what is known about it.

    Args:
        prelude, tests: to be run on the trusted side, against proxies.
        packed: both, marshalled in base64, to be run in the program's interpreter.
        wanted: the names that they want from a program.
        inside: why their text alone puts them into the program's interpreter; empty where they can be judged from outside.
        asserts: by (line, column).
        ahead: calls that they are sure to make.
        imports: those that the tests begin with.
        sets: the names that they set for all who share them.
        has_helpers: whether the prelude defines anything.
        leaves_traces: whether they may change the process that runs them, for whatever is run there next.
    """

    prelude: CodeType
    tests: CodeType
    packed: str
    wanted: tuple[str, ...]
    inside: str
    asserts: dict[tuple[int, int], Assert]
    ahead: tuple[tuple[str, str], ...] = ()
    leaves_traces: bool = False
    imports: tuple[tuple[str, str, str | None], ...] = ()
    sets: frozenset[str] = frozenset()
    has_helpers: bool = False

    def assert_at(self, line: int, column: int | None = None) -> Assert | None:
        """The assert that stands there; without a column, the first of the line."""
        if column is not None:
            return self.asserts.get((line, column))
        return next((found for (at, _), found in sorted(self.asserts.items()) if at == line), None)


_known: dict[tuple[str, str, str | None], Compiled] = {}
_MAX_KNOWN, _MAX_KNOWN_CHARS = 1_000, 8 << 20
"""Trusted code that stays compiled: a benchmark's problems come round again and again."""


def compile_trusted(prelude: str, tests: str, entry_point: str | None = None) -> Compiled:
    """A problem's trusted code, compiled once.

    Raises:
        BadTests: it does not compile, which is the task's fault and not a program's.
    """
    key = (prelude, tests, entry_point)
    known = _known.get(key)
    if known is None:
        known = _compile(prelude, tests, entry_point)
        if len(_known) >= _MAX_KNOWN or sum(len(a) + len(b) for a, b, _ in _known) > _MAX_KNOWN_CHARS:
            _known.clear()
        _known[key] = known
    return known


def _compile(prelude: str, tests: str, entry_point: str | None) -> Compiled:
    try:
        codes = [
            compile(text, name, "exec", dont_inherit=True)
            for text, name in ((prelude, "<prelude>"), (tests, "<tests>"))
        ]
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise BadTests(f"the trusted tests do not compile: {type(error).__name__}: {error}") from None
    wanted = wanted_names(codes, entry_point)
    try:
        trees = [ast.parse(prelude, "<prelude>"), ast.parse(tests, "<tests>")]
        inside = why_inside(trees, wanted)
        ahead = calls_ahead(trees[0], trees[1], wanted)
        leaves_traces = may_stay(*trees)
        codes = [_without_docstring(code, tree) for code, tree in zip(codes, trees, strict=True)]
        watched, asserts = _with_sides_kept(trees[1])
    except (RecursionError, MemoryError):  # they compile, and are nested too deeply to be looked at
        inside, watched, asserts = "the tests are nested too deeply to be read", codes[1], {}
        ahead, leaves_traces, trees = (), True, [ast.Module([], []), ast.Module([], [])]
    packed = b2a_base64(marshal.dumps(codes), newline=False).decode("ascii")
    imports = tuple(_first_imports(trees[1]))
    return Compiled(
        codes[0],
        watched,
        packed,
        wanted,
        inside,
        asserts,
        ahead,
        leaves_traces,
        imports=imports,
        sets=frozenset(_global_names(codes[1:])[1]) - {name for name, _, _ in imports},
        has_helpers=any(not isinstance(node, ast.Import | ast.ImportFrom) for node in trees[0].body),
    )


def _first_imports(tree: ast.Module) -> Iterator[tuple[str, str, str | None]]:
    """The imports before any other statement."""
    for statement in tree.body:
        match statement:
            case ast.Import(names=names):
                for alias in names:
                    package = alias.name.partition(".")[0]
                    yield (
                        alias.asname or package,
                        alias.name,
                        "" if package != alias.name and not alias.asname else None,
                    )
            case ast.ImportFrom(module=str(module), names=names, level=0):
                yield from ((alias.asname or alias.name, module, alias.name) for alias in names)
            case ast.Expr(value=ast.Constant()):
                continue
            case _:
                return


def _without_docstring(code: CodeType, tree: ast.Module) -> CodeType:
    """The same code, which leaves the program its `__doc__`: a text that comes first is no docstring of the whole file."""
    if ast.get_docstring(tree, clean=False) is None:
        return code
    del tree.body[0]
    return compile(tree, code.co_filename, "exec", dont_inherit=True)


def _with_sides_kept(tree: ast.Module) -> tuple[CodeType, dict[tuple[int, int], Assert]]:
    """The tests with what each assert compares kept, and the asserts."""
    found: dict[tuple[int, int], Assert] = {}
    for statement in _statements(tree.body):
        if isinstance(statement, ast.Assert):
            found[statement.lineno, statement.col_offset] = _keep_sides(statement, len(found))
    return compile(tree, "<tests>", "exec", dont_inherit=True), found


def _statements(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """All statements, in the order of the text."""
    for statement in body:
        yield statement
        for name in ("body", "handlers", "orelse", "finalbody", "cases"):
            yield from _statements(getattr(statement, name, ()))


def _keep_sides(node: ast.Assert, index: int) -> Assert:
    """Change `assert f(x) == 5` into `assert (left := f(x)) == (right := 5)`; what is to be said of it."""
    text = " ".join(ast.unparse(ast.Assert(node.test, None)).split())[:MAX_EXPRESSION_CHARS]
    test, truth, is_right = node.test, None, False
    if isinstance(test, ast.Compare) and len(test.ops) == 1:
        is_right = isinstance(test.left, ast.Constant) and not isinstance(test.comparators[0], ast.Constant)
        test.left, test.comparators[0] = _kept(LEFT, test.left), _kept(RIGHT, test.comparators[0])
    elif isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        test.operand, truth = _kept(LEFT, test.operand), False
    elif isinstance(test, ast.Call | ast.Name):
        node.test, truth = _kept(LEFT, test), True
    return Assert(index, node.lineno, text, is_right, truth)


def _kept(name: str, value: ast.expr) -> ast.expr:
    target = ast.copy_location(ast.Name(name, ast.Store()), value)
    return ast.copy_location(ast.NamedExpr(target, value), value)


def wanted_names(codes: list[CodeType], entry_point: str | None) -> tuple[str, ...]:
    """The global names that the tests read and do not define themselves.

    A name that is also a builtin's stays the builtin's: else a program could bring its own `abs` or `zip` and pass. The
    one exception is the entry point (MBPP 126 asks for `sum`); where nobody says what that is, it is the only builtin that
    tests name which name nothing else.
    """
    loaded, stored = _global_names(codes)
    free = [name for name in loaded if name not in stored]
    others = [name for name in free if not hasattr(builtins, name)]
    if entry_point is not None:
        return tuple(name for name in free if name in others or name == entry_point)
    return tuple(others or (free if len(free) == 1 else ()))


def _global_names(codes: list[CodeType]) -> tuple[list[str], set[str]]:
    loaded: dict[str, None] = {}
    stored: set[str] = set()
    for code in codes:
        for inner in _nested(code):
            for step in dis.get_instructions(inner):
                if step.opname in ("LOAD_NAME", "LOAD_GLOBAL"):
                    loaded[step.argval] = None
                elif step.opname in ("STORE_NAME", "STORE_GLOBAL"):
                    stored.add(step.argval)
    return list(loaded), stored


def _nested(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _nested(constant)

"""What a top-level statement of a program does to names: which it binds, which objects it changes, which it reads."""

from __future__ import annotations

import ast
import symtable
from collections.abc import Iterator, Sequence

from mtp_eval.tasks.python_text import parse

SETTINGS = frozenset(
    {
        "setrecursionlimit", "set_int_max_str_digits", "stack_size", "seed", "seterr", "simplefilter", "filterwarnings",
        "setcontext", "getcontext", "set_printoptions", "basicConfig", "disable", "setlocale",
    }
)  # fmt: skip
"""Calls on a module that change how later code behaves: kept, as they may be needed and do no harm."""
READING = frozenset(
    {
        "print", "len", "str", "repr", "format", "int", "float", "bool", "list", "tuple", "set", "dict", "frozenset", "sum", "min",
        "max", "abs", "any", "all", "sorted", "reversed", "enumerate", "zip", "range", "type", "isinstance", "hash", "id",
    }
)  # fmt: skip
"""Builtins that change none of their arguments."""


BRANCHES = (ast.stmt, ast.ExceptHandler, ast.match_case)
"""What statements hold statements in."""
MAY_BE_CALLED = (
    ast.Lambda, ast.Name, ast.Attribute, ast.Call, ast.Subscript, ast.IfExp, ast.BoolOp, ast.NamedExpr, ast.Tuple,
)  # fmt: skip
"""Expressions whose value may be a function; a tuple for several names at once."""


def body_of(source: str) -> list[ast.stmt]:
    """The top-level statements of a text; none when it does not parse."""
    try:
        return parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []


def defined_names(source: str) -> set[str]:
    """The names that the top-level statements of a text bind; empty when it does not parse."""
    return {name for node in body_of(source) for name in binds(node)}


def written_names(source: str) -> set[str]:
    """The names for which a text writes a function or class, or assigns what may be one: not by an import, and not by a stub.

    Not written is a name that an example gives its result or a value: `f = f(3)`, `f = 6`, `for f in ...`, `with ... as f`.
    """
    found = set[str]()
    for node in body_of(source):
        if not is_import(node):
            found |= _written(node)
    return found


def _written(node: ast.stmt) -> set[str]:
    """Of a top-level statement and its branches; without recursion, as `binds`."""
    found, todo = set[str](), list[ast.AST]([node])
    while todo:
        node_or_branch = todo.pop()
        match node_or_branch:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                found |= set() if _is_stub(node_or_branch) else {node_or_branch.name}
            case ast.Assign(value=value) | ast.AnnAssign(value=ast.expr() as value):
                found |= binds(node_or_branch) - _read_at_once(value) if isinstance(value, MAY_BE_CALLED) else set()
            case _:
                todo += [part for part in ast.iter_child_nodes(node_or_branch) if isinstance(part, BRANCHES)]
    return found


def _read_at_once(value: ast.expr) -> set[str]:
    """The names that an expression reads when it is evaluated: not those in the bodies of its lambdas."""
    found, todo = set[str](), list[ast.AST]([value])
    while todo:
        part = todo.pop()
        if isinstance(part, ast.Name):
            found.add(part.id)
        todo += [part.args] if isinstance(part, ast.Lambda) else list(ast.iter_child_nodes(part))
    return found


def written_apart(source: str) -> set[str]:
    """The names of imports, functions and classes of a text that are no stubs; empty when it does not parse."""
    own = [node for node in body_of(source) if is_import(node) or (is_definition(node) and not _is_stub(node))]
    return {name for node in own for name in binds(node)}


def _is_stub(node: ast.stmt) -> bool:
    """A function of which there is only a docstring, `pass`, `...` or `raise NotImplementedError`."""
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and all(_says_nothing(line) for line in node.body)


def _says_nothing(line: ast.stmt) -> bool:
    if isinstance(line, ast.Raise):
        return line.exc is not None and "NotImplementedError" in _names(line.exc)
    return isinstance(line, ast.Pass) or (isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant))


def is_import(node: ast.stmt) -> bool:
    """An import, or a `try` or `if` that holds nothing but imports and plain substitutes for them."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        return True
    if not isinstance(node, ast.Try | ast.If):
        return False
    inner = [child for child in ast.walk(node) if isinstance(child, ast.stmt) and child is not node]
    plain = (ast.Import, ast.ImportFrom, ast.Assign, ast.Pass, ast.Try, ast.If)
    return any(isinstance(child, plain[:2]) for child in inner) and all(isinstance(child, plain) for child in inner)


def is_main(node: ast.stmt) -> bool:
    """`if __name__ == ...`."""
    return isinstance(node, ast.If) and any(
        isinstance(name, ast.Name) and name.id == "__name__" for name in ast.walk(node.test)
    )


def is_setting(node: ast.stmt, modules: set[str]) -> bool:
    """A call or an attribute of a module that changes how later code behaves."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        called = node.value.func
        name = called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""
        return name in SETTINGS and root(called) in modules
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AugAssign) else []
    return any(isinstance(target, ast.Attribute) and root(target) in modules for target in targets)


def is_definition(node: ast.AST) -> bool:
    """A function or a class."""
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)


def evaluated(node: ast.stmt) -> list[ast.AST]:
    """What runs when the statement does: of a function its decorators and defaults, of a class its decorators and bases, else all."""
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            defaults = [*node.args.defaults, *(default for default in node.args.kw_defaults if default)]
            return [*node.decorator_list, *defaults]
        case ast.ClassDef():
            return [*node.decorator_list, *node.bases, *(keyword.value for keyword in node.keywords)]
    return [node]


def binds(node: ast.AST) -> set[str]:
    """The names a top-level statement gives a value, in its branches too, but not inside functions, classes and comprehensions.

    Without recursion: a chain of a thousand `elif` or `+` nests as deep.
    """
    found, todo = set[str](), [node]
    while todo:
        node = todo.pop()
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                found.add(node.name)
                continue
            case ast.Import() | ast.ImportFrom():
                found |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
            case ast.Name(id=name, ctx=ast.Store()) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                found.add(name)
            case ast.MatchMapping(rest=str(name)):
                found.add(name)
            case ast.Lambda():
                continue
            case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                found |= {child.target.id for child in ast.walk(node) if isinstance(child, ast.NamedExpr)}
                continue
        todo += ast.iter_child_nodes(node)
    return found


def changes(node: ast.stmt) -> set[str]:
    """The names whose objects a statement changes: by item, attribute, method, or as a decorator that is a method."""
    if is_definition(node):
        decorators = [part for part in evaluated(node) if isinstance(part, ast.Attribute | ast.Call)]
        return {root(part) for part in decorators} - {""}
    return _changed([node])


def touched(nodes: Sequence[ast.AST]) -> set[str]:
    """The names whose objects some code may change: `changes`, what is handed to calls, and what other names stand for meanwhile."""
    found, sources = _changed(nodes), list[tuple[set[str], set[str]]]()
    for child in _walk(nodes):
        match child:
            case ast.Call(func=called) if not (isinstance(called, ast.Name) and called.id in READING):
                found |= {root(part) for part in [*child.args, *(keyword.value for keyword in child.keywords)]}
            case ast.Assign(value=value) | ast.AnnAssign(value=ast.expr() as value) | ast.NamedExpr(value=value):
                sources.append((binds(child), _names(value)))
            case (
                ast.For(target=target, iter=value)
                | ast.AsyncFor(target=target, iter=value)
                | ast.comprehension(target=target, iter=value)
            ):
                sources.append((binds(target), _names(value)))
            case ast.withitem(context_expr=value, optional_vars=ast.expr() as target):
                sources.append((binds(target), _names(value)))
    grew = True
    while grew:
        more = {name for targets, values in sources if targets & found for name in values} - found
        found, grew = found | more, bool(more)
    return found - {""}


def _changed(nodes: Sequence[ast.AST]) -> set[str]:
    found = set[str]()
    for child in _walk(nodes):
        if isinstance(child, ast.Subscript | ast.Attribute) and not isinstance(child.ctx, ast.Load):
            found.add(root(child))
        elif isinstance(child, ast.Call) and isinstance(child.func, ast.Attribute):
            found.add(root(child.func))
    return found - {""}


def _walk(nodes: Sequence[ast.AST]) -> Iterator[ast.AST]:
    for node in nodes:
        yield from ast.walk(node)


def _names(node: ast.AST) -> set[str]:
    return {child.id for child in ast.walk(node) if isinstance(child, ast.Name)}


def root(node: ast.expr) -> str:
    """The name that a chain of attributes, items and calls begins with; empty when it begins otherwise."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call | ast.Starred):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def uses(node: ast.stmt, lines: Sequence[str]) -> set[str]:
    """The global names that a statement reads, in the bodies of its functions too; their own variables are not among them.

    Args:
        lines: of the whole program.
    """
    table = _table(node, lines)
    return set(_global_names(table, top=True)) if table else _names(node)


def text_of(node: ast.stmt, lines: Sequence[str]) -> Sequence[str]:
    """The statement's lines, decorators among them."""
    first = min([node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", []))])
    return lines[first - 1 : node.end_lineno]


def _table(node: ast.stmt, lines: Sequence[str]) -> symtable.SymbolTable | None:
    """None where the statement's lines do not stand for themselves, or nest too deep."""
    try:
        return symtable.symtable("\n".join(text_of(node, lines)), "<completion>", "exec")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _global_names(table: symtable.SymbolTable, *, top: bool) -> Iterator[str]:
    any_scope = top or table.get_type() == "class"  # a class may read a global name that it then binds itself
    for symbol in table.get_symbols():
        if symbol.is_referenced() and (any_scope or symbol.is_global()):
            yield symbol.get_name()
    for child in table.get_children():
        yield from _global_names(child, top=False)


def changed_globals(node: ast.stmt, lines: Sequence[str]) -> set[str]:
    """The global names that a function or the methods of a class may give another value or another state when they run."""
    table = _table(node, lines)
    set_here = set(_set_globals(table)) if table else set()
    return (touched([node]) & uses(node, lines)) | set_here


def _set_globals(table: symtable.SymbolTable) -> Iterator[str]:
    for symbol in table.get_symbols():
        if symbol.is_declared_global() and symbol.is_assigned():
            yield symbol.get_name()
    for child in table.get_children():
        yield from _set_globals(child)

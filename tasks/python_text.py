"""Python among other text: which lines parse, what a text defines, and what of it a function needs.

The parser decides, never a guess at what code looks like. Lines are kept as they are; nothing is rewritten.
"""

from __future__ import annotations

import ast
import itertools
import re
import symtable
import textwrap
import warnings
from collections.abc import Iterator, Sequence

CONTINUES = re.compile(r"(?:else|elif|except|finally)\b|[)\]}]")
"""How a line at the left margin begins that belongs to the statement above it."""
MOST_TRIES = 100
"""Parses of one text before the search for its end becomes coarse, so that no text takes minutes."""
SETTINGS = frozenset(
    {
        "setrecursionlimit", "set_int_max_str_digits", "stack_size", "seed", "seterr", "simplefilter", "filterwarnings",
        "setcontext", "getcontext", "set_printoptions", "basicConfig", "disable", "setlocale",
    }
)  # fmt: skip
"""Calls on a module that change how later code behaves: kept, as they may be needed and do no harm."""


def parse(source: str) -> ast.Module:
    """`ast.parse` without the warnings that odd literals give."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(source)


def compiles(source: str) -> bool:
    """Whether Python parses the text."""
    return first_error(source) is None


def first_error(source: str) -> int | None:
    """The line, from 1, at which the text stops being Python; None when all of it is."""
    try:
        parse(source)
    except SyntaxError as error:
        return max(error.lineno or 1, 1)
    except (ValueError, RecursionError, MemoryError):
        return 1
    return None


def longest_start(lines: Sequence[str], at_least: int = 0) -> int:
    """How many lines from the first on parse together: as many as possible, or `at_least` when fewer do.

    No text that holds the line of an error parses, so that each failure cuts the search short.
    """
    end, tries = len(lines), 0
    while end > at_least:
        error = first_error("\n".join(lines[:end]))
        if error is None:
            return end
        tries += 1
        end = min(end - 1, error - 1) if tries < MOST_TRIES else end // 2
    return at_least


def statements(text: str) -> Iterator[tuple[int, int]]:
    """Line ranges (first, behind the last) that may be top-level statements: from one line at the margin to the next."""
    lines = text.split("\n")
    starts = [
        number
        for number, line in enumerate(lines)
        if line.strip() and not line[0].isspace() and not CONTINUES.match(line)
    ]
    joined = [
        number for number in starts if not (number and lines[number - 1].startswith("@") and number - 1 in starts)
    ]
    edges = [*dict.fromkeys([0, *joined]), len(lines)]
    yield from ((first, last) for first, last in itertools.pairwise(edges) if last > first)


def valid_runs(text: str) -> list[str]:
    """The runs of consecutive lines that parse, in the order of the text; prose between them is dropped."""
    lines, runs = text.split("\n"), list[list[str]]()
    ranges = list(statements(text))
    open_run, position = False, 0
    while position < len(ranges):
        first, last = ranges[position]
        taken = _extended(lines, ranges, position)
        if taken is None:  # the statement's own beginning may parse: a function with text below its body
            end = first + longest_start(lines[first:last])
            kept = lines[first:end]
            if any(line.strip() for line in kept):
                runs = [*runs, kept] if not open_run else [*runs[:-1], runs[-1] + kept]
            open_run, position = False, position + 1
            continue
        end, position = taken
        runs = [*runs[:-1], runs[-1] + lines[first:end]] if open_run else [*runs, lines[first:end]]
        open_run = True
    return [run for run in ("\n".join(run) for run in runs) if run.strip()]


def _extended(lines: list[str], ranges: list[tuple[int, int]], position: int) -> tuple[int, int] | None:
    """The end line of the statement that begins at a range, and the next range; None when it does not parse.

    A string or bracket may hold lines at the margin, so that a statement goes on over ranges until it parses.
    """
    first, last = ranges[position]
    text = "\n".join(lines[first:last])
    if compiles(text):
        return last, position + 1
    for mark in ('"""', "'''", "(", "[", "{"):
        if mark not in text:
            continue
        closing = {"(": ")", "[": "]", "{": "}"}.get(mark, mark)
        for later in range(position + 1, min(len(ranges), position + MOST_TRIES)):
            if closing in "\n".join(lines[ranges[later][0] : ranges[later][1]]):
                end = ranges[later][1]
                if compiles("\n".join(lines[first:end])):
                    return end, later + 1
                if mark in ('"""', "'''"):
                    break
    return None


def defined_names(source: str) -> set[str]:
    """The names that the top-level statements of a text bind; empty when it does not parse."""
    try:
        return {name for node in parse(source).body for name in _binds(node)}
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()


def written_names(source: str) -> set[str]:
    """The names to which the top-level statements of a text give a meaning of their own: not by an import, and not by a stub."""
    try:
        body = parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    return {name for node in body if not (_is_import(node) or _is_stub(node)) for name in _binds(node)}


def _is_stub(node: ast.stmt) -> bool:
    """A function of which there is only a docstring, `pass`, `...` or `raise NotImplementedError`."""
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and all(_says_nothing(line) for line in node.body)


def _says_nothing(line: ast.stmt) -> bool:
    if isinstance(line, ast.Raise):
        return line.exc is not None and "NotImplementedError" in ast.unparse(line.exc)
    return isinstance(line, ast.Pass) or (isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant))


def future_first(source: str) -> tuple[str, str]:
    """The `from __future__` lines of a text that parses, and its other lines."""
    nodes = [node for node in parse(source).body if isinstance(node, ast.ImportFrom) and node.module == "__future__"]
    numbers = {number for node in nodes for number in range(node.lineno - 1, node.end_lineno or node.lineno)}
    lines = source.split("\n")
    future = "".join(f"{line}\n" for number, line in enumerate(lines) if number in numbers)
    return future, "\n".join(line for number, line in enumerate(lines) if number not in numbers)


def indented_groups(text: str) -> list[str]:
    """The runs of indented lines below prose, moved to the margin: code as Markdown has it without fences."""
    groups, above, group = list[str](), "", list[str]()
    for line in [*text.split("\n"), "end"]:
        if not line.strip() or line.startswith(("    ", "\t")):
            group.append(line)
            continue
        code = textwrap.dedent("\n".join(group)).strip("\n") + "\n"
        if code.strip() and above and not compiles(f"{above}\n    pass"):
            groups.append(code)
        above, group = line, []
    return groups


def missing_names(source: str) -> set[str]:
    """The global names that a text uses and does not bind, builtins among them."""
    tree = parse(source)
    used = {name for node in tree.body for name in _uses(node)}
    return used - {name for node in tree.body for name in _binds(node)}


def needed_statements(source: str, names: set[str], *, imports: bool = True) -> str:
    """Imports and settings, and the statements that define or change these names or what they need, in their own text.

    Args:
        source: text that parses.
        names: what is wanted of it.
        imports: whether imports are kept that nothing needs.
    """
    tree = parse(source)
    modules = {name for node in tree.body if _is_import(node) for name in _binds(node)}
    facts = [(node, _binds(node), _changes(node) - modules, _uses(node)) for node in tree.body]
    wanted, kept = set(names), set[int]()
    grew = True
    while grew:
        grew = False
        for number, (node, binds, changes, uses) in enumerate(facts):
            if number in kept or _is_main(node):
                continue
            is_kept = (binds | changes) & wanted or (imports and (_is_import(node) or _is_setting(node, modules)))
            if is_kept:
                kept.add(number)
                wanted |= uses
                grew = True
    lines, chosen = source.split("\n"), set[int]()
    for number in sorted(kept):
        node = facts[number][0]
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
        chosen |= set(range(first - 1, node.end_lineno or first))
    return "".join(f"{lines[number]}\n" for number in sorted(chosen))


def _is_import(node: ast.stmt) -> bool:
    """An import, or a `try` or `if` that holds nothing but imports and plain substitutes for them."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        return True
    if not isinstance(node, ast.Try | ast.If):
        return False
    inner = [child for child in ast.walk(node) if isinstance(child, ast.stmt) and child is not node]
    plain = (ast.Import, ast.ImportFrom, ast.Assign, ast.Pass, ast.Try, ast.If)
    return any(isinstance(child, plain[:2]) for child in inner) and all(isinstance(child, plain) for child in inner)


def _is_main(node: ast.stmt) -> bool:
    """`if __name__ == ...`."""
    return isinstance(node, ast.If) and any(
        isinstance(name, ast.Name) and name.id == "__name__" for name in ast.walk(node.test)
    )


def _is_setting(node: ast.stmt, modules: set[str]) -> bool:
    """A call or an attribute of a module that changes how later code behaves."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        called = node.value.func
        name = called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""
        return name in SETTINGS and _root(called) in modules
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AugAssign) else []
    return any(isinstance(target, ast.Attribute) and _root(target) in modules for target in targets)


def _binds(node: ast.stmt) -> set[str]:
    """The names a top-level statement gives a value, in its branches too, but not inside functions and classes."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    found = set[str]()
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store):
            found.add(child.id)
        elif isinstance(child, ast.stmt | ast.ExceptHandler | ast.match_case):
            found |= _binds(child)  # type: ignore[arg-type]
        elif isinstance(child, ast.Tuple | ast.List | ast.Starred | ast.withitem):
            found |= {
                name.id for name in ast.walk(child) if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)
            }
    return found


def _changes(node: ast.stmt) -> set[str]:
    """The names whose objects a statement changes: by item, attribute, method, or an operator such as `+=`."""
    found = set[str]()
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return found
    for child in ast.walk(node):
        if isinstance(child, ast.Subscript | ast.Attribute) and not isinstance(child.ctx, ast.Load):
            found.add(_root(child))
        elif isinstance(child, ast.Call) and isinstance(child.func, ast.Attribute):
            found.add(_root(child.func))
    return found - {""}


def _root(node: ast.expr) -> str:
    """The name that a chain of attributes, items and calls begins with; empty when it begins otherwise."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def _uses(node: ast.stmt) -> set[str]:
    """The global names that a statement reads, in the bodies of its functions too; their own variables are not among them."""
    table = symtable.symtable(ast.unparse(ast.Module([node], [])), "<completion>", "exec")
    return set(_global_names(table, top=True))


def _global_names(table: symtable.SymbolTable, *, top: bool) -> Iterator[str]:
    for symbol in table.get_symbols():
        if symbol.is_referenced() and (top or symbol.is_global()):
            yield symbol.get_name()
    for child in table.get_children():
        yield from _global_names(child, top=False)

"""What of a program a function needs, in the program's own text.

Kept are the statements that bind or change what the function uses, and those that may fill it by way of others: a call of a function
that appends to a table, a loop over its rows, a decorator that registers. Such a statement is dropped all the same where it is a use
of the function itself (an example, a test, a `main`), since what a model shows of its program is no part of it.
"""

from __future__ import annotations

import ast
import builtins
from collections import defaultdict
from collections.abc import Collection, Sequence
from functools import cached_property

from mtp_eval.tasks.python_text import parse
from mtp_eval.tasks.statements import (
    binds,
    changed_globals,
    changes,
    evaluated,
    is_definition,
    is_import,
    is_main,
    is_setting,
    root,
    text_of,
    touched,
    uses,
)

LEAVES = frozenset({"input", "exit", "quit"})
"""Names of what a use of a program does, and no preparation."""
BINDS_ANYTHING = frozenset({"exec", "globals"})


def missing_names(source: str) -> set[str]:
    """The global names that a text uses and does not bind, builtins among them."""
    tree, lines = parse(source), source.split("\n")
    used = {name for node in tree.body for name in uses(node, lines)}
    return used - {name for node in tree.body for name in binds(node)}


def needed_statements(source: str, names: set[str], *, imports: bool = True) -> str:
    """Imports and settings, and the statements that define, fill or change these names or what they need, in their own text.

    Args:
        source: text that parses.
        names: what is wanted of it.
        imports: whether imports are kept that nothing needs.
    """
    tree = parse(source)
    modules = {name for node in tree.body if is_import(node) for name in binds(node)}
    reach = Reach(tree.body, source.split("\n"))
    rest = [Statement(node, modules, reach) for node in tree.body if not is_main(node)]
    wanted, kept = set(names), list[Statement]()
    while True:
        new, others, free = list[Statement](), list[Statement](), wanted - reach.bound
        for one in rest:
            serves = (imports and one.is_frame) or one.serves(wanted, free, names)
            (new if serves else others).append(one)
        if not new:
            return _text_of(reach.lines, [one.node for one in kept])
        kept, rest = kept + new, others
        wanted |= {name for one in new for name in one.concerns}


class Reach:
    """Which names code gets at when it runs, through the functions and classes of the program."""

    def __init__(self, body: Collection[ast.stmt], lines: Sequence[str]) -> None:
        self.lines = lines
        self.bound = {name for node in body for name in binds(node)} | set(dir(builtins))
        self.definitions: defaultdict[str, list[ast.stmt]] = defaultdict(list)
        for node in body:
            if is_definition(node):
                for name in binds(node):
                    self.definitions[name].append(node)
        self.stands_for: defaultdict[str, set[str]] = defaultdict(set)
        for node in body:
            if isinstance(node, ast.Assign) and (name := root(node.value)):
                for alias in binds(node):
                    self.stands_for[alias].add(name)
        self.known: dict[str, tuple[set[str], set[str]]] = {}

    def __call__(self, names: Collection[str]) -> tuple[set[str], set[str]]:
        """All names that these lead to, and the global ones among them whose value or state may change on the way."""
        found, changed, todo = set(names), set[str](), list(names)
        while todo:
            for name in self._of(todo.pop(), changed) - found:
                found.add(name)
                todo.append(name)
        return found, changed

    def objects(self, names: Collection[str]) -> set[str]:
        """These names and those for whose objects they may stand: `rows` after `row = rows[0]`."""
        found, todo = set(names), list(names)
        while todo:
            for name in self.stands_for.get(todo.pop(), set()) - found:
                found.add(name)
                todo.append(name)
        return found

    def _of(self, name: str, changed: set[str]) -> set[str]:
        if name not in self.definitions:
            return set()
        if name not in self.known:
            nodes = self.definitions[name]
            self.known[name] = (
                {used for node in nodes for used in uses(node, self.lines)},
                {one for node in nodes for one in changed_globals(node, self.lines)},
            )
        used, own = self.known[name]
        changed |= own
        return used


class Statement:
    """A top-level statement, with what it does; what costs time is looked at only where it decides."""

    def __init__(self, node: ast.stmt, modules: set[str], reach: Reach) -> None:
        self.node, self.modules, self.reach = node, modules, reach
        self.is_frame = is_import(node) or is_setting(node, modules)
        self.binds, self.changes = binds(node), changes(node) - modules

    @cached_property
    def concerns(self) -> set[str]:
        """The names that it reads, and those that it binds: what is done to these later may be what fills a table (a thread, started)."""
        return uses(self.node, self.reach.lines) | (self.binds - self.modules)

    @cached_property
    def _runs(self) -> tuple[set[str], set[str]]:
        """The names that it gets at when it runs, and those that may be changed by it."""
        parts = evaluated(self.node)
        names = {child.id for part in parts for child in ast.walk(part) if isinstance(child, ast.Name)}
        found, changed = self.reach(names)
        return found, self.reach.objects(changed | touched(parts)) - self.modules

    def serves(self, wanted: set[str], free: set[str], names: Collection[str]) -> bool:
        """Whether what is wanted may depend on it.

        Args:
            free: names that are wanted and bound by no statement.
            names: what was asked for at first.
        """
        if isinstance(self.node, ast.Assert):
            return False
        if self.binds & wanted or (free and "*" in self.binds):
            return True
        found, changed = self._runs
        if self.changes & wanted:
            return not (self._tests and found & set(names))
        if not (changed & wanted or (free and found & BINDS_ANYTHING)):
            return False
        return not (found & (LEAVES | set(names)) or self._tests)

    @cached_property
    def _tests(self) -> bool:
        walked = [child for part in evaluated(self.node) for child in ast.walk(part)]
        return any(
            isinstance(child, ast.Assert) or (isinstance(child, ast.Attribute) and child.attr == "exit")
            for child in walked
        )


def _text_of(lines: Sequence[str], nodes: Collection[ast.stmt]) -> str:
    """The lines of these statements, in the text's order."""
    chosen = set[int]()
    for node in nodes:
        last = node.end_lineno or node.lineno
        chosen |= set(range(last - len(text_of(node, lines)), last))
    return "".join(f"{lines[number]}\n" for number in sorted(chosen))

"""Decide by their text where tests run, if no reference does: from outside or in the program's own interpreter.

From outside only where the tests do nothing with a program but call it with values that they make themselves and compare
the answers with such values. Whatever else they do (attributes of answers, identity, exceptions, functions handed over,
classes, patches) means the same as in plain Python only in the program's own interpreter. When in doubt: there.

The reading is by kinds: what a name holds is made by the tests, an iterator of theirs, an answer of the program's, or a
function, the program's or their own.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence

from mtp_eval.sandbox.trusted.calls import Calls
from mtp_eval.sandbox.trusted.kinds import Inside, Kind, Scope
from mtp_eval.sandbox.trusted.plain_names import MODULES
from mtp_eval.sandbox.trusted.plain_names import is_constant as is_constant_of


def why_inside(trees: Sequence[ast.Module], wanted: Sequence[str]) -> str:
    """Why tests have to run in the program's own interpreter; empty where they can be judged from outside.

    Args:
        trees: the prelude's and the tests' text, parsed.
        wanted: the names that they want from a program.
    """
    if not wanted:
        return "the tests call nothing of the program's"
    reader = _Reader()
    scope: Scope = dict.fromkeys(wanted, Kind.FUNCTION)
    try:
        names = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Name)]
        read = {node.id for node in names if isinstance(node.ctx, ast.Load)} | {"METADATA"}
        for tree in trees:
            _refuse_names_for_the_program(tree, read)
            reader.block(tree.body, scope)
        if not reader.sharing.n_calls:
            raise Inside("the tests call nothing of the program's")
        if name := reader.sharing.given_and_changed():
            raise Inside(f"{name} is changed and given to the program")
    except Inside as reason:
        return str(reason)
    except RecursionError:
        return "the tests are nested too deeply to be read"
    return ""


class _Reader(Calls):
    """Goes through statements; whatever it does not know raises `Inside`."""

    def __init__(self) -> None:
        super().__init__()
        self._returned: list[Kind] = []

    def block(self, statements: Sequence[ast.stmt], scope: Scope) -> None:
        """Read statements in their order."""
        for statement in statements:
            read = getattr(self, f"_{type(statement).__name__.lower()}", None)
            if read is None:
                raise Inside(f"line {statement.lineno}: {type(statement).__name__.lower()}")
            try:
                read(statement, scope)
            except Inside as reason:
                text = str(reason)
                raise Inside(text if text.startswith("line ") else f"line {statement.lineno}: {text}") from None

    def _pass(self, statement: ast.stmt, scope: Scope) -> None:
        pass

    _break = _continue = _pass

    def _import(self, statement: ast.Import, scope: Scope) -> None:
        for alias in statement.names:
            self._module(alias.name)
            name = alias.asname or alias.name.partition(".")[0]
            module, _, path = alias.name.partition(".")
            self.bind(ast.Name(name, ast.Store()), Kind.OBJECT, scope)
            self.modules[name] = module, tuple(path.split(".")) if path and alias.asname else ()

    def _importfrom(self, statement: ast.ImportFrom, scope: Scope) -> None:
        self._module(statement.module or "")
        for alias in statement.names:
            name = alias.asname or alias.name
            module, _, path = (statement.module or "").partition(".")
            is_constant = not path and is_constant_of(module, alias.name)
            self.bind(ast.Name(name, ast.Store()), Kind.OWN if is_constant else Kind.OBJECT, scope)
            self.modules[name] = module, (*(path.split(".") if path else ()), alias.name)

    def _module(self, name: str) -> None:
        if name.partition(".")[0] not in MODULES:
            raise Inside(f"uses the module {name}")

    def _expr(self, statement: ast.Expr, scope: Scope) -> None:
        self.kind(statement.value, scope)

    def _assert(self, statement: ast.Assert, scope: Scope) -> None:
        if self.kind(statement.test, scope) is Kind.FUNCTION:
            raise Inside("asserts a function")

    def _raise(self, statement: ast.Raise, scope: Scope) -> None:
        pass

    def _return(self, statement: ast.Return, scope: Scope) -> None:
        self._returned.append(self.kind(statement.value, scope) if statement.value else Kind.OWN)

    def _assign(self, statement: ast.Assign, scope: Scope) -> None:
        kind = self.kind(statement.value, scope)
        for target in statement.targets:
            self.bind(target, kind, scope, statement.value)

    def _annassign(self, statement: ast.AnnAssign, scope: Scope) -> None:
        if statement.value is not None:
            self.bind(statement.target, self.kind(statement.value, scope), scope, statement.value)

    def _augassign(self, statement: ast.AugAssign, scope: Scope) -> None:
        if isinstance(statement.target, ast.Name):
            before = ast.Name(statement.target.id, ast.Load())
            kind = self._values([before, statement.value], scope)
            self.sharing.change(before)
            self.bind(statement.target, kind, scope, ast.BinOp(before, statement.op, statement.value))
        else:
            self.bind(statement.target, self.kind(statement.value, scope), scope)

    def _for(self, statement: ast.For, scope: Scope) -> None:
        kind = self.iterated(statement.iter, scope)
        without = dict(scope)
        for _ in range(2):  # what the body makes of a name holds in its next round
            self.bind(statement.target, kind, scope)
            self.block(statement.body, scope)
        self._join(scope, without)
        self.block(statement.orelse, scope)

    def _if(self, statement: ast.If | ast.While, scope: Scope) -> None:
        self.kind(statement.test, scope)
        otherwise = dict(scope)
        self.block(statement.body, scope)
        self.block(statement.orelse, otherwise)
        self._join(scope, otherwise)

    def _join(self, scope: Scope, other: Scope) -> None:
        """Make of a scope what holds whichever of two ways was taken."""
        for name, held in other.items():
            mine = scope.setdefault(name, held)
            if mine is held:
                continue
            if not isinstance(mine, Kind) or not isinstance(held, Kind) or Kind.FUNCTION in (mine, held):
                raise Inside(f"{name} is one of two things")
            scope[name] = Kind.ANSWER if Kind.ANSWER in (mine, held) else self.most([mine, held])

    def _while(self, statement: ast.While, scope: Scope) -> None:
        self._if(statement, scope)
        self._if(statement, scope)

    def _functiondef(self, statement: ast.FunctionDef, scope: Scope) -> None:
        arguments = statement.args
        if statement.decorator_list or arguments.vararg or arguments.kwarg or arguments.kwonlyargs:
            raise Inside(f"the signature of {statement.name}")
        scope[statement.name] = statement

    def result_of(self, function: ast.FunctionDef, scope: Scope) -> Kind:
        """What a function of the tests' own gives back."""
        before, self._returned = self._returned, []
        self.block(function.body, scope)
        found, self._returned = self._returned, before
        return self.most(found)


def _refuse_names_for_the_program(tree: ast.Module, read: set[str]) -> None:
    """A global that the tests set and never read is meant for the program, which sees it in its own interpreter only."""
    for statement in tree.body:
        for name in _names_set(statement):
            if name not in read:
                raise Inside(f"line {statement.lineno}: sets {name}, which only the program could read")


def _names_set(statement: ast.stmt) -> list[str]:
    if isinstance(statement, ast.FunctionDef):
        return [statement.name]
    if isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
        stored = [node for node in ast.walk(statement) if isinstance(node, ast.Name)]
        return [node.id for node in stored if isinstance(node.ctx, ast.Store)]
    return []

"""Kinds of values that expressions of trusted tests hold: something of the tests' own, an answer of the program's, or a function."""

from __future__ import annotations

import ast
import builtins
from abc import ABC, abstractmethod
from collections.abc import Sequence
from enum import Enum

from mtp_eval.sandbox.trusted.plain_names import (
    BUILTINS,
    CARRIED_TYPES,
    CHANGING,
    IN_CONTEXT,
    ITERATORS,
    OF_ANSWERS,
    called,
    is_exception,
    is_plain,
    named,
)
from mtp_eval.sandbox.wire.codec import PURE_BUILTINS

_PLAIN = frozenset((None, True, False, ...))
_MAX_DEPTH = 30


class Kind(Enum):
    """The kind of value that a name or an expression of the tests holds."""

    OWN = 0
    """A plain value of the tests' own."""
    ITERATOR = 1
    OBJECT = 2
    """Something of the tests' own that may be no plain value."""
    ANSWER = 3
    FUNCTION = 4


class Inside(Exception):  # noqa: N818
    """The tests have to run in the program's own interpreter; the message says why."""


Scope = dict[str, "Kind | ast.FunctionDef"]


class Expressions(ABC):
    """Reads expressions with a scope; whatever it does not know raises `Inside`."""

    def __init__(self) -> None:
        self.given: set[str] = set()
        self.changed: set[str] = set()
        self._given_at: dict[str, int] = {}
        """By which call a name was given to the program last."""
        self._is_giving = False
        self.n_calls = 0
        self.modules: dict[str, str] = {}
        """Where an imported name comes from."""
        self._answered: dict[str, int] = {}
        self._depth = 0

    @abstractmethod
    def result_of(self, function: ast.FunctionDef, scope: Scope) -> Kind:
        """The kind of value that a function of the tests' own returns, its arguments being in the scope."""

    def bind(self, target: ast.expr, kind: Kind, scope: Scope) -> None:
        """Note what an assignment's target holds from now on.

        Raises:
            Inside: the target is none that can be followed from outside.
        """
        if isinstance(target, ast.Name):
            scope[target.id] = kind
            self._answered[target.id] = self.n_calls
            self._given_at.pop(target.id, None)
        elif isinstance(target, ast.Tuple | ast.List) and kind is not Kind.FUNCTION:
            for inner in target.elts:
                self.bind(inner, kind, scope)
        elif isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name):
            self.changed.add(target.value.id)
            if self.most([kind, self.kind(target.value, scope)]) is Kind.ANSWER:
                raise Inside("changes an answer, or stores one")
        else:
            raise Inside("assigns to something other than a name")

    def iterated(self, node: ast.expr, scope: Scope) -> None:
        """Read the expression that a loop iterates over.

        Raises:
            Inside: it is an answer or a function.
        """
        if self.kind(node, scope) in (Kind.ANSWER, Kind.FUNCTION):
            raise Inside("goes through an answer")

    def kind(self, node: ast.expr, scope: Scope) -> Kind:
        """The kind of value that an expression has.

        Raises:
            Inside: the expression is none that can be followed from outside.
        """
        read = getattr(self, f"_{type(node).__name__.lower()}", None)
        if read is None:
            raise Inside(type(node).__name__.lower())
        found: Kind = read(node, scope)
        return found

    def _values(self, nodes: Sequence[ast.expr | None], scope: Scope) -> Kind:
        """The kind of something made of others, none of which may be a function."""
        return self.most([self.kind(node, scope) for node in nodes if node is not None])

    def most(self, kinds: Sequence[Kind]) -> Kind:
        """The kind of a value that is made of values of these kinds.

        Raises:
            Inside: a function is among them.
        """
        if Kind.FUNCTION in kinds:
            raise Inside("a function used as a value")
        if Kind.ANSWER in kinds:
            return Kind.ANSWER
        return Kind.OBJECT if Kind.OBJECT in kinds else Kind.OWN

    def _constant(self, node: ast.Constant, scope: Scope) -> Kind:
        return Kind.OWN

    def _name(self, node: ast.Name, scope: Scope) -> Kind:
        held = scope.get(node.id)
        if held is Kind.ANSWER and self._answered.get(node.id, self.n_calls) != self.n_calls:
            raise Inside(f"the answer {node.id} is looked at after another call, which may have changed it")
        if not self._is_giving and self._given_at.get(node.id, self.n_calls) != self.n_calls:
            raise Inside(f"{node.id} was given to the program and is looked at after another call")
        if isinstance(held, Kind):
            return held
        if held is not None or not hasattr(builtins, node.id):
            return Kind.FUNCTION
        if node.id not in PURE_BUILTINS and node.id != "Ellipsis":
            raise Inside(f"{node.id} as a value")
        return Kind.OWN

    def _list(self, node: ast.List | ast.Tuple | ast.Set, scope: Scope) -> Kind:
        return self._values(node.elts, scope)

    _tuple = _set = _list

    def _starred(self, node: ast.Starred, scope: Scope) -> Kind:
        return self._values([node.value], scope)

    def _dict(self, node: ast.Dict, scope: Scope) -> Kind:
        return self._values([*node.keys, *node.values], scope)

    def _unaryop(self, node: ast.UnaryOp, scope: Scope) -> Kind:
        return self._values([node.operand], scope)

    def _binop(self, node: ast.BinOp, scope: Scope) -> Kind:
        if not (isinstance(node.left, ast.Constant) and isinstance(node.right, ast.Constant)):
            self._refuse_decimals()
        return self._values([node.left, node.right], scope)

    def _refuse_decimals(self) -> None:
        if "decimal" in self.modules.values():
            raise Inside("computes with decimal numbers, whose context the program can change")

    def _boolop(self, node: ast.BoolOp, scope: Scope) -> Kind:
        return self._values(node.values, scope)

    def _ifexp(self, node: ast.IfExp, scope: Scope) -> Kind:
        return self._values([node.test, node.body, node.orelse], scope)

    def _compare(self, node: ast.Compare, scope: Scope) -> Kind:
        sides = [node.left, *node.comparators]
        kinds = [self.kind(side, scope) for side in sides]
        if kinds.count(Kind.ANSWER) > 1:
            raise Inside("compares answers with one another")
        for op, right in zip(node.ops, node.comparators, strict=True):
            is_plain = isinstance(right, ast.Constant) and right.value in _PLAIN
            is_type = isinstance(right, ast.Name) and right.id in BUILTINS
            if isinstance(op, ast.Is | ast.IsNot) and not is_plain and not is_type:
                raise Inside("identity")
            if not isinstance(op, ast.Is | ast.Eq) and any(called(side) == "type" for side in sides):
                raise Inside("compares a type, and not for being equal")
        return self.most(kinds)

    def _subscript(self, node: ast.Subscript, scope: Scope) -> Kind:
        if self._values([node.value, node.slice], scope) is Kind.ANSWER:
            raise Inside("looks something up in an answer, or by one")
        return Kind.OWN

    def _slice(self, node: ast.Slice, scope: Scope) -> Kind:
        return self._values([node.lower, node.upper, node.step], scope)

    def _attribute(self, node: ast.Attribute, scope: Scope) -> Kind:
        if self.kind(node.value, scope) in (Kind.ANSWER, Kind.FUNCTION):
            raise Inside(f"the attribute {node.attr} of something of the program's")
        if node.attr.startswith("__"):
            raise Inside(f"the attribute {node.attr}")
        return Kind.OWN

    def _listcomp(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp, scope: Scope) -> Kind:
        inner = self._generators(node.generators, scope)
        return self._values([node.elt], inner)

    _setcomp = _listcomp

    def _generatorexp(self, node: ast.GeneratorExp, scope: Scope) -> Kind:
        return Kind.ITERATOR if self._listcomp(node, scope) is Kind.OWN else Kind.ANSWER

    def _dictcomp(self, node: ast.DictComp, scope: Scope) -> Kind:
        return self._values([node.key, node.value], self._generators(node.generators, scope))

    def _generators(self, generators: Sequence[ast.comprehension], scope: Scope) -> Scope:
        inner = dict(scope)
        for generator in generators:
            self.iterated(generator.iter, inner)
            self.bind(generator.target, Kind.OWN, inner)
            self._values(generator.ifs, inner)
        return inner

    # --- calls ---

    def _call(self, node: ast.Call, scope: Scope) -> Kind:
        arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
        function = node.func
        if isinstance(function, ast.Attribute):
            return self._method(function, arguments, scope)
        if not isinstance(function, ast.Name):
            raise Inside("calls something without a name")
        held = scope.get(function.id)
        if isinstance(held, ast.FunctionDef):
            return self._own_function(held, node, scope)
        if held is Kind.FUNCTION:
            if function.id[:1].isupper() and "_" not in function.id:
                raise Inside(f"makes an object of the program's class {function.id}")
            return self._program_function(arguments, scope)
        if held is None and function.id not in BUILTINS and not is_exception(function.id):
            raise Inside(f"calls {function.id}")
        if held is Kind.ANSWER:
            raise Inside("calls an answer")
        if held is None and function.id in IN_CONTEXT:
            self._refuse_decimals()
        if held is None and function.id == "isinstance" and len(arguments) == 2:
            return self._isinstance(arguments, scope)
        if held is None and is_exception(function.id):
            return Kind.OBJECT
        kind = self._values(arguments, scope)
        if kind is Kind.ANSWER and function.id not in OF_ANSWERS:
            raise Inside(f"{function.id} of an answer")
        if kind is not Kind.ANSWER and held is Kind.OWN and not is_plain(self.modules.get(function.id), function.id):
            return Kind.OBJECT
        return Kind.ITERATOR if kind is not Kind.ANSWER and function.id in ITERATORS else kind

    def _isinstance(self, arguments: Sequence[ast.expr], scope: Scope) -> Kind:
        value, types = arguments
        for given in types.elts if isinstance(types, ast.Tuple) else [types]:
            if (given.attr if isinstance(given, ast.Attribute) else getattr(given, "id", "")) not in CARRIED_TYPES:
                raise Inside("asks for a type that answers may have only there")
        return self._values([value, types], scope)

    def _program_function(self, arguments: Sequence[ast.expr], scope: Scope) -> Kind:
        self.n_calls += 1
        for argument in arguments:
            was_giving, self._is_giving = self._is_giving, True
            kind = self.kind(argument, scope)
            self._is_giving = was_giving
            if kind is Kind.FUNCTION:
                raise Inside("gives the program a function")
            if kind in (Kind.ITERATOR, Kind.OBJECT) or isinstance(argument, ast.Attribute):
                raise Inside("gives the program something that is no plain value")
            if kind is Kind.ANSWER:
                raise Inside("gives the program an answer, which it could know again")
            names = named(argument)
            self.given |= names
            self._given_at.update(dict.fromkeys(names, self.n_calls))
        return Kind.ANSWER

    def _method(self, function: ast.Attribute, arguments: Sequence[ast.expr], scope: Scope) -> Kind:
        """A module's function, or a method of a value of the tests' own."""
        self._attribute(function, scope)
        kind = self._values(arguments, scope)
        if function.attr == "seed":
            raise Inside("seeds random numbers")
        receiver = function.value
        if not (isinstance(receiver, ast.Name) and receiver.id in self.modules):
            self._refuse_decimals()
        if isinstance(receiver, ast.Name):
            if kind is Kind.ANSWER and function.attr in ("append", "add", "extend", "insert", "update", "setdefault"):
                raise Inside("stores an answer")
            if function.attr in CHANGING:
                self.changed.add(receiver.id)
            if kind is not Kind.ANSWER and not is_plain(self.modules.get(receiver.id), function.attr):
                return Kind.OBJECT
        return kind

    def _own_function(self, function: ast.FunctionDef, node: ast.Call, scope: Scope) -> Kind:
        names = [argument.arg for argument in function.args.args]
        if any(isinstance(argument, ast.Starred) for argument in node.args) or len(node.args) > len(names):
            raise Inside(f"the call of {function.name}")
        inner: Scope = dict(scope)
        inner.update(dict.fromkeys(names, Kind.OWN))
        for name, argument in zip(names, node.args, strict=False):
            inner[name] = self.kind(argument, scope)
        for keyword in node.keywords:
            inner[keyword.arg or ""] = self.kind(keyword.value, scope)
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise Inside(f"{function.name} calls itself")
        kind = self.result_of(function, inner)
        self._depth -= 1
        return kind

"""Kinds of values that expressions of trusted tests hold: something of the tests' own, an answer of the program's, or a function."""

from __future__ import annotations

import ast
import builtins
from abc import ABC, abstractmethod
from collections.abc import Sequence
from enum import Enum

from mtp_eval.sandbox.trusted import plain_names as names
from mtp_eval.sandbox.trusted.gathered import is_gathered_flat, keeps_answers
from mtp_eval.sandbox.trusted.plain_names import BUILTINS, CARRIED_TYPES, called
from mtp_eval.sandbox.trusted.sharing import Sharing
from mtp_eval.sandbox.wire.codec import PURE_BUILTINS

_PLAIN = frozenset((None, True, False, ...))


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
        self.sharing = Sharing()
        self.modules: dict[str, tuple[str, tuple[str, ...]]] = {}
        """Where an imported name comes from: the module, and the names behind it."""
        self._is_giving = self._is_flat = False

    @abstractmethod
    def _call(self, node: ast.Call, scope: Scope) -> Kind:
        """The kind of value that a call gives."""

    def bind(self, target: ast.expr, kind: Kind, scope: Scope, value: ast.expr | None = None) -> None:
        """Note what an assignment's target holds from now on.

        Raises:
            Inside: the target is none that can be followed from outside.
        """
        if isinstance(target, ast.Name):
            scope[target.id] = kind
            self.modules.pop(target.id, None)
            self.sharing.bind(target.id, value)
        elif isinstance(target, ast.Tuple | ast.List) and kind is not Kind.FUNCTION:
            for inner in target.elts:
                self.bind(inner, kind, scope, value)
        elif isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name):
            self.sharing.change(target.value)
            if self.most([kind, self.kind(target.value, scope)]) is Kind.ANSWER:
                raise Inside("changes an answer, or stores one")
        else:
            raise Inside("assigns to something other than a name")

    def iterated(self, node: ast.expr, scope: Scope) -> Kind:
        """The kind of the items that a loop goes through.

        Raises:
            Inside: it goes through an answer or a function.
        """
        kind = self.kind(node, scope)
        if kind in (Kind.ANSWER, Kind.FUNCTION):
            raise Inside("goes through an answer")
        return Kind.OWN if kind is Kind.ITERATOR else kind

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
        return self.most(self._one_after_another([node for node in nodes if node is not None], scope))

    def _arguments(self, nodes: Sequence[ast.expr], scope: Scope) -> Kind:
        """The same for what a function goes through that is not the program's."""
        kinds = self._one_after_another(nodes, scope)
        return self.most([Kind.OWN if kind is Kind.ITERATOR else kind for kind in kinds])

    def _one_after_another(self, nodes: Sequence[ast.expr], scope: Scope) -> list[Kind]:
        """The kinds of values of which all are held until the last one is there."""
        kinds, held = list[Kind](), False
        for number, node in enumerate(nodes):
            before = self.sharing.n_calls
            kinds.append(self.kind(node, scope))
            if self.sharing.n_calls > before:
                if held:
                    self._refuse_gathering()
                if self.sharing.out_of_hand(nodes[:number], before):
                    raise Inside("looks at what was given to the program, and calls it again before that")
            held = held or (kinds[-1] is Kind.ANSWER and keeps_answers(node))
        return kinds

    def _refuse_gathering(self) -> None:
        if not self._is_flat:
            raise Inside("gathers answers, of which a later call may change an earlier one")

    def most(self, kinds: Sequence[Kind]) -> Kind:
        """The kind of a value that is made of values of these kinds.

        Raises:
            Inside: a function is among them.
        """
        if Kind.FUNCTION in kinds:
            raise Inside("a function used as a value")
        if Kind.ANSWER in kinds and (Kind.OBJECT in kinds or Kind.ITERATOR in kinds):
            raise Inside("an answer together with something that is no plain value")
        if Kind.ANSWER in kinds:
            return Kind.ANSWER
        return Kind.OBJECT if Kind.OBJECT in kinds or Kind.ITERATOR in kinds else Kind.OWN

    def _constant(self, node: ast.Constant, scope: Scope) -> Kind:
        return Kind.OWN

    def _name(self, node: ast.Name, scope: Scope) -> Kind:
        held = scope.get(node.id)
        if held is Kind.ANSWER and self.sharing.answered_before(node.id):
            raise Inside(f"the answer {node.id} is looked at after another call, which may have changed it")
        if not self._is_giving and self.sharing.given_before(node.id):
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
        if any(module == "decimal" for module, _ in self.modules.values()):
            raise Inside("computes with decimal numbers, whose context the program can change")

    def _boolop(self, node: ast.BoolOp, scope: Scope) -> Kind:
        return self._one_of(node.values, scope)

    def _ifexp(self, node: ast.IfExp, scope: Scope) -> Kind:
        return self._one_of([node.test, node.body, node.orelse], scope)

    def _one_of(self, nodes: Sequence[ast.expr], scope: Scope) -> Kind:
        """What is one of these values, the others being forgotten before the next call."""
        kinds = [self.kind(node, scope) for node in nodes]
        return Kind.ANSWER if Kind.ANSWER in kinds and Kind.FUNCTION not in kinds else self.most(kinds)

    def _compare(self, node: ast.Compare, scope: Scope) -> Kind:
        sides = [node.left, *node.comparators]
        if [scope.get(called(side)) for side in sides].count(Kind.FUNCTION) > 1:
            raise Inside("compares answers with one another")
        was_flat, self._is_flat = (
            self._is_flat,
            is_gathered_flat(node, lambda side: scope.get(called(side)) is Kind.FUNCTION),
        )
        kinds = self._one_after_another(sides, scope)
        self._is_flat = was_flat
        if kinds.count(Kind.ANSWER) > 1:
            raise Inside("compares answers with one another")
        if any(called(side) == "type" for side in sides):
            kinds = [Kind.OWN if self._is_carried_type(side) else kind for kind, side in zip(kinds, sides, strict=True)]
        for op, right in zip(node.ops, node.comparators, strict=True):
            is_plain = isinstance(right, ast.Constant) and right.value in _PLAIN
            is_type = isinstance(right, ast.Name) and right.id in BUILTINS
            if isinstance(op, ast.Is | ast.IsNot) and not is_plain and not is_type:
                raise Inside("identity")
            if not isinstance(op, ast.Is | ast.Eq) and any(called(side) == "type" for side in sides):
                raise Inside("compares a type, and not for being equal")
        return self.most(kinds)

    def _subscript(self, node: ast.Subscript, scope: Scope) -> Kind:
        kind = self._values([node.value, node.slice], scope)
        if kind is Kind.ANSWER:
            raise Inside("looks something up in an answer, or by one")
        return kind

    def _slice(self, node: ast.Slice, scope: Scope) -> Kind:
        return self._values([node.lower, node.upper, node.step], scope)

    def _attribute(self, node: ast.Attribute, scope: Scope) -> Kind:
        kind = self.kind(node.value, scope)
        if kind in (Kind.ANSWER, Kind.FUNCTION):
            raise Inside(f"the attribute {node.attr} of something of the program's")
        if node.attr.startswith("__"):
            raise Inside(f"the attribute {node.attr}")
        module, path = self._of_module(node)
        return Kind.OWN if len(path) == 1 and names.is_constant(module, path[0]) else kind

    def _listcomp(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp, scope: Scope) -> Kind:
        before = self.sharing.n_calls
        inner = self._generators(node.generators, scope)
        kind = self._values([node.elt], inner)
        if kind is Kind.ANSWER and self.sharing.n_calls > before and keeps_answers(node.elt):
            self._refuse_gathering()
        return kind

    _setcomp = _listcomp

    def _generatorexp(self, node: ast.GeneratorExp, scope: Scope) -> Kind:
        kind = self._listcomp(node, scope)
        return Kind.ITERATOR if kind is Kind.OWN else kind

    def _dictcomp(self, node: ast.DictComp, scope: Scope) -> Kind:
        before = self.sharing.n_calls
        kind = self._values([node.key, node.value], self._generators(node.generators, scope))
        if kind is Kind.ANSWER and self.sharing.n_calls > before:
            self._refuse_gathering()
        return kind

    def _generators(self, generators: Sequence[ast.comprehension], scope: Scope) -> Scope:
        inner = dict(scope)
        for generator in generators:
            kind = self.iterated(generator.iter, inner)
            self.bind(generator.target, kind, inner)
            self._values(generator.ifs, inner)
        return inner

    def _of_module(self, node: ast.expr) -> tuple[str, tuple[str, ...]]:
        """The module that a dotted name begins with and the names behind it, which are none for anything else."""
        first, *others = names.dotted(node) or [""]
        module, path = self.modules.get(first, ("", ()))
        return (module, (*path, *others)) if module else ("", ())

    def _is_carried_type(self, node: ast.expr) -> bool:
        return bool(dotted := names.dotted(node)) and dotted[-1] in CARRIED_TYPES

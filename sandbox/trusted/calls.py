"""Calls in trusted tests, and the kinds of values that they give: of the program's functions, builtins, modules, the tests' own."""

from __future__ import annotations

import ast
from abc import abstractmethod
from collections.abc import Sequence

from mtp_eval.sandbox.trusted import plain_names as names
from mtp_eval.sandbox.trusted.kinds import Expressions, Inside, Kind, Scope
from mtp_eval.sandbox.trusted.plain_names import BUILTINS, ITERATORS

_MAX_DEPTH = 30


class Calls(Expressions):
    """Reads calls, too."""

    def __init__(self) -> None:
        super().__init__()
        self._depth = 0

    @abstractmethod
    def result_of(self, function: ast.FunctionDef, scope: Scope) -> Kind:
        """The kind of value that a function of the tests' own returns, its arguments being in the scope."""

    def _call(self, node: ast.Call, scope: Scope) -> Kind:
        arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
        function = node.func
        if isinstance(function, ast.Attribute):
            return self._method(node, function, arguments, scope)
        if not isinstance(function, ast.Name):
            raise Inside("calls something without a name")
        held = scope.get(function.id)
        if isinstance(held, ast.FunctionDef):
            return self._own_function(held, node, scope)
        if held is Kind.FUNCTION:
            if function.id[:1].isupper() and "_" not in function.id:
                raise Inside(f"makes an object of the program's class {function.id}")
            return self._program_function(arguments, scope)
        if held is Kind.ANSWER:
            raise Inside("calls an answer")
        if held is not None:
            return self._of_tests(node, arguments, scope)
        if names.is_exception(function.id):
            return Kind.OBJECT
        if function.id not in BUILTINS:
            raise Inside(f"calls {function.id}")
        return self._builtin(node, function.id, arguments, scope)

    def _builtin(self, node: ast.Call, name: str, arguments: Sequence[ast.expr], scope: Scope) -> Kind:
        if name in names.IN_CONTEXT:
            self._refuse_decimals()
        if name == "isinstance" and len(arguments) == 2:
            return self._isinstance(arguments, scope)
        was_flat = self._is_flat
        if len(arguments) == 1 and (
            name == "sum" or (name in ("all", "any") and isinstance(arguments[0], ast.GeneratorExp))
        ):
            self._is_flat = True  # one by one, or numbers
        kind = self._arguments(arguments, scope)
        self._is_flat = was_flat
        if kind is Kind.ANSWER and name not in names.OF_ANSWERS:
            raise Inside(f"{name} of an answer")
        if kind is Kind.OWN and names.is_not_a_number(node):
            return Kind.OBJECT
        return Kind.ITERATOR if kind is Kind.OWN and name in ITERATORS else kind

    def _of_tests(self, node: ast.Call, arguments: Sequence[ast.expr], scope: Scope) -> Kind:
        """A function of a module, or something else that the tests call."""
        module, path = self._of_module(node.func)
        kind = self._arguments(arguments, scope)
        if not path:
            return Kind.ANSWER if kind is Kind.ANSWER else Kind.OBJECT
        if path[-1] in names.OF_ONE_SIDE:
            raise Inside(f"calls {path[-1]}")
        if path[-1] in names.CHANGING_ARGUMENTS:
            for argument in arguments:
                self.sharing.change(argument)
        if kind is not Kind.OWN:
            return kind
        if names.is_iterator(module, path[-1]):
            return Kind.ITERATOR
        is_plain = names.is_plain(module, path) and names.has_simple_type(node) and not names.is_not_a_number(node)
        return Kind.OWN if is_plain else Kind.OBJECT

    def _method(self, node: ast.Call, function: ast.Attribute, arguments: Sequence[ast.expr], scope: Scope) -> Kind:
        """A module's function, or a method of a value of the tests' own."""
        of_module = bool(self._of_module(function)[1])
        receiver = self._attribute(function, scope)
        if of_module:
            return self._of_tests(node, arguments, scope)
        self._refuse_decimals()
        kind = self._arguments(arguments, scope)
        if kind is Kind.ANSWER and function.attr in ("append", "add", "extend", "insert", "update", "setdefault"):
            raise Inside("stores an answer")
        if function.attr in names.OF_ONE_SIDE:
            raise Inside(f"calls {function.attr}")
        if function.attr in names.CHANGING:
            self.sharing.change(function.value)
        return self.most([kind, receiver])

    def _isinstance(self, arguments: Sequence[ast.expr], scope: Scope) -> Kind:
        value, types = arguments
        for given in types.elts if isinstance(types, ast.Tuple) else [types]:
            if not self._is_carried_type(given):
                raise Inside("asks for a type that answers may have only there")
        return self.kind(value, scope)

    def _program_function(self, arguments: Sequence[ast.expr], scope: Scope) -> Kind:
        was_giving, self._is_giving = self._is_giving, True
        kinds = [self.kind(argument, scope) for argument in arguments]
        self._is_giving = was_giving
        self.sharing.n_calls += 1
        for argument, kind in zip(arguments, kinds, strict=True):
            if kind is Kind.FUNCTION:
                raise Inside("gives the program a function")
            if kind in (Kind.ITERATOR, Kind.OBJECT) or isinstance(argument, ast.Attribute):
                raise Inside("gives the program something that is no plain value")
            if kind is Kind.ANSWER:
                raise Inside("gives the program an answer, which it could know again")
            self.sharing.give(argument)
        return Kind.ANSWER

    def _own_function(self, function: ast.FunctionDef, node: ast.Call, scope: Scope) -> Kind:
        parameters = [argument.arg for argument in function.args.args]
        if any(isinstance(argument, ast.Starred) for argument in node.args) or len(node.args) > len(parameters):
            raise Inside(f"the call of {function.name}")
        given = [*zip(parameters, node.args, strict=False), *((word.arg or "", word.value) for word in node.keywords)]
        kinds = [self.kind(value, scope) for _, value in given]
        inner: Scope = dict(scope)
        inner.update(dict.fromkeys(parameters, Kind.OWN))
        for (name, value), kind in zip(given, kinds, strict=True):
            self.bind(ast.Name(name, ast.Store()), kind, inner, value)
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise Inside(f"{function.name} calls itself")
        found = self.result_of(function, inner)
        self._depth -= 1
        return found

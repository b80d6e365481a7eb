"""Calls that tests are sure to make, with arguments that stand in their text: they can be sent along with the program.

The program then works through them while the tests check the first answers, which saves two switches between processes a
call. No answer of a program has any part in them, neither in their arguments nor in whether they are made: they are the
calls that come first when one reads the tests from above, up to the first statement that is anything but a plain
assert. The link compares each call that the tests really make with the one that was sent.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mtp_eval.sandbox.trusted.plain_names import OF_ANSWERS
from mtp_eval.sandbox.trusted.proxies import Unsendable, encode_argument
from mtp_eval.sandbox.wire.codec import encode
from mtp_eval.sandbox.wire.frames import NotEncodable, to_json

MAX_CALLS, MAX_CHARS = 200, 64 << 10
_HARMLESS = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)


class _Stop(Exception):  # noqa: N818
    """From here on, what the tests call cannot be told from their text."""


def calls_ahead(prelude: ast.Module, tests: ast.Module, wanted: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """The calls in their order: the name that is called, and the arguments as they go over the wire."""
    if not all(isinstance(statement, _HARMLESS) for statement in prelude.body):
        return ()
    found, n_chars = list[tuple[str, str]](), 0
    for name, call in _calls(tests.body, wanted):
        try:
            text = arguments_text(*_literal(call))
        except (_Stop, NotEncodable, Unsendable):
            break
        n_chars += len(text)
        if len(found) == MAX_CALLS or n_chars > MAX_CHARS:
            break
        found.append((name, text))
    return tuple(found) if len(found) > 1 else ()


def arguments_text(args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """Arguments as they go over the wire: all values, then the names of the last ones."""
    return to_json([[encode(value, encode_argument) for value in (*args, *kwargs.values())], list(kwargs)])


def _literal(call: ast.Call) -> tuple[list[Any], dict[str, Any]]:
    try:
        args = [ast.literal_eval(argument) for argument in call.args]
        return args, {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords if keyword.arg}
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        raise _Stop from None


def _calls(body: Sequence[ast.stmt], wanted: Sequence[str]) -> Iterator[tuple[str, ast.Call]]:
    functions: dict[str, ast.FunctionDef] = {}
    try:
        for statement in body:
            match statement:
                case ast.FunctionDef(name=name, decorator_list=[]) if name not in wanted:
                    functions[name] = statement
                case ast.Assign(targets=[ast.Name(id=name)], value=value) if name not in wanted:
                    _literal(ast.Call(ast.Name(name, ast.Load()), [value], []))
                case ast.Expr(value=ast.Constant()):
                    pass
                case ast.Assert(test=test):
                    yield from _in_assert(test, {name: name for name in wanted})
                case ast.Expr(value=ast.Call(func=ast.Name(id=name), args=[ast.Name(id=given)], keywords=[])):
                    yield from _in_check(functions.get(name), given, wanted)
                    return
                case _:
                    return
    except _Stop:
        return


def _in_check(function: ast.FunctionDef | None, given: str, wanted: Sequence[str]) -> Iterator[tuple[str, ast.Call]]:
    """The calls of `check(f)`, where `def check(candidate):` begins with asserts."""
    if function is None or given not in wanted or len(function.args.args) != 1:
        raise _Stop
    names = {function.args.args[0].arg: given}
    for statement in function.body:
        match statement:
            case ast.Assert(test=test):
                yield from _in_assert(test, names)
            case ast.Expr(value=ast.Constant()):
                pass
            case _:
                raise _Stop


def _in_assert(test: ast.expr, names: Mapping[str, str]) -> Iterator[tuple[str, ast.Call]]:
    """The one call of an assert that surely makes one, and nothing else of the program's."""
    calls = [node for node in ast.walk(test) if isinstance(node, ast.Call)]
    of_program = [node for node in calls if isinstance(node.func, ast.Name) and node.func.id in names]
    others = [node for node in calls if node not in of_program]
    plain = all(isinstance(node.func, ast.Name) and node.func.id in OF_ANSWERS for node in others)
    if len(of_program) != 1 or not plain or not _is_sure(test, of_program[0]):
        raise _Stop
    (call,) = of_program
    assert isinstance(call.func, ast.Name)
    yield names[call.func.id], call


def _is_sure(node: ast.expr, call: ast.Call) -> bool:
    """Whether evaluating an expression is sure to come to a call."""
    match node:
        case ast.Call() if node is call:
            return True
        case ast.Compare(left=left, comparators=[right]):
            return _is_sure(left, call) or _is_sure(right, call)
        case ast.UnaryOp(operand=operand):
            return _is_sure(operand, call)
        case ast.BinOp(left=left, right=right):
            return _is_sure(left, call) or _is_sure(right, call)
        case ast.Call(args=args):
            return any(_is_sure(argument, call) for argument in args)
        case _:
            return False

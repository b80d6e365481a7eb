"""Answers of several calls at once: where a later call cannot have changed an earlier answer, or where that would not matter."""

from __future__ import annotations

import ast
from collections.abc import Callable

from mtp_eval.sandbox.trusted.plain_names import MAKES_ATOMS, called


def keeps_answers(node: ast.expr) -> bool:
    """Whether a value that was made of an answer may be that answer, or hold it."""
    if isinstance(node, ast.Compare) or (isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)):
        return False
    return called(node) not in MAKES_ATOMS


def is_gathered_flat(node: ast.Compare, is_program: Callable[[ast.expr], bool]) -> bool:
    """Whether a comparison can only hold if all answers in it are numbers, texts and the like: `[f(1), f(2)] == [3, 4]`.

    Nobody can change these, so that it does not matter in which order calls are made and answers looked at.
    """
    if len(node.ops) != 1:
        return False
    left, right = node.left, node.comparators[0]
    return any(
        (_is_constant(wanted) and _is_sum(gathered, is_program))
        or (_is_row(wanted, _is_constant) and _is_row(gathered, lambda item: _is_constant(item) or is_program(item)))
        for gathered, wanted in ((left, right), (right, left))
    )


def _is_constant(node: ast.expr) -> bool:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        node = node.operand
    return isinstance(node, ast.Constant)


def _is_row(node: ast.expr, is_item: Callable[[ast.expr], bool]) -> bool:
    match node:
        case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Set(elts=items):
            return all(map(is_item, items))
        case ast.ListComp(elt=item) | ast.SetComp(elt=item):
            return is_item(item)
    return False


def _is_sum(node: ast.expr, is_program: Callable[[ast.expr], bool]) -> bool:
    match node:
        case ast.BinOp(left=left, right=right):
            return _is_sum(left, is_program) and _is_sum(right, is_program)
        case ast.Call(func=ast.Name(id="max" | "min"), args=items, keywords=[]):
            return all(_is_sum(item, is_program) for item in items)
    return _is_constant(node) or is_program(node)

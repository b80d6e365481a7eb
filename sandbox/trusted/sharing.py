"""Which names of trusted tests may stand for objects that the program could hold on to, and what was done with them.

An object that was given to a program can be changed there by any later call; from outside that would not be seen. Names
that may stand for one object, or for parts of one, are kept together.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable

from mtp_eval.sandbox.trusted.plain_names import MAKES_ATOMS, called, named


class Sharing:
    """Account of names, kept while the tests' text is read from above."""

    def __init__(self) -> None:
        self.n_calls = 0
        """Calls of the program so far."""
        self._given: set[str] = set()
        self._changed: set[str] = set()
        self._given_at: dict[str, int] = {}
        self._answered: dict[str, int] = {}
        self._atoms: set[str] = set()
        self._together: dict[str, set[str]] = {}

    def bind(self, name: str, value: ast.expr | None) -> None:
        """A name holds something new; None is one of several items, which cannot be told apart."""
        others = {other for other in named(value) if other not in self._atoms} - {name} if value is not None else set()
        is_atom = value is not None and self._is_atom(value)
        self._together.pop(name, set()).discard(name)
        self._given_at.pop(name, None)
        self._answered[name] = self.n_calls
        self._atoms.discard(name)
        if is_atom:
            self._atoms.add(name)
            return
        group = {name}.union(*(self._group(other) for other in others))
        for member in group:
            self._together[member] = group
        latest = [self._given_at[member] for member in group if member in self._given_at]
        if latest:
            self._given_at[name] = max(latest)

    def give(self, argument: ast.expr) -> None:
        """An argument of a call of the program's that was just counted."""
        for name in self._held(argument):
            self._given.add(name)
            self._given_at[name] = self.n_calls

    def change(self, target: ast.expr) -> None:
        """The tests change something in place."""
        self._changed |= self._held(target)

    def given_and_changed(self) -> str:
        """A name of which both is true, or an empty text."""
        return min(self._given & self._changed, default="")

    def given_before(self, name: str) -> bool:
        """Whether another call was made since the name was given."""
        return self._given_at.get(name, self.n_calls) != self.n_calls

    def answered_before(self, name: str) -> bool:
        """Whether another call was made since the name got what it holds."""
        return self._answered.get(name, self.n_calls) != self.n_calls

    def out_of_hand(self, nodes: Iterable[ast.expr], n_calls: int) -> bool:
        """Whether one of these holds what was given by then."""
        names = {name for node in nodes for name in named(node)}
        return any(self._given_at.get(name, n_calls + 1) <= n_calls for name in names)

    def _held(self, node: ast.expr) -> set[str]:
        names = named(node) - self._atoms
        return names.union(*(self._group(name) for name in names))

    def _group(self, name: str) -> set[str]:
        return self._together.get(name, {name})

    def _is_atom(self, node: ast.expr) -> bool:
        """Whether a value is surely a number, a text or the like, which nobody can change."""
        match node:
            case ast.Constant():
                return True
            case ast.Name(id=name):
                return name in self._atoms
            case ast.UnaryOp(operand=operand):
                return self._is_atom(operand)
            case ast.BinOp(left=left, right=right):
                return self._is_atom(left) and self._is_atom(right)
            case ast.Compare():
                return True
        return called(node) in MAKES_ATOMS

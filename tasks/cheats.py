"""Programs that know nothing of the problem, for the self-test of a task: its tests must refuse them.

A constant can be right by chance where all of a problem's tests expect the same value; how often says how weak the
tests are. The always-equal object must never pass, and None only where it is the right answer.
"""

from __future__ import annotations

import ast

from mtp_eval.tasks.extract import parse
from mtp_eval.tasks.problem import Problem

PRINTS_INPUT = "import sys\nprint(sys.stdin.read())\n"
ALWAYS_EQUAL = """
class Equal:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __lt__(self, other): return True
    __le__ = __gt__ = __ge__ = __lt__
    def __hash__(self): return 0
    def __bool__(self): return True
    def __len__(self): return 1
    def __abs__(self): return 0
    def __iter__(self): return iter(())
    def __getattr__(self, name): return self
    def __call__(self, *args, **kwargs): return self
    def __sub__(self, other): return 0
    __rsub__ = __add__ = __radd__ = __mul__ = __rmul__ = __round__ = __sub__
"""


def function_returning(problem: Problem, expression: str, before: str = "") -> str:
    """A whole program whose entry point takes anything and returns an expression."""
    return f"{before}\ndef {problem.entry_point}(*args, **kwargs):\n    return {expression}\n"


def returns_always_equal(problem: Problem) -> str:
    """A program that returns an object which says that it is equal to everything."""
    return function_returning(problem, "Equal()", before=ALWAYS_EQUAL)


def shown_constant(tests: str) -> str:
    """The value that the first assert of these tests expects, as Python text; "0" where no assert shows one."""
    for node in ast.walk(parse(tests)):
        if isinstance(node, ast.Assert) and isinstance(node.test, ast.Compare):
            try:
                return repr(ast.literal_eval(node.test.comparators[0]))
            except ValueError:
                continue
    return "0"


def returns_remembered(problem: Problem, calls: list[tuple[str, str]]) -> str:
    """A program that looks its answer up in known calls (repr of the argument tuple, repr of the answer); None elsewhere."""
    table = ", ".join(f"{arguments!r}: {answer}" for arguments, answer in calls)
    return f"TABLE = {{{table}}}\ndef {problem.entry_point}(*args):\n    return TABLE.get(repr(args))\n"

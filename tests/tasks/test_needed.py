"""What `definitions` keeps of a program and what it drops: a program whose answer was right stays right, whatever fills its tables.

Every program was written for this test, with what is right decided before it was tried. The oracle runs what is left.
"""

# ruff: noqa: E501  (each input on one line)

from __future__ import annotations

import ast
import re
import sys
import sysconfig
import types
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from mtp_eval.tasks.extract import Asked, compiles, rule_named
from mtp_eval.tasks.needed import Reach, needed_statements
from tests.tasks.test_unusual_answers import ALONE, GO_ON, RIGHT, block, result

FROM_T = "def total(xs):\n    return sum(T[x] for x in xs)\n"
PLUS_K = "def total(xs):\n    return sum(xs) + K - 3\n"

NEEDED = {
    # names
    "a constant behind the function": "def total(xs):\n    return sum(xs) + K\n\nK = 0\n",
    "a name bound within an expression": f"T = (K := 3)\n\n{PLUS_K}",
    "a name bound within a condition": f"if (K := 3) > 2:\n    pass\n\n{PLUS_K}",
    "a name bound by a loop": f"for K in range(4):\n    pass\n\n{PLUS_K}",
    "names unpacked": "a, (b, *c) = 1, (2, 3)\n\ndef total(xs):\n    return sum(xs) + a + b + c[0] - 6\n",
    "a name bound by a pattern": f"match 3:\n    case K:\n        pass\n\n{PLUS_K}",
    "a name bound by a pattern with `as`": f"match [3]:\n    case [int() as K]:\n        pass\n\n{PLUS_K}",
    "a name bound by the rest of a pattern": "match [1, 2, 3]:\n    case [_, *K]:\n        pass\n\ndef total(xs):\n    return sum(xs) + len(K) - 2\n",
    "a name bound by the rest of a mapping": "match {'a': 1, 'b': 2}:\n    case {'a': 1, **K}:\n        pass\n\ndef total(xs):\n    return sum(xs) + len(K) - 1\n",
    "a variable of a comprehension is another": f"K = 3\nT = [K for K in range(9)]\n\n{PLUS_K}",
    "a default": "K = 0\n\ndef total(xs, start=K):\n    return sum(xs, start)\n",
    "a star import": "from math import *\n\ndef total(xs):\n    return int(fsum(xs))\n",
    "a star import that may fail": "try:\n    from math import *\nexcept ImportError as error:\n    raise SystemError from error\n\ndef total(xs):\n    return int(fsum(xs))\n",
    "a name that a class takes over": "K = 0\n\nclass A:\n    K = K\n\ndef total(xs):\n    return sum(xs) + A.K\n",
    "an annotation": "class L(list):\n    pass\n\ndef total(xs: L) -> int:\n    return sum(xs)\n",
    "a global set by a call": f"def init():\n    global K\n    K = 3\n\ninit()\n\n{PLUS_K}",
    "a global set by a call of a call": f"def init():\n    global K\n    K = 3\n\ndef start():\n    init()\n\nstart()\n\n{PLUS_K}",
    "a global set through exec": f"exec('K = 3')\n\n{PLUS_K}",
    "a global set through globals": f"globals()['K'] = 3\n\n{PLUS_K}",
    "the function within `with`": "import contextlib\nwith contextlib.suppress(ValueError):\n    def total(xs):\n        return sum(xs)\n",
    "a decorator that is made": "def times(n):\n    def d(f):\n        return lambda xs: f(xs) * n\n    return d\n\n@times(1)\ndef total(xs):\n    return sum(xs)\n",
    # tables that something fills
    "filled by a function": f"T = []\n\ndef fill(n):\n    for i in range(n):\n        T.append(i)\n\nfill(20)\n\n{FROM_T}",
    "filled by a function that is given it": f"def fill(t, n):\n    for i in range(n):\n        t.append(i)\n\nT = []\nfill(T, 20)\n\n{FROM_T}",
    "filled by a function that is given it by name": f"def fill(n, into):\n    into.extend(range(n))\n\nT = []\nfill(20, into=T)\n\n{FROM_T}",
    "filled by a function through another": f"T = []\n\ndef one(i):\n    T.append(i)\n\ndef fill(n):\n    for i in range(n):\n        one(i)\n\nfill(20)\n\n{FROM_T}",
    "filled by calls in a loop": f"T = []\n\ndef one(t, i):\n    t.append(i)\n\nfor i in range(20):\n    one(T, i)\n\n{FROM_T}",
    "filled by a call whose value is kept": f"T = []\n\ndef fill():\n    T.extend(range(20))\n    return len(T)\n\nn = fill()\n\n{FROM_T}",
    "filled by a call that is printed": f"T = []\n\ndef fill():\n    T.extend(range(20))\n\nprint(fill())\n\n{FROM_T}",
    "filled by an object's method": f"T = []\n\nclass Filler:\n    def fill(self):\n        T.extend(range(20))\n\nFiller().fill()\n\n{FROM_T}",
    "filled by a thread": f"import threading\nT = []\n\ndef fill():\n    T.extend(range(20))\n\nt = threading.Thread(target=fill)\nt.start()\nt.join()\n\n{FROM_T}",
    "filled by map": f"T = []\nlist(map(T.append, range(20)))\n\n{FROM_T}",
    "filled by a comprehension": f"T = []\n[T.append(i) for i in range(20)]\n\n{FROM_T}",
    "filled under another name": f"T = []\nS = T\nS.extend(range(20))\n\n{FROM_T}",
    "filled within `with`": f"import contextlib\nT = []\nwith contextlib.suppress(ValueError):\n    T.extend(range(20))\n\n{FROM_T}",
    "filled within `try`": f"T = []\ntry:\n    T.extend(range(20))\nexcept ValueError:\n    pass\n\n{FROM_T}",
    "sorted by a module": "import heapq\nT = [5, 1, 3]\nheapq.heapify(T)\n\ndef total(xs):\n    return sum(xs) + T[0] - 1\n",
    "rows changed in a loop": "T = [[0], [1]]\nfor row in T:\n    row.append(1)\n\ndef total(xs):\n    return sum(xs) + T[0][1] - 1\n",
    "rows changed in a numbered loop": "T = [[0], [1]]\nfor i, row in enumerate(T):\n    row[0] = i + 1\n\ndef total(xs):\n    return sum(xs) + T[0][0] - 1\n",
    "a trie": "T = {}\nfor w in ('ab', 'ac'):\n    node = T\n    for c in w:\n        node = node.setdefault(c, {})\n\ndef total(xs):\n    return sum(xs) + len(T['a']) - 2\n",
    "an item removed": "T = [1, 2]\ndel T[0]\n\ndef total(xs):\n    return sum(xs) + T[0] - 2\n",
    "an attribute of a class": "class P:\n    pass\n\nP.v = 0\n\ndef total(xs):\n    return sum(xs) + P.v\n",
    "an attribute set by name": "class P:\n    pass\n\nsetattr(P, 'v', 0)\n\ndef total(xs):\n    return sum(xs) + P.v\n",
    # registers
    "cases of the function": "import functools\n\n@functools.singledispatch\ndef total(xs):\n    return 0\n\n@total.register\ndef _(xs: list):\n    return sum(xs)\n",
    "functions in a register": "R = {}\n\ndef reg(f):\n    R[f.__name__] = f\n    return f\n\n@reg\ndef plus(a, b):\n    return a + b\n\ndef total(xs):\n    r = 0\n    for x in xs:\n        r = R['plus'](r, x)\n    return r\n",
    "classes in a register": "class Base:\n    subs = []\n    def __init_subclass__(cls):\n        Base.subs.append(cls)\n\nclass A(Base):\n    v = 0\n\ndef total(xs):\n    return sum(xs) + Base.subs[0].v\n",
    # tabs
    "a tab in a string": "def total(xs):\n    return sum(xs) + len('\t') - 1\n",
    "a table with tabs": "T = '1\t2'\n\ndef total(xs):\n    return sum(xs) + len(T.split('\t')) - 2\n",
    "a tab at the margin of a text": "T = '''\n\t1\n'''\n\ndef total(xs):\n\treturn sum(xs) + T.count('\t') - 1\n",
}  # fmt: skip

DROPPED = {
    "a wrong test": f"{RIGHT}\nassert total([1]) == 2\n",
    "wrong tests in a loop": f"CASES = [([1], 2)]\n{RIGHT}\nfor a, b in CASES:\n    assert total(a) == b\n",
    "a wrong test in a function": f"{RIGHT}\ndef test():\n    assert total([1]) == 2\n\ntest()\n",
    "a wrong test that is given the function": f"{RIGHT}\ndef check(f):\n    assert f([1]) == 2\n\ncheck(total)\n",
    "a wrong test of the table": f"T = [0, 1, 2, 3, 4]\n{FROM_T}\nfor x in T:\n    assert total([x]) == x + 1\n",
    "a wrong test of the table alone": f"T = [0, 1, 2, 3, 4]\n{FROM_T}\nassert sorted(T) == [1]\nassert T.index(4) == 0\n",
    "a value that is tested": f"{RIGHT}\nresult = total([1, 2])\nassert result == 4\nprint(input())\n",
    "a main that clears a memo": "memo = {}\ndef total(xs):\n    memo[len(xs)] = 1\n    return sum(xs)\n\ndef main():\n    xs = list(map(int, input().split()))\n    memo.clear()\n    print(total(xs))\n\nmain()\n",
    "a main whose result ends the program": f"import sys\nT = [0, 1, 2, 3, 4]\n{FROM_T}\ndef main():\n    T.reverse()\n\nsys.exit(main())\n",
    "a session with a reader": f"T = [0, 1, 2, 3, 4]\n{FROM_T}\ndef ask():\n    T.append(int(input()))\n\nask()\n",
    "doctests": f"import doctest\n{RIGHT}\ndoctest.testmod()\nprint(input())\n",
    "unittest's main": f"import unittest\n{RIGHT}\nclass T(unittest.TestCase):\n    def test(self):\n        self.assertEqual(total([1]), 2)\n\nunittest.main()\n",
}  # fmt: skip


@pytest.mark.parametrize("name", [*NEEDED, *DROPPED])
@pytest.mark.parametrize("asked", [GO_ON, ALONE], ids=["with a prompt", "alone"])
def test_a_right_program_stays_right(name: str, asked: Asked) -> None:
    program = (NEEDED | DROPPED)[name]
    assert result("definitions", asked, block(program)) == 7


@pytest.mark.parametrize("end", ["\r\n", "\r", "\n\f\n"])
def test_line_ends_are_those_of_python(end: str) -> None:
    program = f"T = []{end}for i in range(20): T.append(i){end}" + FROM_T.replace("\n", end)
    for asked in (GO_ON, ALONE):
        assert result("definitions", asked, program + f"{end}assert 0{end}") == 7


DEEP = {
    "a sum": lambda n: f"T = {' + '.join(['1'] * n)}\n{RIGHT}",
    "a sum that is needed": lambda n: f"T = {' + '.join(['1'] * n)}\n\ndef total(xs):\n    return sum(xs) + T - {n}\n",
    "a chain of methods": lambda n: f"K = 'a'{'.lower()' * n}\n\ndef total(xs):\n    return sum(xs) + len(K) - 1\n",
    "a chain of conditions": lambda n: "x = 5\nif x == 0:\n    K = 3\n" + "".join(f"elif x == {i}:\n    K = 3\n" for i in range(n)) + f"\n{PLUS_K}",
    "conditions within the function": lambda n: "def total(xs):\n    if xs == 0:\n        return 0\n" + "".join(f"    elif xs == {i}:\n        return {i}\n" for i in range(n)) + "    return sum(xs)\n",
}  # fmt: skip
"""What models write that do not come to an end."""


@pytest.mark.parametrize("name", DEEP)
@pytest.mark.parametrize("rule", ["fence", "definitions"])
def test_however_deep_a_program_nests_it_is_read(name: str, rule: str) -> None:
    for n in (300, 1000):
        assert result(rule, ALONE, block(DEEP[name](n))) == 7


@pytest.mark.slow
@pytest.mark.parametrize("name", DEEP)
@pytest.mark.parametrize("rule", ["fence", "definitions", "longest", "stops"])
def test_what_nests_too_deep_for_python_is_no_error_of_ours(name: str, rule: str) -> None:
    source = rule_named(rule).apply(ALONE, block(DEEP[name](10_000))).source
    with pytest.raises((SyntaxError, RecursionError, MemoryError)) if not compiles(source) else nullcontext():
        compile(source, "<extracted>", "exec")


@pytest.mark.parametrize("name", [name for name in NEEDED if name.startswith("filled")])
def test_what_fills_is_dropped_with_the_table(name: str) -> None:
    program = NEEDED[name] + "\ndef other(xs):\n    return sum(xs)\n"
    kept = needed_statements(program, {"other"}, imports=False)
    assert kept == "def other(xs):\n    return sum(xs)\n"


def run(source: str, name: str) -> dict[str, Any]:
    module = types.ModuleType(name)
    sys.modules[name] = module  # dataclasses and enums look for their module
    try:
        exec(compile(source, name, "exec"), module.__dict__)
    finally:
        del sys.modules[name]
    return module.__dict__


def value_of(table: Any) -> Any:
    """Comparable between two modules, whose classes and functions differ."""
    items = sorted(map(repr, table)) if isinstance(table, set) else [repr(table)]
    return [re.sub(r" at 0x[0-9a-f]+|_(?:whole|part)\b", "", item) for item in items]


@pytest.mark.parametrize(
    "name", ["calendar", "fractions", "heapq", "locale", "stat", "statistics", "stringprep", "token", "tokenize"]
)
def test_functions_of_real_modules_find_what_they_use_as_it_is(name: str) -> None:
    source = Path(f"{sysconfig.get_paths()['stdlib']}/{name}.py").read_text("utf-8")
    whole, body = run(source, f"{name}_whole"), ast.parse(source).body
    reach = Reach(body, source.split("\n"))
    for function in [node.name for node in body if isinstance(node, ast.FunctionDef)]:
        part = run(needed_statements(source, {function}), f"{name}_part")
        for used in (reach({function})[0] & whole.keys()) - {"__name__"}:
            assert used in part, (function, used)
            if isinstance(whole[used], list | dict | set | tuple | str | int):
                assert value_of(part[used]) == value_of(whole[used]), (function, used)


@pytest.mark.slow
def test_many_functions_that_call_one_another_take_no_minutes() -> None:
    n = 1500
    chain = "".join(f"def f{i}(x):\n    return f{i + 1}(x)\n" for i in range(n)) + f"def f{n}(x):\n    return x\n"
    calls = "".join(f"f{i}(0)\n" for i in range(n))
    program = f"{chain}T = []\n{calls}def total(xs):\n    return sum(xs) + len(T)\n"
    kept = rule_named("definitions").apply(ALONE, block(program)).source
    assert kept == "T = []\ndef total(xs):\n    return sum(xs) + len(T)\n"

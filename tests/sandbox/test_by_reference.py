"""Where a problem's tests run is decided by its reference, else by their text, and never by a completion."""

from __future__ import annotations

import pytest

from mtp_eval.sandbox import Pool, Program
from mtp_eval.sandbox.by_reference import ByReference, why_inside

OWN_CLASS = "class Node:\n    def __init__(self, v): self.v = v\nassert f(Node(3)) == 3"
VALUES = "assert f(3) == 3"
PATCHED_SLEEP = "from unittest.mock import patch\nwith patch('time.sleep'): assert f() is None"
"""From outside only the worker's own clock is patched, and the program sleeps into its limit."""


def decided(pool: Pool, tests: str, *references: str) -> ByReference:
    executor = ByReference(pool)
    list(executor.judge_references(Program("p", source, tests) for source in references))
    return executor


@pytest.mark.parametrize(
    ("tests", "reference", "inside"),
    [
        (VALUES, "def f(x): return x", False),
        (OWN_CLASS, "def f(n): return n.v", True),
        ("r = f()\nassert r.x == 5", "class C: x = 5\ndef f(): return C()", False),
        ("assert sorted([2, 1], key=f) == [1, 2]", "def f(x): return x", False),
        ("def run(g): return g(f)\nassert run(lambda h: h(2)) == 4", "def f(x): return x * 2", False),
        ("assert f(lambda x: x) == 3", "def f(g): return g(3)", True),
        ("N = 4\nassert f() == 4", "N = 3\ndef f(): return N", True),
        (PATCHED_SLEEP, "import time\ndef f(): time.sleep(1000)", True),
    ],
)
def test_a_reference_decides(pool: Pool, tests: str, reference: str, inside: bool) -> None:
    executor = decided(pool, tests, reference)
    wrong = Program("p", "def f(*a): return None", tests)
    (outcome,) = executor.run([wrong])
    assert outcome.same_interpreter is inside
    assert executor.decided(wrong).same_interpreter is inside


def test_a_reference_that_never_passes_decides_nothing(pool: Pool) -> None:
    executor = decided(pool, VALUES, "def f(x): return 0")
    assert executor.decided(Program("p", "", VALUES)).same_interpreter is None


def test_what_a_program_says_itself_stands(pool: Pool) -> None:
    executor = decided(pool, VALUES, "def f(x): return x")
    (outcome,) = executor.run([Program("p", "def f(x): return x", VALUES, same_interpreter=True)])
    assert outcome.same_interpreter


@pytest.mark.parametrize(("interpreter", "inside"), [("program", True), ("outside", False)])
def test_one_word_decides_for_all(pool: Pool, interpreter: str, inside: bool) -> None:
    executor = ByReference(pool, interpreter)  # type: ignore[arg-type]
    (outcome,) = executor.run([Program("p", "def f(x): return x", VALUES)])
    assert outcome.passed
    assert outcome.same_interpreter is inside


@pytest.mark.parametrize(
    "tests",
    [
        "assert f(2) == 4",
        "assert f([1, 2], k=3) == {'a': (1, 2)} and not f(0)",
        "def check(candidate):\n    assert candidate('a') == 'b'\n    assert abs(candidate(2) - 1.5) < 1e-6\ncheck(f)",
        "import math\nassert math.isclose(f(2), math.sqrt(2))",
        "for x in range(5):\n    assert f(x) == x * x, x",
        "assert sorted(f([1])) == [1] and len(f([])) == 0 and f(1) is None",
        "assert set(f('ab')) == {'a', 'b'}",
        "xs = [3, 1]\nassert f(xs) == 1",
        "import numpy as np\nassert f(np.array([1, 2])) == 3",
        "from collections import deque\nassert f(deque([1])) == 1",
        "import random\nfor _ in range(9):\n    n = random.randint(0, 9)\n    assert f(n) == n + 1",
    ],
)
def test_text_that_compares_answers_with_values_is_judged_from_outside(tests: str) -> None:
    assert why_inside(Program("p", "", tests)) == ""


@pytest.mark.parametrize(
    ("tests", "why"),
    [
        ("assert f(lambda x: x) == 1", "lambda"),
        ("assert f(2).x == 4", "the attribute x"),
        ("assert f(2) is g", "identity"),
        ("assert f(2) == f(3)", "compares answers with one another"),
        ("try:\n    f()\nexcept ValueError: pass", "try"),
        ("class N: pass\nassert f(N()) == 1", "class"),
        ("a = f(1)\nf(2)\nassert a == [1]", "looked at after another call"),
        ("a = [1]\nf(a)\na.append(2)\nassert f(a) == 3", "is changed and given"),
        ("X = 7\nassert f() == 7", "sets X"),
        ("assert f(x for x in [1]) == 1", "no plain value"),
        ("import numpy as np\nassert f(np.matrix([1])) == 1", "no plain value"),
        ("from itertools import count\nx = count()\nassert f(x) == 0", "no plain value"),
        ("import re\nassert f(re.compile('a')) == 1", "no plain value"),
        ("import os\nassert f(os.getcwd()) == 1", "uses the module os"),
        ("assert list(f()) == [1, 2]", "list of an answer"),
        ("assert Point(1, 2) == 3", "makes an object"),
        ("assert 1 == 1", "call nothing"),
    ],
)
def test_text_that_does_anything_else_runs_in_the_programs_interpreter(tests: str, why: str) -> None:
    assert why in why_inside(Program("p", "", tests))

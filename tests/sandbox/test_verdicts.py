"""What each kind of program is called, and that judging from outside does not change what is right."""

from __future__ import annotations

import pytest

from mtp_eval.sandbox.outcome import Outcome, Verdict
from mtp_eval.sandbox.pool import Pool
from mtp_eval.tasks.problem import Program


def judge(pool: Pool, source: str, tests: str = "", **more: object) -> Outcome:
    (outcome,) = pool.run([Program("p", source, tests, **more)])  # type: ignore[arg-type]
    return outcome


@pytest.mark.parametrize(
    ("source", "verdict", "error"),
    [
        ("def f(): return 1", Verdict.PASSED, ""),
        ("def f(): return 2", Verdict.FAILED, "AssertionError"),
        ("def f(): return 1 / 0", Verdict.ERROR, "ZeroDivisionError: division by zero"),
        ("def f(): assert False, 'own'", Verdict.ERROR, "AssertionError: own"),
        ("def g(): return 1", Verdict.ERROR, "NameError: name 'f' is not defined"),
        ("raise KeyError('x')", Verdict.ERROR, "KeyError: 'x'"),
        ("def f(: pass", Verdict.SYNTAX_ERROR, "invalid syntax (<program>, line 1)"),
        ("def f():\n    while True: pass", Verdict.TIMEOUT, ""),
        ("def f(): return bytearray(1 << 40)", Verdict.MEMORY_LIMIT, "MemoryError"),
        ("def f(): return 'x' * (1 << 25)", Verdict.OUTPUT_LIMIT, "TooLarge: text of 33554432 characters"),
        ("def f():\n    import ctypes; ctypes.string_at(0)", Verdict.CRASHED, "SIGSEGV"),
        ("def f():\n    raise SystemExit", Verdict.EXITED_EARLY, "SystemExit: 0"),
        ("import os; os._exit(3)", Verdict.EXITED_EARLY, "the process ended with exit code 3"),
    ],
)
@pytest.mark.parametrize("same_interpreter", [False, True])
def test_each_verdict(pool: Pool, source: str, verdict: Verdict, error: str, same_interpreter: bool) -> None:
    outcome = judge(pool, source, "assert f() == 1", same_interpreter=same_interpreter, timeout_seconds=0.5)
    if same_interpreter and verdict is Verdict.OUTPUT_LIMIT:
        verdict, error = Verdict.FAILED, "AssertionError"  # nothing needs to cross the border
    if same_interpreter and error.startswith("AssertionError: own"):
        verdict = Verdict.FAILED  # in one interpreter nobody can tell whose assertion it was
    assert outcome.verdict is verdict, outcome
    assert outcome.error.startswith(error)
    assert outcome.same_interpreter is same_interpreter
    assert outcome.isolation == "full"
    assert outcome.wall_seconds > 0
    assert outcome.cpu_seconds > 0
    assert outcome.peak_bytes > 1 << 20
    assert outcome.n_retries == (verdict is Verdict.TIMEOUT)


@pytest.mark.parametrize(
    ("source", "tests"),
    [
        (
            "def f(x): x.append(1); x[0]['k'] = (2,)",
            "a = {}; x = [a]; f(x); assert x == [{'k': (2,)}, 1] and x[0] is a",
        ),
        ("def f(x): x.sort()", "a, b = [2], [1]; x = [a, b]; f(x); assert x == [[1], [2]] and x[0] is b and a == [2]"),
        ("def f(x): x.clear(); x |= {3}", "s = {1}; f(s); assert s == {3}"),
        ("def f(): raise ValueError('no')", "try: f()\nexcept ValueError as e: assert str(e) == 'no'\nelse: assert 0"),
        ("class Mine(KeyError): pass\ndef f(): raise Mine", "try: f()\nexcept LookupError: pass\nelse: assert False"),
        ("def f():\n    yield 1\n    yield 2", "g = f(); assert g != [1, 2] and list(g) == [1, 2] and list(g) == []"),
        ("def f(): return map(str, range(100))", "assert ''.join(f()).startswith('0123')"),
        ("import itertools\ndef f(): return itertools.count(5)", "assert next(f()) == 5"),
        ("def f(n): return lambda m: n + m", "assert f(2)(3) == 5"),
        (
            "class P:\n    def __init__(self, x): self.x = x\ndef f(p): return p.x",
            "assert f(P(3)) == 3 and P(4).x == 4",
        ),
        ("def f(): return object()", "assert f() is not None and f() and f() != 3 and not f() == f()"),
        ("from collections import Counter\ndef f(): return Counter('aab')", "assert f() == {'a': 2, 'b': 1}; f()['z']"),
        (
            "from collections import namedtuple\nP = namedtuple('P', 'a b')\ndef f(): return P(1, 2)",
            "assert f() == (1, 2)",
        ),
        ("class I(int): pass\ndef f(): return I(5)", "assert f() == 5"),
        ("import numpy as np\ndef f(): return np.int64(5), np.float64(.5), np.bool_(1)", "assert f() == (5, .5, True)"),
        ("import numpy as np\ndef f(): return np.arange(4).reshape(2, 2)", "assert f().tolist() == [[0, 1], [2, 3]]"),
        ("def f(t, b): return t(b('12'))", "assert f(int, str) == 12"),
        ("import math\ndef f(x): return x", "assert math.isclose(f(0.1) * 3, 0.3)"),
        ("N = 5\ndef f(): return N", "assert N == f()"),
        ("def sum(a, b): return a + b", "assert sum(10, 15) == 25"),
        ("from fractions import Fraction as F\ndef f(): return F(1, 3)", "assert f() * 3 == 1"),
        ("def f(x): return x", "assert f('\\ud800\\udc00') == '\\ud800\\udc00' and len(f('\\ud800\\udc00')) == 2"),
        ("def f(s): return tuple(s)", "assert f({12, 13, 14, 15, 16}) == tuple({12, 13, 14, 15, 16})"),
        ("def f(x): return x", "assert f(10 ** 5000) == 10 ** 5000 and f(-(1 << 63)) == -(1 << 63)"),
        ("def f(x): return x", "assert str(f([float('nan'), float('-inf'), -0.0])) == '[nan, -inf, -0.0]'"),
        ("def f(*a, **k): return a, k", "assert f(1, b=[2]) == ((1,), {'b': [2]})"),
        ("if __name__ == '__main__': one = 1\ndef f(): return one", "assert f() == 1"),
    ],
)
def test_values_cross_the_border_unchanged(pool: Pool, source: str, tests: str) -> None:
    for same_interpreter in (False, True):
        outcome = judge(pool, source, tests, same_interpreter=same_interpreter)
        assert outcome.passed, outcome
        assert outcome.same_interpreter is same_interpreter


def test_the_prelude_wins_over_the_program(pool: Pool) -> None:
    """A program's forged helper is not what the tests use."""
    forged = "def helper(x): return 0\ndef f(): return 9"
    assert judge(pool, forged, "assert helper(f()) == 0").passed
    assert judge(pool, forged, "assert helper(f()) == 0", prelude="def helper(x): return x").verdict is Verdict.FAILED


def test_tests_that_swallow_everything_do_not_hide_an_exit(pool: Pool) -> None:
    tests = "try: f()\nexcept BaseException: pass"
    assert judge(pool, "import os\ndef f(): os._exit(0)", tests).verdict is Verdict.EXITED_EARLY


@pytest.mark.parametrize(
    "tests",
    [
        "assert f(lambda n: n) == 1",
        "class Own:\n    def __call__(self, n): return n\nassert f(Own()) == 1",
        "try: f(lambda n: n)\nexcept BaseException: assert False\nassert f(x=lambda n: n) == 1",
    ],
)
def test_tests_that_give_the_program_a_function_of_theirs_share_its_interpreter(pool: Pool, tests: str) -> None:
    outcomes = [judge(pool, f"def f(x): return x({n})", tests) for n in (1, 2)]
    assert [outcome.verdict for outcome in outcomes] == [Verdict.PASSED, Verdict.FAILED]
    assert all(outcome.same_interpreter for outcome in outcomes)


def test_a_program_cannot_bring_itself_into_the_tests_interpreter(pool: Pool) -> None:
    """What it returns comes back as a value or a proxy, and both can be sent to it again."""
    returned = (
        "f",
        "lambda: 1",
        "int",
        "object()",
        "iter([1])",
        "ValueError()",
        "ValueError",
        "type(f)",
        "{1: f}",
        "...",
    )
    for value in returned:
        tests = "y = f()\nassert f([y]) is not y and f(y) == 5"
        outcome = judge(pool, f"def f(x=None): return {value}", tests, same_interpreter=False)
        assert outcome.verdict in (Verdict.FAILED, Verdict.ERROR), (value, outcome)
        assert not outcome.same_interpreter


def test_tests_that_do_not_compile_are_our_fault(pool: Pool) -> None:
    assert judge(pool, "def f(): return 1", "assert f( == 1").verdict is Verdict.INFRASTRUCTURE_ERROR


@pytest.mark.parametrize(
    ("source", "cases", "verdict"),
    [
        ("print(int(input()) * 2)", (("4\n", "8\n"), ("5", "10")), Verdict.PASSED),
        ("print(int(input()) * 2)", (("4\n", "8"), ("5", "11")), Verdict.FAILED),
        ("import sys\nprint(' a  b \\n\\n')", (("", "a b"),), Verdict.PASSED),
        ("print('a'); print(); print('b')", (("", "a\nb"),), Verdict.FAILED),
        ("print(input(), input())", (("1\n", "1 2"),), Verdict.ERROR),
        ("if __name__ == '__main__': print(3)\nimport sys; sys.exit(0)", (("", "3"),), Verdict.PASSED),
        ("print(3); raise SystemExit(1)", (("", "3"),), Verdict.ERROR),
        ("import os\nos.write(1, b'3'); os._exit(0)", (("", "3"),), Verdict.PASSED),
        ("import threading\nthreading.Thread(target=lambda: print(3)).start()", (("", "3"),), Verdict.PASSED),
        ("while True: print('x' * 1000)", (("", "3"),), Verdict.OUTPUT_LIMIT),
        ("while True: pass", (("", "3"),), Verdict.TIMEOUT),
        ("print(", (("", "3"),), Verdict.SYNTAX_ERROR),
    ],
)
def test_programs_that_read_standard_input(
    pool: Pool, source: str, cases: tuple[tuple[str, str], ...], verdict: Verdict
) -> None:
    assert judge(pool, source, stdin_cases=cases, timeout_seconds=0.5).verdict is verdict


def test_a_program_leaves_nothing_for_the_next(pool: Pool) -> None:
    write = "open('mark', 'w').write('x')\nimport heapq; heapq.heappush = None\ndef f(): return 1"
    look = "import os, heapq\ndef f(): return os.listdir('.') == [] and heapq.heappush is not None"
    outcomes = pool.run([Program("p", f"{text}\n# {n}", "assert f()") for n in range(6) for text in (write, look)])
    assert [outcome.verdict for outcome in outcomes] == [Verdict.PASSED] * 12


def test_what_a_program_writes_can_be_imported_by_it_alone(pool: Pool) -> None:
    """And by no path that the zygote has, too: it would import what hostile programs left."""
    write = "open('beside.py', 'w').write('X = 5')\nimport sys, os\ndef f():\n    import beside\n    return beside.X\n"
    programs = [
        Program("own", write, "assert f() == 5 and os.getcwd() not in sys.path and '' not in sys.path"),
        Program("next", "def f():\n    import beside", "f()"),
    ]
    first, second = (next(iter(pool.run([program]))) for program in programs)
    assert first.verdict is Verdict.PASSED, first.error
    assert second.error == "ModuleNotFoundError: No module named 'beside'"

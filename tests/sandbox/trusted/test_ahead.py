"""Calls are sent ahead of the tests only as they stand in the tests' text, and that changes no verdict."""

from __future__ import annotations

import ast
import json

import pytest

from mtp_eval.sandbox import Pool, Program, Verdict
from mtp_eval.sandbox.trusted.ahead import calls_ahead


def ahead(tests: str, prelude: str = "", wanted: tuple[str, ...] = ("f", "g")) -> list[tuple[str, object]]:
    found = calls_ahead(ast.parse(prelude), ast.parse(tests), wanted)
    return [(name, json.loads(arguments)[0]) for name, arguments in found]


@pytest.mark.parametrize(
    ("tests", "calls"),
    [
        ("assert f(1) == 2\nassert f(x=-2) == 3", [("f", [1]), ("f", [-2])]),
        ("def check(c):\n    assert c(1) == 2\n    assert abs(c(2) - 3) < 1\n    for i in x: c(i)\ncheck(f)", [("f", [1]), ("f", [2])]),
        ("META = {'a': 1}\nassert f('a') is None\nassert not g('b')\nx = 1\nassert f(3) == x", [("f", ["a"]), ("g", ["b"]), ("f", [3])]),
        ("assert f(1) == 2\nassert f(2) == 3\nassert f(f(3)) == 4\nassert f(5) == 6", [("f", [1]), ("f", [2])]),
        ("assert f(1) == 2\nassert f(2) == 3\ny = f(4)\nassert f(5) == 6", [("f", [1]), ("f", [2])]),
        ("assert sorted(f(1)) == [2]\nassert f(2) == 3", [("f", [1]), ("f", [2])]),
    ],
)  # fmt: skip
def test_the_first_plain_asserts_are_sent(tests: str, calls: list[tuple[str, object]]) -> None:
    assert ahead(tests) == calls


@pytest.mark.parametrize(
    "tests",
    [
        "assert g(f(1)) == 1\nassert g(f(2)) == 2",
        "x = f(1)\nassert g(x) == 1\nassert g(2) == 2",
        "if f(1): assert f(2) == 3\nassert f(4) == 5",
        "assert True or f(1)\nassert f(2) == 3",
        "assert 1 == 2 == f(1)\nassert f(2) == 3",
        "assert [f(i) for i in (1, 2)] == [1, 2]\nassert f(2) == 3",
        "a = [1]\nassert f(a) == 1\nassert f(2) == 2",
        "assert helper(f(1)) == 1\nassert f(2) == 3",
        "f = 5\nassert f(1) == 1\nassert f(2) == 2",
        "def check(c):\n    assert c(1) == 1\n    assert c(2) == 2\ncheck(other)",
        "assert f(1) == 1",
    ],
)
def test_nothing_that_an_answer_could_influence_is_sent(tests: str) -> None:
    assert ahead(tests) == []


def test_a_prelude_that_does_something_stops_it() -> None:
    tests = "assert f(1) == 2\nassert f(2) == 3"
    assert len(ahead(tests, "def helper(x): return x\nimport math")) == 2
    assert ahead(tests, "f(0)") == []


GENERATOR = "n = 0\ndef f(x):\n    global n\n    n += 1\n    def g():\n        yield n\n    return g()"


@pytest.mark.parametrize(
    ("source", "tests", "verdict"),
    [
        ("def f(x): return x + 1", "assert f(1) == 2\nassert f(2) == 3", Verdict.PASSED),
        ("def f(x): return x + 1", "assert f(1) == 3\nassert f(2) == 3", Verdict.FAILED),
        ("import os\ndef f(x):\n    if x == 2: os._exit(0)\n    return x", "assert f(1) == 5\nassert f(2) == 2", Verdict.FAILED),
        ("import os\ndef f(x):\n    if x == 2: os._exit(0)\n    return x", "assert f(1) == 1\nassert f(2) == 2", Verdict.EXITED_EARLY),
        ("def f(x):\n    while x == 2: pass\n    return x", "assert f(1) == 5\nassert f(2) == 2", Verdict.FAILED),
        ("f = 5", "assert f(1) == 5\nassert f(2) == 2", Verdict.ERROR),
        ("g = 5", "assert f(1) == 5\nassert f(2) == 2", Verdict.ERROR),
        (GENERATOR, "assert sorted(f(1)) == [1]\nassert sorted(f(2)) == [2]", Verdict.PASSED),
        (GENERATOR, "assert sorted(f(1)) == [2]\nassert sorted(f(2)) == [2]", Verdict.FAILED),
    ],
)  # fmt: skip
def test_verdicts_are_those_of_one_call_after_the_other(pool: Pool, source: str, tests: str, verdict: Verdict) -> None:
    (outcome,) = pool.run([Program("p", source, tests, same_interpreter=False, timeout_seconds=2.0)])
    assert outcome.verdict is verdict, outcome

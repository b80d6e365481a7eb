"""Explanations of a failed test: the assert's place, text, expected and actual value, whatever the values are."""

from __future__ import annotations

import pytest

from mtp_eval.sandbox import Outcome, Pool, Program, Verdict


def judged(pool: Pool, source: str, tests: str, same_interpreter: bool | None = False) -> Outcome:
    (outcome,) = pool.run([Program("p", source, tests, same_interpreter=same_interpreter)])
    return outcome


def test_the_failing_assert_is_named_with_both_sides(pool: Pool) -> None:
    tests = "def check(candidate):\n    assert candidate(1) == 2\n    assert candidate(2) == 4\n    assert candidate(3) == 4\ncheck(f)"
    outcome = judged(pool, "def f(x): return x + 1", tests)
    assert outcome.verdict is Verdict.FAILED
    assert (outcome.failed_test, outcome.failed_line) == (1, 3)
    assert outcome.expression == "assert candidate(2) == 4"
    assert (outcome.expected, outcome.actual) == ("4", "3")
    assert outcome.error == "AssertionError: line 3: assert candidate(2) == 4: expected 4, got 3"


@pytest.mark.parametrize(
    ("tests", "expected", "actual"),
    [
        ("assert f() == 'x'", "'x'", "[1, 'a']"),
        ("assert 5 == f()", "5", "[1, 'a']"),
        ("assert not f()", "False", "[1, 'a']"),
        ("assert f() is None", "None", "[1, 'a']"),
        ("assert len(f()) > 3", "3", "2"),
        ("assert f() == 1; assert f() == 2", "1", "[1, 'a']"),
        ("if True:\n    for i in range(3):\n        assert f() == i, 'third'", "0", "[1, 'a']"),
        ("class T:\n    assert f() == 7", "7", "[1, 'a']"),
        ("assert all(x == 1 for x in f())", "True", "False"),
    ],
)
def test_every_form_of_assert_says_what_it_compared(pool: Pool, tests: str, expected: str, actual: str) -> None:
    outcome = judged(pool, "def f(): return [1, 'a']", tests)
    assert outcome.verdict is Verdict.FAILED
    assert (outcome.expected, outcome.actual) == (expected, actual)
    assert outcome.failed_test == 0


def test_a_message_of_the_tests_own_stays_the_error(pool: Pool) -> None:
    outcome = judged(pool, "def f(): return 1", "assert f() == 2, 'two was wanted'")
    assert outcome.error == "AssertionError: two was wanted"
    assert outcome.explanation == "line 1: assert f() == 2: expected 2, got 1"


@pytest.mark.parametrize(
    "value",
    [
        "'\\x1b[31m\\n\\r\\u202e' * 50",
        "'x' * 10 ** 6",
        "10 ** 10 ** 5",
        "[[[[[[[[1]]]]]]]] * 1000",
        "'\\ud800'",
        "object()",
        "float('nan')",
        "{i: str(i) * 100 for i in range(1000)}",
        "__import__('numpy').zeros((1000, 100))",
        "b'\\x00' * 10 ** 6",
    ],
)
def test_any_value_is_shown_in_a_short_printable_line(pool: Pool, value: str) -> None:
    outcome = judged(pool, f"def f(): return {value}", "assert f() is None")
    assert outcome.verdict is Verdict.FAILED, outcome
    assert 0 < len(outcome.actual) <= 200
    assert outcome.actual.isprintable()
    assert len(outcome.error) <= 600
    assert outcome.error.isprintable()


def test_in_the_programs_interpreter_only_the_place_is_told(pool: Pool) -> None:
    tests = "assert f(1) == 1\nassert f(2) == 3"
    outcome = judged(pool, "def f(x): return x", tests, same_interpreter=True)
    assert (outcome.failed_test, outcome.failed_line, outcome.expression) == (1, 2, "assert f(2) == 3")
    assert outcome.expected == outcome.actual == ""


def test_an_error_in_a_call_names_the_assert_it_was_called_from(pool: Pool) -> None:
    outcome = judged(pool, "def f(x): return 1 // x", "assert f(1) == 1\nassert f(0) == 0")
    assert outcome.verdict is Verdict.ERROR
    assert outcome.error == "ZeroDivisionError: integer division or modulo by zero"
    assert (outcome.failed_test, outcome.failed_line) == (1, 2)


def test_the_first_wrong_input_of_a_program_that_reads_standard_input(pool: Pool) -> None:
    program = Program("p", "print(int(input()) * 2)\nprint('end')", stdin_cases=(("1", "2\nend"), ("2", "5\nend")))
    (outcome,) = pool.run([program])
    assert outcome.verdict is Verdict.FAILED
    assert outcome.failed_test == 1
    assert (outcome.expected, outcome.actual) == ("'5'", "'4'")
    assert outcome.error == "input 2 of 2: line 1 of the output: expected '5', got '4'"


def test_tests_that_are_nested_deeply_still_run(pool: Pool) -> None:
    deep = "+".join(["1"] * 800)
    assert judged(pool, "def f(): return 800", f"assert f() == {deep}").passed
    assert judged(pool, "def f(): return 1", f"assert f() == {'[' * 80}{']' * 80}").verdict is Verdict.FAILED

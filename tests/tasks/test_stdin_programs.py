"""Programs of APPS and CodeContests, through the sandbox: judged by calls and by standard input."""

from __future__ import annotations

import json

import pytest

from mtp_eval.sandbox.program import Program, WordsRule
from mtp_eval.tasks.registry import load_task
from tests.tasks.loading import by_id

APPS = {
    # id: (right, wrong)
    "apps/4724": (
        "def drop_cap(s):\n    return ' '.join(w[0].upper() + w[1:].lower() if len(w) > 2 else w for w in s.split(' '))",
        "def drop_cap(s):\n    return s.title()",
    ),
    "apps/2798": (
        "def to_alternating_case(s):\n    return s.swapcase()",
        "def to_alternating_case(s):\n    return s.upper()",
    ),
    "apps/2771": (
        "def hofstadter_Q(n):\n    q = [0, 1, 1]\n    while len(q) <= n:\n"
        "        q.append(q[len(q) - q[-1]] + q[len(q) - q[-2]])\n    return q[n]",
        "def hofstadter_Q(n):\n    return n",
    ),
    "apps/4440": (
        "def validate_pin(pin):\n    return len(pin) in (4, 6) and all(c in '0123456789' for c in pin)",
        "def validate_pin(pin):\n    return str(pin).isdigit()",
    ),
    "apps/3978": (
        "def check_for_factor(base, factor):\n    return base % factor == 0",
        "def check_for_factor(base, factor):\n    return True",
    ),
}


@pytest.mark.parametrize("problem_id", list(APPS))
@pytest.mark.parametrize("protocol", ["0shot", "0shot-stdin"])
def test_apps_right_passes_and_wrong_fails_by_call_and_by_standard_input(benchmark_data, pool, problem_id, protocol):
    task = load_task(f"apps-intro@{protocol}")
    problem = by_id(task)[problem_id]
    solutions = list(APPS[problem_id])
    if protocol == "0shot-stdin":
        name = solutions[0].split("(")[0].removeprefix("def ")
        numeric = problem_id in ("apps/2771", "apps/3978")
        read = (
            "[eval(line) for line in sys.stdin.read().split(chr(10))]" if numeric else "sys.stdin.read().split(chr(10))"
        )
        solutions = [f"import sys\n{text}\nprint({name}(*{read}))" for text in solutions]
    right, wrong = pool.run([task.judge(problem, text) for text in solutions])
    assert right.passed, right
    assert not wrong.passed


def test_apps_takes_a_class_named_solution(benchmark_data, pool):
    task = load_task("apps-intro")
    problem = by_id(task)["apps/2798"]
    text = "class Solution:\n    def to_alternating_case(self, s):\n        return s.swapcase()\n"
    (outcome,) = pool.run([task.judge(problem, text)])
    assert outcome.passed


def test_the_stdin_judge_runs_on_all_introductory_problems(benchmark_data, pool):
    """Echoing the input is right nowhere, and every verdict is about the program."""
    task = load_task("apps-intro@0shot-stdin")
    programs = [task.judge(problem, "print(input())") for problem in task.problems()]
    verdicts = [str(outcome.verdict) for outcome in pool.run(programs)]
    assert len(verdicts) == 49
    assert set(verdicts) <= {"failed", "error"}


def test_apps_allows_the_tolerance_that_the_problem_states(benchmark_data, pool):
    """apps/2162: all numbers correct up to 10^-6."""
    task = load_task("apps-competition")
    problem = by_id(task)["apps/2162"]
    case, expected = task.judge(problem, "").stdin_cases[0]
    numbers = [float(word) for word in expected.split()]
    texts = ["".join(f"print({number + off!r})\n" for number in numbers) for off in (0, 5e-7, 5e-6)]
    rule = task.judge(problem, "").output_rule
    programs = [Program("apps/2162", text, stdin_cases=((case, expected),), output_rule=rule) for text in texts]
    assert [outcome.passed for outcome in pool.run(programs)] == [True, True, False]
    strict = by_id(task)["apps/2010"]
    assert task.judge(strict, "").output_rule.tolerance == 0


def test_apps_counts_no_problem_twice(benchmark_data):
    ids = [p.problem_id for name in ("intro", "interview", "competition") for p in load_task(f"apps-{name}").problems()]
    assert len(ids) == len(set(ids)) == 128
    assert not any("#" in name for name in ids)


def test_code_contests_runs_on_a_local_file_of_the_published_schema(tmp_path, pool):
    row = {
        "name": "1_A. Sum",
        "description": "Add two numbers.",
        "public_tests": {"input": ["1 2\n"], "output": ["3\n"]},
        "private_tests": {"input": ["5 5\n"], "output": ["10\n"]},
        "generated_tests": {"input": [], "output": []},
        "solutions": {"language": [2, 3], "solution": ["int main(){}", "print(sum(map(int, input().split())))"]},
    }
    (tmp_path / "code-contests.jsonl").write_text(json.dumps(row) + "\n")
    task = load_task("code-contests", data_dir=tmp_path)
    (problem,) = task.problems()
    right, wrong = pool.run([task.judge(problem, problem.reference), task.judge(problem, "print(3)")])
    assert right.passed
    assert not wrong.passed


WORDS = [
    # what a program prints, what is expected, whether CodeContests' tester says equal (read from its source)
    ("YES\nno\n", "yes NO", True),  # letters and line breaks do not count
    ("1 2\n3", "1\n2 3\n\n", True),
    ("1 2", "1 2 3", False),
    ("0.333333", "0.33333", True),
    ("0.33333", "0.33335", False),
    ("2.0", "2", True),
    ("-0.000001", "0", True),
    ("1e3", "1000", True),
    ("100000.00002", "100000", False),  # absolutely, not relatively
    ("123456789", "123456788", False),
    ("007", "7", True),
    ("-0", "0", True),
    ("+5", "5", True),
    ("1_0", "10", False),  # a number for Python only
    ("nan", "NaN", True),
    ("nan", "1", False),
    ("\u0130", "i", False),  # letters beyond ASCII have no small ones there
    ("", "", True),
    ("", "x", False),
    ("9007199254740993", "9007199254740992", False),  # the departure: exact, where the tester rounds
    ("9" * 5000, "9" * 4999 + "8", False),
    ("0" + "9" * 5000, "9" * 5000, True),
]


@pytest.mark.parametrize(("got", "expected", "same"), WORDS)
def test_words_are_compared_as_by_the_testers_of_code_contests(got: str, expected: str, same: bool) -> None:
    rule = WordsRule()
    a, b = rule.lines(got), rule.lines(expected)
    assert (len(a) == len(b) and all(map(rule.same, a, b))) is same


def test_code_contests_compares_words(tmp_path, pool):
    tests = {"input": ["x\n", "y\n"], "output": ["YES\n0.5 2\n", "NO\n1\n"]}
    none: dict[str, list[str]] = {"input": [], "output": []}
    row = {
        "name": "1_A. Half",
        "description": "Say.",
        "public_tests": tests,
        "private_tests": none,
        "generated_tests": none,
    }
    (tmp_path / "code-contests.jsonl").write_text(json.dumps(row) + "\n")
    task = load_task("code-contests", data_dir=tmp_path)
    (problem,) = task.problems()
    texts = [f"print('{first}' if input() == 'x' else 'no 1')" for first in ("yes 0.500001 2", "yes 0.6 2", "yes 0.5")]
    right, wrong, short = pool.run([task.judge(problem, text) for text in texts])
    assert right.passed, right
    assert "word 2 of the output: expected '0.5', got '0.6'" in wrong.error
    assert "word 3 of the output: expected '2', got no such word" in short.error

"""Programs aimed at the judge itself: none passes, none is lost as an infrastructure error, none harms the next one."""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from pathlib import Path

import pytest

from mtp_eval.sandbox import Pool, Program, Verdict
from mtp_eval.sandbox.by_reference import ByReference
from mtp_eval.tasks.registry import load_task
from tests.sandbox import attacks, interpreter_attacks, process_attacks

TESTS = {
    "by comparison": "assert f(1) == 8\nassert f(2) == 15\nassert f(0) == 1\nassert f(-1) == -6\nassert f(10) == 71",
    "through check": "def check(candidate):\n    assert candidate(1) == 8\n    assert abs(candidate(2) - 15) < 1e-6\ncheck(f)",
    "with lists": "a = [1]\nassert f(1) == 8\nassert f(a) is not None\nassert a == [1] and f(2) == 15",
    "by unittest": """import unittest
class T(unittest.TestCase):
    def test_one(self): self.assertEqual(f(1), 8)
    def test_two(self): self.assertAlmostEqual(f(2), 15)
result = unittest.main(exit=False, argv=["tests"]).result
assert result.wasSuccessful() and result.testsRun == 2 and not result.skipped""",
    "several at once, in a fork": "import sys\nsys.setrecursionlimit(2000)\nassert [f(1), f(2), f(3)] == [8, 15, 22] and sum(f(i) for i in range(4)) == 46",
}


@pytest.fixture(scope="module")
def small_pool() -> Iterator[Pool]:
    with Pool(workers=2, timeout_seconds=1.0, memory_bytes=512 << 20) as pool:
        yield pool


COLLECTIONS = {
    "on the judge": attacks.programs,
    "on the interpreter": interpreter_attacks.programs,
    "on the process": process_attacks.programs,
}


def test_there_are_many() -> None:
    assert len(list(attacks.programs())) >= 110
    assert len(list(interpreter_attacks.programs())) >= 90
    assert len(list(process_attacks.programs())) >= 50


@pytest.mark.slow
@pytest.mark.parametrize("kind", TESTS)
@pytest.mark.parametrize("collection", COLLECTIONS)
def test_no_attack_passes_or_is_lost(small_pool: Pool, collection: str, kind: str) -> None:
    programs = list(COLLECTIONS[collection]())
    outcomes = small_pool.run(
        Program(name, source, TESTS[kind], same_interpreter=False, timeout_seconds=1.0) for name, source in programs
    )
    wrong = [
        f"{name}: {outcome.verdict} {outcome.error}"
        for (name, _), outcome in zip(programs, outcomes, strict=True)
        if outcome.passed or outcome.verdict is Verdict.INFRASTRUCTURE_ERROR or outcome.same_interpreter
    ]
    assert not wrong, "\n".join(wrong)
    (right,) = small_pool.run([Program("right", "def f(x): return x * 7 + 1", TESTS["through check"])])
    assert right.passed


@pytest.mark.slow
def test_a_function_called_like_a_builtin_opens_no_other_builtin(small_pool: Pool, benchmark_data: Path) -> None:
    """MBPP+'s problem 126 asks for `sum`; wrong ones bring every other builtin along, of which the tests use many."""
    task = load_task("mbpp-plus")
    problem = next(problem for problem in task.problems() if problem.problem_id == "Mbpp/126")
    executor = ByReference(small_pool)
    (reference,) = executor.judge_references([_program(task.judge_reference(problem))])
    assert reference.passed
    assert not reference.same_interpreter
    names = [name for name in dir(builtins) if not name.startswith("_") and callable(getattr(builtins, name))]
    assert len(names) > 120
    sources = [
        f"def sum(a, b): return 0\n{name} = {value}"
        for name in names
        for value in ("lambda *a, **k: []", "lambda *a, **k: True")
        if name != "sum"
    ]
    outcomes = list(executor.run(_program(task.judge_program(problem, source)) for source in sources))
    assert [source for source, outcome in zip(sources, outcomes, strict=True) if outcome.passed] == []
    assert not any(outcome.same_interpreter for outcome in outcomes)


def _program(judged: object) -> Program:
    assert isinstance(judged, Program)
    return judged

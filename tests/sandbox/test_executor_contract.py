"""The contract of every executor: the pool with both isolations, and one written from the docstring."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from mtp_eval.sandbox import Executor, Pool, Program, Verdict
from tests.sandbox.run_here import Subprocesses

EXECUTORS: dict[str, Callable[[], Executor]] = {
    "pool": lambda: Pool(workers=2, timeout_seconds=20.0),
    "pool-process": lambda: Pool(workers=1, timeout_seconds=20.0, isolation="process"),
    "stranger": Subprocesses,
}


@pytest.fixture(params=EXECUTORS, scope="module")
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    with EXECUTORS[request.param]() as opened:
        yield opened


def numbered(n: int, right: bool = True) -> Program:
    return Program(f"p{n}", f"def f(): return {n}", f"assert f() == {n if right else n + 1}")


def test_each_tag_comes_back_once_with_its_own_outcome(executor: Executor) -> None:
    for n in range(8):
        executor.submit(numbered(n, right=n != 3), ("tag", n))
    collected = [*executor.ready(), *executor.drain()]
    assert Counter(tag for tag, _ in collected) == {("tag", n): 1 for n in range(8)}
    assert {tag for tag, outcome in collected if not outcome.passed} == {("tag", 3)}


def test_a_program_submitted_twice_gives_two_outcomes(executor: Executor) -> None:
    executor.submit(numbered(20), "first")
    executor.submit(numbered(20), "second")
    assert Counter(tag for tag, _ in executor.drain()) == {"first": 1, "second": 1}


def test_nothing_is_left_after_a_drain(executor: Executor) -> None:
    executor.submit(numbered(30), None)
    assert len(list(executor.drain())) == 1
    assert executor.ready() == []
    assert list(executor.drain()) == []


def test_run_keeps_the_order(executor: Executor) -> None:
    outcomes = executor.run(numbered(n, right=n % 2 == 0) for n in range(40, 50))
    assert [outcome.passed for outcome in outcomes] == [True, False] * 5


def test_run_that_is_left_early_leaves_nothing_behind(executor: Executor) -> None:
    outcomes = executor.run(numbered(n) for n in range(60, 70))
    assert next(outcomes).passed
    outcomes.close()  # type: ignore[attr-defined]
    assert [outcome.passed for outcome in executor.run([numbered(70, right=False)])] == [False]


def test_run_refuses_while_outcomes_are_uncollected(executor: Executor) -> None:
    executor.submit(numbered(80), "not collected")
    with pytest.raises(ValueError, match=r"call drain\(\) before run\(\)"):
        list(executor.run([numbered(81)]))
    list(executor.drain())


def test_wrong_answers_and_raised_errors_are_told_apart(executor: Executor) -> None:
    programs = [
        Program("wrong", "def f(): return 1", "assert f() == 2"),
        Program("raises", "def f(): return 1 / 0", "assert f() == 2"),
        Program("missing", "def g(): return 1", "assert f() == 2"),
    ]
    verdicts = [outcome.verdict for outcome in executor.run(programs)]
    assert verdicts == [Verdict.FAILED, Verdict.ERROR, Verdict.ERROR]


def test_programs_do_not_see_one_another(executor: Executor) -> None:
    leave = Program("leave", "import math\nmath.left_behind = 1\ndef f(): return 1", "assert f() == 1")
    look = Program("look", "import math\ndef f(): return hasattr(math, 'left_behind')", "assert f() is False")
    assert [outcome.verdict for outcome in executor.run([leave, look] * 2)] == [Verdict.PASSED] * 4


def test_its_isolation_has_a_name_and_every_outcome_bears_it(executor: Executor) -> None:
    (outcome,) = executor.run([numbered(90)])
    assert executor.isolation == outcome.isolation != ""
    assert all(isinstance(name, str) and state for name, state in executor.layers.items())

"""The verdict on an honest program is plain CPython's, which is asked here: program and tests as one file in a process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest

from mtp_eval.sandbox import Pool, Program
from tests.sandbox.semantics_programs import Case, cases

CASES = list(cases())
STATED_DIFFERENCES = {
    "behaviour-builtin redefined and used by the tests": "from outside, tests see a builtin of the program's only if it is asked for",
    "values-very deep lists are compared": "values of more than 200 levels do not cross the border",
    "chat2-an answer that holds itself by a plain call": "nor do those that hold themselves",
    **dict.fromkeys(
        (
            "arguments-own object that contains",
            "arguments-own object that is ordered",
            "arguments-absolute value of an own object",
            "arguments-own object in math",
        ),
        "from outside, no operator of the program's own classes takes part but len, iteration and truth",
    ),
}
FINISHED = 77
"""Exit code of a file that has come to its end; no program gives it by itself."""


@pytest.fixture(scope="module")
def cpython(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, bool]:
    """Whether each program passes in plain CPython."""
    folder = tmp_path_factory.mktemp("cpython")

    def passes(numbered: tuple[int, Case]) -> bool:
        number, case = numbered
        own = folder / str(number)
        own.mkdir()
        (own / "program.py").write_text(f"{case.source}\n{case.tests}\nimport os\nos._exit({FINISHED})\n", "utf-8")
        environment = {"PYTHONHASHSEED": "0", "HOME": "/nonexistent", "LANG": "C.UTF-8"}
        done = subprocess.run(
            [sys.executable, "program.py"], cwd=own, env=environment, capture_output=True, stdin=subprocess.DEVNULL
        )
        return done.returncode == FINISHED

    with ThreadPoolExecutor(2) as threads:
        return dict(zip([case.name for case in CASES], threads.map(passes, enumerate(CASES)), strict=True))


def is_stated(case: Case) -> bool:
    return case.name.partition(", but ")[0] in STATED_DIFFERENCES


def program(case: Case, same_interpreter: bool | None) -> Program:
    return Program(case.name, case.source, case.tests, same_interpreter=same_interpreter, timeout_seconds=10.0)


@pytest.mark.slow
def test_there_are_many_programs_right_and_wrong(cpython: Mapping[str, bool]) -> None:
    assert len(cpython) >= 820
    assert sum(cpython.values()) >= 390
    assert sum(not passes for passes in cpython.values()) >= 380


@pytest.mark.slow
@pytest.mark.parametrize("same_interpreter", [None, True], ids=["by the text of the tests", "in its own interpreter"])
def test_verdicts_are_those_of_plain_python(
    pool: Pool, cpython: Mapping[str, bool], same_interpreter: bool | None
) -> None:
    outcomes = pool.run(program(case, same_interpreter) for case in CASES)
    different = [
        f"{case.name}: {outcome.verdict} {outcome.error}"
        for case, outcome in zip(CASES, outcomes, strict=True)
        if outcome.passed != cpython[case.name] and (same_interpreter or not is_stated(case))
    ]
    assert not different, "\n".join(different)


@pytest.mark.slow
def test_judged_from_outside_no_wrong_program_passes(pool: Pool, cpython: Mapping[str, bool]) -> None:
    """Whatever the tests are: some right programs cannot pass so, which is why references decide, but no wrong one does."""
    outcomes = pool.run(program(case, False) for case in CASES)
    passed = [case.name for case, outcome in zip(CASES, outcomes, strict=True) if outcome.passed]
    assert [name for name in passed if not cpython[name] and name not in STATED_DIFFERENCES] == []
    assert len(passed) >= 50

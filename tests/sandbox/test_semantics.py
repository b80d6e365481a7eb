"""The verdict on an honest program is plain CPython's, which is asked here: `exec(source); exec(tests)` in a process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping

import pytest

from mtp_eval.sandbox import Pool, Program
from tests.sandbox.semantics_programs import Case, cases

CASES = list(cases())
STATED_DIFFERENCES = {
    "behaviour-builtin redefined and used by the tests": "from outside, tests see a builtin of the program's only if it is asked for",
    "values-very deep lists are compared": "values of more than 200 levels do not cross the border",
}
ORACLE = """
import json, os, sys, tempfile
for source, tests in json.load(sys.stdin):
    pid = os.fork()
    if pid == 0:
        os.chdir(tempfile.mkdtemp())
        sys.stdin = open(os.devnull)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        os.dup2(2, 1)
        sys.argv = [""]
        code = 1
        try:
            module = sys.modules["program"] = type(sys)("program")
            exec(compile(source, "<program>", "exec"), module.__dict__)
            exec(compile(tests, "<tests>", "exec"), module.__dict__)
            code = 0
        finally:
            os._exit(code)
    print(int(os.waitpid(pid, 0)[1] == 0), flush=True)
"""


@pytest.fixture(scope="module")
def cpython() -> Mapping[str, bool]:
    """Whether each program passes in plain CPython."""
    given = json.dumps([(case.source, case.tests) for case in CASES])
    done = subprocess.run([sys.executable, "-c", ORACLE], input=given, capture_output=True, text=True, check=True)
    return dict(zip([case.name for case in CASES], [line == "1" for line in done.stdout.split()], strict=True))


def program(case: Case, same_interpreter: bool | None) -> Program:
    return Program(case.name, case.source, case.tests, same_interpreter=same_interpreter, timeout_seconds=10.0)


@pytest.mark.slow
def test_there_are_many_programs_right_and_wrong(cpython: Mapping[str, bool]) -> None:
    assert len(cpython) >= 160
    assert sum(cpython.values()) >= 100
    assert sum(not passes for passes in cpython.values()) >= 40


@pytest.mark.slow
@pytest.mark.parametrize("same_interpreter", [None, True], ids=["by the text of the tests", "in its own interpreter"])
def test_verdicts_are_those_of_plain_python(
    pool: Pool, cpython: Mapping[str, bool], same_interpreter: bool | None
) -> None:
    outcomes = pool.run(program(case, same_interpreter) for case in CASES)
    different = [
        f"{case.name}: {outcome.verdict} {outcome.error}"
        for case, outcome in zip(CASES, outcomes, strict=True)
        if outcome.passed != cpython[case.name] and (same_interpreter or case.name not in STATED_DIFFERENCES)
    ]
    assert not different, "\n".join(different)


def test_judged_from_outside_no_wrong_program_passes(pool: Pool, cpython: Mapping[str, bool]) -> None:
    """Whatever the tests are: some right programs cannot pass so, which is why references decide, but no wrong one does."""
    outcomes = pool.run(program(case, False) for case in CASES)
    passed = [case.name for case, outcome in zip(CASES, outcomes, strict=True) if outcome.passed]
    assert [name for name in passed if not cpython[name] and name not in STATED_DIFFERENCES] == []
    assert len(passed) >= 50

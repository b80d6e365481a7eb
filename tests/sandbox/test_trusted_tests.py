"""What one problem's tests do to the process that runs them does not reach the next problem, and they find themselves there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mtp_eval.sandbox import Pool, Program, Verdict
from mtp_eval.sandbox.by_reference import ByReference

RIGHT = "def f(x): return x"
TRACES = {
    "decimal context": (
        "import decimal\ndecimal.getcontext().prec = 3",
        "from decimal import Decimal\nassert Decimal(1) / 3 != Decimal('0.333')",
    ),
    "recursion limit": (
        "import sys\nsys.setrecursionlimit(150)",
        "def g(n): return 0 if n == 0 else 1 + g(n - 1)\nassert g(500) == 500",
    ),
    "warnings": ("import warnings\nwarnings.simplefilter('error')", "import warnings\nwarnings.warn('x')"),
    "numpy errors": ("import numpy as np\nnp.seterr(all='raise')", "import numpy as np\nnp.array([1.0]) / 0"),
    "environment": ("import os\nos.environ['ZZZ'] = '1'", "import os\nassert 'ZZZ' not in os.environ"),
    "working folder": ("import os\nos.chdir('/')", "import os\nassert os.getcwd() != '/'"),
    "patched module": ("import math\nmath.sqrt = lambda x: 7", "import math\nassert math.sqrt(4) == 2"),
    "patched clock": ("import time\ntime.monotonic = lambda: 5.0", "import time\nassert time.monotonic() != 5.0"),
    "patched builtin": ("import builtins\nbuiltins.open = lambda *a, **k: 1 / 0", "open('/dev/null').close()"),
    "by setattr": ("import json\nsetattr(json, 'loads', None)", "import json\nassert json.loads('1') == 1"),
    "in a dictionary of a module": ("import sys\nsys.modules['json'] = None", "import json"),
    "standard output": ("import sys, io\nsys.stdout = io.StringIO()", "import sys, io\nassert type(sys.stdout) is not io.StringIO"),
    "alarm": ("import signal\nsignal.signal(signal.SIGALRM, lambda *a: 1 / 0)\nsignal.setitimer(0, 0.2)", "import time\ntime.sleep(0.4)"),
    "trace function": ("import sys\nsys.settrace(lambda *a: None)", "import sys\nassert sys.gettrace() is None"),
    "collector": ("import gc\ngc.disable()", "import gc\nassert gc.isenabled()"),
    "thread": ("import threading\nthreading.Timer(9, f).start()", "import threading as t\nassert t.active_count() == 1"),
    "end of the process": ("import os\nif f(0) == 0: os._exit(0)", "assert f(0) == 0"),
}  # fmt: skip


@pytest.mark.parametrize("name", TRACES)
def test_tests_leave_nothing_to_those_of_the_next_problem(one_worker: Pool, name: str) -> None:
    first, second = TRACES[name]
    for tests in (first, second):
        (outcome,) = one_worker.run([Program(name, RIGHT, f"{tests}\nassert f(1) == 1", same_interpreter=False)])
        assert outcome.passed or "os._exit" in tests, outcome
        assert outcome.verdict is not Verdict.INFRASTRUCTURE_ERROR


UNITTEST = """
import unittest
class T(unittest.TestCase):
    def test(self): self.assertEqual(add(1, 2), 3)
result = unittest.main(exit=False, argv=["tests"]).result
assert result.wasSuccessful()
"""
DOCTEST = "import doctest\nassert doctest.testmod().failed == 0"
ADD = "def add(a, b):\n    '''\n    >>> add(1, 2)\n    3\n    '''\n    return a + b"


def test_unittest_finds_the_tests_from_outside_too(pool: Pool) -> None:
    executor = ByReference(pool)
    (reference,) = executor.judge_references([Program("p", ADD, UNITTEST)])
    assert reference.passed
    assert not reference.same_interpreter
    wrong = ADD.replace("a + b", "0")
    forged = f"import unittest\nunittest.TestCase.assertEqual = lambda *a: None\n{wrong}"
    outcomes = executor.run([Program("p", source, UNITTEST) for source in (wrong, forged)])
    assert [outcome.verdict for outcome in outcomes] == [Verdict.FAILED] * 2


def test_tests_that_ask_nothing_from_outside_are_said_to_run_inside(pool: Pool) -> None:
    executor = ByReference(pool)
    (reference,) = executor.judge_references([Program("p", ADD, DOCTEST)])
    assert reference.passed
    assert reference.same_interpreter
    (wrong,) = executor.run([Program("p", ADD.replace("a + b", "0"), DOCTEST)])
    assert wrong.verdict is Verdict.FAILED
    assert wrong.same_interpreter


def test_a_judge_of_its_own_shares_no_names_with_a_program(pool: Pool) -> None:
    tests = "import math\ndef close(a, b): return abs(a - b) < 1e-6\nassert close(f(2), 4)"
    own_helper = "def close(x): return x * 2\ndef f(x): return close(x)"
    no_import = "def f(x): return math.pow(x, 2)"
    for source, together in ((own_helper, False), (no_import, True)):
        for names_apart in (True, False):
            (outcome,) = pool.run([Program("p", source, tests, same_interpreter=False, names_apart=names_apart)])
            assert outcome.passed is (together != names_apart), (source, names_apart, outcome)


@pytest.fixture
def one_worker() -> object:
    with Pool(workers=1, timeout_seconds=5.0) as pool:
        yield pool


WRITES = "with open('left.txt', 'w') as file: file.write('x')\nassert f() == 1 and open('left.txt').read() == 'x'"


def test_files_of_trusted_tests_stay_out_of_the_users_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    program = Program("p", "def f(): return 1", WRITES, timeout_seconds=10.0)
    with Pool(workers=1) as pool:
        outside, by_text = pool.run([replace(program, same_interpreter=False), program])
        (by_reference,) = ByReference(pool).judge_references([program])
    assert not outside.passed
    assert by_text.passed
    assert by_reference.passed
    assert not list(tmp_path.iterdir())

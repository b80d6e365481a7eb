"""Limits: what fills a disk, a pipe or memory costs nobody but the program; time is the program's own, sleep included."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from mtp_eval.sandbox.outcome import Verdict
from mtp_eval.sandbox.pool import Pool
from mtp_eval.sandbox.trusted.jail import JailConfig
from mtp_eval.sandbox.trusted.session import WALL_FACTOR
from mtp_eval.sandbox.trusted.worker import EXTRA_ADDRESS_SPACE
from mtp_eval.tasks.problem import Program

FILL = """
def f():
    for n in range(10_000):
        with open(f"p{n}", "wb") as file: file.write(bytes(8 << 20))
"""
RAW = """
import os, struct
def f():
    for fd in range(3, 64):
        try:
            os.write(fd, struct.pack(">I", 200 << 20))
            for _ in range(200): os.write(fd, bytes(1 << 20))
        except OSError: pass
"""
ROOM = "def f():\n    for n in range(4): open(f'p{n}', 'wb').write(bytes(15 << 20))\n    return 1"
FOUR_HUNDRED_MB_KB = 400 << 10


@pytest.mark.parametrize(
    ("program", "verdicts"),
    [
        (Program("full scratch folder", FILL, "f()"), (Verdict.OUTPUT_LIMIT,)),
        (Program("200 MB returned", "def f(): return 'x' * (200 << 20)", "f()"), (Verdict.OUTPUT_LIMIT,)),
        (Program("200 MB in many strings", "def f(): return ['x' * (1 << 20)] * 200", "f()"), (Verdict.OUTPUT_LIMIT,)),
        (Program("200 MB of raw bytes", RAW, "f()"), (Verdict.ERROR,)),
        (
            Program("200 MB printed", "def f():\n    for _ in range(200): print('x' * (1 << 20))", "f()"),
            (Verdict.PASSED,),
        ),
        (
            Program("200 MB of output", "for _ in range(200): print('x' * (1 << 20))", stdin_cases=(("", "x"),)),
            (Verdict.OUTPUT_LIMIT,),
        ),
    ],
    ids=lambda value: value.problem_id if isinstance(value, Program) else "",
)
def test_what_is_too_much_ends_with_the_program(pool: Pool, program: Program, verdicts: tuple[Verdict, ...]) -> None:
    """Time is not what ends it, also where writing 200 MB takes half a minute."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    programs = [program, *(Program("room", f"{ROOM}\n# {n}", "assert f() == 1") for n in range(4))]
    outcomes = list(pool.run(replace(program, timeout_seconds=60.0) for program in programs))
    assert outcomes[0].verdict in verdicts, outcomes[0]
    assert [outcome.verdict for outcome in outcomes[1:]] == [Verdict.PASSED] * 4
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < FOUR_HUNDRED_MB_KB


@contextmanager
def one_busy_cpu() -> Iterator[None]:
    """Everything started inside runs on one CPU, and so does a process that wants it all the time: each gets half at most."""
    usual = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(usual)})
    spinner = subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"])
    try:
        time.sleep(0.2)
        yield
    finally:
        spinner.kill()
        spinner.wait()
        os.sched_setaffinity(0, usual)


@pytest.mark.slow
def test_on_a_busy_host_a_sleeper_ends_at_its_limit_and_a_worker_gets_its_time() -> None:
    """One program sleeps; the other needs 0.7 s of CPU and has 1 s. However busy the host is, time that others had is not
    counted, up to three times the limit and a second.
    """
    asleep = Program("asleep", "import time\ndef f(): time.sleep(60)", "f()")
    working = Program("working", "import time\ndef f():\n    while time.process_time() < 0.7: pass", "f()")
    with one_busy_cpu(), Pool(workers=1, timeout_seconds=1.0) as pool:
        outcomes = list(pool.run([asleep, working]))
    assert outcomes[0].verdict is Verdict.TIMEOUT
    assert outcomes[1].passed or outcomes[1].wall_seconds >= WALL_FACTOR * 1.0, outcomes[1]


@pytest.mark.slow
def test_what_messages_cost_is_not_the_programs_time() -> None:
    """25,000 calls of a function that takes no time: 5 ms in one process, 1.5 s and more from outside."""
    many = Program("many", "def f(x): return x * x", "for i in range(25_000):\n    assert f(i) == i * i")
    slow = Program("slow", "import time\ndef f(x): time.sleep(0.2)", "for i in range(25_000):\n    f(i)")
    with Pool(workers=2, timeout_seconds=1.0) as pool:
        outcomes = list(pool.run([many, slow]))
    assert outcomes[0].passed or outcomes[0].wall_seconds >= WALL_FACTOR * 1.0, outcomes[0]
    assert outcomes[1].verdict is Verdict.TIMEOUT, outcomes[1]


@pytest.mark.slow
@pytest.mark.parametrize(("preload", "megabytes"), [((), 64), ((), 128), ((), 256), (("numpy",), 256)])
def test_numpy_under_a_memory_limit_works_or_ends_at_once(preload: tuple[str, ...], megabytes: int) -> None:
    pytest.importorskip("numpy")
    source = "import numpy as np\ndef f(n): return np.linalg.inv(np.eye(n) * 2).sum(), np.arange(n).dot(np.arange(n))"
    with Pool(
        workers=1, memory_bytes=megabytes << 20, timeout_seconds=10.0, config=JailConfig(preload=preload)
    ) as pool:
        (outcome,) = pool.run([Program("numpy", source, "assert f(50) == (25.0, 40425)")])
    if megabytes >= 256:
        assert outcome.passed, outcome
    assert outcome.verdict not in (Verdict.TIMEOUT, Verdict.INFRASTRUCTURE_ERROR)


@pytest.mark.parametrize(("share", "verdict"), [(0.1, Verdict.PASSED), (1.2, Verdict.MEMORY_LIMIT)])
def test_what_tests_build_from_a_value_counts_against_the_program(share: float, verdict: Verdict) -> None:
    """A worker has the program's limit and `EXTRA_ADDRESS_SPACE` more, and goes on after running out of it. What passes is
    run in the program's interpreter, too, where there is no more than its own limit.
    """
    limit = 256 << 20
    n_bytes = int(share * (limit + EXTRA_ADDRESS_SPACE))
    building = Program("building", f"def f(): return {n_bytes}", "assert len(bytearray(f())) == f()")
    sorting = Program("sorting", f"def f(): return range({n_bytes})", "assert sorted(f())[0] == 0")
    small = [Program(f"small {n}", f"def f(): return {n}", f"assert f() == {n}") for n in range(4)]
    with Pool(workers=1, timeout_seconds=20.0, memory_bytes=limit) as pool:
        first, *others = pool.run([building, *small])
        assert first.verdict is verdict, first
        assert [outcome.verdict for outcome in others] == [Verdict.PASSED] * 4
        if verdict is Verdict.MEMORY_LIMIT:
            assert [outcome.verdict for outcome in pool.run([sorting])] == [verdict]

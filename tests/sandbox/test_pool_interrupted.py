"""Ctrl-C and the death of the process that has the pool: nothing is left, no lock stays taken, no outcome is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mtp_eval.sandbox.outcome import Verdict
from mtp_eval.sandbox.pool import Pool
from tests.sandbox.processes import busy, descendants, wait_until, wait_until_gone
from tests.sandbox.test_pool import numbered

SCRIPT = """
import sys
from mtp_eval.sandbox.pool import Pool
from mtp_eval.tasks.problem import Program
pool = Pool(workers=2, timeout_seconds=60.0, isolation=sys.argv[1])
print("ready", flush=True)
for n in range(8):
    pool.submit(Program("p", f"def f():\\n    while True: pass\\n# {n}", "f()"), n)
try:
    print("running", flush=True)
    list(pool.drain())
except KeyboardInterrupt:
    pool.close()
    print("interrupted", flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("isolation", ["full", "process"])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_dead_or_interrupted_parent_leaves_nothing(tmp_path: Path, how: signal.Signals, isolation: str) -> None:
    """The script has no `if __name__ == "__main__"` guard: workers must not need one."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, str(script), isolation],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        assert process.stdout.readline() == "running\n"
        # A worker that is told to end while it makes a jail of isolation "process" leaves its folders to the next.
        wait_until(lambda: len(busy(process.pid)) >= 2)
        family = descendants(process.pid)
        os.killpg(process.pid, how) if how is signal.SIGINT else os.kill(process.pid, how)
        output, errors = process.communicate()
        wait_until_gone(family)
        if how is signal.SIGINT:
            assert output == "interrupted\n"
            assert "Traceback" not in errors, errors
            assert process.returncode == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["script.py"]


@pytest.mark.slow
def test_ctrl_c_at_any_moment_never_makes_drain_wait_for_nothing() -> None:
    """Interrupts 2 ms into submitting and collecting, 300 times; then every outcome that is left must still come."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    with Pool(workers=2) as pool:
        try:
            for i in range(300):
                try:
                    signal.setitimer(signal.ITIMER_REAL, 0.002)
                    pool.submit(numbered(i), tag=("interrupted", i))
                    pool.ready()
                    signal.setitimer(signal.ITIMER_REAL, 0)
                except KeyboardInterrupt:
                    pass
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        assert all(outcome.passed for _, outcome in pool.drain())
        pool.submit(numbered(300), tag="after")
        assert ("after", Verdict.PASSED) in [(tag, outcome.verdict) for tag, outcome in pool.drain()]


def interrupting_at(moment: int) -> Callable[..., Any]:
    """A trace function that raises KeyboardInterrupt when the n-th Python function of the pool's is entered or left.

    Signals are handled when a function begins and after a call; nothing is handled between the steps of a `with` on a lock of C.
    """
    n = 0

    def trace(frame: types.FrameType, event: str, _: object) -> Any:
        nonlocal n
        if Path(frame.f_code.co_filename).name in ("pool.py", "dispatch.py", "changes.py", "threading.py"):
            n += event in ("call", "return")
            if n == moment:
                raise KeyboardInterrupt
            return trace
        return None

    return trace


def test_ctrl_c_between_any_two_steps_leaves_no_lock_taken() -> None:
    """At each step of submitting and collecting in turn; the pool's thread must always come by again."""
    moment, was_interrupted = 0, True
    with Pool(workers=1) as pool:
        while was_interrupted:
            moment += 1
            was_interrupted = False
            sys.settrace(interrupting_at(moment))
            try:
                pool.submit(numbered(moment), tag=moment)
                list(pool.drain())
            except KeyboardInterrupt:
                was_interrupted = True
            finally:
                sys.settrace(None)
            list(pool.drain())
            pool.submit(numbered(-moment), tag="after")
            assert ("after", Verdict.PASSED) in [(tag, outcome.verdict) for tag, outcome in pool.drain()]
    assert moment > 10

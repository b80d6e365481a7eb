"""The pool when things break: no hang, nothing lost, nothing left, and never a wrong answer."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Hashable
from pathlib import Path

import multiprocess
import multiprocess.spawn
import pytest

from mtp_eval.sandbox.errors import PoolClosed
from mtp_eval.sandbox.outcome import Outcome, Verdict
from mtp_eval.sandbox.pool import MAX_WAITING_PER_WORKER, Pool
from mtp_eval.sandbox.trusted.session import children_of
from mtp_eval.tasks.problem import Program
from tests.sandbox.processes import command, descendants, jailed, kill_all, wait_until, wait_until_gone, workers


def numbered(n: int, body: str = "") -> Program:
    return Program("p", f"def f():\n    {body or 'pass'}\n    return {n}", f"assert f() == {n}")


def test_tags_come_back_with_their_outcomes_and_in_order(pool: Pool) -> None:
    programs = [numbered(n, "import time; time.sleep(0.05)" if n % 7 == 0 else "") for n in range(60)]
    programs[13] = Program("p", "def f(): return 0", "assert f() == 13")
    assert [outcome.passed for outcome in pool.run(programs)] == [n != 13 for n in range(60)]
    for n, program in enumerate(programs):
        pool.submit(program, ("tag", n))
    outcomes = dict(pool.drain())
    assert len(outcomes) == 60
    assert set(outcomes) == {("tag", n) for n in range(60)}
    assert not outcomes["tag", 13].passed


def test_identical_programs_run_once(pool: Pool) -> None:
    """A program that reports the time it ran at gives one time for all."""
    source = "import time\ndef f(): raise ValueError(time.perf_counter_ns())"
    outcomes = list(pool.run([Program(f"p{n}", source, "f()") for n in range(20)]))
    assert len({outcome.error for outcome in outcomes}) == 1
    other = list(pool.run([Program("p", source, "f() ")]))
    assert other[0].error != outcomes[0].error


@pytest.mark.slow
def test_submit_waits_while_the_queue_is_full() -> None:
    with Pool(workers=1, timeout_seconds=5.0) as pool:
        for n in range(MAX_WAITING_PER_WORKER + 20):
            pool.submit(numbered(n, "import time; time.sleep(0.05)"), n)
        n_finished = len(pool.ready())
        assert n_finished >= 10  # no more than the queue and what a worker has at hand can be unfinished
        assert len(list(pool.drain())) == MAX_WAITING_PER_WORKER + 20 - n_finished


def begun(pool: Pool) -> list[tuple[Hashable, Outcome]]:
    """The first outcomes of 40 programs that sleep: every worker has one in its jail, and the long ones are far from their end."""
    for n in range(40):
        pool.submit(numbered(n, f"import time; time.sleep({2.0 if n in (10, 11) else 0.05})"), n)
    outcomes: list[tuple[Hashable, Outcome]] = []
    while len(outcomes) < 10:
        outcomes += pool.ready()
        time.sleep(0.01)
    return outcomes


@pytest.mark.slow
def test_a_killed_zygote_costs_no_verdict() -> None:
    with Pool(workers=2, timeout_seconds=5.0) as pool:
        outcomes = dict(begun(pool))
        kill_all(jailed(os.getpid()))
        outcomes |= dict(pool.drain())
    assert len(outcomes) == 40
    assert all(outcome.passed for outcome in outcomes.values())
    assert any(outcome.n_retries for outcome in outcomes.values())


@pytest.mark.slow
def test_a_killed_worker_costs_no_verdict() -> None:
    with Pool(workers=2, timeout_seconds=5.0) as pool:
        outcomes = dict(begun(pool))
        zygotes = jailed(os.getpid())
        kill_all(workers(os.getpid()))
        outcomes |= dict(pool.drain())
        wait_until_gone(zygotes)
    assert len(outcomes) == 40
    assert all(outcome.passed for outcome in outcomes.values())


@pytest.mark.slow
@pytest.mark.parametrize("whom", ["getpid", "getppid"])
def test_a_program_that_kills_every_worker_is_an_infrastructure_error(whom: str) -> None:
    """Stands for any defect of ours that one program sets off: it must not take the others with it, or loop for ever."""
    with Pool(workers=1, timeout_seconds=5.0) as pool:
        deadly = f"import os, signal\nos.kill(os.{whom}(), signal.SIGKILL)"
        pool.submit(Program("bad", "def f(): return 1", deadly, same_interpreter=False), "bad")
        for n in range(5):
            pool.submit(numbered(n), n)
        outcomes = dict(pool.drain())
    assert outcomes.pop("bad").verdict is Verdict.INFRASTRUCTURE_ERROR
    assert all(outcome.passed for outcome in outcomes.values())


def test_a_stopped_program_and_a_loaded_worker_end_in_time() -> None:
    stop = Program("p", "import os, signal\ndef f(): os.kill(os.getpid(), signal.SIGSTOP)", "f()", timeout_seconds=0.5)
    with Pool(workers=1) as pool:
        (outcome,) = pool.run([stop])
    assert outcome.verdict is Verdict.TIMEOUT
    assert outcome.n_retries == 1


def test_a_timeout_that_passes_alone_is_called_sensitive(tmp_path: Path) -> None:
    """Slow beside others, fast alone: the tests themselves (they are trusted) look at whether they ran before. In the jail,
    where the folder is not to be seen, they are fast.
    """
    mark = tmp_path / "ran"
    first = f"os.path.isdir({str(tmp_path)!r}) and not os.path.exists({str(mark)!r})"
    tests = f"import os\nif {first}:\n    open({str(mark)!r}, 'w').close()\n    f(60)\nf(0)"
    program = Program("p", "import time\ndef f(s): time.sleep(s)", tests, timeout_seconds=0.5, same_interpreter=False)
    with Pool(workers=1) as pool:
        (outcome,) = pool.run([program])
    assert outcome.passed
    assert outcome.timeout_sensitive
    assert outcome.n_retries == 1


def test_closing_leaves_nothing() -> None:
    before = set(descendants(os.getpid()))
    n_fds = len(os.listdir("/proc/self/fd"))
    with Pool(workers=2, timeout_seconds=30.0) as pool:
        for n in range(10):
            pool.submit(numbered(n, "while True: pass"), n)
        wait_until(lambda: len(set(descendants(os.getpid())) - before) >= 4)
        running = [pid for pid in descendants(os.getpid()) if pid not in before]
    trackers = [pid for pid in running if "resource_tracker" in command(pid)]
    wait_until_gone([pid for pid in running if pid not in trackers])
    assert len(os.listdir("/proc/self/fd")) <= n_fds + 1  # the tracker's pipe
    with pytest.raises(PoolClosed):
        pool.submit(numbered(0), 0)


@pytest.mark.slow
def test_workers_that_cannot_start_are_reported() -> None:
    usual = multiprocess.spawn.get_executable()
    multiprocess.set_executable("/bin/false")
    try:
        with pytest.raises(PoolClosed, match="no worker could be started"):
            Pool(workers=2)
    finally:
        multiprocess.set_executable(usual)


@pytest.mark.parametrize(
    "arguments", [{"workers": 0}, {"timeout_seconds": 0.0}, {"memory_bytes": 1}, {"isolation": "x"}]
)
def test_bad_arguments_are_named(arguments: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"expected"):
        Pool(**arguments)  # type: ignore[arg-type]


def test_run_stopped_early_leaves_the_pool_usable(pool: Pool) -> None:
    outcomes = pool.run(numbered(n) for n in range(100))
    assert next(outcomes).passed
    outcomes.close()  # type: ignore[attr-defined]
    assert [outcome.passed for outcome in pool.run([numbered(1), numbered(2)])] == [True, True]


def test_children_are_found() -> None:
    with subprocess.Popen(["sleep", "5"]) as process:
        assert str(process.pid) in children_of(os.getpid())
        process.kill()

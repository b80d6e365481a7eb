"""Trusted tests as the main module of a process: of this one, or of a fork where they may leave something behind.

Patched modules, settings, signal handlers, timers and threads of one problem's tests must not reach those of the next.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from types import ModuleType
from typing import Any, TextIO

from mtp_eval.sandbox import linux
from mtp_eval.sandbox.errors import BadTests, JailDied, TestsDied, TestsKilled
from mtp_eval.sandbox.outcome import Outcome

_dumps, _loads, _write, _exit = pickle.dumps, pickle.loads, os.write, os._exit  # whatever the tests do to these modules


@contextmanager
def running_as(main: ModuleType) -> Iterator[None]:
    """Let a module be `__main__`, where unittest, doctest and pickle look for things, and nothing be printed."""
    before, errors = sys.modules["__main__"], sys.stderr
    sys.modules["__main__"], sys.stderr = main, _nowhere()
    try:
        yield
    finally:
        sys.modules["__main__"], sys.stderr = before, errors


@cache
def _nowhere() -> TextIO:
    return open(os.devnull, "w")


def in_a_fork(run: Callable[[], Outcome], cpu_seconds: float) -> Outcome:
    """The outcome of a run that is made in a fork of this process.

    Raises:
        JailDied, BadTests, MemoryError: as the run did.
        TestsDied: the fork ended without an outcome.
        TestsKilled: it was killed.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        _be_the_fork(run, writer, cpu_seconds)
    os.close(writer)
    try:
        _, status = os.waitpid(pid, 0)
        os.set_blocking(reader, False)  # the tests may have left a process that holds the other end
        try:
            data = os.read(reader, 1 << 16)
        except BlockingIOError:
            data = b""
    finally:
        os.close(reader)
    ended_by = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    if ended_by == signal.SIGPROF:
        os.kill(os.getpid(), signal.SIGPROF)  # out of time, as it would have been here
    if ended_by == signal.SIGKILL:
        raise TestsKilled("the process of the tests was killed")
    if status or not data:
        raise TestsDied(f"the tests ended their own process ({_how(status)})")
    outcome: Outcome | BaseException = _loads(data)
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome


def _how(status: int) -> str:
    return f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"exit code {os.WEXITSTATUS(status)}"


def _be_the_fork(run: Callable[[], Outcome], writer: int, cpu_seconds: float) -> None:
    """Never returns."""
    status = 1
    try:
        if sys.platform == "linux":
            linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.setitimer(signal.ITIMER_PROF, cpu_seconds)
        answer: Any
        try:
            answer = run()
        except (JailDied, OSError) as error:
            answer = JailDied(f"{type(error).__name__}: {error}")
        except BadTests as error:
            answer = BadTests(str(error))
        except MemoryError:
            answer = MemoryError()
        _write(writer, _dumps(answer))
        status = 0
    finally:
        _exit(status)

"""The pool's handles: a job, and a worker process with the jobs that it has been given."""

from __future__ import annotations

import contextlib
import os
import pickle
import resource
import signal
import sys
import time
import types
from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any

import multiprocess

from mtp_eval.sandbox.errors import SandboxOptionError
from mtp_eval.sandbox.outcome import Outcome
from mtp_eval.sandbox.program import Program
from mtp_eval.sandbox.trusted.jail import JailConfig
from mtp_eval.sandbox.trusted.session import WALL_EXTRA_SECONDS, WALL_FACTOR
from mtp_eval.sandbox.trusted.worker import Texts, main

_STUCK_EXTRA_SECONDS = 30.0


@dataclass(slots=True)
class Job:
    """A distinct program, with all the tags under which it was submitted."""

    key: bytes
    program: Program
    tags: list[Hashable]
    n_deaths: int = 0
    first_timeout: Outcome | None = None
    queued_alone_at: float = 0.0

    def longest_seconds(self, timeout_seconds: float) -> float:
        """Seconds after which a worker that has not answered is stuck (stopped, say), whatever it does."""
        limit = self.program.timeout_seconds or timeout_seconds
        one = WALL_FACTOR * limit + WALL_EXTRA_SECONDS
        return one * max(1, len(self.program.stdin_cases)) + _STUCK_EXTRA_SECONDS


@dataclass(slots=True, eq=False)
class Worker:
    """A worker process; `is_ready` once it has a jail, `since` is when it began its present job."""

    process: Any
    connection: Any
    is_ready: bool = False
    jobs: deque[Job] = field(default_factory=deque)
    texts: Texts = field(default_factory=Texts)
    since: float = 0.0
    _looked_at: float = 0.0
    _ran_until_then: float = 0.0

    @classmethod
    def start(cls, config: JailConfig, timeout_seconds: float) -> Worker:
        """Start a worker process; its first message says whether it has a jail."""
        context = multiprocess.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=main, args=(theirs, config, timeout_seconds), daemon=True)
        # A spawned process imports the main module first. Ours needs nothing from it, and a user's script without an
        # `if __name__ == "__main__"` guard would start the whole evaluation again.
        real_main = sys.modules["__main__"]
        sys.modules["__main__"] = types.ModuleType("__main__")
        try:
            process.start()
        finally:
            sys.modules["__main__"] = real_main
        theirs.close()
        return cls(process, ours, since=time.monotonic())

    def give(self, job: Job) -> None:
        """Send a job; its tests only where the worker does not have them yet."""
        key = blake2b(job.program.tests.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        tests = None if self.texts.knows(key) else job.program.tests
        self.texts.use(key, None, len(job.program.tests))
        if not self.jobs:
            self.since = time.monotonic()
        self.jobs.append(job)
        with contextlib.suppress(OSError):  # it has died; its sentinel says so in a moment
            self.connection.send_bytes(
                pickle.dumps((replace(job.program, tests=""), key, tests, len(job.program.tests)))
            )

    def is_stuck(self, timeout_seconds: float) -> bool:
        """Whether the worker is overdue and does not even try to run; called repeatedly, since it compares with the last call.

        One that runs, or waits for a CPU that others hold, ends by itself: the alarm on its process time sees to that.
        """
        now = time.monotonic()
        overdue = bool(self.jobs) and now - self.since > self.jobs[0].longest_seconds(timeout_seconds)
        if not overdue or now - self._looked_at < 1.0:
            return False
        ran, before, elapsed = runnable_seconds(self.process.pid), self._ran_until_then, now - self._looked_at
        is_first_look = self._looked_at < self.since
        self._looked_at, self._ran_until_then = now, ran
        return not is_first_look and ran - before < elapsed / 2

    def end(self) -> None:
        """Terminate the process; kill it if it has not ended after 2 s."""
        self.connection.close()
        self.process.terminate()
        self.process.join(2.0)
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()
        self.process.close()


_FILES_OF_A_START, _FILES_PER_WORKER, _FILES_IN_A_WORKER = 16, 2, 24


def check_open_files(n_workers: int) -> None:
    """Make sure that so many workers can be started, and a zygote in each.

    Raises:
        SandboxOptionError: the limit on open files is too low.
    """
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    folder = "/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"
    n_open = len(os.listdir(folder)) if os.path.isdir(folder) else 3
    needed = max(_FILES_IN_A_WORKER, n_open + _FILES_OF_A_START + _FILES_PER_WORKER * n_workers)
    if limit == resource.RLIM_INFINITY or needed <= limit:
        return
    fewer = (limit - n_open - _FILES_OF_A_START) // _FILES_PER_WORKER
    way_out = f", or use {fewer} worker{'s'[: fewer > 1]}" if fewer >= 1 and limit >= _FILES_IN_A_WORKER else ""
    raise SandboxOptionError(
        f"expected a limit of at least {needed} open files for {n_workers} worker{'s'[: n_workers > 1]}, got {limit}. "
        f"Raise it (ulimit -n {max(256, needed)}){way_out}"
    )


def runnable_seconds(pid: int) -> float:
    """How long a process has run or waited for a CPU; 0 where the system does not say."""
    try:
        with open(f"/proc/{pid}/schedstat") as file:
            return sum(map(int, file.read().split()[:2])) / 1e9
    except (OSError, ValueError):
        return 0.0


def size(program: Program) -> int:
    """Characters of all of a program's texts."""
    return (
        len(program.source)
        + len(program.tests)
        + len(program.prelude)
        + sum(len(a) + len(b) for a, b in program.stdin_cases)
    )


def describe(exit_code: int | None) -> str:
    """An exit code in words."""
    if exit_code is not None and exit_code < 0:
        try:
            return signal.Signals(-exit_code).name
        except ValueError:
            pass
    return f"exit code {exit_code}"


def was_killed(exit_code: int | None) -> bool:
    """Whether a worker was ended from outside; one that is told to end, or that makes room for a new one, exits with 0."""
    return exit_code in (-signal.SIGKILL, -signal.SIGTERM, 0)


def empty(fd: int) -> None:
    """Read whatever is in a pipe."""
    try:
        while os.read(fd, 4096):
            pass
    except BlockingIOError:
        pass

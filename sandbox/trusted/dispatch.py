"""The pool's own thread: hands jobs to workers, takes outcomes back, replaces workers that die, retries timeouts alone.

Everything that the pool and this thread share is guarded by the pool's lock; only this thread touches processes,
so that each worker's parent thread (to which its death signal is tied) lives as long as the pool.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import selectors
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from mtp_eval.sandbox.outcome import Outcome, Verdict
from mtp_eval.sandbox.trusted.changes import Changes
from mtp_eval.sandbox.trusted.jail import JailConfig
from mtp_eval.sandbox.trusted.processes import Job, Worker, describe, empty, size, was_killed
from mtp_eval.sandbox.trusted.worker import OUT_OF_TIME

MAX_DEATHS, MAX_KILLS = 3, 10
"""Workers that may die over one program before that is its outcome: by themselves, or killed from outside."""
MAX_FAILED_STARTS, MAX_KILLED_STARTS = 3, 100
"""Workers that may end, one after the other, before they are ready."""
ALONE_BATCH, ALONE_PATIENCE_SECONDS = 32, 10.0
"""Timeouts wait for their lone run until there are this many, or the oldest has waited this long, or all is idle."""
_PREFETCH_BYTES, _PREFETCH_JOBS = 16 << 10, 4


class Dispatcher:
    """The thread and the workers.

    Args:
        finish: called with every job and its outcome, with the lock held.
        changes: the pool's lock, and what tells it of changes.
    """

    def __init__(
        self,
        n_workers: int,
        config: JailConfig,
        timeout_seconds: float,
        finish: Callable[[Job, Outcome], None],
        changes: Changes,
    ) -> None:
        self._n_workers, self._config, self._timeout_seconds = n_workers, config, timeout_seconds
        self._finish, self._changes = finish, changes
        self._waiting: deque[Job] = deque()
        self._alone: deque[Job] = deque()
        self._running_alone = False
        self._wants_jobs = True
        self._workers: list[Worker] = []
        self._n_failed_starts = 0
        self._refused, self._broken = "", ""
        self._layers: Mapping[str, str] = {}
        self._stopping = False
        self._awake_r, self._awake_w = os.pipe()
        os.set_blocking(self._awake_w, False)
        os.set_blocking(self._awake_r, False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._awake_r, selectors.EVENT_READ, None)
        self._is_started = False
        self._thread = threading.Thread(target=self._run, name="sandbox-dispatch", daemon=True)

    def start(self) -> tuple[str, str, Mapping[str, str]]:
        """Start the workers; returns when one of them is ready or none can be: (refused, broken, layers)."""
        self._thread.start()
        while not self._is_started:
            self._changes.wait()
        return self._refused, self._broken, self._layers

    def stop(self) -> None:
        """End the thread and all workers."""
        self._stopping = True
        self._wake()
        if self._thread.ident is not None:
            self._thread.join()
        self._selector.close()
        for fd in (self._awake_r, self._awake_w):
            if fd >= 0:
                os.close(fd)
        self._awake_r = self._awake_w = -1

    @property
    def n_waiting(self) -> int:
        """Jobs that no worker has yet."""
        return len(self._waiting)

    def add(self, job: Job) -> None:
        """Queue a job; the caller holds the lock."""
        self._waiting.append(job)
        if self._wants_jobs:  # else every worker has enough, and the next outcome will make the thread look here
            self._wake()

    def forget_waiting(self) -> None:
        """Give up the jobs that have not begun."""
        with self._changes.lock:
            for job in (*self._waiting, *self._alone):
                self._finish(job, Outcome(Verdict.INFRASTRUCTURE_ERROR, "cancelled"))
            self._waiting.clear()
            self._alone.clear()

    def _wake(self) -> None:
        try:
            if self._awake_w >= 0:
                os.write(self._awake_w, b"w")
        except BlockingIOError:
            pass

    # --- the thread ---

    def _run(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # workers inherit it until they ignore Ctrl-C
        try:
            for _ in range(self._n_workers):
                self._workers.append(self._start_worker())
            while not self._stopping:
                with self._changes.lock:
                    self._hand_out()
                self._wait_for_something()
        except BaseException as error:
            self._broken = f"{type(error).__name__}: {error}"
            if not isinstance(error, OSError):  # no process could be started, or it ended before it was told what to do
                raise
        finally:
            for worker in self._workers:
                worker.end()
            with self._changes.lock:
                self._give_up()
                self._tell_started()

    def _start_worker(self) -> Worker:
        worker = Worker.start(self._config, self._timeout_seconds)
        self._selector.register(worker.connection, selectors.EVENT_READ, worker)
        self._selector.register(worker.process.sentinel, selectors.EVENT_READ, worker)
        return worker

    def _hand_out(self) -> None:
        """Give every worker something to do; the lock is held."""
        self._wants_jobs = True
        if self._broken:
            self._give_up()
            return
        ready = [worker for worker in self._workers if worker.is_ready]
        busy = any(worker.jobs for worker in self._workers)
        if self._running_alone:
            if busy:
                return
            self._running_alone = bool(self._alone)
        elif self._alone and (
            len(self._alone) >= ALONE_BATCH
            or not (self._waiting or busy)
            or time.monotonic() - self._alone[0].queued_alone_at > ALONE_PATIENCE_SECONDS
        ):
            self._running_alone = True
            if busy:
                return
        if self._running_alone:
            if ready:
                ready[0].give(self._alone.popleft())
            return
        for depth in range(1, _PREFETCH_JOBS + 1):  # one to run for everyone first, then some to have at hand
            for worker in ready:
                if not self._waiting:
                    break
                small = depth == 1 or size(self._waiting[0].program) < _PREFETCH_BYTES
                if len(worker.jobs) < depth and small:
                    worker.give(self._waiting.popleft())
        self._wants_jobs = any(len(worker.jobs) < _PREFETCH_JOBS for worker in self._workers)
        self._changes.tell()

    def _wait_for_something(self) -> None:
        ready = self._selector.select(timeout=1.0)
        with self._changes.lock:
            for key, _ in ready:
                if key.data is None:
                    empty(self._awake_r)
                elif key.data in self._workers:
                    worker, is_end = key.data, key.fileobj == key.data.process.sentinel
                    self._collect(worker, all_of_it=is_end)
                    if is_end:
                        self._replace_dead(worker)
            for worker in self._workers:
                if worker.is_stuck(self._timeout_seconds):
                    worker.process.kill()

    def _collect(self, worker: Worker, *, all_of_it: bool) -> None:
        """Take what a worker has sent: the one message that is known to be there, or whatever is left of a dead one."""
        try:
            while not all_of_it or worker.connection.poll():
                message = pickle.loads(worker.connection.recv_bytes())
                if isinstance(message, Outcome):
                    worker.since = time.monotonic()
                    self._judged(worker.jobs.popleft(), message)
                else:
                    self._greeting(worker, *message)
                if not all_of_it:
                    return
        except (EOFError, OSError):
            self._stop_watching(worker, except_its_end=True)

    def _stop_watching(self, worker: Worker, *, except_its_end: bool = False) -> None:
        """Watch a worker no more; a closed connection would be readable for ever."""
        for watched in (worker.connection,) if except_its_end else (worker.connection, worker.process.sentinel):
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(watched)

    def _greeting(self, worker: Worker, kind: str, detail: Any) -> None:
        if kind == "layers":
            worker.is_ready, self._layers, self._n_failed_starts = True, detail, 0
            self._tell_started()
        elif kind == "refused":
            self._refused = self._broken = detail
            self._tell_started()
        else:
            self._last_failure = detail

    def _tell_started(self) -> None:
        """A worker is ready, or none can be; the lock is held."""
        self._is_started = True
        self._changes.tell()

    def _judged(self, job: Job, outcome: Outcome) -> None:
        if outcome.verdict is Verdict.TIMEOUT and job.first_timeout is None:
            job.first_timeout, job.queued_alone_at = outcome, time.monotonic()
            self._alone.append(job)
            return
        if job.first_timeout is not None or job.n_deaths:
            outcome = replace(
                outcome,
                n_retries=outcome.n_retries + job.n_deaths + (job.first_timeout is not None),
                timeout_sensitive=job.first_timeout is not None and outcome.verdict is not Verdict.TIMEOUT,
            )
        self._finish(job, outcome)

    _last_failure = "it ended without a word"

    def _replace_dead(self, worker: Worker) -> None:
        """Put the jobs of a dead worker back, count the one it was at, start another."""
        worker.process.join()
        exit_code = worker.process.exitcode
        self._stop_watching(worker)
        worker.connection.close()
        self._workers.remove(worker)
        if worker.jobs:
            job = worker.jobs.popleft()
            self._waiting.extendleft(reversed(worker.jobs))
            if exit_code == -OUT_OF_TIME:
                limit = job.program.timeout_seconds or self._timeout_seconds
                error = "the tests did not come to an end on what the program returned"
                self._judged(job, Outcome(Verdict.TIMEOUT, error, limit, isolation=self._config.isolation))
            else:
                self._retry(job, exit_code)
        if self._stopping or self._broken or (not worker.is_ready and self._too_many_failed_starts(exit_code)):
            return
        self._workers.append(self._start_worker())

    def _too_many_failed_starts(self, exit_code: int | None) -> bool:
        """Count a worker that ended before it was ready; without any that is ready, too many of them end the pool."""
        self._n_failed_starts += 1
        if self._n_failed_starts < (MAX_KILLED_STARTS if was_killed(exit_code) else MAX_FAILED_STARTS):
            return False
        if not any(other.is_ready for other in self._workers):
            self._broken = f"{self._last_failure} ({describe(exit_code)})"
            self._tell_started()
        return True

    def _retry(self, job: Job, exit_code: int | None) -> None:
        """Run a job again whose worker has died; after too many deaths it is over.

        Killed from outside, for want of memory, say: nothing is known about the program. Any other death came from what
        the tests did with the program's values, and is the program's fault.
        """
        job.n_deaths += 1
        from_outside = was_killed(exit_code)
        if job.n_deaths < (MAX_KILLS if from_outside else MAX_DEATHS):
            (self._alone if job.first_timeout is not None else self._waiting).appendleft(job)
            return
        verdict = Verdict.INFRASTRUCTURE_ERROR if from_outside else Verdict.ERROR
        error = f"a worker ended with {describe(exit_code)}"
        if not from_outside:
            error = f"the tests broke the interpreter on what the program returned: {error}"
        self._finish(job, Outcome(verdict, error, n_retries=job.n_deaths - 1, isolation=self._config.isolation))

    def _give_up(self) -> None:
        """No worker is left or will be: every job ends as an infrastructure error, none is lost."""
        left = [*self._waiting, *self._alone, *(job for worker in self._workers for job in worker.jobs)]
        for job in left:
            self._finish(job, Outcome(Verdict.INFRASTRUCTURE_ERROR, self._broken or "the pool was closed"))
        self._waiting.clear()
        self._alone.clear()
        for worker in self._workers:
            worker.jobs.clear()
        self._changes.tell()

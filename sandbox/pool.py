"""The pool: programs in, outcomes out, in worker processes of which each is the trusted side of one jail.

    with Pool(workers=2, timeout_seconds=3.0) as pool:
        for program in programs:
            pool.submit(program, tag)            # waits when the queue is full
            for tag, outcome in pool.ready(): ...
        for tag, outcome in pool.drain(): ...

A thread of the pool's own hands out work and collects it. A program that times out is run once more, alone; a worker
that dies is replaced and its program run again; after three deaths it is an `infrastructure_error`, never a wrong
answer. Memory stays bounded however many programs are submitted, as long as finished ones are collected.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Hashable, Iterator
from dataclasses import replace
from hashlib import blake2b

from mtp_eval.sandbox.errors import IsolationUnavailable, PoolClosed, SandboxOptionError
from mtp_eval.sandbox.executor import Executor
from mtp_eval.sandbox.outcome import Outcome, Verdict
from mtp_eval.sandbox.program import DEFAULT_MEMORY_BYTES, DEFAULT_TIMEOUT_SECONDS, Program
from mtp_eval.sandbox.trusted.changes import Changes
from mtp_eval.sandbox.trusted.dispatch import Dispatcher
from mtp_eval.sandbox.trusted.folders import remove_left
from mtp_eval.sandbox.trusted.jail import JailConfig
from mtp_eval.sandbox.trusted.processes import Job, check_open_files

ISOLATIONS = ("full", "process")
MAX_WAITING_PER_WORKER = 64
MAX_REMEMBERED = 20_000
"""Outcomes kept so that an identical program is not run again."""


class Pool(Executor):
    """Runs untrusted programs in jailed processes of this machine.

    Args:
        workers: worker processes; None means one for each CPU this process may use.
        timeout_seconds: the limit on a program's time, unless it brings its own.
        memory_bytes: address space of a program.
        isolation: "full", or "process" where the host cannot give that.
        config: further limits of the jails; its isolation and memory are replaced by the arguments here.

    Raises:
        SandboxOptionError: an argument outside its range.
        IsolationUnavailable: full isolation was asked for and a layer is missing; the message names it.
        PoolClosed: the workers cannot be started for another reason.
    """

    def __init__(
        self,
        *,
        workers: int | None = None,
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
        memory_bytes: int = DEFAULT_MEMORY_BYTES,
        isolation: str = "full",
        config: JailConfig | None = None,
    ) -> None:
        n_workers = len(os.sched_getaffinity(0)) if workers is None and hasattr(os, "sched_getaffinity") else workers
        n_workers = (os.cpu_count() or 1) if n_workers is None else n_workers
        if n_workers < 1 or not timeout_seconds > 0 or memory_bytes < 1 << 26:
            raise SandboxOptionError(
                f"expected at least 1 worker, a timeout above 0 s and 64 MiB of memory; got workers={n_workers}, "
                f"timeout_seconds={timeout_seconds:g}, memory_bytes={memory_bytes}"
            )
        if isolation not in ISOLATIONS:
            raise SandboxOptionError(f"unknown isolation {isolation!r}; expected one of {', '.join(ISOLATIONS)}")
        check_open_files(n_workers)
        self.isolation = isolation
        self._changes = Changes()
        self._jobs: dict[bytes, Job] = {}
        self._remembered: dict[bytes, Outcome] = {}
        self._finished: deque[tuple[Hashable, Outcome]] = deque()
        self._closed = False
        self._max_waiting = MAX_WAITING_PER_WORKER * n_workers
        settings = replace(config or JailConfig(), isolation=isolation, memory_bytes=memory_bytes)
        self._dispatcher = Dispatcher(n_workers, settings, timeout_seconds, self._finish, self._changes)
        try:
            refused, broken, self.layers = self._dispatcher.start()
        except BaseException:
            self.close()
            raise
        if refused or broken:
            self.close()
            raise IsolationUnavailable(refused) if refused else PoolClosed(f"no worker could be started: {broken}")

    def submit(self, program: Program, tag: Hashable) -> None:
        """Queue a program; its outcome comes back with the tag. Waits while the queue is full.

        Raises:
            PoolClosed: the pool was closed.
        """
        key = _key(program)
        while not self._take(key, program, tag):
            self._changes.wait()

    def _take(self, key: bytes, program: Program, tag: Hashable) -> bool:
        """Queue a program, unless the queue is full."""
        with self._changes.lock:
            if self._closed:
                raise PoolClosed("the pool is closed")
            known = self._remembered.get(key)
            job = self._jobs.get(key)
            if known is not None:
                self._remembered[key] = self._remembered.pop(key)  # the most recent again
                self._finished.append((tag, known))
            elif job is not None:
                job.tags.append(tag)
            elif self._dispatcher.n_waiting < self._max_waiting:
                job = Job(key, program, [tag])
                self._dispatcher.add(job)  # first: a job that is known but was never queued would be waited for
                self._jobs[key] = job
            else:
                return False
            return True

    def ready(self) -> list[tuple[Hashable, Outcome]]:
        """The outcomes that have arrived and were not collected yet; never waits."""
        with self._changes.lock:
            collected, self._finished = list(self._finished), deque()
        return collected

    def drain(self) -> Iterator[tuple[Hashable, Outcome]]:
        """All outcomes not collected yet, each as soon as it arrives; ends when none is left.

        Raises:
            PoolClosed: the pool was closed while outcomes were missing.
        """
        while True:
            yield from self.ready()
            with self._changes.lock:
                if self._finished:
                    continue
                if not self._jobs:
                    return
                if self._closed:
                    raise PoolClosed("the pool was closed before all outcomes were collected")
            self._changes.wait()

    def cancel(self) -> None:
        """Give up the programs that have not begun; their outcomes say so."""
        if not self._closed:
            self._dispatcher.forget_waiting()

    def close(self) -> None:
        """End all workers and whatever runs in their jails. Outcomes not collected are lost."""
        with self._changes.lock:
            self._closed = True
            self._changes.tell()
        self._dispatcher.stop()
        if self.isolation != "full":
            remove_left()  # of workers that were killed

    def _finish(self, job: Job, outcome: Outcome) -> None:
        """Called by the dispatcher, which holds the lock."""
        self._jobs.pop(job.key, None)
        self._finished.extend((tag, outcome) for tag in job.tags)
        if outcome.verdict is not Verdict.INFRASTRUCTURE_ERROR:
            self._remembered[job.key] = outcome
            if len(self._remembered) > MAX_REMEMBERED:
                del self._remembered[next(iter(self._remembered))]
        self._changes.tell()


def _key(program: Program) -> bytes:
    """A digest of source, tests and limits; the problem's name is no part of it."""
    digest = blake2b(digest_size=16)
    named = (program.entry_point, program.names_apart)
    settings = (program.timeout_seconds, program.same_interpreter, *named, program.output_rule)
    texts = [program.source, program.tests, program.prelude, repr(settings)]
    for text in (*texts, *(text for case in program.stdin_cases for text in case)):
        data = text.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big"))
        digest.update(data)
    return digest.digest()

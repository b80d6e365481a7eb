"""Hosts that run on the nodes: a pool of jails, or a model. Work is handed in under a number and collected with it.

Plain classes; `Cluster.start` makes actors of them. Their methods are called from several threads.
"""

from __future__ import annotations

import pickle
import platform
import queue
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from typing import Any

from mtp_eval.harness.backends.base import Backend, BackendOptions, Call
from mtp_eval.harness.backends.registry import open_backend
from mtp_eval.harness.errors import InputError
from mtp_eval.sandbox import Outcome, Pool, Program
from mtp_eval.tasks.problem import Completion

LOOK_SECONDS = 0.05
ENOUGH_PER_JAIL = 16
GATHER_SECONDS = 0.5
"""Outcomes that are collected together, and how long the first of them waits for others: a call costs as much CPU as a program does."""
MOST_WAITING = 256
"""Completions that wait to be collected before a model stops to write more."""


def check_version(expected: str) -> None:
    """Refuse to work for another version of this package: verdicts and texts could be others.

    Raises:
        InputError: this one has another version.
    """
    here = metadata.version("mtp-eval")
    if here != expected:
        raise InputError(
            f"mtp-eval {here} is installed here, and {expected} where the run was started: install one version on all nodes"
        )


def portable(error: Exception) -> Exception:
    """An error that can be sent to another machine, with a note of where it was raised."""
    error.add_note(f"On {platform.node()}:\n{''.join(traceback.format_exception(error))}")
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # of a library that did not think of it
        told = RuntimeError(f"{type(error).__name__}: {error}")
        told.__notes__ = error.__notes__
        return told
    return error


def arrived(done: queue.Queue[Any], seconds: float) -> list[Any]:
    """All that a queue holds, as soon as it holds something; nothing after so many seconds."""
    found = []
    try:
        found.append(done.get(timeout=seconds))
        while True:
            found.append(done.get_nowait())
    except queue.Empty:
        return found


class PoolHost:
    """A pool of jails on this node.

    Args:
        version: of this package where the run was started.
    """

    def __init__(self, version: str) -> None:
        self._version = version
        self._counting = threading.Lock()
        self._n_open = 0

    def open(self, options: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
        """Start the pool; returns its isolation and layers.

        Raises:
            IsolationUnavailable: this node cannot give the isolation asked for.
            InputError: it has another version of this package.
        """
        check_version(self._version)
        self._pool = Pool(**options)
        self._enough = ENOUGH_PER_JAIL * options["workers"]
        return self._pool.isolation, dict(self._pool.layers)

    def submit(self, programs: Sequence[tuple[int, Program]]) -> None:
        """Queue programs, each under its number."""
        with self._counting:
            self._n_open += len(programs)
        for number, program in programs:
            self._pool.submit(program, number)

    def collect(self, seconds: float) -> list[tuple[Any, Outcome]]:
        """The outcomes that have arrived, as soon as there are enough or the last one is there; none after so many seconds."""
        found: list[tuple[Any, Outcome]] = []
        until = time.monotonic() + seconds
        while len(found) < self._enough and time.monotonic() < until:
            time.sleep(LOOK_SECONDS)
            arrived = self._pool.ready()
            if arrived and not found:
                until = min(until, time.monotonic() + GATHER_SECONDS)
            found += arrived
            with self._counting:
                self._n_open -= len(arrived)
                if found and not self._n_open:
                    break
        return found

    def close(self) -> None:
        """End the pool's workers."""
        self._pool.close()


class ModelHost:
    """A model on this node, which completes one call after another in a thread of its own.

    Args:
        version: of this package where the run was started.
    """

    def __init__(self, version: str) -> None:
        self._version = version
        self._opened = threading.Event()
        self._calls: queue.SimpleQueue[tuple[int, Call]] = queue.SimpleQueue()
        self._done: queue.Queue[tuple[int, Completion | Exception | None]] = queue.Queue(MOST_WAITING)

    def open(self, spec: str, options: BackendOptions, facts: Mapping[str, Any] | None) -> None:
        """Load the model; where it cannot be used, every later question is answered with the reason.

        Args:
            facts: of the same model on another node; None on the first.
        """
        self._failure: Exception | None = None
        try:
            check_version(self._version)
            self._loaded: Backend = open_backend(spec, options)
            found = self._loaded.facts()
            if facts is not None and facts["sha256"] != found["sha256"]:
                raise InputError(
                    f"{spec} has other weights here (sha256 {found['sha256']}) than elsewhere ({facts['sha256']})"
                )
        except Exception as error:
            self._failure = portable(error)
        self._opened.set()
        threading.Thread(target=self._work, daemon=True, name="model").start()

    @property
    def _backend(self) -> Backend:
        """The model, once it is loaded.

        Raises:
            InputError: there is no such model here, or its weights are others than elsewhere.
        """
        self._opened.wait()
        if self._failure is not None:
            raise self._failure
        return self._loaded

    def ask(self, question: Callable[[Backend], Any]) -> Any:
        """The model's answer to a question."""
        return question(self._backend)

    def complete(self, number: int, call: Call) -> None:
        """Queue a call under its number."""
        self._calls.put((number, call))

    def _work(self) -> None:
        while True:
            number, call = self._calls.get()
            try:
                for completion in self._backend.complete(call):
                    self._done.put((number, completion))
                self._done.put((number, None))
            except Exception as error:
                self._done.put((number, portable(error)))

    def collect(self, seconds: float) -> list[tuple[int, Completion | Exception | None]]:
        """Completions with their call's number, as soon as there are any; None stands for the call's end."""
        return arrived(self._done, seconds)

    def close(self) -> None:
        """Do nothing: a model leaves nothing running."""

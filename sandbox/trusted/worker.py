"""A worker process: the trusted side of one jail. It takes programs from the pool and answers with outcomes.

If trusted tests do not come to an end on what a program returned (a set of a million colliding hashes, say), the alarm
on process time ends the whole worker; the pool sees that signal and counts a timeout.
What the tests build out of a program's values counts against it, too: this process has the program's own limit on address
space and `EXTRA_ADDRESS_SPACE` more, and running out of it is the program's `memory_limit`.
"""

from __future__ import annotations

import gc
import os
import pickle
import resource
import signal
import sys
import time
from contextlib import suppress
from dataclasses import replace
from typing import Any

from mtp_eval.sandbox import linux
from mtp_eval.sandbox.errors import BadTests, IsolationUnavailable, JailDied, TestsDied, TestsKilled
from mtp_eval.sandbox.outcome import Outcome, Verdict
from mtp_eval.sandbox.program import Program
from mtp_eval.sandbox.trusted.jail import ONE_THREAD, Jail, JailConfig
from mtp_eval.sandbox.trusted.judge import judge
from mtp_eval.sandbox.wire.codec import register_collections
from mtp_eval.sandbox.wire.rare import register_rare_types

MAX_TEXTS, MAX_TEXTS_CHARS = 1_000, 8 << 20
"""Trusted text that the pool need not send again; both sides keep the same."""
OUT_OF_TIME = signal.SIGPROF
"""The signal that ends a worker whose own process time is used up."""
EXTRA_ADDRESS_SPACE = 1 << 30
"""Bytes that a worker may have beyond the limit of a program; it begins with some 150 MiB, numpy included."""
MAX_TRIES, N_CONTROLS = 4, 3
"""Jails that may break under one program, and programs that only wait which must then outlive it."""
_MAX_KEPT_ADDRESS_SPACE = 256 << 20


class Texts:
    """The texts that a worker has seen. The pool keeps account of them by going through the same steps."""

    def __init__(self) -> None:
        self._known: dict[bytes, str | None] = {}
        self._n_chars = 0

    def knows(self, key: bytes) -> bool:
        """Whether the other side has the text."""
        return key in self._known

    def use(self, key: bytes, text: str | None, n_chars: int) -> str | None:
        """The text of a key, from now on known. `n_chars` is its length on both sides; the pool gives no text."""
        if key not in self._known:
            if len(self._known) >= MAX_TEXTS or self._n_chars > MAX_TEXTS_CHARS:
                self._known.clear()
                self._n_chars = 0
            self._known[key] = text
            self._n_chars += n_chars
        return self._known[key]


def main(connection: Any, config: JailConfig, timeout_seconds: float) -> None:
    """Serve until the pool closes the connection or dies.

    Messages in: (program without its tests, key of the tests, tests or None, their length). Out: ("layers", ...), ("refused", why),
    ("broken", why), then one Outcome for each program, in order.
    """
    termination = _Termination()
    _detach(termination)
    _leave_the_users_folder()
    register_collections()
    register_rare_types()
    jail = None
    try:
        try:
            jail = _first_jail(connection, config)
            texts = Texts()
            gc.collect()
            gc.freeze()
            while jail is not None:
                program, key, tests, n_chars = pickle.loads(connection.recv_bytes())
                program = replace(program, tests=texts.use(key, tests, n_chars))
                outcome, jail = _judge_with_retries(program, jail, program.timeout_seconds or timeout_seconds)
                connection.send_bytes(pickle.dumps(outcome))
                if outcome.verdict is Verdict.MEMORY_LIMIT and _has_grown():
                    break
        finally:
            termination.begun = True
    except (EOFError, OSError, SystemExit):
        pass  # the pool is gone
    finally:
        if jail is not None:
            jail.close()
        os._exit(0)


class _Termination:
    """The handler of SIGTERM, which ends this process, once. It stays the same to the end, since Python complains about a
    signal that has arrived but was ignored before it was handled.
    """

    begun = False

    def __call__(self, *_: object) -> None:
        if not self.begun:
            self.begun = True
            sys.exit(0)


def _detach(termination: _Termination) -> None:
    """Detach from terminal and harness: print nothing, ignore Ctrl-C, end when the harness does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, termination)
    os.environ.update(ONE_THREAD)  # numpy in tests: its threads take address space, more the more CPUs there are
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    if sys.platform == "linux":
        parent = os.getppid()
        linux.prctl(linux.PR_SET_CHILD_SUBREAPER, 1)
        linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(0)


def _leave_the_users_folder() -> None:
    """Stand where no file can be made: what tests write by a name without a folder must not land where the user works.

    Tests that need such files fail from here, and are judged in the program's own interpreter, in the jail's folder.
    """
    sys.path[:] = map(os.path.abspath, sys.path)
    os.chdir("/proc" if sys.platform == "linux" else "/")


def _has_grown() -> bool:
    """Whether this process kept so much of what the tests built that later programs could suffer; a new one is better."""
    gc.collect()
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[0]) * resource.getpagesize() > _MAX_KEPT_ADDRESS_SPACE
    except (OSError, ValueError):
        return False


def _first_jail(connection: Any, config: JailConfig) -> Jail | None:
    try:
        jail = _open_jail(config)
    except IsolationUnavailable as error:
        connection.send_bytes(pickle.dumps(("refused", str(error))))
    except (JailDied, OSError) as error:
        connection.send_bytes(pickle.dumps(("broken", f"{type(error).__name__}: {error}")))
    else:
        connection.send_bytes(pickle.dumps(("layers", jail.layers)))
        limit = config.memory_bytes + EXTRA_ADDRESS_SPACE
        resource.setrlimit(resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1]))
        return jail
    return None


def _open_jail(config: JailConfig) -> Jail:
    """A new jail; one that is killed while it starts is tried again."""
    for _ in range(MAX_TRIES):
        with suppress(JailDied):
            return Jail(config)
    return Jail(config)


_OUT_OF_MEMORY = "MemoryError: the tests ran out of memory on what the program returned"


def _judge_with_retries(program: Program, jail: Jail, timeout_seconds: float) -> tuple[Outcome, Jail]:
    """Judge in this jail, or in a new one if it breaks; the jail to go on with comes back too."""
    reason, longest, was_killed = "", 0.0, False
    for n_retries in range(MAX_TRIES):
        started, outcome = time.monotonic(), None
        try:
            outcome = _judge_in_time(program, jail, timeout_seconds)
            return replace(outcome, n_retries=outcome.n_retries + n_retries), jail
        except BadTests as error:
            return Outcome(Verdict.INFRASTRUCTURE_ERROR, str(error), isolation=jail.config.isolation), jail
        except MemoryError:
            outcome = Outcome(
                Verdict.MEMORY_LIMIT, _OUT_OF_MEMORY, n_retries=n_retries, isolation=jail.config.isolation
            )
        except TestsDied as error:
            outcome = Outcome(Verdict.ERROR, str(error), n_retries=n_retries, isolation=jail.config.isolation)
        except (JailDied, OSError) as error:
            reason, was_killed = f"{type(error).__name__}: {error}", isinstance(error, TestsKilled)
            longest = max(longest, time.monotonic() - started)
        jail.close()
        jail = _open_jail(jail.config)
        if outcome is not None:
            return outcome, jail
    if was_killed:
        outcome = Outcome(Verdict.INFRASTRUCTURE_ERROR, reason)
    else:
        outcome, jail = _blamed(reason, longest, jail)
    return replace(outcome, n_retries=MAX_TRIES - 1, isolation=jail.config.isolation), jail


def _judge_in_time(program: Program, jail: Jail, timeout_seconds: float) -> Outcome:
    signal.setitimer(signal.ITIMER_PROF, (timeout_seconds + 0.5) * max(1, len(program.stdin_cases)))
    try:
        return judge(program, jail, timeout_seconds)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _blamed(reason: str, seconds: float, jail: Jail) -> tuple[Outcome, Jail]:
    """Whose fault it is that jails broke again and again under one program, each within so many seconds.

    Where programs that only wait for as long do not lose theirs, nobody kills jails but that program. (Were they killed
    at random, each with chance p, four would break and three would hold with p^4 (1 - p)^3, which is below 0.009.)
    """
    control = Program("control", f"import time\ndef f(): time.sleep({seconds + 0.1})", "f()", same_interpreter=False)
    for _ in range(N_CONTROLS):
        try:
            judge(control, jail, seconds + 10.0)
        except (JailDied, OSError):
            jail.close()
            return Outcome(Verdict.INFRASTRUCTURE_ERROR, reason), _open_jail(jail.config)
    return Outcome(Verdict.CRASHED, f"it broke its jail {MAX_TRIES} times, in which others hold: {reason}"[:300]), jail

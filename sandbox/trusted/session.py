"""The exchange of requests and answers with one program, under a deadline and a size limit.

The deadline counts the time the program had, not the time it spent waiting for a CPU that other work held: on a busy
host a program is not failed for the host's load. A second, plain wall-clock limit stands behind it.
"""

from __future__ import annotations

import math
import os
import socket
import struct
import time
from dataclasses import dataclass
from functools import cache
from typing import Any, NoReturn

from mtp_eval.sandbox.outcome import Verdict
from mtp_eval.sandbox.trusted.jail import Jail, Usage
from mtp_eval.sandbox.wire.frames import MAX_FRAME_BYTES, BadFrame, from_bytes, to_bytes

_SLACK_SECONDS = 0.05
"""How far the kernel's idea of the deadline may be off."""
WALL_FACTOR, WALL_EXTRA_SECONDS = 3.0, 1.0
"""The plain wall-clock limit, from the program's own limit: factor times it plus the extra."""
MESSAGE_SECONDS = 100e-6
"""What a call from outside may cost on top of the program's time: packing, two switches of process, unpacking (measured: 70e-6)."""


@dataclass(frozen=True, slots=True)
class End:
    """The end of a program's run."""

    verdict: Verdict
    error: str = ""


class ProgramEnded(BaseException):
    """The program's run is over; `Session.ended` says how. No `except Exception` in the tests can swallow it."""


class Session:
    """A program's process from fork to kill.

    It begins with the frame of a first request, whose answer is to be fetched with `answer`. `ended` holds the verdict
    that ended it, once there is one: tests that swallow the exception do not change it.

    Args:
        timeout_seconds: for each run of the tests; `restart_clock` begins another.
        files: descriptors for standard input and output.
        runs: how many runs there may be, for the hard limit on CPU time.
    """

    def __init__(
        self, jail: Jail, timeout_seconds: float, first: bytes, files: tuple[int, ...] = (), *, runs: int = 1
    ) -> None:
        self.jail = jail
        self.ended: End | None = None
        self.usage: Usage | None = None
        self.timeout_seconds = timeout_seconds
        self.n_answers = 0
        self._unread = b""
        self.started = time.monotonic()
        self.restart_clock()
        self._socket, self._unsent = jail.start(runs * math.ceil(timeout_seconds) + 1, first, files)

    def restart_clock(self) -> None:
        """Give the program its time limit anew, for another run of the tests."""
        self._clock_started = time.monotonic()
        self._waited_before = _own_run_delay()
        self._answers_before = self.n_answers
        self._deadline = self._clock_started + self.timeout_seconds
        self._last_deadline = self._clock_started + WALL_FACTOR * self.timeout_seconds + WALL_EXTRA_SECONDS
        self._granted = 0.0
        self._set_at = 0.0

    def request(self, name: str, *arguments: Any) -> list[Any]:
        """Send one request and return its answer, a frame whose first two items are its kind and our number.

        Raises:
            ProgramEnded: the program is over: it died, ran out of time, sent too much or sent nonsense.
            TooLarge: the request itself is larger than a frame may be.
        """
        data = to_bytes([name, self.n_answers + 1, *arguments])
        if self.ended is not None:
            raise ProgramEnded
        if self._unread:
            self.end(Verdict.ERROR, "ProtocolError: the program sent more than one answer")
        self._send(data)
        return self.answer()

    def answer(self) -> list[Any]:
        """The answer to the request that was sent last.

        Raises:
            ProgramEnded: the program is over.
        """
        if self.ended is not None:
            raise ProgramEnded
        if self._unsent:
            self._unsent = self._send(self._unsent)
        self.n_answers += 1
        try:
            answer = from_bytes(self._receive())
        except BadFrame as error:
            self.end(Verdict.ERROR, f"ProtocolError: the program answered with {error}")
        except MemoryError:
            self.end(Verdict.MEMORY_LIMIT, "MemoryError: an answer that takes more memory than the limit")
        if len(answer) < 3 or answer[1] != self.n_answers:
            self.end(Verdict.ERROR, "ProtocolError: the program answered another request than the last")
        return answer

    def end(self, verdict: Verdict, error: str = "") -> NoReturn:
        """The program is over, with this verdict unless it was over before.

        Raises:
            ProgramEnded: always.
        """
        self.mark(verdict, error)
        raise ProgramEnded

    def mark(self, verdict: Verdict, error: str = "") -> None:
        """Note how the program ended, unless that is known already."""
        if self.ended is None:
            self.ended = End(verdict, error)

    def close(self) -> Usage:
        """Kill the program; what it used.

        Raises:
            JailDied: the zygote is gone, which says nothing about the program.
        """
        if self.usage is None:
            self._socket.close()
            self.usage = self.jail.end()
        return self.usage

    def _send(self, data: bytes) -> bytes:
        """Send all of the data; returns what is left, which is nothing."""
        view = memoryview(data)
        while view:
            self._wait_at_most()
            try:
                view = view[self._socket.send(view) :]
            except BlockingIOError:  # the time given to the socket is over
                self._set_at = 0.0
            except OSError:
                self._gone()
        return b""

    def _receive(self) -> bytes:
        chunk = self._unread or self._chunk(65536)
        while len(chunk) < 4:
            chunk += self._chunk(65536)
        size = 4 + int.from_bytes(chunk[:4], "big")
        if size > MAX_FRAME_BYTES + 4:
            self.end(Verdict.ERROR, f"ProtocolError: an answer of {size - 4} bytes; the limit is {MAX_FRAME_BYTES}")
        if len(chunk) < size:
            whole = bytearray(chunk)
            while len(whole) < size:
                whole += self._chunk(size - len(whole))
            chunk = bytes(whole)
        self._unread = chunk[size:]
        return chunk[4:size]

    def _chunk(self, n_bytes: int) -> bytes:
        while True:
            self._wait_at_most()
            try:
                chunk = self._socket.recv(n_bytes)
            except BlockingIOError:
                self._set_at = 0.0
                continue
            except OSError:
                self._gone()
            if not chunk:
                self._gone()
            return chunk

    def _wait_at_most(self) -> None:
        """Let the next socket call wait until the deadline; past it, see whether time is owed for a busy host.

        The kernel keeps the time (SO_RCVTIMEO), and is told anew only when it is far off: that saves two system
        calls a message.
        """
        now = time.monotonic()
        left = self._deadline - now
        if left <= 0:
            left = self._owed()
            if left <= 0.001:
                self.end(Verdict.TIMEOUT, f"no answer within {self.timeout_seconds:g} s")
            self._deadline = min(now + left, self._last_deadline)
        if now - self._set_at > _SLACK_SECONDS:
            self._set_at = now
            wait = struct.pack("@ll", int(left), max(1, int(left % 1 * 1e6)))
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, wait)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, wait)

    def _owed(self) -> float:
        """Seconds that were not the program's: it or this process was ready to run and another one held the CPU, or
        messages went to and fro.
        """
        waited = _own_run_delay() - self._waited_before + sum(map(_run_delay, children_of(self.jail.host_pid)))
        waited += (self.n_answers - self._answers_before) * MESSAGE_SECONDS
        waited = min(waited, time.monotonic() - self._clock_started)
        owed = min(waited - self._granted, self._last_deadline - time.monotonic())
        self._granted = waited
        return owed

    def _gone(self) -> NoReturn:
        """The program's process has ended by itself; its wait status says how."""
        usage = self.close()
        if usage.signal:
            self.end(*verdict_of_signal(usage, self.timeout_seconds))
        self.end(Verdict.EXITED_EARLY, f"the process ended with exit code {os.WEXITSTATUS(usage.status)}")


def verdict_of_signal(usage: Usage, timeout_seconds: float) -> tuple[Verdict, str]:
    """The verdict on a program that died from a signal which the zygote did not send as part of ending it."""
    import signal

    if usage.signal in (signal.SIGKILL, signal.SIGXCPU) and usage.cpu_seconds >= 0.9 * timeout_seconds:
        return Verdict.TIMEOUT, f"{usage.cpu_seconds:.2f} s of CPU time"
    if usage.signal == signal.SIGXFSZ:
        return Verdict.OUTPUT_LIMIT, "a file larger than the limit"
    try:
        name = signal.Signals(usage.signal).name
    except ValueError:
        name = f"signal {usage.signal}"
    return Verdict.CRASHED, name


def _run_delay(pid: str) -> float:
    try:
        with open(f"/proc/{pid}/schedstat") as file:
            return int(file.read().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


@cache
def _own_schedstat(pid: int) -> int:
    return os.open("/proc/self/schedstat", os.O_RDONLY | os.O_CLOEXEC)


def _own_run_delay() -> float:
    """This process's seconds of waiting for a CPU, from a file that stays open: it is read for each program."""
    try:
        return int(os.pread(_own_schedstat(os.getpid()), 100, 0).split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


def children_of(pid: int) -> list[str]:
    """The host pids of a process's children; empty where /proc does not say."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            return file.read().split()
    except OSError:
        return []

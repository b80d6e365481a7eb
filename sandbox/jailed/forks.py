"""The zygote's loop: fork a child for each program, kill what is left of it, clean up.

    R CPU limit, first request + the program's socket (+ stdin, stdout)  ->  fork a child that serves on that socket
    K                                       ->  kill whatever is left, reap, clean up, answer with the usage

When the command socket closes, everything ends.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import resource
import signal
import struct
import sys
from _socket import CMSG_SPACE, socket  # `socket` itself brings selectors and enums
from typing import Any

from mtp_eval.sandbox import linux
from mtp_eval.sandbox.jailed import child, seccomp
from mtp_eval.sandbox.wire.frames import MAX_RUN_BYTES, RUN, USAGE, from_bytes


def serve(commands: socket, filter_: seccomp.Filter | None, *, private: bool, scratch: str) -> None:
    """Fork, kill, reap and clean, as told, until the command socket closes."""
    prepared = _Prepared(commands.fileno(), filter_, private=private)
    shared = _Shared(scratch)
    fork = prepared.quick.fork if sys.platform == "linux" else os.fork
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    most_cpu_seconds = 1 << 40 if hard == resource.RLIM_INFINITY else hard
    receive, send, close, parse, unpack = commands.recvmsg, commands.send, os.close, from_bytes, RUN.unpack_from
    space = CMSG_SPACE(3 * _FD_BYTES)
    pid = 0
    while True:
        message, ancillary, _, _ = receive(MAX_RUN_BYTES, space)
        fds = [fd for _, _, data in ancillary for (fd,) in _FD.iter_unpack(data)]
        if message[:1] == b"R" and not pid and fds:
            prepared.limit[:] = [min(unpack(message)[1], most_cpu_seconds)] * 2
            request = parse(message[RUN.size :]) if len(message) > RUN.size else None
            pid = fork()
            if pid == 0:
                _become_program(prepared, fds, request)
            for fd in fds:
                close(fd)
            if pid < 0:
                break
        elif message == b"K" and pid:
            usage = _end(pid, private=private)
            pid = 0
            # Before the answer: this program's rubbish must not cost the next one time.
            is_clean = shared.restore() and _clean(scratch) and shared.forget_times()
            send(usage)
            if not is_clean:
                break
        else:
            break
    _kill_all(pid, private=private)
    os._exit(0)


class _Prepared:
    """What a child needs at once, made before the fork.

    In the child a call through ctypes, whose pages the fork has touched already, costs half of what the same call
    costs through the modules `resource` and `os`.
    """

    __slots__ = ("answerer", "command_fd", "filter_address", "limit", "limit_address", "pid_cell", "private", "quick")

    def __init__(self, command_fd: int, filter_: seccomp.Filter | None, *, private: bool) -> None:
        self.command_fd, self.private = command_fd, private
        self.answerer = child.Answerer()
        self.quick = linux.Quick()
        self.filter_address, self.pid_cell = filter_.for_program() if filter_ is not None else (0, memoryview(b""))
        self.limit = (ctypes.c_ulong * 2)()
        self.limit_address = ctypes.addressof(self.limit)


def _become_program(prepared: _Prepared, fds: list[int], request: list[Any] | None) -> None:
    """In the child: only its own descriptors, its limits, the filter; then serve. Never returns."""
    try:
        if len(fds) == 3:
            os.dup2(fds[1], 0)
            os.dup2(fds[2], 1)
            os.close(fds[1])
            os.close(fds[2])
        quick, filter_address = prepared.quick, prepared.filter_address
        failed = quick.setrlimit(_RLIMIT_CPU, prepared.limit_address)
        if sys.platform != "linux":
            os.setsid()
        elif not prepared.private:  # else the kernel sees to it that it ends with PID 1 of its namespace
            failed |= quick.prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)
        if filter_address:
            prepared.pid_cell[0] = os.getpid()
            failed |= quick.prctl(_PR_SET_SECCOMP, _MODE_FILTER, filter_address, 0, 0)
        if failed:
            _give_up(prepared)
        os.close(prepared.command_fd)
    except BaseException:
        _give_up(prepared)
    child.serve(fds[0], prepared.answerer, request)


def _give_up(prepared: _Prepared) -> None:
    """Tell the worker that it was not the program that ended: anything but a usage breaks the zygote's protocol."""
    try:
        os.write(prepared.command_fd, b"F")
    finally:
        os._exit(71)


_RLIMIT_CPU, _SIGKILL = int(resource.RLIMIT_CPU), int(signal.SIGKILL)
_PR_SET_SECCOMP, _MODE_FILTER = linux.PR_SET_SECCOMP, linux.SECCOMP_MODE_FILTER
_PR_SET_PDEATHSIG = linux.PR_SET_PDEATHSIG
_FD = struct.Struct("@i")
_FD_BYTES = _FD.size


def _end(pid: int, *, private: bool) -> bytes:
    """Kill the program and everything it left; its usage."""
    _kill_all(pid, private=private)
    _, status, usage = os.wait4(pid, 0)
    try:
        while os.waitpid(-1, 0 if private else os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return USAGE.pack(b"X", status, usage.ru_utime + usage.ru_stime, peak)


def _kill_all(pid: int, *, private: bool) -> None:
    try:
        if private:
            os.kill(-1, signal.SIGKILL)  # PID 1 of a namespace: everything in it but itself
        elif pid:
            os.kill(pid, signal.SIGKILL)
            if sys.platform != "linux":
                os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


class _Shared:
    """What a program could leave to the next one besides files: state that the zygote's own descriptors and folder hold."""

    def __init__(self, scratch: str) -> None:
        self.scratch = scratch
        self.flags = [fcntl.fcntl(fd, fcntl.F_GETFL) for fd in range(3)]
        self.mode = os.stat(scratch).st_mode & 0o7777
        self.is_own = True
        self.is_own = self.forget_times()  # where it is another's, no program can change it either

    def restore(self) -> bool:
        """Put all of it back; false if that fails."""
        try:
            for fd, flags in enumerate(self.flags):
                fcntl.flock(fd, fcntl.LOCK_UN)
                if fcntl.fcntl(fd, fcntl.F_GETFL) != flags:
                    fcntl.fcntl(fd, fcntl.F_SETFL, flags)
            if self.is_own and os.stat(self.scratch).st_mode & 0o7777 != self.mode:
                os.chmod(self.scratch, self.mode)
        except OSError:
            return False
        return True

    def forget_times(self) -> bool:
        """Give the folder the times that it always begins with; false if that fails."""
        try:
            if self.is_own:
                os.utime(self.scratch, ns=(0, 0))
        except OSError:
            return False
        return True


def _clean(scratch: str) -> bool:
    """Empty the scratch folder; false if that fails, and then this zygote is not used again."""
    try:
        names = os.listdir(scratch)
        n_moved = 0
        while names:
            for name in names:
                path = f"{scratch}/{name}"
                if os.path.islink(path) or not os.path.isdir(path):
                    os.unlink(path)
                    continue
                # What is inside is moved up, never walked into: a hostile tree may be deeper than any path is long.
                os.chmod(path, 0o700)
                for inner in os.listdir(path):
                    n_moved += 1
                    inside = f"{path}/{inner}"
                    if os.path.isdir(inside) and not os.path.islink(inside):
                        os.chmod(inside, 0o700)  # a folder cannot be moved by who may not write it
                    os.rename(inside, f"{scratch}/.moved{n_moved}")
                os.rmdir(path)
            names = os.listdir(scratch)
    except OSError:
        return False
    return True

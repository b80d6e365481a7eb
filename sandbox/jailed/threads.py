"""A limit on a program's threads where the kernel's own (RLIMIT_NPROC) counts all of a user's, or none of root's.

A second process beside the zygote answers the kernel each time a program wants a thread (seccomp user notification,
Linux 5.9): it counts the threads that the program has and says yes or no. Programs without threads pay nothing.
"""

from __future__ import annotations

import array
import contextlib
import errno
import fcntl
import os
import re
import resource
import select
import struct
from _socket import CMSG_SPACE, SCM_RIGHTS, SOL_SOCKET, socket, socketpair
from collections.abc import Callable

from mtp_eval.sandbox import linux

_RECEIVE, _SEND = 0xC0502100, 0xC0182101  # SECCOMP_IOCTL_NOTIF_RECV and _SEND
_QUESTION = struct.Struct("=QI68x")  # id, pid, and what is not looked at
_ANSWER = struct.Struct("=QqiI")  # id, value, error, flags
_CONTINUE = 1
_POLLHUP_SINCE = (5, 9)


class ThreadCounter:
    """The process that counts. It starts before the jail closes, and gets the listener once there is one.

    Args:
        most: threads of a program, the first one included.
        commands: the zygote's own socket, which it must not keep open.
    """

    def __init__(self, most: int, commands: socket) -> None:
        self.can_count = os.path.exists("/proc/self/status")
        ours, theirs = socketpair()
        self.pid = os.fork()
        if self.pid == 0:
            ours.close()
            commands.close()
            try:
                _serve(theirs, most)
            finally:
                os._exit(0)
        theirs.close()
        self._socket = ours

    def listen(self, install: Callable[[], int]) -> None:
        """Install the filter that asks, and hand over what it returns; the process ends when nobody can ask any more.

        Raises:
            OSError: this kernel would not tell it, or /proc is not there to count by.
            RuntimeError: the process that counts is gone, so that this one can start no threads any more.
        """
        if not self.can_count:
            raise OSError(errno.ENOENT, "/proc is not mounted here")
        version = re.match(r"(\d+)\.(\d+)", os.uname().release)
        if version is None or (int(version[1]), int(version[2])) < _POLLHUP_SINCE:
            raise OSError(errno.ENOSYS, f"Linux {os.uname().release} is older than 5.9")
        fd = install()
        try:
            self._socket.sendmsg([b"L"], [(SOL_SOCKET, SCM_RIGHTS, array.array("i", [fd]))])
        except OSError as error:  # it was killed; the filter cannot be taken back, and nobody would answer
            raise RuntimeError("the process that counts threads is gone") from error
        os.close(fd)

    def close(self) -> None:
        """Close the connection to the process that counts; without a listener it ends."""
        self._socket.close()


def _serve(orders: socket, most: int) -> None:
    _, ancillary, _, _ = orders.recvmsg(1, CMSG_SPACE(4))
    if not ancillary:
        return  # the zygote did not come so far
    (listener,) = struct.unpack("@i", ancillary[0][2])
    for fd in range(3):
        with contextlib.suppress(OSError):
            os.close(fd)
    orders.close()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    linux.prctl(linux.PR_SET_DUMPABLE, 0)  # else a program may write to its memory where Landlock is missing
    waiting = select.poll()
    waiting.register(listener, select.POLLIN)
    while not any(events & select.POLLHUP for _, events in waiting.poll()):  # hung up: nobody is left to ask
        with contextlib.suppress(FileNotFoundError, InterruptedError):  # who asked was killed meanwhile
            _answer_one(listener, most)


def _answer_one(listener: int, most: int) -> None:
    question = bytearray(_QUESTION.size)
    fcntl.ioctl(listener, _RECEIVE, question)
    number, pid = _QUESTION.unpack(question)
    allowed = _n_threads(pid) < most
    answer = _ANSWER.pack(number, 0, 0 if allowed else -errno.EAGAIN, _CONTINUE if allowed else 0)
    fcntl.ioctl(listener, _SEND, answer)


def _n_threads(pid: int) -> int:
    """Threads of the process that this thread belongs to; 0 if it has just ended."""
    try:
        with open(f"/proc/{pid}/status") as file:
            found = re.search(r"^Threads:\s*(\d+)", file.read(), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) if found else 0

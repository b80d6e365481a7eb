"""The system calls a program may make: an allow-list, compiled to classic BPF once a zygote.

Everything not named here fails with EPERM: no fork, no exec, no sockets beyond a local pair, no ptrace, no memfd, no
shared memory, no io_uring, no bpf, no mounts, no keys, no POSIX timers, no socket options. `clone` is allowed for
threads in the namespaces there are, `kill` and `tgkill` for the program's own process only, `prlimit64` for itself only,
`prctl` for thread names only, `fcntl` for flags, duplicates and record locks only: owners of signals, leases, directory
notices and pipe sizes reach beyond the process. `clone3` answers ENOSYS, so that libc falls back to `clone`, whose flags
a filter can see. A call in a foreign ABI kills the process.

The list comes in two parts, because installing a filter costs in proportion to its length: the long one is put on the
zygote once and inherited; it leaves the zygote `clone`, `kill`, `prctl` and the modes of files. The short one takes these
from each program; the modes and times of files only where no read-only mount protects those that are not its own.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

from mtp_eval.sandbox.linux import PR_SET_SECCOMP, SECCOMP_MODE_FILTER, prctl, syscall

# name: (x86_64, aarch64); -1 where the architecture has no such call.
ALLOWED: dict[str, tuple[int, int]] = {
    # files; which ones is for the mount namespace and Landlock to say
    "read": (0, 63), "write": (1, 64), "readv": (19, 65), "writev": (20, 66), "pread64": (17, 67),
    "pwrite64": (18, 68), "preadv": (295, 69), "pwritev": (296, 70), "open": (2, -1), "openat": (257, 56),
    "creat": (85, -1), "close": (3, 57), "close_range": (436, 436), "stat": (4, -1), "fstat": (5, 80),
    "lstat": (6, -1), "newfstatat": (262, 79), "statx": (332, 291), "lseek": (8, 62), "access": (21, -1),
    "faccessat": (269, 48), "faccessat2": (439, 439), "dup": (32, 23), "dup2": (33, -1), "dup3": (292, 24),
    "flock": (73, 32), "fsync": (74, 82), "fdatasync": (75, 83), "truncate": (76, 45),
    "ftruncate": (77, 46), "fallocate": (285, 47), "getdents": (78, -1), "getdents64": (217, 61),
    "getcwd": (79, 17), "chdir": (80, 49), "fchdir": (81, 50), "rename": (82, -1), "renameat": (264, 38),
    "renameat2": (316, 276), "mkdir": (83, -1), "mkdirat": (258, 34), "rmdir": (84, -1), "unlink": (87, -1),
    "unlinkat": (263, 35), "link": (86, -1), "linkat": (265, 37), "symlink": (88, -1), "symlinkat": (266, 36),
    "readlink": (89, -1), "readlinkat": (267, 78), "chmod": (90, -1), "fchmod": (91, 52), "fchmodat": (268, 53),
    "umask": (95, 166), "utimensat": (280, 88), "utimes": (235, -1), "utime": (132, -1), "statfs": (137, 43),
    "fstatfs": (138, 44), "fadvise64": (221, 223), "sendfile": (40, 71), "copy_file_range": (326, 285),
    # memory
    "mmap": (9, 222), "mprotect": (10, 226), "munmap": (11, 215), "brk": (12, 214), "mremap": (25, 216),
    "msync": (26, 227), "mincore": (27, 232), "madvise": (28, 233),
    # signals, waiting, time
    "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "rt_sigpending": (127, 136),
    "rt_sigtimedwait": (128, 137), "rt_sigsuspend": (130, 133), "sigaltstack": (131, 132), "pause": (34, -1),
    "alarm": (37, -1), "getitimer": (36, 102), "setitimer": (38, 103), "nanosleep": (35, 101),
    "clock_nanosleep": (230, 115), "clock_gettime": (228, 113), "clock_getres": (229, 114), "gettimeofday": (96, 169),
    "time": (201, -1), "times": (100, 153), "restart_syscall": (219, 128), "poll": (7, -1), "ppoll": (271, 73),
    "select": (23, -1), "pselect6": (270, 72), "epoll_create": (213, -1), "epoll_create1": (291, 20),
    "epoll_ctl": (233, 21), "epoll_wait": (232, -1), "epoll_pwait": (281, 22), "eventfd": (284, -1),
    "eventfd2": (290, 19), "timerfd_create": (283, 85), "timerfd_settime": (286, 86), "timerfd_gettime": (287, 87),
    "pipe": (22, -1), "pipe2": (293, 59),
    # a local pair of sockets (asyncio wakes itself with one); no socket(2), so nothing to connect or bind
    "socketpair": (53, 199), "sendto": (44, 206), "recvfrom": (45, 207), "sendmsg": (46, 211), "recvmsg": (47, 212),
    "shutdown": (48, 210), "getsockname": (51, 204), "getpeername": (52, 205), "getsockopt": (55, 209),
    # the process itself
    "exit": (60, 93), "exit_group": (231, 94), "getpid": (39, 172), "getppid": (110, 173), "gettid": (186, 178),
    "getuid": (102, 174), "geteuid": (107, 175), "getgid": (104, 176), "getegid": (108, 177), "getgroups": (115, 158),
    "getresuid": (118, 148), "getresgid": (120, 150), "getpgid": (121, 155), "getpgrp": (111, -1),
    "getsid": (124, 156), "getrusage": (98, 165), "getrlimit": (97, 163), "setrlimit": (160, 164),
    "getpriority": (140, 141), "sched_yield": (24, 124), "sched_getaffinity": (204, 123), "sched_getparam": (143, 121),
    "sched_getscheduler": (145, 120), "sched_get_priority_max": (146, 125), "sched_get_priority_min": (147, 126),
    "futex": (202, 98), "futex_waitv": (449, 449), "set_robust_list": (273, 99), "get_robust_list": (274, 100),
    "set_tid_address": (218, 96), "rseq": (334, 293), "membarrier": (324, 283), "arch_prctl": (158, -1),
    "getcpu": (309, 168), "uname": (63, 160), "sysinfo": (99, 179), "getrandom": (318, 278), "wait4": (61, 260),
    "waitid": (247, 95),
}  # fmt: skip

# Calls that are judged by an argument as well.
_CLONE, _CLONE3, _PRLIMIT = {"x86_64": 56, "aarch64": 220}, 435, {"x86_64": 302, "aarch64": 261}
_KILL, _TGKILL = {"x86_64": 62, "aarch64": 129}, {"x86_64": 234, "aarch64": 131}
_PRCTL, _IOCTL = {"x86_64": 157, "aarch64": 167}, {"x86_64": 16, "aarch64": 29}
_FCNTL = {"x86_64": 72, "aarch64": 25}
_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_CLONE_THREAD, _CLONE_NEW_NAMESPACES = 0x00010000, 0x7E020000
_FCNTL_COMMANDS = (*range(8), 1030, 1032)
"""Duplicates, flags, a process's record locks, a pipe's size to read. Not: owner and signal, leases, notices, and locks
of descriptors, which would outlive a program on those that it shares with the zygote."""
_CHANGES_ANY_FILE = ("chmod", "fchmod", "fchmodat", "utime", "utimes", "utimensat")
"""What Landlock does not judge, whosever the file is; nor `truncate` before its version 3."""
_PRCTL_OPTIONS = (15, 16, 3, 0x53564D41)  # set and get a thread's name, get dumpable, name a mapping (glibc)
_IOCTL_REQUESTS = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)  # TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIO(N)CLEX

_LD, _JEQ, _JGE, _JSET, _RET = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _KILL_PROCESS, _ERRNO, _USER_NOTIF = 0x7FFF0000, 0x80000000, 0x00050000, 0x7FC00000
_DENY = _ERRNO | errno.EPERM
_NR, _ARCH, _ARG0_LOW, _ARG1_LOW = 0, 4, 16, 24
_SET_MODE_FILTER, _NEW_LISTENER = 1, 8
_OWN_PID = 0xFFFFFFFF  # stands for the child's pid until it is known


class Filter:
    """The allow-list as BPF.

    Args:
        private: a mount namespace protects the files that are not the program's own.
        truncates: the mount namespace or Landlock protects them from truncate(2).

    Raises:
        OSError: an architecture that this file has no numbers for.
    """

    def __init__(self, *, private: bool, truncates: bool = True) -> None:
        self._machine = os.uname().machine
        if self._machine not in _AUDIT_ARCH:
            raise OSError(errno.ENOSYS, f"seccomp: no system call table for {self._machine}")
        closed = () if private else _CHANGES_ANY_FILE if truncates else (*_CHANGES_ANY_FILE, "truncate")
        self._short = _Code(_for_program(self._machine, closed))

    def install_for_zygote(self) -> None:
        """Install the long part on this process and all that it will fork, for good. Needs no_new_privs to be set."""
        code = _Code(_for_zygote(self._machine, asks=False))
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, code.address)

    def install_asking(self) -> int:
        """Install the long part; returns the descriptor on which the kernel will ask about every new thread.

        Raises:
            OSError: the kernel is older than 5.0, or somebody listens already, as in some containers.
        """
        code = _Code(_for_zygote(self._machine, asks=True))
        return syscall("seccomp", _SET_MODE_FILTER, _NEW_LISTENER, ctypes.c_void_p(code.address))

    def for_program(self) -> tuple[int, memoryview]:
        """The short part: the address to give to prctl, and the cell into which the program's pid has to be written before.

        The child calls prctl itself, without a method of this class: it pays for every object that it touches.
        """
        return self._short.address, self._short.pid_cell()


class _Code:
    """Instructions in memory at a fixed address."""

    def __init__(self, program: list[tuple[int, int, int, int]]) -> None:
        self._pid_offsets = [8 * i + 4 for i, (_, _, _, k) in enumerate(program) if k == _OWN_PID]
        packed = b"".join(struct.pack("=HBBI", *step) for step in program)
        self._code = ctypes.create_string_buffer(packed, len(packed))
        header = struct.pack("@HP", len(program), ctypes.addressof(self._code))
        self._header = ctypes.create_string_buffer(header, len(header))
        self.address = ctypes.addressof(self._header)

    def pid_cell(self) -> memoryview:
        (offset,) = self._pid_offsets
        return memoryview(self._code).cast("B")[offset : offset + 4].cast("I")


def _prologue(machine: str) -> list[tuple[int, int, int, int]]:
    steps = [
        (_LD, 0, 0, _ARCH),
        (_JEQ, 1, 0, _AUDIT_ARCH[machine]),
        (_RET, 0, 0, _KILL_PROCESS),
        (_LD, 0, 0, _NR),
    ]
    if machine == "x86_64":
        steps += [(_JGE, 0, 1, 0x40000000), (_RET, 0, 0, _KILL_PROCESS)]  # the x32 ABI
    return steps


def _for_zygote(machine: str, *, asks: bool) -> list[tuple[int, int, int, int]]:
    """A chain of tests; a call that matches none is denied."""
    numbers = [*_numbers(machine, tuple(ALLOWED)), *(table[machine] for table in (_CLONE, _KILL, _TGKILL, _PRCTL))]
    steps = _prologue(machine)
    if asks:
        steps += [(_JEQ, 0, 4, _CLONE[machine]), (_LD, 0, 0, _ARG0_LOW), (_JSET, 0, 1, _CLONE_THREAD)]
        steps += [(_RET, 0, 0, _USER_NOTIF), (_RET, 0, 0, _ALLOW)]
    for low, high in _ranges(numbers):
        steps += [*_in_range(low, high), (_RET, 0, 0, _ALLOW)]
    steps += [(_JEQ, 0, 1, _CLONE3), (_RET, 0, 0, _ERRNO | errno.ENOSYS)]
    steps += _only_with(_PRLIMIT[machine], _ARG0_LOW, (0,))
    steps += _only_with(_IOCTL[machine], _ARG1_LOW, _IOCTL_REQUESTS)
    steps += _only_with(_FCNTL[machine], _ARG1_LOW, _FCNTL_COMMANDS)
    return [*steps, (_RET, 0, 0, _DENY)]


def _for_program(machine: str, closed: tuple[str, ...]) -> list[tuple[int, int, int, int]]:
    """What the zygote may and a program may not; every other call was judged by the long part."""
    steps = [
        (_LD, 0, 0, _NR),
        (_JEQ, 0, 5, _CLONE[machine]),
        (_LD, 0, 0, _ARG0_LOW),
        (_JSET, 2, 0, _CLONE_NEW_NAMESPACES),
        (_JSET, 0, 1, _CLONE_THREAD),
        (_RET, 0, 0, _ALLOW),
        (_RET, 0, 0, _DENY),
    ]
    for low, high in _ranges(_numbers(machine, closed)):
        steps += [*_in_range(low, high), (_RET, 0, 0, _DENY)]
    own_only = [
        (_LD, 0, 0, _ARG0_LOW),
        (_JEQ, 0, 1, _OWN_PID),
        (_RET, 0, 0, _ALLOW),
        (_RET, 0, 0, _DENY),
    ]
    steps += [(_JEQ, 1, 0, _KILL[machine]), (_JEQ, 0, len(own_only), _TGKILL[machine]), *own_only]
    steps += _only_with(_PRCTL[machine], _ARG0_LOW, _PRCTL_OPTIONS)
    return [*steps, (_RET, 0, 0, _ALLOW)]


def _numbers(machine: str, names: tuple[str, ...]) -> list[int]:
    column = 0 if machine == "x86_64" else 1
    return [ALLOWED[name][column] for name in names if ALLOWED[name][column] >= 0]


def _in_range(low: int, high: int) -> list[tuple[int, int, int, int]]:
    """Go to the next step for a call in this range, else to the one after."""
    if low == high:
        return [(_JEQ, 0, 1, low)]
    return [(_JGE, 0, 2, low), (_JGE, 1, 0, high + 1)]


def _only_with(number: int, offset: int, values: tuple[int, ...]) -> list[tuple[int, int, int, int]]:
    """Allow a call with one of these arguments, deny it with any other, leave other calls to what follows."""
    body = [(_LD, 0, 0, offset)]
    for value in values:
        body += [(_JEQ, 0, 1, value), (_RET, 0, 0, _ALLOW)]
    body.append((_RET, 0, 0, _DENY))
    return [(_JEQ, 0, len(body), number), *body]


def _ranges(numbers: list[int]) -> list[tuple[int, int]]:
    """Sorted numbers as runs, so that the filter stays short."""
    runs: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return runs

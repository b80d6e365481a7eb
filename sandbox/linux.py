"""The Linux calls that Python has no name for (3.11 has neither os.unshare nor mount), through ctypes.

Each wrapper raises OSError with the call's name. Importing this file works on every system; calling does not.
"""

from __future__ import annotations

import ctypes
import os
import sys

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
MNT_DETACH = 2
MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID, MOUNT_ATTR_NODEV = 1, 2, 4

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS, PR_SET_CHILD_SUBREAPER = 1, 4, 38, 36
PR_CAPBSET_DROP, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 24, 22, 2
LAST_CAP = 40

_GENERIC = {
    "mount_setattr": 442,
    "landlock_create_ruleset": 444,
    "landlock_add_rule": 445,
    "landlock_restrict_self": 446,
}
_NUMBERS = {
    "x86_64": {"pivot_root": 155, "capset": 126, "seccomp": 317, **_GENERIC},
    "aarch64": {"pivot_root": 41, "capset": 91, "seccomp": 277, **_GENERIC},
}

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, name: str) -> int:
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{name}: {os.strerror(error)}")
    return result


def syscall(name: str, *args: object) -> int:
    """A system call that libc does not wrap.

    Raises:
        OSError: the call failed, or has no number on this machine.
    """
    numbers = _NUMBERS.get(os.uname().machine)
    if numbers is None:
        raise OSError(38, f"{name}: not known on {os.uname().machine}")
    words = [ctypes.c_long(arg) if isinstance(arg, int) else arg for arg in args]
    return _check(_libc.syscall(ctypes.c_long(numbers[name]), *words), name)


def prctl(option: int, *args: object) -> int:
    """prctl(2)."""
    words = [ctypes.c_ulong(arg) if isinstance(arg, int) else arg for arg in args]
    words += [ctypes.c_ulong(0)] * (4 - len(words))
    return _check(_libc.prctl(ctypes.c_int(option), *words), f"prctl({option})")


class Quick:
    """Calls for a zygote and the children it has just forked: every object that these touch is a memory page to copy.

    Each returns the C result, negative on failure. `fork` leaves out Python's own after-fork work, which is for threads
    and locks that a zygote does not have. The functions of os.register_at_fork do not run either.
    """

    def __init__(self) -> None:
        libc = ctypes.PyDLL(None, use_errno=False)
        self.fork = libc.fork
        self.fork.argtypes = []
        if sys.platform == "linux":
            self.prctl = libc.prctl
            self.prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
        self.setrlimit = libc.setrlimit
        self.setrlimit.argtypes = [ctypes.c_int, ctypes.c_void_p]


def keep_page_tables_in_forks(smallest_bytes: int = 128 << 10) -> None:
    """Have fork(2) copy the page tables of program code and constants, which it otherwise leaves to be faulted in anew.

    Linux copies them for a private mapping of a file only once a page of it has been written to. One byte of each large
    mapping is replaced by itself; some 60 page faults a child are saved. Where that is not allowed nothing changes.
    """
    try:
        with open("/proc/self/maps") as file:
            lines = file.read().splitlines()
    except OSError:
        return
    for line in lines:
        addresses, rights, _, _, _, *path = line.split(maxsplit=5)
        start, end = (int(text, 16) for text in addresses.split("-"))
        if not path or not path[0].startswith("/") or rights[1:] not in ("-xp", "--p") or end - start < smallest_bytes:
            continue
        usual = _PROT_READ | (_PROT_EXEC if rights[2] == "x" else 0)
        if rights[0] != "r" or _libc.mprotect(
            ctypes.c_void_p(start), ctypes.c_size_t(end - start), usual | _PROT_WRITE
        ):
            continue
        ctypes.memmove(start, ctypes.string_at(start, 1), 1)
        _check(_libc.mprotect(ctypes.c_void_p(start), ctypes.c_size_t(end - start), usual), "mprotect")


_PROT_READ, _PROT_WRITE, _PROT_EXEC = 1, 2, 4


def unshare(flags: int) -> None:
    """unshare(2)."""
    _check(_libc.unshare(ctypes.c_int(flags)), "unshare")


def mount(source: str | None, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    """mount(2)."""
    words = [None if text is None else os.fsencode(text) for text in (source, target, kind)]
    _check(
        _libc.mount(*words, ctypes.c_ulong(flags), None if data is None else data.encode()),
        f"mount {kind or source} on {target}",
    )


def umount_detached(target: str) -> None:
    """umount2(2) with MNT_DETACH."""
    _check(_libc.umount2(os.fsencode(target), ctypes.c_int(MNT_DETACH)), f"umount {target}")


def pivot_root(new_root: str, put_old: str) -> None:
    """pivot_root(2)."""
    syscall("pivot_root", ctypes.c_char_p(os.fsencode(new_root)), ctypes.c_char_p(os.fsencode(put_old)))


class _MountAttr(ctypes.Structure):
    _fields_ = (
        ("set", ctypes.c_uint64),
        ("clear", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


def make_read_only(target: str, *, devices: bool = False) -> None:
    """Make a bind mount and everything mounted below it read-only, without set-user-id and (unless asked) devices."""
    attributes = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | (0 if devices else MOUNT_ATTR_NODEV)
    attr = _MountAttr(attributes, 0, 0, 0)
    at_fdcwd, at_recursive = -100, 0x8000
    path = ctypes.c_char_p(os.fsencode(target))
    syscall("mount_setattr", at_fdcwd, path, at_recursive, ctypes.byref(attr), ctypes.sizeof(attr))


def drop_capabilities() -> None:
    """Give up every capability for good: bounding set first, then permitted, effective and inheritable."""
    for capability in range(LAST_CAP + 1):
        try:
            prctl(PR_CAPBSET_DROP, capability)
        except OSError:
            break  # without CAP_SETPCAP there is nothing to drop; no_new_privs keeps the rest from coming back
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    data = (ctypes.c_uint32 * 6)()
    syscall("capset", ctypes.byref(header), ctypes.byref(data))

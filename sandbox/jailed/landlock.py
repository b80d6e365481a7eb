"""Landlock: what a process may still open once this is in force, whatever its user could. Linux 5.13 and later.

Read-only below some folders, read and write below others, nothing executed anywhere, no TCP (kernel 6.7), no signals
or abstract sockets out of the jail (6.12). Older kernels get the part they know; `restrict` says which version it was.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable

from mtp_eval.sandbox.linux import syscall

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_ALL_BY_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
_MAKE_DEVICES = (1 << 6) | (1 << 11)  # character and block devices
_RULE_PATH_BENEATH, _VERSION = 1, 1


class _Ruleset(ctypes.Structure):
    _fields_ = (("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("fd", ctypes.c_int32))


def abi() -> int:
    """The kernel's Landlock version.

    Raises:
        OSError: none, or switched off.
    """
    return syscall("landlock_create_ruleset", 0, 0, _VERSION)


def restrict(read_only: Iterable[str], read_write: Iterable[str]) -> int:
    """Restrict this process and all its children for good; returns the version in force. Needs no_new_privs.

    Raises:
        OSError: the kernel lacks Landlock, or a path cannot be opened.
    """
    version = abi()
    handled = _ALL_BY_ABI[max(known for known in _ALL_BY_ABI if known <= version)]
    ruleset = _Ruleset(handled, 3 if version >= 4 else 0, 3 if version >= 6 else 0)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    fd = syscall("landlock_create_ruleset", ctypes.byref(ruleset), size, 0)
    try:
        for paths, allowed in (
            (read_only, _READ_FILE | _READ_DIR),
            (read_write, handled & ~(_EXECUTE | _MAKE_DEVICES)),
        ):
            for path in paths:
                _allow(fd, path, allowed & handled)
        syscall("landlock_restrict_self", fd, 0)
    finally:
        os.close(fd)
    return version


def _allow(ruleset_fd: int, path: str, allowed: int) -> None:
    if not os.path.isdir(path):
        allowed &= _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
    fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rule = _PathBeneath(allowed, fd)
        syscall("landlock_add_rule", ruleset_fd, _RULE_PATH_BENEATH, ctypes.byref(rule), 0)
    finally:
        os.close(fd)

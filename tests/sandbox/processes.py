"""The processes of a pool, as /proc shows them."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path


def descendants(pid: int) -> list[int]:
    """All processes below one, by /proc; a thread or process that ends while we look has none."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*"):
        with contextlib.suppress(OSError):
            for child in (task / "children").read_text().split():
                found += [int(child), *descendants(int(child))]
    return found


def jailed(pid: int) -> list[int]:
    """Descendants that run the zygote."""
    return [child for child in descendants(pid) if "mtp_eval.sandbox.jailed.zygote" in command(child)]


def workers(pid: int) -> list[int]:
    return [child for child in descendants(pid) if "multiprocess.spawn" in command(child)]


def busy(pid: int) -> list[int]:
    """Programs that spin: processes below one that have no child and have had more CPU than making a jail takes."""
    return [child for child in descendants(pid) if not descendants(child) and cpu_seconds(child) > 0.5]


def cpu_seconds(pid: int) -> float:
    """The CPU time that a process has had; none for one that is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def kill_all(pids: list[int]) -> None:
    """Kill those that have not ended since they were listed."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def wait_until(holds: Callable[[], bool]) -> None:
    """Returns when it holds; the timeout of the test is the only limit."""
    while not holds():
        time.sleep(0.05)


def wait_until_gone(pids: list[int]) -> None:
    wait_until(lambda: not any(map(alive, pids)))

"""CPU of the process trees that work for something on this machine, as a whole and by what the processes are."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
HERE = "this process"


def children() -> dict[int, list[int]]:
    """The processes of this machine by parent."""
    found: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdigit():
                found.setdefault(int(after_name(entry / "stat")[1]), []).append(int(entry.name))
    return found


def own_children() -> frozenset[int]:
    """The children of this process."""
    return frozenset(children().get(os.getpid(), []))


def after_name(stat: Path) -> list[str]:
    """The fields of /proc/PID/stat from the state on; a name may hold spaces."""
    return stat.read_text().rpartition(")")[2].split()


def tree(roots: Iterable[int]) -> Iterator[int]:
    """Some processes and everything below them."""
    below, left = children(), list(roots)
    while left:
        pid = left.pop()
        left += below.get(pid, [])
        yield pid


def cpu_by_role(roots: Iterable[int]) -> Mapping[str, float]:
    """CPU seconds so far of this process and of the trees below some of its children, what has ended there included."""
    found = defaultdict(float, {HERE: time.process_time()})
    for pid in tree(roots):
        with suppress(OSError):
            found[role(Path(f"/proc/{pid}"))] += sum(map(int, after_name(Path(f"/proc/{pid}/stat"))[11:15])) / TICKS
    return found


def spent_since(before: Mapping[str, float], roots: Iterable[int]) -> dict[str, float]:
    """CPU seconds by role since an earlier `cpu_by_role` of the same trees; they add up to the difference of both sums."""
    now = cpu_by_role(roots)
    return {role: now.get(role, 0.0) - before.get(role, 0.0) for role in now.keys() | before.keys()}


def cpu_seconds(roots: Iterable[int]) -> float:
    """CPU of `cpu_by_role`, all together."""
    return sum(cpu_by_role(roots).values())


def role(process: Path) -> str:
    """What a process is: an actor's class, a script of Ray's, a program, or a jail with the worker that judges what comes from it."""
    words = (process / "cmdline").read_text(errors="replace").split("\0")
    name = Path(words[0].split()[0]).name if words[0].split() else "?"
    if name.startswith("ray::"):
        return name.partition(".")[0]  # without the method that runs just now: a process keeps its role
    if not name.startswith("python"):
        return name
    script = next((word for word in words[1:] if word.endswith(".py")), None)
    return "/".join(Path(script).parts[-2:]) if script else "jails and their workers"

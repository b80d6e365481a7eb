"""Execution on a Ray cluster of this machine: one node beside the local pool, and two nodes of one CPU beside one.

Nodes here are processes of one machine, so that what a network costs is not in these figures. Ratios of interleaved rounds.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.study import save, study_parser
from mtp_eval.harness.cluster.executor import RayExecutor
from mtp_eval.harness.cluster.ray_cluster import Cluster
from mtp_eval.sandbox import Executor, Pool, Program
from mtp_eval.tasks.registry import load_task

OBJECT_STORE_BYTES = 80 << 20
START_SECONDS = 300
"""For a node to come up on a busy machine."""
TICKS = os.sysconf("SC_CLK_TCK")


@contextmanager
def cluster_of(n_nodes: int) -> Iterator[Any]:
    """A cluster of nodes of one CPU each on this machine, to which this process is connected."""
    import ray
    from ray.cluster_utils import Cluster as LocalCluster

    os.environ |= {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_worker_niceness": "0",
        "RAY_raylet_start_wait_time_s": str(START_SECONDS),
    }
    head = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES}
    started: Any = LocalCluster(initialize_head=True, head_node_args=head)
    for _ in range(n_nodes - 1):
        started.add_node(num_cpus=1, object_store_memory=OBJECT_STORE_BYTES)
    ray.init(address=started.address, log_to_driver=False, logging_level=logging.WARNING)
    try:
        yield started
    finally:
        ray.shutdown()
        started.shutdown()


def references(n: int) -> list[Program]:
    """HumanEval's reference solutions, each made distinct by a comment."""
    task = load_task("humaneval")
    judged = [task.judge_reference(problem) for problem in task.problems()]
    programs = [one for one in judged if isinstance(one, Program)]
    return [
        Program(p.problem_id, f"{p.source}\n# {n}.{time.monotonic_ns()}", p.tests, p.prelude, entry_point=p.entry_point)
        for p, n in ((programs[number % len(programs)], number) for number in range(n))
    ]


def sleepers(n: int) -> list[Program]:
    """Programs that wait for 50 ms, so that a busy machine does not hold them up; all distinct, since equal ones are run once."""
    first = time.monotonic_ns()
    return [
        Program(f"p{i}", f"import time\ndef f():\n    time.sleep(0.05)\n    return {i}", f"assert f() == {i}")
        for i in range(first, first + n)
    ]


def children() -> dict[int, list[int]]:
    """The processes of this machine by parent."""
    found: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdigit():
                found.setdefault(int(after_name(entry / "stat")[1]), []).append(int(entry.name))
    return found


def after_name(stat: Path) -> list[str]:
    """The fields of /proc/PID/stat from the state on; a name may hold spaces."""
    return stat.read_text().rpartition(")")[2].split()


def cpu_seconds(roots: Iterable[int]) -> float:
    """CPU of this process and of the trees below some of its children, what has ended there included."""
    below, left, ticks = children(), list(roots), 0
    while left:
        pid = left.pop()
        left += below.get(pid, [])
        with suppress(OSError):
            ticks += sum(map(int, after_name(Path(f"/proc/{pid}/stat"))[11:15]))
    return time.process_time() + ticks / TICKS


@dataclass(frozen=True)
class Party:
    """An executor, and the children of this process that work for it."""

    executor: Executor
    roots: frozenset[int]

    def timed(self, programs: list[Program]) -> tuple[float, float]:
        """Wall and CPU seconds of the programs, everything that works for the executor included."""
        started, cpu = time.perf_counter(), cpu_seconds(self.roots)
        outcomes = list(self.executor.run(programs))
        took = time.perf_counter() - started, cpu_seconds(self.roots) - cpu
        wrong = sum(not outcome.passed for outcome in outcomes)
        assert not wrong, f"{wrong} of {len(programs)} did not pass"
        return took


def own_children() -> frozenset[int]:
    return frozenset(children().get(os.getpid(), []))


def on_ray() -> RayExecutor:
    options = {"workers": 1, "timeout_seconds": 20.0, "memory_bytes": 1 << 30, "isolation": "full"}
    return RayExecutor(Cluster("auto"), options)


Round = tuple[tuple[float, float], tuple[float, float]]
"""Wall and CPU seconds of the first party, and of the second."""


def paired(a: Party, b: Party, made: Callable[[int], list[Program]], n: int, rounds: int) -> list[Round]:
    """Both in turn, each first every second time, after a round that warms both up."""
    found: list[Round] = []
    for number in range(rounds + 1):
        order = (a, b) if number % 2 else (b, a)
        took = {party: party.timed(made(n)) for party in order}
        found.append((took[a], took[b]))
    return found[1:]


def main() -> None:
    parser = study_parser(__doc__, "a fifth of the programs, one round")
    parser.add_argument("--programs", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    n, rounds = (options.programs // 5, 1) if options.quick else (options.programs, options.rounds)
    found: dict[str, list[Round]] = {}
    before = own_children()
    with cluster_of(1) as cluster, on_ray() as one:
        of_ray = own_children() - before
        with Pool(workers=1, timeout_seconds=20.0) as pool:
            ray, here = Party(one, of_ray), Party(pool, own_children() - before - of_ray)
            found["HumanEval: one node / the pool"] = paired(ray, here, references, n, rounds)
            found["sleeping 50 ms: one node / the pool"] = paired(ray, here, sleepers, n // 5, rounds)
        before_second = own_children()
        cluster.add_node(num_cpus=1, object_store_memory=OBJECT_STORE_BYTES)
        both = of_ray | (own_children() - before_second)
        with on_ray() as two:
            ray, twice = Party(one, both), Party(two, both)
            found["HumanEval: one node / two nodes"] = paired(ray, twice, references, n, rounds)
            found["sleeping 50 ms: one node / two nodes"] = paired(ray, twice, sleepers, n // 5, rounds)
    for name, pairs in found.items():
        for unit, column in (("wall", 0), ("CPU", 1)):
            ratios = [a[column] / b[column] for a, b in pairs]
            each = f"{median(a[column] for a, _ in pairs):.1f} s and {median(b[column] for _, b in pairs):.1f} s"
            print(f"{name}, {unit}: {median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f}), {each}", flush=True)
    save(options.json, {"programs": n, "rounds": rounds, "measured": found})


if __name__ == "__main__":
    main()

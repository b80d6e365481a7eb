"""Execution on a Ray cluster of this machine: one node beside the local pool, and two nodes of one CPU beside one.

Nodes here are processes of one machine, so that what a network costs is not in these figures. Ratios of interleaved rounds.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from benchmarks.scaling.processes import cpu_by_role, cpu_seconds, own_children, spent_since
from benchmarks.study import save, study_parser
from mtp_eval.harness.cluster.executor import RayExecutor
from mtp_eval.harness.cluster.ray_cluster import Cluster
from mtp_eval.sandbox import Executor, Pool, Program
from mtp_eval.tasks.registry import load_task

OBJECT_STORE_BYTES = 80 << 20
START_SECONDS = 300
"""For a node to come up on a busy machine."""
IDLE_SECONDS = 20.0


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


@dataclass(frozen=True)
class Party:
    """An executor, and the children of this process that work for it."""

    executor: Executor
    roots: frozenset[int]
    spent: dict[str, float] = field(default_factory=dict, compare=False, hash=False)

    def timed(self, programs: list[Program]) -> tuple[float, float]:
        """Wall and CPU seconds of the programs, everything that works for the executor included."""
        started, before = time.perf_counter(), cpu_by_role(self.roots)
        outcomes = list(self.executor.run(programs))
        took = time.perf_counter() - started
        spent = spent_since(before, self.roots)
        for role, seconds in spent.items():
            self.spent[role] = self.spent.get(role, 0.0) + seconds
        wrong = sum(not outcome.passed for outcome in outcomes)
        assert not wrong, f"{wrong} of {len(programs)} did not pass"
        return took, sum(spent.values())

    def idle(self, seconds: float) -> float:
        """CPU that is spent in a second in which there is nothing to do."""
        before = cpu_seconds(self.roots)
        time.sleep(seconds)
        return (cpu_seconds(self.roots) - before) / seconds


def on_ray() -> RayExecutor:
    options = {"workers": 1, "timeout_seconds": 20.0, "memory_bytes": 1 << 30, "isolation": "full"}
    return RayExecutor(Cluster("auto"), options)


Round = tuple[tuple[float, float], tuple[float, float]]
"""Wall and CPU seconds of the first party, and of the second."""


def paired(a: Party, b: Party, made: Callable[[int], list[Program]], n: int, rounds: int) -> list[Round]:
    """Both in turn, each first every second time, after a round that warms both up."""
    found: list[Round] = []
    for party in (a, b):
        party.spent.clear()
    for number in range(rounds + 1):
        order = (a, b) if number % 2 else (b, a)
        took = {party: party.timed(made(n)) for party in order}
        found.append((took[a], took[b]))
        for party, name in ((a, "first"), (b, "second")):
            if number == 0:
                shown(f"{name} of the two, its first {n} programs", party.spent, n)
                party.spent.clear()
    return found[1:]


def started(opening: Callable[[], Any]) -> tuple[Any, str]:
    """What a call opens, and what that costs."""
    wall, cpu = time.perf_counter(), cpu_seconds(own_children())
    opened = opening()
    wall, cpu = time.perf_counter() - wall, cpu_seconds(own_children()) - cpu
    return opened, f"{wall:.1f} s of wall time, {cpu:.1f} s of CPU"


def shown(title: str, spent: Mapping[str, float], n: int) -> None:
    """Print who spent the CPU of n programs, the greatest part first."""
    most_first = sorted(spent.items(), key=lambda pair: -pair[1])
    parts = ", ".join(f"{role} {1000 * seconds / n:.2f}" for role, seconds in most_first if seconds / n >= 5e-6)
    print(f"{title}, ms of CPU a program: {parts}", flush=True)


def main() -> None:
    parser = study_parser(__doc__, "a fifth of the programs, one round")
    parser.add_argument("--programs", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    n, rounds = (options.programs // 5, 1) if options.quick else (options.programs, options.rounds)
    found: dict[str, list[Round]] = {}
    before = own_children()
    with cluster_of(1) as cluster:
        one, took = started(on_ray)
        print(f"a pool on a node, the cluster being there: {took}", flush=True)
        of_ray = own_children() - before
        pool, took = started(lambda: Pool(workers=1, timeout_seconds=20.0))
        print(f"the pool: {took}", flush=True)
        with one, pool:
            ray, here = Party(one, of_ray), Party(pool, own_children() - before - of_ray)
            found["HumanEval: one node / the pool"] = paired(ray, here, references, n, rounds)
            for name, party in (("one node", ray), ("the pool", here)):
                shown(f"HumanEval, {name}", party.spent, n * rounds)
            found["sleeping 50 ms: one node / the pool"] = paired(ray, here, sleepers, n // 5, rounds)
            idle = {name: 100 * party.idle(IDLE_SECONDS) for name, party in (("one node", ray), ("the pool", here))}
            print(", ".join(f"{name} with nothing to do: {share:.1f} % of a CPU" for name, share in idle.items()))
            pool.close()
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
    save(options.json, {"programs": n, "rounds": rounds, "measured": found, "idle_percent": idle})


if __name__ == "__main__":
    main()

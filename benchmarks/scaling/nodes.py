"""Execution on a Ray cluster of this machine: one node beside the local pool, and two nodes of one CPU beside one.

Nodes here are processes of one machine, so that what a network costs is not in these figures. Ratios of interleaved rounds.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any

from benchmarks.study import save, study_parser
from mtp_eval.harness.cluster.executor import RayExecutor
from mtp_eval.harness.cluster.ray_cluster import Cluster
from mtp_eval.sandbox import Executor, Pool, Program
from mtp_eval.tasks.registry import load_task

OBJECT_STORE_BYTES = 80 << 20


@contextmanager
def cluster_of(n_nodes: int) -> Iterator[Any]:
    """A cluster of nodes of one CPU each on this machine, to which this process is connected."""
    import ray
    from ray.cluster_utils import Cluster as LocalCluster

    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}
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
    """Programs that wait for 50 ms, so that a busy machine does not hold them up."""
    return [
        Program(f"p{i}", f"import time\ndef f():\n    time.sleep(0.05)\n    return {i}", f"assert f() == {i}")
        for i in range(n)
    ]


def seconds(executor: Executor, programs: list[Program]) -> float:
    started = time.perf_counter()
    outcomes = list(executor.run(programs))
    took = time.perf_counter() - started
    wrong = sum(not outcome.passed for outcome in outcomes)
    assert not wrong, f"{wrong} of {len(programs)} did not pass"
    return took


def on_ray() -> RayExecutor:
    options = {"workers": 1, "timeout_seconds": 20.0, "memory_bytes": 1 << 30, "isolation": "full"}
    return RayExecutor(Cluster("auto"), options)


def paired(
    a: Executor, b: Executor, made: Callable[[int], list[Program]], n: int, rounds: int
) -> list[tuple[float, float]]:
    return [(seconds(a, made(n)), seconds(b, made(n))) for _ in range(rounds)]


def main() -> None:
    parser = study_parser(__doc__, "a fifth of the programs, one round")
    parser.add_argument("--programs", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    n, rounds = (options.programs // 5, 1) if options.quick else (options.programs, options.rounds)
    found: dict[str, list[tuple[float, float]]] = {}
    with cluster_of(1) as cluster, on_ray() as one, Pool(workers=1, timeout_seconds=20.0) as pool:
        found["HumanEval: one node / the pool"] = paired(one, pool, references, n, rounds)
        found["sleeping 50 ms: one node / the pool"] = paired(one, pool, sleepers, n // 5, rounds)
        cluster.add_node(num_cpus=1, object_store_memory=OBJECT_STORE_BYTES)
        with on_ray() as two:
            found["HumanEval: one node / two nodes"] = paired(one, two, references, n, rounds)
            found["sleeping 50 ms: one node / two nodes"] = paired(one, two, sleepers, n // 5, rounds)
    for name, pairs in found.items():
        ratios = [a / b for a, b in pairs]
        each = f"{median(a for a, _ in pairs):.1f} s and {median(b for _, b in pairs):.1f} s"
        print(f"{name}: {median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f}), {each}")
    save(options.json, {"programs": n, "rounds": rounds, "measured": found})


if __name__ == "__main__":
    main()

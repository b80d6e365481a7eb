"""A Ray cluster, its nodes, and actors on them that are asked over and over for what they have finished.

Whatever works on a node is a `Worker`. The driver asks each for results with one call at a time (`Harvest`), which returns as soon as
there are any. Results that were not asked for stay on the node, so that a driver that cannot keep up is never flooded.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from mtp_eval.harness.errors import InputError

ASK_SECONDS = 1.0
"""How long a worker waits for something to be finished before it answers that nothing is."""
THREADS = 3
"""Calls that an actor answers at once: one that gives it work, one that asks for results, one that ends it."""


@dataclass(frozen=True, slots=True)
class Node:
    """A machine of the cluster, with the CPUs and GPUs that it offers."""

    node_id: str
    name: str
    n_cpus: int
    n_gpus: int


@dataclass(eq=False, slots=True)
class Worker:
    """An actor, where it runs, and what it was given and has not answered yet."""

    actor: Any
    node: Node
    open_work: dict[int, Any] = field(default_factory=dict)


class Cluster:
    """A connection to Ray.

    Args:
        address: "auto" for the cluster that this machine is a part of, or ray://HOST:PORT.

    Raises:
        InputError: Ray is not installed, or there is no cluster at this address.
    """

    def __init__(self, address: str) -> None:
        os.environ.setdefault(
            "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0"
        )  # actors without a GPU leave its variables alone
        try:
            import ray
        except ImportError:
            raise InputError("--cluster needs Ray: pip install 'mtp-eval[ray]', here and on every node") from None
        self.ray: Any = ray
        if not ray.is_initialized():
            try:
                ray.init(address=address, log_to_driver=False, logging_level=logging.WARNING)
            except (ConnectionError, TimeoutError, ValueError, RuntimeError) as error:
                raise InputError(
                    f"--cluster {address}: no Ray cluster answers there ({str(error).splitlines()[0]}); start one with `ray start "
                    "--head` and `ray start --address=HOST:6379` on each further machine"
                ) from None

    def nodes(self) -> list[Node]:
        """The nodes that are alive and offer something, in a fixed order."""
        found = [
            Node(
                node["NodeID"],
                node["NodeName"],
                int(node["Resources"].get("CPU", 0)),
                int(node["Resources"].get("GPU", 0)),
            )
            for node in self.ray.nodes()
            if node["Alive"]
        ]
        return sorted(
            (node for node in found if node.n_cpus or node.n_gpus), key=lambda node: (node.name, node.node_id)
        )

    def start(self, host: type, node: Node, *, n_cpus: int = 0, n_gpus: int = 0) -> Worker:
        """Make an object of a class of `harness.cluster.hosts` on a node."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        place = NodeAffinitySchedulingStrategy(node.node_id, soft=False)
        options = {"num_cpus": n_cpus, "num_gpus": n_gpus, "scheduling_strategy": place, "max_concurrency": THREADS}
        return Worker(self.ray.remote(host).options(**options).remote(), node)

    def answer(self, reference: Any, node: Node, seconds: float | None = None) -> Any:
        """The return value of a call; what the call raised is raised here, with the node's name.

        Raises:
            NodeLost: the actor or its node is gone, or did not answer in time.
        """
        try:
            return self.ray.get(reference, timeout=seconds)
        except self.ray.exceptions.RayTaskError as error:
            raise type(error.cause)(f"node {node.name}: {error.cause}") from None
        except self.ray.exceptions.RayError as error:
            raise NodeLost(f"node {node.name}: {str(error).splitlines()[0]}") from None

    def end(self, worker: Worker) -> None:
        """End an actor and everything that it has started."""
        with suppress(self.ray.exceptions.RayError):  # it is gone already, or does not answer
            self.ray.get(worker.actor.close.remote(), timeout=10)
        self.ray.kill(worker.actor)


class NodeLost(Exception):  # noqa: N818 - what happened
    """An actor is gone: its process or its machine died, or the network between."""


class Harvest:
    """Asks workers for results, each with one call at a time."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._asked: dict[Any, Worker] = {}

    def add(self, worker: Worker) -> None:
        """Ask this worker from now on."""
        self._asked[worker.actor.collect.remote(ASK_SECONDS)] = worker

    def results(self, seconds: float) -> Iterator[tuple[Worker, list[tuple[int, Any]] | NodeLost]]:
        """Yield what the workers have finished, by the number that the work was given under; waits for the first only.

        A worker that is lost comes with the reason, once, and is not asked again.
        """
        while self._asked:
            answered, _ = self._cluster.ray.wait(list(self._asked), num_returns=1, timeout=seconds)
            if not answered:
                return
            worker = self._asked.pop(answered[0])
            try:
                found = self._cluster.answer(answered[0], worker.node)
            except NodeLost as lost:
                yield worker, lost
            else:
                self.add(worker)
                yield worker, found
            seconds = 0.0

"""A Ray cluster, its nodes, and actors on them that are asked over and over for what they have finished.

Whatever works on a node is a `Worker`. The driver asks each for results with one call at a time (`Harvest`), which returns as soon as
there are any. Results that were not asked for stay on the node, so that a driver that cannot keep up is never flooded.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

from mtp_eval.harness.errors import InputError, MtpEvalError

log = logging.getLogger(__name__)

ASK_SECONDS = 1.0
"""How long a worker waits for something to be finished before it answers that nothing is."""
CLOSE_SECONDS = 2.0
"""How long actors have to end what they started, all of them together, before they are ended as they are."""
SLOW_SECONDS = 60.0
MOST_LOSSES = 3
"""Of nodes, after which work that they had is not given to others, and of one node, after which it gets none."""
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
        return Worker(self.ray.remote(host).options(**options).remote(metadata.version("mtp-eval")), node)

    def answer(self, reference: Any, node: Node, seconds: float | None = None) -> Any:
        """The return value of a call; what the call raised is raised here, with the node's name.

        Raises:
            NodeLost: the actor or its node is gone, or did not answer in time.
        """
        try:
            return self.ray.get(reference, timeout=seconds)
        except self.ray.exceptions.RayTaskError as error:
            told = _again(error.cause, f"node {node.name}: {error.cause}")
            told.add_note(str(error))  # with the traceback there
            raise told from None
        except self.ray.exceptions.RayError as error:
            lines = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
            raise NodeLost(f"node {node.name}: {lines[-1 if 'creation task' in lines[0] else 0].strip()}") from None

    def say_if_slow(self, reference: Any, node: Node, what: str) -> None:
        """Wait a while for an answer, and say what may be the matter when none comes."""
        if not self.ray.wait([reference], timeout=SLOW_SECONDS)[0]:
            log.warning(
                "%s: no answer from node %s in %.0f s; it is still loading, or others have its CPUs and GPUs (`ray status` tells)",
                what, node.name, SLOW_SECONDS,
            )  # fmt: skip

    def end(self, *workers: Worker) -> None:
        """End actors and everything that they have started, all at once; those that are gone or hang as well."""
        closing = [worker.actor.close.remote() for worker in workers]
        if closing:
            self.ray.wait(closing, num_returns=len(closing), timeout=CLOSE_SECONDS)
        for worker in workers:
            self.ray.kill(worker.actor)


def _again(cause: Exception, said: str) -> Exception:
    """An error of a node's with another message; its own kind where a message is all that this is made of."""
    try:
        return type(cause)(said)
    except TypeError:
        return MtpEvalError(f"{said} ({type(cause).__name__})")


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

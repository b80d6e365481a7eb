"""Places for copies of models on a Ray cluster: each GPU, or each node where there are none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from mtp_eval.harness.cluster.hosts import ModelHost
from mtp_eval.harness.cluster.ray_cluster import Cluster, Node, Worker


@dataclass(eq=False, slots=True)
class Place:
    """Room for one copy of a model, the copy that is there, and what tells its owner to leave."""

    node: Node
    n_cpus: int
    n_gpus: int
    worker: Worker | None = None
    leave: Callable[[Worker], None] | None = None


@dataclass
class Places:
    """The places of a cluster, which several models share: while one generates, the others do nothing."""

    cluster: Cluster
    known: list[Place] = field(default_factory=list)

    def look(self) -> None:
        """Find the places on the nodes that are alive now."""
        nodes = self.cluster.nodes()
        there = {node.node_id for node in nodes}
        self.known = [place for place in self.known if place.node.node_id in there]
        on_gpus = any(node.n_gpus for node in nodes)
        seen = {place.node.node_id for place in self.known}
        for node in nodes:
            if node.node_id not in seen:
                gpus = [Place(node, 0, 1) for _ in range(node.n_gpus)]
                self.known += gpus if on_gpus else [Place(node, node.n_cpus, 0)]

    def take(self, leave: Callable[[Worker], None]) -> Worker | None:
        """A new host for a model, where nothing is or where another model was; None where all places are this model's.

        Args:
            leave: called with the host when another model takes its place.
        """
        self.look()
        for place in sorted(self.known, key=lambda place: place.worker is not None):
            if place.worker is None or place.leave != leave:
                if place.worker is not None and place.leave is not None:
                    place.leave(place.worker)
                    self.cluster.end(place.worker)
                place.leave = leave
                place.worker = self.cluster.start(ModelHost, place.node, n_cpus=place.n_cpus, n_gpus=place.n_gpus)
                return place.worker
        return None

    def free(self, worker: Worker) -> None:
        """Note that the host at a place is gone, so that another can take the place."""
        for place in self.known:
            if place.worker is worker:
                place.worker = place.leave = None

"""An executor on many machines: one pool of jails on each node of a Ray cluster.

A node is given enough programs that its jails never wait, and no more. When a node is lost, its unjudged programs go to other nodes; a
program that was on three nodes when they were lost is an infrastructure error, so that it cannot bring down all of them.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Hashable, Iterator, Mapping
from typing import Any

from mtp_eval.harness.cluster.hosts import PoolHost
from mtp_eval.harness.cluster.ray_cluster import MOST_LOSSES, Cluster, Harvest, Node, NodeLost, Worker
from mtp_eval.sandbox import Executor, Outcome, Program, Verdict
from mtp_eval.sandbox.errors import PoolClosed, SandboxError

log = logging.getLogger(__name__)

AT_HAND_PER_JAIL = 48
AT_ONCE = 16
"""Programs that are sent together, while a node has any to work on."""
LOOK_SECONDS = 0.05
START_SECONDS = 300.0


class RayExecutor(Executor):
    """Runs untrusted programs in pools on the nodes of a cluster.

    Args:
        cluster: where.
        options: of each pool, as `sandbox.Pool` takes them; `workers` None is a jail for each CPU that a node offers.

    Raises:
        IsolationUnavailable: a node cannot give the isolation asked for.
        SandboxError: the cluster has no node on which programs can run.
    """

    def __init__(self, cluster: Cluster, options: Mapping[str, Any]) -> None:
        self._cluster, self._options = cluster, options
        self._harvest = Harvest(cluster)
        self._workers: list[Worker] = []
        self._losses: dict[str, int] = {}
        self._waiting: deque[tuple[int, Program]] = deque()
        self._tags: dict[int, tuple[Hashable, int]] = {}
        self._finished: list[tuple[Hashable, Outcome]] = []
        self._n_submitted = 0
        self._looked = 0.0
        self._closed = self._draining = False
        try:
            self._start_pools()
        except BaseException:
            self.close()
            raise

    def _start_pools(self) -> None:
        """Open a pool on each node that has none."""
        there = {worker.node.node_id for worker in self._workers}
        lost = [node for node, n in self._losses.items() if n >= MOST_LOSSES]
        new = [n for n in self._cluster.nodes() if n.n_cpus and n.node_id not in there and n.node_id not in lost]
        opening = []
        for node in new:
            worker = self._cluster.start(PoolHost, node)
            opening.append((worker, worker.actor.open.remote({**self._options, "workers": self._n_jails(node)})))
        found: list[tuple[Node, str, Mapping[str, str]]] = []
        for worker, opened in opening:
            try:
                found.append((worker.node, *self._cluster.answer(opened, worker.node, START_SECONDS)))
            except NodeLost as lost:
                log.warning("%s; programs go to other nodes", lost)
                self._losses[worker.node.node_id] = self._losses.get(worker.node.node_id, 0) + 1
            else:
                self._workers.append(worker)
                self._harvest.add(worker)
        if found:
            self.isolation = found[0][1]
            self.layers = {
                **found[0][2],
                **{k: f"{v} ({n.name})" for n, _, of in found for k, v in of.items() if v != "on"},
            }
        if not self._workers:
            raise SandboxError(
                "the cluster has no node on which programs can run (`ray status` lists its nodes and their CPUs); what was judged is "
                "kept, and the same command goes on from there"
            )

    def _n_jails(self, node: Node) -> int:
        return int(self._options["workers"] or node.n_cpus)

    def submit(self, program: Program, tag: Hashable) -> None:
        """Queue a program; waits while every node has as many as it takes.

        Raises:
            PoolClosed: the executor was closed.
        """
        if self._closed:
            raise PoolClosed("the executor is closed")
        self._tags[self._n_submitted] = (tag, 0)
        self._waiting.append((self._n_submitted, program))
        self._n_submitted += 1
        self._hand_out()
        while len(self._waiting) > AT_ONCE:
            self._gather(1.0)

    def _hand_out(self) -> None:
        """Send what waits to the nodes that have least to do."""
        while self._waiting:
            worker = min(self._workers, key=lambda worker: len(worker.open_work) / self._n_jails(worker.node))
            room = AT_HAND_PER_JAIL * self._n_jails(worker.node) - len(worker.open_work)
            if room < 1 or (worker.open_work and min(room, len(self._waiting)) < AT_ONCE and not self._draining):
                return
            batch = [self._waiting.popleft() for _ in range(min(AT_ONCE, room, len(self._waiting)))]
            worker.open_work.update(batch)
            worker.actor.submit.remote(batch)

    def _gather(self, seconds: float) -> None:
        """Take what has arrived, waiting for so long at most, and send more."""
        self._looked = time.monotonic()
        for worker, found in self._harvest.results(seconds):
            match found:
                case NodeLost():
                    self._lose(worker)
                case _:
                    for number, outcome in found:
                        if worker.open_work.pop(number, None) is not None:
                            self._finished.append((self._tags.pop(number)[0], outcome))
        self._hand_out()

    def _lose(self, worker: Worker) -> None:
        """Give a lost node's programs to others."""
        self._workers.remove(worker)
        self._losses[worker.node.node_id] = self._losses.get(worker.node.node_id, 0) + 1
        for number, program in reversed(worker.open_work.items()):
            tag, n_lost = self._tags[number]
            self._tags[number] = (tag, n_lost + 1)
            if n_lost + 1 < MOST_LOSSES:
                self._waiting.appendleft((number, program))
            else:
                self._give_up(number, f"{MOST_LOSSES} nodes were lost while they had this program")
        self._start_pools()

    def _give_up(self, number: int, why: str) -> None:
        tag, _ = self._tags.pop(number)
        self._finished.append((tag, Outcome(Verdict.INFRASTRUCTURE_ERROR, why)))

    def ready(self) -> list[tuple[Hashable, Outcome]]:
        """The outcomes that have arrived and were not collected yet; never waits."""
        if self._tags and time.monotonic() - self._looked > LOOK_SECONDS:
            self._gather(0.0)
        collected, self._finished = self._finished, []
        return collected

    def drain(self) -> Iterator[tuple[Hashable, Outcome]]:
        """All outcomes not collected yet, each as soon as it arrives.

        Raises:
            PoolClosed: the executor was closed while outcomes were missing.
        """
        while True:
            collected, self._finished = self._finished, []
            yield from collected
            if not self._tags and not self._finished:
                return
            if self._closed:
                raise PoolClosed("the executor was closed before all outcomes were collected")
            self._draining = True
            try:
                self._hand_out()
                self._gather(1.0)
            finally:
                self._draining = False

    def cancel(self) -> None:
        """Give up the programs that no node has yet."""
        while self._waiting:
            self._give_up(self._waiting.popleft()[0], "cancelled")

    def close(self) -> None:
        """End the pools."""
        self._closed = True
        self._cluster.end(*self._workers)
        self._workers = []

"""Workers on the nodes of a Ray cluster: on each as many as it offers CPUs, or GPUs, all of them writing into the study's folder.

When a node is lost, its cells go on elsewhere, trainings from their last checkpoint, once nothing of the node can write any more; a cell
that was on three nodes when they were lost ends the study, so that it cannot bring down all of them.
"""

from __future__ import annotations

import logging
import os
import secrets
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mtp_eval.harness.cluster.ray_cluster import MOST_LOSSES, Cluster, Harvest, Node, NodeLost, Worker
from mtp_eval.harness.errors import MtpEvalError
from mtp_eval.harness.studies.cell_host import CellHost
from mtp_eval.harness.studies.cells import Cell
from mtp_eval.harness.studies.workers import Workers
from mtp_eval.results.files import write_atomically

log = logging.getLogger(__name__)

LOSS_SECONDS = 60.0
"""After which Ray has ended the processes of a node that the cluster has lost and that lives on."""
SHARED_FILE = ".shared"
SENT_ALONG = ("MTP_EVAL_DATA",)
"""Variables that nodes get from where the study was started: their folders, too, have to be on the shared file system."""


@dataclass
class Missing:
    """The cells that no node has yet, under their numbers.

    Args:
        resting: of lost nodes, with the time from which they may go on.
    """

    waiting: deque[tuple[int, Cell]]
    resting: deque[tuple[float, int, Cell]] = field(default_factory=deque)
    losses: Counter[int] = field(default_factory=Counter)

    def lost(self, number: int, cell: Cell) -> None:
        """Take back a cell of a node that was lost.

        Raises:
            MtpEvalError: it was on too many of them.
        """
        self.losses[number] += 1
        if self.losses[number] >= MOST_LOSSES:
            raise MtpEvalError(
                f"{MOST_LOSSES} nodes were lost while they made {cell.recipe}, seed {cell.seed}; what is done is kept, and the same "
                "command goes on from there"
            )
        self.resting.append((time.monotonic() + LOSS_SECONDS, number, cell))

    def next(self) -> tuple[int, Cell] | None:
        """Take the next cell that may be made now; None where there is none."""
        if self.resting and self.resting[0][0] <= time.monotonic():
            _, number, cell = self.resting.popleft()
            return number, cell
        return self.waiting.popleft() if self.waiting else None


class ClusterWorkers(Workers):
    """Makes cells on all nodes.

    Args:
        cluster: where.
        out: the study's folder, absolute.
        device: "cuda" for the nodes' GPUs, a cell each; else a cell for each of their CPUs.
        jobs: cells at once on each node, at most.

    Raises:
        InputError: a node has another version of this package, or does not see the folder.
        MtpEvalError: there is no node for it.
    """

    def __init__(self, cluster: Cluster, out: Path, device: str, jobs: int | None):
        self._cluster, self._out, self._device, self._jobs = cluster, out, device, jobs
        self._content = secrets.token_hex(16)
        write_atomically(out / SHARED_FILE, self._content)
        self._harvest = Harvest(cluster)
        self._workers: list[Worker] = []
        self._losses = Counter[str]()
        try:
            self._start_hosts()
        except BaseException:
            self.close()
            raise
        self.n = sum(self._room(worker.node) for worker in self._workers)

    def _room(self, node: Node) -> int:
        offered = node.n_gpus if self._device == "cuda" else node.n_cpus
        return min(offered, self._jobs or offered)

    def _start_hosts(self) -> None:
        """Open a host on each node that has none and was not lost too often."""
        there = {worker.node.node_id for worker in self._workers}
        opening = []
        for node in self._cluster.nodes():
            if self._room(node) and node.node_id not in there and self._losses[node.node_id] < MOST_LOSSES:
                gpus = self._room(node) if self._device == "cuda" else 0
                worker = self._cluster.start(CellHost, node, n_cpus=0 if gpus else self._room(node), n_gpus=gpus)
                logs = self._out / "logs" / f"{node.name}-{node.node_id[:8]}"
                shared = str(self._out / SHARED_FILE), self._content
                variables = {name: os.environ[name] for name in SENT_ALONG if name in os.environ}
                opened = worker.actor.open.remote(self._room(node), str(logs), self._device, shared, variables)
                opening.append((worker, opened))
        for worker, opened in opening:
            self._workers.append(worker)
            try:
                self._cluster.say_if_slow(opened, worker.node, "study")
                self._cluster.answer(opened, worker.node)
            except NodeLost as lost:
                log.warning("%s; cells go to other nodes", lost)
                self._forget(worker)
            else:
                self._harvest.add(worker)
        if not self._workers:
            raise MtpEvalError(
                "the cluster has no node on which models can be trained (`ray status` lists its nodes, their CPUs and GPUs); what is done "
                "is kept, and the same command goes on from there"
            )

    def _forget(self, worker: Worker) -> None:
        self._workers.remove(worker)
        self._losses[worker.node.node_id] += 1

    def do(self, what: str, cells: Sequence[Cell]) -> Iterator[tuple[Cell, Any]]:
        """Yield each cell with its answer, as soon as it is there; nodes that have come since take part.

        Raises:
            InputError: a cell cannot be made as it is asked for.
            MtpEvalError: a cell failed, or no node is left.
        """
        self._start_hosts()
        missing = Missing(deque(enumerate(cells)))
        n_missing = len(cells)
        try:
            while n_missing:
                self._hand_out(what, missing)
                for worker, found in self._harvest.results(1.0):
                    match found:
                        case NodeLost():
                            self._lose(worker, found, missing)
                        case _:
                            for number, answer in found:
                                n_missing -= 1
                                yield worker.open_work.pop(number), result_of(answer)
                            self._hand_out(what, missing)
        except BaseException:
            self.close()
            raise

    def _hand_out(self, what: str, missing: Missing) -> None:
        """Send each node as many cells as it has room for, the emptiest first."""
        while True:
            worker = min(self._workers, key=lambda worker: len(worker.open_work) / self._room(worker.node))
            if len(worker.open_work) >= self._room(worker.node) or (following := missing.next()) is None:
                return
            number, cell = following
            worker.open_work[number] = cell
            worker.actor.submit.remote(number, what, cell.as_dict())

    def _lose(self, worker: Worker, lost: NodeLost, missing: Missing) -> None:
        """Give a lost node's cells to others."""
        log.warning("%s; its cells go on elsewhere", lost)
        self._forget(worker)
        for number, cell in worker.open_work.items():
            missing.lost(number, cell)
        self._start_hosts()

    def close(self) -> None:
        """End the hosts and their processes."""
        self._cluster.end(*self._workers)
        self._workers = []


def result_of(answer: Any) -> Any:
    """What a host answered; an error that it sent is raised."""
    match answer:
        case Exception():
            raise answer
        case _:
            return answer

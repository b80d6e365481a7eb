"""A model on many machines: one copy on each GPU of a Ray cluster, or on each node where there are none.

Calls go to copies as a whole, so that each is computed as it would be on one machine; its completions come as they are written. When a node
is lost its unfinished calls are made again elsewhere, and what had come from them already is not taken twice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from mtp_eval.harness.backends.base import Backend, BackendOptions, Call
from mtp_eval.harness.backends.registry import form_of, model_labels, open_backend
from mtp_eval.harness.backends.remote import Answer, RemoteBackend
from mtp_eval.harness.cluster.places import Places
from mtp_eval.harness.cluster.ray_cluster import Harvest, NodeLost, Worker
from mtp_eval.harness.errors import MtpEvalError
from mtp_eval.tasks.problem import Completion

CALLS_AT_HAND = 2
"""Calls that a copy of a model has, so that it need not wait for the next one."""
MOST_LOSSES = 3
"""Copies that may be lost without a completion in between."""


def open_on(places: Places, spec: str, options: BackendOptions) -> Backend:
    """The model on a cluster; servers and files of completions are asked from here."""
    kind = form_of(spec).backend()
    return (
        RayBackend(places, spec, options) if kind.is_asked and not kind.is_independent else open_backend(spec, options)
    )


class RayBackend(RemoteBackend):
    """Another backend, with copies of it on the nodes of a cluster, which are made when there are calls for them.

    Raises:
        InputError: there is no such model on a node, or its weights are others there.
        MtpEvalError: no node can have it.
    """

    def __init__(self, places: Places, spec: str, options: BackendOptions) -> None:
        self._places, self._spec, self._options = places, spec, options
        (self.name,) = model_labels([spec])
        self._workers: list[Worker] = []
        self._harvest = Harvest(places.cluster)
        self._facts: Mapping[str, Any] | None = None
        self._n_lost = 0
        self._facts = super().facts()

    def facts(self) -> Mapping[str, Any]:
        """The facts of the first copy; the others have the same weights."""
        return self._facts or {}

    def generate_each(self, calls: Iterable[Call]) -> Iterator[tuple[int, Completion]]:
        """The completions of several calls at once, on as many copies as there are places and calls."""
        left: deque[tuple[int, Call]] = deque()
        seen: dict[int, set[tuple[str, int]]] = {}
        numbered = enumerate(calls)
        try:
            while self._hand_out(left, numbered) or any(worker.open_work for worker in self._workers):
                for worker, found in self._harvest.results(1.0):
                    if worker not in self._workers:
                        continue  # another model has taken its place
                    match found:
                        case NodeLost():
                            left.extendleft(reversed(worker.open_work.items()))
                            self._lose(worker, found)
                        case _:
                            for number, completion in found:
                                yield from self._fresh(worker, number, completion, seen)
        finally:
            self._end([worker for worker in self._workers if worker.open_work])  # the caller stopped early

    def _fresh(
        self, worker: Worker, number: int, found: Completion | Exception | None, seen: dict[int, set[tuple[str, int]]]
    ) -> Iterator[tuple[int, Completion]]:
        """What a worker answered, unless it came from a lost one before; None is the end of a call."""
        match found:
            case Exception():
                raise found
            case None:
                del worker.open_work[number]
                seen.pop(number, None)
            case _:
                self._n_lost = 0
                keys = seen.setdefault(number, set())
                key = (found.problem_id, found.sample)
                if key not in keys:
                    keys.add(key)
                    yield number, found

    def _hand_out(self, left: deque[tuple[int, Call]], numbered: Iterator[tuple[int, Call]]) -> bool:
        """Give calls to copies, first one to each; whether some are left for which no copy has room."""
        for most in range(CALLS_AT_HAND):
            while True:
                worker = next((worker for worker in self._workers if len(worker.open_work) <= most), None)
                if not left:
                    left.extend(call for call in [next(numbered, None)] if call is not None)
                if not left:
                    return False
                worker = worker or (self._more() if most == 0 else None)
                if worker is None:
                    break
                number, call = left.popleft()
                worker.open_work[number] = call
                worker.actor.complete.remote(number, call)
        if not self._workers:
            raise self._nowhere()
        return True

    def _more(self) -> Worker | None:
        """One copy more, if there is a place for it; it may still be loading when this returns."""
        worker = self._places.take(self._leave)
        if worker is not None:
            worker.actor.open.remote(self._spec, self._options, self._facts)
            self._workers.append(worker)
            self._harvest.add(worker)
        return worker

    def ask(self, question: Callable[[Backend], Answer]) -> Answer:
        """The answer of one copy to a question; not while calls are under way."""
        while True:
            worker = self._workers[0] if self._workers else self._more()
            if worker is None:
                raise self._nowhere()
            asked = worker.actor.ask.remote(question)
            self._places.cluster.say_if_slow(asked, worker.node, f"model {self.name}")
            try:
                answer: Answer = self._places.cluster.answer(asked, worker.node)
            except NodeLost as lost:
                self._lose(worker, lost)
            else:
                return answer

    def _leave(self, worker: Worker) -> None:
        """Another model takes this place."""
        self._workers.remove(worker)

    def _end(self, workers: list[Worker]) -> None:
        for worker in workers:
            self._workers.remove(worker)
            self._places.free(worker)
        self._places.cluster.end(*workers)

    def _lose(self, worker: Worker, why: NodeLost) -> None:
        self._workers.remove(worker)
        self._places.free(worker)
        self._n_lost += 1
        if self._n_lost >= MOST_LOSSES:
            raise MtpEvalError(
                f"model {self.name}: {self._n_lost} copies were lost one after another, the last with: {why}. Is there memory for "
                "it on a node? What was completed is kept, and the same command goes on from there"
            )

    def _nowhere(self) -> MtpEvalError:
        return MtpEvalError(
            f"the cluster has no room for model {self.name} (`ray status` lists its nodes, their CPUs and GPUs); what was completed "
            "is kept, and the same command goes on from there"
        )

    def close(self) -> None:
        """End all copies."""
        self._end(list(self._workers))

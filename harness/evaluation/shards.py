"""The parts of a run: tasks, requests, and the shards in which they are generated and resumed.

Everything here is a pure function of the config, so that a resumed run repeats the same batches.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass

from mtp_eval.harness.evaluation.config import RunConfig
from mtp_eval.harness.evaluation.plan import LoadedTask
from mtp_eval.results.journal import Key
from mtp_eval.tasks.problem import Problem, Request
from mtp_eval.tasks.registry import load_task

DEFAULT_MAX_NEW_TOKENS = 512


@dataclass(frozen=True, slots=True)
class Shard:
    """Requests that are generated in one call, and those of them whose records are missing."""

    model: str
    task: LoadedTask
    temperature: float
    requests: tuple[Request, ...]
    missing: frozenset[tuple[str, int]]


def load_tasks(config: RunConfig) -> list[LoadedTask]:
    """The run's tasks, cut to --limit problems; named by protocol where two share a name.

    Raises:
        TaskError: an unknown task, or data that is missing or broken.
    """
    loaded = [load_task(name, data_dir=config.data_dir) for name in config.task]
    problems = [first_of(task.problems(), config.limit) for task in loaded]
    names = [task.name for task in loaded]
    return [
        LoadedTask(
            task.name if names.count(task.name) == 1 else task.protocol, task, of_task, None, len(task.problems())
        )
        for task, of_task in zip(loaded, problems, strict=True)
    ]


def first_of(problems: Sequence[Problem], limit: float | None) -> tuple[Problem, ...]:
    """The first `limit` problems; below 1 it is a share of them, rounded up."""
    if limit is None:
        return tuple(problems)
    return tuple(problems[: limit if isinstance(limit, int) else math.ceil(limit * len(problems))])


def requests_of(
    task: LoadedTask, config: RunConfig, temperature: float, places: Iterable[int] | None = None
) -> list[Request]:
    """The requests of a task at one temperature, samples of one problem side by side so that they share its prefill.

    Samples are numbered on from one temperature of a sweep to the next.

    Args:
        places: of the requests wanted, in that order; None takes all.
    """
    first = config.temperature.index(temperature) * config.n_samples
    requests = []
    for place in range(n_requests(task, config)) if places is None else places:
        problem, sample = task.problems[place // config.n_samples], first + place % config.n_samples
        requests.append(
            Request(
                problem_id=problem.problem_id,
                sample=sample,
                prompt=problem.prompt,
                seed=request_seed(config.seed, task.task.protocol, problem.problem_id, sample),
                stop=problem.stop,
                chat=problem.chat,
                max_new_tokens=config.max_new_tokens or problem.max_new_tokens or DEFAULT_MAX_NEW_TOKENS,
            )
        )
    return requests


def n_requests(task: LoadedTask, config: RunConfig) -> int:
    """How many requests a task has at one temperature."""
    return len(task.problems) * config.n_samples


def request_seed(seed: int, protocol: str, problem_id: str, sample: int) -> int:
    """63 bits that depend on nothing but these four: the same for every model, whatever the batch or order."""
    digest = hashlib.sha256(f"{seed}\0{protocol}\0{problem_id}\0{sample}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def missing_shards(
    config: RunConfig, tasks: Sequence[LoadedTask], labels: Sequence[str], done: Container[Key] = ()
) -> Iterator[Shard]:
    """The shards of which a record is missing, model by model; each is made when it is asked for.

    A process that has a part of the run (`--shard`) makes whole shards, so that every batch is the same as in one process.
    """
    own = config.run_shard
    places = (
        (label, task, temperature, range(start, min(start + config.shard_size, n_requests(task, config))))
        for label in labels
        for task in tasks
        for temperature in config.temperature
        for start in range(0, n_requests(task, config), config.shard_size)
    )
    for number, (label, task, temperature, of_shard) in enumerate(places):
        if own is not None and not own.has(number):
            continue
        part = tuple(requests_of(task, config, temperature, of_shard))
        missing = frozenset(
            (r.problem_id, r.sample) for r in part if (label, task.name, r.problem_id, r.sample) not in done
        )
        if missing:
            yield Shard(label, task, temperature, part, missing)


def completions_of_shard(
    config: RunConfig, tasks: Sequence[LoadedTask], labels: Sequence[str]
) -> dict[str, dict[str, int]]:
    """The number of completions in a part of a run, by model and task."""
    counts = {label: {task.name: 0 for task in tasks} for label in labels}
    for shard in missing_shards(config, tasks, labels):
        counts[shard.model][shard.task.name] += len(shard.requests)
    return counts

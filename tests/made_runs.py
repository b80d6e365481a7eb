"""Runs made for tests: written through the store, as the main job writes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from mtp_eval.results.finish import finish
from mtp_eval.results.record import Record, sha256_text
from mtp_eval.results.store import RunStore

MakeRun = Callable[..., Path]
NewHeader = Callable[..., dict[str, Any]]
NewRecord = Callable[..., Record]


def make_header(
    models: Sequence[str], tasks: Mapping[str, Mapping[str, Any]], n_samples: int = 1, **config: Any
) -> dict[str, Any]:
    """A header of the form that the main job writes."""
    settings = {"n_samples": n_samples, "k": [1], "temperature": 0.0, "top_p": 1.0, "seed": 0, **config}
    facts = {"protocol": "p@1", "data_sha256": sha256_text("data"), "report_by": None}
    header: dict[str, Any] = {
        "schema_version": 1,
        "config": settings,
        "versions": {"mtp-eval": "0.1.0"},
        "git": {},
        "device": {},
        "isolation": {"name": "full"},
        "tasks": {name: {**facts, **own} for name, own in tasks.items()},
        "models": {label: {} for label in models},
        "created": "2026-01-01T00:00:00+00:00",
    }
    header["config_sha256"] = sha256_text(repr((settings, list(models), header["tasks"])))
    return header


def record(model: str, task: str, problem: str, sample: int, verdict: str = "passed", **fields: Any) -> Record:
    """A record with the fields that statistics do not look at filled in."""
    fields.setdefault("completion", f"    return {sample}\n")
    fields.setdefault("program", f"def f():\n{fields['completion']}")
    fields.setdefault("stop_reason", "stop")
    names = {"model": model, "task": task, "problem_id": problem, "sample": sample, "verdict": verdict}
    return Record.from_row({**names, "prompt_sha256": sha256_text(problem), **fields})


def some_records(new_record: NewRecord, n_problems: int = 4, n_samples: int = 3) -> list[Record]:
    """A run's records: about a third passed."""
    return [
        new_record("a", "toy", f"toy/{p}", s, "passed" if (p + s) % 3 == 0 else "failed")
        for p in range(n_problems)
        for s in range(n_samples)
    ]


def _write_run(
    folder: Path, verdicts: Mapping[str, Mapping[str, Sequence[bool]]], task: str = "toy", **header: Any
) -> Path:
    """Write a run: verdicts[model][problem] is a sequence of booleans, one per sample."""
    facts = header.pop("task_facts", {})
    problems = {problem for by_problem in verdicts.values() for problem in by_problem}
    n_samples = header.pop("n_samples", max(len(s) for b in verdicts.values() for s in b.values()))
    tasks = {task: {"n_problems": len(problems), **facts}}
    with RunStore.open(folder, make_header(list(verdicts), tasks, n_samples, **header)) as store:
        store.append(
            [
                record(model, task, problem, sample, "passed" if ok else "failed")
                for model, by_problem in verdicts.items()
                for problem, samples in by_problem.items()
                for sample, ok in enumerate(samples)
            ]
        )
        finish(store, store.header.ks, {})
    return folder


@pytest.fixture(scope="session")
def write_run() -> MakeRun:
    return _write_run


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Write a run into a folder of that name under tmp_path."""

    def make(name: str, *args: Any, **kwargs: Any) -> Path:
        return _write_run(tmp_path / name, *args, **kwargs)

    return make


@pytest.fixture
def new_header() -> Callable[..., dict[str, Any]]:
    return make_header


@pytest.fixture
def new_record() -> Callable[..., Record]:
    return record

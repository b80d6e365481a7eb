"""`--verify-decoding N`: compare the journal's completions with plain decoding, and measure the speed-up.

The result is in verification.json, from which tables take the speed-up; measured times never enter metrics.json.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from mtp_eval.harness.backends.base import Backend
from mtp_eval.harness.evaluation.config import RunConfig
from mtp_eval.harness.evaluation.decoding_choice import Resolution
from mtp_eval.harness.evaluation.plan import LoadedTask
from mtp_eval.harness.evaluation.shards import requests_of
from mtp_eval.results.store import RunStore


def verify_decoding(
    config: RunConfig, backends: Mapping[str, Backend], tasks: Sequence[LoadedTask], store: RunStore
) -> None:
    """Compare the first N completions of every model and task; what was found is in the run's notes from then on."""
    if not config.verify_decoding:
        return
    temperature, resolution = config.temperature[0], Resolution(store)
    details: list[dict[str, Any]] = []
    by_name = {task.name: task for task in tasks}
    records = sorted(store.records(), key=lambda record: record.key)
    for (model, task_name), group in groupby(records, key=lambda record: (record.model, record.task)):
        backend = backends[model]
        entry: dict[str, Any] = {"model": model, "task": task_name, "temperature": temperature}
        details.append(entry)
        if by_name[task_name].task.needs == "likelihood":
            entry["summary"] = ["likelihoods are compared, nothing is decoded"]
            continue
        given = {(record.problem_id, record.sample): record.completion for record in group}
        requests = [
            request
            for request in requests_of(by_name[task_name], config, temperature)
            if (request.problem_id, request.sample) in given
        ][: config.verify_decoding]
        completions = [given[(request.problem_id, request.sample)] for request in requests]
        settings = resolution.made(model, task_name, config, temperature)
        found = backend.verify(requests, completions, settings)
        if found is None:
            entry["summary"] = ["there is no plain decoder to compare with"]
            continue
        entry |= {**found.as_dict(), "summary": [found.summary()]}
        speed_up = backend.speed_up(requests, settings)
        if speed_up is not None:
            entry["summary"].append(speed_up.summary())
            entry["speed_up"] = speed_up.as_dict()
    store.sidecar("verification").write(details)

"""`--verify-decoding N`: are the journal's completions what plain decoding gives, and how much faster did they come?

Answered in verification.json, from which tables take the speed-up; measured times never enter metrics.json.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from mtp_eval.harness.backends.base import Backend
from mtp_eval.harness.evaluation.config import RunConfig
from mtp_eval.harness.evaluation.decoding_choice import Resolution
from mtp_eval.harness.evaluation.shards import LoadedTask, requests_of
from mtp_eval.results.store import RunStore


def verify_decoding(
    config: RunConfig, backends: Mapping[str, Backend], tasks: Sequence[LoadedTask], store: RunStore
) -> list[str]:
    """Compare the first N completions of every model and task; returns one sentence each, and writes the details."""
    if not config.verify_decoding:
        return []
    temperature, resolution = config.temperature[0], Resolution(store)
    sentences, details = [], list[dict[str, Any]]()
    by_name = {task.name: task for task in tasks}
    records = sorted(store.records(), key=lambda record: record.key)
    for (model, task_name), group in groupby(records, key=lambda record: (record.model, record.task)):
        backend = backends[model]
        if by_name[task_name].task.needs == "likelihood":
            sentences.append(f"{model} on {task_name}: likelihoods are compared, nothing is decoded")
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
            sentences.append(f"{model} on {task_name}: there is no plain decoder to compare with")
            continue
        sentences.append(f"{model} on {task_name}: {found.summary()}")
        details.append({"model": model, "task": task_name, "temperature": temperature, **found.as_dict()})
        speed_up = backend.speed_up(requests, settings)
        if speed_up is not None:
            sentences.append(f"{model} on {task_name}: {speed_up.summary()}")
            details[-1]["speed_up"] = speed_up.as_dict()
    store.sidecar("verification").write(details)
    return sentences

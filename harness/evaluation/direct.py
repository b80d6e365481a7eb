"""Completions of a task, as text or as the likelihood of given choices."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from mtp_eval.harness.backends.base import Backend
from mtp_eval.harness.decoding.settings import DecodingSettings
from mtp_eval.tasks.problem import Completion, Problem, Request, Task

CHOICES_AT_ONCE = 256


def completions_of(
    task: Task,
    problems: Mapping[str, Problem],
    requests: Sequence[Request],
    backend: Backend,
    settings: DecodingSettings,
) -> Iterator[Completion]:
    """What the backend writes; for a likelihood task the log-probabilities of the choices, in nats, as a JSON list.

    Raises:
        InputError: the task needs likelihoods and the backend has none.
    """
    if task.needs != "likelihood":
        yield from backend.generate(requests, settings)
        return
    for start in range(0, len(requests), CHOICES_AT_ONCE):
        part = requests[start : start + CHOICES_AT_ONCE]
        pairs = [(request.prompt, choice) for request in part for choice in problems[request.problem_id].choices]
        nats = iter([found.nats for found in backend.loglikelihood(pairs)])
        for request in part:
            n_choices = len(problems[request.problem_id].choices)
            text = json.dumps([next(nats) for _ in range(n_choices)])
            yield Completion(request.problem_id, request.sample, text, n_forwards=n_choices, stop_reason="likelihood")

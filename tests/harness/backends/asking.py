"""Requests for tests of servers, and what a server that answers in some way makes of them."""

from __future__ import annotations

from typing import Any

from mtp_eval.harness.backends.base import BackendOptions
from mtp_eval.harness.backends.openai import OpenAIBackend
from mtp_eval.harness.decoding.settings import DecodingSettings
from mtp_eval.tasks.problem import Completion, Request
from tests.harness.backends.server import Answer, Asked, completions_server

SAMPLED = DecodingSettings(temperature=0.5)


def requests(n: int, samples: int = 1) -> list[Request]:
    return [
        Request(f"p/{i}", sample, f"say w{i}", seed=2**62 + 10 * i + sample, stop=("\nSTOP5",), max_new_tokens=9)
        for i in range(n)
        for sample in range(samples)
    ]


def completed(answer: Answer, n: int = 4, **options: Any) -> tuple[dict[str, Completion], Asked]:
    """All completions by problem, of a server that answers so, and what it was asked."""
    with completions_server(answer) as (url, asked):
        backend = OpenAIBackend(f"{url}#m", BackendOptions(**options))
        done = {c.problem_id: c for c in backend.generate(requests(n), SAMPLED)}
    return done, asked

"""A backend written from the docstring of `Backend` alone, as a newcomer would."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

from mtp_eval.harness.backends.base import Backend, BackendOptions
from mtp_eval.harness.decoding.settings import DecodingSettings
from mtp_eval.harness.errors import InputError
from mtp_eval.tasks.problem import Completion, Request


class ShoutingBackend(Backend):
    """Repeats the prompt's last word in capitals, as often as asked for."""

    def __init__(self, times: int):
        self.name, self.times = f"shout-{times}", times

    @classmethod
    def open(cls, source: str, options: BackendOptions) -> Self:
        if not source.isdigit():
            raise InputError(f"shout:{source}: expected shout:NUMBER, such as shout:3")
        return cls(int(source))

    def facts(self) -> Mapping[str, Any]:
        return {"spec": f"shout:{self.times}", "sha256": None}

    def generate(self, requests: Sequence[Request], settings: DecodingSettings) -> Iterator[Completion]:
        for request in requests:
            words = request.prompt.split() or ["?"]
            text, reason = " ".join([words[-1].upper()] * self.times), "length"
            if cuts := [at for stop in request.stop if (at := text.find(stop)) >= 0]:
                text, reason = text[: min(cuts)], "stop"
            yield Completion(request.problem_id, request.sample, text, n_tokens=self.times, stop_reason=reason)

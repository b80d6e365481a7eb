"""`Backend`: what the run loop asks of a source of completions, whatever is behind it.

A backend is named by a spec and listed in `harness.backends.registry`: a checkpoint folder, `hf:`, `openai:`, `samples:`, or one
that another installed package brings.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, ClassVar, Self

from mtp_eval.harness.backends.usage import Usage
from mtp_eval.harness.decoding.measures import LogLikelihood, SpeedUp, Verification
from mtp_eval.harness.decoding.settings import DecodingSettings as DecodingSettings
from mtp_eval.harness.errors import InputError
from mtp_eval.tasks.problem import Completion, Request


@dataclass(frozen=True, slots=True)
class BackendOptions:
    """Options with which a run opens its models; a backend uses those that apply to it.

    Args:
        device: "auto" takes a GPU where there is one; "all" spreads an hf: model over all of them.
        dtype: of weights and caches; "auto" leaves it to the backend.
        system: the system prompt of requests that are chats; "" for none.
        concurrency: requests under way at once, where a server answers.
        timeout_seconds: for one of them.
        samples_per_request: sampled completions of one prompt that are asked for together.
        trust_remote_code: whether code that a hub's repository brings may run.
    """

    device: str = "auto"
    dtype: str = "auto"
    system: str = ""
    concurrency: int = 16
    timeout_seconds: float = 120.0
    samples_per_request: int = 1
    trust_remote_code: bool = False

    def system_facts(self) -> Mapping[str, str]:
        """The system prompt, if there is one, as an entry of a backend's facts."""
        return {"system_sha256": sha256(self.system.encode()).hexdigest()} if self.system else {}


CHOICES_AT_ONCE = 256
"""Problems whose choices are compared in one call of `Backend.loglikelihood`."""


@dataclass(frozen=True, slots=True)
class Call:
    """Requests that are completed together.

    Args:
        choices: by problem, the continuations of its prompt whose likelihoods are asked for, in place of a text.
    """

    requests: tuple[Request, ...]
    settings: DecodingSettings
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class Backend(ABC):
    """A source of completions: a model, a server, a file.

    Two methods are needed; the others have defaults. A whole backend:

        class EchoBackend(Backend):
            \"\"\"Answers every prompt with its last line.\"\"\"

            def __init__(self, source: str):
                self.name = source

            @classmethod
            def open(cls, source: str, options: BackendOptions) -> Self:
                return cls(source)

            def facts(self) -> Mapping[str, Any]:
                return {"spec": f"echo:{self.name}", "sha256": None}

            def generate(self, requests: Sequence[Request], settings: DecodingSettings) -> Iterator[Completion]:
                for request in requests:
                    text, stop, reason = request.prompt.splitlines()[-1], request.stop, "length"
                    if cuts := [at for s in stop if (at := text.find(s)) >= 0]:
                        text, reason = text[: min(cuts)], "stop"
                    yield Completion(request.problem_id, request.sample, text, stop_reason=reason)

    A package makes it known as `--model echo:SOURCE` with an entry point in its pyproject.toml:

        [project.entry-points."mtp_eval.backends"]
        echo = "my_package:EchoBackend"

    tests/harness/backends/test_backend_contract.py says what every backend has to keep to.
    """

    name: str
    """Short label for tables and messages."""
    is_asked: ClassVar[bool] = True
    """Whether requests reach a model. Where texts exist already, what their model was asked is not the task's protocol."""
    is_shared: ClassVar[bool] = False
    """Whether the processes that torchrun starts can share one model of this kind."""
    is_independent: ClassVar[bool] = False
    """Whether a completion depends on nothing else of its call: then a resumed run asks for the missing ones only."""

    @classmethod
    def open(cls, source: str, options: BackendOptions) -> Self:
        """The backend for what stands behind the prefix of a spec: `open("gpt2", …)` for "hf:gpt2".

        Raises:
            InputError: nothing of this kind is there, or a package that it needs is missing.
        """
        raise InputError(f"{cls.__name__} cannot be opened by a spec: {source!r}")

    @abstractmethod
    def facts(self) -> Mapping[str, Any]:
        """JSON-serialisable facts for run.json: at least `spec` and `sha256` (of the weights, or None where unknown)."""

    def check(self, settings: DecodingSettings) -> None:
        """Refuse settings that this backend cannot follow; called with a run's settings before any work starts.

        Raises:
            InputError: such settings; by default all are followed.
        """
        return

    def check_chat(self) -> None:
        """Refuse requests that are chats; called before any work starts for a task that asks such.

        Raises:
            InputError: the model has no chat template (the default).
        """
        raise InputError(
            f"model {self.name} has no chat template: protocols @chat and @lm-eval-instruct are for chat models: hf:, "
            "openai: and vllm:, and checkpoints converted from one"
        )

    @abstractmethod
    def generate(self, requests: Sequence[Request], settings: DecodingSettings) -> Iterator[Completion]:
        """Complete every request once, in any order, each as soon as it is finished.

        A text ends before its stop string. The result for a request may depend on the other requests of this call through
        floating-point rounding only; the run loop makes each call's list a pure function of the run's config, so that a
        resumed run repeats it exactly.
        """

    def complete(self, call: Call) -> Iterator[Completion]:
        """The completions of a call; where it has choices, their log-likelihoods in nats, as a JSON list in place of a text.

        Raises:
            InputError: the backend has no likelihoods, or a choice does not fit into its context.
        """
        if not call.choices:
            yield from self.generate(call.requests, call.settings)
            return
        for start in range(0, len(call.requests), CHOICES_AT_ONCE):
            part = call.requests[start : start + CHOICES_AT_ONCE]
            pairs = [(request.prompt, choice) for request in part for choice in call.choices[request.problem_id]]
            nats = iter([found.nats for found in self.loglikelihood(pairs)])
            for request in part:
                n_choices = len(call.choices[request.problem_id])
                text = json.dumps([next(nats) for _ in range(n_choices)])
                yield Completion(
                    request.problem_id, request.sample, text, n_forwards=n_choices, stop_reason="likelihood"
                )

    def generate_each(self, calls: Iterable[Call]) -> Iterator[tuple[int, Completion]]:
        """The completions of several calls, each with its call's number; by default one call after another.

        Calls are taken as they are needed. A backend with several copies of a model works on several at once.
        """
        for number, call in enumerate(calls):
            for completion in self.complete(call):
                yield number, completion

    def usage(self) -> Usage | None:
        """The usage of a server so far; None where nothing is counted (the default)."""
        return None

    def close(self) -> None:  # noqa: B027 -- a default, not something forgotten
        """Let go of what runs elsewhere; by default there is nothing."""

    def loglikelihood(self, pairs: Sequence[tuple[str, str]]) -> list[LogLikelihood]:
        """The log-likelihood of each (context, continuation) pair's continuation, in order.

        Raises:
            InputError: this backend has no likelihoods (the default), or a continuation that does not fit.
        """
        raise InputError(
            f"model {self.name} gives no likelihoods, by which this task compares choices: use a checkpoint of ours, or "
            "hf:NAME_OR_PATH"
        )

    def choose_decoding(self, requests: Sequence[Request], settings: DecodingSettings) -> DecodingSettings:
        """The settings with every "auto" replaced by a choice, which a run stores and repeats; by default there is none."""
        return settings

    def decoding_facts(self) -> Mapping[str, Any]:
        """Measurements for the choices so far, JSON-serialisable: {"plans": [...]}; by default nothing."""
        return {}

    def verify(
        self, requests: Sequence[Request], completions: Sequence[Completion], settings: DecodingSettings
    ) -> Verification | None:
        """Compare completions with plain decoding of the same requests; None where there is no plain decoder (the default)."""
        return None

    def speed_up(self, requests: Sequence[Request], settings: DecodingSettings) -> SpeedUp | None:
        """The measured rate over plain decoding; None where the settings are plain decoding, or nothing can be compared."""
        return None

"""Completions from an OpenAI-compatible server (`openai:URL#MODEL`): vLLM, SGLang, llama.cpp, or a hosted one.

Uses the completions endpoint (raw text in, raw text out), since benchmarks' prompts are not chats. The request's seed is passed on;
whether a server honours it is the server's business. Not covered: chat endpoints, likelihoods, draft statistics.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any, Self

from mtp_eval.harness.backends.base import Backend, BackendOptions
from mtp_eval.harness.decoding.settings import DecodingSettings
from mtp_eval.harness.errors import InputError, MtpEvalError
from mtp_eval.tasks.problem import Completion, Request

KEY_VARIABLE = "OPENAI_API_KEY"
MAX_STOPS = 4
"""What the protocol allows; the rest is cut here, from the text that comes back."""


class OpenAIBackend(Backend):
    """A model behind an HTTP server.

    Args:
        spec: URL#MODEL, such as http://localhost:8000/v1#code-llama.
        max_retries: tries of a request after the first, with growing waits between.

    Raises:
        InputError: the spec has no model name, or the `api` extra is not installed.
    """

    def __init__(self, spec: str, max_retries: int = 5):
        url, _, model = spec.rpartition("#")
        if not url or not model:
            raise InputError(
                f"openai:{spec}: expected openai:URL#MODEL, such as openai:http://localhost:8000/v1#my-model"
            )
        try:
            import openai
        except ImportError:
            raise InputError("openai: models need the openai package: pip install 'mtp-eval[api]'") from None
        self.url, self.name = url, model
        self._error: type[Exception] = openai.OpenAIError
        self._client = openai.OpenAI(
            base_url=url, api_key=os.environ.get(KEY_VARIABLE, "none"), max_retries=max_retries
        )

    @classmethod
    def open(cls, source: str, options: BackendOptions) -> Self:
        """The model URL#MODEL; device and precision are the server's."""
        return cls(source)

    def facts(self) -> Mapping[str, Any]:
        """The server and the model's name there; its weights have no hash that we could know."""
        return {"spec": f"openai:{self.url}#{self.name}", "sha256": None}

    def check(self, settings: DecodingSettings) -> None:
        """Refuse what the protocol does not have."""
        if settings.top_k:
            raise InputError("--top-k is not part of the OpenAI protocol: leave it out for openai: models")
        if settings.decode == "self-speculative":
            raise InputError("--decode self-speculative is the server's own business for openai: models: leave it out")

    def check_chat(self) -> None:
        """Servers put their model's template around messages."""

    def generate(self, requests: Sequence[Request], settings: DecodingSettings) -> Iterator[Completion]:
        """Complete every request, `batch_size` at a time.

        Raises:
            InputError: settings that the protocol does not have.
            MtpEvalError: the server cannot be reached or refuses; what came before is kept.
        """
        self.check(settings)
        with ThreadPoolExecutor(settings.batch_size) as threads:
            waiting = [threads.submit(self._complete, request, settings) for request in requests]
            try:
                for done in as_completed(waiting):
                    yield done.result()
            finally:
                for future in waiting:
                    future.cancel()

    def _complete(self, request: Request, settings: DecodingSettings) -> Completion:
        started = time.perf_counter()
        try:
            answer = self._ask(request, settings)
        except self._error as error:
            raise MtpEvalError(f"the server at {self.url} did not complete {request.problem_id}: {error}") from error
        choice = answer.choices[0]
        text, reason = choice.message.content if request.chat else choice.text, str(choice.finish_reason)
        cuts = [at for stop in _stops(request) if (at := text.find(stop)) >= 0]
        return Completion(
            problem_id=request.problem_id,
            sample=request.sample,
            text=text[: min(cuts)] if cuts else text,
            n_tokens=answer.usage.completion_tokens if answer.usage else 0,
            prompt_tokens=answer.usage.prompt_tokens if answer.usage else 0,
            stop_reason="stop" if cuts else reason,
            wall_seconds=time.perf_counter() - started,
        )

    def _ask(self, request: Request, settings: DecodingSettings) -> Any:
        """The server's answer: of its chat endpoint where the request is a chat, else of the endpoint for plain text."""
        shared: dict[str, Any] = {
            "model": self.name,
            "max_tokens": request.max_new_tokens,
            "temperature": settings.temperature,
            "top_p": settings.top_p,
            "seed": request.seed,
            "stop": list(_stops(request)[:MAX_STOPS]) or None,
        }
        if request.chat is None:
            return self._client.completions.create(prompt=request.prompt, **shared)
        messages: Any = [{"role": "user", "content": request.chat.question_alone}]
        return self._client.chat.completions.create(messages=messages, **shared)


def _stops(request: Request) -> tuple[str, ...]:
    """A chat's stop strings are for an answer that was begun, which a server does not let us do."""
    return () if request.chat else request.stop

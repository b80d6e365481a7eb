"""Completions from an OpenAI-compatible server (`openai:URL#MODEL`): vLLM, SGLang, llama.cpp, or a hosted one.

The completions endpoint gets the prompt as it is; a request that is a chat goes to the chat endpoint as the user's message, after
the system prompt if there is one. At most `concurrency` requests are under way at once. A request to a busy server (429, 5xx) is
repeated after growing waits with jitter, or after the time that Retry-After states; an answer may take `timeout_seconds`.
Answers are not trusted: a malformed one is asked for again, and then reported. A prompt that the server
refuses while it takes others gives the verdict `no_completion`, with the stop reason "refused". Seeds are passed on; a server may
ignore them. Likelihoods: `server_likelihoods`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from mtp_eval.harness.backends.background import results_of
from mtp_eval.harness.backends.base import Backend, BackendOptions
from mtp_eval.harness.backends.endpoint import Endpoint
from mtp_eval.harness.backends.server_likelihoods import Likelihoods
from mtp_eval.harness.backends.usage import Usage, draft_counts, token_count
from mtp_eval.harness.decoding.measures import LogLikelihood
from mtp_eval.harness.decoding.settings import DecodingSettings
from mtp_eval.harness.errors import InputError, MtpEvalError
from mtp_eval.tasks.problem import Completion, Request

log = logging.getLogger(__name__)

KEY_VARIABLE = "OPENAI_API_KEY"
MAX_STOPS = 4
"""What the protocol allows; the rest is cut here, from the text that comes back."""
SEEDS = 2**31
"""Some servers refuse larger ones."""
REFUSALS = frozenset({400, 413, 422})
"""Statuses that say that there is something wrong with the request, such as a prompt that is too long."""
MALFORMED_TRIES = 3
RETRIES = 6


class MalformedAnswerError(Exception):
    """The server answered with something else than the protocol's object."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One text that came back, why it ended, how many tokens it and its prompt had (0: the server does not say), and why there is none."""

    text: str
    reason: str
    n_tokens: int
    prompt_tokens: int
    refusal: str = ""


class OpenAIBackend(Backend):
    """A model behind an HTTP server.

    Args:
        source: URL#MODEL, such as http://localhost:8000/v1#code-llama.
        options: system, concurrency, timeout_seconds and samples_per_request count here.
        retries: tries of a request after the first, while the server is busy or cannot be reached.

    Raises:
        InputError: the source has no model name, or the `api` extra is not installed.
    """

    is_independent: ClassVar[bool] = True

    def __init__(self, source: str, options: BackendOptions | None = None, *, retries: int = RETRIES):
        self.endpoint, self.options = Endpoint.of(source), options or BackendOptions()
        self.name, self.retries = self.endpoint.model, retries
        try:
            import openai
        except ImportError:
            raise InputError("openai: models need the openai package: pip install 'mtp-eval[api]'") from None
        self._openai: Any = openai
        self._key = os.environ.get(KEY_VARIABLE, "none")
        self._usage = Usage()
        self._drafted_before: dict[str, int] | None = None
        self.refusals: dict[str, str] = {}
        """By problem, what the server said of a prompt that it refused."""

    @classmethod
    def open(cls, source: str, options: BackendOptions) -> Self:
        """The model URL#MODEL; device and precision are the server's."""
        return cls(source, options)

    def facts(self) -> Mapping[str, Any]:
        """The server and the model's name there, without port and credentials; the hash of its weights is not known."""
        return {"spec": f"openai:{self.endpoint.identity}", "sha256": None, **self.options.system_facts()}

    def check(self, settings: DecodingSettings) -> None:
        """Refuse what the protocol does not have.

        Raises:
            InputError: top-k, or self-speculative decoding.
        """
        if settings.top_k:
            raise InputError("--top-k is not part of the OpenAI protocol: leave it out for openai: models")
        if settings.decode == "self-speculative":
            raise InputError("--decode self-speculative is the server's own business for openai: models: leave it out")

    def check_chat(self) -> None:
        """Accept every chat: servers put their model's template around messages."""

    def generate(self, requests: Sequence[Request], settings: DecodingSettings) -> Iterator[Completion]:
        """Complete every request, `concurrency` at a time.

        Raises:
            InputError: settings that the protocol does not have.
            MtpEvalError: the server cannot be reached, refuses everything, or answers with nonsense; what came before is kept.
        """
        self.check(settings)
        if self._drafted_before is None:
            self._drafted_before = draft_counts(self.endpoint.url)
        return results_of(lambda: self._complete_all(requests, settings))

    def usage(self) -> Usage:
        """Tokens by the server's count, and its drafts where it is vLLM and drafts."""
        before = self._drafted_before
        now = draft_counts(self.endpoint.url) if before else {}
        return replace(self._usage, **{name: n - (before or {}).get(name, 0) for name, n in now.items()})

    def loglikelihood(self, pairs: Sequence[tuple[str, str]]) -> list[LogLikelihood]:
        """The log-likelihood of each (context, continuation) pair's continuation, in order, where the server gives such."""
        return Likelihoods(self._openai, self.endpoint, self._key, self.options, self.retries).of(pairs)

    async def _complete_all(self, requests: Sequence[Request], settings: DecodingSettings) -> AsyncIterator[Completion]:
        client = self._openai.AsyncOpenAI(
            base_url=self.endpoint.url,
            api_key=self._key,
            max_retries=self.retries,
            timeout=self.options.timeout_seconds,
        )
        slots = asyncio.Semaphore(self.options.concurrency)

        async def complete(group: Sequence[Request]) -> list[Completion]:
            async with slots:
                return await self._complete(client, group, settings)

        refused: list[Completion] = []
        works = False
        async with client:
            tasks = [asyncio.create_task(complete(group)) for group in self._groups(requests, settings)]
            try:
                for done in asyncio.as_completed(tasks):
                    for completion in await done:
                        if completion.stop_reason == "refused" and not works:
                            refused.append(completion)  # perhaps the server refuses everything
                            continue
                        works = True
                        yield completion
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        if refused and not works:
            raise MtpEvalError(
                f"the server at {self.endpoint.shown} refused all of {len(refused)} prompts; of "
                f"{refused[0].problem_id} it said: {refused[0].refusal}"
            )
        for completion in refused:
            yield completion

    def _groups(self, requests: Sequence[Request], settings: DecodingSettings) -> Iterator[list[Request]]:
        """Requests that go out as one: samples of one prompt that stand together, where asked for and sampled."""
        size = self.options.samples_per_request if settings.temperature else 1
        group: list[Request] = []
        for request in requests:
            if group and (len(group) == size or _question(request) != _question(group[0])):
                yield group
                group = []
            group.append(request)
        if group:
            yield group

    async def _complete(self, client: Any, group: Sequence[Request], settings: DecodingSettings) -> list[Completion]:
        """The completions of a group; what the server leaves out is asked for one by one."""
        started = time.perf_counter()
        try:
            choices = await self._ask(client, group, settings)
        except self._openai.APIStatusError as error:
            if error.status_code not in REFUSALS:
                raise self._failure(group[0], error) from None
            return self._refused(group, self.endpoint.clean(str(error), self._key))
        except self._openai.OpenAIError as error:
            raise self._failure(group[0], error) from None
        seconds = (time.perf_counter() - started) / len(group)
        done = [_completion(request, choice, seconds) for request, choice in zip(group, choices, strict=False)]
        for request in group[len(choices) :]:
            done += await self._complete(client, [request], settings)
        return done

    def _refused(self, group: Sequence[Request], said: str) -> list[Completion]:
        problem_id = group[0].problem_id
        if problem_id not in self.refusals:
            log.warning("%s: the server refused the prompt of %s: %s", self.name, problem_id, said)
        self.refusals[problem_id] = said
        return [Completion(r.problem_id, r.sample, "", stop_reason="refused", refusal=said) for r in group]

    def _failure(self, request: Request, error: Exception) -> MtpEvalError:
        said = self.endpoint.clean(str(error) or type(error).__name__, self._key)
        return MtpEvalError(
            f"the server at {self.endpoint.shown} did not complete {request.problem_id}: {said}; what was completed is kept, "
            "and the same command goes on from there"
        )

    async def _ask(self, client: Any, group: Sequence[Request], settings: DecodingSettings) -> list[Choice]:
        for attempt in range(MALFORMED_TRIES):
            try:
                body = await self._send(client, group, settings)
                self._usage.count(body)
                return _choices(body, len(group), chat=group[0].chat is not None)
            except MalformedAnswerError as error:
                if attempt == MALFORMED_TRIES - 1:
                    raise self._failure(group[0], error) from None
            await asyncio.sleep(2**attempt * random.uniform(0.25, 0.75))
        raise AssertionError("unreachable")

    async def _send(self, client: Any, group: Sequence[Request], settings: DecodingSettings) -> str:
        """The body of the server's answer."""
        request = group[0]
        body: dict[str, Any] = {
            "model": self.name,
            "temperature": settings.temperature,
            "top_p": settings.top_p,
            "seed": request.seed % SEEDS,
            "max_tokens": request.max_new_tokens,
            "stop": list(_stops(request)[:MAX_STOPS]) or None,
        }
        if len(group) > 1:
            body["n"] = len(group)
        if request.chat is None:
            answer = await client.completions.with_raw_response.create(prompt=request.prompt, **body)
        else:
            messages = request.chat.messages(self.options.system, request.chat.question_alone)
            answer = await client.chat.completions.with_raw_response.create(messages=messages, **body)
        return str(answer.http_response.text)


def _question(request: Request) -> tuple[Any, ...]:
    return request.prompt, request.chat, request.stop, request.max_new_tokens


def _stops(request: Request) -> tuple[str, ...]:
    """A chat's stop strings are for an answer that was begun, which a server does not let us do."""
    return () if request.chat else request.stop


def _choices(body: str, n: int, *, chat: bool) -> list[Choice]:
    """The texts of an answer, at most n.

    Raises:
        MalformedAnswerError: it is not what the protocol says.
    """
    try:
        answer = json.loads(body)
    except ValueError:
        raise MalformedAnswerError(f"the answer is not JSON: {body[:200]!r}") from None
    if not isinstance(answer, dict) or answer.get("error"):
        raise MalformedAnswerError(f"the answer is an error: {json.dumps(answer)[:300]}")
    choices = answer.get("choices")
    if not isinstance(choices, list) or not choices:
        raise MalformedAnswerError(f"the answer has no choices: {body[:200]!r}")
    given = answer.get("usage")
    usage: dict[str, Any] = given if isinstance(given, dict) else {}
    n_tokens, prompt_tokens = (token_count(usage.get(name)) for name in ("completion_tokens", "prompt_tokens"))
    return [_choice(choice, n_tokens // len(choices), prompt_tokens, chat=chat) for choice in choices[:n]]


def _choice(choice: Any, n_tokens: int, prompt_tokens: int, *, chat: bool) -> Choice:
    found = choice if isinstance(choice, dict) else {}
    reason = str(found.get("finish_reason") or "stop")
    message = found.get("message") if chat else found
    text = message.get("content" if chat else "text") if isinstance(message, dict) else None
    refusal = str(message.get("refusal") or "") if isinstance(message, dict) else ""
    if not text and (reason == "content_filter" or refusal):
        return Choice("", "refused", n_tokens, prompt_tokens, refusal or "content filter")
    if not isinstance(text, str):
        raise MalformedAnswerError(f"a choice has no text: {json.dumps(choice)[:200]}")
    return Choice(text, reason, n_tokens, prompt_tokens)


def _completion(request: Request, choice: Choice, seconds: float) -> Completion:
    """The choice up to the first of the request's stop strings."""
    cuts = [at for stop in _stops(request) if (at := choice.text.find(stop)) >= 0]
    return Completion(
        problem_id=request.problem_id,
        sample=request.sample,
        text=choice.text[: min(cuts)] if cuts else choice.text,
        n_tokens=choice.n_tokens,
        prompt_tokens=choice.prompt_tokens,
        stop_reason="stop" if cuts else choice.reason,
        refusal=choice.refusal,
        wall_seconds=seconds,
    )

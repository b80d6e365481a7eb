"""Likelihoods of continuations from a server that repeats a prompt with its log-probabilities (`echo` with `logprobs`).

vLLM does on the completions endpoint, and other servers of OpenAI's first protocol. Where a continuation begins is found as for models
at hand, and as lm-eval has it: white space at the end of the context belongs to the continuation, and the tokens beyond the context's
own number, which the server is asked for once, are the continuation's. What stands before a text, such as a begin mark, is the
server's business.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mtp_eval.harness.backends.background import results_of
from mtp_eval.harness.backends.base import BackendOptions
from mtp_eval.harness.backends.endpoint import Endpoint
from mtp_eval.harness.decoding.measures import LogLikelihood
from mtp_eval.harness.errors import InputError, MtpEvalError

ASKED: Mapping[str, Any] = {"echo": True, "logprobs": 1, "max_tokens": 1, "temperature": 0.0}
"""The request besides its prompt; the one token that is written is left out again. Most servers refuse to write none."""
NONE_GIVEN = frozenset({400, 404, 405, 413, 422, 501})
"""Statuses of a server that does not answer such a request."""


@dataclass(frozen=True, slots=True)
class Echo:
    """A prompt as the server read it.

    Args:
        nats: the log-probability of each of its tokens; None for the first, before which there is nothing.
        is_greedy: whether greedy decoding would have written the token.
        first: the text of the first token: the prompt's, or a begin mark that the server has put before it.
    """

    nats: tuple[float | None, ...]
    is_greedy: tuple[bool, ...]
    first: str = ""


def read_echo(body: str) -> Echo | None:
    """The prompt's part of an answer; None where it has no log-probabilities of the prompt's tokens."""
    try:
        found = json.loads(body)["choices"][0]["logprobs"]
        nats = [None if value is None else float(value) for value in found["token_logprobs"]]
        likeliest = found.get("top_logprobs") or [None] * len(nats)
        greedy = [
            value is not None and value >= max((top or {}).values(), default=0.0)
            for value, top in zip(nats, likeliest, strict=True)
        ]
        first = str((found.get("tokens") or [""])[0])
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        return None
    n_prompt = len(nats) - 1
    if n_prompt < 1 or any(value is None for value in nats[1:]):
        return None
    return Echo(tuple(nats[:n_prompt]), tuple(greedy[:n_prompt]), first)


@dataclass(frozen=True, slots=True)
class Likelihoods:
    """The likelihoods of one server.

    Args:
        library: the openai package.
        endpoint: the server and the model's name there.
        key: shown in no message.
        options: concurrency and timeout_seconds count here.
        retries: tries of a request after the first.
    """

    library: Any
    endpoint: Endpoint
    key: str
    options: BackendOptions
    retries: int

    def of(self, pairs: Sequence[tuple[str, str]]) -> list[LogLikelihood]:
        """The log-likelihood of every (context, continuation) pair's continuation, in order.

        Raises:
            InputError: the server gives none, or nothing at all stands before a continuation.
            MtpEvalError: the server cannot be reached.
        """
        return list(results_of(lambda: self._of(pairs)))

    async def _of(self, pairs: Sequence[tuple[str, str]]) -> AsyncIterator[LogLikelihood]:
        asked = [(context.rstrip(), context + continuation) for context, continuation in pairs if continuation]
        echoes = await self._echoes(list(dict.fromkeys(text for both in asked for text in both if text)))
        for context, continuation in pairs:
            if not continuation:
                yield LogLikelihood(0.0, 0, 0, True)
                continue
            text, before = context + continuation, context.rstrip()
            whole = echoes[text]
            n_before = len(echoes[before].nats) if before else self._n_marks(whole, text)
            after = [value or 0.0 for value in whole.nats[n_before:]]
            n_bytes = len(continuation.encode("utf-8", "surrogateescape"))
            yield LogLikelihood(sum(after), len(after), n_bytes, all(whole.is_greedy[n_before:]))

    def _n_marks(self, whole: Echo, text: str) -> int:
        """Tokens before a text without a context: the begin mark, whose text is not how this one begins."""
        if whole.first and not text.startswith(whole.first):
            return 1
        raise InputError(
            f"{self.endpoint.model}: the server puts nothing before a text, so that a choice without a context has no likelihood for its "
            "first token; use hf:NAME_OR_PATH"
        )

    async def _echoes(self, prompts: Sequence[str]) -> dict[str, Echo]:
        slots = asyncio.Semaphore(self.options.concurrency)
        client = self.library.AsyncOpenAI(
            base_url=self.endpoint.url, api_key=self.key, max_retries=self.retries, timeout=self.options.timeout_seconds
        )

        async def ask(prompt: str) -> Echo:
            async with slots:
                return await self._echo(client, prompt)

        async with client:
            tasks = [asyncio.create_task(ask(prompt)) for prompt in prompts]
            try:
                return dict(zip(prompts, await asyncio.gather(*tasks), strict=True))
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _echo(self, client: Any, prompt: str) -> Echo:
        try:
            answer = await client.completions.with_raw_response.create(
                model=self.endpoint.model, prompt=prompt, **ASKED
            )
            body = str(answer.http_response.text)
        except self.library.APIStatusError as error:
            raise (self._none_given if error.status_code in NONE_GIVEN else self._failure)(str(error)) from None
        except self.library.OpenAIError as error:
            raise self._failure(str(error)) from None
        found = read_echo(body)
        if found is None:
            raise self._none_given(body[:200])
        return found

    def _none_given(self, said: str) -> InputError:
        return InputError(
            f"the server at {self.endpoint.shown} gives no likelihoods of a prompt's tokens (`echo` with `logprobs` on /completions), by "
            f"which this task compares choices: vLLM does; otherwise use hf:NAME_OR_PATH. It said: {self.endpoint.clean(said, self.key)}"
        )

    def _failure(self, said: str) -> MtpEvalError:
        return MtpEvalError(
            f"the server at {self.endpoint.shown} did not give a likelihood: {self.endpoint.clean(said, self.key)}; what was completed is "
            "kept, and the same command goes on from there"
        )

"""Likelihoods of continuations from a server that repeats a prompt with its log-probabilities (`echo` with `logprobs`).

vLLM does on the completions endpoint, and other servers of OpenAI's first protocol. Where a continuation begins is found as for models
at hand, and as lm-eval has it: white space at the end of the context belongs to the continuation, and the tokens beyond the context's
own number, which the server is asked for once, are the continuation's. What stands before a text, such as a begin mark, is the
server's business.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

from mtp_eval.harness.backends.background import answers
from mtp_eval.harness.backends.endpoint import Endpoint
from mtp_eval.harness.backends.openai_requests import Requester
from mtp_eval.harness.backends.patience import FaultError, HopelessError, Patience, RefusedError
from mtp_eval.harness.decoding.measures import LogLikelihood
from mtp_eval.harness.errors import InputError, MtpEvalError

NO_SUCH_REQUEST = frozenset({404, 405, 501})
"""Statuses of a server that does not know what it is asked for."""


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


Server = tuple[Requester, Patience]


@dataclass(frozen=True, slots=True)
class Likelihoods:
    """The likelihoods of one server.

    Args:
        endpoint: the server and the model's name there.
        connect: opens a connection to it.
        at_once: requests that are under way together.
    """

    endpoint: Endpoint
    connect: Callable[[], AbstractAsyncContextManager[Server]]
    at_once: int

    def of(self, pairs: Sequence[tuple[str, str]]) -> list[LogLikelihood]:
        """The log-likelihood of every (context, continuation) pair's continuation, in order.

        Raises:
            InputError: the server gives none, or nothing at all stands before a continuation.
            MtpEvalError: the server cannot be reached.
        """
        asked = [(context.rstrip(), context + continuation) for context, continuation in pairs if continuation]
        prompts = dict.fromkeys(text for both in asked for text in both if text)
        echoes = dict(answers(prompts, self._connected, self.at_once))
        return [self._of(context, continuation, echoes) for context, continuation in pairs]

    def _of(self, context: str, continuation: str, echoes: Mapping[str, Echo]) -> LogLikelihood:
        if not continuation:
            return LogLikelihood(0.0, 0, 0, True)
        text, before = context + continuation, context.rstrip()
        whole = echoes[text]
        n_before = len(echoes[before].nats) if before else self._n_marks(whole, text)
        after = [value or 0.0 for value in whole.nats[n_before:]]
        n_bytes = len(continuation.encode("utf-8", "surrogateescape"))
        return LogLikelihood(sum(after), len(after), n_bytes, all(whole.is_greedy[n_before:]))

    def _n_marks(self, whole: Echo, text: str) -> int:
        """Tokens before a text without a context: the begin mark, whose text is not how this one begins."""
        if whole.first and not text.startswith(whole.first):
            return 1
        raise InputError(
            f"{self.endpoint.model}: the server puts nothing before a text, so that a choice without a context has no likelihood for its "
            "first token; use hf:NAME_OR_PATH"
        )

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Callable[[str], Awaitable[Echo]]]:
        async with self.connect() as (requester, patience):

            async def ask(prompt: str) -> Echo:
                return await self._echo(requester, patience, prompt)

            yield ask

    async def _echo(self, requester: Requester, patience: Patience, prompt: str) -> Echo:
        try:
            body = await patience.answer(lambda: requester.echo(prompt), lambda: requester.echo("x"))
        except RefusedError as error:
            raise self._none_given(str(error)) from None
        except HopelessError as error:
            raise (self._none_given if error.status in NO_SUCH_REQUEST else self._failure)(str(error)) from None
        except FaultError as error:
            raise self._failure(str(error)) from None
        found = read_echo(body)
        if found is None:
            raise self._none_given(requester.clean(body))
        return found

    def _none_given(self, said: str) -> InputError:
        return InputError(
            f"the server at {self.endpoint.address} gives no likelihoods of a prompt's tokens (`echo` with `logprobs` on /completions), by "
            f"which this task compares choices: vLLM does; otherwise use hf:NAME_OR_PATH. It said: {said}"
        )

    def _failure(self, said: str) -> MtpEvalError:
        return MtpEvalError(
            f"the server at {self.endpoint.address} did not give a likelihood: {said}; what was completed is kept, and the same command "
            "goes on from there"
        )

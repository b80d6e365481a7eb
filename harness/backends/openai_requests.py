"""Requests in OpenAI's protocol: what is sent, and what kind of failure it is when no answer comes back."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from typing import Any

from mtp_eval.harness.backends.endpoint import Endpoint
from mtp_eval.harness.backends.openai_answers import Choice, MalformedAnswerError, choices_of, parsed, text_of
from mtp_eval.harness.backends.patience import FaultError, HopelessError, RefusedError
from mtp_eval.harness.backends.rate_limits import pause_asked_for, pause_until_refilled
from mtp_eval.harness.backends.server_errors import advice, status_line, through_proxy
from mtp_eval.harness.backends.server_stops import ends_in_prompt
from mtp_eval.harness.backends.usage import Usage
from mtp_eval.harness.decoding.settings import DecodingSettings
from mtp_eval.tasks.problem import Request

MAX_STOPS = 4
"""What the protocol allows; the rest is cut from the text that comes back."""
SEEDS = 2**31
"""Some servers refuse larger ones."""
REFUSALS = frozenset({400, 413, 422})
"""Statuses that say that there is something wrong with the request, such as a prompt that is too long."""
BUSY = frozenset({408, 409, 425, 429, 503, 529})
SILENT_RETRIES = MALFORMED_RETRIES = 2
ECHO: Mapping[str, Any] = {"echo": True, "logprobs": 1, "max_tokens": 1, "temperature": 0.0}
"""A request for a prompt's own log-probabilities; the token that is written is of no use. Most servers refuse to write none."""
MOST_SAID = 400
"""Characters of what a server says that are kept."""


@dataclass(frozen=True, slots=True)
class Received:
    """What came back for a request: the texts, the seconds that they took, and those for which nothing should be asked now."""

    choices: list[Choice]
    seconds: float
    pause_seconds: float


class Requester:
    """Sends requests to one server, each once.

    Args:
        library: the openai package.
        client: its asynchronous client.
        key: shown in no message.
        seconds: that a request may take as a whole.
        system: the system prompt of chats.
        usage: counts every answer.
    """

    def __init__(
        self, library: Any, client: Any, endpoint: Endpoint, key: str, seconds: float, system: str, usage: Usage
    ) -> None:
        self._library, self._client, self._endpoint, self._key = library, client, endpoint, key
        below = library.DefaultAsyncHttpxClient.__mro__[1]
        self._http: Any = sys.modules[below.__module__.partition(".")[0]]  # httpx; its name depends on openai's version
        self._seconds, self._system, self._usage = seconds, system, usage
        self._budget = "max_tokens"

    async def send(self, group: Sequence[Request], settings: DecodingSettings, *, with_stops: bool = True) -> Received:
        """What the server answers to the requests of a group, which ask the same.

        A server that takes the prompt's end for the beginning of a stop string is asked again without stop strings.

        Raises:
            FaultError, RefusedError, HopelessError: as `receive`; a FaultError also for an answer that is none.
        """
        started = time.perf_counter()
        try:
            answer, headers = await self.receive(self._post(group, settings, with_stops=with_stops))
        except RefusedError as error:
            if group[0].chat and self._names_another_budget(str(error)):
                return await self.send(group, settings)
            raise
        try:
            found = parsed(answer)
            self._usage.count(found)
            choices = choices_of(found, len(group), chat=group[0].chat is not None)
        except MalformedAnswerError as error:
            raise self._fault(str(error), retries=MALFORMED_RETRIES) from None
        texts = [choice.text for choice in choices if choice.reason == "stop"]
        if with_stops and any(ends_in_prompt(group[0].prompt, text, stops_of(group[0])) for text in texts):
            return await self.send(group, settings, with_stops=False)
        return Received(choices, time.perf_counter() - started, pause_until_refilled(headers))

    async def echo(self, prompt: str) -> str:
        """The body of the server's answer when it is asked to repeat a prompt with its log-probabilities.

        Raises:
            FaultError, RefusedError, HopelessError: as `receive`.
        """
        body = {"model": self._endpoint.model, "prompt": prompt, **ECHO}
        answer, _ = await self.receive(self._client.completions.with_streaming_response.create(**body))
        with suppress(MalformedAnswerError):
            self._usage.count(parsed(answer))
        return answer

    async def receive(self, sent: AbstractAsyncContextManager[Any]) -> tuple[str, Mapping[str, str]]:
        """Body and headers of the answer to a request, whose status says that all is well.

        Raises:
            FaultError: there is none.
            RefusedError: the server does not take this request.
            HopelessError: it would not take another one either.
        """
        try:
            async with asyncio.timeout(self._seconds), sent as answer:
                return await text_of(answer.iter_bytes()), answer.headers
        except MalformedAnswerError as error:
            raise self._fault(str(error), retries=MALFORMED_RETRIES) from None
        except (TimeoutError, self._library.APITimeoutError, self._http.TimeoutException):
            raise self._fault(f"timed out after {self._seconds:g} s", retries=SILENT_RETRIES) from None
        except self._library.APIStatusError as error:
            raise self._of_status(error) from None
        except (self._library.OpenAIError, self._http.HTTPError) as error:
            cause = f" ({error.__cause__})" if str(error.__cause__ or error) != str(error) else ""
            raise self._fault(f"{error}{cause}{through_proxy(self._endpoint.url)}") from None

    def _post(
        self, group: Sequence[Request], settings: DecodingSettings, *, with_stops: bool
    ) -> AbstractAsyncContextManager[Any]:
        """A request, which is sent when it is entered."""
        request = group[0]
        body: dict[str, Any] = {
            "model": self._endpoint.model,
            "temperature": settings.temperature,
            "top_p": settings.top_p,
            "seed": request.seed % SEEDS,
        }
        if with_stops and (stop := list(stops_of(request)[:MAX_STOPS])):
            body["stop"] = stop
        if len(group) > 1:
            body["n"] = len(group)
        endpoint: Any = self._client.completions
        if request.chat is None:
            body |= {"prompt": request.prompt, "max_tokens": request.max_new_tokens}
        else:
            endpoint = self._client.chat.completions
            messages = request.chat.messages(self._system, request.chat.question_alone)
            body |= {"messages": messages, self._budget: request.max_new_tokens}
        sent: AbstractAsyncContextManager[Any] = endpoint.with_streaming_response.create(**body)
        return sent

    def _names_another_budget(self, said: str) -> bool:
        """Whether a model wants the tokens of its reasoning counted too; it is asked so from now on."""
        wanted = "max_completion_tokens"
        if self._budget == wanted or wanted not in said:
            return False
        self._budget = wanted
        return True

    def _of_status(self, error: Any) -> Exception:
        headers: Mapping[str, str] = error.response.headers
        status, answer = error.status_code, error.response
        sent_on_to = str(answer.url) if answer.history else ""
        hint = self.clean(advice(status, self._endpoint.address, sent_on_to))
        said = self.clean(status_line(status, answer.text)) + hint
        if status in REFUSALS:
            return RefusedError(said)
        if (status < 500 or status == 501) and status not in BUSY:
            return HopelessError(said, status)
        if headers.get("x-should-retry") == "false" or "insufficient_quota" in error.response.text:
            return HopelessError(said, status)
        is_busy = status in BUSY
        return FaultError(said, is_busy=is_busy, hold_seconds=pause_asked_for(headers) if is_busy else 0.0)

    def _fault(self, said: str, **more: Any) -> FaultError:
        return FaultError(self.clean(said), **more)

    def clean(self, said: str) -> str:
        """The beginning of what a server says, without credentials."""
        return self._endpoint.clean(said, self._key)[:MOST_SAID]


def stops_of(request: Request) -> tuple[str, ...]:
    """The stop strings; a chat's are for an answer that was begun, which a server does not let us do."""
    return () if request.chat else request.stop

"""Completions from an OpenAI-compatible server (`openai:URL#MODEL`): vLLM, SGLang, llama.cpp, or a hosted one.

The completions endpoint gets the prompt as it is; a request that is a chat goes to the chat endpoint as the user's message, after
the system prompt if there is one. `concurrency` requests are under way all the time, whatever part of a run they belong to. How
failures are told apart and how often a request is sent again is said in `patience`. A prompt that the server refuses while it
takes others gives the verdict `no_completion`, with the stop reason "refused". Seeds are passed on; a server may ignore them.
Likelihoods: `server_likelihoods`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import groupby, islice
from typing import Any, ClassVar, Self

from mtp_eval.harness.backends.background import answers
from mtp_eval.harness.backends.base import Backend, BackendOptions, Call
from mtp_eval.harness.backends.endpoint import Endpoint, key_of
from mtp_eval.harness.backends.openai_answers import REFUSED, Choice
from mtp_eval.harness.backends.openai_requests import Requester, stops_of
from mtp_eval.harness.backends.patience import RETRIES, FaultError, HopelessError, Patience, RefusedError
from mtp_eval.harness.backends.server_likelihoods import Likelihoods
from mtp_eval.harness.backends.usage import Usage, draft_counts
from mtp_eval.harness.decoding.measures import LogLikelihood
from mtp_eval.harness.decoding.settings import DecodingSettings
from mtp_eval.harness.errors import InputError, MtpEvalError
from mtp_eval.tasks.problem import Chat, Completion, Request

log = logging.getLogger(__name__)

MOST_UNANSWERED = 16
"""Prompts without an answer, each for a reason of its own, after which a run asks no more."""
MOST_REFUSED = 256
"""Refused prompts, before any was completed, after which a trial question tells whether the server refuses everything."""


@dataclass(frozen=True, slots=True)
class Group:
    """Samples of one prompt that are asked for together, in the call of this number."""

    number: int
    requests: tuple[Request, ...]
    settings: DecodingSettings

    def trial(self) -> Group:
        """The shortest question that is asked in the same way."""
        first = self.requests[0]
        chat = first.chat and Chat("x", "", "x")
        return replace(self, requests=(replace(first, prompt="x", chat=chat),))


@dataclass(frozen=True, slots=True)
class Unanswered:
    """A group that got no proper answer while others did, and what is known of it."""

    said: str


class OpenAIBackend(Backend):
    """A model behind an HTTP server.

    Args:
        source: URL#MODEL, such as http://localhost:8000/v1#code-llama.
        options: system, concurrency, timeout_seconds and samples_per_request count here.
        retries: how often a request is sent again while the server is busy or cannot be reached.

    Raises:
        InputError: the source has no model name, the key cannot be sent, or the `api` extra is not installed.
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
        self._key = key_of(os.environ)
        try:
            self._client()
        except (ImportError, OSError, ValueError) as error:
            raise InputError(
                f"no connection to {self.endpoint.address} can be made: {self.endpoint.clean(str(error))}; what the variables HTTP_PROXY, "
                "HTTPS_PROXY, ALL_PROXY, NO_PROXY, SSL_CERT_FILE and SSL_CERT_DIR say counts here"
            ) from None
        self._usage = Usage()
        self._drafted_before: dict[str, int] | None = None
        self._takes_n = True
        self._has_completed = False
        self._refused_problems: set[str] = set()

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
        return (completion for _, completion in self.generate_each([Call(tuple(requests), settings)]))

    def generate_each(self, calls: Iterable[Call]) -> Iterator[tuple[int, Completion]]:
        """The completions of several calls; the next one begins before the last of one is there."""
        if self._drafted_before is None:
            self._drafted_before = draft_counts(self.endpoint.url)
        for compares, several in groupby(enumerate(calls), key=lambda pair: bool(pair[1].choices)):
            if compares:
                yield from ((number, completion) for number, call in several for completion in self.complete(call))
            else:
                yield from self._texts(several)

    def _texts(self, calls: Iterable[tuple[int, Call]]) -> Iterator[tuple[int, Completion]]:
        refused: list[tuple[Group, Completion]] = []
        unanswered: list[tuple[Group, Unanswered]] = []
        for group, found in answers(self._groups(calls), self._connected, self.options.concurrency):
            match found:
                case Unanswered():
                    unanswered.append((group, found))
                    if len(unanswered) >= MOST_UNANSWERED:
                        break
                case _:
                    refused += [(group, completion) for completion in found if completion.stop_reason == REFUSED]
                    completed = [completion for completion in found if completion.stop_reason != REFUSED]
                    self._has_completed |= bool(completed)
                    yield from ((group.number, completion) for completion in completed)
            if self._has_completed or len(refused) >= MOST_REFUSED:
                yield from self._refusals(refused)
                refused = []
        yield from self._refusals(refused)
        if unanswered:
            raise self._left_out(unanswered)

    def _refusals(self, refused: Sequence[tuple[Group, Completion]]) -> Iterator[tuple[int, Completion]]:
        """Refused completions, once it is known that the server takes other prompts.

        Raises:
            MtpEvalError: it takes none.
        """
        if refused and not self._has_completed:
            group, completion = refused[0]
            ((_, found),) = answers([group.trial()], self._connected, at_once=1)
            if isinstance(found, Unanswered) or found[0].stop_reason == REFUSED:
                raise MtpEvalError(
                    f"the server at {self.endpoint.address} refused all of {len(refused)} prompts, and a short one as well; of "
                    f"{completion.problem_id} it said: {completion.refusal}"
                )
            self._has_completed = True
        for group, completion in refused:
            self._name_refused(completion)
            yield group.number, completion

    def _name_refused(self, completion: Completion) -> None:
        """Say, once a problem, that there is no completion of it, and why."""
        if completion.problem_id not in self._refused_problems:
            log.warning(
                "%s: the server refused the prompt of %s: %s", self.name, completion.problem_id, completion.refusal
            )
        self._refused_problems.add(completion.problem_id)

    def _left_out(self, unanswered: Sequence[tuple[Group, Unanswered]]) -> MtpEvalError:
        names = list(dict.fromkeys(group.requests[0].problem_id for group, _ in unanswered))
        more = " and perhaps for more" if len(unanswered) >= MOST_UNANSWERED else ""
        return self._failure(f"{', '.join(names)}{more}, while it answered others", unanswered[0][1].said)

    def _failure(self, what: str, said: str) -> MtpEvalError:
        return MtpEvalError(
            f"the server at {self.endpoint.address} did not complete {what}: {said}; what was completed is kept, "
            "and the same command goes on from there"
        )

    def usage(self) -> Usage:
        """Tokens by the server's count, and its drafts where it is vLLM and drafts."""
        before = self._drafted_before
        now = draft_counts(self.endpoint.url) if before else {}
        return replace(self._usage, **{name: n - (before or {}).get(name, 0) for name, n in now.items()})

    def loglikelihood(self, pairs: Sequence[tuple[str, str]]) -> list[LogLikelihood]:
        """The log-likelihood of each (context, continuation) pair's continuation, in order, where the server gives such."""
        return Likelihoods(self.endpoint, self._server, self.options.concurrency).of(pairs)

    def _groups(self, calls: Iterable[tuple[int, Call]]) -> Iterator[Group]:
        """Requests that go out as one: samples of one prompt that stand together, where asked for and sampled."""
        for number, call in calls:
            self.check(call.settings)
            size = self.options.samples_per_request if call.settings.temperature else 1
            for _, same in groupby(call.requests, key=_question):
                while together := tuple(islice(same, size)):
                    yield Group(number, together, call.settings)

    def _client(self) -> Any:
        return self._openai.AsyncOpenAI(
            base_url=self.endpoint.address,
            api_key=self._key,
            max_retries=0,
            timeout=self.options.timeout_seconds,
            default_headers=self.endpoint.authorization,
        )

    @asynccontextmanager
    async def _server(self) -> AsyncIterator[tuple[Requester, Patience]]:
        """A connection to the server, and the patience of all that is asked over it."""
        seconds = self.options.timeout_seconds
        async with self._client() as client:
            yield (
                Requester(self._openai, client, self.endpoint, self._key, seconds, self.options.system, self._usage),
                Patience(self.retries),
            )

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Callable[[Group], Awaitable[list[Completion] | Unanswered]]]:
        async with self._server() as (requester, patience):

            async def ask(group: Group) -> list[Completion] | Unanswered:
                try:
                    return await self._complete(requester, patience, group)
                except FaultError as fault:
                    return Unanswered(str(fault))
                except HopelessError as error:
                    raise self._failure(group.requests[0].problem_id, str(error)) from None

            yield ask

    async def _complete(self, requester: Requester, patience: Patience, group: Group) -> list[Completion]:
        """The completions of a group; what the server leaves out of it is asked for one by one.

        Raises:
            FaultError, HopelessError: as `Patience.answer`.
        """
        requests, trial = group.requests, group.trial()
        together = len(requests) if self._takes_n else 1
        try:
            received = await patience.answer(
                lambda: requester.send(requests[:together], group.settings),
                lambda: requester.send(trial.requests, group.settings),
            )
        except RefusedError as error:
            if together == 1:
                return [
                    Completion(r.problem_id, r.sample, "", stop_reason=REFUSED, refusal=str(error)) for r in requests
                ]
            self._takes_n = False  # perhaps it is n that the server refuses
            return await self._complete(requester, patience, group)
        patience.hold(received.pause_seconds)
        seconds = received.seconds / len(received.choices)
        pairs = zip(requests, received.choices, strict=False)
        done = [_completion(request, choice, seconds) for request, choice in pairs]
        if len(done) < len(requests):
            done += await self._complete(requester, patience, replace(group, requests=requests[len(done) :]))
        return done


def _question(request: Request) -> tuple[Any, ...]:
    return request.prompt, request.chat, request.stop, request.max_new_tokens


def _completion(request: Request, choice: Choice, seconds: float) -> Completion:
    """The choice up to the first of the request's stop strings."""
    cuts = [at for stop in stops_of(request) if (at := choice.text.find(stop)) >= 0]
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

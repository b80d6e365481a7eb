"""A backend whose model is elsewhere: every question is sent there as a function of the model's own backend."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from mtp_eval.harness.backends.base import Backend, Call
from mtp_eval.harness.decoding.measures import LogLikelihood, SpeedUp, Verification
from mtp_eval.harness.decoding.settings import DecodingSettings
from mtp_eval.tasks.problem import Completion, Request

Answer = TypeVar("Answer")


class RemoteBackend(Backend):
    """Asks a model elsewhere; a subclass says how (`ask`), and how calls are completed there (`generate_each`)."""

    @abstractmethod
    def ask(self, question: Callable[[Backend], Answer]) -> Answer:
        """What the model's own backend answers."""

    def facts(self) -> Mapping[str, Any]:
        """The facts of the model's own backend."""
        return self.ask(lambda model: model.facts())

    def check(self, settings: DecodingSettings) -> None:
        """Refuse what the model cannot follow."""
        self.ask(lambda model: model.check(settings))

    def check_chat(self) -> None:
        """Refuse chats where the model has no template."""
        self.ask(lambda model: model.check_chat())

    def generate(self, requests: Sequence[Request], settings: DecodingSettings) -> Iterator[Completion]:
        """Complete the requests as one call."""
        return (completion for _, completion in self.generate_each([Call(tuple(requests), settings)]))

    def loglikelihood(self, pairs: Sequence[tuple[str, str]]) -> list[LogLikelihood]:
        """The log-likelihood of each (context, continuation) pair, in order."""
        return self.ask(lambda model: model.loglikelihood(pairs))

    def choose_decoding(self, requests: Sequence[Request], settings: DecodingSettings) -> DecodingSettings:
        """The settings with the choices that the model's own backend makes."""
        return self.ask(lambda model: model.choose_decoding(requests, settings))

    def decoding_facts(self) -> Mapping[str, Any]:
        """What the model's own backend measured for its choices."""
        return self.ask(lambda model: model.decoding_facts())

    def verify(
        self, requests: Sequence[Request], completions: Sequence[Completion], settings: DecodingSettings
    ) -> Verification | None:
        """Compare with plain decoding where the model is."""
        return self.ask(lambda model: model.verify(requests, completions, settings))

    def speed_up(self, requests: Sequence[Request], settings: DecodingSettings) -> SpeedUp | None:
        """The rate over plain decoding, measured where the model is."""
        return self.ask(lambda model: model.speed_up(requests, settings))

"""What the run loop asks of a model, whatever is behind it.

A backend is named by a spec (see `harness.backends.registry`): a checkpoint folder, `hf:`, `openai:` or `samples:`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from mtp_eval.harness.decoding.settings import DecodingSettings
from mtp_eval.tasks.problem import Completion, Request


class Backend(Protocol):
    """A source of completions."""

    name: str
    """Short label for tables."""

    def describe(self) -> Mapping[str, Any]:
        """JSON-serialisable facts for run.json: spec, `sha256` of the weights, n_future, parameters."""
        ...

    def generate(self, requests: Sequence[Request], settings: DecodingSettings) -> Iterator[Completion]:
        """Complete every request once, in any order, each as soon as it is finished.

        The result for a request may depend on the other requests of this call through floating-point rounding only; the
        run loop makes each call's list a pure function of the run's config, so that a resumed run repeats it exactly.
        """
        ...

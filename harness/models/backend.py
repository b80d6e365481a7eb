"""What the run loop asks of a model, whatever is behind it.

A backend is named by a spec (see `harness.models.specs`): a checkpoint folder, `hf:`, `openai:` or `samples:`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from mtp_eval.tasks.problem import Completion, Request


@dataclass(frozen=True, slots=True)
class DecodingSettings:
    """How to decode; stored in run.json.

    Args:
        temperature: 0 is greedy.
        top_p: nucleus; 1 keeps every token.
        top_k: 0 keeps every token.
        decode: "auto", "autoregressive" or "self-speculative".
        draft_heads: heads used in all, the next-token head included; None leaves the choice to the decoder.
        batch_size: rows decoded together at most.
        acceptance: how drafts are judged when sampling: "coupled" (the completion is the one plain decoding gives for the
            same seed) or "rejection" (min(1, p/q): more drafts are kept, completions are others of the same distribution).
    """

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    decode: str = "auto"
    draft_heads: int | None = None
    batch_size: int = 32
    acceptance: str = "coupled"


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

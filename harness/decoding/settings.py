"""Decoding settings: what a run asks of a backend, whatever is behind it."""

from __future__ import annotations

from dataclasses import dataclass

from mtp_eval.harness.errors import InputError

DECODES = ("auto", "autoregressive", "self-speculative")
ACCEPTANCES = ("coupled", "rejection")


@dataclass(frozen=True, slots=True)
class DecodingSettings:
    """Decoding settings, stored in run.json. A value outside its range raises InputError.

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

    def __post_init__(self) -> None:
        if not self.temperature >= 0:
            raise InputError(f"temperature must be 0 (greedy) or above, got {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise InputError(f"top_p must be above 0 and at most 1, got {self.top_p}")
        if self.top_k < 0:
            raise InputError(f"top_k must be 0 (keep every token) or above, got {self.top_k}")
        if self.decode not in DECODES:
            raise InputError(f"decode must be {_or(DECODES)}, got {self.decode!r}")
        if self.acceptance not in ACCEPTANCES:
            raise InputError(f"acceptance must be {_or(ACCEPTANCES)}, got {self.acceptance!r}")
        if self.batch_size < 1:
            raise InputError(f"batch_size must be 1 or more, got {self.batch_size}")


def _or(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"

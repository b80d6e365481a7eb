"""How to decode: what a run asks of a backend, whatever is behind it."""

from __future__ import annotations

from dataclasses import dataclass


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

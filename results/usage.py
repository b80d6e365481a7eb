"""Usage of servers in a run, from its usage.json: tokens, cost, and the servers' own count of drafts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

USAGE = "usage"
"""The sidecar's name: a list with an entry for each session and model."""
COUNTS = ("n_answers", "n_uncounted", "prompt_tokens", "completion_tokens", "n_drafts", "n_drafted", "n_accepted")


def usage_sentences(sessions: Sequence[Mapping[str, Any]]) -> list[str]:
    """A sentence for each model that was asked over the network."""
    return [
        _sentence(label, [s for s in sessions if s["model"] == label])
        for label in dict.fromkeys(s["model"] for s in sessions)
    ]


def dollars(session: Mapping[str, Any]) -> float | None:
    """The cost of a session by the prices it was given; None where one is missing."""
    prices = session.get("price_in"), session.get("price_out")
    if prices[0] is None or prices[1] is None:
        return None
    return float(session["prompt_tokens"] * prices[0] + session["completion_tokens"] * prices[1]) / 1e6


def _sentence(label: str, sessions: Sequence[Mapping[str, Any]]) -> str:
    total = {name: sum(int(session.get(name, 0)) for session in sessions) for name in COUNTS}
    parts = [
        f"{label}: {total['n_answers']:,} answers with {total['prompt_tokens']:,} prompt tokens and "
        f"{total['completion_tokens']:,} completion tokens"
    ]
    if total["n_uncounted"]:
        parts.append(f"{total['n_uncounted']:,} of them without a count, so that there are more tokens")
    costs = [dollars(session) for session in sessions]
    if all(cost is not None for cost in costs):
        parts.append(f"${sum(cost or 0.0 for cost in costs):,.4f} by the prices given")
    if total["n_drafts"]:
        accepted = total["n_accepted"] / total["n_drafts"]
        parts.append(
            f"by the server's own count {1 + accepted:.2f} tokens per forward, {total['n_accepted'] / max(1, total['n_drafted']):.0%} of "
            "drafted tokens kept, over all that it did meanwhile"
        )
    return "; ".join(parts)

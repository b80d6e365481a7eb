"""Usage of a server: how many answers it gave, how many tokens, and how many of them its drafts gave."""

from __future__ import annotations

import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any
from urllib.parse import urlsplit, urlunsplit

DRAFTING = {
    "vllm:spec_decode_num_drafts_total": "n_drafts",
    "vllm:spec_decode_num_draft_tokens_total": "n_drafted",
    "vllm:spec_decode_num_accepted_tokens_total": "n_accepted",
}
"""Counters of vLLM's /metrics, in the Prometheus text form, by the field of `Usage` that they are."""
METRICS_SECONDS = 1.0
MOST_TOKENS = 1 << 40
"""Of one answer: what is above it is no count."""


@dataclass(slots=True)
class Usage:
    """Counts of one session; those of drafts are the server's own over that time, for all its clients.

    Args:
        n_answers: answers that came, those without a proper text included.
        n_uncounted: those of which the server did not say how many tokens they have.
        n_drafts: forwards of the model that checked drafted tokens; 0 where the server does not say.
        n_drafted, n_accepted: drafted tokens, and those of them that were kept.
    """

    n_answers: int = 0
    n_uncounted: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    n_drafts: int = 0
    n_drafted: int = 0
    n_accepted: int = 0

    def count(self, answer: Mapping[str, Any]) -> None:
        """Add an answer."""
        prompt_tokens, completion_tokens = counts_of(answer)
        self.n_answers += 1
        self.n_uncounted += not (prompt_tokens or completion_tokens)
        self.prompt_tokens += prompt_tokens
        self.completion_tokens += completion_tokens


def counts_of(answer: Mapping[str, Any]) -> tuple[int, int]:
    """The tokens of an answer's prompt and of its texts together, as its server counted them; 0 where it does not say."""
    given = answer.get("usage")
    usage: Mapping[str, Any] = given if isinstance(given, dict) else {}
    prompt_tokens, completion_tokens = (usage.get(name) for name in ("prompt_tokens", "completion_tokens"))
    return token_count(prompt_tokens), token_count(completion_tokens)


def token_count(value: Any) -> int:
    """A count that a server gives; 0 for what is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < MOST_TOKENS else 0


def draft_counts(url: str) -> dict[str, int]:
    """vLLM's counters of drafts so far, from /metrics beside the server's API; empty where there are none."""
    parts = urlsplit(url)
    address = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], "/metrics", "", ""))
    try:
        with urllib.request.urlopen(address, timeout=METRICS_SECONDS) as answer:
            lines = answer.read(1 << 24).decode("utf-8", "replace").splitlines()
        found: dict[str, int] = {}
        for line in lines:
            name = DRAFTING.get(line.partition("{")[0].partition(" ")[0])
            if name:
                found[name] = found.get(name, 0) + int(float(line.rsplit(" ", 1)[1]))
        return found
    except (OSError, HTTPException, ValueError, IndexError, OverflowError):
        return {}

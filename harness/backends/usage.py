"""Usage of a server: how many answers it gave, how many tokens, and how many of them its drafts gave."""

from __future__ import annotations

import json
import urllib.request
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

DRAFTING = {
    "vllm:spec_decode_num_drafts_total": "n_drafts",
    "vllm:spec_decode_num_draft_tokens_total": "n_drafted",
    "vllm:spec_decode_num_accepted_tokens_total": "n_accepted",
}
"""Counters of vLLM's /metrics, in the Prometheus text form, by the field of `Usage` that they are."""
METRICS_SECONDS = 2.0


@dataclass(slots=True)
class Usage:
    """Counts of one session; those of drafts are the server's own over that time, for all its clients.

    Args:
        n_answers: answers that came, malformed ones included.
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

    def count(self, body: str) -> None:
        """Add an answer."""
        self.n_answers += 1
        try:
            answer = json.loads(body)
        except ValueError:
            answer = None
        given = answer.get("usage") if isinstance(answer, dict) else None
        usage: dict[str, Any] = given if isinstance(given, dict) else {}
        tokens = [token_count(usage.get(name)) for name in ("prompt_tokens", "completion_tokens")]
        self.n_uncounted += not any(tokens)
        self.prompt_tokens += tokens[0]
        self.completion_tokens += tokens[1]


def token_count(value: Any) -> int:
    """A count that a server gives; 0 for what is none."""
    return value if isinstance(value, int) and value > 0 else 0


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
    except (OSError, ValueError, IndexError):
        return {}

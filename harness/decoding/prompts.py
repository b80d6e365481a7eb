"""Cut prompts to a model's context, and turn decoded tokens into completions.

Prompts that do not fit: a completion may need `max_new_tokens`, so a prompt keeps its last
`context_length - max_new_tokens` tokens, but never less than half of the context; what the tokenizer puts before a text stays
in front. A completion that then reaches the end of the context ends with the reason "context". Cut prompts are counted in a
warning and, each on its own, in `Completion.prompt_tokens_cut`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from mtp_eval.harness.decoding.jobs import Decoded
from mtp_eval.harness.errors import InputError
from mtp_eval.tasks.problem import Completion, Request

log = logging.getLogger(__name__)


def fit(prompt: list[int], max_new_tokens: int, context: int, n_prefix: int) -> tuple[list[int], int, int]:
    """The prompt's tokens that are used, the tokens that may follow, and how many tokens were cut.

    Args:
        n_prefix: how many of the first tokens stay in any case.

    Raises:
        InputError: max_new_tokens is below 1.
    """
    if max_new_tokens < 1:
        raise InputError(f"max_new_tokens must be 1 or more, got {max_new_tokens}")
    keep = max(context - max_new_tokens, context // 2, 1)
    n_cut = max(len(prompt) - keep, 0)
    if n_cut:
        n_prefix = min(n_prefix, keep)
        prompt = [*prompt[:n_prefix], *prompt[len(prompt) - keep + n_prefix :]]
    return prompt, min(max_new_tokens, context - len(prompt)), n_cut


def warn_of_cuts(cuts: Sequence[int], context: int, name: str) -> None:
    """Say how many prompts were cut, once for all of them."""
    if n := sum(cut > 0 for cut in cuts):
        log.warning(
            "%d of %d prompts do not fit into the context of %d tokens of %s with room for their completions: only their "
            "last tokens are used (prompt_tokens_cut says how many are missing)",
            n, len(cuts), context, name,
        )  # fmt: skip


def completion(request: Request, decoded: Decoded, n_cut: int) -> Completion:
    """A decoded job as the answer to its request."""
    reason = decoded.reason
    text = decoded.job.stop.text(decoded.tokens, reason)
    if reason == "length" and decoded.job.max_new_tokens < request.max_new_tokens:
        reason = "context"
    return Completion(
        problem_id=request.problem_id,
        sample=request.sample,
        text=text,
        n_tokens=len(decoded.tokens),
        n_forwards=decoded.n_forwards,
        stop_reason=reason,
        n_drafted=tuple(decoded.n_drafted),
        n_accepted=tuple(decoded.n_accepted),
        wall_seconds=decoded.wall_seconds,
        cpu_seconds=decoded.cpu_seconds,
        prompt_tokens=len(decoded.job.prompt),
        prompt_tokens_cut=n_cut,
    )

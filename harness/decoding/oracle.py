"""Compare completions with plain decoding of the same requests, one by one.

Each request is decoded again alone, without drafts, and the texts are compared. Where they part, the plain model (no cache,
no batch) tells how close the two tokens were: a gap within rounding is a near-tie, a large one is an error in the decoder.
Under temperature the same seed is used, and the gap is between the scores that the draw compares (log-probability plus
noise).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch

from mtp_eval.harness.decoding.jobs import Decoded
from mtp_eval.harness.decoding.measures import Divergence, Verification
from mtp_eval.harness.decoding.noise import TARGET, exponential, row_key, streams
from mtp_eval.harness.decoding.sampling import Sampler
from mtp_eval.harness.decoding.settings import DecodingSettings
from mtp_eval.harness.errors import InputError
from mtp_eval.harness.models.tokenizers import Tokenizer
from mtp_eval.harness.models.transformer import MTPModel
from mtp_eval.tasks.problem import Completion, Request

_CANDIDATES = 2048  # best-scoring tokens among which the other completion's token is looked for


class PlainDecoder(Protocol):
    """The part of `NativeBackend` that the comparison needs."""

    model: MTPModel
    tokenizer: Tokenizer

    def decode_plainly(self, request: Request, settings: DecodingSettings) -> Decoded:
        """One request alone, without drafts."""
        ...


def verify_decoding(
    backend: PlainDecoder, requests: Sequence[Request], completions: Sequence[Completion], settings: DecodingSettings
) -> Verification:
    """Decode these requests plainly, one by one, and compare; the completions may come in any order.

    Raises:
        InputError: the settings sample by rejection, whose completions differ from plain ones by design.
    """
    sampler = Sampler.of(settings)
    if settings.acceptance == "rejection" and not sampler.greedy:
        raise InputError(
            "completions sampled with acceptance=rejection are not those of plain decoding (only their distribution is): "
            "verify greedy decoding or acceptance=coupled"
        )
    given = {(c.problem_id, c.sample): c for c in completions}
    n_tokens, divergences = 0, []
    for request in requests:
        completion = given[(request.problem_id, request.sample)]
        n_tokens += completion.n_tokens
        plain = backend.decode_plainly(request, settings)
        reason_text = plain.job.stop.text(plain.tokens, plain.reason)
        if reason_text != completion.text:
            divergences.append(_divergence(backend, request, completion, plain, sampler))
    return Verification(len(requests), n_tokens, tuple(divergences))


def _divergence(
    backend: PlainDecoder, request: Request, completion: Completion, plain: Decoded, sampler: Sampler
) -> Divergence:
    decode = backend.tokenizer.decode
    at = 0
    while at < len(plain.tokens) and completion.text.startswith(decode(plain.tokens[: at + 1])):
        at += 1
    at = min(at, len(plain.tokens) - 1)
    before = plain.tokens[:at]
    scores_V = _scores(backend, list(plain.job.prompt) + before, request, at, sampler)
    found, gap = "", float("nan")
    for token in scores_V.topk(min(_CANDIDATES, scores_V.shape[0])).indices.tolist():
        text = decode([*before, token])
        longer = len(text) > len(decode(before)) and completion.text.startswith(text)
        ends = token in backend.tokenizer.eos_ids and completion.text == decode(before)
        if token != plain.tokens[at] and (longer or ends):
            found, gap = decode([token]), float(scores_V[plain.tokens[at]] - scores_V[token])
            break
    return Divergence(request.problem_id, request.sample, at, decode([plain.tokens[at]]), found, gap)


@torch.inference_mode()
def _scores(backend: PlainDecoder, tokens: list[int], request: Request, place: int, sampler: Sampler) -> torch.Tensor:
    device = backend.model.embed_tokens.weight.device
    logits_11V = backend.model(torch.tensor([tokens], device=device))[0][:, -1:]
    if sampler.greedy:
        return logits_11V[0, 0].float()
    scores_11V = sampler.filtered(logits_11V)
    keys, places = torch.tensor([row_key(request.seed)], device=device), torch.tensor([[place]], device=device)
    ids_V = torch.arange(scores_11V.shape[-1], device=device)
    race_11V = exponential(streams(keys, places, TARGET), ids_V, scores_11V.dtype)
    return (scores_11V - race_11V.log())[0, 0]

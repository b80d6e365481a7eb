"""Log-likelihood of given continuations under the next-token head: for multiple choice and bits per byte.

A pair is encoded as one text where the tokenizer keeps the context's own tokens as a prefix of it, else the two halves are
encoded apart. A pair longer than the context keeps its last tokens. Shapes: N tokens, D model width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from mtp_eval.harness.decoding.measures import LogLikelihood
from mtp_eval.harness.decoding.network import Network
from mtp_eval.harness.errors import InputError
from mtp_eval.harness.models.tokenizers import Tokenizer

_LOGITS_AT_ONCE = 4_000_000  # entries of a logits matrix
_TOKENS_AT_ONCE = 8192


def split(tokenizer: Tokenizer, context: str, continuation: str) -> tuple[list[int], list[int]]:
    """Tokens of the context, with the mark that begins a document, and of the continuation."""
    before, whole = tokenizer.encode(context), tokenizer.encode(context + continuation)
    after = whole[len(before) :] if whole[: len(before)] == before else tokenizer.encode(continuation)
    return [tokenizer.bos_id, *before], after


@torch.inference_mode()
def score(network: Network, tokenizer: Tokenizer, pairs: Sequence[tuple[str, str]]) -> list[LogLikelihood]:
    """The log-likelihood of every pair, in order.

    Raises:
        InputError: a continuation alone is longer than the model's context.
    """
    context_length = network.config.context_length
    items = []
    for context, continuation in pairs:
        before, after = split(tokenizer, context, continuation)
        if len(after) > context_length:
            raise InputError(
                f"a continuation of {len(after)} tokens does not fit into the model's context of {context_length} tokens"
            )
        n_cut = max(len(before) + len(after) - 1 - context_length, 0)
        items.append((before[n_cut:], after, n_cut))
    results: dict[int, LogLikelihood] = {}
    order = sorted(range(len(items)), key=lambda i: len(items[i][0]) + len(items[i][1]))
    while order:
        group = [order.pop()]
        width = sum(map(len, items[group[0]][:2]))
        while order and (len(group) + 1) * width <= _TOKENS_AT_ONCE:
            group.append(order.pop())
        for i, (nats, greedy) in zip(group, _score_group(network, [items[i][:2] for i in group]), strict=True):
            n_bytes = len(pairs[i][1].encode("utf-8", "surrogateescape"))
            results[i] = LogLikelihood(nats, len(items[i][1]), n_bytes, greedy, items[i][2])
    return [results[i] for i in range(len(items))]


def _score_group(network: Network, items: Sequence[tuple[list[int], list[int]]]) -> list[tuple[float, bool]]:
    inputs = [(before + after)[:-1] if after else before[:1] for before, after in items]
    width = max(map(len, inputs))
    hidden_ND = network.hidden([[*tokens, *[0] * (width - len(tokens))] for tokens in inputs])
    where, targets, owners = [], [], []
    for b, (before, after) in enumerate(items):
        where += [b * width + len(before) - 1 + i for i in range(len(after))]
        targets += after
        owners += [b] * len(after)
    nats, greedy = [0.0] * len(items), [True] * len(items)
    step = max(1, _LOGITS_AT_ONCE // network.config.vocab_size)
    for at in range(0, len(where), step):
        logits_NV = network.packed.unembed(hidden_ND[torch.tensor(where[at : at + step], device=network.device)])
        logits_NV = logits_NV.to(torch.promote_types(logits_NV.dtype, torch.float32))
        target_N = torch.tensor(targets[at : at + step], device=network.device)
        chosen_N = logits_NV.log_softmax(dim=-1).gather(1, target_N[:, None])[:, 0]
        right_N = logits_NV.argmax(dim=-1) == target_N
        for b, value, right in zip(owners[at : at + step], chosen_N.tolist(), right_N.tolist(), strict=True):
            nats[b] += value
            greedy[b] &= right
    return list(zip(nats, greedy, strict=True))

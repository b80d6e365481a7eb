"""Log-likelihood of given continuations under the next-token head: for multiple choice and bits per byte.

A pair is encoded as lm-eval encodes it, so that figures can be compared: white space at the end of the context belongs to the
continuation; both are encoded as one text, of which the tokens beyond the context's own are the continuation's. What the
tokenizer puts before every text stands before the context, and the begin mark where there would be nothing. A pair longer than
the model's context keeps its last tokens.

Shapes: N tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mtp_eval.harness.decoding.measures import LogLikelihood
from mtp_eval.harness.errors import InputError

TargetLogits = Callable[[list[list[int]], list[tuple[int, int]]], Iterator[Tensor]]
"""From token rows of different lengths and (row, position) pairs: the logits `(N, V)` there, in order, in parts."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """The encoding of a model's tokenizer.

    Args:
        encode: text to ids, without what the tokenizer adds.
        prefix_ids: what it puts before every text.
        bos_id: the begin mark.
    """

    encode: Callable[[str], list[int]]
    prefix_ids: tuple[int, ...]
    bos_id: int

    def split(self, context: str, continuation: str) -> tuple[list[int], list[int]]:
        """Tokens of the context, at least one, and of the continuation."""
        kept = context.rstrip() if continuation else context
        if kept:
            before, whole = self.encode(kept), self.encode(context + continuation)
            after = whole[len(before) :]
        else:
            before, after = [], self.encode(context + continuation)
        return [*self.prefix_ids, *before] or [self.bos_id], after


@torch.inference_mode()
def score(
    logits: TargetLogits,
    encoding: Encoding,
    pairs: Sequence[tuple[str, str]],
    *,
    context_length: int,
    tokens_at_once: int,
) -> list[LogLikelihood]:
    """The log-likelihood of every pair, in order.

    Raises:
        InputError: a continuation alone is longer than the model's context.
    """
    items = []
    for context, continuation in pairs:
        before, after = encoding.split(context, continuation)
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
        while order and (len(group) + 1) * width <= tokens_at_once:
            group.append(order.pop())
        for i, (nats, greedy) in zip(group, _score_group(logits, [items[i][:2] for i in group]), strict=True):
            n_bytes = len(pairs[i][1].encode("utf-8", "surrogateescape"))
            results[i] = LogLikelihood(nats, len(items[i][1]), n_bytes, greedy, items[i][2])
    return [results[i] for i in range(len(items))]


def _score_group(logits: TargetLogits, items: Sequence[tuple[list[int], list[int]]]) -> list[tuple[float, bool]]:
    rows = [(before + after)[:-1] if after else before[:1] for before, after in items]
    where = [(b, len(before) - 1 + i) for b, (before, after) in enumerate(items) for i in range(len(after))]
    targets = [token for _, after in items for token in after]
    nats, greedy, at = [0.0] * len(items), [True] * len(items), 0
    for logits_NV in logits(rows, where) if where else ():
        n = len(logits_NV)
        logits_NV = logits_NV.to(torch.promote_types(logits_NV.dtype, torch.float32))
        target_N = torch.tensor(targets[at : at + n], device=logits_NV.device)
        chosen_N = logits_NV.log_softmax(dim=-1).gather(1, target_N[:, None])[:, 0]
        right_N = logits_NV.argmax(dim=-1) == target_N
        for (b, _), value, right in zip(where[at : at + n], chosen_N.tolist(), right_N.tolist(), strict=True):
            nats[b] += value
            greedy[b] &= right
        at += n
    return list(zip(nats, greedy, strict=True))

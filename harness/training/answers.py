"""Share of held-out answers that head 1 gets wholly right: what greedy decoding would score on them, without decoding.

Where every target of an answer, its end included, is the likeliest token after the true ones before it, greedy decoding writes
that answer, and only then. So one forward pass a batch gives the score of exact match during training.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mtp_eval.harness.models.transformer import MTPModel
from mtp_eval.harness.training.corpus import Split, Window
from mtp_eval.harness.training.step import Stepper
from mtp_eval.harness.training.targets import IGNORED


def answer_windows(split: Split, *, length: int, n_future: int, most: int) -> list[Window]:
    """Whole documents with a prompt, evenly chosen among those that fit into `length` tokens, one a window."""
    if split.targets_from is None or not len(split.ends):
        return []
    starts, ends = np.concatenate([[0], split.ends[:-1]]), np.asarray(split.ends)
    fitting = np.flatnonzero((ends - starts <= length + 1) & (split.targets_from < ends))
    chosen = np.unique(np.linspace(0, len(fitting) - 1, num=min(most, len(fitting))).astype(int))
    return [_alone(split, int(starts[d]), int(ends[d]), length + n_future) for d in fitting[chosen]]


def _alone(split: Split, start: int, end: int, length: int) -> Window:
    """One document in a window of its own, padded."""
    window = split.read(start, length)
    inside = np.arange(start, start + length) < end
    return Window(np.where(inside, window.tokens, 0), np.where(inside, window.documents, -1), window.learnt)


@torch.no_grad()
def answers_right(stepper: Stepper, batches: Sequence[Window]) -> float:
    """The share of the windows whose targets are all the likeliest token of head 1; NaN without windows."""
    right = total = 0
    for batch in batches:
        tokens_BS, targets_NBT = stepper.tensors(batch)
        with stepper.runtime.autocast():
            guesses_BT = next_token_logits(stepper.model, tokens_BS[:, : targets_NBT.shape[2]]).argmax(dim=-1)
        hits_BT = (guesses_BT == targets_NBT[0]) | (targets_NBT[0] == IGNORED)
        right += int(hits_BT.all(dim=1).sum())
        total += len(batch.tokens)
    return right / total if total else math.nan


def next_token_logits(model: MTPModel, tokens_BT: Tensor) -> Tensor:
    """Logits `(B, T, V)` of head 1 alone."""
    rotary = model.rotary(torch.arange(tokens_BT.shape[1], device=tokens_BT.device)[None])
    hidden_BTD = model.trunk_forward(tokens_BT, rotary)
    for i in model.config.head_path(1):
        hidden_BTD = model.head_forward(i, hidden_BTD, rotary, tokens_BT)
    return model.unembed(hidden_BTD)

"""Scores on held-out text, per head: loss, bits per byte (which tokenizers do not change), accuracy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from mtp_eval.harness.models.tokenizers import Tokenizer
from mtp_eval.harness.training.answers import answers_right
from mtp_eval.harness.training.corpus import Window
from mtp_eval.harness.training.loss import evaluate
from mtp_eval.harness.training.step import Stepper


@dataclass(frozen=True, slots=True)
class Validation:
    """Scores per head on held-out text: nats per target, bits per byte, share of targets that were the most likely token.

    NaN for a head without targets: no held-out document is as long as it looks ahead.
    """

    losses: tuple[float, ...]
    bits_per_byte: tuple[float, ...]
    accuracies: tuple[float, ...]
    answers_right: float = math.nan
    """Share of held-out answers that head 1 gets wholly right; NaN where prompts are learnt too, so that nothing is an answer."""

    def as_dict(self) -> dict[str, Any]:
        """The scores as JSON, for training.json; NaN is null."""
        per_head = (("losses", self.losses), ("bits_per_byte", self.bits_per_byte), ("accuracies", self.accuracies))
        return {name: [number(v) for v in values] for name, values in per_head} | {
            "answers_right": number(self.answers_right)
        }


class Validator:
    """The held-out windows of one run, the same ones each time."""

    def __init__(
        self, windows: Sequence[Window], tokenizer: Tokenizer, stepper: Stepper, answers: Sequence[Window] = ()
    ):
        self.stepper, size = stepper, stepper.micro
        self.batches = [Window.stack(windows[i : i + size]) for i in range(0, len(windows), size)]
        self.answers = [Window.stack(answers[i : i + size]) for i in range(0, len(answers), size)]
        self.token_bytes = np.array([tokenizer.n_bytes([i]) for i in range(tokenizer.vocab_size)], dtype=np.int64)

    def scores(self) -> Validation | None:
        """Score all windows, shared among processes; None when nothing is held out that head 1 could predict.

        Bits per byte of head i: the bits of all its targets, end marks included, over the bytes these targets stand
        for.
        """
        if not self.batches:
            return None
        stepper = self.stepper
        processes, runtime, shares = stepper.processes, stepper.runtime, not stepper.parallel.scores_all_windows
        totals = torch.zeros(4, stepper.model.config.n_future, dtype=torch.float64, device=runtime.device)
        bytes_V = torch.from_numpy(self.token_bytes).to(runtime.device)
        for number, batch in enumerate(self.batches):
            if shares and number % processes.world_size != processes.rank:
                continue
            tokens_BS, targets_NBT = stepper.tensors(batch)
            sums = evaluate(
                stepper.model, tokens_BS, targets_NBT, chunk_tokens=runtime.chunk_tokens, autocast=runtime.autocast
            )
            spans_N = (bytes_V[targets_NBT.clamp(min=0)] * (targets_NBT >= 0)).sum(dim=(1, 2))
            totals += torch.stack([sums.nats, sums.hits, sums.targets, spans_N.double()])
        stepper.parallel.settle(stepper.model)
        if shares:
            processes.sum(totals)
        nats, hits, targets, spans = (row.tolist() for row in totals)
        if not targets[0]:
            return None
        return Validation(
            losses=ratios(nats, targets),
            bits_per_byte=ratios([n / math.log(2) for n in nats], spans),
            accuracies=ratios(hits, targets),
            answers_right=answers_right(stepper, self.answers),
        )


def ratios(sums: Sequence[float], counts: Sequence[float]) -> tuple[float, ...]:
    """Means; NaN where nothing was counted."""
    return tuple(a / b if b else math.nan for a, b in zip(sums, counts, strict=True))


def number(value: float) -> float | None:
    """The value for JSON, which has no NaN."""
    return None if math.isnan(value) else value

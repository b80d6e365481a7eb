"""Teacher forcing: which tokens of right answers a trained model's head 1 finds likeliest, each after the true ones before it.

Shapes: B pairs, T positions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from mtp_eval.harness.models.checkpoint import load_checkpoint
from mtp_eval.harness.models.tokenizers import prompt_ids
from mtp_eval.harness.training.answers import next_token_logits

BATCH_PAIRS = 64


@dataclass(frozen=True)
class ForcedAnswer:
    """One answer.

    Args:
        ids: of its tokens, as many as were asked for and fit into the context.
        guesses: the likeliest token after the prompt and the true tokens before each.
        written: the tokens of another text for the same prompt, such as what the model wrote on its own; as many as there are.
    """

    ids: tuple[int, ...]
    guesses: tuple[int, ...]
    written: tuple[int, ...]


def forced_answers(folder: Path, asked: Sequence[tuple[str, str, str]], most: int) -> Iterator[ForcedAnswer]:
    """Yield an answer for each prompt, true answer and other text.

    Args:
        most: tokens of an answer that are looked at, from its beginning.

    Raises:
        InputError: there is no such checkpoint.
    """
    checkpoint = load_checkpoint(folder)
    tokenizer, context = checkpoint.tokenizer, checkpoint.config.context_length
    rows = []
    for prompt, answer, other in asked:
        before = prompt_ids(tokenizer, prompt)
        ids = tokenizer.encode(answer)[: min(most, max(0, context + 1 - len(before)))]
        rows.append((before, ids, tokenizer.encode(other)[: len(ids)]))
    for start in range(0, len(rows), BATCH_PAIRS):
        batch = rows[start : start + BATCH_PAIRS]
        length = max(len(before) + len(ids) for before, ids, _ in batch)
        tokens = np.zeros((len(batch), length), dtype=np.int64)
        for number, (before, ids, _) in enumerate(batch):
            tokens[number, : len(before) + len(ids)] = [*before, *ids]
        with torch.no_grad():
            guesses_BT = next_token_logits(checkpoint.model, torch.from_numpy(tokens)).argmax(dim=-1)
        for row_T, (before, ids, other_ids) in zip(guesses_BT.tolist(), batch, strict=True):
            first = len(before) - 1
            yield ForcedAnswer(tuple(ids), tuple(row_T[first : first + len(ids)]), tuple(other_ids))

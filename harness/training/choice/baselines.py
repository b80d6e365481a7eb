"""Losses that need no model: of a token by its frequency, and by the frequency with which it follows another one i places on.

Shapes: N heads, K groups of held-out windows, B rows, T positions.
"""

from __future__ import annotations

import numpy as np

from mtp_eval.harness.training.choice.trial import Trial
from mtp_eval.harness.training.corpus import Array, Window
from mtp_eval.harness.training.targets import IGNORED

PRIORS = (0.3, 3.0, 30.0, 300.0)
"""How many tokens' worth the frequency of a token counts for beside those seen after another token; the best one is taken."""


def baseline_nats(trial: Trial) -> tuple[Array, Array]:
    """Mean nats of the targets of each head on each group of held-out windows, `(K, N)` each: by frequency, and by pairs.

    Counted on the text that the trial has been trained on. The pair of head i is of the last token that the model has read and the
    token i places on.
    """
    seen = [_pairs(trial, trial.batches.batch(step)) for step in range(trial.step)]
    wanted = [_pairs(trial, window) for window in trial.held_out]
    alone, paired = np.full((2, len(wanted), trial.n_future), np.nan)
    n_tokens = trial.stepper.model.config.vocab_size
    for i in range(trial.n_future):
        counts = _Counts(np.concatenate([pairs[i] for pairs in seen]), n_tokens)
        for k, pairs in enumerate(wanted):
            if len(pairs[i]):
                alone[k, i] = -np.log(counts.alone(pairs[i][:, 1])).mean()
        found = [
            [-np.log(counts.after(pairs[i], prior)).mean() if len(pairs[i]) else np.nan for pairs in wanted]
            for prior in PRIORS
        ]
        paired[:, i] = min(found, key=lambda of_groups: float(np.nansum(of_groups)))
    return alone, paired


def _pairs(trial: Trial, window: Window) -> list[Array]:
    """For each head the pairs `(targets, 2)` of the last token read and the target."""
    tokens_BS, targets_NBT = (tensor.cpu().numpy() for tensor in trial.tensors(window))
    last_BT = tokens_BS[:, : targets_NBT.shape[2]]
    return [np.stack([last_BT[t != IGNORED], t[t != IGNORED]], axis=1) for t in targets_NBT]


class _Counts:
    """Frequencies of tokens and of pairs.

    Args:
        pairs: `(targets, 2)`.
    """

    def __init__(self, pairs: Array, n_tokens: int):
        self.n_tokens = n_tokens
        self.of_token = np.bincount(pairs[:, 1], minlength=n_tokens) + 1.0  # none is impossible
        self.of_last = np.bincount(pairs[:, 0], minlength=n_tokens)
        self.codes, self.of_pair = np.unique(pairs[:, 0] * n_tokens + pairs[:, 1], return_counts=True)

    def alone(self, targets: Array) -> Array:
        """Probabilities by frequency."""
        found: Array = self.of_token[targets] / self.of_token.sum()
        return found

    def after(self, pairs: Array, prior: float) -> Array:
        """Probabilities after the other token of the pair."""
        code = pairs[:, 0] * self.n_tokens + pairs[:, 1]
        place = np.minimum(np.searchsorted(self.codes, code), max(len(self.codes) - 1, 0))
        seen = np.where(self.codes[place] == code, self.of_pair[place], 0) if len(self.codes) else np.zeros(len(code))
        found: Array = (seen + prior * self.alone(pairs[:, 1])) / (self.of_last[pairs[:, 0]] + prior)
        return found

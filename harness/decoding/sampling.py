"""From logits to tokens: greedy, temperature, top-k and top-p, with noise that belongs to the token, not to the step.

Sampling is a race: token v wins with probability p[v] when it has the smallest exponential draw divided by p[v]. The
draws come from (row's seed, token's index in the completion), so the sampled token is a function of the logits, the
seed and the index: sampling is as repeatable as greedy decoding, whatever the batch, and whether or not the token was
drafted.

Shapes: B batch rows, T tokens, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mtp_eval.harness.decoding import noise
from mtp_eval.harness.decoding.settings import DecodingSettings


@dataclass(frozen=True, slots=True)
class Sampler:
    """How a token is chosen. Filters apply in the usual order: temperature, then top-k, then top-p.

    Args:
        temperature: 0 takes the most likely token.
        top_p: keep the smallest set of most likely tokens whose mass reaches this; 1 keeps all.
        top_k: keep this many most likely tokens; 0 keeps all.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0

    @classmethod
    def of(cls, settings: DecodingSettings) -> Sampler:
        """The sampler that decoding settings ask for."""
        return cls(settings.temperature, settings.top_p, settings.top_k)

    @property
    def greedy(self) -> bool:
        """Whether no randomness is involved."""
        return self.temperature == 0

    def filtered(self, logits_BTV: Tensor) -> Tensor:
        """Log-weights of the distribution that is sampled from; minus infinity where a token is excluded."""
        wide = torch.promote_types(logits_BTV.dtype, torch.float32)
        scores_BTV = logits_BTV.to(wide) / self.temperature
        if 0 < self.top_k < scores_BTV.shape[-1]:
            least_BT1 = scores_BTV.topk(self.top_k, dim=-1).values[..., -1:]
            scores_BTV = scores_BTV.masked_fill(scores_BTV < least_BT1, -torch.inf)
        if self.top_p < 1:
            ordered_BTV, order_BTV = scores_BTV.sort(dim=-1, descending=True, stable=True)
            mass_BTV = ordered_BTV.softmax(dim=-1)
            outside_BTV = mass_BTV.cumsum(dim=-1) - mass_BTV >= self.top_p  # the mass before a token has reached p
            outside_BTV[..., 0] = False
            outside_BTV = torch.zeros_like(outside_BTV).scatter_(-1, order_BTV, outside_BTV)
            scores_BTV = scores_BTV.masked_fill(outside_BTV, -torch.inf)
        return scores_BTV

    def pick(self, logits_BTV: Tensor, keys_B: Tensor, indices_BT: Tensor) -> Tensor:
        """Tokens `(B, T)`. `indices_BT` are the tokens' places in the completion, from 0."""
        if self.greedy:
            return logits_BTV.argmax(dim=-1)
        return noise.race(self.filtered(logits_BTV), keys_B, indices_BT, noise.TARGET)

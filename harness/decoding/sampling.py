"""From logits to tokens: greedy, temperature, top-k and top-p, with noise that belongs to the token, not to the step.

Sampling is a race: token v wins with probability p[v] when it has the smallest exponential draw divided by p[v]. The
draws come from (row's seed, token's index in the completion), so the sampled token is a function of the logits, the
seed and the index: sampling is as repeatable as greedy decoding, whatever the batch, and whether or not the token was
drafted.

Filters leave few tokens with any weight; on a CPU only these are looked at (`candidates`), with the same result.

Shapes: B batch rows, T tokens, N = B·T, V vocabulary, C candidates.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mtp_eval.harness.decoding import noise
from mtp_eval.harness.decoding.candidates import Candidates, Distribution
from mtp_eval.harness.decoding.settings import DecodingSettings

_BLOCK = 64  # scores, in the search for the largest


@dataclass(frozen=True, slots=True)
class Sampler:
    """The choice of a token from logits. Filters apply in the usual order: temperature, then top-k, then top-p.

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

    def distribution(self, logits_NV: Tensor) -> Distribution:
        """The distribution that is sampled from, `filtered`, kept as the few candidates that have weight where that can be told cheaply."""
        wide = torch.promote_types(logits_NV.dtype, torch.float32)
        scores_NV = logits_NV.to(wide) / self.temperature
        if self.top_p == 1 and not 0 < self.top_k < scores_NV.shape[-1]:
            return Distribution.of_all(scores_NV)
        return Distribution.of_few(scores_NV, self._candidates, self._cut)

    def filtered(self, logits: Tensor) -> Tensor:
        """Log-weights `(…, V)` of the distribution that is sampled from; minus infinity where a token is excluded."""
        wide = torch.promote_types(logits.dtype, torch.float32)
        return self._cut(logits.to(wide) / self.temperature)

    def _cut(self, scores: Tensor) -> Tensor:
        if 0 < self.top_k < scores.shape[-1]:
            least = scores.topk(self.top_k, dim=-1).values[..., -1:]
            scores = scores.masked_fill(scores < least, -torch.inf)
        if self.top_p < 1:
            ordered, order = scores.sort(dim=-1, descending=True, stable=True)
            outside = torch.zeros_like(order, dtype=torch.bool).scatter_(
                -1, order, self._outside(ordered.softmax(dim=-1))
            )
            scores = scores.masked_fill(outside, -torch.inf)
        return scores

    def _outside(self, mass: Tensor) -> Tensor:
        """Which tokens lie outside the nucleus, given the masses in falling order: those before which it is reached."""
        outside = mass.cumsum(dim=-1) - mass >= self.top_p
        outside[..., 0] = False
        return outside

    def _candidates(self, scores_NV: Tensor, n: int) -> Candidates:
        """The n largest scores, cut as `_cut` cuts all of them, and for which rows that is all there is to know."""
        scores_NC, ids_NC = _largest(scores_NV, n)
        least_N = scores_NC[:, -1]
        if self.top_k >= n:
            return Candidates(ids_NC, scores_NC, torch.zeros_like(least_N, dtype=torch.bool))
        if self.top_k:
            cut_N1 = scores_NC[:, self.top_k - 1 : self.top_k]
            is_whole_N = least_N < cut_N1[:, 0]  # else ties of the last one may be beyond the candidates
            scores_NC = scores_NC.masked_fill(scores_NC < cut_N1, -torch.inf)
            if self.top_p < 1:
                scores_NC = scores_NC.masked_fill(self._outside(scores_NC.softmax(dim=-1)), -torch.inf)
        else:
            outside_NC = self._outside(scores_NV.softmax(dim=-1).gather(1, ids_NC))
            last_N = scores_NC.masked_fill(outside_NC, torch.inf).amin(dim=-1)
            is_whole_N = outside_NC[:, -1] & (last_N > least_N)  # else equal scores may be beyond the candidates
            scores_NC = scores_NC.masked_fill(outside_NC, -torch.inf)
        return Candidates(ids_NC, scores_NC, is_whole_N)

    def pick(self, logits_BTV: Tensor, keys_B: Tensor, indices_BT: Tensor) -> Tensor:
        """Tokens `(B, T)`. `indices_BT` are the tokens' places in the completion, from 0."""
        if self.greedy:
            return logits_BTV.argmax(dim=-1)
        stream_BT = noise.streams(keys_B, indices_BT, noise.TARGET)
        return self.distribution(logits_BTV.flatten(0, 1)).draw(stream_BT.flatten()).view(stream_BT.shape)


def _largest(scores_NV: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """The n largest scores with their ids in falling order, equal ones by id, as a stable sort has them."""
    scores_NC, ids_NC = _topk(scores_NV, n)
    if bool((scores_NC[:, 1:] == scores_NC[:, :-1]).any()):
        ids_NC = ids_NC.sort(dim=-1).values
        scores_NC, order_NC = scores_NV.gather(1, ids_NC).sort(dim=-1, descending=True, stable=True)
        ids_NC = ids_NC.gather(1, order_NC)
    return scores_NC, ids_NC


def _topk(scores_NV: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """As `torch.topk`, which on a CPU is faster on the n blocks with the largest maxima than on everything."""
    V = scores_NV.shape[1]
    if 2 * n * _BLOCK > V:
        return scores_NV.topk(n, dim=-1)
    blocks_NKb = F.pad(scores_NV, (0, -V % _BLOCK), value=-torch.inf).view(len(scores_NV), -1, _BLOCK)
    chosen_Nn = blocks_NKb.amax(dim=-1).topk(n, dim=-1, sorted=False).indices
    parts_NM = blocks_NKb.gather(1, chosen_Nn[..., None].expand(-1, -1, _BLOCK)).flatten(1)
    scores_NC, places_NC = parts_NM.topk(n, dim=-1)
    return scores_NC, chosen_Nn.gather(1, places_NC // _BLOCK) * _BLOCK + places_NC % _BLOCK

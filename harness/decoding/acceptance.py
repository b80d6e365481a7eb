"""Acceptance of drafts: which are kept, and which token follows them.

Two rules, both of which give completions with head 1's distribution exactly:

- `coupled` (the default, and the only rule that greedy decoding needs): head 1's choice at every place is worked out with
  the place's own noise, as plain decoding would; a draft is kept while it is that choice. Drafts are drawn with the same
  noise, so that similar distributions mostly agree. The completion is the one plain decoding gives for the same seed,
  whatever the number of drafts (the coupling is that of Gumbel races, arXiv 2408.07978).
- `rejection` (arXiv 2211.17192): a draft d is kept with probability min(1, p(d)/q(d)); the first one that is not is replaced
  by a draw from max(0, p − q), rescaled. It keeps the most drafts that any rule can, but another number of drafts gives
  another completion of the same distribution.

Shapes: B rows, T block, J = T − 1 drafts, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mtp_eval.harness.decoding import noise
from mtp_eval.harness.decoding.candidates import Distribution
from mtp_eval.harness.decoding.sampling import Sampler


@dataclass(frozen=True, slots=True)
class Drafts:
    """Drafted tokens `(B, J)` and, for the rejection rule, what they were drawn from: `(B, J, V)`."""

    tokens_BJ: Tensor
    q_BJV: Tensor | None


class Coupled:
    """Keep the drafts that are what plain decoding would have chosen."""

    same_as_plain = True
    """Whether a completion is the one that plain decoding gives for the same seed."""

    def __init__(self, sampler: Sampler):
        self.sampler = sampler

    def draft(self, logits_BJV: Tensor, keys_B: Tensor, places_BJ: Tensor) -> Drafts:
        """Draw drafts for these places."""
        return Drafts(self.sampler.pick(logits_BJV, keys_B, places_BJ), None)

    def verify(self, drafts: Drafts, logits_BTV: Tensor, keys_B: Tensor, places_BT: Tensor) -> tuple[Tensor, Tensor]:
        """The tokens of a block `(B, T)` and how many of its drafts were kept `(B,)`; tokens after the next one are void."""
        chosen_BT = self.sampler.pick(logits_BTV, keys_B, places_BT)
        kept_B = (drafts.tokens_BJ == chosen_BT[:, :-1]).long().cumprod(dim=1).sum(dim=1)
        return chosen_BT, kept_B


class Rejection:
    """Keep a draft with probability min(1, p/q); sampling only."""

    same_as_plain = False

    def __init__(self, sampler: Sampler):
        self.sampler = sampler

    def draft(self, logits_BJV: Tensor, keys_B: Tensor, places_BJ: Tensor) -> Drafts:
        """Draw drafts for these places."""
        stream_BJ = noise.streams(keys_B, places_BJ, noise.DRAFT)
        found = self.sampler.distribution(logits_BJV.flatten(0, 1))
        tokens_BJ = found.draw(stream_BJ.flatten()).view(stream_BJ.shape)
        return Drafts(tokens_BJ, found.probabilities().view(logits_BJV.shape))

    def verify(self, drafts: Drafts, logits_BTV: Tensor, keys_B: Tensor, places_BT: Tensor) -> tuple[Tensor, Tensor]:
        """The tokens of a block `(B, T)` and how many of its drafts were kept `(B,)`, as `Coupled.verify`."""
        J, found = drafts.tokens_BJ.shape[1], self.sampler.distribution(logits_BTV.flatten(0, 1))
        stream_BT = noise.streams(keys_B, places_BT, noise.TARGET)
        if J == 0:
            return found.draw(stream_BT.flatten()).view(stream_BT.shape), torch.zeros_like(keys_B)
        assert drafts.q_BJV is not None
        p_BTV = found.probabilities().view(logits_BTV.shape)
        drafted_BJ1 = drafts.tokens_BJ[..., None]
        p_BJ, q_BJ = (x.gather(2, drafted_BJ1)[..., 0] for x in (p_BTV[:, :J], drafts.q_BJV))
        u_BJ = noise.uniform(noise.streams(keys_B, places_BT[:, :J], noise.ACCEPT), p_BJ.dtype)
        kept_B = (u_BJ * q_BJ < p_BJ).long().cumprod(dim=1).sum(dim=1)
        rows_B = torch.arange(kept_B.shape[0], device=kept_B.device)
        p_BV = p_BTV[rows_B, kept_B]
        q_BV = drafts.q_BJV[rows_B, kept_B.clamp(max=J - 1)] * (kept_B < J)[:, None]
        rest_BV = (p_BV - q_BV).clamp_(min=0)
        # p = q up to rounding leaves nothing over; such a draft is refused by rounding only, and p itself stands in.
        rest_BV = torch.where(rest_BV.sum(dim=-1, keepdim=True) > 0, rest_BV, p_BV)
        stream_B = stream_BT.gather(1, kept_B[:, None])[:, 0]
        next_B1 = Distribution.of_weights(rest_BV.log()).draw(stream_B)[:, None]
        tokens_BT = torch.cat([drafts.tokens_BJ, next_B1], dim=1).scatter(1, kept_B[:, None], next_B1)
        return tokens_BT, kept_B


Rule = Coupled | Rejection

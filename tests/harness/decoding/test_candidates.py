"""Sampling from candidates gives the tokens that sorting the whole vocabulary gives, whatever the distribution."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mtp_eval.harness.decoding import noise
from mtp_eval.harness.decoding.acceptance import Coupled, Rejection
from mtp_eval.harness.decoding.candidates import COUNTS
from mtp_eval.harness.decoding.sampling import Sampler

V, N = 2048, 250  # candidates are 64 and 256 of the vocabulary here, and 2,048 of a real one
SAMPLERS = [
    Sampler(0.8, 0.95),
    Sampler(0.8, 0.5),
    Sampler(1.0, 0.999),
    Sampler(1.3, 1.0, 40),
    Sampler(0.7, 0.9, 50),
    Sampler(1.0, 1.0, 64),
    Sampler(2.0, 0.99, 300),
    Sampler(0.8, 1.0),
]


def logits_of(kind: str, n: int, v: int, seed: int = 0) -> Tensor:
    """Distributions that models give, and some that are made to hurt."""
    rng = torch.Generator().manual_seed(seed)
    spread = torch.randn(n, v, generator=rng)
    match kind:
        case "peaked":
            return spread * 4
        case "flat":
            return spread * 0.01
        case "mixed":  # each row has its own temperature
            return spread * torch.logspace(-2, 1.5, n)[:, None]
        case "ties":
            return (spread * 2).round()
        case "equal":
            return torch.zeros(n, v)
        case "two levels":  # the nucleus ends among equal scores, inside or beyond the candidates
            return torch.where(torch.rand(n, v, generator=rng) < torch.linspace(0.001, 0.5, n)[:, None], 3.0, -3.0)
        case "excluded":
            return spread.masked_fill(torch.rand(n, v, generator=rng) < 0.98, -torch.inf)
        case "one":
            return torch.full((n, v), -torch.inf).scatter_(1, torch.randint(v, (n, 1), generator=rng), 1.0)
        case "bf16":
            return (spread * 3).bfloat16()
        case _:  # the tail of Zipf's law
            rank = torch.rand(n, v, generator=rng).argsort(dim=-1) + 1
            return -1.1 * rank.log()


KINDS = ["peaked", "flat", "mixed", "ties", "equal", "two levels", "excluded", "one", "bf16", "zipf"]


def sorted_and_raced(sampler: Sampler, logits_NV: Tensor, stream_N: Tensor) -> Tensor:
    """The slow way: filters by sorting everything, noise for every token."""
    scores = logits_NV.to(torch.promote_types(logits_NV.dtype, torch.float32)) / sampler.temperature
    if 0 < sampler.top_k < scores.shape[1]:
        scores = scores.masked_fill(scores < scores.topk(sampler.top_k).values[:, -1:], -torch.inf)
    if sampler.top_p < 1:
        ordered, order = scores.sort(dim=-1, descending=True, stable=True)
        mass = ordered.softmax(dim=-1)
        outside = mass.cumsum(dim=-1) - mass >= sampler.top_p
        outside[:, 0] = False
        scores = scores.masked_fill(torch.zeros_like(outside).scatter(1, order, outside), -torch.inf)
    draws = noise.exponential(stream_N, torch.arange(scores.shape[1]), scores.dtype)
    return (scores - draws.log()).argmax(dim=-1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_the_same_tokens_as_by_sorting(kind: str) -> None:
    """2,000 positions a kind, 20,000 in all."""
    for number, sampler in enumerate(SAMPLERS):
        logits_NV = logits_of(kind, N, V, seed=number)
        keys_B = torch.arange(N) * 7919 + number
        places_B1 = torch.arange(N)[:, None] % 300
        expected = sorted_and_raced(sampler, logits_NV, noise.streams(keys_B, places_B1, noise.TARGET)[:, 0])
        found = sampler.pick(logits_NV[:, None], keys_B, places_B1)[:, 0]
        assert torch.equal(found, expected), (kind, sampler)


def test_the_same_tokens_with_a_real_vocabulary() -> None:
    sampler, keys_B = SAMPLERS[0], torch.arange(8)
    for kind in ("peaked", "mixed", "zipf"):
        logits_NV = logits_of(kind, 8 * 5, 32_768)
        places_BT = torch.arange(5).expand(8, 5)
        expected = sorted_and_raced(sampler, logits_NV, noise.streams(keys_B, places_BT, noise.TARGET).flatten())
        assert torch.equal(sampler.pick(logits_NV.view(8, 5, -1), keys_B, places_BT).flatten(), expected)


def test_wide_nuclei_are_counted_and_narrow_ones_are_cheap() -> None:
    COUNTS.clear()
    for kind, counted in [("flat", {"whole": N}), ("one", {"few": N}), ("peaked", {"few": N})]:
        Sampler(0.5, 0.9).pick(logits_of(kind, N, V)[:, None], torch.arange(N), torch.zeros(N, 1, dtype=torch.long))
        assert {key: n for key, n in COUNTS.items() if n} == counted
        COUNTS.clear()


@pytest.mark.parametrize("kind", KINDS)
def test_rejection_has_the_probabilities_of_the_whole_vocabulary(kind: str) -> None:
    for number, sampler in enumerate(SAMPLERS[:5]):
        logits_NV = logits_of(kind, 60, V, seed=number)
        expected = sampler.filtered(logits_NV).softmax(dim=-1)
        torch.testing.assert_close(sampler.distribution(logits_NV).probabilities(), expected, rtol=1e-5, atol=1e-12)


def test_rejection_keeps_what_it_would_without_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    from mtp_eval.harness.decoding import candidates

    keys_B, places_BT = torch.arange(40), torch.arange(4).expand(40, 4)
    p_BTV, q_BJV = logits_of("mixed", 160, V).view(40, 4, V), logits_of("mixed", 120, V, seed=1).view(40, 3, V)
    q_BJV = 0.8 * p_BTV[:, :3] + 0.2 * q_BJV  # close enough that some are kept

    def both(rule: Rejection | Coupled) -> tuple[list[list[int]], list[int]]:
        drafts = rule.draft(q_BJV, keys_B, places_BT[:, :3])
        tokens_BT, kept_B = rule.verify(drafts, p_BTV, keys_B, places_BT)
        return [row[: n + 1] for row, n in zip(tokens_BT.tolist(), kept_B.tolist(), strict=True)], kept_B.tolist()

    found = [both(rule(SAMPLERS[0])) for rule in (Rejection, Coupled)]
    monkeypatch.setattr(candidates, "LEVELS", ())
    assert [both(rule(SAMPLERS[0])) for rule in (Rejection, Coupled)] == found
    assert 0 < sum(found[0][1]) < 120

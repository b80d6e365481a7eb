"""Sampled continuations have exactly the distribution that enumeration gives, with and without drafts."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy import stats

from mtp_eval.harness.decoding.acceptance import Coupled, Rejection
from mtp_eval.harness.decoding.engine import Engine
from mtp_eval.harness.decoding.jobs import Job
from mtp_eval.harness.decoding.network import Networks
from mtp_eval.harness.decoding.sampling import Sampler
from mtp_eval.harness.decoding.stopping import Stop
from mtp_eval.harness.models.config import ModelConfig
from mtp_eval.harness.models.transformer import MTPModel

V, LENGTH, SAMPLES = 6, 3, 12_000
PROMPT = (0, 3, 1)
FALSE_ALARM = 1e-6  # of each chi-square test; nine of them here, so below 1e-5 together


def tiny_model() -> MTPModel:
    torch.manual_seed(3)
    config = ModelConfig(vocab_size=V, d_model=16, n_layers=4, n_heads=2, d_ff=24, context_length=16, n_future=3)
    model = MTPModel(config).double().requires_grad_(False)
    for parameter in model.parameters():
        if parameter.ndim > 1:
            parameter.normal_(std=0.35)  # distributions that are neither flat nor certain
    return model


def exact_distribution(model: MTPModel, temperature: float, top_p: float, top_k: int) -> dict[tuple[int, ...], float]:
    """Of all continuations, by enumeration, with filters written the slow way."""

    def next_distribution(tokens: tuple[int, ...]) -> np.ndarray:
        logits = model(torch.tensor([tokens]))[0][0, -1].numpy() / temperature
        p = np.exp(logits - logits.max())
        order = np.argsort(-p, kind="stable")
        if top_k:
            p[order[top_k:]] = 0
        p /= p.sum()
        n_kept = int(np.searchsorted(np.cumsum(p[order]), top_p)) + 1
        p[order[n_kept:]] = 0
        return p / p.sum()

    found = {}
    for continuation in itertools.product(range(V), repeat=LENGTH):
        probability = 1.0
        for i, token in enumerate(continuation):
            if probability > 0:
                probability *= next_distribution(PROMPT + continuation[:i])[token]
        found[continuation] = probability
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("temperature", "top_p", "top_k"), [(1.0, 1.0, 0), (0.7, 0.8, 0), (1.5, 0.95, 4)])
@pytest.mark.parametrize(("rule", "draft_heads"), [(Coupled, 1), (Coupled, 3), (Rejection, 3)])
def test_distribution_of_continuations(
    rule: type[Coupled] | type[Rejection], draft_heads: int, temperature: float, top_p: float, top_k: int
) -> None:
    model = tiny_model()
    stop = Stop(decode=lambda ids: "", eos_ids=frozenset())
    jobs = [Job(i, PROMPT, seed=i, max_new_tokens=LENGTH, stop=stop) for i in range(SAMPLES)]
    network = Networks(model).with_heads(draft_heads)
    engine = Engine(network, rule(Sampler(temperature, top_p, top_k)), batch_size=1500, cache_bytes=1 << 30)
    counts: dict[tuple[int, ...], int] = {}
    kept = drafted = 0
    for decoded in engine.run(jobs):
        counts[tuple(decoded.tokens)] = counts.get(tuple(decoded.tokens), 0) + 1
        kept, drafted = kept + sum(decoded.n_accepted), drafted + sum(decoded.n_drafted)
    exact = exact_distribution(model, temperature, top_p, top_k)
    assert all(exact[continuation] > 0 for continuation in counts)
    often = [c for c in exact if exact[c] * SAMPLES >= 5]
    rest = 1 - sum(exact[c] for c in often)
    observed = [counts.get(c, 0) for c in often] + [SAMPLES - sum(counts.get(c, 0) for c in often)]
    expected = [exact[c] * SAMPLES for c in often] + [max(rest, 1e-12) * SAMPLES]
    if rest * SAMPLES < 1:
        observed[-2:], expected[-2:] = [sum(observed[-2:])], [sum(expected[-2:])]
    statistic = sum((o - e) ** 2 / e for o, e in zip(observed, expected, strict=True))
    assert len(often) > 20
    assert stats.chi2.sf(statistic, df=len(observed) - 1) > FALSE_ALARM
    assert (draft_heads == 1) == (drafted == 0)
    assert draft_heads == 1 or 0 < kept < drafted


def test_rejection_keeps_the_most_drafts_and_coupling_not_far_fewer() -> None:
    """The rejection rule keeps a draft with probability 1 − TV(p, q), coupled races at least (1 − TV)/(1 + TV)."""
    torch.manual_seed(0)
    n = 20_000
    p_logits, q_logits = torch.randn(V, dtype=torch.float64), torch.randn(V, dtype=torch.float64)
    distance = (p_logits.softmax(0) - q_logits.softmax(0)).abs().sum().item() / 2
    keys, places = torch.arange(n), torch.tensor([[0, 1]]).expand(n, 2)
    sampler = Sampler(temperature=1.0)
    shares = {}
    for rule in (Rejection(sampler), Coupled(sampler)):
        drafts = rule.draft(q_logits.expand(n, 1, V), keys, places[:, :1])
        _, kept_B = rule.verify(drafts, p_logits.expand(n, 2, V), keys, places)
        shares[type(rule)] = kept_B.double().mean().item()
    margin = 5 * 0.5 / n**0.5  # five standard deviations: false-alarm probability below 1e-6
    assert abs(shares[Rejection] - (1 - distance)) < margin
    assert (1 - distance) / (1 + distance) - margin < shares[Coupled] < 1 - distance + margin

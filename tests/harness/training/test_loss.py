"""Head-by-head gradients against one plain autograd graph, in float64."""

from __future__ import annotations

import pytest
import torch

from mtp_eval.harness.models.config import HeadKind, ModelConfig
from mtp_eval.harness.models.initialize import new_model
from mtp_eval.harness.models.transformer import MTPModel
from mtp_eval.harness.training.loss import evaluate, naive_backward, sequential_backward
from mtp_eval.harness.training.targets import IGNORED, future_targets

KINDS: tuple[HeadKind, ...] = ("parallel", "causal", "anticausal", "linear", "replicated", "sequential")


def small_model(kind: HeadKind, n_future: int, **changes: object) -> MTPModel:
    values = {
        "vocab_size": 37,
        "d_model": 16,
        "n_layers": n_future + 2,
        "n_heads": 4,
        "n_kv_heads": 2,
        "d_ff": 24,
        "context_length": 12,
        "n_future": n_future,
        "head_kind": kind,
        **changes,
    }
    model = new_model(ModelConfig.model_validate(values), seed=1)
    with torch.no_grad():  # far from the small initial weights, so that no gradient is negligible
        for parameter in model.parameters():
            parameter.add_(
                torch.randn(parameter.shape, generator=torch.Generator().manual_seed(parameter.numel())) * 0.2
            )
    return model.double()


def batch(n_future: int) -> tuple[torch.Tensor, torch.Tensor]:
    tokens = torch.randint(0, 37, (3, 12 + n_future), generator=torch.Generator().manual_seed(2))
    documents = torch.tensor([[0] * 5 + [1] * (7 + n_future), [3] * (12 + n_future), list(range(12 + n_future))])
    return tokens, future_targets(tokens, documents, n_future, 12)


def gradients(model: MTPModel) -> dict[str, torch.Tensor]:
    found = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n_future", [1, 2, 4, 8])
def test_gradients_are_those_of_one_graph(kind: HeadKind, n_future: int) -> None:
    model = small_model(kind, n_future)
    tokens, targets = batch(n_future)
    weights = [1.0 + 0.3 * i for i in range(n_future)]
    expected_sums = naive_backward(model, tokens, targets, weights, 0.1)
    expected = gradients(model)
    for chunk_tokens in (0, 7):
        sums = sequential_backward(model, tokens, targets, weights, 0.1, chunk_tokens=chunk_tokens)
        got = gradients(model)
        assert got.keys() == expected.keys()
        assert max(float((got[name] - expected[name]).abs().max()) for name in expected) < 1e-10
        torch.testing.assert_close(sums.nats, expected_sums.nats, rtol=1e-12, atol=1e-10)
        assert sums.targets.tolist() == expected_sums.targets.tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_tied_embeddings_and_extra_layers(kind: HeadKind) -> None:
    model = small_model(kind, 4, tie_embeddings=kind != "replicated", extra_layers=2)
    assert len(model.trunk) == model.config.n_trunk_layers
    tokens, targets = batch(4)
    naive_backward(model, tokens, targets, [1.0] * 4, 0.1)
    expected = gradients(model)
    sequential_backward(model, tokens, targets, [1.0] * 4, 0.1)
    got = gradients(model)
    assert max(float((got[name] - expected[name]).abs().max()) for name in expected) < 1e-10


@pytest.mark.parametrize("kind", KINDS)
def test_heads_of_weight_zero_cost_nothing_and_change_nothing(kind: HeadKind) -> None:
    model = small_model(kind, 4)
    tokens, targets = batch(4)
    weights = [1.0, 1.0, 0.0, 0.0]
    naive_backward(model, tokens, targets, weights, 0.1)
    expected = gradients(model)
    sequential_backward(model, tokens, targets, weights, 0.1)
    got = gradients(model)
    for name, gradient in expected.items():
        torch.testing.assert_close(got.get(name, torch.zeros_like(gradient)), gradient, rtol=0, atol=1e-10)
    if kind == "parallel":
        assert not any(name.startswith("heads.3") for name in got)


def test_a_frozen_trunk_gets_no_gradient() -> None:
    model = small_model("parallel", 2)
    tokens, targets = batch(2)
    model.trunk.requires_grad_(False)
    model.embed_tokens.requires_grad_(False)
    sequential_backward(model, tokens, targets, [1.0, 1.0], 0.1, train_trunk=False)
    got = gradients(model)
    assert got
    assert not any(name.startswith(("trunk", "embed")) for name in got)


def test_targets_never_cross_documents() -> None:
    tokens = torch.arange(10)[None]
    documents = torch.tensor([[0, 0, 0, 1, 1, 1, 1, 2, 2, -1]])
    targets = future_targets(tokens, documents, 3, 7)
    assert targets[0, 0].tolist() == [1, 2, IGNORED, 4, 5, 6, IGNORED]
    assert targets[1, 0].tolist() == [2, IGNORED, IGNORED, 5, 6, IGNORED, IGNORED]
    assert targets[2, 0].tolist() == [IGNORED, IGNORED, IGNORED, 6, IGNORED, IGNORED, IGNORED]


@pytest.mark.parametrize("kind", KINDS)
def test_validation_sums_equal_those_from_plain_logits(kind: HeadKind) -> None:
    model = small_model(kind, 4)
    tokens, targets = batch(4)
    sums = evaluate(model, tokens, targets, chunk_tokens=5)
    for i, logits in enumerate(model(tokens, 12)):
        keep = targets[i] != IGNORED
        chosen = logits.log_softmax(-1)[keep].gather(1, targets[i][keep][:, None])
        torch.testing.assert_close(sums.nats[i], -chosen.sum().detach(), rtol=1e-10, atol=1e-10)
        assert sums.hits[i] == int((logits.argmax(-1)[keep] == targets[i][keep]).sum())
        assert sums.targets[i] == int(keep.sum())

"""Loss terms one by one: against each head's logits in the plain forward pass, and their gradients one at a time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mtp_eval.harness.models.checkpoint import save_checkpoint
from mtp_eval.harness.models.config import HeadKind, ModelConfig
from mtp_eval.harness.models.initialize import new_model
from mtp_eval.harness.models.tokenizers import ByteTokenizer
from mtp_eval.harness.models.transformer import MTPModel
from mtp_eval.harness.training.terms import loss_terms, trunk_gradients

TEXTS = ("abcab", "ca", "bbbbb")
LENGTH, N = 5, 3


@pytest.fixture(params=["parallel", "causal", "anticausal", "linear", "replicated"])
def model(request: pytest.FixtureRequest) -> MTPModel:
    kind: HeadKind = request.param
    config = ModelConfig(
        vocab_size=264,
        d_model=16,
        n_layers=5,
        n_heads=2,
        n_kv_heads=2,
        d_ff=24,
        context_length=12,
        n_future=N,
        head_kind=kind,
    )
    return new_model(config, seed=3).double()


def rows(text: str) -> list[int]:
    return [256, *text.encode()]


def test_terms_are_the_plain_forward_passs_cross_entropies(model: MTPModel, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "m", model, ByteTokenizer(), {})
    nats_NBT = loss_terms(tmp_path / "m", TEXTS).nats_NBT
    assert nats_NBT.shape == (N, len(TEXTS), LENGTH)
    for b, text in enumerate(TEXTS):
        logits = model(torch.tensor([rows(text)]))
        for i in range(N):
            laws = logits[i][0].detach().log_softmax(dim=-1)
            for t in range(LENGTH):
                if t + i < len(text):
                    assert nats_NBT[i, b, t] == pytest.approx(-laws[t, text.encode()[t + i]].item(), abs=1e-9)
                else:
                    assert np.isnan(nats_NBT[i, b, t]), "there is no token there"


def test_a_terms_gradient_is_that_of_its_law_at_its_heads_output(model: MTPModel, tmp_path: Path) -> None:
    """By the chain rule written out: (p - y) W through the norm; one term at a time."""
    save_checkpoint(tmp_path / "m", model, ByteTokenizer(), {})
    gradients_NBT = loss_terms(tmp_path / "m", TEXTS).gradients_NBT
    tokens_BT = torch.tensor([rows(TEXTS[0])])
    rotary = model.rotary(torch.arange(tokens_BT.shape[1])[None])
    for i in range(N):
        hidden = model.trunk_forward(tokens_BT, rotary)
        for k in model.config.head_path(i + 1):
            hidden = model.head_forward(k, hidden, rotary, tokens_BT)
        for t in range(LENGTH - i):
            leaf = hidden[0, t].detach().requires_grad_()
            (-model.unembed(leaf[None], i + 1).log_softmax(-1)[0, TEXTS[0].encode()[t + i]]).backward()
            assert gradients_NBT[i, 0, t] == pytest.approx(leaf.grad.norm().item(), rel=1e-6)
    assert gradients_NBT[0, 1, 3] == 0.0


def test_kinds_of_terms_split_the_trunks_gradient(model: MTPModel, tmp_path: Path) -> None:
    """Against one backward pass of each kind's loss from the plain forward pass, by a hook on the trunk's last layer."""
    save_checkpoint(tmp_path / "m", model, ByteTokenizer(), {})
    rng = np.random.default_rng(0)
    kind = rng.random((N, 1, LENGTH)) < 0.5
    kind[1, :, LENGTH - 1] = kind[2, :, LENGTH - 2 :] = False
    found = trunk_gradients(tmp_path / "m", TEXTS[:1], [kind, np.ones_like(kind), np.zeros_like(kind)])
    seen: list[torch.Tensor] = []
    handle = model.trunk[-1].register_forward_hook(lambda module, args, output: seen.append(output))
    logits = model(torch.tensor([rows(TEXTS[0])]))
    handle.remove()

    def squared(kept: np.ndarray) -> float:
        loss = sum(
            -logits[i][0, t].log_softmax(-1)[TEXTS[0].encode()[t + i]]
            for i in range(N)
            for t in range(LENGTH - i)
            if kept[i, 0, t]
        )
        (gradient,) = torch.autograd.grad(loss, seen[0], retain_graph=True)
        return float(gradient.square().sum())

    assert found[0] == pytest.approx(squared(kind), rel=1e-6)
    assert found[1] == pytest.approx(squared(np.ones_like(kind)), rel=1e-6)
    assert found[2] == 0.0

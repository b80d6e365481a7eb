"""Token order prediction: targets against counting by hand, gradients against one dense graph, a training that learns the order."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from mtp_eval.harness.backends.base import DecodingSettings
from mtp_eval.harness.backends.native import NativeBackend
from mtp_eval.harness.errors import InputError
from mtp_eval.harness.models.checkpoint import load_checkpoint
from mtp_eval.harness.models.config import HeadKind
from mtp_eval.harness.models.size import model_size
from mtp_eval.harness.training.loop import train
from mtp_eval.harness.training.loss import naive_backward, sequential_backward
from mtp_eval.harness.training.targets import future_targets
from mtp_eval.harness.training.token_order import OrderLoss, order_targets
from mtp_eval.results.curves import read_curve
from mtp_eval.tasks.problem import Request
from tests.harness.training.test_loss import KINDS, gradients, small_model
from tests.harness.training.tiny_runs import documents as lines
from tests.harness.training.tiny_runs import tiny

WINDOW, LENGTH, VOCABULARY = 6, 12, 37
Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def batch() -> Batch:
    """Rows with few different tokens, so that many come twice; documents of several lengths; some tokens not learnt."""
    generator = torch.Generator().manual_seed(5)
    n = LENGTH + WINDOW
    tokens = torch.randint(0, 7, (3, n), generator=generator)
    documents = torch.tensor([[0] * 5 + [1] * (n - 5), [3] * (n - 4) + [-1] * 4, list(range(n))])
    learnt = torch.rand(3, n, generator=generator) < 0.7
    return tokens, documents, learnt


def dense_scores(tokens: torch.Tensor, documents: torch.Tensor, learnt: torch.Tensor) -> torch.Tensor:
    """`(B, T, V)` by the definition, one token at a time."""
    scores = torch.full((len(tokens), LENGTH, VOCABULARY), -math.inf, dtype=torch.float64)
    for b in range(len(tokens)):
        for t in range(LENGTH):
            for d in range(WINDOW, 0, -1):
                same = documents[b, t + d] == documents[b, t] >= 0
                if same and learnt[b, t + d]:
                    scores[b, t, tokens[b, t + d]] = WINDOW - d
    return scores


@pytest.mark.parametrize("masked", [False, True])
def test_targets_are_the_softmax_of_the_scores(masked: bool) -> None:
    tokens, documents, learnt = batch()
    everything = torch.ones_like(learnt)
    found = order_targets(tokens, documents, WINDOW, LENGTH, learnt if masked else None)
    expected = dense_scores(tokens, documents, learnt if masked else everything).softmax(-1).nan_to_num(0.0)
    got = torch.zeros_like(expected).scatter_add_(2, found.tokens, found.shares)
    torch.testing.assert_close(got, expected, rtol=1e-14, atol=1e-15)
    assert found.count == (expected.sum(-1) > 0).sum()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n_future", [1, 3])
def test_gradients_are_those_of_one_dense_graph(kind: HeadKind, n_future: int) -> None:
    model = small_model(kind, n_future, order_unembedding=True)
    tokens, documents, learnt = batch()
    weights = [1.0 + 0.3 * i for i in range(n_future)]
    targets = future_targets(tokens, documents, n_future, LENGTH, learnt)
    naive_backward(model, tokens, targets, weights, 0.1)
    logits = dense_order_logits(model, tokens)
    shares = dense_scores(tokens, documents, learnt).softmax(-1).nan_to_num(0.0)
    nats = -(shares * F.log_softmax(logits, dim=-1)).sum()
    torch.autograd.backward(0.7 * nats)
    expected = gradients(model)
    loss = OrderLoss(order_targets(tokens, documents, WINDOW, LENGTH, learnt), 0.7)
    for chunk_tokens in (0, 7):
        sums = sequential_backward(model, tokens, targets, weights, 0.1, chunk_tokens=chunk_tokens, order=loss)
        got = gradients(model)
        assert got.keys() == expected.keys()
        assert max(float((got[name] - expected[name]).abs().max()) for name in expected) < 1e-10
        assert float(sums.beside["order"][0]) == pytest.approx(float(nats.detach()), rel=1e-12)


def dense_order_logits(model: object, tokens: torch.Tensor) -> torch.Tensor:
    """The extra logits from the state that head 1's unembedding reads, by a hook on that."""
    seen: list[torch.Tensor] = []
    hook = model.lm_head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))  # type: ignore[attr-defined]
    model(tokens, LENGTH)  # type: ignore[operator]
    hook.remove()
    return model.order_lm_heads[0](seen[0])  # type: ignore[attr-defined]


def test_sizes_count_the_extra_unembedding_in_training_only() -> None:
    plain, ranking = (small_model("parallel", 2, order_unembedding=on) for on in (False, True))
    counted = model_size(ranking.config)
    assert counted.n_parameters == sum(p.numel() for p in ranking.parameters())
    assert counted.n_parameters_next_token == model_size(plain.config).n_parameters_next_token


@pytest.mark.slow
def test_a_training_learns_the_order_and_leaves_an_ordinary_model(tmp_path: Path) -> None:
    config = tiny(loss__order_window=4, model__n_future=1, log_every=1)
    train(config, lines(), tmp_path / "top")
    losses = [value for _, value in read_curve(tmp_path / "top", "loss_order", "train")]
    assert losses[-1] < 0.7 * losses[0]
    checkpoint = load_checkpoint(tmp_path / "top")
    assert checkpoint.config.order_unembedding
    engine = NativeBackend(tmp_path / "top", device="cpu")
    (completion,) = engine.generate([Request("p", 0, "x = ", 0, (), 8)], DecodingSettings())
    assert completion.n_tokens == completion.n_forwards == 8, "it drafts nothing"
    train(tiny(init=tmp_path / "top", model__n_future=1, steps=2), lines(), tmp_path / "on")
    assert not load_checkpoint(tmp_path / "on").config.order_unembedding
    train(tiny(init=tmp_path / "on", model__n_future=2, steps=2, loss__order_window=2), lines(), tmp_path / "again")
    assert load_checkpoint(tmp_path / "again").config.order_unembedding
    with pytest.raises(InputError, match="lets it learn nothing"):
        tiny(init=tmp_path / "again", freeze="trunk", loss__order_window=2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss__order_window": 4, "loss__head_weights": [0.0, 1.0]}, "gives head 1 no weight"),
        ({"loss__order_window": 65}, "less than or equal to 64"),
    ],
)
def test_what_cannot_be_ranked_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        tiny(**changes)

"""Small models that have learned something, so that some drafts are right and some are wrong."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

import pytest
import torch
import torch.nn.functional as F

from mtp_eval.harness.models.config import HeadKind, ModelConfig
from mtp_eval.harness.models.transformer import MTPModel

LINES = [f"def {n}(a, b):\n    return a {o} b\n\n" for n, o in [("add", "+"), ("sub", "-"), ("mul", "*"), ("div", "/")]]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Threads of tiny matrix products only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@functools.cache
def _trained(n_future: int, head_kind: HeadKind = "parallel", context_length: int = 256, steps: int = 80) -> MTPModel:
    """A float64 model of some ten thousand parameters after `steps` steps on four functions in random order."""
    torch.manual_seed(n_future)
    config = ModelConfig(
        vocab_size=264, d_model=32, n_layers=n_future + 2, n_heads=4, n_kv_heads=2, d_ff=48,
        context_length=context_length, n_future=n_future, head_kind=head_kind,
    )  # fmt: skip
    model = MTPModel(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name:
                parameter.uniform_(0.5, 1.5)  # a norm whose weight is 1 would hide a forgotten norm
            else:
                parameter.normal_(std=0.06)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(steps):
        rows = []
        for _ in range(4):
            text = "".join(LINES[i] for i in torch.randint(4, (4,)).tolist())
            rows.append([256, *text.encode()][: 49 + n_future])
        tokens_BT = torch.tensor(rows)
        T = tokens_BT.shape[1] - n_future
        loss = torch.zeros(())
        for i, logits_BTV in enumerate(model(tokens_BT, T), start=1):
            loss = loss + F.cross_entropy(logits_BTV.flatten(0, 1), tokens_BT[:, i : T + i].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.double().eval().requires_grad_(False)


@pytest.fixture(scope="session")
def trained() -> Callable[..., MTPModel]:
    """A maker of trained models: n_future, head_kind, context_length."""
    return _trained

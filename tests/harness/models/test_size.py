"""Counted sizes against the built model and against torch's own FLOP counter."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from mtp_eval.harness.errors import InputError
from mtp_eval.harness.models.config import HeadKind, ModelConfig
from mtp_eval.harness.models.initialize import new_model
from mtp_eval.harness.models.size import model_size
from mtp_eval.harness.training.config import ModelShape
from mtp_eval.harness.training.matching import baseline, matched

KINDS: tuple[HeadKind, ...] = ("parallel", "causal", "anticausal", "linear", "replicated", "sequential")


def shape(**changes: object) -> ModelShape:
    values = {"d_model": 64, "n_layers": 10, "n_heads": 4, "context_length": 32, **changes}
    return ModelShape.model_validate(values)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tied", [False, True])
def test_parameters_are_those_of_the_built_model(kind: HeadKind, tied: bool) -> None:
    config = ModelConfig(
        vocab_size=100,
        d_model=32,
        n_layers=6,
        n_heads=4,
        n_kv_heads=2,
        d_ff=40,
        context_length=16,
        n_future=3,
        head_kind=kind,
        extra_layers=1,
        tie_embeddings=tied,
    )
    model = new_model(config, seed=0)
    size = model_size(config)
    assert size.n_parameters == sum(p.numel() for p in model.parameters())
    on_path = {f"heads.{i}." for i in config.head_path(1)}
    unused = ("heads.", "extra_lm_heads.", "extra_norms.")
    next_token = sum(
        p.numel()
        for name, p in model.named_parameters()
        if not name.startswith(unused) or any(name.startswith(prefix) for prefix in on_path)
    )
    assert size.n_parameters_next_token == next_token


def test_biases_norms_and_wide_heads_are_counted() -> None:
    config = ModelConfig(
        vocab_size=100, d_model=32, n_layers=4, n_heads=4, n_kv_heads=2, d_ff=40, context_length=16, head_dim=12,
        qkv_bias=True, output_bias=True, mlp_bias=True, qk_norm=True,
    )  # fmt: skip
    assert model_size(config).n_parameters == sum(p.numel() for p in new_model(config, seed=0).parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_flops_agree_with_torchs_counter(kind: HeadKind) -> None:
    config = ModelConfig(
        vocab_size=200, d_model=64, n_layers=5, n_heads=4, d_ff=160, context_length=64, n_future=3, head_kind=kind
    )
    model = new_model(config, seed=0)
    tokens = torch.zeros(2, 64, dtype=torch.int64)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(tokens)
    counted = counter.get_total_flops() / tokens.numel()
    # torch counts attention as if it were not causal (T instead of T/2) or not at all, depending on the kernel
    attention_layers = config.n_trunk_layers + config.n_head_layers
    slack = attention_layers * 4 * config.d_model * config.context_length
    assert abs(counted - model_size(config).train_flops_per_token / 3) <= slack


@pytest.mark.parametrize("kind", ["parallel", "causal", "anticausal"])
@pytest.mark.parametrize("n_future", [2, 4, 8])
def test_matching_by_parameters_is_exact_for_transformer_heads(kind: HeadKind, n_future: int) -> None:
    model = matched(shape(n_future=n_future, head_kind=kind), 264)
    base = baseline(shape(), 264)
    assert model_size(model).n_parameters == model_size(base).n_parameters
    assert model.n_trunk_layers == 10 - n_future


def test_matching_by_layers_keeps_the_next_token_path() -> None:
    model = matched(shape(n_future=4, match="layers"), 264)
    assert model_size(model).n_layers_next_token == 10
    assert (model.n_layers, model.extra_layers) == (10, 3)


def test_matching_by_flops_is_within_one_layer() -> None:
    base = model_size(baseline(shape(), 5000))
    model = matched(shape(n_future=2, match="flops"), 5000)
    layer = (base.train_flops_per_token - 3 * 2 * 5000 * 64) / 10
    assert abs(model_size(model).train_flops_per_token - base.train_flops_per_token) <= layer / 2
    assert model.n_trunk_layers < 8


@pytest.mark.parametrize(
    ("changes", "vocab_size"),
    [({"n_layers": 8, "n_future": 8}, 264), ({"n_layers": 3, "n_future": 4, "match": "flops"}, 264)],
)
def test_what_cannot_be_matched_is_refused(changes: dict[str, object], vocab_size: int) -> None:
    with pytest.raises(InputError, match=r"cannot be matched.*model\.n_layers"):
        matched(shape(**changes), vocab_size)


def test_extra_layers_come_on_top() -> None:
    model = matched(shape(n_future=4, extra_layers=3), 264)
    assert model.n_trunk_layers == 9

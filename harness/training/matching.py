"""From the shape of a next-token model to the config of an n-future model that matches it.

params: heads replace trunk layers, so that the parameters are equal (the paper's rule; exact for transformer heads)
layers: the next-token path keeps its layers; the further heads are added on top
flops:  the trunk is cut until a training step costs the same, as nearly as whole layers allow
"""

from __future__ import annotations

from pydantic import ValidationError

from mtp_eval.harness.errors import InputError
from mtp_eval.harness.models.config import ModelConfig
from mtp_eval.harness.models.size import model_size
from mtp_eval.harness.training.config import ModelShape

SMALLEST_VOCABULARY = 256
"""No tokenizer of ours has fewer tokens; more of them only make heads harder to match."""


def baseline(shape: ModelShape, vocab_size: int) -> ModelConfig:
    """The next-token model of this shape."""
    return _config(shape, vocab_size, n_layers=shape.n_layers, n_future=1, head_kind="parallel")


def matched(shape: ModelShape, vocab_size: int) -> ModelConfig:
    """The model to train."""
    base = baseline(shape, vocab_size)
    if shape.n_future == 1 and shape.head_kind in ("parallel", "causal", "anticausal", "replicated", "sequential"):
        return base.model_copy(update={"extra_layers": shape.extra_layers, "head_kind": shape.head_kind})
    candidates: list[ModelConfig] = []
    for trunk in range(1, shape.n_layers + 1):
        heads = {"linear": 0, "replicated": 1}.get(shape.head_kind, shape.n_future)
        candidates.append(
            _config(shape, vocab_size, n_layers=trunk + heads, n_future=shape.n_future, head_kind=shape.head_kind)
        )
    sizes = [model_size(candidate) for candidate in candidates]
    target = model_size(base)
    match shape.match:
        case "params":
            distances = [abs(size.n_parameters - target.n_parameters) for size in sizes]
        case "layers":
            distances = [abs(size.n_layers_next_token - target.n_layers_next_token) for size in sizes]
        case "flops":
            distances = [abs(size.train_flops_per_token - target.train_flops_per_token) for size in sizes]
    best = min(range(len(sizes)), key=distances.__getitem__)
    _refuse_if_far(
        shape, sizes[best].n_parameters - target.n_parameters, sizes[best].train_flops_per_token, target, base
    )
    chosen = candidates[best]
    if chosen.n_layers > shape.n_layers:  # said as extra layers, so that n_layers stays the baseline's
        chosen = (
            chosen.model_copy(update={"n_layers": shape.n_layers, "extra_layers": chosen.n_layers - shape.n_layers})
            if shape.n_layers > chosen.n_head_layers
            else chosen
        )
    return chosen.model_copy(update={"extra_layers": chosen.extra_layers + shape.extra_layers})


def training_flops(shape: ModelShape, vocab_size: int) -> int:
    """FLOPs of training the model of this shape, for each token."""
    return model_size(matched(shape, vocab_size)).train_flops_per_token


def check_shape(shape: ModelShape) -> None:
    """Refuse a shape that is impossible whatever the vocabulary, before any text is made for it.

    Raises:
        InputError: no model has this shape.
    """
    matched(shape, SMALLEST_VOCABULARY)


def _refuse_if_far(shape: ModelShape, excess: int, flops: int, target: object, base: ModelConfig) -> None:
    """Raise InputError where even a trunk of one layer makes the model too big."""
    size = model_size(base)
    layer = (size.n_parameters - base.vocab_size * base.d_model) / max(base.n_layers, 1)
    layer_flops = size.train_flops_per_token / base.n_layers
    too_big = (
        shape.match == "params"
        and shape.head_kind in ("parallel", "causal", "anticausal", "sequential")
        and excess > layer / 2
    ) or (shape.match == "flops" and flops - size.train_flops_per_token > layer_flops)
    if too_big:
        raise InputError(
            f"n_future={shape.n_future} {shape.head_kind} heads cannot be matched by {shape.match} with a next-token "
            f"model of n_layers={shape.n_layers}: the heads alone need {shape.n_future} layers and the trunk at least "
            f"one. Raise model.n_layers to {shape.n_future + 1} or more, lower model.n_future, or set model.match = "
            "'layers'"
        )


def _config(shape: ModelShape, vocab_size: int, *, n_layers: int, n_future: int, head_kind: str) -> ModelConfig:
    d_ff = shape.d_ff or -(-(8 * shape.d_model // 3) // 8) * 8
    try:
        return ModelConfig.model_validate(
            {
                "vocab_size": vocab_size,
                "d_model": shape.d_model,
                "n_layers": n_layers,
                "n_heads": shape.n_heads,
                "n_kv_heads": shape.n_kv_heads,
                "d_ff": d_ff,
                "context_length": shape.context_length,
                "n_future": n_future,
                "head_kind": head_kind,
                "tie_embeddings": shape.tie_embeddings,
                "rope_theta": shape.rope_theta,
                "norm_eps": shape.norm_eps,
            }
        )
    except ValidationError as error:
        raise InputError(
            "the model's shape is impossible: " + "; ".join(item["msg"] for item in error.errors())
        ) from None

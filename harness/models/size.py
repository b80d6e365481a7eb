"""Counts by which models are matched: parameters, layers on the next-token path, FLOPs per token.

FLOPs are counted as 2 per multiply-add in matrix products, forward; training is three times that (backward does the
products twice). Attention's score and value products are included at the mean causal length T/2. Embedding look-ups,
norms and elementwise work are left out, as is usual (PaLM, appendix B).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from mtp_eval.harness.models.config import ModelConfig


@dataclass(frozen=True, slots=True)
class ModelSize:
    """The counts of one model.

    Args:
        n_parameters: all of them, each tied matrix once.
        n_parameters_next_token: those used to predict the next token only (what an exported Llama has).
        n_layers_next_token: transformer layers between the embedding and the next-token logits.
        train_flops_per_token: forward and backward of every head, and of the registers where training has them.
        decode_flops_per_token: forward of the next-token path, at the mean causal length.
    """

    n_parameters: int
    n_parameters_next_token: int
    n_layers_next_token: int
    train_flops_per_token: int
    decode_flops_per_token: int

    def as_dict(self) -> dict[str, Any]:
        """The counts as JSON, for training.json."""
        return asdict(self)


def model_size(config: ModelConfig) -> ModelSize:
    """Count without building the model."""
    d, v = config.d_model, config.vocab_size
    wide, narrow = config.n_heads * config.head_size, config.kv_heads * config.head_size
    layer = 2 * d * wide + 2 * d * narrow + 3 * d * config.d_ff
    layer_all = layer + _vectors(config)
    attention_flops = 2 * 2 * wide * (config.context_length + 1) // 2  # scores and values, mean causal length
    layer_flops = 2 * layer + attention_flops
    linear = config.head_kind == "linear"
    head, head_flops = (d * d, 2 * d * d) if linear else (layer_all, layer_flops)
    n_heads = 1 if config.head_kind == "replicated" else config.n_future
    path = len(config.head_path(1))  # heads passed on the way to the next-token logits
    n_modules = config.n_norms - 1  # each has a norm before the unembedding, two before its projection, and that

    embeddings = v * d if config.tie_embeddings else 2 * v * d
    trunk = config.n_trunk_layers
    shared = embeddings + d + trunk * layer_all
    n_products = config.n_future + config.order_unembedding
    forward_flops = trunk * layer_flops + n_heads * head_flops + n_products * 2 * v * d + n_modules * 4 * d * d
    if config.register_token:  # behind every token one that passes what head 1 passes, and is turned into logits
        forward_flops += trunk * layer_flops + path * head_flops + 2 * v * d
    n_matrices = config.n_unembeddings - 1 + config.order_unembedding
    added = n_matrices * v * d + n_modules * (2 * d * d + 3 * d) + config.register_token * d
    return ModelSize(
        n_parameters=shared + n_heads * head + added,
        n_parameters_next_token=shared + path * head,
        n_layers_next_token=trunk + (0 if linear else path),
        train_flops_per_token=3 * forward_flops,
        decode_flops_per_token=trunk * layer_flops + path * head_flops + 2 * v * d,
    )


def _vectors(config: ModelConfig) -> int:
    """Norms and biases of a layer."""
    d, wide, narrow = config.d_model, config.n_heads * config.head_size, config.kv_heads * config.head_size
    return (
        2 * d
        + config.qk_norm * 2 * config.head_size
        + config.qkv_bias * (wide + 2 * narrow)
        + config.output_bias * d
        + config.mlp_bias * (2 * config.d_ff + d)
    )

"""Convert a Hugging Face config.json to our config, and back.

| model_type | beyond a plain Llama |
|---|---|
| llama | `attention_bias` (on queries, keys, values and the output), `mlp_bias`, `rope_type` linear and llama3 |
| mistral | `sliding_window` in every layer |
| qwen2, mimo | biases on queries, keys and values; windows from layer `max_window_layers` on; MiMo's MTP modules |
| qwen3 | norms over the heads' queries and keys, `attention_bias`, windows as Qwen2 |

`head_dim` may be any even number. What a layer of ours cannot compute is refused by the name of its field.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from mtp_eval.harness.errors import InputError
from mtp_eval.harness.models.config import ModelConfig, RopeScaling
from mtp_eval.harness.models.tokenizers import Tokenizer

MODEL_TYPES = ("llama", "mistral", "qwen2", "qwen3", "mimo")
NEXT_TOKEN_LAYERS = "num_nextn_predict_layers"
FOREIGN = {
    "kv_lora_rank": "latent attention",
    "n_routed_experts": "experts",
    "num_experts": "experts",
    "num_local_experts": "experts",
    "partial_rotary_factor": "a rotary embedding of a part of each head",
    "quantization_config": "quantized weights",
}
"""Fields that, when they are set, say what none of our layers has."""


def model_config(about: Mapping[str, Any], folder: Path) -> ModelConfig:
    """Our config of a Llama's or a near relative's.

    Raises:
        InputError: it has what our layers do not; the error names the fields.
    """
    wrong = [*_unsupported(about)]
    if wrong:
        raise InputError(
            f"{folder} is no model that our layers can compute: its config.json has {', '.join(wrong)}. Run it as it is with "
            f"--model hf:{folder} instead of converting it"
        )
    heads, modules = about.get("num_attention_heads") or 1, about.get(NEXT_TOKEN_LAYERS) or 0
    kind, rope = about["model_type"], _rope(about)
    qkv_bias = kind in ("qwen2", "mimo") or bool(about.get("attention_bias"))
    try:
        return ModelConfig(
            vocab_size=about["vocab_size"],
            d_model=about["hidden_size"],
            n_layers=about["num_hidden_layers"] + modules,
            n_future=1 + modules,
            head_kind="sequential" if modules else "parallel",
            n_heads=heads,
            n_kv_heads=about.get("num_key_value_heads") or heads,
            d_ff=about["intermediate_size"],
            context_length=about.get("max_position_embeddings", 2048),
            tie_embeddings=about.get("tie_word_embeddings", False),
            rope_theta=rope.get("rope_theta") or about.get("rope_theta") or 10_000.0,
            norm_eps=about.get("rms_norm_eps", 1e-6),
            head_dim=_head_dim(about, heads),
            qkv_bias=qkv_bias,
            output_bias=bool(about.get("attention_bias")) and kind in ("llama", "qwen3"),
            mlp_bias=bool(about.get("mlp_bias")) and kind == "llama",
            qk_norm=kind == "qwen3",
            rope_scaling=_scaling(rope),
            **_window(about),
        )
    except (KeyError, TypeError, ValueError) as error:
        reason = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)
        raise InputError(f"{folder}/config.json does not describe a model that can be built: {reason}") from None


def _unsupported(about: Mapping[str, Any]) -> list[str]:
    """Fields, with their values, that our layers do not have."""
    rope = _rope(about)
    supported = (
        ("model_type", about.get("model_type"), MODEL_TYPES),
        ("hidden_act", about.get("hidden_act", "silu"), ("silu", "swish")),
        ("rope_type", rope.get("rope_type", rope.get("type", "default")), ("default", "linear", "llama3")),
    )
    wrong = [f"{key} = {value!r}" for key, value, values in supported if value not in values]
    wrong += [f"{key} ({meaning})" for key, meaning in FOREIGN.items() if _is_set(key, about, rope)]
    if about.get("layer_types") and _full_layers(about["layer_types"]) is None:
        wrong.append("layer_types (windows that are not in the last layers alone, or layers of other kinds)")
    return wrong


def _is_set(key: str, about: Mapping[str, Any], rope: Mapping[str, Any]) -> bool:
    value = about.get(key, rope.get(key))
    return value not in (None, False, 0, {}) and not (key == "partial_rotary_factor" and value == 1)


def _rope(about: Mapping[str, Any]) -> Mapping[str, Any]:
    """What transformers 5 calls rope_parameters and 4 rope_scaling."""
    found: Mapping[str, Any] = about.get("rope_parameters") or about.get("rope_scaling") or {}
    return found


def _scaling(rope: Mapping[str, Any]) -> RopeScaling | None:
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind == "default":
        return None
    if kind == "linear":
        return RopeScaling(kind="linear", factor=rope["factor"])
    return RopeScaling(
        kind="llama3",
        factor=rope["factor"],
        low_freq_factor=rope["low_freq_factor"],
        high_freq_factor=rope["high_freq_factor"],
        original_context_length=rope["original_max_position_embeddings"],
    )


def _head_dim(about: Mapping[str, Any], heads: int) -> int | None:
    """The width of a head where it is not the model's width over their number."""
    size = about.get("head_dim") or (128 if about["model_type"] == "qwen3" else None)
    return None if size is None or size * heads == about["hidden_size"] else int(size)


def _full_layers(layer_types: list[str]) -> int | None:
    """How many layers at the beginning have no window; None where another pattern is meant."""
    full = next((i for i, kind in enumerate(layer_types) if kind != "full_attention"), len(layer_types))
    return full if all(kind == "sliding_attention" for kind in layer_types[full:]) else None


def _window(about: Mapping[str, Any]) -> dict[str, Any]:
    """The sliding window, and the first layer that has it."""
    kind, window, layers = about["model_type"], about.get("sliding_window"), about["num_hidden_layers"]
    if window is None or kind == "llama" or (kind != "mistral" and not about.get("use_sliding_window")):
        return {}
    full = 0 if kind == "mistral" else about.get("max_window_layers", 0)
    if about.get("layer_types"):
        full = _full_layers(about["layer_types"])
    return {"sliding_window": window, "full_attention_layers": full} if full < layers else {}


def config_json(config: ModelConfig, tokenizer: Tokenizer, dtype: torch.dtype) -> dict[str, Any]:
    """The config.json of the next-token path, in the plainest architecture that has all of it.

    Raises:
        InputError: no architecture of `MODEL_TYPES` has this combination.
    """
    kind, name, extra = _architecture(config)
    rope: dict[str, Any] = {"rope_type": "default", "rope_theta": config.rope_theta}
    if config.rope_scaling is not None:
        rope |= {"rope_type": config.rope_scaling.kind, "factor": config.rope_scaling.factor}
    if config.rope_scaling is not None and config.rope_scaling.kind == "llama3":
        rope |= {
            "low_freq_factor": config.rope_scaling.low_freq_factor,
            "high_freq_factor": config.rope_scaling.high_freq_factor,
            "original_max_position_embeddings": config.rope_scaling.original_context_length,
        }
    return {
        "architectures": [name],
        "model_type": kind,
        "vocab_size": config.vocab_size,
        "hidden_size": config.d_model,
        "intermediate_size": config.d_ff,
        "num_hidden_layers": config.n_trunk_layers + 1,
        "num_attention_heads": config.n_heads,
        "num_key_value_heads": config.kv_heads,
        "head_dim": config.head_size,
        "hidden_act": "silu",
        "attention_bias": config.output_bias,
        "mlp_bias": config.mlp_bias,
        "max_position_embeddings": config.context_length,
        "rms_norm_eps": config.norm_eps,
        "rope_theta": config.rope_theta,  # transformers 4
        **({"rope_scaling": rope} if config.rope_scaling else {}),
        "rope_parameters": rope,  # transformers 5
        "tie_word_embeddings": config.tie_embeddings,
        "bos_token_id": tokenizer.bos_id,
        "eos_token_id": sorted(tokenizer.eos_ids) if len(tokenizer.eos_ids) > 1 else tokenizer.eos_id,
        "torch_dtype": str(dtype).removeprefix("torch."),
        **extra,
    }


def _architecture(config: ModelConfig) -> tuple[str, str, dict[str, Any]]:
    """model_type, class, and further fields."""
    window, layers = config.sliding_window, config.n_trunk_layers + 1
    qwen_window = (
        {
            "use_sliding_window": True,
            "sliding_window": window,
            "max_window_layers": config.full_attention_layers,
            "layer_types": ["sliding_attention" if config.window_of(i) else "full_attention" for i in range(layers)],
        }
        if window
        else {}
    )
    plain = not (config.qkv_bias or config.output_bias or config.mlp_bias or config.qk_norm)
    if config.qk_norm and not config.mlp_bias and config.qkv_bias == config.output_bias:
        return "qwen3", "Qwen3ForCausalLM", qwen_window
    if not config.qk_norm and not window and config.qkv_bias == config.output_bias:
        return "llama", "LlamaForCausalLM", {}
    if config.qkv_bias and not (config.qk_norm or config.output_bias or config.mlp_bias or config.head_dim):
        return "qwen2", "Qwen2ForCausalLM", qwen_window
    if plain and config.full_attention_layers == 0:
        return "mistral", "MistralForCausalLM", {"sliding_window": window}
    raise InputError(
        "no architecture of transformers that this program writes has this model's biases, norms and window together: it stays "
        "in our layout"
    )

"""Hugging Face Llama-family folders: reading, and writing what `LlamaForCausalLM.from_pretrained` loads.

Layers 0 to L-2 are the trunk, layer L-1 is head 1. Heads 2 to n have no place in a Llama: they go to
mtp_heads.safetensors with their config in mtp_config.json, which other programs ignore and `read` finds again.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save_file
from torch import Tensor

from mtp_eval.harness.errors import InputError
from mtp_eval.harness.models.config import ModelConfig
from mtp_eval.harness.models.tokenizers import ByteTokenizer, Tokenizer, read_tokenizer
from mtp_eval.harness.models.vocabularies import byte_alphabet, read_json

HEADS, HEADS_CONFIG = "mtp_heads.safetensors", "mtp_config.json"
MODEL_TYPES = ("llama", "mistral")


def read(folder: Path) -> tuple[ModelConfig, dict[str, Tensor], Tokenizer]:
    """Config, weights in our names, tokenizer."""
    about = read_json(folder / "config.json")
    config = model_config(about, folder)
    state = {_our_name(name, config.n_layers): tensor for name, tensor in _weights(folder).items() if _is_weight(name)}
    if config.tie_embeddings:
        state.pop("lm_head.weight", None)
        state["lm_head.weight"] = state["embed_tokens.weight"]
    if (folder / HEADS_CONFIG).is_file():
        config = ModelConfig.model_validate(read_json(folder / HEADS_CONFIG))
        state |= load_file(folder / HEADS)
    tokenizer = read_tokenizer(folder, vocab_size=config.vocab_size, eos_ids=eos_ids(folder))
    return config, state, tokenizer


def eos_ids(folder: Path) -> set[int]:
    """The ids at which a Hugging Face model ends: of its config and its generation config."""
    found: set[int] = set()
    for name in ("config.json", "generation_config.json"):
        value = read_json(folder / name).get("eos_token_id") if (folder / name).is_file() else None
        found |= {value} if isinstance(value, int) else set(value or ())
    return found


def model_config(about: dict[str, Any], folder: Path) -> ModelConfig:
    """Our config of a Llama's, or an error that names what we do not have."""
    rope = about.get("rope_parameters") or about.get("rope_scaling") or {}
    kind = rope.get("rope_type", rope.get("type", "default"))
    heads, width = about.get("num_attention_heads") or 1, about.get("hidden_size") or 0
    wrong = [
        f"{key} = {value!r}"
        for key, value, supported in (
            ("model_type", about.get("model_type"), MODEL_TYPES),
            ("hidden_act", about.get("hidden_act", "silu"), ("silu",)),
            ("attention_bias", about.get("attention_bias", False), (False,)),
            ("mlp_bias", about.get("mlp_bias", False), (False,)),
            ("sliding_window", about.get("sliding_window"), (None,)),
            ("rope_type", kind, ("default",)),
            ("head_dim", about.get("head_dim") or width // heads, (width // heads,)),
        )
        if value not in supported
    ]
    if wrong:
        raise InputError(
            f"{folder} is not a plain Llama: {', '.join(wrong)}. Run it as it is with --model hf:{folder} instead of "
            "converting it"
        )
    try:
        return ModelConfig(
            vocab_size=about["vocab_size"],
            d_model=about["hidden_size"],
            n_layers=about["num_hidden_layers"],
            n_heads=heads,
            n_kv_heads=about.get("num_key_value_heads") or heads,
            d_ff=about["intermediate_size"],
            context_length=about.get("max_position_embeddings", 2048),
            tie_embeddings=about.get("tie_word_embeddings", False),
            rope_theta=rope.get("rope_theta") or about.get("rope_theta") or 10_000.0,
            norm_eps=about.get("rms_norm_eps", 1e-6),
        )
    except (KeyError, ValidationError) as error:
        raise InputError(f"{folder}/config.json does not describe a Llama: {error}") from None


def write(folder: Path, config: ModelConfig, state: dict[str, Tensor], tokenizer: Tokenizer) -> None:
    """The next-token path as a LlamaForCausalLM, further heads beside it."""
    if config.head_kind in ("anticausal", "linear"):
        raise InputError(
            f"the next-token path of {config.head_kind} heads is no Llama (research paper's appendix B): it cannot be "
            "exported"
        )
    folder.mkdir(parents=True, exist_ok=True)
    last = config.n_trunk_layers
    llama, heads = {}, {}
    for name, tensor in state.items():
        renamed = _llama_name(name, last)
        if renamed is None:
            heads[name] = tensor.contiguous()
        elif not (config.tie_embeddings and name == "lm_head.weight"):
            llama[renamed] = tensor.contiguous()
    save_file(llama, folder / "model.safetensors", metadata={"format": "pt"})
    _write_json(folder / "config.json", _llama_config(config, tokenizer, next(iter(llama.values())).dtype))
    if heads:
        save_file(heads, folder / HEADS, metadata={"format": "pt"})
        _write_json(folder / HEADS_CONFIG, config.model_dump())
    _write_tokenizer(folder, tokenizer)


def _llama_config(config: ModelConfig, tokenizer: Tokenizer, dtype: torch.dtype) -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": config.vocab_size,
        "hidden_size": config.d_model,
        "intermediate_size": config.d_ff,
        "num_hidden_layers": config.n_trunk_layers + 1,
        "num_attention_heads": config.n_heads,
        "num_key_value_heads": config.kv_heads,
        "head_dim": config.head_size,
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "max_position_embeddings": config.context_length,
        "rms_norm_eps": config.norm_eps,
        "rope_theta": config.rope_theta,  # transformers 4
        "rope_parameters": {"rope_type": "default", "rope_theta": config.rope_theta},  # transformers 5
        "tie_word_embeddings": config.tie_embeddings,
        "bos_token_id": tokenizer.bos_id,
        "eos_token_id": sorted(tokenizer.eos_ids) if len(tokenizer.eos_ids) > 1 else tokenizer.eos_id,
        "torch_dtype": str(dtype).removeprefix("torch."),
    }


def _our_name(name: str, n_layers: int) -> str:
    name = name.removeprefix("model.")
    if not name.startswith("layers."):
        return name
    _, number, rest = name.split(".", 2)
    return f"heads.0.{rest}" if int(number) == n_layers - 1 else f"trunk.{number}.{rest}"


def _llama_name(name: str, last: int) -> str | None:
    if name.startswith("trunk."):
        return f"model.layers.{name.removeprefix('trunk.')}"
    if name.startswith("heads.0."):
        return f"model.layers.{last}.{name.removeprefix('heads.0.')}"
    if name.startswith(("heads.", "extra_lm_heads.")):
        return None
    return name if name.startswith("lm_head.") else f"model.{name}"


def _is_weight(name: str) -> bool:
    return not name.endswith("rotary_emb.inv_freq")


def _weights(folder: Path) -> dict[str, Tensor]:
    """From one safetensors file, an index of several, or an older .bin."""
    try:
        if (folder / "model.safetensors").is_file():
            return load_file(folder / "model.safetensors")
        for index in ("model.safetensors.index.json", "pytorch_model.bin.index.json"):
            if (folder / index).is_file():
                files = sorted(set(read_json(folder / index)["weight_map"].values()))
                return {name: tensor for file in files for name, tensor in _file_weights(folder / file).items()}
        if (folder / "pytorch_model.bin").is_file():
            return _file_weights(folder / "pytorch_model.bin")
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise InputError(f"the weights in {folder} cannot be read ({error}): copy the folder again") from None
    raise InputError(
        f"{folder} has a config.json but no model.safetensors or pytorch_model.bin: is the download whole?"
    )


def _file_weights(path: Path) -> dict[str, Tensor]:
    if path.suffix == ".safetensors":
        return load_file(path)
    loaded: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    return loaded


def _write_tokenizer(folder: Path, tokenizer: Tokenizer) -> None:
    names = {"bos_token": "<s>", "eos_token": "</s>"}
    if isinstance(tokenizer, ByteTokenizer):
        from tokenizers import Tokenizer as RawTokenizer
        from tokenizers import decoders, models, pre_tokenizers

        raw = RawTokenizer(models.BPE(vocab=byte_alphabet(), merges=[]))
        raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        raw.decoder = decoders.ByteLevel()
        raw.add_special_tokens(["<s>", "</s>", "<pad>"])
        raw.save(str(folder / "tokenizer.json"))
    else:
        tokenizer.save(folder)
        (folder / "tokenizer_meta.json").unlink()
        if (folder / "tokenizer.json").is_file():
            vocabulary = read_json(folder / "tokenizer.json")
            by_id = {token["id"]: token["content"] for token in vocabulary.get("added_tokens", [])}
            names = {"bos_token": by_id.get(tokenizer.bos_id, "<s>"), "eos_token": by_id.get(tokenizer.eos_id, "</s>")}
    if (folder / "tokenizer.json").is_file():
        _begin_with(folder / "tokenizer.json", tokenizer.prefix_ids)
    _write_json(folder / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", **names})


def _begin_with(file: Path, prefix_ids: tuple[int, ...]) -> None:
    """Let `tokenizer(text)` give what our decoding feeds the model: the prefix, then the text."""
    from tokenizers import Tokenizer as RawTokenizer
    from tokenizers.processors import TemplateProcessing

    raw = RawTokenizer.from_file(str(file))
    plain = raw.encode("x", add_special_tokens=False).ids
    if raw.encode("x").ids == [*prefix_ids, *plain]:
        return  # it does already; the file stays as it is, byte for byte
    marks = [(raw.id_to_token(id), id) for id in prefix_ids]
    before = [mark for mark, _ in marks]
    raw.post_processor = TemplateProcessing(
        single=[*before, "$A"], pair=[*before, "$A", "$B:1"], special_tokens=sorted(set(marks))
    )
    raw.save(str(file))


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")

"""Hugging Face Llama-family folders: reading, and writing what `AutoModelForCausalLM.from_pretrained` loads.

Layers 0 to L-2 are the trunk, layer L-1 is head 1; `architectures` says which models there are, `mtp_modules` how modules for
further tokens are named in them. On the way back heads 2 to n have no place in a Llama: they go to
mtp_heads.safetensors with their config in mtp_config.json, which other programs ignore and `read` finds again.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from mtp_eval.harness.errors import InputError
from mtp_eval.harness.models import chat_template
from mtp_eval.harness.models.config import ModelConfig
from mtp_eval.harness.models.convert.architectures import config_json, model_config
from mtp_eval.harness.models.convert.mtp_modules import taken_out
from mtp_eval.harness.models.tokenizers import ByteTokenizer, Tokenizer, read_tokenizer
from mtp_eval.harness.models.vocabularies import byte_alphabet, read_json

HEADS, HEADS_CONFIG = "mtp_heads.safetensors", "mtp_config.json"


def read(folder: Path) -> tuple[ModelConfig, dict[str, Tensor], Tokenizer]:
    """Config, weights in our names, tokenizer."""
    about = read_json(folder / "config.json")
    config = model_config(about, folder)
    n_layers = config.n_trunk_layers + 1
    layers, modules = taken_out(_weights(folder), n_layers)
    state = {_our_name(name, n_layers): tensor for name, tensor in layers.items() if _is_weight(name)} | modules
    if config.n_future > 1 and not modules:  # a config may speak of modules whose weights were left out
        config = without_modules(config)
    if config.tie_embeddings:
        state.pop("lm_head.weight", None)
        state["lm_head.weight"] = state["embed_tokens.weight"]
    if (folder / HEADS_CONFIG).is_file():
        config = ModelConfig.model_validate(read_json(folder / HEADS_CONFIG))
        state |= _heads(folder)
    tokenizer = read_tokenizer(folder, vocab_size=config.vocab_size, eos_ids=eos_ids(folder))
    return config, state, tokenizer


def eos_ids(folder: Path) -> set[int]:
    """The ids at which a Hugging Face model ends: of its config and its generation config."""
    found: set[int] = set()
    for name in ("config.json", "generation_config.json"):
        value = read_json(folder / name).get("eos_token_id") if (folder / name).is_file() else None
        found |= {value} if isinstance(value, int) else set(value or ())
    return found


def write(folder: Path, config: ModelConfig, state: dict[str, Tensor], tokenizer: Tokenizer) -> None:
    """The next-token path as a LlamaForCausalLM, further heads beside it.

    Raises:
        InputError: head 1 is no ordinary last layer (anticausal and linear heads), so that there is no Llama to export.
    """
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
    _write_json(folder / "config.json", config_json(config, tokenizer, next(iter(llama.values())).dtype))
    if heads:
        save_file(heads, folder / HEADS, metadata={"format": "pt"})
        _write_json(folder / HEADS_CONFIG, config.model_dump())
    _write_tokenizer(folder, tokenizer)


def without_modules(config: ModelConfig) -> ModelConfig:
    """Cut a config down to the next-token model."""
    n_layers = config.n_trunk_layers + 1
    return config.model_copy(update={"n_future": 1, "n_layers": n_layers, "extra_layers": 0, "head_kind": "parallel"})


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
    if name.startswith(("heads.", "extra_lm_heads.", "extra_norms.", "order_lm_heads.", "register_tokens.")):
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
    except Exception as error:  # safetensors, torch and pickle raise classes of their own
        raise InputError(
            f"the weights in {folder} cannot be read ({' '.join(str(error).split())}): copy the folder again"
        ) from None
    raise InputError(
        f"{folder} has a config.json but no model.safetensors or pytorch_model.bin: is the download whole?"
    )


def _heads(folder: Path) -> dict[str, Tensor]:
    try:
        return load_file(folder / HEADS)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{folder / HEADS} cannot be read ({error}): copy the folder again") from None


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
    about: dict[str, Any] = {"tokenizer_class": "PreTrainedTokenizerFast", **names}
    if tokenizer.chat is not None:
        (folder / chat_template.FILE).unlink()
        about |= {**tokenizer.chat.tokens, "chat_template": tokenizer.chat.source}
    _write_json(folder / "tokenizer_config.json", about)


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

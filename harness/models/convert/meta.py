"""Meta's release of multi-token-prediction models (arXiv 2404.19737): params.json and consolidated.pth.

`layers` holds the trunk and then head 1; `extra_heads` holds heads 2 to n, which read the trunk's output as head 1
does. Their rotary embedding turns neighbouring pairs, ours turns halves: the rows of wq and wk are reordered.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from pydantic import ValidationError
from torch import Tensor

from mtp_eval.harness.errors import InputError
from mtp_eval.harness.models.config import ModelConfig
from mtp_eval.harness.models.tokenizers import Tokenizer, read_tokenizer

OUTER = {
    "tok_embeddings.weight": "embed_tokens.weight",
    "norm.weight": "norm.weight",
    "output.weight": "lm_head.weight",
}
INNER = {
    "attention.wq.weight": "self_attn.q_proj.weight",
    "attention.wk.weight": "self_attn.k_proj.weight",
    "attention.wv.weight": "self_attn.v_proj.weight",
    "attention.wo.weight": "self_attn.o_proj.weight",
    "feed_forward.w1.weight": "mlp.gate_proj.weight",
    "feed_forward.w2.weight": "mlp.down_proj.weight",
    "feed_forward.w3.weight": "mlp.up_proj.weight",
    "attention_norm.weight": "input_layernorm.weight",
    "ffn_norm.weight": "post_attention_layernorm.weight",
}
CONTEXT_LENGTH = 4096
"""What the released models were trained with; params.json does not say."""


def read(folder: Path) -> tuple[ModelConfig, dict[str, Tensor], Tokenizer]:
    """Config, weights in our names, tokenizer.

    Raises:
        InputError: a tensor that this layout does not have.
    """
    weights = _weights(folder)
    config = _config(folder, weights)
    state = {}
    for name, tensor in weights.items():
        renamed = _our_name(name, config.n_trunk_layers)
        if renamed is None:
            raise InputError(f"{folder}/consolidated.pth has a tensor {name!r} that this layout does not know")
        if renamed.endswith(("q_proj.weight", "k_proj.weight")):
            tensor = halves_from_pairs(tensor, config.head_size)
        state[renamed] = tensor
    return config, state, _tokenizer(folder, config.vocab_size)


def halves_from_pairs(rows_OD: Tensor, head_size: int) -> Tensor:
    """Reorder the rows of each attention head: the first of every pair, then the second of every pair."""
    width = rows_OD.shape[1]
    return rows_OD.view(-1, head_size // 2, 2, width).transpose(1, 2).reshape(-1, width)


def _our_name(name: str, n_trunk: int) -> str | None:
    if name in OUTER:
        return OUTER[name]
    group, _, rest = name.partition(".")
    number, _, rest = rest.partition(".")
    if rest not in INNER or not number.isdigit():
        return None
    if group == "extra_heads":
        return f"heads.{int(number) + 1}.{INNER[rest]}"
    if group == "layers":
        return f"trunk.{number}.{INNER[rest]}" if int(number) < n_trunk else f"heads.0.{INNER[rest]}"
    return None


def _config(folder: Path, weights: dict[str, Tensor]) -> ModelConfig:
    try:
        params = json.loads((folder / "params.json").read_text(encoding="utf-8"))
        return ModelConfig(
            vocab_size=weights["tok_embeddings.weight"].shape[0],
            d_model=params["dim"],
            n_layers=params["n_layers"],
            n_heads=params["n_heads"],
            n_kv_heads=params.get("n_kv_heads") or params["n_heads"],
            d_ff=weights["layers.0.feed_forward.w1.weight"].shape[0],
            context_length=params.get("max_seq_len", CONTEXT_LENGTH),
            n_future=params.get("n_future_tokens", 1),
            rope_theta=params.get("rope_theta", 10_000.0),
            norm_eps=params.get("norm_eps", 1e-5),
        )
    except (OSError, ValueError, KeyError, ValidationError) as error:
        raise InputError(
            f"{folder} is not one of Meta's checkpoints ({error!r}): expected params.json beside the weights"
        ) from None


def _weights(folder: Path) -> dict[str, Tensor]:
    path = folder / "consolidated.pth"
    if not path.is_file():
        parts = sorted(folder.glob("consolidated.*.pth"))
        found = f"found {len(parts)} parts; models split over GPUs are not read" if parts else "there is none"
        raise InputError(f"expected one file consolidated.pth in {folder}: {found}")
    try:
        loaded: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # torch raises many kinds
        raise InputError(f"{path} cannot be read as tensors ({error}): copy it again") from None
    return {name: tensor for name, tensor in loaded.items() if name != "rope.freqs"}


def _tokenizer(folder: Path, vocab_size: int) -> Tokenizer:
    for place in (folder, folder.parent):
        for name in ("tokenizer.model", "tokenizer.json"):
            if (place / name).is_file():
                return read_tokenizer(place / name, vocab_size=vocab_size)
    raise InputError(f"there is no tokenizer.model or tokenizer.json in {folder} or the folder above it: copy it there")

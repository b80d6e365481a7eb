"""MTP modules of DeepSeek's and MiMo's names against transformers' layers and the paper's formula."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from mtp_eval.harness.decoding.settings import DecodingSettings
from mtp_eval.harness.models.checkpoint import load_checkpoint
from mtp_eval.harness.models.convert.convert import convert
from tests.harness.models.convert.random_models import PROMPTS, SHAPE, TOKENS, greedy, made, texts


def modules_of(weights: dict[str, Tensor], n_modules: int) -> tuple[dict[str, Tensor], list[dict[str, Tensor]]]:
    """The layers of a model, and further ones from its end as blocks of modules with norms and projection of their own."""
    generator = torch.Generator().manual_seed(5)
    modules = []
    for k in range(n_modules):
        prefix = f"model.layers.{SHAPE['num_hidden_layers'] + k}."
        block = {name.removeprefix(prefix): weights.pop(name) for name in list(weights) if name.startswith(prefix)}
        width = int(SHAPE["hidden_size"])
        for name in ("embedding_norm", "state_norm", "last_norm"):
            block[name] = 1 + 0.3 * torch.randn(width, generator=generator)
        block["proj"] = 0.2 * torch.randn(width, 2 * width, generator=generator)
        modules.append(block)
    return weights, modules


def deepseek_names(k: int, block: dict[str, Tensor], weights: dict[str, Tensor]) -> dict[str, Tensor]:
    prefix = f"model.layers.{SHAPE['num_hidden_layers'] + k}."
    renamed = {
        "embedding_norm": "enorm.weight",
        "state_norm": "hnorm.weight",
        "proj": "eh_proj.weight",
        "last_norm": "shared_head.norm.weight",
    }
    return {
        **{prefix + renamed.get(name, name): tensor for name, tensor in block.items()},
        prefix + "embed_tokens.weight": weights["model.embed_tokens.weight"].clone(),
        prefix + "shared_head.head.weight": weights["lm_head.weight"].clone(),
    }


def mimo_names(k: int, block: dict[str, Tensor], weights: dict[str, Tensor]) -> dict[str, Tensor]:
    renamed = {
        "embedding_norm": "token_layernorm.weight",
        "state_norm": "hidden_layernorm.weight",
        "proj": "input_proj.weight",
        "last_norm": "final_layernorm.weight",
    }
    named = {f"model.mtp_layers.{k}." + renamed.get(name, name): tensor for name, tensor in block.items()}
    projection = named[f"model.mtp_layers.{k}.input_proj.weight"]
    width = projection.shape[0]
    named[f"model.mtp_layers.{k}.input_proj.weight"] = torch.cat([projection[:, width:], projection[:, :width]], dim=1)
    return named


class Reference:
    """Modules over transformers' own layers, written from the paper's formula."""

    def __init__(self, model: Any, blocks: list[dict[str, Tensor]], layers: list[Any]):
        self.model, self.blocks, self.layers = model, blocks, layers

    @staticmethod
    def norm(x: Tensor, weight: Tensor) -> Tensor:
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * weight

    @torch.no_grad()
    def logits(self, tokens: Tensor, length: int) -> list[Tensor]:
        """Of every head, at the first `length` positions."""
        inner = self.model.model
        state = inner(tokens[:, :length]).last_hidden_state  # after the model's last norm
        found = [self.model.lm_head(state)]
        positions = torch.arange(length)[None]
        for k, (block, layer) in enumerate(zip(self.blocks, self.layers, strict=True), start=1):
            embedded = inner.embed_tokens(tokens[:, k : k + length])
            both = [self.norm(embedded, block["embedding_norm"]), self.norm(state, block["state_norm"])]
            x = torch.cat(both, dim=-1) @ block["proj"].T
            mask = torch.full((length, length), float("-inf")).triu(1)[None, None]
            out = layer(x, attention_mask=mask, position_embeddings=inner.rotary_emb(x, positions))
            state = self.norm(out if isinstance(out, Tensor) else out[0], block["last_norm"])
            found.append(self.model.lm_head(state))
        return found


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "n_modules"), [("deepseek", 1), ("deepseek", 2), ("mimo", 1)])
def test_mtp_modules_load_as_sequential_heads(kind: str, n_modules: int, tmp_path: Path) -> None:
    n_layers, folder = int(SHAPE["num_hidden_layers"]), tmp_path / "hf"
    base = "Qwen2" if kind == "mimo" else "Llama"
    model = made(base, {"num_hidden_layers": n_layers + n_modules}, folder)
    weights, blocks = modules_of(load_file(folder / "model.safetensors"), n_modules)
    names = mimo_names if kind == "mimo" else deepseek_names
    for k, block in enumerate(blocks):
        weights |= names(k, block, weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    about = json.loads((folder / "config.json").read_text())
    about |= {"num_hidden_layers": n_layers, "num_nextn_predict_layers": n_modules}
    about |= {"model_type": "mimo", "layer_types": None} if kind == "mimo" else {}
    (folder / "config.json").write_text(json.dumps(about))

    convert(folder, tmp_path / "ours")
    ours = load_checkpoint(tmp_path / "ours")
    assert (ours.config.head_kind, ours.config.n_future) == ("sequential", 1 + n_modules)
    layers = list(model.model.layers[n_layers:])
    model.model.layers = model.model.layers[:n_layers]
    model.config.num_hidden_layers = n_layers
    reference = Reference(model, blocks, layers)
    with torch.no_grad():
        found = ours.model(TOKENS, 30)
    for expected, got in zip(reference.logits(TOKENS, 30), found, strict=True):
        torch.testing.assert_close(got, expected, atol=1e-4, rtol=0)
    written = [greedy(model, ours, prompt, 24) for prompt in PROMPTS]
    assert texts(ours, PROMPTS, DecodingSettings(decode="self-speculative")) == written

    convert(tmp_path / "ours", tmp_path / "back", to="hf")  # the modules beside it
    convert(tmp_path / "back", tmp_path / "again")
    again = load_checkpoint(tmp_path / "again")
    assert again.config == ours.config
    assert all(torch.equal(tensor, again.model.state_dict()[name]) for name, tensor in ours.model.state_dict().items())

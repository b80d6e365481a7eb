"""Near relatives of Llama, and MTP modules, against transformers on tiny random models in float32."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from mtp_eval.harness.backends.native import NativeBackend
from mtp_eval.harness.decoding.settings import DecodingSettings
from mtp_eval.harness.errors import InputError
from mtp_eval.harness.models.checkpoint import Checkpoint, load_checkpoint
from mtp_eval.harness.models.convert.convert import convert
from mtp_eval.harness.models.tokenizers import trained_bpe
from mtp_eval.tasks.problem import Request

transformers = pytest.importorskip("transformers")

TOKENS = torch.randint(0, 256, (2, 40), generator=torch.Generator().manual_seed(0))
SHAPE = {
    "vocab_size": 300,
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "initializer_range": 0.2,
    "eos_token_id": 1,
}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 5e3,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
WINDOWS = {"use_sliding_window": True, "sliding_window": 9}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "biases everywhere": ("Llama", {"attention_bias": True, "mlp_bias": True}),
    "llama3 rope, wide heads": ("Llama", {"head_dim": 16, "rope_parameters": LLAMA3}),
    "linear rope": ("Llama", {"rope_parameters": {"rope_type": "linear", "rope_theta": 5e3, "factor": 4.0}}),
    "mistral's window": ("Mistral", {"sliding_window": 7}),
    "qwen2": ("Qwen2", {"tie_word_embeddings": True}),
    "qwen2 with windows": ("Qwen2", {"max_window_layers": 1, **WINDOWS}),
    "qwen3": ("Qwen3", {"head_dim": 16, "tie_word_embeddings": True}),
    "qwen3 with biases and windows": (
        "Qwen3",
        {"head_dim": 8, "attention_bias": True, "max_window_layers": 2, **WINDOWS},
    ),
}


def made(kind: str, changes: dict[str, Any], folder: Path) -> Any:
    """A random model of transformers, saved with a tokenizer; vectors are moved away from 0 and 1, so that none can be lost."""
    torch.manual_seed(0)
    model = getattr(transformers, f"{kind}ForCausalLM")(getattr(transformers, f"{kind}Config")(**SHAPE | changes))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.add_(0.3 * torch.randn_like(parameter))
    model.eval().save_pretrained(folder)
    add_tokenizer(folder)
    return model


def add_tokenizer(folder: Path) -> None:
    bpe = folder.parent / "bpe"
    bpe.mkdir()
    trained_bpe(["some text"], 260).save(bpe)
    (bpe / "tokenizer.json").rename(folder / "tokenizer.json")


@torch.no_grad()
def greedy(theirs: Any, checkpoint: Checkpoint, prompt: str, n_new: int) -> str:
    """What transformers' own `generate` writes."""
    ids = torch.tensor([[*checkpoint.tokenizer.prefix_ids, *checkpoint.tokenizer.encode(prompt)]])
    out = theirs.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=n_new, do_sample=False, pad_token_id=0
    )
    new = out[0, ids.shape[1] :].tolist()
    return whole(checkpoint.tokenizer.decode(new[: new.index(1)] if 1 in new else new))


def whole(text: str) -> str:
    """Without the bytes at its end that are no character: a completion that was cut off loses them."""
    return re.sub("[\udc80-\udcff]+$", "", text)


def texts(checkpoint: Checkpoint, prompts: list[str], settings: DecodingSettings, n_new: int = 24) -> list[str]:
    backend = NativeBackend.of_model(checkpoint.model, checkpoint.tokenizer)
    done = backend.generate([Request(str(i), 0, p, 1, (), n_new) for i, p in enumerate(prompts)], settings)
    return [whole(c.text) for c in sorted(done, key=lambda c: c.problem_id)]


PROMPTS = ["some", "text some text te", "s" * 20]


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_logits_greedy_tokens_and_the_way_back(case: str, tmp_path: Path) -> None:
    kind, changes = CASES[case]
    theirs = made(kind, changes, tmp_path / "hf")
    convert(tmp_path / "hf", tmp_path / "ours")
    ours = load_checkpoint(tmp_path / "ours")
    with torch.no_grad():
        expected = theirs(TOKENS).logits
        torch.testing.assert_close(ours.model(TOKENS)[0], expected, atol=1e-4, rtol=0)
    written = [greedy(theirs, ours, prompt, 24) for prompt in PROMPTS]
    assert texts(ours, PROMPTS, DecodingSettings(decode="autoregressive")) == written

    convert(tmp_path / "ours", tmp_path / "back")
    back = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "back").eval()
    with torch.no_grad():
        torch.testing.assert_close(back(TOKENS).logits, expected, atol=1e-6, rtol=0)
    convert(tmp_path / "back", tmp_path / "again")
    assert load_checkpoint(tmp_path / "again").config == ours.config

    convert(tmp_path / "ours", tmp_path / "n3", n_future=3)
    drafting = load_checkpoint(tmp_path / "n3")
    with torch.no_grad():
        for name, parameter in drafting.model.named_parameters():
            if name.startswith(("heads.1", "heads.2")):
                parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    assert texts(drafting, PROMPTS, DecodingSettings(decode="self-speculative")) == written
    check_drafts(drafting, PROMPTS[1])


@torch.inference_mode()
def check_drafts(checkpoint: Checkpoint, prompt: str) -> None:
    """Drafts of the packed heads are those of the plain model: nothing of a layer is lost in packing."""
    ids = [*checkpoint.tokenizer.prefix_ids, *checkpoint.tokenizer.encode(prompt)]
    network = NativeBackend.of_model(checkpoint.model, checkpoint.tokenizer).network(3)
    plain = torch.stack([logits_1TV[0, -1] for logits_1TV in checkpoint.model(torch.tensor([ids[:-1]]))[1:]])
    torch.testing.assert_close(network.prefill([ids])[0].draft_logits, plain, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"model_type": "gemma2"}, "model_type = 'gemma2'"),
        ({"hidden_act": "gelu"}, "hidden_act = 'gelu'"),
        ({"rope_scaling": {"type": "yarn", "factor": 4.0}}, "rope_type = 'yarn'"),
        ({"partial_rotary_factor": 0.5}, "partial_rotary_factor"),
        ({"quantization_config": {"quant_method": "gptq"}}, "quantization_config"),
        (
            {"kv_lora_rank": 512, "n_routed_experts": 256},
            r"kv_lora_rank \(latent attention\), n_routed_experts \(experts\)",
        ),
        (
            {"model_type": "qwen3", "layer_types": ["sliding_attention", "full_attention", "full_attention"]},
            "layer_types",
        ),
        ({"hidden_size": None}, "does not describe a model"),
        ({"num_attention_heads": 7}, "n_heads=7"),
        ({"rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, "'low_freq_factor' is missing"),
    ],
)
def test_what_layers_of_ours_do_not_have_is_refused_by_its_field(
    changes: dict[str, Any], named: str, tmp_path: Path
) -> None:
    about = {**SHAPE, "model_type": "llama", **changes}
    (tmp_path / "config.json").write_text(json.dumps(about))
    with pytest.raises(InputError, match=named):
        convert(tmp_path, tmp_path / "ours")


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("model.safetensors", b"<html>not found</html>"),
        ("model.safetensors", b"\x10\x00\x00\x00\x00\x00\x00\x00{"),
        ("pytorch_model.bin", b"no pickle"),
        ("model.safetensors.index.json", b'{"weight_map": {"a": "gone.safetensors"}}'),
        ("model.safetensors.index.json", b"[]"),
        ("nothing", b""),
    ],
)
def test_damaged_weights_are_one_sentence(file: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({**SHAPE, "model_type": "llama"}))
    (tmp_path / file).write_bytes(content)
    with pytest.raises(InputError, match=r"copy the folder again|is the download whole") as caught:
        convert(tmp_path, tmp_path / "ours")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["[]", "{", '"llama"', ""])
def test_a_config_that_is_no_object_is_one_sentence(content: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(InputError, match=r"config\.json"):
        convert(tmp_path, tmp_path / "ours")


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

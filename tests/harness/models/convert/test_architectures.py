"""Near relatives of Llama against transformers on tiny random models in float32."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from mtp_eval.harness.backends.native import NativeBackend
from mtp_eval.harness.decoding.settings import DecodingSettings
from mtp_eval.harness.errors import InputError
from mtp_eval.harness.models.checkpoint import Checkpoint, load_checkpoint
from mtp_eval.harness.models.convert.convert import convert
from tests.extras import needs
from tests.harness.models.convert.random_models import PROMPTS, SHAPE, TOKENS, greedy, made, texts

needs("transformers", "hf")

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
    import transformers

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

"""Models that keep something else than keys and values, wholly or in some layers, write what transformers' `generate` writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from mtp_eval.harness.backends.base import BackendOptions
from mtp_eval.harness.backends.hf import HuggingFaceBackend
from mtp_eval.harness.decoding.noise import row_key
from mtp_eval.harness.decoding.sampling import Sampler
from mtp_eval.harness.decoding.settings import DecodingSettings
from mtp_eval.harness.models.config import ModelConfig
from mtp_eval.harness.models.convert import huggingface
from mtp_eval.harness.models.initialize import new_model
from mtp_eval.harness.models.tokenizers import ByteTokenizer
from mtp_eval.tasks.problem import Completion, Request
from tests.extras import needs

needs("transformers", "hf")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

IDS = {"vocab_size": 264, "bos_token_id": 256, "eos_token_id": 257, "pad_token_id": 258}
ATTENTION = {
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": 128,
}
COMMON = {"hidden_size": 32, "num_hidden_layers": 2, **IDS}
MAMBA_2 = {
    "mamba_d_state": 8,
    "mamba_n_heads": 4,
    "mamba_d_head": 16,
    "mamba_expand": 2,
    "mamba_n_groups": 1,
    "mamba_chunk_size": 8,
}
EXPERTS = {"num_experts": 2, "num_experts_per_tok": 1}

STATES: dict[str, dict[str, Any]] = {
    "Mamba": {"state_size": 4},
    "Mamba2": {"state_size": 8, "num_heads": 4, "head_dim": 16, "n_groups": 1, "chunk_size": 8},
    "FalconMamba": {"state_size": 4},
    "Rwkv": {"attention_hidden_size": 32, "intermediate_size": 48, "context_length": 128},
    "RecurrentGemma": {"num_attention_heads": 4, "lru_width": 32, "intermediate_size": 48, "attention_window_size": 16,
                       "num_hidden_layers": 3},
}  # fmt: skip
"""Decoded one by one."""
HYBRIDS: dict[str, dict[str, Any]] = {
    "Jamba": {**ATTENTION, **EXPERTS, "mamba_d_state": 4, "use_mamba_kernels": False, "attn_layer_period": 2, "attn_layer_offset": 1},
    "Bamba": {**ATTENTION, **MAMBA_2, "attn_layer_indices": [1]},
    "FalconH1": {**ATTENTION, **MAMBA_2, "mamba_d_ssm": 64},
    "Lfm2": {**ATTENTION, "full_attn_idxs": [1], "block_multiple_of": 8},
    "Qwen3Next": {**ATTENTION, **EXPERTS, "head_dim": 8, "linear_num_key_heads": 2, "linear_num_value_heads": 4,
                  "linear_key_head_dim": 8, "linear_value_head_dim": 8, "moe_intermediate_size": 16,
                  "shared_expert_intermediate_size": 16, "layer_types": ["linear_attention", "full_attention"]},
}  # fmt: skip
"""Decoded in batches, padded on the left."""

PROMPTS = ["def add(a, b):\n", "x", "while True:", "import os, sys\n\n", "def"]
ROOMS = [12, 3, 20, 5, 4]
"""New tokens: most rows end early, so that the batch shrinks."""


def made(kind: str, changes: dict[str, Any], folder: Path) -> Any:
    """A random model that is far from indifferent, saved with a byte tokenizer."""
    import transformers

    shape = ModelConfig(vocab_size=264, d_model=32, n_layers=2, n_heads=4, d_ff=48, context_length=128)
    huggingface.write(folder, shape, dict(new_model(shape, 0).state_dict()), ByteTokenizer())  # for its tokenizer
    (folder / "model.safetensors").unlink()
    torch.manual_seed(0)
    about = getattr(transformers, f"{kind}Config")(**COMMON | changes)
    model = getattr(transformers, f"{kind}ForCausalLM")(about).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.add_(0.2 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    return model


def written(backend: HuggingFaceBackend, settings: DecodingSettings) -> dict[str, Completion]:
    requests = [Request(p, 0, p, i, (), n) for i, (p, n) in enumerate(zip(PROMPTS, ROOMS, strict=True))]
    return {done.problem_id: done for done in backend.generate(requests, settings)}


@pytest.mark.parametrize("kind", [*STATES, *HYBRIDS])
def test_greedy_texts_are_those_of_generate(kind: str, tmp_path: Path) -> None:
    plain = made(kind, {**STATES, **HYBRIDS}[kind], tmp_path)
    backend = HuggingFaceBackend(str(tmp_path), BackendOptions(dtype="float32"))
    assert backend.has_cache == (kind in HYBRIDS)
    found = written(backend, DecodingSettings(batch_size=4))
    for prompt, room in zip(PROMPTS, ROOMS, strict=True):
        ids = torch.tensor([[256, *prompt.encode()]])
        with torch.no_grad():
            out = plain.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=room, do_sample=False)
        new = out[0, ids.shape[1] :].tolist()
        assert found[prompt].n_tokens == len(new)
        assert found[prompt].text.rstrip("\ufffd") == backend.decode(new[:-1] if new[-1] == 257 else new).rstrip(
            "\ufffd"
        )
    assert backend.loglikelihood([("def", " x")])[0].nats < 0


@pytest.mark.parametrize("kind", ["Mamba", "Qwen3Next"])
def test_samples_have_the_seeds_of_every_other_way(kind: str, tmp_path: Path) -> None:
    """The oracle draws from a whole forward for each token."""
    plain = made(kind, {**STATES, **HYBRIDS}[kind], tmp_path)
    settings = DecodingSettings(temperature=0.8, top_p=0.95)
    found = written(HuggingFaceBackend(str(tmp_path), BackendOptions(dtype="float32")), settings)
    sampler = Sampler.of(settings)
    for seed, (prompt, room) in enumerate(zip(PROMPTS, ROOMS, strict=True)):
        ids = [256, *prompt.encode()]
        for place in range(found[prompt].n_tokens):
            with torch.no_grad():
                logits_11V = plain(input_ids=torch.tensor([ids]), use_cache=False).logits[:, -1:]
            ids.append(int(sampler.pick(logits_11V, torch.tensor([row_key(seed)]), torch.tensor([[place]]))))
        new = ids[1 + len(prompt) :]
        assert len(new) == room or new[-1] == 257
        text = bytes(i for i in new if i < 256).decode("utf-8", "replace")
        assert found[prompt].text.rstrip("\ufffd") == text.rstrip("\ufffd")


def test_a_checkpoints_generation_config_changes_no_logits(tmp_path: Path) -> None:
    """Somebody's repetition_penalty is no part of a protocol."""
    made("Mamba", STATES["Mamba"], tmp_path)
    before = written(HuggingFaceBackend(str(tmp_path), BackendOptions(dtype="float32")), DecodingSettings())
    (tmp_path / "generation_config.json").write_text(
        '{"repetition_penalty": 3.0, "no_repeat_ngram_size": 1, "suppress_tokens": [10, 97, 100], "do_sample": true, "eos_token_id": 257}'
    )
    after = written(HuggingFaceBackend(str(tmp_path), BackendOptions(dtype="float32")), DecodingSettings())
    assert {p: c.text for p, c in after.items()} == {p: c.text for p, c in before.items()}

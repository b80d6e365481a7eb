"""What `hf:` loads besides plain folders, against the packages that wrote it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from mtp_eval.harness.backends.base import BackendOptions
from mtp_eval.harness.backends.hf import HuggingFaceBackend
from mtp_eval.harness.backends.hf_load import load, weights_sha256
from mtp_eval.harness.decoding.settings import DecodingSettings
from mtp_eval.harness.errors import InputError
from mtp_eval.harness.models.config import ModelConfig
from mtp_eval.harness.models.convert import huggingface
from mtp_eval.harness.models.convert.convert import convert
from mtp_eval.harness.models.initialize import new_model
from mtp_eval.harness.models.tokenizers import ByteTokenizer
from mtp_eval.tasks.problem import Request
from tests.extras import needs

needs("transformers", "hf")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

SHAPE = ModelConfig(vocab_size=264, d_model=32, n_layers=3, n_heads=4, d_ff=48, context_length=128)
TOKENS = torch.randint(0, 256, (1, 12), generator=torch.Generator().manual_seed(0))
FLOAT32 = BackendOptions(dtype="float32")


def base_model(folder: Path) -> Path:
    huggingface.write(folder, SHAPE, dict(new_model(SHAPE, 0).state_dict()), ByteTokenizer())
    return folder


def test_a_lora_folder_is_its_base_with_the_adapter_added(tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    folder = base_model(tmp_path / "base")
    import transformers

    plain = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    adapted = peft.get_peft_model(plain, peft.LoraConfig(r=4, target_modules=["q_proj", "down_proj"]))
    torch.manual_seed(1)
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_" in name:
                parameter.normal_(std=0.3)
    adapted.save_pretrained(tmp_path / "lora")
    adapted.eval()
    loaded = load(str(tmp_path / "lora"), FLOAT32)
    with torch.no_grad():
        torch.testing.assert_close(loaded.model(TOKENS).logits, adapted(TOKENS).logits, atol=1e-4, rtol=0)
    assert loaded.facts["adapter_of"] == str(folder)
    assert weights_sha256(loaded.model) != weights_sha256(load(str(folder), FLOAT32).model)
    assert loaded.tokenizer("ab").input_ids == [256, 97, 98]  # the base's: adapters seldom bring one


def test_a_model_spread_over_what_there_is_gives_the_same_logits(tmp_path: Path) -> None:
    pytest.importorskip("accelerate")
    folder = base_model(tmp_path / "base")
    spread, plain = (load(str(folder), BackendOptions(device=device, dtype="float32")) for device in ("all", "cpu"))
    with torch.no_grad():
        torch.testing.assert_close(spread.model(TOKENS.to(spread.device)).logits.cpu(), plain.model(TOKENS).logits)


LOOK = """
import json, sys, time
from mtp_eval.harness import InputError, open_backend
started = time.monotonic()
try:
    facts = open_backend(sys.argv[1], device="cpu").facts()
except InputError as error:
    facts = {"error": str(error)}
print(json.dumps({**facts, "seconds": time.monotonic() - started}))
"""


def looked_at(spec: str, cache: Path, **environment: str) -> dict[str, Any]:
    """The facts of a model as a process of its own finds them: the hub's library reads its settings when it is imported."""
    settings = {**os.environ, "HF_HOME": str(cache), **environment}
    done = subprocess.run([sys.executable, "-c", LOOK, spec], env=settings, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_without_a_network_the_cache_answers_and_names_its_commit(tmp_path: Path) -> None:
    commit, home = "0123456789abcdef0123456789abcdef01234567", tmp_path / "home"
    repository = home / "hub" / "models--someone--tiny"
    base_model(repository / "snapshots" / commit)
    for name in ("main", "v1"):
        (repository / "refs").mkdir(exist_ok=True)
        (repository / "refs" / name).write_text(commit)
    found = looked_at("hf:someone/tiny@v1", home, HF_HUB_OFFLINE="1")
    assert found["revision"] == commit
    assert "offline mode" in looked_at("hf:someone/other", home, HF_HUB_OFFLINE="1")["error"]
    nobody = {
        "HF_ENDPOINT": "http://127.0.0.1:9",
        "HTTP_PROXY": "",
        "HTTPS_PROXY": "",
        "http_proxy": "",
        "https_proxy": "",
    }
    assert looked_at("hf:someone/tiny", home, **nobody)["revision"] == commit


def test_weights_that_would_run_code_are_refused(tmp_path: Path) -> None:
    folder, mark = base_model(tmp_path / "base"), tmp_path / "was-run"
    (folder / "model.safetensors").unlink()
    torch.save({"model.embed_tokens.weight": Touch(mark)}, folder / "pytorch_model.bin")
    with pytest.raises(InputError, match="cannot be loaded"):
        load(str(folder), FLOAT32)
    with pytest.raises(InputError, match="cannot be read"):
        convert(folder, tmp_path / "ours")
    meta = tmp_path / "meta"
    meta.mkdir()
    (meta / "params.json").write_text(
        json.dumps({"dim": 32, "n_layers": 3, "n_heads": 4, "vocab_size": 264, "norm_eps": 1e-5})
    )
    shutil.copy(folder / "pytorch_model.bin", meta / "consolidated.pth")
    with pytest.raises(InputError):
        convert(meta, tmp_path / "ours")
    assert not mark.exists()


class Touch:
    """Unpickled, it makes a file."""

    def __init__(self, mark: Path):
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


def test_code_of_a_repository_runs_only_where_that_was_asked_for(tmp_path: Path) -> None:
    folder, mark = base_model(tmp_path / "base"), tmp_path / "was-run"
    about = json.loads((folder / "config.json").read_text())
    about |= {
        "model_type": "theirs",
        "auto_map": {"AutoConfig": "theirs.Theirs", "AutoModelForCausalLM": "theirs.TheirsLM"},
    }
    (folder / "config.json").write_text(json.dumps(about))
    (folder / "theirs.py").write_text(
        "from pathlib import Path\nfrom transformers import LlamaConfig, LlamaForCausalLM\n"
        f"Path({str(mark)!r}).touch()\n\nclass Theirs(LlamaConfig):\n    model_type = 'theirs'\n\n"
        "class TheirsLM(LlamaForCausalLM):\n    config_class = Theirs\n"
    )
    with pytest.raises(InputError, match="trust_remote_code"):
        load(str(folder), FLOAT32)
    assert not mark.exists()
    trusted = load(str(folder), BackendOptions(dtype="float32", trust_remote_code=True))
    assert mark.exists()
    assert trusted.facts == {"trust_remote_code": True}


GGUF_NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}


def write_gguf(gguf: Any, path: Path, weights: dict[str, torch.Tensor]) -> None:
    """A Llama in float32, as llama.cpp's converter names and orders it: rotary pairs stand side by side."""
    from mtp_eval.harness.models.vocabularies import byte_alphabet

    tokens = [piece for piece, _ in sorted(byte_alphabet().items(), key=lambda item: item[1])]
    tokens += ["<s>", "</s>", "<pad>", "ab"]
    tokens += [f"<unused{i}>" for i in range(SHAPE.vocab_size - len(tokens))]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(SHAPE.n_layers)
    writer.add_context_length(SHAPE.context_length)
    writer.add_embedding_length(SHAPE.d_model)
    writer.add_feed_forward_length(SHAPE.d_ff)
    writer.add_head_count(SHAPE.n_heads)
    writer.add_head_count_kv(SHAPE.kv_heads)
    writer.add_rope_freq_base(SHAPE.rope_theta)
    writer.add_layer_norm_rms_eps(SHAPE.norm_eps)
    writer.add_vocab_size(SHAPE.vocab_size)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([1] * 256 + [3, 3, 3] + [1] * (len(tokens) - 259))
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(256)
    writer.add_eos_token_id(257)
    for name, tensor in weights.items():
        if name.endswith(("q_proj.weight", "k_proj.weight")):
            halves = tensor.view(-1, 2, SHAPE.head_size // 2, SHAPE.d_model)
            tensor = halves.transpose(1, 2).reshape(tensor.shape)
        stem = name.removesuffix(".weight")
        block, _, part = stem.removeprefix("model.layers.").partition(".")
        short = f"blk.{block}.{GGUF_NAMES[part]}" if stem.startswith("model.layers.") else GGUF_NAMES[stem]
        writer.add_tensor(f"{short}.weight", tensor.contiguous().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def test_a_gguf_file_is_the_model_that_it_was_made_of(tmp_path: Path) -> None:
    gguf = pytest.importorskip("gguf")
    pytest.importorskip("accelerate")
    from safetensors.torch import load_file

    folder, path = base_model(tmp_path / "base"), tmp_path / "tiny.gguf"
    write_gguf(gguf, path, load_file(folder / "model.safetensors"))
    loaded, plain = load(str(path), FLOAT32), load(str(folder), FLOAT32)
    assert loaded.facts == {"gguf": "tiny.gguf"}
    with torch.no_grad():
        torch.testing.assert_close(loaded.model(TOKENS).logits, plain.model(TOKENS).logits, atol=1e-4, rtol=0)
    assert loaded.tokenizer("def", add_special_tokens=False).input_ids == list(b"def")
    with pytest.raises(InputError, match="no such file"):
        load(str(tmp_path / "other.gguf"), FLOAT32)


def deepseek(folder: Path) -> Path:
    """A tiny DeepSeek-V3 with a module, under the published names; transformers knows them behind 61 layers only."""
    base_model(folder)
    (folder / "model.safetensors").unlink()
    torch.manual_seed(0)
    import transformers

    config = transformers.DeepseekV3Config(
        vocab_size=264, hidden_size=16, intermediate_size=24, moe_intermediate_size=8, num_hidden_layers=62,
        num_attention_heads=2, num_key_value_heads=2, n_routed_experts=2, n_shared_experts=1, num_experts_per_tok=1,
        n_group=1, topk_group=1, kv_lora_rank=8, q_lora_rank=8, qk_rope_head_dim=4, qk_nope_head_dim=4, v_head_dim=4,
        first_k_dense_replace=61, max_position_embeddings=64, eos_token_id=257, bos_token_id=256, pad_token_id=258,
    )  # fmt: skip
    transformers.DeepseekV3ForCausalLM(config).save_pretrained(folder)
    from safetensors.torch import load_file, save_file

    weights, prefix = load_file(folder / "model.safetensors"), "model.layers.61."
    for name in ("enorm", "hnorm", "shared_head.norm"):
        weights[f"{prefix}{name}.weight"] = torch.ones(16)
    weights[f"{prefix}eh_proj.weight"] = torch.cat([torch.eye(16), torch.eye(16)], dim=1)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    about: dict[str, Any] = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(about | {"num_hidden_layers": 61, "num_nextn_predict_layers": 1}))
    penalties = {"repetition_penalty": 3.0, "no_repeat_ngram_size": 2, "eos_token_id": 257}  # no part of any protocol
    (folder / "generation_config.json").write_text(json.dumps(penalties))
    return folder


def test_transformers_own_modules_draft_and_change_no_greedy_text(tmp_path: Path) -> None:
    backend = HuggingFaceBackend(str(deepseek(tmp_path / "deepseek")), FLOAT32)
    drafting = DecodingSettings(decode="self-speculative")
    backend.check(drafting)
    wanted = [Request(prompt, 0, prompt, 1, (), 10) for prompt in ("def add", "x")]
    plain, drafted = (
        {c.problem_id: c for c in backend.generate(wanted, settings)} for settings in (DecodingSettings(), drafting)
    )
    for prompt, done in drafted.items():
        assert (done.text, done.n_tokens) == (plain[prompt].text, plain[prompt].n_tokens)
        assert done.n_forwards == done.n_tokens - sum(done.n_accepted)
        assert 0 < sum(done.n_drafted) <= done.n_forwards
    assert backend.facts()["n_future"] == 2
    with pytest.raises(InputError, match="without our seeds"):
        backend.check(DecodingSettings(decode="self-speculative", temperature=0.5))

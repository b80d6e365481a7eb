"""transformers' Llama on the weights we export, as a backend, gives what our own decoder gives."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mtp_eval.harness.backends.base import BackendOptions
from mtp_eval.harness.backends.native import NativeBackend
from mtp_eval.harness.decoding.settings import DecodingSettings
from mtp_eval.harness.errors import InputError
from mtp_eval.harness.models.convert import huggingface
from mtp_eval.harness.models.tokenizers import ByteTokenizer
from mtp_eval.harness.models.transformer import MTPModel
from mtp_eval.tasks.problem import Request
from tests.extras import needs

needs("transformers", "hf")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_same_completions_as_our_decoder(trained: Callable[..., MTPModel], tmp_path: Path) -> None:
    from mtp_eval.harness.backends.hf import HuggingFaceBackend

    model = trained(2)
    ours = NativeBackend.of_model(model, ByteTokenizer())
    huggingface.write(tmp_path, model.config, dict(model.state_dict()), ByteTokenizer())
    theirs = HuggingFaceBackend(str(tmp_path), BackendOptions(dtype="float64"))
    facts = theirs.facts()
    assert facts["dtype"] == "float64"
    assert facts["parameters"] < ours.facts()["parameters"]  # heads beyond the first are no part of a Llama
    prompts = ["def add(a, b):\n", "d", "def sub(a, b):\n    return a - b\n\ndef "]
    wanted = [Request(p, s, p, 7 * s + len(p), ("\n\n",), 20) for p in prompts for s in range(3)]
    for settings in (DecodingSettings(), DecodingSettings(temperature=0.8, top_p=0.9, batch_size=4)):
        expected = {
            (c.problem_id, c.sample): (c.text, c.n_tokens, c.stop_reason) for c in ours.generate(wanted, settings)
        }
        found = {
            (c.problem_id, c.sample): (c.text, c.n_tokens, c.stop_reason) for c in theirs.generate(wanted, settings)
        }
        assert found == expected
    with pytest.raises(InputError, match="predicts one token"):
        list(theirs.generate(wanted, DecodingSettings(decode="self-speculative")))


def test_a_model_that_is_not_there(tmp_path: Path) -> None:
    from mtp_eval.harness.backends.hf import HuggingFaceBackend

    with pytest.raises(InputError, match="no such folder"):
        HuggingFaceBackend(str(tmp_path / "nothing"))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_a_state_space_model_writes_what_generate_writes(trained: Callable[..., MTPModel], tmp_path: Path) -> None:
    """The oracle is transformers' own `generate`."""
    import torch
    from transformers import AutoTokenizer, MambaConfig, MambaForCausalLM

    from mtp_eval.harness.backends.hf import HuggingFaceBackend

    torch.manual_seed(0)
    model = trained(2)
    huggingface.write(tmp_path, model.config, dict(model.state_dict()), ByteTokenizer())  # for its tokenizer
    (tmp_path / "model.safetensors").unlink()
    about = MambaConfig(
        vocab_size=264,
        hidden_size=32,
        state_size=4,
        num_hidden_layers=2,
        eos_token_id=257,
        bos_token_id=256,
        pad_token_id=258,
    )
    MambaForCausalLM(about).save_pretrained(tmp_path)
    backend = HuggingFaceBackend(str(tmp_path), BackendOptions(dtype="float32"))
    prompts = ["def add(a, b):\n", "x", "while True:"]
    done = {
        c.problem_id: c for c in backend.generate([Request(p, 0, p, 1, (), 12) for p in prompts], DecodingSettings())
    }
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    plain: Any = MambaForCausalLM.from_pretrained(tmp_path)
    for prompt in prompts:
        ids = tokenizer(prompt, return_tensors="pt").input_ids
        with torch.no_grad():
            out = plain.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=12, do_sample=False)[
                0, ids.shape[1] :
            ].tolist()
        assert done[prompt].n_tokens == len(out)
        assert done[prompt].text == tokenizer.decode(out).rstrip("\ufffd")
    assert backend.loglikelihood([("def", " x")])[0].nats < 0


@pytest.mark.parametrize(
    ("package", "source", "options", "named"),
    [
        ("gguf", "model-q4.gguf", BackendOptions(), r"needs gguf: pip install 'mtp-eval\[gguf\]'"),
        ("peft", "adapter", BackendOptions(), r"needs peft: pip install 'mtp-eval\[lora\]'"),
        ("accelerate", "model", BackendOptions(device="all"), r"needs accelerate: pip install 'mtp-eval\[hf-large\]'"),
    ],
)
def test_a_missing_extra_is_named(
    package: str, source: str, options: BackendOptions, named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mtp_eval.harness.backends import hf_load

    monkeypatch.setattr(hf_load, "find_spec", lambda name: None if name == package else object())
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter_config.json").write_text("{}")
    with pytest.raises(InputError, match=named):
        hf_load.load(str(tmp_path / source), options)


def broken(folder: Path, what: str) -> None:
    weights = folder / "model.safetensors"
    if what == "weights cut off":
        weights.write_bytes(weights.read_bytes()[:1000])
    elif what == "weights are text":
        weights.write_text("<html>not found</html>")
    elif what == "no weights":
        weights.unlink()
    elif what == "no tokenizer":
        (folder / "tokenizer.json").unlink()
        (folder / "tokenizer_config.json").unlink()
    elif what == "other architecture":
        (folder / "config.json").write_text('{"model_type": "nobody-knows", "architectures": ["NobodyKnows"]}')
    elif what == "no JSON":
        (folder / "config.json").write_text("{")
    elif what == "another shape":
        about = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(about | {"hidden_size": 64, "head_dim": 16}))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "what",
    [
        "weights cut off",
        "weights are text",
        "no weights",
        "no tokenizer",
        "other architecture",
        "no JSON",
        "another shape",
    ],
)
def test_a_broken_folder_is_one_paragraph(what: str, trained: Callable[..., MTPModel], tmp_path: Path) -> None:
    from mtp_eval.harness.backends.hf_load import load

    model = trained(2)
    huggingface.write(tmp_path, model.config, dict(model.state_dict()), ByteTokenizer())
    broken(tmp_path, what)
    with pytest.raises(InputError) as caught:
        load(str(tmp_path), BackendOptions())
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000
    assert str(tmp_path) in str(caught.value)


def test_an_empty_folder_is_no_model(tmp_path: Path) -> None:
    from mtp_eval.harness.backends.hf_load import load

    with pytest.raises(InputError, match=r"has no config\.json"):
        load(str(tmp_path), BackendOptions())


def test_a_folder_whose_name_holds_an_at_sign_is_no_revision(trained: Callable[..., MTPModel], tmp_path: Path) -> None:
    from mtp_eval.harness.backends.hf import HuggingFaceBackend

    model, folder = trained(2), tmp_path / "run@main"
    huggingface.write(folder, model.config, dict(model.state_dict()), ByteTokenizer())
    assert HuggingFaceBackend(str(folder)).facts()["revision"] is None


def test_the_hub_is_asked_once_for_the_commit_and_the_cache_where_there_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import huggingface_hub

    from mtp_eval.harness.backends.hf_load import hub_place

    class Answer:
        sha = "0123abcd"

    asked: list[tuple[str, object]] = []

    def online(api: object, name: str, *, revision: str | None, timeout: float) -> Answer:
        asked.append((name, revision))
        return Answer()

    def offline(api: object, name: str, **_: object) -> Answer:
        raise ConnectionError("no network")

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", online)
    assert hub_place("someone/model@v1") == ("someone/model", {"revision": "0123abcd"})
    assert hub_place("gpt2") == ("gpt2", {"revision": "0123abcd"})
    assert asked == [("someone/model", "v1"), ("gpt2", None)]
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", offline)
    assert hub_place("no/body@main") == ("no/body", {"revision": "main", "local_files_only": True})

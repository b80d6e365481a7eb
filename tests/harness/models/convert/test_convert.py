"""Conversions against transformers' Llama and an independent forward of Meta's layout."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mtp_eval.harness.errors import InputError
from mtp_eval.harness.models.checkpoint import load_checkpoint, save_checkpoint
from mtp_eval.harness.models.config import HeadKind, ModelConfig
from mtp_eval.harness.models.convert.convert import convert
from mtp_eval.harness.models.initialize import new_model
from mtp_eval.harness.models.tokenizers import ByteTokenizer, trained_bpe
from mtp_eval.harness.models.transformer import MTPModel

TOKENS = torch.randint(0, 256, (2, 40), generator=torch.Generator().manual_seed(0))


def model(kind: HeadKind = "parallel", n_future: int = 4, *, vocab_size: int = 264, tied: bool = False) -> MTPModel:
    config = ModelConfig(
        vocab_size=vocab_size,
        d_model=48,
        n_layers=6,
        n_heads=6,
        n_kv_heads=2,
        d_ff=80,
        context_length=64,
        n_future=n_future,
        head_kind=kind,
        tie_embeddings=tied,
        rope_theta=50_000.0,
        norm_eps=1e-4,
    )
    made = new_model(config, seed=3)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(
                0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(parameter.numel()))
            )
    return made


def close(a: Tensor, b: Tensor) -> None:
    torch.testing.assert_close(a, b, atol=1e-4, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["parallel", "causal", "replicated"])
@pytest.mark.parametrize("tied", [False, True])
def test_exported_models_give_the_same_logits_in_transformers(kind: HeadKind, tied: bool, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    ours = model(kind, tied=tied)
    save_checkpoint(tmp_path / "ours", ours, ByteTokenizer(), {})
    convert(tmp_path / "ours", tmp_path / "hf")
    theirs = transformers.LlamaForCausalLM.from_pretrained(tmp_path / "hf", dtype=torch.float32)
    with torch.no_grad():
        expected = ours(TOKENS)
        close(theirs(TOKENS).logits, expected[0])
    convert(tmp_path / "hf", tmp_path / "back")
    back = load_checkpoint(tmp_path / "back")
    assert back.config == ours.config
    for name, tensor in ours.state_dict().items():
        assert torch.equal(back.model.state_dict()[name], tensor), name


@pytest.mark.slow
def test_exported_pieces_begin_with_the_mark_and_read_back_the_same(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    text = "def f(x):\n    return x  # ok\n"
    tokenizer = trained_bpe([text * 20, "while True:\n    pass\n" * 20], 300)
    save_checkpoint(tmp_path / "ours", model(vocab_size=300), tokenizer, {})
    convert(tmp_path / "ours", tmp_path / "hf")
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "hf")
    fed = [tokenizer.bos_id, *tokenizer.encode(text)]
    assert theirs(text).input_ids == fed
    convert(tmp_path / "hf", tmp_path / "back")
    back = load_checkpoint(tmp_path / "back").tokenizer
    assert [back.bos_id, *back.encode(text)] == fed
    convert(tmp_path / "back", tmp_path / "again")
    names = ("tokenizer.json", "tokenizer_config.json")
    assert all((tmp_path / "hf" / n).read_bytes() == (tmp_path / "again" / n).read_bytes() for n in names)


def test_exported_byte_tokenizer_is_the_same_in_transformers(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    save_checkpoint(tmp_path / "ours", model(), ByteTokenizer(), {})
    convert(tmp_path / "ours", tmp_path / "hf")
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "hf")
    text = "def f(x):\n\treturn 'ä🐍'  # ok\n"
    assert theirs.encode(text, add_special_tokens=False) == ByteTokenizer().encode(text)
    assert theirs.decode(ByteTokenizer().encode(text)) == text
    assert (theirs.bos_token_id, theirs.eos_token_id) == (256, 257)
    assert theirs(text).input_ids == [256, *ByteTokenizer().encode(text)]  # what our decoding feeds the model


@pytest.mark.parametrize("tied", [False, True])
def test_imported_llamas_give_the_same_logits(tied: bool, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.LlamaConfig(
        vocab_size=300,
        hidden_size=48,
        intermediate_size=80,
        num_hidden_layers=3,
        num_attention_heads=6,
        num_key_value_heads=3,
        max_position_embeddings=128,
        tie_word_embeddings=tied,
        initializer_range=0.2,
    )
    torch.manual_seed(0)
    theirs = transformers.LlamaForCausalLM(config).eval()
    theirs.save_pretrained(tmp_path / "hf")
    bpe = tmp_path / "bpe"
    bpe.mkdir()
    trained_bpe(["some text"], 260).save(bpe)
    (bpe / "tokenizer.json").rename(tmp_path / "hf" / "tokenizer.json")
    convert(tmp_path / "hf", tmp_path / "ours")
    ours = load_checkpoint(tmp_path / "ours")
    with torch.no_grad():
        close(ours.model(TOKENS)[0], theirs(TOKENS).logits)
    assert ours.tokenizer.vocab_size == 300
    assert ours.tokenizer.decode(ours.tokenizer.encode("text")) == "text"


def meta_forward(weights: dict[str, Tensor], params: dict[str, float], tokens: Tensor) -> list[Tensor]:
    """Meta's layout in a few lines, written from the format's description alone: complex rotary pairs, all heads."""
    n_heads, size = int(params["n_heads"]), int(params["dim"] // params["n_heads"])
    length = tokens.shape[1]
    angles = torch.outer(torch.arange(length), params["rope_theta"] ** -(torch.arange(0, size, 2) / size))
    turns = torch.polar(torch.ones_like(angles), angles)[None, :, None]

    def norm(x: Tensor, weight: Tensor) -> Tensor:
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + params["norm_eps"]) * weight

    def turned(x: Tensor) -> Tensor:
        pairs = torch.view_as_complex(x.view(*x.shape[:-1], -1, 2)) * turns
        return torch.view_as_real(pairs).flatten(-2)

    def block(x: Tensor, name: str) -> Tensor:
        w = {key.removeprefix(name + "."): value for key, value in weights.items() if key.startswith(name + ".")}
        y = norm(x, w["attention_norm.weight"])
        q, k, v = ((y @ w[f"attention.w{c}.weight"].T).view(*y.shape[:2], -1, size) for c in "qkv")
        repeat = n_heads // k.shape[2]
        q, k = turned(q).transpose(1, 2), turned(k).transpose(1, 2).repeat_interleave(repeat, 1)
        scores = (q @ k.transpose(2, 3) / size**0.5).masked_fill(
            torch.ones(length, length).triu(1).bool(), float("-inf")
        )
        mixed = scores.softmax(-1) @ v.transpose(1, 2).repeat_interleave(repeat, 1)
        x = x + mixed.transpose(1, 2).flatten(2) @ w["attention.wo.weight"].T
        y = norm(x, w["ffn_norm.weight"])
        gate = F.silu(y @ w["feed_forward.w1.weight"].T) * (y @ w["feed_forward.w3.weight"].T)
        return x + gate @ w["feed_forward.w2.weight"].T

    h = weights["tok_embeddings.weight"][tokens]
    n_trunk = int(params["n_layers"] - params["n_future_tokens"])
    for i in range(n_trunk):
        h = block(h, f"layers.{i}")
    heads = [f"layers.{n_trunk}"] + [f"extra_heads.{i}" for i in range(int(params["n_future_tokens"]) - 1)]
    return [norm(block(h, head), weights["norm.weight"]) @ weights["output.weight"].T for head in heads]


def meta_folder(folder: Path) -> tuple[dict[str, Tensor], dict[str, float]]:
    params = {
        "dim": 48,
        "n_layers": 6,
        "n_heads": 6,
        "n_kv_heads": 3,
        "n_future_tokens": 4,
        "vocab_size": 264,
        "norm_eps": 1e-5,
        "rope_theta": 10000.0,
    }
    generator = torch.Generator().manual_seed(0)

    def random(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator) * 0.2

    weights = {
        "tok_embeddings.weight": random(264, 48),
        "norm.weight": 1 + random(48),
        "output.weight": random(264, 48),
    }
    for name in ("layers.0", "layers.1", "layers.2", "extra_heads.0", "extra_heads.1", "extra_heads.2"):
        shapes = {"wq": (48, 48), "wk": (24, 48), "wv": (24, 48), "wo": (48, 48)}
        weights |= {f"{name}.attention.{key}.weight": random(*shape) for key, shape in shapes.items()}
        shapes = {"w1": (80, 48), "w2": (48, 80), "w3": (80, 48)}
        weights |= {f"{name}.feed_forward.{key}.weight": random(*shape) for key, shape in shapes.items()}
        weights |= {f"{name}.{key}.weight": 1 + random(48) for key in ("attention_norm", "ffn_norm")}
    checkpoint = folder / "7B_200B_4"
    checkpoint.mkdir(parents=True)
    torch.save(weights, checkpoint / "consolidated.pth")
    (checkpoint / "params.json").write_text(json.dumps(params))
    trained_bpe(["some text"], 260).save(folder)
    return weights, params


def test_metas_checkpoints_give_the_same_logits_for_every_head(tmp_path: Path) -> None:
    weights, params = meta_folder(tmp_path)
    convert(tmp_path / "7B_200B_4", tmp_path / "ours")
    ours = load_checkpoint(tmp_path / "ours")
    assert ours.config.n_trunk_layers == 2
    with torch.no_grad():
        for got, expected in zip(ours.model(TOKENS), meta_forward(weights, params, TOKENS), strict=True):
            close(got, expected)


def test_added_heads_copy_the_last_layer_and_spare_the_next_token_path(tmp_path: Path) -> None:
    ours = model(n_future=1)
    save_checkpoint(tmp_path / "ours", ours, ByteTokenizer(), {"step": 7})
    convert(tmp_path / "ours", tmp_path / "grown", n_future=8)
    grown = load_checkpoint(tmp_path / "grown")
    assert grown.config.n_future == 8
    assert grown.config.n_trunk_layers == ours.config.n_trunk_layers
    assert grown.training == {"step": 7, "heads_added": 7}
    with torch.no_grad():
        logits = grown.model(TOKENS)
        for each in logits:
            assert torch.equal(each, ours(TOKENS)[0])
    with pytest.raises(InputError, match="n_future=8"):
        convert(tmp_path / "grown", tmp_path / "more", n_future=9)


def test_what_our_architecture_lacks_is_named(tmp_path: Path) -> None:
    about = {"model_type": "llama", "hidden_size": 48, "num_attention_heads": 6, "hidden_act": "gelu"}
    about["rope_scaling"] = {"rope_type": "yarn", "factor": 8.0}
    (tmp_path / "config.json").write_text(json.dumps(about))
    with pytest.raises(InputError, match=r"hidden_act = 'gelu', rope_type = 'yarn'.*--model hf:"):
        convert(tmp_path, tmp_path / "out")


@pytest.mark.parametrize("kind", ["anticausal", "linear"])
def test_heads_without_a_llama_path_are_not_exported(kind: HeadKind, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "ours", model(kind), ByteTokenizer(), {})
    with pytest.raises(InputError, match="is no Llama"):
        convert(tmp_path / "ours", tmp_path / "hf")


def test_folders_that_hold_nothing_known_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no model"):
        convert(tmp_path, tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("config.json", '{"model_type": "gpt2", "n_embd": 8, "n_head": 2}', "model_type = 'gpt2'"),
        (
            "config.json",
            '{"model_type": "llama"}',
            "config.json does not describe a model that can be built: 'vocab_size' is missing",
        ),
        ("config.json", "[1, 2]", "expected a JSON object, got list"),
        ("tokenizer_config.json", "{", "cannot read .*tokenizer_config.json"),
    ],
)
def test_foreign_and_damaged_configs_are_one_sentence(name: str, content: str, message: str, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "ours", model(), ByteTokenizer(), {})
    convert(tmp_path / "ours", tmp_path / "hf")
    (tmp_path / "hf" / name).write_text(content)
    with pytest.raises(InputError, match=message):
        convert(tmp_path / "hf", tmp_path / "again")


def test_weights_that_do_not_fit_the_config_are_named_before_anything_is_written(tmp_path: Path) -> None:
    save_checkpoint(tmp_path / "ours", model(), ByteTokenizer(), {})
    convert(tmp_path / "ours", tmp_path / "hf")
    config = json.loads((tmp_path / "hf" / "config.json").read_text())
    (tmp_path / "hf" / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 9}))
    (tmp_path / "hf" / "mtp_config.json").unlink()
    with pytest.raises(
        InputError, match=r"do not fit its config: heads.0.input_layernorm.weight: expected \(48,\), got None"
    ):
        convert(tmp_path / "hf", tmp_path / "again")
    assert not (tmp_path / "again").exists()

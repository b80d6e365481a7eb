"""Checkpoint folders: what was saved is loaded, and every way of being broken says what to do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mtp_eval.harness.errors import InputError
from mtp_eval.harness.models.checkpoint import checkpoint_info, load_checkpoint, save_checkpoint
from mtp_eval.harness.models.config import HeadKind, ModelConfig
from mtp_eval.harness.models.initialize import new_model
from mtp_eval.harness.models.tokenizers import ByteTokenizer


def config(**changes: object) -> ModelConfig:
    values = {
        "vocab_size": 264,
        "d_model": 16,
        "n_layers": 4,
        "n_heads": 2,
        "d_ff": 24,
        "context_length": 32,
        "n_future": 2,
        **changes,
    }
    return ModelConfig.model_validate(values)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_checkpoint(tmp_path / "ckpt", new_model(config(), seed=0), ByteTokenizer(), {"step": 3})
    return tmp_path / "ckpt"


@pytest.mark.parametrize("tied", [False, True])
def test_what_was_saved_is_loaded(tied: bool, tmp_path: Path) -> None:
    model = new_model(config(tie_embeddings=tied), seed=0)
    sha256 = save_checkpoint(tmp_path, model, ByteTokenizer(), {"step": 3})
    loaded = load_checkpoint(tmp_path)
    tokens = torch.arange(20)[None]
    with torch.no_grad():
        for got, expected in zip(loaded.model(tokens), model(tokens), strict=True):
            assert torch.equal(got, expected)
    assert (loaded.sha256, loaded.training["step"], loaded.config) == (sha256, 3, model.config)
    assert not loaded.model.training
    assert load_checkpoint(tmp_path, dtype=torch.bfloat16).model.lm_head.weight.dtype == torch.bfloat16
    same = loaded.model.lm_head.weight is loaded.model.embed_tokens.weight
    assert same == tied


def test_saving_again_replaces_everything(folder: Path) -> None:
    before = checkpoint_info(folder).sha256
    after = save_checkpoint(folder, new_model(config(), seed=1), ByteTokenizer(), {"step": 9})
    info = checkpoint_info(folder)
    assert info.sha256 == after != before
    assert info.training["step"] == 9
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_others_may_read_what_the_umask_lets_them(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        save_checkpoint(tmp_path / "ckpt", new_model(config(), seed=0), ByteTokenizer(), {})
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "ckpt").iterdir()} == {0o640}


@pytest.mark.slow
def test_loading_does_not_import_the_compiler(folder: Path) -> None:
    """It takes 1.5 s, which every command on a checkpoint would begin with."""
    code = "import sys; from mtp_eval.harness.models.checkpoint import load_checkpoint; load_checkpoint(sys.argv[1])"
    code += "; print('torch._dynamo' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no checkpoint folder.*mtp-eval train"):
        load_checkpoint(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "training.json"])
def test_a_missing_file(name: str, folder: Path) -> None:
    (folder / name).unlink()
    with pytest.raises(InputError, match=f"{name} missing.*--resume"):
        load_checkpoint(folder)


def test_damaged_weights(folder: Path) -> None:
    path = folder / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match="does not have the sha256"):
        load_checkpoint(folder)
    assert checkpoint_info(folder).config == config(), "the config is readable without the weights"


def test_weights_of_another_shape(folder: Path) -> None:
    (folder / "config.json").write_text(config(d_ff=32).model_dump_json())
    with pytest.raises(InputError, match=r"does not fit config\.json"):
        load_checkpoint(folder)


@pytest.mark.parametrize("text", ["", "{}", '{"format": 1}', "[1, 2]"])
def test_a_damaged_manifest(text: str, folder: Path) -> None:
    (folder / "training.json").write_text(text)
    with pytest.raises(InputError, match="damaged or of another program"):
        load_checkpoint(folder)


def test_a_later_format(folder: Path) -> None:
    manifest = json.loads((folder / "training.json").read_text())
    (folder / "training.json").write_text(json.dumps(manifest | {"format": 2}))
    with pytest.raises(InputError, match="format 2"):
        load_checkpoint(folder)


def test_a_future_that_leaves_no_trunk() -> None:
    with pytest.raises(ValueError, match="n_layers >= 5"):
        config(n_future=4)
    assert config(n_future=4, head_kind="linear").n_trunk_layers == 4


def test_head_paths_follow_the_kind() -> None:
    paths = {
        kind: [config(n_layers=5, n_future=3, head_kind=kind).head_path(i) for i in (1, 2, 3)]
        for kind in ("parallel", "causal", "anticausal", "replicated")
    }
    assert paths == {
        "parallel": [(0,), (1,), (2,)],
        "causal": [(0,), (0, 1), (0, 1, 2)],
        "anticausal": [(2, 1, 0), (2, 1), (2,)],
        "replicated": [(0,), (0,), (0,)],
    }
    with pytest.raises(ValueError, match="numbered 1 to 2"):
        config().head_path(3)


def test_the_same_seed_gives_the_same_weights_and_scale() -> None:
    a, b, c = (new_model(config(d_model=64), seed=seed) for seed in (0, 0, 1))
    for (name, x), y, z in zip(a.named_parameters(), b.parameters(), c.parameters(), strict=True):
        assert torch.equal(x, y)
        assert x.dim() == 1 or not torch.equal(x, z), name
    assert float(a.embed_tokens.weight.detach().std()) == pytest.approx(64**-0.5, rel=0.05)


@pytest.mark.parametrize("kind", ["parallel", "causal", "linear", "replicated"])
def test_models_of_one_seed_begin_with_the_same_weights_wherever_they_share_a_name(kind: HeadKind) -> None:
    one, many = (new_model(config(n_future=n, n_layers=6, head_kind=kind), seed=5) for n in (1, 4))
    a, b = dict(one.named_parameters()), dict(many.named_parameters())
    shared = a.keys() & b.keys()
    assert {"embed_tokens.weight", "lm_head.weight", "trunk.0.mlp.down_proj.weight"} <= shared
    assert all(torch.equal(a[name], b[name]) for name in shared)

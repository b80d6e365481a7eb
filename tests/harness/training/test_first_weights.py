"""Runs that begin from a checkpoint: heads added or dropped, and the trunk frozen."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mtp_eval.harness.errors import InputError
from mtp_eval.harness.models.checkpoint import load_checkpoint
from mtp_eval.harness.training.config_files import read_config
from mtp_eval.harness.training.loop import train
from tests.harness.training.tiny_runs import documents, tiny


@pytest.fixture(scope="module")
def next_token(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("start") / "n1"
    train(tiny(model__n_future=1), documents(), out)
    return out


@pytest.mark.slow
def test_frozen_trunk_trains_heads_two_to_n_only(next_token: Path, tmp_path: Path) -> None:
    out = tmp_path / "grown"
    result = train(tiny(init=next_token, freeze="trunk", model__n_future=3), documents(), out)
    before, after = load_file(next_token / "model.safetensors"), load_file(out / "model.safetensors")
    for name, tensor in before.items():
        assert torch.equal(after[name], tensor), name
    assert not torch.equal(after["heads.1.mlp.up_proj.weight"], before["heads.0.mlp.up_proj.weight"])
    assert result.validation is not None
    first = float((out / "metrics.csv").read_text().splitlines()[1].split(",")[5])
    assert result.validation.losses[1] < first, "head 2 has learned"


@pytest.mark.slow
def test_a_checkpoint_goes_on_with_its_own_shape(next_token: Path, tmp_path: Path) -> None:
    config = tiny(init=next_token, model__n_future=1, model__d_model=128)
    assert config.model.d_model == 32, "the checkpoint's"
    train(config, documents(), tmp_path / "more")
    assert load_checkpoint(tmp_path / "more").config == load_checkpoint(next_token).config


@pytest.mark.slow
def test_heads_can_be_dropped(tmp_path: Path) -> None:
    train(tiny(steps=2), documents(), tmp_path / "n2")
    train(tiny(steps=2, init=tmp_path / "n2", model__n_future=1), documents(), tmp_path / "n1")
    two, one = load_checkpoint(tmp_path / "n2"), load_checkpoint(tmp_path / "n1")
    assert one.config.n_future == 1
    assert one.config.n_trunk_layers == two.config.n_trunk_layers


def test_freezing_without_a_checkpoint_or_heads_is_refused(next_token: Path) -> None:
    with pytest.raises(InputError, match="name its checkpoint in init"):
        tiny(freeze="trunk")
    with pytest.raises(InputError, match=r"n_future must be at least 2"):
        tiny(freeze="trunk", init=next_token, model__n_future=1)


def test_a_toml_config_can_change_a_preset(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('preset = "listops-n4"\nsteps = 7\n[optimizer]\nlearning_rate = 1e-4\n')
    config = read_config(path, ["seed=3"])
    assert (config.steps, config.seed, config.optimizer.learning_rate) == (7, 3, 1e-4)
    assert config.model.n_future == 4
    path.write_text('preset = "listops-n4"\ntokens = 1000000\n')
    assert read_config(path).total_steps == -(-1_000_000 // read_config(path).tokens_per_step)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('preset = "listops-n5"', "did you mean listops-n"),
        ("stepz = 3", "model: Field required"),
        ('preset = "listops-n4"\nstepz = 3', "stepz: Extra inputs"),
        (
            'preset = "listops-n4"\n[optimizer]\nlearning_rate = -1',
            r"optimizer\.learning_rate: Input should be greater",
        ),
        ("a = ", "cannot read the training config"),
        ('preset = "listops-n4"\n[loss]\nhead_weights = [1.0]', "head_weights has 1 entries"),
    ],
)
def test_mistakes_in_a_config_are_named(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_config(path)


def test_none_on_the_command_line_is_a_choice_where_it_is_one(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text('preset = "code-tiny-n1"')
    config = read_config(path, ["freeze=none", "loss.curriculum=none", "loss.head_weights=none", "threads=none"])
    assert (config.freeze, config.loss.curriculum, config.loss.head_weights, config.threads) == (
        "none",
        "none",
        None,
        None,
    )

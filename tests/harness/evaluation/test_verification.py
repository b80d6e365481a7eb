"""`run --verify-decoding`: the comparison, the measured speed-up in the table, and metrics that hold no time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from mtp_eval.harness.evaluation.config import Decode, RunConfig
from mtp_eval.harness.evaluation.run import run
from mtp_eval.harness.models.checkpoint import save_checkpoint
from mtp_eval.harness.models.config import ModelConfig
from mtp_eval.harness.models.initialize import new_model
from mtp_eval.harness.models.tokenizers import ByteTokenizer


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    config = ModelConfig(vocab_size=264, d_model=16, n_layers=4, n_heads=2, d_ff=32, context_length=256, n_future=2)
    folder = tmp_path_factory.mktemp("checkpoint") / "tiny"
    save_checkpoint(folder, new_model(config, seed=0), ByteTokenizer(), {})
    return str(folder)


def finished(checkpoint: str, out: Path, decode: Decode, verify: int) -> tuple[str, list[str]]:
    result = run(
        RunConfig(
            model=(checkpoint,),
            task=("stargraph",),
            limit=6,
            n_samples=1,
            k=(1,),
            temperature=(0.0,),
            max_new_tokens=12,
            decode=decode,
            verify_decoding=verify,
            out=out,
        )
    )
    return str(result.table()), list(result.notes)


@pytest.mark.slow
def test_the_speed_up_is_measured_shown_and_kept_out_of_the_metrics(checkpoint: str, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    drafted, notes = finished(checkpoint, tmp_path / "a", "self-speculative", 4)
    assert "speed-up (n)" in drafted
    assert " (4) |" in drafted
    assert any("4 completions" in note and "identical to plain decoding" in note for note in notes)
    (entry,) = json.loads((tmp_path / "a" / "verification.json").read_text())
    assert entry["speed_up"]["n_completions"] == 4
    assert entry["speed_up"]["wall"] > 0
    unverified, _ = finished(checkpoint, tmp_path / "b", "self-speculative", 0)
    assert "speed-up" not in unverified
    assert (tmp_path / "a" / "metrics.json").read_bytes() == (tmp_path / "b" / "metrics.json").read_bytes()
    again, _ = finished(checkpoint, tmp_path / "a", "self-speculative", 0)  # nothing is measured, the table keeps it
    assert again == drafted


def test_plain_decoding_has_no_speed_up(checkpoint: str, tmp_path: Path) -> None:
    table, _ = finished(checkpoint, tmp_path / "c", "autoregressive", 2)
    assert "speed-up" not in table
    (entry,) = json.loads((tmp_path / "c" / "verification.json").read_text())
    assert "speed_up" not in entry

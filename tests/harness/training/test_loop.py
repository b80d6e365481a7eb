"""Runs of the training loop: they learn, they stop when they should, they refuse what they must."""

from __future__ import annotations

import csv
import math
from itertools import islice
from pathlib import Path

import pytest
import torch

from mtp_eval.harness.errors import InputError
from mtp_eval.harness.models.checkpoint import load_checkpoint
from mtp_eval.harness.training.documents import Document
from mtp_eval.harness.training.loop import NotFiniteError, Report, train
from mtp_eval.harness.training.runtime import explain_out_of_memory
from tests.harness.training.tiny_runs import corpus_of, documents, same, tiny, weights


@pytest.mark.slow
def test_the_loss_of_every_head_falls_and_is_recorded(tmp_path: Path) -> None:
    reports: list[Report] = []
    result = train(tiny(), documents(), tmp_path / "ckpt", on_progress=reports.append)
    assert [report.step for report in reports] == list(range(1, 31))
    for first, last in zip(reports[0].losses, reports[-1].losses, strict=True):
        assert last < 0.8 * first
    with (tmp_path / "ckpt" / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows if row["split"] == "validation"] == [10, 20, 30]
    last_row = rows[-1]
    assert result.validation is not None
    assert float(last_row["bits_per_byte_head_2"]) == pytest.approx(result.validation.bits_per_byte[1])
    checkpoint = load_checkpoint(tmp_path / "ckpt")
    assert checkpoint.sha256 == result.sha256
    assert checkpoint.training["step"] == 30
    assert checkpoint.training["size"]["n_parameters"] == sum(p.numel() for p in checkpoint.model.parameters())
    assert checkpoint.config.n_future == 2


@pytest.mark.slow
def test_same_seed_same_weights_other_seed_other_weights(tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        train(tiny(steps=5, seed=seed), documents(), tmp_path / name)
    assert same(weights(tmp_path / "a"), weights(tmp_path / "b"))
    assert not same(weights(tmp_path / "a"), weights(tmp_path / "c"))


@pytest.mark.slow
def test_micro_batches_change_rounding_only(tmp_path: Path) -> None:
    whole = train(tiny(steps=3), documents(), tmp_path / "whole")
    parts = train(tiny(steps=3, micro_batch_size=1), documents(), tmp_path / "parts")
    a, b = weights(tmp_path / "whole"), weights(tmp_path / "parts")
    # Adam divides by the gradient's own size, so that rounding of tiny gradients shows: the bound is loose, losses are not
    assert max(float((a[name] - b[name]).abs().max()) for name in a) < 1e-3
    assert whole.validation is not None
    assert parts.validation is not None
    assert whole.validation.losses == pytest.approx(parts.validation.losses, abs=1e-4)


def test_a_loss_that_is_no_number_stops_the_run_and_spares_the_last_checkpoint(tmp_path: Path) -> None:
    out = tmp_path / "ckpt"
    config = tiny(steps=40, checkpoint_every=1, optimizer__learning_rate=1e18, optimizer__clip_norm=0)
    with pytest.raises(NotFiniteError, match=r"not finite at step \d+.*learning_rate"):
        train(config, documents(), out)
    assert all(bool(torch.isfinite(tensor).all()) for tensor in weights(out).values())


@pytest.mark.slow
def test_early_stop_publishes_the_best_checkpoint(tmp_path: Path) -> None:
    out = tmp_path / "ckpt"
    config = tiny(
        steps=200, early_stop=2, validate_every=5, optimizer__learning_rate=0.3, optimizer__warmup_steps=150,
        optimizer__clip_norm=0,
    )  # fmt: skip
    result = train(config, documents(), out)
    assert result.stopped_early
    assert result.steps < 200
    checkpoint = load_checkpoint(out)
    with (out / "metrics.csv").open() as file:
        scores = {
            int(row["step"]): float(row["loss_head_1"]) for row in csv.DictReader(file) if row["split"] == "validation"
        }
    assert checkpoint.training["step"] == min(scores, key=scores.__getitem__)


def test_out_of_memory_names_the_knobs() -> None:
    def starve() -> None:
        torch.empty(1 << 60)

    with pytest.raises(InputError, match=r"micro_batch_size \(now 4.*chunk_tokens.*--resume"):
        explain_out_of_memory(starve, tiny())

    def fail() -> None:
        raise RuntimeError("something else")

    with pytest.raises(RuntimeError, match="something else"):
        explain_out_of_memory(fail, tiny())


def test_tensorboard_events_are_written_on_request(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    result = train(tiny(steps=10, tensorboard="true"), documents(), tmp_path / "ckpt")
    events = EventAccumulator(str(tmp_path / "ckpt" / "tensorboard")).Reload()
    (last,) = events.Scalars("validation/bits_per_byte_head_1")
    assert result.validation is not None
    assert last.value == pytest.approx(result.validation.bits_per_byte[0], rel=1e-6)


def test_too_little_text_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="fewer than one context"):
        train(tiny(data__holdout=0), [Document("a", "short")], tmp_path / "ckpt")
    with pytest.raises(InputError, match="no text to train on"):
        train(tiny(), [], tmp_path / "other")


def test_heads_without_weight_are_absent_from_the_record(tmp_path: Path) -> None:
    reports: list[Report] = []
    train(
        tiny(steps=6, loss__head_weights="[1.0, 0.0]", log_every=1),
        documents(),
        tmp_path / "ckpt",
        on_progress=reports.append,
    )
    assert math.isnan(reports[-1].losses[1])
    assert reports[-1].losses[0] > 0
    assert "nan" not in reports[-1].note
    with (tmp_path / "ckpt" / "metrics.csv").open() as file:
        train_rows = [row for row in csv.DictReader(file) if row["split"] == "train"]
    assert {row["loss_head_2"] for row in train_rows} == {""}
    assert all(row["loss"] == row["loss_head_1"] for row in train_rows)


def test_a_trunk_cannot_be_frozen_where_the_next_token_path_passes_every_head(tmp_path: Path) -> None:
    train(tiny(steps=2, model__head_kind="anticausal"), documents(), tmp_path / "ckpt")
    with pytest.raises(InputError, match="leaves nothing to train with anticausal heads"):
        tiny(init=tmp_path / "ckpt", freeze="trunk")


@pytest.mark.slow
@pytest.mark.parametrize("held_out", [["x = 1\n"], ["x = 1\n", "y = 22\n"], ["a" * 40, "b" * 100]])
def test_held_out_text_shorter_than_the_context_is_scored_without_padding(held_out: list[str], tmp_path: Path) -> None:
    """The oracle is a plain forward over the held-out tokens alone."""
    texts = [Document(f"d{i}", text) for i, text in enumerate(held_out)]
    corpus = corpus_of([*islice(documents(), 300)], tmp_path / "data", held_out=texts)
    result = train(tiny(steps=20, data__holdout=0), corpus, tmp_path / "ckpt")
    model = load_checkpoint(tmp_path / "ckpt").model
    tokens = [id for text in held_out for id in (256, *text.encode(), 257)]
    numbers = [i for i, text in enumerate(held_out) for _ in range(len(text) + 2)]
    nats, n_targets = [0.0, 0.0], [0, 0]
    for start in range(0, max(len(tokens) // 48, 1) * 48, 48):
        with torch.no_grad():
            logits = [head[0].log_softmax(-1) for head in model(torch.tensor([tokens[start : start + 48]]))]
        for at in range(start, min(start + 48, len(tokens))):
            for i in (1, 2):
                if at + i < len(tokens) and numbers[at + i] == numbers[at]:
                    nats[i - 1] -= float(logits[i - 1][at - start, tokens[at + i]])
                    n_targets[i - 1] += 1
    assert result.validation is not None
    assert result.validation.losses == pytest.approx([a / b for a, b in zip(nats, n_targets, strict=True)], rel=1e-4)

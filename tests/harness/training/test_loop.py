"""Runs of the training loop: they learn, they resume to the same bits, they refuse what they must."""

from __future__ import annotations

import csv
import math
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mtp_eval.harness.errors import InputError
from mtp_eval.harness.models.checkpoint import load_checkpoint
from mtp_eval.harness.models.tokenizers import ByteTokenizer
from mtp_eval.harness.training.corpus import Corpus
from mtp_eval.harness.training.corpus_writer import build_corpus
from mtp_eval.harness.training.documents import Document
from mtp_eval.harness.training.loop import NotFiniteError, Report, train
from mtp_eval.harness.training.runtime import explain_out_of_memory
from mtp_eval.harness.training.state import step_folders
from tests.harness.training.tiny_runs import documents, tiny, to_be_killed


def corpus_of(texts: Sequence[Document], folder: Path, held_out: Sequence[Document] = ()) -> Corpus:
    """These texts, tokenised; `held_out` replaces the share of them that is kept for validation."""
    corpus = build_corpus(texts, ByteTokenizer(), folder, holdout=0 if held_out else 0.05)
    if not held_out:
        return corpus
    other = build_corpus(held_out, ByteTokenizer(), folder.with_name("held-out"), holdout=0)
    return Corpus(folder, corpus.index, corpus.train, other.train)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


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


PROGRAM = """
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.harness.training.tiny_runs import documents, to_be_killed
from mtp_eval.harness.training.loop import train
train(to_be_killed(), documents(), Path({out!r}))
"""


@pytest.mark.slow
def test_killed_and_resumed_gives_bitwise_the_same_weights(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    program = PROGRAM.format(root=str(Path(__file__).parents[3]), out=str(cut))
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 240
    while not (step_folders(cut) and step_folders(cut)[-1].name >= "step-00000014"):
        assert process.poll() is None, "it finished before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert step_folders(cut)[-1].name < "step-00000040"
    train(to_be_killed(), documents(), whole)
    train(to_be_killed(), documents(), cut, resume=True)
    assert same(weights(whole), weights(cut))
    assert (whole / "model.safetensors").read_bytes() == (cut / "model.safetensors").read_bytes()
    with (cut / "metrics.csv").open() as file:
        steps = [(row["split"], int(row["step"])) for row in csv.DictReader(file)]
    assert len(steps) == len(set(steps)), "no step is there twice"


@pytest.mark.slow
def test_resume_refuses_a_changed_config_but_not_how_it_is_watched(tmp_path: Path) -> None:
    out = tmp_path / "ckpt"
    train(tiny(steps=10), documents(), out)
    with pytest.raises(InputError, match=r"optimizer"):
        train(tiny(steps=10, optimizer__learning_rate=1e-3), documents(), out, resume=True)
    with pytest.raises(InputError, match="--resume continues it"):
        train(tiny(steps=10), documents(), out)
    with pytest.raises(InputError, match="training text is not what"):
        train(tiny(steps=10), documents(seed=5), out, resume=True)
    assert train(tiny(steps=10, log_every=3), documents(), out, resume=True).steps == 10


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


@pytest.mark.slow
def test_periodic_checkpoints_keep_the_last_k(tmp_path: Path) -> None:
    train(tiny(steps=30, checkpoint_every=5, keep_checkpoints=2), documents(), tmp_path / "ckpt")
    assert [folder.name for folder in step_folders(tmp_path / "ckpt")] == ["step-00000025", "step-00000030"]


@pytest.mark.slow
def test_ctrl_c_saves_the_step_it_finishes_and_resumes_to_the_same_weights(tmp_path: Path) -> None:
    def interrupt(report: Report) -> None:
        if report.step == 4:
            os.kill(os.getpid(), signal.SIGINT)

    config = tiny(steps=10, checkpoint_every=0)
    with pytest.raises(KeyboardInterrupt):
        train(config, documents(), tmp_path / "cut", on_progress=interrupt)
    assert [folder.name for folder in step_folders(tmp_path / "cut")] == ["step-00000004"]
    assert load_checkpoint(tmp_path / "cut").training["step"] == 4
    train(config, documents(), tmp_path / "cut", resume=True)
    train(config, documents(), tmp_path / "whole")
    assert same(weights(tmp_path / "cut"), weights(tmp_path / "whole"))


@pytest.mark.slow
def test_a_full_disk_is_said_and_spares_the_last_checkpoint(tmp_path: Path) -> None:
    out = tmp_path / "ckpt"

    def fill(report: Report) -> None:
        if report.step == 15:  # files may not grow beyond 20 kB from here on, which is what a full disk looks like
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with pytest.raises(InputError, match=r"cannot write the checkpoint.*Free space"):
            train(tiny(), documents(), out, on_progress=fill)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert load_checkpoint(out).training["step"] == 10
    assert [folder.name for folder in step_folders(out)] == ["step-00000010"]
    train(tiny(), documents(), out, resume=True)
    assert load_checkpoint(out).training["step"] == 30


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


@pytest.mark.slow
def test_a_run_that_is_extended_at_a_constant_rate_is_the_longer_run(tmp_path: Path) -> None:
    whole = [*islice(documents(), 400)]  # the same text for both, so that windows are the same
    constant = {"optimizer__decay": "constant", "checkpoint_every": 0, "optimizer__warmup_steps": 25}
    train(tiny(steps=20, **constant), corpus_of(whole, tmp_path / "a"), tmp_path / "short")
    extended = train(tiny(steps=30, **constant), corpus_of(whole, tmp_path / "a"), tmp_path / "short", resume=True)
    train(tiny(steps=30, **constant), corpus_of(whole, tmp_path / "a"), tmp_path / "long")
    assert same(weights(tmp_path / "short"), weights(tmp_path / "long"))
    assert extended.training["extended"] == [{"at_step": 20, "from_steps": 20, "to_steps": 30}]
    with (tmp_path / "short" / "metrics.csv").open() as file:
        assert [int(row["step"]) for row in csv.DictReader(file) if row["split"] == "validation"] == [10, 20, 30]


@pytest.mark.slow
def test_an_endless_source_is_read_further_when_a_run_is_extended(tmp_path: Path) -> None:
    train(tiny(steps=10), documents(), tmp_path / "ckpt")
    result = train(tiny(steps=25), documents(), tmp_path / "ckpt", resume=True)
    assert result.steps == 25
    with pytest.raises(InputError, match="steps: 25 -> 20"):
        train(tiny(steps=20), documents(), tmp_path / "ckpt", resume=True)
    with pytest.raises(InputError, match="the training text is not what"):
        train(tiny(steps=40), documents(seed=1), tmp_path / "ckpt", resume=True)


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

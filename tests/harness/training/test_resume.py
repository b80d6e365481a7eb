"""Runs that were cut short or are made longer: they go on to the same bits, and spare the last checkpoint."""

from __future__ import annotations

import csv
import json
import os
import resource
import signal
import time
from itertools import islice
from pathlib import Path

import pytest

from mtp_eval.harness.errors import InputError
from mtp_eval.harness.models.checkpoint import MANIFEST, load_checkpoint
from mtp_eval.harness.training.loop import Report, train
from mtp_eval.harness.training.state import step_folders
from tests.forked import Forked
from tests.harness.training.tiny_runs import corpus_of, documents, same, tiny, to_be_killed, train_to_be_killed, weights


@pytest.mark.slow
@pytest.mark.parametrize("registers", [False, True])
def test_killed_and_resumed_gives_bitwise_the_same_weights(registers: bool, tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    with Forked(train_to_be_killed, cut, registers) as process:
        while not (step_folders(cut) and step_folders(cut)[-1].name >= "step-00000014"):
            assert process.poll() is None, process.errors
            time.sleep(0.002)
        process.kill()
    assert step_folders(cut)[-1].name < "step-00000040"
    train(to_be_killed(registers), documents(), whole)
    train(to_be_killed(registers), documents(), cut, resume=True)
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


@pytest.mark.slow
def test_a_run_from_before_an_option_existed_is_resumed(tmp_path: Path) -> None:
    out = tmp_path / "ckpt"
    train(tiny(steps=2), documents(), out)
    manifest = step_folders(out)[-1] / MANIFEST
    record = json.loads(manifest.read_text())
    del record["training"]["config"]["loss"]["order_window"]
    manifest.write_text(json.dumps(record))
    with pytest.raises(InputError, match="'order_window': 0"):
        train(tiny(steps=3, loss__order_window=2), documents(), out, resume=True)
    assert train(tiny(steps=3), documents(), out, resume=True).steps == 3


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

"""Training on a task whose problems do not fit into the context is refused, and no preset of ours does so."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import pytest
from typer.testing import CliRunner

from mtp_eval.harness.cli import app
from mtp_eval.harness.errors import InputError
from mtp_eval.harness.models.tokenizers import ByteTokenizer
from mtp_eval.harness.training.config_files import make_config
from mtp_eval.harness.training.data import resolve_data, resolve_tokenizer
from mtp_eval.harness.training.fit import fit
from mtp_eval.harness.training.presets import PRESETS
from mtp_eval.tasks.problem import Problem
from mtp_eval.tasks.registry import load_task

OF_TASKS = [name for name, values in PRESETS.items() if any(s.startswith("task:") for s in values["data"]["sources"])]


@functools.cache
def problems_of(task: str) -> Sequence[Problem]:
    """A task's problems, made once for all presets that are trained on it."""
    return load_task(task).problems()


@pytest.mark.slow
@pytest.mark.parametrize("name", OF_TASKS)
def test_every_preset_of_a_task_holds_all_its_problems(name):
    config = make_config(PRESETS[name])
    for source in config.data.sources:
        found = fit(problems_of(source.removeprefix("task:")), resolve_tokenizer(config), config.model.context_length)
        assert not found.misfits, f"{name}: {found}"


def test_the_needed_context_is_the_least_in_which_nothing_is_cut():
    """Begin mark, prompt, answer and end mark; decoding keeps room for max_new_tokens unless the prompt is short."""
    problems = [Problem("a", "p" * 10, "r" * 3, max_new_tokens=4), Problem("b", "p" * 10, "r" * 3, max_new_tokens=500)]
    for length, misfits in ((15, ("a", "b")), (16, ("b",)), (22, ("b",)), (23, ())):
        assert fit(problems, ByteTokenizer(), length).misfits == misfits, length
    assert fit(problems, ByteTokenizer(), 5).needed == 23


def test_a_context_that_is_too_short_is_refused_with_the_one_that_is_needed(tmp_path):
    config = make_config(PRESETS["listops-n1"], ["model.context_length=192"])
    with pytest.raises(
        InputError, match=r"192 is too short for task listops@0shot-steps .* Set model.context_length = 238"
    ):
        resolve_data(config, tmp_path)
    done = CliRunner().invoke(
        app, ["train", "stargraph-n1", "--out", str(tmp_path / "m"), "--set", "model.context_length=16"]
    )
    assert isinstance(done.exception, InputError)


@pytest.mark.parametrize("change", ["model.n_future=4", "model.n_heads=3", "model.head_kind=causal"])
def test_a_shape_that_is_impossible_is_refused_before_text_is_made(tmp_path, change):
    changes = [part for pair in (change, "model.n_future=4") for part in ("--set", pair)]
    done = CliRunner().invoke(app, ["train", "chain-n2", "--out", str(tmp_path / "m"), *changes])
    assert isinstance(done.exception, InputError)
    assert not (tmp_path / "m" / "data").exists()


@pytest.mark.slow
def test_tasks_check_says_how_many_problems_fit_each_preset():
    done = CliRunner().invoke(app, ["tasks", "check", "chain", "--workers", "1"])
    assert done.exit_code == 0, done.output
    assert "ok      fits preset chain-n1: 1000 of 1000 problems fit" in done.output
    assert "ok      fits preset chain-n2" in done.output

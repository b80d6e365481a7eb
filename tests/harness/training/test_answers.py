"""The share of right answers during training is what greedy decoding scores; a plain loop over whole forwards is the oracle."""

from __future__ import annotations

import csv
import math
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from mtp_eval.harness.models.config import ModelConfig
from mtp_eval.harness.models.transformer import MTPModel
from mtp_eval.harness.training.answers import answer_windows, answers_right
from mtp_eval.harness.training.corpus import Split, Window
from mtp_eval.harness.training.distributed import join_processes
from mtp_eval.harness.training.documents import Document
from mtp_eval.harness.training.loop import train
from mtp_eval.harness.training.parallel import Parallel
from mtp_eval.harness.training.runtime import Runtime
from mtp_eval.harness.training.step import Stepper
from tests.harness.training.tiny_runs import documents, tiny

LENGTH, PROMPT, ANSWER = 12, 5, 4


def stepper(n_future: int) -> Stepper:
    torch.manual_seed(n_future)
    config = ModelConfig(
        vocab_size=20, d_model=16, n_layers=4, n_heads=2, d_ff=32, context_length=LENGTH, n_future=n_future
    )
    settings = tiny(model__n_future=n_future, model__context_length=LENGTH)
    runtime = Runtime("cpu", "fp32", False, 0, "cpu")
    return Stepper(MTPModel(config), settings, runtime, Parallel(join_processes("cpu", 4)))


@torch.no_grad()
def greedy(model: MTPModel, prompt: list[int]) -> list[int]:
    tokens = list(prompt)
    for _ in range(ANSWER):
        tokens.append(int(model(torch.tensor([tokens]))[0][0, -1].argmax()))
    return tokens


def split_of(texts: list[list[int]]) -> Split:
    ends = np.cumsum([len(text) for text in texts])
    tokens = np.concatenate([np.array(text, dtype=np.int64) for text in texts])
    starts = ends - np.array([len(text) for text in texts])
    return Split((tokens,), ends, len(tokens), len(tokens), "", targets_from=starts + PROMPT)


@pytest.mark.slow
def test_it_is_the_exact_match_of_greedy_decoding_for_any_number_of_heads() -> None:
    rng = np.random.default_rng(0)
    for n_future in (1, 2):
        step = stepper(n_future)
        right = [greedy(step.model, rng.integers(0, 20, PROMPT).tolist()) for _ in range(12)]
        wrong = [[*text[:place], (text[place] + 1) % 20, *text[place + 1 :]] for text in right for place in (5, 8)]
        windows = answer_windows(split_of(right + wrong), length=LENGTH, n_future=n_future, most=100)
        assert len(windows) == 36
        share = answers_right(step, [Window.stack(windows[i : i + 7]) for i in range(0, 36, 7)])
        assert share == 12 / 36


def test_documents_that_do_not_fit_are_left_out_and_the_rest_is_thinned_evenly() -> None:
    long, short = list(range(LENGTH + 2)), list(range(LENGTH + 1))
    windows = answer_windows(split_of([long, short, short, short, short, long]), length=LENGTH, n_future=2, most=2)
    assert [int(window.documents[0]) for window in windows] == [1, 4]
    assert all((window.documents >= 0).sum() == LENGTH + 1 for window in windows)
    assert math.isnan(answers_right(stepper(1), []))


@pytest.mark.slow
def test_a_training_with_prompts_writes_the_curve_and_one_without_leaves_it_empty(tmp_path: Path) -> None:
    asked = (Document(d.name, d.text[-12:], d.text[:-12]) for d in documents())
    train(tiny(data__mask_prompts=True), list(islice(asked, 800)), tmp_path / "answers")
    train(tiny(), list(islice(documents(), 800)), tmp_path / "text")
    for name, is_empty in (("answers", False), ("text", True)):
        with (tmp_path / name / "metrics.csv").open() as file:
            rows = [row["answers_right"] for row in csv.DictReader(file) if row["split"] == "validation"]
        assert len(rows) == 3
        assert all((row == "") == is_empty for row in rows), name

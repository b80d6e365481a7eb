"""Prompts that are no targets, and sources that are mixed by weight."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mtp_eval.harness.errors import InputError
from mtp_eval.harness.models.initialize import new_model
from mtp_eval.harness.models.tokenizers import ByteTokenizer
from mtp_eval.harness.training.batches import PERIOD, Batches, Windows, exact_shares
from mtp_eval.harness.training.config import TrainConfig
from mtp_eval.harness.training.config_files import make_config
from mtp_eval.harness.training.corpus import Corpus, open_corpus
from mtp_eval.harness.training.corpus_writer import build_corpus
from mtp_eval.harness.training.data import resolve_data
from mtp_eval.harness.training.distributed import Processes
from mtp_eval.harness.training.documents import Document
from mtp_eval.harness.training.first_weights import run_config
from mtp_eval.harness.training.loop import train
from mtp_eval.harness.training.parallel import Parallel
from mtp_eval.harness.training.runtime import resolve_runtime
from mtp_eval.harness.training.step import Stepper
from mtp_eval.harness.training.targets import IGNORED

PAIRS = [(f"ask {i} " * (i % 4), f"answer {i * i}") for i in range(60)]


def config(**changes: Any) -> TrainConfig:
    values = {
        "model": {"d_model": 32, "n_layers": 4, "n_heads": 2, "context_length": 48, "n_future": 2},
        "data": {"sources": ["stdlib"], "holdout": 0.0},
        "steps": 10,
        "batch_size": 4,
        "device": "cpu",
        "threads": 1,
        "validate_every": 0,
    }
    return make_config(values, [f"{key.replace('__', '.')}={value}" for key, value in changes.items()])


def pairs_corpus(folder: Path) -> Corpus:
    built = build_corpus(
        [Document(f"d{i}", text, prompt) for i, (prompt, text) in enumerate(PAIRS)], ByteTokenizer(), folder, holdout=0
    )
    return open_corpus(built.folder)


def test_tokens_of_prompts_are_read_but_are_no_targets(tmp_path: Path) -> None:
    split = pairs_corpus(tmp_path / "c").train
    expected_tokens, expected_targets = [], []
    for prompt, text in PAIRS:
        expected_tokens += [256, *prompt.encode(), *text.encode(), 257]
        expected_targets += [False] * (1 + len(prompt)) + [True] * (len(text) + 1)
    for start, length in [(0, split.n_tokens), (100, 333), (split.n_tokens - 7, 7)]:
        window = split.read(start, length)
        assert window.tokens.tolist() == expected_tokens[start : start + length]
        assert window.learnt is not None
        assert window.learnt.tolist() == expected_targets[start : start + length]


def test_a_loss_with_prompts_is_the_mean_over_the_targets_of_the_whole_batch(tmp_path: Path) -> None:
    """The oracle is one autograd graph over all rows, divided by the number of head 1's targets."""
    asked = config(micro_batch_size=3, optimizer__clip_norm=0)
    model = new_model(run_config(asked, 264), asked.seed).double()
    stepper = Stepper(model, asked, resolve_runtime(asked, 264), Parallel(Processes()))
    windows = Windows(pairs_corpus(tmp_path / "c").train, length=48, n_future=2, seed=0)
    batch = Batches([windows], [1.0], batch_size=4, seed=0).batch(3)
    inputs, targets = stepper.tensors(batch)
    assert 0 < (targets[0] != IGNORED).sum() < 0.8 * targets[0].numel()
    logits = model(inputs, targets.shape[2])
    loss = (
        sum(
            torch.nn.functional.cross_entropy(
                logits[i].flatten(0, 1), targets[i].flatten(), ignore_index=IGNORED, reduction="sum"
            )
            for i in range(2)
        )
        / (targets[0] != IGNORED).sum()
    )
    expected = torch.autograd.grad(loss, list(model.parameters()))
    total = torch.stack([gradient.norm() for gradient in expected]).norm()
    _, norm = stepper.step(0, batch)
    assert float(norm) == pytest.approx(float(total), rel=1e-9)


@pytest.mark.slow
def test_a_model_trained_on_answers_does_not_learn_the_prompts(tmp_path: Path) -> None:
    """Prompts are noise, answers are constant: the held-out loss counts answers only, and falls to almost nothing."""
    rng = np.random.default_rng(0)
    texts = [Document(f"d{i}", "= yes", " ".join(map(str, rng.integers(0, 999, 3)))) for i in range(400)]
    asked = config(steps=60, data__holdout=0.2, optimizer__learning_rate=0.01, optimizer__warmup_steps=5)
    corpus = build_corpus(texts, ByteTokenizer(), tmp_path / "c", holdout=0.2)
    result = train(asked, corpus, tmp_path / "ckpt")
    assert result.validation is not None
    assert max(result.validation.losses) < 0.2


@given(weights=st.lists(st.floats(0.001, 1000), min_size=1, max_size=8), total=st.integers(8, 2000))
def test_shares_are_whole_add_up_and_are_nearest_to_the_weights(weights: list[float], total: int) -> None:
    counts = exact_shares(weights, total)
    assert counts.sum() == total
    assert counts.min() >= 1
    ideal = np.asarray(weights) / sum(weights) * total
    if ideal.min() >= 1:
        assert np.abs(counts - ideal).max() < 1


def test_rows_come_from_every_source_in_the_proportion_of_its_weight(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpora = [build_corpus([letter * 500] * 3, ByteTokenizer(), tmp_path / letter, holdout=0) for letter in "ab"]
    windows = [Windows(corpus.train, length=16, n_future=1, seed=0) for corpus in corpora]
    batches = Batches(windows, [9, 1], batch_size=10, seed=0)

    def letters(step: int) -> list[str]:
        rows = batches.batch(step).tokens
        return [Counter(chr(token) for token in row if token < 256).most_common(1)[0][0] for row in rows]

    seen = [letters(step) for step in range(2 * PERIOD // 10)]
    counts = Counter(letter for rows in seen for letter in rows)
    assert counts == {"a": 1800, "b": 200}
    assert len({tuple(rows) for rows in seen}) > 10  # rows of a source have no fixed place
    assert letters(7) == seen[7]  # a batch depends on its step alone
    asked: list[list[int]] = [[], []]
    for source, noted in zip(windows, asked, strict=True):
        original = source.window
        monkeypatch.setattr(source, "window", lambda n, noted=noted, original=original: noted.append(n) or original(n))
    for step in range(2 * PERIOD // 10):
        batches.batch(step)
    assert asked == [list(range(1800)), list(range(200))]  # each source goes through its windows one by one


@pytest.mark.slow
def test_sources_are_mixed_by_weight_from_the_config(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.txt").write_text(name * 3000)
    sources = [str(tmp_path / "a.txt"), str(tmp_path / "b.txt"), "task:stargraph@d2l3"]
    asked = config(
        data__sources=json.dumps(sources),
        data__weights="[6, 3, 1]",
        data__mask_prompts="true",
        data__cache=tmp_path / "cache",
    )
    mixture, _ = resolve_data(asked, tmp_path / "out")
    about = mixture.describe()
    assert [part["weight"] for part in about["parts"]] == [6, 3, 1]
    assert about["train"]["tokens"] == sum(part["train"]["tokens"] for part in about["parts"])
    assert mixture.parts[2].train.targets_from is not None  # the task has prompts
    result = train(asked, mixture, tmp_path / "ckpt")
    assert result.training["data"]["fingerprint"] == mixture.fingerprint
    longer, _ = resolve_data(config(**(CHANGES := {
        "data__sources": json.dumps(sources), "data__weights": "[6, 3, 1]", "data__mask_prompts": "true",
        "data__cache": tmp_path / "cache", "steps": 20,
    })), tmp_path / "longer")  # fmt: skip
    assert train(config(**CHANGES), longer, tmp_path / "ckpt", resume=True).steps == 20
    with pytest.raises(InputError, match="weights has 2 entries, sources has 3"):
        config(data__sources=json.dumps(sources), data__weights="[1, 2]")


def test_prompts_of_tables_are_masked_where_a_row_has_one(tmp_path: Path) -> None:
    rows = [{"prompt": "Q: 1+1\n", "completion": "2"}, {"question": "Q: 2+2\n", "completion": "4"}]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    source = json.dumps([str(tmp_path / "t.jsonl")])

    def read(**changes: Any) -> tuple[str, list[bool] | None]:
        mixture, _ = resolve_data(config(data__sources=source, data__cache=tmp_path / "cache", **changes), tmp_path)
        window = mixture.parts[0].train.read(0, mixture.parts[0].train.n_tokens)
        return ByteTokenizer().decode(window.tokens.tolist()), None if window.learnt is None else window.learnt.tolist()

    assert read() == ("24", None)
    assert read(data__mask_prompts="true") == ("Q: 1+1\n24", [*[False] * 8, True, True, False, True, True])
    assert read(data__mask_prompts="true", data__prompt_field="question")[0] == "2Q: 2+2\n4"

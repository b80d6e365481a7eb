"""The signals by which n and weights are chosen: baselines, agreement and lengths of gradients, and what they cost."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mtp_eval.harness.models.size import model_size
from mtp_eval.harness.models.tokenizers import ByteTokenizer
from mtp_eval.harness.training.choice.baselines import PRIORS, baseline_nats
from mtp_eval.harness.training.choice.trial import Trial, with_heads
from mtp_eval.harness.training.choice.trunk import agreement, lengths
from mtp_eval.harness.training.documents import Document
from mtp_eval.harness.training.matching import matched
from tests.harness.training.chosen_runs import AUTO, chosen, material
from tests.harness.training.tiny_runs import tiny

slow = pytest.mark.slow


def chain(branches: int, n_symbols: int = 16, length: int = 40) -> Iterator[Document]:
    """Every symbol is followed by one of so many next ones, evenly: H(1 on) = log b, H(2 on) nearly 2 log b."""
    rng = random.Random(0)
    for number in range(10**6):
        state = rng.randrange(n_symbols)
        symbols = []
        for _ in range(length):
            symbols.append(chr(ord("a") + state))
            state = (state * 3 + 1 + rng.randrange(branches) * 5) % n_symbols
        yield Document(f"{number}", "".join(symbols))


@slow
@pytest.mark.parametrize(("branches", "foreseen"), [(1, True), (3, False)])
def test_foresight_keeps_heads_where_the_text_is_decided_ahead(branches: int, foreseen: bool, tmp_path: Path) -> None:
    """By closed forms: with one branch everything is known (share 1), with three (log 16 - log 9) / (log 16 - log 3) = 0.34."""
    config = tiny(**AUTO | {"steps": 900, "batch_size": 8, "model__context_length": 32, "data__align_documents": True})
    record = chosen(config, tmp_path, chain(branches))
    (made,) = record["choices"]
    assert record["n_future"] == (2 if foreseen else 1), made["evidence"]
    share = made["evidence"]["foreseen"][1]
    assert share > 0.9 if foreseen else share < 0.6
    assert made["evidence"]["by_frequency"][0] == pytest.approx(np.log(16), abs=0.3), "with what few counts cost"


def a_trial(tmp_path: Path, kind: str = "parallel") -> Trial:
    config = with_heads(tiny(model__head_kind=kind), 2)
    trial = Trial(config, material(config, tmp_path / "data"))
    trial.train_to(4)
    return trial


def test_baselines_are_counts_of_what_the_trial_was_trained_on(tmp_path: Path) -> None:
    trial = a_trial(tmp_path)
    alone_KN, paired_KN = baseline_nats(trial)
    length, n_tokens = trial.config.model.context_length, ByteTokenizer().vocab_size

    def pairs(window: Any, i: int) -> list[tuple[int, int]]:
        return [
            (int(tokens[t]), int(tokens[t + i]))
            for tokens, own in zip(window.tokens, window.documents, strict=True)
            for t in range(length)
            if own[t] == own[t + i] >= 0
        ]

    for i in (1, 2):
        seen = [pair for step in range(4) for pair in pairs(trial.batches.batch(step), i)]
        counts, after = Counter(y for _, y in seen), defaultdict[int, Counter[int]](Counter)
        for x, y in seen:
            after[x][y] += 1
        p_alone = {y: (counts[y] + 1) / (len(seen) + n_tokens) for y in range(n_tokens)}
        wanted = [pairs(window, i) for window in trial.held_out]
        expected = [-np.mean([np.log(p_alone[y]) for _, y in group]) for group in wanted]
        assert alone_KN[:, i - 1] == pytest.approx(expected)
        with_prior = {
            prior: [
                -np.mean([np.log((after[x][y] + prior * p_alone[y]) / (after[x].total() + prior)) for x, y in group])
                for group in wanted
            ]
            for prior in PRIORS
        }
        best = min(with_prior.values(), key=np.mean)
        assert paired_KN[:, i - 1] == pytest.approx(best)


@pytest.mark.parametrize("kind", ["parallel", "causal", "sequential", "replicated"])
def test_agreement_and_length_are_those_of_the_plain_losses(kind: str, tmp_path: Path) -> None:
    trial = a_trial(tmp_path, kind)
    model, batch = trial.stepper.model, trial.batches.batch(trial.step)
    cosines_KN, lengths_KN = agreement(trial), lengths(trial)
    assert len(cosines_KN) == trial.config.batch_size
    kept: list[torch.Tensor] = []
    model.trunk[-1].register_forward_hook(lambda module, args, output: kept.append(output))
    for k in range(len(cosines_KN)):
        tokens_BS, targets_NBT = trial.stepper.tensors(batch.rows(slice(k, k + 1)))
        logits = model(tokens_BS, targets_NBT.shape[2])
        losses = [
            F.cross_entropy(logits_BTV.flatten(0, 1), targets_BT.flatten(), ignore_index=-100, reduction="sum")
            / (targets_NBT[0] != -100).sum()
            for logits_BTV, targets_BT in zip(logits, targets_NBT, strict=True)
        ]
        flat = [
            torch.cat(
                [g.flatten() for g in torch.autograd.grad(loss, list(model.trunk.parameters()), retain_graph=True)]
            )
            for loss in losses
        ]
        assert cosines_KN[k] == pytest.approx([float(F.cosine_similarity(flat[0], g, dim=0)) for g in flat], abs=1e-4)
        sent = [float(torch.autograd.grad(loss, kept[-1], retain_graph=True)[0].norm()) for loss in losses]
        assert lengths_KN[k] == pytest.approx(sent, rel=1e-4)


@slow
def test_balanced_heads_send_gradients_of_one_length(tmp_path: Path) -> None:
    config = tiny(**AUTO | {"model__n_future": 3, "loss__weights": "auto", "choice__weights_rule": "balance"})
    record = chosen(config, tmp_path)
    (made,) = record["choices"]
    trial = Trial(with_heads(config, 3), material(config, tmp_path / "again"))
    trial.train_to(made["evidence"]["steps"])
    lengths_N = lengths(trial).mean(axis=0)
    assert lengths_N * record["head_weights"] == pytest.approx([lengths_N[0]] * 3, rel=1e-3)


def test_flops_are_those_of_the_trials_steps_and_looks(tmp_path: Path) -> None:
    trial = a_trial(tmp_path)
    per_token = model_size(matched(trial.config.model, ByteTokenizer().vocab_size)).train_flops_per_token
    assert trial.flops == 4 * trial.config.tokens_per_step * per_token
    trial.held_out_nats()
    assert trial.flops <= 5 * trial.config.tokens_per_step * per_token

"""Teacher forcing: every guess is the plain forward pass's likeliest token after the true prefix, whatever stands beside it in a batch."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mtp_eval.harness.models.checkpoint import save_checkpoint
from mtp_eval.harness.models.config import ModelConfig
from mtp_eval.harness.models.initialize import new_model
from mtp_eval.harness.models.tokenizers import ByteTokenizer
from mtp_eval.harness.training.forced import forced_answers

ASKED = [
    ("what", " is", " was"),
    ("a much longer question?", "no", ""),
    ("x", "yes and no", "yes"),
    ("a" * 40, "late", "no room"),
]


@pytest.mark.parametrize("most", [3, 64])
def test_guesses_are_greedy_after_the_true_tokens(most: int, tmp_path: Path) -> None:
    config = ModelConfig(
        vocab_size=264, d_model=16, n_layers=3, n_heads=2, n_kv_heads=2, d_ff=24, context_length=32, n_future=2
    )
    model = new_model(config, seed=1)
    save_checkpoint(tmp_path / "m", model, ByteTokenizer(), {})
    found = list(forced_answers(tmp_path / "m", ASKED, most))
    for (prompt, answer, other), one in zip(ASKED, found, strict=True):
        room = max(0, 33 - 1 - len(prompt))
        assert bytes(one.ids).decode() == answer[: min(most, room)]
        assert bytes(one.written).decode() == other[: len(one.ids)]
        for place, guess in enumerate(one.guesses):
            prefix = [256, *prompt.encode(), *answer.encode()[:place]]
            assert guess == int(model(torch.tensor([prefix]))[0][0, -1].argmax())
    assert len(found[-1].ids) == 0, "no token of an answer is asked after a prompt that fills the context"

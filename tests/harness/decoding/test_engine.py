"""Decoding with caches, batches and drafts against the plainest loop: the whole sequence through the model, each time."""

from __future__ import annotations

import pytest
import torch

from mtp_eval.harness.decoding.native import NativeBackend
from mtp_eval.harness.models.backend import DecodingSettings
from mtp_eval.harness.models.config import ModelConfig
from mtp_eval.harness.models.tokenizers import ByteTokenizer
from mtp_eval.harness.models.transformer import MTPModel
from mtp_eval.tasks.problem import Request

PROMPTS = [
    "def add(a, b):",
    "x",
    "",
    "for i in range(10):\n    print(",
    "import os\nimport sys\n",
    "é",
    "return" * 9,
    "ab",
]


def small_model(n_future: int = 4, context_length: int = 256, seed: int = 0) -> MTPModel:
    torch.manual_seed(seed)
    config = ModelConfig(
        vocab_size=264, d_model=32, n_layers=n_future + 2, n_heads=4, n_kv_heads=2, d_ff=48,
        context_length=context_length, n_future=n_future,
    )  # fmt: skip
    model = MTPModel(config).double()
    with torch.no_grad():  # weights large enough that the text has structure and drafts are sometimes right
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.4)
        for head in model.heads[1:]:
            head.load_state_dict(model.heads[0].state_dict())
    return model


def slow_greedy(model: MTPModel, prompt: str, n_tokens: int) -> list[int]:
    tokens = [256, *prompt.encode()]
    start = len(tokens)
    with torch.inference_mode():
        for _ in range(n_tokens):
            tokens.append(int(model(torch.tensor([tokens]))[0][0, -1].argmax()))
            if tokens[-1] == 257:
                break
    return tokens[start:]


def requests(max_new_tokens: int = 40, stop: tuple[str, ...] = ()) -> list[Request]:
    return [Request(f"p{i}", 0, prompt, 100 + i, stop, max_new_tokens) for i, prompt in enumerate(PROMPTS)]


@pytest.mark.parametrize("draft_heads", [1, 2, 3, 4])
@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_greedy_equals_the_loop_without_a_cache(draft_heads: int, batch_size: int) -> None:
    model = small_model()
    backend = NativeBackend.of_model(model, ByteTokenizer())
    settings = DecodingSettings(decode="self-speculative", draft_heads=draft_heads, batch_size=batch_size)
    done = {c.problem_id: c for c in backend.generate(requests(), settings)}
    for i, prompt in enumerate(PROMPTS):
        expected = slow_greedy(model, prompt, 40)
        completion = done[f"p{i}"]
        text = ByteTokenizer().decode(expected)
        assert completion.text == text or text.startswith(completion.text)
        assert completion.n_tokens == len(expected)
        if draft_heads == 1:
            assert completion.n_forwards == completion.n_tokens

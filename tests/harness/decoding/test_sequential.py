"""Sequential modules draft what a plain forward over all tokens drafts, step for step (float64).

The oracle keeps no cache: at every step it runs the whole text again, once for each module, each time with the drafts so far.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from mtp_eval.harness.backends.native import NativeBackend
from mtp_eval.harness.decoding.settings import DecodingSettings
from mtp_eval.harness.models.config import ModelConfig
from mtp_eval.harness.models.initialize import new_model
from mtp_eval.harness.models.tokenizers import ByteTokenizer
from mtp_eval.harness.models.transformer import MTPModel
from mtp_eval.tasks.problem import Request

PROMPTS = ["def add(a, b):", "", "x", "def mul(a, b):\n    ret", "return a" * 4]


@torch.inference_mode()
def drafts(model: MTPModel, known: list[int], n_drafts: int) -> list[int]:
    """What modules 1.. say follows, each after the drafts of those before it."""
    found: list[int] = []
    for head in range(2, n_drafts + 2):
        logits_1TV = model(torch.tensor([[*known, *found]]), len(known) - 1)[head - 1]
        found.append(int(logits_1TV[0, -1].argmax()))
    return found


@torch.inference_mode()
def speculate(model: MTPModel, prompt: list[int], n_new: int, n_drafts: int) -> tuple[list[int], int]:
    """Greedy tokens, and the forwards that drafting takes for them."""
    known, forwards = list(prompt), 0
    while len(known) < len(prompt) + n_new:
        guess = drafts(model, known, n_drafts) if len(known) > 1 else None
        if guess is None:
            return [], 0
        logits_1TV = model(torch.tensor([[*known, *guess]]))[0]
        chosen = logits_1TV[0, len(known) - 1 :].argmax(dim=-1).tolist()
        kept = next((i for i, token in enumerate(guess) if token != chosen[i]), n_drafts)
        known, forwards = [*known, *chosen[: kept + 1]], forwards + 1
    return known[len(prompt) : len(prompt) + n_new], forwards


@pytest.mark.slow
@pytest.mark.parametrize(("n_future", "batch_size"), [(2, 3), (3, 1), (4, 4), (4, 1)])
def test_drafts_are_those_of_a_forward_without_caches(
    trained: Callable[..., MTPModel], n_future: int, batch_size: int
) -> None:
    model, n_new = trained(n_future, "sequential"), 30
    backend = NativeBackend.of_model(model, ByteTokenizer())
    refused = 0
    for draft_heads in range(2, n_future + 1):
        settings = DecodingSettings(decode="self-speculative", draft_heads=draft_heads, batch_size=batch_size)
        wanted = [Request(prompt, 0, prompt, 1, (), n_new) for prompt in PROMPTS]
        for done in backend.generate(wanted, settings):
            tokens, forwards = speculate(model, [256, *done.problem_id.encode()], n_new, draft_heads - 1)
            if not tokens:
                continue  # the first drafts of an empty prompt come before any token was run
            assert done.text.encode("utf-8", "surrogateescape") == bytes(tokens)
            assert done.n_forwards == forwards, (done.problem_id, draft_heads)
            refused += sum(done.n_drafted) - sum(done.n_accepted)
    assert refused > 20  # so that caches written for refused drafts were written again


def test_drafting_with_narrow_keys_keeps_whole_states() -> None:
    """Keys and values of a position are narrower here than a state, which then takes several layers of the cache."""
    config = ModelConfig(
        vocab_size=264, d_model=48, n_layers=6, n_heads=6, n_kv_heads=1, d_ff=32, context_length=64, n_future=4,
        head_kind="sequential",
    )  # fmt: skip
    model = new_model(config, 0).double().requires_grad_(False)
    backend = NativeBackend.of_model(model, ByteTokenizer())
    assert backend.network(4).sequential is not None
    done = next(
        iter(backend.generate([Request("p", 0, "def f", 1, (), 20)], DecodingSettings(decode="self-speculative")))
    )
    tokens, forwards = speculate(model, [256, *b"def f"], 20, 3)
    assert (done.n_forwards, done.n_tokens) == (forwards, len(tokens))

"""Completions with caches, batches and drafts are those of the plain model, token for token (float64).

The oracle is `MTPModel.forward` over prompt and completion, without a cache: every token must be head 1's choice after the
tokens before it. By induction that is plain decoding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch

from mtp_eval.harness.backends.native import NativeBackend
from mtp_eval.harness.decoding.noise import row_key
from mtp_eval.harness.decoding.sampling import Sampler
from mtp_eval.harness.decoding.settings import DecodingSettings
from mtp_eval.harness.models.config import HeadKind
from mtp_eval.harness.models.tokenizers import ByteTokenizer
from mtp_eval.harness.models.transformer import MTPModel
from mtp_eval.tasks.problem import Completion, Request

Trained = Callable[..., MTPModel]
PROMPTS = [
    "def add(a, b):",
    "x",
    "",
    "def mul(a, b):\n    ret",
    "é",
    "return a" * 9,
    "def",
    "def sub(a, b):\n    return a - b\n",
]
GREEDY = Sampler()
KINDS: list[HeadKind] = ["parallel", "causal", "anticausal", "linear", "replicated", "sequential"]


def requests(max_new_tokens: int = 40, stop: Sequence[str] = ()) -> list[Request]:
    return [Request(f"p{i}", 0, prompt, 100 + i, tuple(stop), max_new_tokens) for i, prompt in enumerate(PROMPTS)]


def decode(model: MTPModel, wanted: Sequence[Request], settings: DecodingSettings) -> dict[str, Completion]:
    backend = NativeBackend.of_model(model, ByteTokenizer())
    done = {c.problem_id: c for c in backend.generate(wanted, settings)}
    assert len(done) == len(wanted)
    return done


def assert_plain(model: MTPModel, request: Request, completion: Completion, sampler: Sampler = GREEDY) -> None:
    """The completion is what plain decoding gives, up to where it was stopped."""
    assert completion.stop_reason == "length"  # so that the text holds every token
    new = list(completion.text.encode("utf-8", "surrogateescape"))
    prompt = [256, *request.prompt.encode()]
    with torch.inference_mode():
        logits_1TV = model(torch.tensor([prompt + new]))[0][:, len(prompt) - 1 : -1]
        keys, places = torch.tensor([row_key(request.seed)]), torch.arange(len(new))[None]
        assert sampler.pick(logits_1TV, keys, places)[0].tolist() == new
    assert completion.n_tokens - len(new) in (0, 1, 2, 3)  # an incomplete character at the end is cut


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n_future", [2, 4, 8])
def test_every_head_kind_and_number_of_heads(trained: Trained, n_future: int, kind: HeadKind) -> None:
    model = trained(n_future, kind, steps=160 if kind == "linear" else 80)  # linear heads learn more slowly
    for draft_heads in range(1, n_future + 1):
        for batch_size in (1, 3, 8) if n_future == 4 else (3,):
            settings = DecodingSettings(decode="self-speculative", draft_heads=draft_heads, batch_size=batch_size)
            wanted = requests(16)[:5] if n_future == 8 else requests(24)
            done = decode(model, wanted, settings)
            for request in wanted:
                assert_plain(model, request, done[request.problem_id])
            forwards, tokens = (sum(getattr(c, name) for c in done.values()) for name in ("n_forwards", "n_tokens"))
            assert forwards == tokens if draft_heads == 1 else forwards < 0.9 * tokens  # drafting did something
            if draft_heads == n_future:
                assert 0 < sum(sum(c.n_accepted) for c in done.values()) < sum(sum(c.n_drafted) for c in done.values())

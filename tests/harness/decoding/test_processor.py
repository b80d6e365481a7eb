"""Kernels of either maker's processor give the logits of the plain model, in float32, for one row and several."""

from __future__ import annotations

import pytest
import torch

from mtp_eval.harness.decoding.kernels import fused, processor
from mtp_eval.harness.decoding.kernels.processor import Limits
from mtp_eval.harness.decoding.network import Networks
from mtp_eval.harness.models.config import ModelConfig
from mtp_eval.harness.models.initialize import new_model

EVERYTHING = Limits(blocked_from=0, only_blocked_from=0, streamed=(0, 1 << 40))


@pytest.mark.parametrize("limits", [processor.AMD, processor.INTEL, EVERYTHING])
@pytest.mark.parametrize("batch", [1, 8])
def test_logits_are_those_of_the_model(limits: Limits, batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fused, "limits", lambda: limits)
    config = ModelConfig(vocab_size=264, d_model=128, n_layers=4, n_heads=4, d_ff=512, context_length=160, n_future=2)
    model = new_model(config, seed=0).eval()
    network = Networks(model).with_heads(2)
    tokens_BS = torch.randint(264, (batch, 140), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected_BTV = model(tokens_BS)[0][:, -2:]
        kv = network.new_cache(batch, 144)
        for row, prefix in enumerate(network.prefill([row[:-1] for row in tokens_BS.tolist()])):
            kv[:, row, :, :138] = prefix.kv
        for place in (138, 139):
            found = network.verify(tokens_BS[:, [place]], torch.full((batch, 1), place), kv, 144)
            torch.testing.assert_close(found.logits_BTV[:, 0], expected_BTV[:, place - 138], atol=1e-4, rtol=1e-4)


def test_a_machine_has_the_same_limits_every_time() -> None:
    assert processor.limits() is processor.limits()
    assert processor.limits() in (processor.AMD, processor.INTEL)

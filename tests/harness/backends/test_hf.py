"""transformers' Llama on the weights we export, as a backend, gives what our own decoder gives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mtp_eval.harness.backends.native import NativeBackend
from mtp_eval.harness.decoding.settings import DecodingSettings
from mtp_eval.harness.errors import InputError
from mtp_eval.harness.models.convert import huggingface
from mtp_eval.harness.models.tokenizers import ByteTokenizer
from mtp_eval.harness.models.transformer import MTPModel
from mtp_eval.tasks.problem import Request

pytest.importorskip("transformers")


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_same_completions_as_our_decoder(trained: Callable[..., MTPModel], tmp_path: Path) -> None:
    from mtp_eval.harness.backends.hf import HuggingFaceBackend

    model = trained(2)
    ours = NativeBackend.of_model(model, ByteTokenizer())
    huggingface.write(tmp_path, model.config, dict(model.state_dict()), ByteTokenizer())
    theirs = HuggingFaceBackend(str(tmp_path), dtype="float64")
    facts = theirs.facts()
    assert facts["dtype"] == "float64"
    assert facts["parameters"] < ours.facts()["parameters"]  # heads beyond the first are no part of a Llama
    prompts = ["def add(a, b):\n", "d", "def sub(a, b):\n    return a - b\n\ndef "]
    wanted = [Request(p, s, p, 7 * s + len(p), ("\n\n",), 20) for p in prompts for s in range(3)]
    for settings in (DecodingSettings(), DecodingSettings(temperature=0.8, top_p=0.9, batch_size=4)):
        expected = {
            (c.problem_id, c.sample): (c.text, c.n_tokens, c.stop_reason) for c in ours.generate(wanted, settings)
        }
        found = {
            (c.problem_id, c.sample): (c.text, c.n_tokens, c.stop_reason) for c in theirs.generate(wanted, settings)
        }
        assert found == expected
    with pytest.raises(InputError, match="predicts one token"):
        list(theirs.generate(wanted, DecodingSettings(decode="self-speculative")))


def test_a_model_that_is_not_there(tmp_path: Path) -> None:
    from mtp_eval.harness.backends.hf import HuggingFaceBackend

    with pytest.raises(InputError, match="cannot be loaded"):
        HuggingFaceBackend(str(tmp_path / "nothing"))

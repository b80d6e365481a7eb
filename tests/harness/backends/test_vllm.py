"""The adapter to vLLM, over a stand-in for its documented interface."""

from __future__ import annotations

import sys

import pytest

from mtp_eval.harness.backends.base import BackendOptions
from mtp_eval.harness.backends.registry import open_backend
from mtp_eval.harness.decoding.settings import DecodingSettings
from mtp_eval.harness.errors import InputError
from mtp_eval.tasks.problem import Request
from tests.harness.backends import fake_vllm
from tests.harness.backends import test_backend_contract as contract

DRAFTING = DecodingSettings(decode="self-speculative", draft_heads=3)


@pytest.fixture(autouse=True)
def vllm(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_vllm.install(monkeypatch)


@pytest.mark.parametrize("settings", contract.SETTINGS, ids=["greedy", "sampled"])
def test_the_adapter_keeps_to_the_contract(settings: DecodingSettings) -> None:
    backend = open_backend("vllm:org/model@abc")
    contract.test_facts_are_json_and_say_which_model_this_is(backend)
    contract.test_every_request_is_answered_once_without_its_stop_string(backend, settings)
    contract.test_a_completion_does_not_depend_on_its_company(backend, settings)
    contract.test_likelihoods_come_in_order_or_the_error_says_who_has_them(backend)
    contract.test_a_choice_of_decoding_is_final_and_can_be_followed(backend)
    contract.test_verification_knows_the_truth_or_says_that_it_does_not(backend)
    assert backend.name == "model"
    assert backend.facts()["spec"] == "vllm:org/model@abc"


def test_its_own_heads_draft_and_the_forwards_add_up() -> None:
    backend = open_backend("vllm:org/model", BackendOptions(dtype="bfloat16"))
    plain = {c.problem_id: c for c in backend.generate(contract.REQUESTS[::2], DecodingSettings())}
    assert all(c.n_forwards == c.n_tokens for c in plain.values())
    drafted = list(backend.generate(contract.REQUESTS[::2], DRAFTING))
    assert {c.problem_id: c.text for c in drafted} == {name: c.text for name, c in plain.items()}
    accepted = sum(c.n_tokens // 3 for c in drafted)
    assert accepted > 0
    assert sum(c.n_forwards for c in drafted) == sum(c.n_tokens for c in drafted) - accepted
    first, second = fake_vllm.LLM.made
    assert "speculative_config" not in first
    assert second["speculative_config"] == {"method": "mtp", "num_speculative_tokens": 2}
    assert second["dtype"] == "bfloat16"
    assert second["disable_log_stats"] is False


def test_a_prompt_that_does_not_fit_keeps_its_end() -> None:
    (done,) = open_backend("vllm:m").generate([Request("p", 0, "x" * 100, 1, max_new_tokens=12)], DecodingSettings())
    assert (done.prompt_tokens, done.prompt_tokens_cut) == (fake_vllm.MAX_MODEL_LEN - 12, 101 - 52)


def test_a_completion_that_fills_the_context_says_so() -> None:
    """A prompt keeps half of the context, here 32 tokens; the completion has what is left of the 40 that it may have."""
    requests = [Request(f"p/{i}", 0, f"{i}" + "x" * 100, 1, max_new_tokens=40) for i in range(8)]
    done = list(open_backend("vllm:m").generate(requests, DecodingSettings()))
    assert {(c.prompt_tokens, c.prompt_tokens_cut) for c in done} == {(32, 102 - 32)}
    assert all(c.n_tokens <= 32 and c.stop_reason != "length" for c in done)


def test_what_cannot_be_followed_is_refused_before_a_model_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="--draft-heads"):
        open_backend("vllm:m").check(DecodingSettings(decode="self-speculative"))
    assert fake_vllm.LLM.made == []
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(InputError, match="pip install"):
        open_backend("vllm:m")

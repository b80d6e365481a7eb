"""The contract of every backend, ours and a newcomer's; a new one is added to `OPENERS`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mtp_eval.harness.backends.base import Backend, BackendOptions
from mtp_eval.harness.decoding.settings import DecodingSettings
from mtp_eval.harness.errors import InputError
from mtp_eval.harness.models.tokenizers import ByteTokenizer
from mtp_eval.harness.models.transformer import MTPModel
from mtp_eval.tasks.problem import Completion, Request
from tests.harness.backends.server import Reply, completions_server, echo
from tests.harness.backends.stranger import ShoutingBackend

Trained = Callable[..., MTPModel]
PROMPTS = ["def add(a, b):\n", "de", "", "def sub(a, b):\n    return a - b\n\ndef "]
REQUESTS = [
    Request(f"p/{i}", sample, prompt, seed=7 * i + sample, stop=("\n\n", "STOP", "+"), max_new_tokens=12)
    for i, prompt in enumerate(PROMPTS)
    for sample in range(2)
]
STOP_REASONS = {"stop", "eos", "length", "context", "given"}


def native(trained: Trained, folder: Path, stack: ExitStack) -> Backend:
    from mtp_eval.harness.backends.native import NativeBackend

    return NativeBackend.of_model(trained(3), ByteTokenizer())


def hf(trained: Trained, folder: Path, stack: ExitStack) -> Backend:
    pytest.importorskip("transformers")
    from mtp_eval.harness.backends.hf import HuggingFaceBackend
    from mtp_eval.harness.models.convert import huggingface

    model = trained(2)
    huggingface.write(folder, model.config, dict(model.state_dict()), ByteTokenizer())
    return HuggingFaceBackend(str(folder), BackendOptions(dtype="float64"))


def openai(trained: Trained, folder: Path, stack: ExitStack) -> Backend:
    from mtp_eval.harness.backends.openai import OpenAIBackend

    url, _ = stack.enter_context(completions_server(likely))
    return OpenAIBackend(f"{url}#m")


def likely(body: dict[str, Any], number: int) -> Reply:
    """A server that also gives likelihoods, of a model whose every letter is a token after a begin mark."""
    if not body.get("echo"):
        return echo(body, number)
    tokens = ["<s>", *body["prompt"], "!"]
    nats = [None, *(-float(ord(letter) % 7) for letter in tokens[1:])]
    logprobs = {"tokens": tokens, "token_logprobs": nats, "top_logprobs": [None, *({"!": -0.5} for _ in tokens[1:])]}
    choices = [{"index": 0, "text": "".join(tokens), "finish_reason": "length", "logprobs": logprobs}]
    return (
        200,
        {},
        json.dumps({"choices": choices, "usage": {"prompt_tokens": len(tokens) - 1, "completion_tokens": 1}}),
    )


def samples(trained: Trained, folder: Path, stack: ExitStack) -> Backend:
    from mtp_eval.harness.backends.samples import SamplesBackend

    file = folder / "samples.jsonl"
    rows = [{"task_id": r.problem_id, "completion": f"{r.problem_id} sample {r.sample}"} for r in REQUESTS]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return SamplesBackend(file)


def stranger(trained: Trained, folder: Path, stack: ExitStack) -> Backend:
    return ShoutingBackend(3)


OPENERS = [native, pytest.param(hf, marks=pytest.mark.slow), openai, samples, stranger]
SETTINGS = [DecodingSettings(), DecodingSettings(temperature=0.8, top_p=0.95, batch_size=3)]
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")


@pytest.fixture(params=OPENERS, ids=["native", "hf", "openai", "samples", "stranger"])
def backend(request: pytest.FixtureRequest, trained: Trained, tmp_path: Path) -> Iterator[Backend]:
    with ExitStack() as stack:
        yield request.param(trained, tmp_path, stack)


def by_key(completions: Sequence[Completion]) -> dict[tuple[str, int], tuple[str, int, str]]:
    found = {(c.problem_id, c.sample): (c.text, c.n_tokens, c.stop_reason) for c in completions}
    assert len(found) == len(completions), "a request was answered twice"
    return found


@pytest.mark.slow
def test_facts_are_json_and_say_which_model_this_is(backend: Backend) -> None:
    facts = json.loads(json.dumps(dict(backend.facts())))
    assert backend.name
    assert isinstance(facts["spec"], str)
    assert facts["sha256"] is None or isinstance(facts["sha256"], str)


@pytest.mark.slow
@pytest.mark.parametrize("settings", SETTINGS, ids=["greedy", "sampled"])
def test_every_request_is_answered_once_without_its_stop_string(backend: Backend, settings: DecodingSettings) -> None:
    done = list(backend.generate(REQUESTS, settings))
    assert set(by_key(done)) == {(r.problem_id, r.sample) for r in REQUESTS}
    for completion in done:
        assert completion.stop_reason in STOP_REASONS
        if completion.stop_reason != "given":
            assert not any(stop in completion.text for stop in REQUESTS[0].stop)
        assert min(completion.n_tokens, completion.n_forwards, completion.prompt_tokens) >= 0
    assert list(backend.generate([], settings)) == []


@pytest.mark.parametrize("settings", SETTINGS, ids=["greedy", "sampled"])
def test_a_completion_does_not_depend_on_its_company(backend: Backend, settings: DecodingSettings) -> None:
    expected = by_key(list(backend.generate(REQUESTS, settings)))
    part = REQUESTS[::-2]
    assert by_key(list(backend.generate(part, settings))) == {
        (r.problem_id, r.sample): expected[r.problem_id, r.sample] for r in part
    }


@pytest.mark.slow
def test_likelihoods_come_in_order_or_the_error_says_who_has_them(backend: Backend) -> None:
    pairs = [("def add", "(a"), ("", "d"), ("def add(a, b):\n    return a", " + b")]
    if type(backend).loglikelihood is Backend.loglikelihood:
        with pytest.raises(InputError, match=f"{backend.name}.*use a checkpoint"):
            backend.loglikelihood(pairs)
        return
    found = backend.loglikelihood(pairs)
    assert [result.n_bytes for result in found] == [len(after) for _, after in pairs]
    assert all(result.nats <= 0 for result in found)
    alone = backend.loglikelihood(pairs[1:2])
    assert alone[0].nats == pytest.approx(found[1].nats, abs=1e-6)


@pytest.mark.slow
def test_a_choice_of_decoding_is_final_and_can_be_followed(backend: Backend) -> None:
    chosen = backend.choose_decoding(REQUESTS, DecodingSettings())
    assert backend.choose_decoding(REQUESTS, chosen) == chosen
    json.dumps(dict(backend.decoding_facts()))
    assert by_key(list(backend.generate(REQUESTS, chosen))) == by_key(list(backend.generate(REQUESTS, SETTINGS[0])))


def test_verification_knows_the_truth_or_says_that_it_does_not(backend: Backend) -> None:
    settings = replace(SETTINGS[1], decode="auto")
    found = backend.verify(REQUESTS, list(backend.generate(REQUESTS, settings)), settings)
    assert found is None or (found.n_completions, found.divergences) == (len(REQUESTS), ())
    assert backend.speed_up(REQUESTS, replace(settings, decode="autoregressive")) is None


def test_a_plug_in_is_opened_by_its_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.metadata import EntryPoint, EntryPoints

    from mtp_eval.harness.backends import registry

    plugin = EntryPoint("shout", "stranger:ShoutingBackend", registry.PLUGIN_GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda group: EntryPoints([plugin]))
    assert registry.open_backend("shout:2").name == "shout-2"
    with pytest.raises(InputError, match="shout:NUMBER"):
        registry.open_backend("shout:loud")
    with pytest.raises(InputError, match="shout:SOURCE: a backend of stranger:ShoutingBackend"):
        registry.open_backend("nowhere")

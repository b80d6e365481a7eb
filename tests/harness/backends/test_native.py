"""The backend as the run loop uses it: batches, order, memory, prompts that do not fit, verification, likelihoods."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch

from mtp_eval.harness.backends.native import NativeBackend
from mtp_eval.harness.decoding.acceptance import Coupled
from mtp_eval.harness.decoding.engine import Engine
from mtp_eval.harness.decoding.network import Network
from mtp_eval.harness.decoding.sampling import Sampler
from mtp_eval.harness.decoding.settings import DecodingSettings
from mtp_eval.harness.decoding.side_by_side import SideBySide
from mtp_eval.harness.errors import InputError
from mtp_eval.harness.models.tokenizers import ByteTokenizer
from mtp_eval.harness.models.transformer import MTPModel
from mtp_eval.tasks.problem import Completion, Request

Trained = Callable[..., MTPModel]
STOP = ("\n\n",)
SAMPLED = DecodingSettings(temperature=0.9, top_p=0.95, decode="self-speculative")


@pytest.fixture
def backend(trained: Trained) -> NativeBackend:
    return NativeBackend.of_model(trained(4), ByteTokenizer())


def requests(n_samples: int = 4, max_new_tokens: int = 30, stop: tuple[str, ...] = STOP) -> list[Request]:
    prompts = ["def add(", "de", "def mul(a, b):\n    return a * b\n\n", "x", "def sub(a, b):\n"]
    return [
        Request(f"p{i}", sample, prompt, 1000 * i + sample, stop, max_new_tokens + i)
        for i, prompt in enumerate(prompts)
        for sample in range(n_samples)
    ]


def texts(completions: Sequence[Completion]) -> dict[tuple[str, int], tuple[str, int, str]]:
    return {(c.problem_id, c.sample): (c.text, c.n_tokens, c.stop_reason) for c in completions}


@pytest.mark.slow
def test_completions_do_not_depend_on_batch_order_drafts_or_company(backend: NativeBackend) -> None:
    wanted = requests()
    expected = texts(list(backend.generate(wanted, replace(SAMPLED, decode="autoregressive", batch_size=1))))
    assert len({text for text, _, _ in expected.values()}) > 10
    assert {reason for _, _, reason in expected.values()} == {"stop", "length"}
    for batch_size, order in [(4, wanted), (16, wanted[::-1]), (3, wanted[7:] + wanted[:7])]:
        for draft_heads in (1, 2, 4):
            settings = replace(SAMPLED, draft_heads=draft_heads, batch_size=batch_size)
            assert texts(list(backend.generate(order, settings))) == expected
    alone = wanted[5]
    assert texts(list(backend.generate([alone], SAMPLED))) == {("p1", 1): expected["p1", 1]}


@pytest.mark.slow
def test_rejection_does_not_depend_on_batch_or_order(backend: NativeBackend) -> None:
    settings, wanted = replace(SAMPLED, acceptance="rejection"), requests()
    expected = texts(list(backend.generate(wanted, replace(settings, batch_size=1))))
    for batch_size in (4, 16):
        assert texts(list(backend.generate(wanted[::-1], replace(settings, batch_size=batch_size)))) == expected


def test_a_prompt_is_run_once_for_all_its_samples(backend: NativeBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    run: list[int] = []
    original = Network.prefill

    def counting(self: Network, prompts: Sequence[Sequence[int]]) -> object:
        run.extend(map(len, prompts))
        return original(self, prompts)

    monkeypatch.setattr(Network, "prefill", counting)
    list(backend.generate(requests(n_samples=7), replace(SAMPLED, batch_size=3)))
    assert len(run) == 5


def test_out_of_memory_halves_the_batch_and_loses_nothing(
    backend: NativeBackend, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    expected = texts(list(backend.generate(requests(), SAMPLED)))
    original, steps = Network.new_cache, []

    def small_memory(self: Network, batch: int, slots: int) -> torch.Tensor:
        if batch > 3 and slots >= 64:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return original(self, batch, slots)

    verify = Network.verify

    def failing_once(self: Network, *args: object) -> object:
        steps.append(1)
        if len(steps) == 10:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return verify(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(Network, "new_cache", small_memory)
    monkeypatch.setattr(Network, "verify", failing_once)
    with caplog.at_level(logging.WARNING):
        done = list(backend.generate(requests(), SAMPLED))
    assert len(done) == len(expected)
    assert texts(done) == expected
    assert [record.getMessage()[:29] for record in caplog.records] == [
        "out of memory with 20 rows: g", "out of memory with 10 rows: g", "out of memory with 5 rows: go", "out of memory with 2 rows: go",
    ]  # fmt: skip


def test_memory_for_keys_and_values_bounds_the_batch(backend: NativeBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    original = Network.new_cache

    def noting(self: Network, batch: int, slots: int) -> torch.Tensor:
        sizes.append(self.cache_bytes(batch, slots))
        return original(self, batch, slots)

    network = Network(backend.network(4).packed, 4)
    room = network.cache_bytes(3, 128)
    monkeypatch.setattr(Network, "new_cache", noting)
    engine = Engine(network, Coupled(Sampler()), 16, room)
    jobs, _ = backend.jobs(requests())
    assert len(list(engine.run(jobs))) == len(jobs)
    assert max(sizes) <= room


@pytest.mark.slow
def test_long_prompts_are_cut_on_the_left_and_say_so(trained: Trained, caplog: pytest.LogCaptureFixture) -> None:
    backend = NativeBackend.of_model(trained(4, context_length=64), ByteTokenizer())
    long = Request("long", 0, "# " * 60 + "def add(a, b):\n", 0, (), 16)
    short = Request("short", 0, "def add(a, b):\n", 0, (), 16)
    greedy = Request("greedy", 0, "def add(a, b):\n" * 4, 0, (), 1000)
    with caplog.at_level(logging.WARNING):
        done = {c.problem_id: c for c in backend.generate([long, short, greedy], DecodingSettings())}
    assert "2 of 3 prompts do not fit into the context of 64 tokens" in caplog.text
    assert (done["long"].prompt_tokens, done["long"].prompt_tokens_cut) == (48, 136 - 48)
    assert (done["long"].n_tokens, done["long"].stop_reason) == (16, "length")
    assert (done["short"].prompt_tokens, done["short"].prompt_tokens_cut) == (16, 0)
    assert (done["greedy"].prompt_tokens, done["greedy"].n_tokens, done["greedy"].stop_reason) == (32, 32, "context")
    last = NativeBackend.of_model(trained(4, context_length=64), ByteTokenizer())
    same = Request("same", 0, ("# " * 60 + "def add(a, b):\n")[-47:], 0, (), 16)
    assert next(last.generate([same], DecodingSettings())).text == done["long"].text


def test_bad_settings_name_what_to_change(backend: NativeBackend) -> None:
    bad: list[tuple[dict[str, Any], str]] = [
        ({"draft_heads": 5}, "predicts 4 tokens"),
        ({"top_p": 0.0, "temperature": 1.0}, "top_p must be above 0"),
        ({"temperature": -1.0}, "temperature must be 0"),
        ({"decode": "fast"}, "decode must be auto"),
        ({"acceptance": "always", "temperature": 1.0}, "acceptance must be"),
    ]
    for change, message in bad:
        with pytest.raises(InputError, match=message):
            list(backend.generate(requests(1), replace(DecodingSettings(), **change)))
    with pytest.raises(InputError, match="no such dtype"):
        NativeBackend("nowhere", dtype="int3")


def test_auto_measures_once_where_it_is_worth_it(backend: NativeBackend) -> None:
    settings = DecodingSettings(batch_size=2)
    few = requests(1)
    assert backend.choose_decoding(few, settings).draft_heads == 1  # too little work to measure
    assert backend.plans == {}
    many = [replace(request, max_new_tokens=200) for request in requests(1) * 6]
    chosen = backend.choose_decoding(many, settings)
    (plan,) = backend.plans.values()
    assert chosen.draft_heads == plan.draft_heads
    assert backend.decoding_facts()["plans"][0]["batch"] == 2
    assert plan.tokens_per_forward[1] == 1
    assert 1 < plan.tokens_per_forward[2] <= plan.tokens_per_forward[4] <= 4
    assert backend.choose_decoding(few, settings).draft_heads == plan.draft_heads  # known by now
    assert backend.choose_decoding(few, replace(settings, decode="self-speculative")).draft_heads == 4


def test_timing_other_numbers_of_heads_beside_a_batch_leaves_it_alone(backend: NativeBackend) -> None:
    jobs, _ = backend.jobs(requests(1))
    networks = {k: backend.network(k) for k in (1, 2, 4)}
    rule = Coupled(Sampler(0.9))

    def kept(beside: Sequence[int]) -> list[list[int]]:
        stage = SideBySide(networks, rule, jobs, steps=6)
        for _ in range(6):
            for k in beside:
                stage.time_only(k)
            stage.advance()
        return stage.rows.tokens_BS.tolist()

    assert kept(()) == kept((2, 1)) == kept((4,))


def test_the_speed_up_is_measured_where_there_is_drafting(backend: NativeBackend) -> None:
    wanted = requests(1)
    assert backend.speed_up(wanted, DecodingSettings(decode="autoregressive")) is None
    found = backend.speed_up(wanted, DecodingSettings(decode="self-speculative", draft_heads=2, batch_size=3))
    assert found is not None
    done = list(backend.generate(wanted, DecodingSettings(decode="autoregressive")))
    assert (found.n_completions, found.draft_heads, found.batch_size) == (5, 2, 3)
    assert found.n_tokens == sum(c.n_tokens for c in done)
    assert min(found.cpu, found.plain_cpu_seconds, found.cpu_seconds) > 0


@pytest.mark.slow
def test_verification_accepts_the_truth_and_finds_a_planted_error(backend: NativeBackend) -> None:
    for settings in (DecodingSettings(decode="self-speculative"), SAMPLED):
        wanted = requests(1)
        done = list(backend.generate(wanted, settings))
        report = backend.verify(wanted, done, settings)
        assert (report.n_completions, report.divergences) == (5, ())
        victim = next(c for c in done if len(c.text) > 8)
        planted = replace(victim, text=victim.text[:6] + "~" + victim.text[7:])
        report = backend.verify(wanted, [planted if c is victim else c for c in done], settings)
        (found,) = report.divergences
        assert (found.problem_id, found.token, found.plain) == (victim.problem_id, 6, victim.text[6])
        assert found.found == "~"
        assert found.logit_gap > 0
    with pytest.raises(InputError, match="rejection"):
        backend.verify(wanted, done, replace(SAMPLED, acceptance="rejection"))


def test_loglikelihood_is_the_plain_models(backend: NativeBackend) -> None:
    pairs = [
        ("def add(a, b):\n", "    return a + b\n"),
        ("", "def"),
        ("x", ""),
        ("d" * 400, "ef add"),
        ("def sub", "é"),
    ]
    results = backend.loglikelihood(pairs)
    for (context, continuation), result in zip(pairs, results, strict=True):
        tokens = [256, *context.encode(), *continuation.encode()]
        # white space at the end of a context is the continuation's, as lm-eval has it
        n = len(continuation.encode()) + (len(context) - len(context.rstrip()) if continuation else 0)
        tokens = tokens[max(0, len(tokens) - 1 - 256) :]
        logits_TV = backend.model(torch.tensor([tokens]))[0][0]
        expected = 0.0
        greedy = True
        for i in range(len(tokens) - n, len(tokens)):
            expected += float(logits_TV[i - 1].log_softmax(-1)[tokens[i]])
            greedy &= int(logits_TV[i - 1].argmax()) == tokens[i]
        assert result.nats == pytest.approx(expected, abs=1e-9)
        assert (result.n_tokens, result.n_bytes, result.is_greedy) == (n, len(continuation.encode()), greedy)
    assert [result.n_cut for result in results] == [0, 0, 0, 400 + 1 + 6 - 1 - 256, 0]
    with pytest.raises(InputError, match="does not fit"):
        backend.loglikelihood([("", "x" * 300)])

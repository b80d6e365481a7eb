"""`auto`: what it chooses at given costs, what choosing costs, and that completions and their counts show nothing of it.

A forward takes what the test says, by its number of heads, on a clock that nothing else moves.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import pytest
import torch

from mtp_eval.harness.backends.native import NativeBackend
from mtp_eval.harness.decoding.draft_heads import worth_measuring
from mtp_eval.harness.decoding.network import Network, Verified
from mtp_eval.harness.decoding.settings import DecodingSettings
from mtp_eval.harness.models.tokenizers import ByteTokenizer
from mtp_eval.harness.models.transformer import MTPModel
from mtp_eval.tasks.problem import Completion, Request

CHEAP = {1: 1.0, 2: 1.1, 3: 1.2, 4: 1.3}
DEAR = {1: 1.0, 2: 2.5, 3: 3.0, 4: 4.0}
TWO = {1: 1.0, 2: 1.05, 3: 3.0, 4: 4.0}
PROMPTS = ("def add(", "de", "def mul(a, b):\n    return a * b\n\n", "x", "def sub(a, b):\n")


class Stopwatch:
    """Seconds that forwards have taken, and how many there were of each number of heads."""

    def __init__(self) -> None:
        self.seconds, self.forwards = 0.0, Counter[int]()

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def costs(monkeypatch: pytest.MonkeyPatch) -> Callable[[Mapping[int, float]], Stopwatch]:
    """Make forwards take what is given, by number of heads."""
    verify = Network.verify

    def set_to(cost: Mapping[int, float]) -> Stopwatch:
        watch = Stopwatch()

        def timed(self: Network, *args: Any) -> Verified:
            watch.seconds += cost[self.draft_heads]
            watch.forwards[self.draft_heads] += 1
            return verify(self, *args)

        monkeypatch.setattr(Network, "verify", timed)
        monkeypatch.setattr(time, "process_time", watch)
        return watch

    return set_to


@pytest.fixture
def backend(trained: Callable[..., MTPModel]) -> NativeBackend:
    return NativeBackend.of_model(trained(4), ByteTokenizer())


def requests(n: int, max_new_tokens: int = 64, stop: tuple[str, ...] = ()) -> list[Request]:
    return [Request(f"p{i}", 0, PROMPTS[i % 5], i, stop, max_new_tokens) for i in range(n)]


def counted(completions: Sequence[Completion]) -> dict[str, dict[str, Any]]:
    """Everything of each completion but the time it took."""
    times = ("wall_seconds", "cpu_seconds")
    return {one.problem_id: {k: v for k, v in asdict(one).items() if k not in times} for one in completions}


def decoded(backend: NativeBackend, wanted: Sequence[Request], settings: DecodingSettings) -> dict[str, dict[str, Any]]:
    backend.forget_plans()
    return counted(list(backend.generate(wanted, settings)))


@pytest.mark.parametrize(("cost", "best", "batch"), [(CHEAP, 4, 8), (DEAR, 1, 8), (TWO, 2, 1)])
@pytest.mark.parametrize(
    "sampled", [{}, {"temperature": 0.9, "top_p": 0.95}, {"temperature": 0.9, "acceptance": "rejection"}]
)
@pytest.mark.parametrize(("n", "stop"), [(8, ()), (13, ("\n\n",))])
def test_what_is_decoded_while_measuring_is_what_would_have_been_decoded(
    backend: NativeBackend,
    costs: Callable[[Mapping[int, float]], Stopwatch],
    cost: Mapping[int, float],
    best: int,
    batch: int,
    sampled: dict[str, Any],
    n: int,
    stop: tuple[str, ...],
) -> None:
    wanted, settings = requests(n, 80, stop), DecodingSettings(batch_size=batch, **sampled)
    fixed = decoded(backend, wanted, replace(settings, decode="self-speculative", draft_heads=best))
    costs(cost)
    assert decoded(backend, wanted, settings) == fixed
    (plan,) = backend.plans.values()
    assert plan.draft_heads == best
    assert {k: pytest.approx(value) for k, value in plan.cost.items()} == {k: cost[k] for k in plan.cost}


@pytest.mark.parametrize(("cost", "best"), [(CHEAP, 4), (DEAR, 1)])
def test_the_only_forwards_made_in_vain_are_those_that_are_timed(
    backend: NativeBackend, costs: Callable[[Mapping[int, float]], Stopwatch], cost: Mapping[int, float], best: int
) -> None:
    wanted = requests(8)
    watch = costs(cost)
    decoded(backend, wanted, DecodingSettings(decode="self-speculative", draft_heads=best, batch_size=8))
    fixed = Counter(watch.forwards)
    watch.forwards.clear()
    decoded(backend, wanted, DecodingSettings(batch_size=8))
    assert watch.forwards[4] == (fixed[4] if best == 4 else 2)
    assert watch.forwards[1] == (2 if best == 4 else fixed[1] - confirmed_by(2, backend, wanted) + 2)
    assert watch.forwards.keys() == {1, 4}


def confirmed_by(steps: int, backend: NativeBackend, wanted: Sequence[Request]) -> int:
    """Tokens that the slowest row has after so many forwards with all heads: plain decoding goes on from there, all rows side by side."""
    lengths = []
    for request in wanted:
        short, n = list[Completion](), 1
        while not short or short[-1].n_forwards <= steps:
            short += backend.generate(
                [replace(request, max_new_tokens=n)], DecodingSettings(decode="self-speculative", draft_heads=4)
            )
            n += 1
        lengths.append(short[-1].n_tokens - 1)
    return min(lengths)


@pytest.mark.parametrize("batch", [1, 2, 8])
@pytest.mark.parametrize("new_tokens", [16, 64, 128, 200])
def test_choosing_costs_a_few_per_cent_at_most_where_drafting_does_not_pay(
    costs: Callable[[Mapping[int, float]], Stopwatch], batch: int, new_tokens: int, trained: Callable[..., MTPModel]
) -> None:
    """Of a model whose heads 2 to 4 never guess right, at the costs of the slowest models that were measured."""
    backend = NativeBackend.of_model(trained(4), ByteTokenizer())
    wrong = [Request(f"p{i}", 0, chr(200 + i) * 3, i, (), new_tokens) for i in range(8)]
    watch = costs({1: 1.0, 2: 1.4, 3: 1.5, 4: 1.65})
    settings = DecodingSettings(temperature=50.0, batch_size=batch)  # as good as uniform draws
    decoded(backend, wrong, replace(settings, decode="autoregressive"))
    plain, watch.seconds = watch.seconds, 0.0
    decoded(backend, wrong, settings)
    assert watch.seconds <= 1.07 * plain


def test_a_part_of_what_was_measured_on_goes_on_in_the_next_call(
    backend: NativeBackend, costs: Callable[[Mapping[int, float]], Stopwatch]
) -> None:
    """As a run does that chooses for a whole task and decodes it shard by shard."""
    wanted, settings = requests(24), DecodingSettings(batch_size=4)
    costs(CHEAP)
    chosen = backend.choose_decoding(wanted, settings)
    assert chosen.draft_heads == 4
    shards = wanted[:5], wanted[5:15], wanted[15:]
    parts = [one for shard in shards for one in backend.generate(shard, chosen)]
    assert counted(parts) == decoded(backend, wanted, chosen)


def test_what_was_measured_with_other_settings_is_not_gone_on_with(
    backend: NativeBackend, costs: Callable[[Mapping[int, float]], Stopwatch]
) -> None:
    wanted = requests(8)
    costs(CHEAP)
    backend.choose_decoding(wanted, DecodingSettings(batch_size=8))
    sampled = DecodingSettings(temperature=0.9, decode="self-speculative", draft_heads=4, batch_size=8)
    assert counted(list(backend.generate(wanted, sampled))) == decoded(backend, wanted, sampled)


def test_little_work_is_measured_where_it_can_pay_for_that() -> None:
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    assert worth_measuring(64, 8, 4, cpu)
    assert not worth_measuring(32, 8, 4, cpu)
    assert worth_measuring(128, 64, 4, gpu)
    assert not worth_measuring(64, 64, 4, gpu)

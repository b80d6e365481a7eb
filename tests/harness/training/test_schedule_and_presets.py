"""Curves over a run, presets, and overlap with benchmarks."""

from __future__ import annotations

from itertools import pairwise

import pytest

from mtp_eval.harness.errors import InputError
from mtp_eval.harness.models.size import model_size
from mtp_eval.harness.training.config import LossConfig, OptimizerConfig
from mtp_eval.harness.training.config_files import preset
from mtp_eval.harness.training.matching import matched
from mtp_eval.harness.training.overlap import OverlapIndex, summarise
from mtp_eval.harness.training.presets import PRESETS, REACHES
from mtp_eval.harness.training.schedule import head_weights, learning_rate


def test_warm_up_then_cosine_to_the_final_ratio() -> None:
    config = OptimizerConfig(learning_rate=1.0, warmup_steps=10, final_ratio=0.1)
    rates = [learning_rate(config, step, 110) for step in range(110)]
    assert rates[:10] == pytest.approx([0.1 * i for i in range(1, 11)])
    assert rates[10] == pytest.approx(1.0)
    assert rates[-1] == pytest.approx(0.1)
    assert all(a > b for a, b in pairwise(rates[10:]))
    assert learning_rate(config, 0, 1) == pytest.approx(1.0), "a run of one step has no warm-up"


def test_forward_curriculum_grows_the_horizon_in_equal_stages() -> None:
    config = LossConfig(curriculum="forward")
    horizons = [sum(w > 0 for w in head_weights(config, 4, step, 100)) for step in range(100)]
    assert [horizons.count(h) for h in (1, 2, 3, 4)] == [25] * 4
    assert horizons == sorted(horizons)
    reverse = [sum(w > 0 for w in head_weights(LossConfig(curriculum="reverse"), 4, s, 100)) for s in range(100)]
    assert reverse == sorted(horizons, reverse=True)


def test_auxiliary_weights_decay_and_averages_divide() -> None:
    config = LossConfig(auxiliary_decay=0.1, average_heads=True)
    assert head_weights(config, 2, 0, 11) == pytest.approx([0.5, 0.5])
    assert head_weights(config, 2, 10, 11) == pytest.approx([0.5, 0.05])
    assert head_weights(LossConfig(head_weights=(1.0, 0.3)), 2, 5, 11) == [1.0, 0.3]


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_a_valid_config_of_a_model_that_exists(name: str) -> None:
    config = preset(name)
    assert matched(config.model, 264).n_future == config.model.n_future


PAIRS = [
    *[("listops", 4), ("code-tiny", 4), ("code-small", 4), ("bytes", 8), ("paper-6.7B", 4)],
    *[("poly", 2), ("induction", 2), ("stargraph", 2)],
]


@pytest.mark.parametrize("pair", PAIRS)
def test_presets_of_one_name_differ_in_n_future_only(pair: tuple[str, int]) -> None:
    name, n = pair
    one, many = preset(f"{name}-n1"), preset(f"{name}-n{n}")
    assert one.model_copy(update={"model": many.model}) == many
    assert one.model.model_copy(update={"n_future": n}) == many.model
    sizes = [model_size(matched(config.model, 264)).n_parameters for config in (one, many)]
    assert sizes[0] == sizes[1]


def test_what_is_reached_is_said_of_every_family() -> None:
    families = {name.rpartition("-n")[0] for name in PRESETS if not name.startswith("paper-")}
    assert set(REACHES) == families | {"paper"}


# Tables S13 and S14 of the paper: total parameters in units of a billion, tokens in units of a billion
@pytest.mark.parametrize(
    ("name", "billions", "tokens"),
    [
        ("0.3B", 0.3, 91.0),
        ("0.6B", 0.6, 91.0),
        ("1.3B", 1.3, 91.0),
        ("3B", 3, 91.0),
        ("6.7B", 6.7, 209.7),
        ("13B", 13, 209.7),
        ("6.7B-code-500B", 6.7, 503.3),
        ("6.7B-code-1T", 6.7, 1000.0),
        ("6.7B-text-200B", 6.7, 209.7),
        ("6.7B-text-500B", 6.7, 503.3),
    ],
)
def test_paper_presets_have_the_papers_sizes_and_budgets(name: str, billions: float, tokens: float) -> None:
    config = preset(f"paper-{name}-n4")
    assert model_size(matched(config.model, 32_000)).n_parameters / 1e9 == pytest.approx(billions, rel=0.04)
    assert config.total_steps * config.tokens_per_step / 1e9 == pytest.approx(tokens, abs=0.1)


def test_models_of_natural_language_end_at_a_tenth_of_their_learning_rate() -> None:
    assert preset("paper-6.7B-text-500B-n2").optimizer.final_ratio == 0.10
    assert preset("paper-6.7B-code-1T-n4").optimizer.final_ratio == 0.03


def test_unknown_presets_name_near_ones() -> None:
    with pytest.raises(InputError, match="did you mean code-tiny-n4"):
        preset("code-tiny-4")


PROBLEMS = {
    "toy/1": 'def add(a, b):\n    """Return the sum of both numbers."""\n    return a + b\n',
    "toy/2": "def sub(a, b):\n    return a - b  # the difference, with a sign, of one number and another one\n",
    "toy/3": "def unrelated():\n    pass\n",
}


def test_copies_are_found_whatever_their_layout() -> None:
    index = OverlapIndex(PROBLEMS, n=8)
    copied = 'x = 1\ndef add( a,b ):\n  """Return the sum   of both numbers."""\n  return a+b'
    (hit,) = index.hits("file.py", copied)
    assert (hit.problem, hit.share) == ("toy/1", 1.0)
    assert index.hits("other.py", "def plus(a, b): return sum((a, b))") == []
    assert summarise([hit]) == {"toy": (1, 1, 1.0)}


def test_runs_shared_by_many_problems_do_not_count() -> None:
    preamble = "You are an expert Python programmer and here is your task today my friend: "
    problems = {
        f"toy/{i}": f"{preamble} write a function number {i} that is about {'abcdefgh'[i]} only" for i in range(8)
    }
    index = OverlapIndex(problems, n=6)
    assert index.hits("prompts.txt", preamble) == []
    assert [hit.problem for hit in index.hits("leak.txt", problems["toy/3"])][:1] == ["toy/3"]

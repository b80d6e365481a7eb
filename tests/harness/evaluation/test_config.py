"""The options of a run: ranges, values that exclude one another, labels of models, seeds of requests."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtp_eval.harness.backends.registry import model_labels, open_backend
from mtp_eval.harness.errors import InputError
from mtp_eval.harness.evaluation.config import RunConfig
from mtp_eval.harness.evaluation.shards import first_of, request_seed
from mtp_eval.tasks.problem import Problem

OPTIONS = {"model": ["m"], "task": ["mbpp"]}


def test_k_above_n_is_refused_and_names_both_options() -> None:
    with pytest.raises(InputError, match=r"pass@10 needs at least 10 .*n_samples=2.*--n-samples.*--k"):
        RunConfig.given({**OPTIONS, "n_samples": 2, "k": (1, 10), "temperature": (0.2,)})


def test_several_greedy_samples_are_refused() -> None:
    with pytest.raises(InputError, match="temperature 0 would be 5 equal completions"):
        RunConfig.given({**OPTIONS, "n_samples": 5})


@pytest.mark.parametrize(("key", "value"), [("temperature", -1.0), ("top_p", 0.0), ("top_p", 1.5), ("timeout", 0.0)])
def test_values_out_of_range_name_their_option(key: str, value: float) -> None:
    with pytest.raises(InputError, match="--" + key.replace("_", "-")):
        RunConfig.given({**OPTIONS, key: value})


def test_config_file_gives_what_options_do_not(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text('model = ["a"]\ntask = ["mbpp"]\nn-samples = 4\ntemperature = 0.8\n')
    config = RunConfig.given({"temperature": (0.2, 0.4)}, file)
    assert (config.model, config.n_samples, config.temperature) == (("a",), 4, (0.2, 0.4))


def test_one_value_or_several_in_every_form() -> None:
    for k in ("1,4", [1, 4], (1, 4), ["1", "4"], ["1,4"]):
        config = RunConfig.given({"model": "a,b", "task": "x, y", "k": k, "n_samples": 4, "temperature": "0.5"})
        assert (config.model, config.task, config.k) == (("a,b",), ("x", "y"), (1, 4))
        assert config.result_relevant()["temperature"] == 0.5


@pytest.mark.parametrize(
    ("limit", "n"), [(None, 7), (3, 3), ("3", 3), (3.0, 3), ("0.5", 4), (0.01, 1), (1, 1), (99, 7)]
)
def test_limit_is_a_number_of_problems_or_a_share_rounded_up(limit: object, n: int) -> None:
    problems = [Problem(problem_id=str(i), prompt="", reference="") for i in range(7)]
    assert first_of(problems, RunConfig.given({**OPTIONS, "limit": limit}).limit) == tuple(problems[:n])


@pytest.mark.parametrize("limit", [0, -1, "0", "nan", "inf", 1.5, "many"])
def test_a_limit_that_is_neither_is_refused(limit: object) -> None:
    with pytest.raises(InputError, match="--limit"):
        RunConfig.given({**OPTIONS, "limit": limit})


def test_a_typo_in_the_config_file_names_the_nearest_key(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text("temprature = 0.8\n")
    with pytest.raises(InputError, match="unknown key 'temprature': did you mean temperature"):
        RunConfig.given(OPTIONS, file)


def test_workers_and_folder_do_not_decide_results() -> None:
    first = RunConfig.given({**OPTIONS, "workers": 1, "out": "x"})
    second = RunConfig.given({**OPTIONS, "workers": 2, "out": "y"})
    assert first.result_relevant() == second.result_relevant()
    assert first.result_relevant() != RunConfig.given({**OPTIONS, "seed": 1}).result_relevant()


def test_unknown_model_spec_lists_the_forms() -> None:
    with pytest.raises(InputError, match=r"no-such-folder.*hf:NAME_OR_PATH.*samples:FILE"):
        open_backend("no-such-folder")


def test_labels_are_short_and_unique() -> None:
    assert model_labels(["ckpts/a", "ckpts/b/"]) == ["a", "b"]
    assert model_labels(["x/final", "y/final"]) == ["x/final", "y/final"]


def test_request_seeds_depend_on_every_part_and_nothing_else() -> None:
    base = request_seed(0, "mbpp@3shot", "mbpp/11", 0)
    others = {
        request_seed(1, "mbpp@3shot", "mbpp/11", 0),
        request_seed(0, "mbpp@0shot", "mbpp/11", 0),
        request_seed(0, "mbpp@3shot", "mbpp/12", 0),
        request_seed(0, "mbpp@3shot", "mbpp/11", 1),
    }
    assert base == request_seed(0, "mbpp@3shot", "mbpp/11", 0)
    assert base not in others
    assert len(others) == 4
    assert all(0 <= seed < 2**63 for seed in others)

"""n, and the weights of the heads, chosen from the first percents of a training."""

from __future__ import annotations

import csv
import json
import time
from pathlib import Path
from typing import Any

import pytest

from mtp_eval.harness.errors import InputError
from mtp_eval.harness.models.checkpoint import checkpoint_info
from mtp_eval.harness.models.tokenizers import ByteTokenizer
from mtp_eval.harness.training.choice.choose import CHOICE_FILE, N_RULES, WEIGHT_RULES, chosen_config
from mtp_eval.harness.training.choice.options import MOST_SHARE, ChoiceConfig
from mtp_eval.harness.training.choice.trial import with_heads
from mtp_eval.harness.training.command import train
from mtp_eval.harness.training.config import TrainConfig
from mtp_eval.harness.training.corpus_writer import build_corpus
from mtp_eval.harness.training.distributed import Processes
from mtp_eval.harness.training.loop import train as train_loop
from mtp_eval.harness.training.mixture import Mixture
from mtp_eval.harness.training.state import last_step, step_folders
from tests.forked import Forked
from tests.harness.training.chosen_runs import AUTO, chosen, material
from tests.harness.training.tiny_runs import documents, same, tiny, weights

slow = pytest.mark.slow


def text_file(folder: Path) -> str:
    path = folder / "lines.txt"
    texts = documents()
    path.write_text("\n\n".join(next(texts).text for _ in range(400)))
    return str(path)


def of_file(folder: Path, **changes: Any) -> TrainConfig:
    cache = str(folder / "cache")
    return tiny(**AUTO | changes, data__sources=[text_file(folder)], data__documents="blocks", data__cache=cache)


@slow
def test_the_run_is_that_of_the_chosen_n_bit_for_bit_and_says_how_it_was_chosen(tmp_path: Path) -> None:
    config = of_file(tmp_path, steps=300, loss__weights="auto", choice__rule="agreement", checkpoint_every=0)
    train(config, tmp_path / "auto")
    record = json.loads((tmp_path / "auto" / CHOICE_FILE).read_text())
    n, head_weights = record["n_future"], record["head_weights"]
    assert n > 1, "lines that say everything twice: later tokens can be foreseen"
    train(with_heads(config, n, head_weights), tmp_path / "given")
    assert same(weights(tmp_path / "auto"), weights(tmp_path / "given"))
    stored = checkpoint_info(tmp_path / "auto").training
    assert stored["choice"] == record
    assert stored["config"] == checkpoint_info(tmp_path / "given").training["config"]
    assert [one["rule"] for one in record["choices"]] == ["agreement", "halving"]
    assert f"n={n}" in record["said"]
    with (tmp_path / "auto" / "metrics.csv").open() as file:
        (row,) = [row for row in csv.DictReader(file) if row["split"] == "choice"]
    assert int(row["tokens"]) == record["cost"]["tokens"] > 0
    for one in record["choices"]:
        assert one["evidence"]


@slow
def test_a_begun_run_keeps_its_choice(tmp_path: Path) -> None:
    config, out = of_file(tmp_path, steps=20), tmp_path / "ckpt"
    train(config, out)
    before = (out / CHOICE_FILE).read_bytes()
    train(of_file(tmp_path, steps=24, log_every=3), out, resume=True)
    assert last_step(out) == 24
    assert (out / CHOICE_FILE).read_bytes() == before
    with pytest.raises(InputError, match="made for another config"):
        train(of_file(tmp_path, steps=24, choice__rule="halving"), out, resume=True)
    (out / CHOICE_FILE).write_text("{")
    with pytest.raises(InputError, match="cannot be read"):
        train(config, out, resume=True)
    (out / CHOICE_FILE).unlink()
    assert train(of_file(tmp_path, steps=24), out, resume=True).steps == 24, "the checkpoint has the record, too"
    train(of_file(tmp_path, steps=20, model__n_future=1), tmp_path / "given")
    with pytest.raises(InputError, match="began without a choice"):
        train(config, tmp_path / "given", resume=True)


def choose_for_long(folder: str) -> None:
    chosen(tiny(**AUTO | {"steps": 3000}), Path(folder))


@slow
def test_a_choice_that_was_killed_is_made_again_and_ends_the_same(tmp_path: Path) -> None:
    with Forked(choose_for_long, str(tmp_path / "killed")) as process:
        while not (tmp_path / "killed" / "data" / "index.json").exists():
            assert process.poll() is None, process.errors
            time.sleep(0.01)
        time.sleep(1.0)
        process.kill()
    assert not (tmp_path / "killed" / "out" / CHOICE_FILE).exists(), "it takes longer than a second"
    config = tiny(**AUTO)
    first, again = (chosen(config, tmp_path / name) for name in ("a", "b"))
    for record in (first, again):
        record["cost"] = {key: value for key, value in record["cost"].items() if not key.endswith("seconds")}
    assert first == again


@slow
@pytest.mark.parametrize("rule", [f"n {name}" for name in N_RULES] + [f"weights {name}" for name in WEIGHT_RULES])
def test_no_rule_takes_more_than_its_share(rule: str, tmp_path: Path) -> None:
    about, name = rule.split()
    asked = {"choice__rule": name} if about == "n" else {"model__n_future": 3, "loss__weights": "auto"}
    for steps in (3, 40, 200):
        config = tiny(
            **AUTO | asked | {"steps": steps} | ({"choice__weights_rule": name} if about == "weights" else {})
        )
        record = chosen(config, tmp_path / f"{steps}")
        assert record["cost"]["flops_share"] <= MOST_SHARE
        (made,) = record["choices"]
        if steps == 3:
            assert not made["told_apart"], "nothing can be told from no steps"
            assert (record["n_future"], record["head_weights"]) == (
                (1, None) if about == "n" else (3, record["head_weights"])
            )
            assert "default" in record["said"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"loss__head_weights": [1.0]}, "loss.head_weights"),
        ({"loss__register_distance": 2}, "registers"),
        ({"init": "nowhere"}, "begins with a finished one"),
        ({"choice__candidates": [1, 1, 2]}, "names a value twice"),
        ({"choice__candidates": [2, 3]}, "choice.otherwise"),
        ({"choice__candidates": []}, "at least 1"),
        ({"choice__share": 0.2}, "less than or equal to 0.1"),
        ({"choice__rule": "nosuch"}, "foresight"),
        ({"loss__weights": "equal"}, "loss.head_weights"),
        ({"model__n_future": 1, "loss__weights": "auto"}, "single one"),
        ({"model__n_future": 2, "loss__weights": "auto", "loss__curriculum": "forward"}, "loss.curriculum"),
        ({"model__n_future": 2, "loss__weights": "auto", "loss__auxiliary_decay": 0.5}, "loss.auxiliary_decay"),
        ({"model__n_future": 2, "loss__weights": "auto", "freeze": "trunk"}, "freeze = 'trunk'"),
    ],
)
def test_what_cannot_be_chosen_is_said_before_anything_is_read(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        tiny(**AUTO | changes)


def test_several_processes_and_no_held_out_text_are_refused(tmp_path: Path) -> None:
    config = tiny(**AUTO)
    data = material(config, tmp_path / "data").data
    with pytest.raises(InputError, match="one process"):
        chosen_config(config, data, ByteTokenizer(), tmp_path, Processes(0, 2, 0))
    with pytest.raises(InputError, match="leaves n or the weights"):
        train_loop(config, documents(), tmp_path / "ckpt")
    texts = documents()
    bare = Mixture((build_corpus([next(texts) for _ in range(99)], ByteTokenizer(), tmp_path / "bare", holdout=0),))
    with pytest.raises(InputError, match="choice is made by held-out text"):
        chosen_config(config, bare, ByteTokenizer(), tmp_path, Processes())
    for candidates, said in (([9], "none of"), ([1, 9], "has no room")):
        far = tiny(**AUTO | {"choice__candidates": candidates, "choice__otherwise": 9})
        with pytest.raises(InputError, match=said):
            chosen_config(far, data, ByteTokenizer(), tmp_path, Processes())
    assert not step_folders(tmp_path)


def test_every_rule_has_a_name_that_the_config_takes() -> None:
    for rules, field in ((N_RULES, "rule"), (WEIGHT_RULES, "weights_rule")):
        for name in rules:
            assert getattr(ChoiceConfig.model_validate({field: name}), field) == name
        with pytest.raises(ValueError, match=" or ".join(repr(name) for name in list(rules)[-1:])):
            ChoiceConfig.model_validate({field: "nosuch"})

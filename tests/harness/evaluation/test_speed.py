"""The speed measurement: what it decodes, what it counts, what it keeps, and what it refuses to put side by side."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mtp_eval.harness.backends.native import NativeBackend
from mtp_eval.harness.decoding.settings import DecodingSettings
from mtp_eval.harness.errors import InputError
from mtp_eval.harness.evaluation.speed import measure_speed
from mtp_eval.harness.evaluation.speed_config import SpeedConfig
from mtp_eval.harness.evaluation.speed_page import speed_plot, speed_table, write_pages
from mtp_eval.harness.evaluation.speed_prompts import Domain, places, requests
from mtp_eval.harness.evaluation.speed_store import SPEED_FILE
from mtp_eval.harness.models.checkpoint import save_checkpoint
from mtp_eval.harness.models.tokenizers import ByteTokenizer
from mtp_eval.harness.models.transformer import MTPModel
from mtp_eval.results.tables.render import render
from tests.harness.conftest import LINES

TEXT = "".join(LINES) * 8
DOMAINS = {
    "lines": Domain(lambda: iter([TEXT, TEXT[40:], "short"])),
    "heads": Domain(lambda: iter([line.partition("\n")[0] for line in LINES * 2]), has_own_length=True),
}


@pytest.fixture(scope="module")
def checkpoints(trained: Callable[..., MTPModel], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    for n_future in (1, 3):
        save_checkpoint(folder / f"n{n_future}", deepcopy(trained(n_future)).float(), ByteTokenizer(), {})
    return folder


def options(checkpoints: Path, out: Path, **more: Any) -> SpeedConfig:
    given = {
        "model": [str(checkpoints / "n3")], "domain": "lines", "prompt_tokens": 24, "new_tokens": 20, "prompts": 3,
        "batch_size": (1, 2), "device": "cpu", "out": out,
    }  # fmt: skip
    return SpeedConfig.given(given | more)


def test_every_place_is_measured_with_every_number_of_heads(checkpoints: Path, tmp_path: Path) -> None:
    config = options(checkpoints, tmp_path, model=[str(checkpoints / n) for n in ("n3", "n1")], domain="lines,heads")
    said: list[str] = []
    rows = measure_speed(config, DOMAINS, said.append)
    assert len(rows) == 2 * 2 * 2 * (3 + 1)
    assert len(said) == 2 * 2 * 2 * 2
    assert {row.heads for row in rows if row.model == "n1"} == {1}
    for row in rows:
        assert row.n_tokens <= row.n_completions * 20
        assert row.tokens_per_second > 0
        assert row.mean_prompt_tokens == pytest.approx(25 if row.domain == "lines" else 15, abs=2)  # with a first token
        assert len(row.acceptance) == row.heads - 1
        if row.heads == 1:
            assert (row.speed_up, row.speed_up_cpu, row.tokens_per_forward) == (1.0, 1.0, 1.0)


def test_counts_are_those_of_the_decoder_and_heads_change_no_completion(checkpoints: Path, tmp_path: Path) -> None:
    config = options(checkpoints, tmp_path, batch_size=2, temperature=0.8)
    model = NativeBackend(checkpoints / "n3", device="cpu")
    (place,) = places(config, {"n3": model}, DOMAINS)
    asked = requests(model, place, DOMAINS["lines"], config)
    assert len({request.seed for request in asked}) == 3
    assert all(len(model.tokenizer.encode(request.prompt)) == 24 for request in asked)
    assert all(request.prompt in TEXT for request in asked)
    for row in measure_speed(config, DOMAINS):
        settings = DecodingSettings(0.8, decode="self-speculative", draft_heads=row.heads, batch_size=1)
        alone = [one for request in asked for one in model.generate([request], settings)]
        assert row.n_tokens == sum(one.n_tokens for one in alone)
        assert row.tokens_per_forward == row.n_tokens / sum(one.n_forwards for one in alone)
        for i, share in enumerate(row.acceptance):
            assert share == sum(one.n_accepted[i] for one in alone) / sum(one.n_drafted[i] for one in alone)


def test_what_the_folder_holds_is_not_measured_again(checkpoints: Path, tmp_path: Path) -> None:
    first = measure_speed(options(checkpoints, tmp_path, batch_size=1), DOMAINS)
    more = measure_speed(options(checkpoints, tmp_path, temperature=(0.0, 0.8, 1.0)), DOMAINS)
    assert {row for row in more if row.batch_size == 1 and row.temperature != 1.0} == set(first)
    assert measure_speed(options(checkpoints, tmp_path, heads=2, batch_size=1), DOMAINS) == [
        row for row in first if row.heads < 3
    ]
    stored = json.loads((tmp_path / SPEED_FILE).read_text())
    assert len(stored["rows"]) == len(more)
    assert stored["models"]["n3"]["sha256"]


def test_a_place_that_was_cut_off_is_measured_when_the_command_is_repeated(checkpoints: Path, tmp_path: Path) -> None:
    class CutError(Exception):
        pass

    def cut(line: str) -> None:
        if "batch 2" in line:
            raise CutError

    with pytest.raises(CutError):
        measure_speed(options(checkpoints, tmp_path), DOMAINS, cut)
    before = json.loads((tmp_path / SPEED_FILE).read_text())["rows"]
    measure_speed(options(checkpoints, tmp_path), DOMAINS)
    after = json.loads((tmp_path / SPEED_FILE).read_text())["rows"]
    assert 0 < len(before) < len(after) == 2 * 2 * 3
    assert after[: len(before)] == before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seed": 1}, r"seed 0 \(now 1\).*another --out"),
        ({"new_tokens": 21}, r"new_tokens 20 \(now 21\).*another --out"),
        ({"dtype": "bfloat16"}, r"dtype float32 \(now bfloat16\).*another --out"),
    ],
)
def test_other_settings_do_not_join_a_table(
    checkpoints: Path, tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    place = {"batch_size": 1, "temperature": 0.0, "heads": 2}
    measure_speed(options(checkpoints, tmp_path, **place), DOMAINS)
    before = (tmp_path / SPEED_FILE).read_bytes()
    with pytest.raises(InputError, match=said):
        measure_speed(options(checkpoints, tmp_path, **place, **change), DOMAINS)
    assert (tmp_path / SPEED_FILE).read_bytes() == before


def test_other_weights_of_the_same_name_do_not_join_a_table(checkpoints: Path, tmp_path: Path) -> None:
    place = {"batch_size": 1, "temperature": 0.0}
    measure_speed(options(checkpoints, tmp_path, **place), DOMAINS)
    other = NativeBackend(checkpoints / "n1", device="cpu").model
    save_checkpoint(tmp_path / "elsewhere/n3", other, ByteTokenizer(), {})
    with pytest.raises(InputError, match="other weights under the name n3"):
        measure_speed(options(checkpoints, tmp_path, **place, model=[str(tmp_path / "elsewhere/n3")]), DOMAINS)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"schema_version": 99}'])
def test_a_file_of_something_else_stays(checkpoints: Path, tmp_path: Path, content: str) -> None:
    (tmp_path / SPEED_FILE).write_text(content)
    with pytest.raises(InputError, match="no measurement of this version"):
        measure_speed(options(checkpoints, tmp_path), DOMAINS)
    assert (tmp_path / SPEED_FILE).read_text() == content


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"prompt_tokens": 300}, "no prompt fits: lower --prompt-tokens"),
        ({"domain": "line"}, "--domain line: .*lines"),
        ({"heads": 4}, "draft_heads=4, but n3 predicts 3 tokens"),
        ({"prompts": 1000}, r"lines has \d+ prompts of 24 tokens for n3, and 1000 are asked for"),
        ({"model": ["nosuch"]}, "nosuch"),
        ({"model": ["hf:gpt2"]}, "--model hf:gpt2: speed is measured on checkpoint folders"),
        ({"batch_size": (1, 1)}, "the same batch_size is given twice"),
    ],
)
def test_what_cannot_be_measured_is_said_before_anything_is(
    checkpoints: Path, tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        measure_speed(options(checkpoints, tmp_path / "new", **change), DOMAINS)
    assert not (tmp_path / "new").exists()


def test_lengths_that_do_not_fit_are_left_out_and_named(checkpoints: Path, tmp_path: Path) -> None:
    config = options(checkpoints, tmp_path, prompt_tokens=(24, 240), batch_size=1, temperature=0.0, heads=2)
    said: list[str] = []
    rows = measure_speed(config, DOMAINS, said.append)
    assert {row.prompt_tokens for row in rows} == {24}
    assert "prompts of 240 tokens are left out" in said[0]


def test_table_and_plot_say_the_same_as_the_rows(checkpoints: Path, tmp_path: Path) -> None:
    rows = measure_speed(options(checkpoints, tmp_path), DOMAINS)
    shown = list(csv.DictReader(io.StringIO(render(speed_table(rows, "here"), "csv"))))
    assert [float(line["speed-up"]) for line in shown] == pytest.approx([row.speed_up for row in rows])
    for line, row in zip(shown, rows, strict=True):
        assert float(line["tokens/s a user"]) * min(row.batch_size, 3) == pytest.approx(float(line["tokens/s"]))
    lines = speed_plot(rows).figure.axes[0].get_lines()
    assert [line.get_label() for line in lines] == ["plain decoding", "2 heads", "3 heads"]
    assert [np.size(line.get_xdata()) for line in lines] == [2, 2, 2]
    assert write_pages(rows, "here", tmp_path).count("\n| n3 |") == len(rows)
    assert {path.name for path in tmp_path.iterdir()} == {
        "speed.json", "speed.md", "speed.csv", "speed.tex", "speed.png", "speed.svg",
    }  # fmt: skip
